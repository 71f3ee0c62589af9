"""Statements that apply layers: the library's, the program's own, repeated, along a dim, by choice."""

from __future__ import annotations

from .scope import Body, Size, Val

ACTIVATIONS = ["relu", "gelu", "tanh", "silu", "sigmoid", "elu", "(fn(v) => v * 1.0 + 0.0)", "(fn(v) => 0.5 * v)",
               "(fn(v) => v |> tanh >> fn(u) => u + 0.0)", "hard_tanh", "Identity", "Dropout(0.0)"]  # fmt: skip


def repeated(count: int, layer: str) -> str:
    """A layer, repeated; what `repeat` is given as `fn(v)` would be a function of the turn's number."""
    return f"repeat({count}, {f'Identity >> {layer}' if layer.lstrip('(').startswith('fn(') else layer})"


def preserving(body: Body, width: int, depth: int = 0, around: Val | None = None, *, plain: bool = False) -> str:
    """A layer that gives what it takes: [..., width]. `around` is a value that it may reach out to."""
    rng = body.rng
    if depth >= 3 or rng.random() < 0.2:
        return rng.choice([f"Dense({width})", "LayerNorm", "RMSNorm", rng.choice(ACTIVATIONS)])
    deeper = preserving(body, width, depth + 1, around, plain=plain)
    deeper = f"({deeper})" if deeper.startswith("fn(") else deeper  # what follows would be part of its expression
    choices = [
        f"Dense({width}) >> {rng.choice(ACTIVATIONS)}",
        f"residual({deeper})",
        f"residual(LayerNorm >> {deeper})",
        f"fn(v) => v + (v |> {deeper})",
        f"{deeper} >> {rng.choice(ACTIVATIONS)}",
        f"FeedForward({2 * width})",
        f"SwiGLU({2 * width})",
        f"Dense({2 * width}) >> GLU",
        repeated(rng.randint(1, 3), deeper),
        f"repeat(2, fn(i) => Dense({width}, bias = i == 1) >> {rng.choice(ACTIVATIONS)})",
        f"repeat({rng.randint(2, 3)}, fn(i) => fn(v) => v * (0.5 + i) + (v |> Dense({width})))",
        f"branch({deeper}, Dense({width})) >> {rng.choice(['add', 'subtract', 'maximum'])}",
        f"branch(Dense(2), Dense({width})) >> concat >> Dense({width})",
        f"fn(v) => v |> cond(mean(v) > {rng.uniform(-0.3, 0.3):.3f}, {deeper}, Dense({width}))",
    ]
    if not plain:
        choices += ["BatchNorm", "BatchNorm >> relu"] + [f"{name}" for name in body.preserving] * 3
    if around is not None:
        choices += [f"fn(v) => v * 0.5 + {around.name}", f"fn(v) => tanh({around.name}) * v"] * 2
        choices.append(f"fn(v) => v |> cond(max({around.name}) > 0.713, fn(u) => u * tanh({around.name}), {deeper})")
    return rng.choice(choices)


def _wide(body: Body, rank: int = 2) -> Val | None:
    return body.pick(lambda v: v.kind == "float" and v.rank >= rank and 2 <= v.dims[-1].known <= 8)


def stack(body: Body) -> Val | None:
    """A layer that preserves shapes, repeated perhaps."""
    x = _wide(body)
    if x is None or not body.weights:
        return None
    around = body.pick(lambda v: v.kind == "float" and v.dims == x.dims) if body.rng.random() < 0.4 else None
    layer = preserving(body, x.dims[-1].known, around=around)
    if body.rng.random() < 0.4:
        layer = repeated(body.rng.randint(1, 4), layer)
    return body.say(f"{x.name} |> {layer}", x, pure=False, reach=x.reach * 4 + 4)


def library(body: Body) -> Val | None:
    """A layer that changes the last dim, or looks ids up."""
    rng = body.rng
    ids = body.pick(lambda v: v.kind == "int" and v.rank in (1, 2))
    if not body.weights:
        return None
    if ids is not None and rng.random() < 0.4:
        width = rng.choice([2, 4])
        made = f"{ids.name} |> Embedding(6, {width})"
        return body.say(made, ids, pure=False, kind="float", dims=(*ids.dims, Size(width)), reach=2.0)
    x = _wide(body)
    if x is None:
        return None
    width = rng.choice([2, 3, 4])
    layer = rng.choice([f"Dense({width})", f"Dense({width}, bias = false)", f"Dense({width}) >> gelu",
                        f"LayerNorm >> Dense({width})", f"Dense({2 * width}) >> GLU"])  # fmt: skip
    return body.say(f"{x.name} |> {layer}", x, pure=False, dims=(*x.dims[:-1], Size(width)), reach=x.reach * 3)


def sequences(body: Body) -> Val | None:
    """Recurrent layers and attention, over [batch, seq, width]."""
    x = body.pick(lambda v: v.kind == "float" and v.rank == 3 and 2 <= v.dims[-1].known <= 6 and not v.exact)
    if x is None or not body.weights:
        return None
    rng, width = body.rng, x.dims[-1].known
    hidden = rng.choice([2, 3, 4])
    turned = rng.choice(["", ", reverse = true"])
    recurrent = [f"LSTM({hidden}{turned})", f"GRU({hidden}{turned})", f"SimpleRNN({hidden}{turned})",
                 f"recur(Cell({hidden}), over = 1{turned})", f"recur(Cell({hidden}, 0.0), over = 1{turned})",
                 f"repeat(1, LSTM({hidden}))"]  # fmt: skip
    if rng.random() < 0.55:
        layer, made = rng.choice(recurrent), hidden
    elif rng.random() < 0.2:
        layer, made = f"bidirectional(GRU({hidden}), LSTM({hidden}))", 2 * hidden
    elif width % 2 == 0:
        layer = rng.choice(["SelfAttention(2, causal = true)", "EncoderBlock(2)", "SelfAttention(2)", "Sinusoids",
                            "repeat(2, EncoderBlock(2, causal = true))", "Positions(12)"])  # fmt: skip
        made = width
    else:
        layer, made = f"repeat(2, GRU({width}))", width
    return body.say(f"{x.name} |> {layer}", x, pure=False, dims=(*x.dims[:2], Size(made)), reach=3 * x.reach)


def images(body: Body) -> Val | None:
    """Convolutions and pools of [batch, height, width, channels]."""
    x = body.pick(lambda v: v.kind == "float" and v.rank == 4 and all(d.known >= 2 for d in v.dims[1:]))
    if x is None or not body.weights:
        return None
    rng = body.rng
    _, height, width, channels = (size.known for size in x.dims)
    same = [f"Conv({(c := rng.choice([2, 3]))})", f"SeparableConv({c})", f"Conv({c}, kernel = [1, 2])"]
    options = [(text, height, width, c) for text in same]
    options += [("DepthwiseConv", height, width, channels), ("BatchNorm >> relu", height, width, channels),
                ("InstanceNorm", height, width, channels), ("GroupNorm(1)", height, width, channels),
                ("AvgPool(2)", height // 2, width // 2, channels), ("MaxPool(2)", height // 2, width // 2, channels),
                ("max_pool(2, stride = 1)", height - 1, width - 1, channels),
                (f"Conv({c}, kernel = 2, padding = \"valid\")", height - 1, width - 1, c)]  # fmt: skip
    if height <= 3:
        options += [("Upsample(2)", 2 * height, 2 * width, channels), (f"ConvTranspose({c})", 2 * height, 2 * width, c)]
    if rng.random() < 0.15:
        return body.say(f"global_avg_pool({x.name})", x, dims=(x.dims[0], x.dims[3]))
    layer, *sizes = rng.choice(options)
    return body.say(f"{x.name} |> {layer}", x, pure=False, dims=(x.dims[0], *map(Size, sizes)), reach=3 * x.reach)


def shared(body: Body) -> Val | None:
    """One layer with one set of weights, applied two or three times."""
    x = _wide(body)
    if x is None or not body.weights:
        return None
    width = x.dims[-1].known
    y = body.pick(lambda v: v.kind == "float" and v.rank >= 1 and v.dims[-1] == x.dims[-1] and v.exact == x.exact) or x
    name = body.name("shared")
    body.lines.append(f"{name} = {preserving(body, width, plain=True)}")
    body.say(f"{y.name} |> {name}", y, pure=False, reach=y.reach * 4 + 4)
    if body.rng.random() < 0.4:
        return body.say(f"{x.name} |> {name} >> tanh >> {name}", x, pure=False, reach=x.reach * 4 + 4)
    return body.say(f"{x.name} |> {name}", x, pure=False, reach=x.reach * 4 + 4)


def own(body: Body) -> Val | None:
    """A layer or function of the program."""
    if not body.layers:
        return None
    apply = body.rng.choice(list(body.layers.values()))
    x = _wide(body)
    return x and apply(body, x)


def branches(body: Body) -> Val | None:
    """`cond` on two layers that reach out to other values."""
    x = _wide(body, rank=1)
    test = body.pick(lambda v: v.kind == "float" and v.count >= 1)
    if x is None or test is None:
        return None
    other = body.pick(lambda v: v.kind == "float" and v.dims == x.dims) or x
    flag = body.pick(lambda v: v.kind == "bool" and not v.dims)
    asked = flag.name if flag else f"mean({test.name}) > {body.number_text()}"
    first = body.rng.choice([f"fn(v) => v * 1.0 + {other.name}", f"fn(v) => tanh({other.name} * 2.0) + v",
                             f"fn(v) => exp(-abs({other.name})) * v"])  # fmt: skip
    second = preserving(body, x.dims[-1].known, 2) if body.weights else "tanh"
    exact = x.exact or other.exact
    if exact and not (x.exact and other.exact):
        return None
    body.say(f"exp(-abs({other.name}))", other, reach=1.0)
    return body.say(f"{x.name} |> cond({asked}, {first}, {second})", x, pure=False, reach=x.reach * 3 + other.reach)


def same_again(body: Body) -> Val | None:
    """The same layer text with weights of its own: functions of equal bodies."""
    x = _wide(body)
    if x is None or not body.weights:
        return None
    layer = preserving(body, x.dims[-1].known, 1)
    first = body.say(f"{x.name} |> {layer}", x, pure=False, reach=x.reach * 4 + 4)
    return first and body.say(f"{first.name} |> {layer}", first, pure=False, reach=first.reach * 4 + 4)
