"""Causal attention in many spellings: by hand, of the library, and pairs of places that are no attention to a pass."""

from __future__ import annotations

import random

from .causal_parts import Break, Layer, own_layer

# ---------------------------------------------------------------------------- attention by hand

MASKS: list[tuple[str, tuple[str, ...], list[tuple[str, str]]]] = [
    ("causal_mask(seq, seq)", ("causal_mask",), [("mask off by one", "iota(seq)[:, none] + 1 >= iota(seq)[none, :]")]),
    (
        "iota(seq)[:, none] >= iota(seq)[none, :]",
        (),
        [
            ("mask off by one", "iota(seq)[:, none] + 1 >= iota(seq)[none, :]"),
            ("mask the other way round", "iota(seq)[:, none] <= iota(seq)[none, :]"),
        ],
    ),
    (
        "not (iota(seq)[none, :] > iota(seq)[:, none])",
        (),
        [("mask off by one", "not (iota(seq)[none, :] > iota(seq)[:, none] + 2)")],
    ),
    (
        "iota(seq)[:, none] - iota(seq)[none, :] > -1",
        (),
        [("mask off by one", "iota(seq)[:, none] - iota(seq)[none, :] > -2")],
    ),
    (
        "sliding_window_mask(seq, seq, 3)",
        ("sliding_window_mask",),
        [("window both ways", "iota(seq)[:, none] - 3 < iota(seq)[none, :]")],
    ),
    (
        "iota(seq)[:, none] >= iota(seq)[none, :] and iota(seq)[:, none] - iota(seq)[none, :] < 2",
        (),
        [("window both ways", "abs(iota(seq)[:, none] - iota(seq)[none, :]) < 2")],
    ),
]
"""Masks, what they need, and what looks ahead in place of each."""

HIDES = ["where({mask}, {scores}, -inf)", "{scores} + where({mask}, 0.0, -inf)", "where(not ({mask}), -inf, {scores})"]

BIASES: list[tuple[str, str, tuple[str, ...]]] = [
    ("", "", ()), ("", "", ()),
    (" + alibi(2, seq, seq)", "", ("alibi",)),
    (" - 0.3 * cast(iota(seq)[:, none] - iota(seq)[none, :], float)", "", ()),
    (" + gather(table, clip(iota(seq)[:, none] - iota(seq)[none, :], 0, 4), along = 1)",
     "param table: float[2, 5] = normal(0.3)", ()),
    (" + slope[:, none, none] * cast(iota(seq)[none, :] - iota(seq)[:, none], float)",
     "param slope: float[2] = normal(0.3)", ()),
]  # fmt: skip
"""What is added to scores, the weight that it takes, and what it needs."""

SPELLINGS = [
    ("b s h e", "b s h e, b t h e -> b h s t", "b h s t, b t h e -> b s h e"),
    ("b h s e", "b h s e, b h t e -> b h s t", "b h s t, b h t e -> b s h e"),
    ("b h s e", "b h t e, b h s e -> b h s t", "b h t e, b h s t -> b s h e"),
]
"""How q is laid out, the product for scores, and that for values; in the last, keys and weights come first."""


def attention(rng: random.Random, name: str) -> Layer:
    """Softmax attention, written with einsums or matrix products."""
    mask, uses, wrong = rng.choice(MASKS)
    bias, weight, more = rng.choice(BIASES)
    lines = [*_projections(rng), *([weight] if weight else [])]
    spelling = rng.choice([*SPELLINGS, None])
    layout, product, mix = _products(spelling)
    if layout != "b s h e":
        lines += [f'{n} = rearrange({n}, "b s h e -> {layout}")' for n in "qkv"]
    scale = rng.choice([" / sqrt(4)", " * 0.6", "", "/ 2.0"])
    lines.append(f"scores = {product}{scale}{bias}")
    hide = rng.choice(HIDES)
    hidden = hide.format(mask=mask, scores="scores")
    lines += [f"w = softmax({hidden}, over = -1)", f"y = {mix}", _projected(rng)]
    breaks = [Break(kind, mask, ahead) for kind, ahead in wrong]
    breaks.append(Break("no mask", f"softmax({hidden}", "softmax(scores"))
    if hide is HIDES[0]:
        breaks.append(Break("a mask that is a number", f"{mask}, scores, -inf", f"{mask}, scores, -1.0"))
    return Layer("attention by hand", name, own_layer(name, lines), (*uses, *more), breaks)


def _products(spelling: tuple[str, str, str] | None) -> tuple[str, str, str]:
    """How q, k and v are laid out, the product for scores, and that for values; without a spelling by `@`."""
    if spelling is None:
        return "b h s e", "q @ swap(k, -1, -2)", 'rearrange(w @ v, "b h s e -> b s h e")'
    layout, scores, mixed = spelling
    turned = spelling is SPELLINGS[2]
    keys, values = ("k, q", "v, w") if turned else ("q, k", "w, v")
    return layout, f'einsum("{scores}", {keys})', f'einsum("{mixed}", {values})'


def _projections(rng: random.Random) -> list[str]:
    """q, k and v as [batch, seq, heads, head]: by a weight each, by one for all, or by fewer heads for k and v."""
    weights = [f"param w{n}: float[embed, 2, 4] = normal(0.3)" for n in "qkv"]
    apart = [*weights, *(f'{n} = einsum("b s d, d h e -> b s h e", x, w{n})' for n in "qkv")]
    fused = ["param w: float[embed, 3, 2, 4] = normal(0.3)", 'qkv = einsum("b s d, d c h e -> b s c h e", x, w)',
             "q = qkv[:, :, 0]", "k = qkv[:, :, 1]", "v = qkv[:, :, 2]"]  # fmt: skip
    parts = ["q, k, v = split(x |> Dense(24), 3, along = -1)",
             *(f'{n} = rearrange({n}, "b s (h e) -> b s h e", h = 2)' for n in "qkv")]  # fmt: skip
    shared = ["param wq: float[embed, 2, 4] = normal(0.3)",
              *(f"param w{n}: float[embed, 1, 4] = normal(0.3)" for n in "kv"),
              *(f'{n} = einsum("b s d, d h e -> b s h e", x, w{n})' for n in "qkv"),
              *(f'{n} = repeat_axis({n}, "b s g e -> b s (g r) e", r = 2)' for n in "kv")]  # fmt: skip
    lines = rng.choice([apart, fused, parts, shared])
    if rng.random() < 0.3:
        lines = [*lines, "q = q |> Rotary", "k = k |> Rotary"] if lines is not shared else lines
    elif rng.random() < 0.2:
        lines = [*lines, "q = q |> RMSNorm", "k = k |> RMSNorm"]
    return lines


def _projected(rng: random.Random) -> str:
    flat = 'rearrange(y, "b s h e -> b s (h e)")'
    return rng.choice([f"output {flat} |> Dense(embed)", f"output {flat}", "output reshape(y, [batch, seq, 8])"])


def grouped(rng: random.Random, name: str) -> Layer:
    """Queries of several heads that share keys and values, with an axis for the group."""
    mask = "iota(seq)[:, none] >= iota(seq)[none, :]"
    ahead = mask.replace(" >= ", " + 1 >= ")
    lines = [
        "param wq: float[embed, 2, 2, 2] = normal(0.4)", "param wk: float[embed, 2, 2] = normal(0.4)",
        "param wv: float[embed, 2, 2] = normal(0.4)",
        'q = einsum("b s d, d g r e -> b s g r e", x, wq)', 'k = einsum("b s d, d g e -> b s g e", x, wk)',
        'v = einsum("b s d, d g e -> b s g e", x, wv)',
        f'scores = einsum("b s g r e, b t g e -> b g r s t", q, k) * {rng.choice([0.5, 1.0, 0.3])}',
        f"w = softmax(where({mask}, scores, -inf), over = -1)",
        'y = einsum("b g r s t, b t g e -> b s g r e", w, v)',
        'output rearrange(y, "b s g r e -> b s (g r e)")',
    ]  # fmt: skip
    return Layer("grouped heads by hand", name, own_layer(name, lines), breaks=[
        Break("mask off by one", mask, ahead), Break("no mask", f"where({mask}, scores, -inf)", "scores"),
    ])  # fmt: skip


# ------------------------------------------------------------------------- attention of the library


def library_attention(rng: random.Random, name: str) -> Layer:
    """`SelfAttention` with some of its options."""
    heads, kv = rng.choice([(2, ""), (4, ", kv_heads = 2"), (4, ", kv_heads = 1"), (2, ", kv_heads = 2")])
    options = kv + rng.choice(["", "", ", mask = tokens != 0"])
    options += rng.choice(["", ", rotary = true", ", rotary = true, base = 100.0"]) + rng.choice(["", ", bias = true"])
    window = rng.choice(["", "", ", window = 3", ", window = 2"])
    breaks = [] if window else [Break("no mask", "causal = true", "causal = false", "mixed = ")]
    return Layer("library attention", f"SelfAttention({heads}, causal = true{options}{window})", breaks=breaks)


def block(rng: random.Random, name: str) -> Layer:
    """A whole block of the library."""
    gpt = f"EncoderBlock(2, ratio = 2, causal = true{rng.choice(['', ', norm_first = false', ', bias = false'])})"
    llama = f"LlamaBlock(4, mlp = 6{rng.choice(['', ', kv_heads = 2', ', window = 3', ', kv_heads = 1, window = 4'])})"
    if rng.random() < 0.5:
        return Layer("library block", llama)
    return Layer("library block", gpt, breaks=[Break("no mask", "causal = true", "causal = false", "mixed = ")])


def decoder(rng: random.Random, name: str) -> Layer:
    """A block that looks at an encoder's side as well."""
    mask = rng.choice(["", ", mask = source != 0"])
    return Layer("cross-attention", f"DecoderBlock(2, memory, ratio = 2{mask})", source=True)


def cross(rng: random.Random, name: str) -> Layer:
    """Attention to an encoder's side alone."""
    return Layer("cross-attention", "CrossAttention(2, memory)", source=True)


# -------------------------------------------------------------- pairs of places without `attention`


SEEN, SEEN_TOO_FAR = ("iota(seq)[:, none] >= iota(seq)[none, :]", "iota(seq)[:, none] + 1 >= iota(seq)[none, :]")


def retention(rng: random.Random, name: str) -> Layer:
    """Attention without a softmax, in its parallel form (Sun et al., 2023)."""
    lines = [
        "age = cast(iota(seq)[:, none] - iota(seq)[none, :], float)",
        'scores = einsum("b s d, b t d -> b s t", x |> Dense(4), x |> Dense(4))',
        f"decay = where({SEEN}, exp(-0.3 * age), 0.0)",
        'output einsum("b s t, b t d -> b s d", scores * decay, x |> Dense(embed))',
    ]  # fmt: skip
    return Layer("retention", name, own_layer(name, lines), breaks=[
        Break("no mask", "scores * decay", "scores"),
    ])  # fmt: skip


def squared(rng: random.Random, name: str) -> Layer:
    """Weights of which more is made after the softmax, so that it is no attention that a pass knows."""
    after = rng.choice(["w * w", "w - w * w", "0.5 * (w + w * w)"])
    hidden = f"where({SEEN}, scores, -inf)"
    lines = [
        'scores = einsum("b s d, b t d -> b s t", x |> Dense(4), x |> Dense(4))',
        f"w = softmax({hidden}, over = -1)",
        f'output einsum("b s t, b t d -> b s d", {after}, x |> Dense(embed))',
    ]
    return Layer("attention not recognised", name, own_layer(name, lines), breaks=[
        Break("mask off by one", SEEN, SEEN_TOO_FAR), Break("no mask", f"softmax({hidden}", "softmax(scores"),
        Break("a softmax over queries", f"{hidden}, over = -1", f"{hidden}, over = 1"),
    ])  # fmt: skip
