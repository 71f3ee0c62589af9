"""Layers that mix the places of a sequence, each by itself causal, and ways to break each so that it looks ahead.

Each is [batch, seq, embed] to the same, with `embed` = 8. A break replaces one piece of text by another; where it is
made, the compiler's complaint must be.
"""

from __future__ import annotations

import random
from dataclasses import replace

from .causal_attention import attention, block, cross, decoder, grouped, library_attention, retention, squared
from .causal_parts import EMBED, Break, Layer, Make, own_layer

# -------------------------------------------------------------------------------------- recurrences


def recurrent(rng: random.Random, name: str) -> Layer:
    """LSTM, GRU or a plain recurrence of the library."""
    kind = rng.choice(["LSTM", "GRU", "SimpleRNN"])
    width = rng.choice([8, 8, 5])
    applied = f"{kind}({width})" + ("" if width == EMBED else f" >> Dense({EMBED})")
    turned = Break(
        "a recurrence backwards", f"{kind}({width})", f"{kind}({width}, reverse = true)", "output x |> recur("
    )
    return Layer("library recurrence", applied, breaks=[turned])


CELLS = [
    """layer {name}Cell {{
  input x: float[batch, features]
  carry level: float[batch, features] = {begin}
  param rate: float[features] = normal(0.5)
  next level = sigmoid(rate) * level + (1.0 - sigmoid(rate)) * x
  output next level
}}
""",
    """layer {name}Cell {{
  input x: float[batch, features]
  carry h: float[batch, features] = {begin}
  carry m: float[batch, 3] = ones
  param u: float[features, features] = normal(0.3)
  f, i = split(x |> Dense(2 * features), 2, along = -1)
  next m = tanh(0.5 * m + (x |> Dense(3)))
  next h = sigmoid(f) * h + tanh(i + h @ u) * sum(next m, over = -1, keep = true)
  output h * 0.5 + next h
}}
""",
    """layer {name}Cell {{
  input x: float[batch, features]
  carry best: float[batch, features] = {begin}
  next best = maximum(x, best - 0.5)
  output next best - best
}}
""",
]  # fmt: skip


def cell(rng: random.Random, name: str) -> Layer:
    """A recurrence with a cell of the program's own."""
    text = rng.choice(CELLS).format(name=name, begin=rng.choice(["zeros", "ones", "0.3"]))
    applied = f"recur({name}Cell, over = 1)"
    turned = Break("a recurrence backwards", applied, f"recur({name}Cell, over = 1, reverse = true)")
    return Layer("recurrence by hand", applied, text, breaks=[turned])


def state_space(rng: random.Random, name: str) -> Layer:
    """A selective state space, as in Mamba (Gu and Dao, 2023)."""
    scan = f"recur({name}Cell, over = seq)(u, dt, u |> Dense(3), u |> Dense(3))"
    text = f"""layer {name}Cell {{
  input u: float[batch, d], dt: float[batch, d], b: float[batch, state], c: float[batch, state]
  carry h: float[batch, d, state] = zeros
  param a: float[d, state] = normal(0.5)
  next h = exp(-exp(a) * dt[..., none]) * h + (dt * u)[..., none] * b[:, none, :]
  output sum(next h * c[:, none, :], over = -1)
}}
layer {name} {{
  input x: float[batch, seq, embed]
  u = x |> Dense(6) >> DepthwiseConv(3, padding = "causal") >> silu
  dt = softplus(u |> Dense(6))
  y = {scan}
  output (y * silu(x |> Dense(6))) |> Dense(embed)
}}
"""
    turned = Break("a recurrence backwards", scan, scan.replace("over = seq", "over = seq, reverse = true"))
    same = Break("a convolution both ways", 'padding = "causal"', 'padding = "same"', "y = conv(")
    return Layer("state space", name, text, breaks=[turned, same])


# ------------------------------------------------------------------------- convolutions and shifts


def convolution(rng: random.Random, name: str) -> Layer:
    """A causal convolution of the library."""
    settings = f'{rng.choice([2, 3, 4])}, padding = "causal"{rng.choice(["", ", dilation = 2"])}'
    applied = rng.choice([f"Conv(8, {settings})", f"Conv(8, {settings}, groups = 2)",
                          f"Conv(8, {settings}, bias = false)", f"DepthwiseConv({settings})",
                          f"SeparableConv(8, {settings})"])  # fmt: skip
    same = Break("a convolution both ways", '"causal"', '"same"', "y = conv(")
    return Layer("library convolution", applied, breaks=[same])


def own_convolution(rng: random.Random, name: str) -> Layer:
    """The op itself."""
    kernel = rng.choice([2, 3])
    call = 'conv(x, w, padding = "causal")'
    lines = [f"param w: float[{kernel}, embed, embed] = normal(0.3)", f"output {rng.choice(['tanh', 'silu'])}({call})"]
    breaks = [Break("a convolution both ways", call, 'conv(x, w, padding = "same")')] if kernel == 3 else []
    after = f"conv(x, w, padding = [[0, {kernel - 1}]])"
    return Layer(
        "convolution by hand", name, own_layer(name, lines), breaks=[*breaks, Break("padding behind", call, after)]
    )


def look_back(rng: random.Random, name: str) -> Layer:
    """Each place together with one that is looked up by its number."""
    back, gap = rng.choice([1, 2, 3]), rng.choice([2, 3])
    numbers = rng.choice([f"maximum(iota(seq) - {back}, 0)", f"iota(seq) // {gap}", f"clip(iota(seq) - {back}, 0, 4)",
                          f"minimum(iota(seq), {back})", f"maximum(iota(seq) // {gap} - 1, 0)"])  # fmt: skip
    ahead = rng.choice(["iota(seq) + 1", f"minimum(iota(seq) + {back}, 6)", f"maximum(iota(seq) - 1, {back})"])
    form = f"gather(x, {numbers}, along = 1)"
    lines = ["param mix: float[embed] = normal(0.5)", f"output x + mix * {form}"]
    return Layer("places looked up", name, own_layer(name, lines), breaks=[
        Break("later places looked up", form, f"gather(x, {ahead}, along = 1)"),
        Break("places from the end", form, "gather(x, seq - 1 - iota(seq), along = 1)"),
    ])  # fmt: skip


def shift(rng: random.Random, name: str) -> Layer:
    """Each place together with one before it, as in RWKV (Peng et al., 2023)."""
    back = rng.choice([1, 1, 2])
    padded = f"pad(x[:, :-{back}], [0, {back}, 0], [0, 0, 0])"
    joined = f"concat([full([batch, {back}, embed], {rng.choice([0.0, 0.5])}), x[:, :-{back}]], along = 1)"
    learnt = f"concat([broadcast(begin, [batch, {back}, embed]), x[:, :-{back}]], along = 1)"
    form = rng.choice([padded, joined, learnt])
    lines = [f"require seq > {back}", "param mix: float[embed] = normal(0.5)"]
    lines += [f"param begin: float[{back}, embed] = normal(0.5)"] if form is learnt else []
    lines += [f"before = {form}", "output mix * x + (1.0 - mix) * before"]
    ahead = f"pad(x[:, {back}:], [0, 0, 0], [0, {back}, 0])"
    rolled = f"roll(x, -{back}, over = 1)"
    return Layer("token shift", name, own_layer(name, lines), shortest=back + 1, breaks=[
        Break("a place moved up", form, ahead), Break("a roll", form, rolled),
    ])  # fmt: skip


# -------------------------------------------------------------------------------- running results


def running(rng: random.Random, name: str) -> Layer:
    """A running sum, mean, product or extreme."""
    count = "cast(iota(seq) + 1, float)[:, none]"
    one = rng.choice(["cumsum({x}, over = 1) / " + count, "0.3 * cumsum({x}, over = 1)", "cummax({x}, over = 1)",
                      "cummin({x}, over = 1)", "cumprod(1.0 + 0.1 * tanh({x}), over = 1)",
                      "cumsum({x} * exp(tanh({x})), over = seq) / cumsum(exp(tanh({x})), over = seq)"])  # fmt: skip
    lines = ["y = x |> Dense(embed)", f"output {one.format(x='y')}"]
    turned = f"reverse({one.format(x='reverse(y, over = 1)')}, over = 1)"
    whole = rng.choice(["mean(y, over = 1, keep = true) + y", "max(y, over = 1, keep = true) - y",
                        "y / (1.0 + sum(abs(y), over = seq, keep = true))"])  # fmt: skip
    old = one.format(x="y")
    return Layer("running result", name, own_layer(name, lines), breaks=[
        Break("a total from the end", old, turned), Break("a mean over time", old, whole),
    ])  # fmt: skip


def linear_attention(rng: random.Random, name: str) -> Layer:
    """Attention by running sums (Katharopoulos et al., 2020; Choromanski et al., 2021)."""
    feature = rng.choice(["exp(tanh({}))", "elu({}) + 1.01", "softplus({}) + 0.01"])
    lines = [
        *(f"param w{n}: float[embed, 2, 4] = normal(0.3)" for n in "qkv"),
        *(f'{n} = {feature.format(f"""einsum("b s d, d h e -> b s h e", x, w{n})""")}' for n in "qk"),
        'v = einsum("b s d, d h e -> b s h e", x, wv)',
        'kv = cumsum(einsum("b s h e, b s h f -> b s h e f", k, v), over = 1)', "z = cumsum(k, over = 1)",
        'y = einsum("b s h e, b s h e f -> b s h f", q, kv) / sum(q * z, over = -1, keep = true)',
        'output rearrange(y, "b s h e -> b s (h e)")',
    ]  # fmt: skip
    outer = 'einsum("b s h e, b s h f -> b s h e f", k, v)'
    return Layer("linear attention", name, own_layer(name, lines), breaks=[
        Break("a sum over time", f"cumsum({outer}, over = 1)", f"{outer} + sum({outer}, over = 1, keep = true)"),
        Break("a total from the end", "cumsum(k, over = 1)",
              "reverse(cumsum(reverse(k, over = 1), over = 1), over = 1)"),
    ])  # fmt: skip


# -------------------------------------------------------------------------------- place by place


def gated(rng: random.Random, name: str) -> Layer:
    """Something done at each place by itself."""
    return Layer("gated unit", rng.choice(["SwiGLU(6)", "GeGLU(6)", "Dense(16) >> GLU", "FeedForward(12)",
                                           "Dense(8) >> gelu >> Dense(8)", "Dense(8) >> PReLU"]))  # fmt: skip


def experts(rng: random.Random, name: str) -> Layer:
    """A mixture of experts, each token to the best of them (Shazeer et al., 2017)."""
    lines = [
        "param up: float[3, embed, 5] = normal(0.3)", "param down: float[3, 5, embed] = normal(0.3)",
        f"best, ids = top_k(x |> Dense(3, bias = false), {rng.choice([1, 2])}, over = -1)",
        'gates = einsum("b s k, b s k x -> b s x", softmax(best, over = -1), one_hot(ids, 3))',
        'h = gelu(einsum("b s d, x d h -> b s x h", x, up))',
        'output einsum("b s x h, x h d, b s x -> b s d", h, down, gates)',
    ]  # fmt: skip
    over = "softmax(best, over = -1)"
    return Layer("mixture of experts", name, own_layer(name, lines), breaks=[
        Break("a softmax over time", over, "softmax(best, over = 1)"),
    ])  # fmt: skip


def by_place(rng: random.Random, name: str) -> Layer:
    """What depends on the number of the place."""
    form = rng.choice([
        "where((iota(seq) % 2 == 0)[:, none], x, 0.5 * x)", "x * table[clip(iota(seq), 0, 4)]",
        "x + table[iota(seq) % 5]", "x / sqrt(cast(iota(seq) + 1, float))[:, none]",
        "where((iota(seq) < 3)[:, none], tanh(x), x)", "x + one_hot(iota(seq) % 8, embed)",
    ])  # fmt: skip
    lines = [*(["param table: float[5, embed] = normal(0.5)"] if "table" in form else []), f"output {form}"]
    length = "x * cast(iota(seq), float)[:, none] / cast(seq, float)"
    return Layer("by place", name, own_layer(name, lines), breaks=[
        Break("the length", form, length),
        Break("places from the end", form, "x * cast(seq - iota(seq), float)[:, none]"),
    ])  # fmt: skip


# ------------------------------------------------------------------- more than can be asked for today


def first_place(rng: random.Random, name: str) -> Layer:
    """What stands at the first place, at all places: causal, but it is not known how to keep it."""
    form = rng.choice(["x[:, :1]", "x[:, 0][:, none]"])
    return Layer("the first place", name, own_layer(name, [f"output x + tanh({form})"]), beyond=True)


MIXERS: list[tuple[float, Make]] = [
    (4, attention), (1, grouped), (2, library_attention), (1.5, block), (1.5, recurrent), (1.5, cell), (1, state_space),
    (1.5, convolution), (0.7, own_convolution), (1.2, shift), (0.7, look_back), (1.2, running), (1, linear_attention),
    (0.7, retention), (0.7, squared),
]  # fmt: skip
LOCAL: list[tuple[float, Make]] = [(2, gated), (1, experts), (1, by_place)]
ACROSS: list[tuple[float, Make]] = [(1.5, decoder), (1, cross)]
BEYOND: list[tuple[float, Make]] = [(1, first_place)]


def draw(rng: random.Random, among: list[tuple[float, Make]], name: str) -> Layer:
    """One of the layers, with `name` for what the program defines itself."""
    (make,) = rng.choices([make for _, make in among], [weight for weight, _ in among])
    return make(rng, name)


def normalised(rng: random.Random, layer: Layer) -> Layer:
    """Behind a norm over features and within a residual, most of the time."""
    norm = rng.choice(["LayerNorm", "RMSNorm", "LayerNorm", ""])
    inner = f"{norm} >> {layer.applied}" if norm else layer.applied
    return replace(layer, applied=f"residual({inner})") if rng.random() < 0.8 else replace(layer, applied=inner)
