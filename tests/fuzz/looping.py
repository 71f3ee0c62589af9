"""Pieces with structure: layers called, repeated and tied, recurrent cells, branches. [batch, seq, 4] to the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from trxc.ir import Attribute, Function, Region, Value
from trxc.types import FLOAT, TensorType

from . import pieces
from .attending import attention
from .building import BATCH, WIDTH, Code, sequence_type, sized

Piece = Callable[[Code, Value], Value]

INNER: list[tuple[float, Piece]] = [
    (2, pieces.dense), (1, pieces.activation), (1, pieces.arithmetic), (1, pieces.siblings), (1, pieces.norm),
    (0.4, pieces.batch_norm), (0.6, pieces.convolution), (0.7, pieces.moves), (0.6, pieces.chosen), (1.8, attention),
    (0.8, pieces.neutral), (0.5, pieces.reductions), (0.3, pieces.positions), (0.4, pieces.exactly), (0.3, pieces.cube),
]  # fmt: skip


def some(c: Code, x: Value, count: int) -> Value:
    """So many random pieces after one another, with a residual perhaps."""
    y = x
    for _ in range(count):
        (piece,) = c.rng.choices([p for _, p in INNER], [weight for weight, _ in INNER])
        y = piece(c, y)
    return c("add", x, y) if c.rng.random() < 0.4 else y


def layer(c: Code, count: int) -> Function:
    """A new function of so many pieces, of a sequence and the other values that the piece may reach for."""
    extra = [v for v in c.around if v.type.dtype.kind != "float"]
    types = [sequence_type(), *(value.type for value in extra)]
    inner = c.new_function(c.rng.choice(["block", "mixer", "dense"]), types, ["x", *(v.name for v in extra)])
    inner.around = list(inner.region.arguments)
    return inner.finish(some(inner, inner.region.arguments[0], count))


def apply(c: Code, function: Function, x: Value, *path: str) -> Value:
    """A layer called with the values it reaches for."""
    extra = [v for v in c.around if v.type.dtype.kind != "float"]
    return c.call(function, x, *extra[: len(function.inputs) - 1], path=path)[0]


def layers(c: Code, x: Value) -> Value:
    """Equal layers one after another: named, numbered, tied; one of them different, or scaled by its number."""
    rng = c.rng
    function = layer(c, rng.randint(1, 2))
    count, form = rng.choice([2, 3, 3, 4]), rng.choice(["named", "named", "numbered", "tied", "odd", "scaled"])
    stem, odd = c.free(function.name), rng.randrange(count)
    other = layer(c, 1) if form == "odd" else function
    for at in range(count):
        name = {"tied": stem, "numbered": f"{stem}[{at}]"}.get(form, c.free(function.name))
        x = apply(c, other if form == "odd" and at == odd else function, x, name)
        if form == "scaled":
            x = c("multiply", x, c.number(0.5 + at))
        elif rng.random() < 0.1:
            x = c("tanh", x)
    return x


def twins(c: Code, x: Value) -> Value:
    """Two layers that differ in one axis or one number, or in nothing."""
    axes, numbers = [(1,), (2,)], [0.5, 0.75]
    for at in range(2):
        inner = c.new_function("twin", [sequence_type()], ["x"])
        y = inner("softmax", inner.region.arguments[0], over=axes[at] if c.rng.random() < 0.7 else axes[0])
        y = inner("multiply", y, inner.number(numbers[at] if c.rng.random() < 0.5 else numbers[0]))
        function = inner.finish(inner("matmul", y, inner.weight("w", WIDTH, WIDTH)))
        x = c("subtract", x, c.call(function, x, path=(c.free("twin"),))[0])
    return x


def written_out(c: Code, x: Value) -> Value:
    """Equal layers whose weights the function owns itself."""
    kind = c.rng.choice([pieces.dense, pieces.siblings, pieces.norm])
    state = c.rng.getstate()
    for _ in range(c.rng.choice([2, 3])):
        c.rng.setstate(state)
        x = kind(c, x)
    return c("add", x, c.number(c.rng.choice([0.0, 0.5])))


def repeated(c: Code, x: Value) -> Value:
    """A loop over layers with weights of their own: calls or ops in it, a second carry, parts of a longer stack."""
    rng = c.rng
    count, path = rng.choice([1, 2, 3, 4]), c.free("layers")
    carries = [x, c("tanh", x)] if rng.random() < 0.3 else [x]
    if rng.random() < 0.6:
        function = layer(c, rng.randint(1, 2))
        split = rng.randrange(1, count) if count > 1 and rng.random() < 0.3 else 0
        parts = [(0, split), (split, count - split)] if split else [(0, count)]
        for first, turns in parts:
            settings = {"first": first, "of": count} if split else {}
            carries = _loop(c, path, turns, carries, settings, lambda inner, v: apply(inner, function, v, "layer"))
        return carries[0]
    size = rng.randint(1, 2)
    return _loop(c, path, count, carries, {}, lambda inner, v: some(inner, v, size))[0]


def _loop(c: Code, path: str, count: int, carries: list[Value], settings: dict[str, int], piece: Piece) -> list[Value]:
    region = Region([Value(value.type) for value in carries])
    inner = c.within(region, (path,))
    y = piece(inner, region.arguments[0])
    if len(carries) > 1:
        region.results[:] = [_less(inner, y, region.arguments[1]), inner("tanh", y)]
    else:
        region.results[:] = [y]
    attributes: dict[str, Attribute] = {"count": count, "path": (path,), **settings}
    return c.write("repeat", carries, attributes, [value.type for value in carries], [region])


def _less(c: Code, x: Value, y: Value) -> Value:
    """Their difference, so that order matters."""
    return c("subtract", x, c("multiply", c.number(0.5), y))


# -------------------------------------------------------------------------------- recur


def recurrent(c: Code, x: Value) -> Value:
    """A recurrent layer over the sequence, forwards or backwards, with a cell of one of several kinds."""
    rng, path = c.rng, c.free("cell")
    cell = rng.choice([_lstm, _gru, _elementwise, _leaky])
    state = TensorType(FLOAT, (BATCH, sequence_type().axes[2]))
    start = c("full", sizes=tuple(sized(a) for a in state.axes), value=0.0, dtype=FLOAT)
    count = 2 if cell is _lstm else 1
    ready = None  # what does not depend on a step, and is captured
    if rng.random() < 0.5:
        ready = c("tanh", c("mean", x, over=(1,)))
    sequences = [x, c("sin", x)] if cell is _elementwise and rng.random() < 0.5 else [x]
    region = Region([Value(state) for _ in range(len(sequences) + count)])
    inner = replace(c.within(region, (path,)), around=[ready] if ready is not None else [])
    step, *carried = cell(inner, region.arguments)
    region.results[:] = [step, *carried]
    operands = [*sequences, *[start] * count]
    attributes: dict[str, Attribute] = {"path": (path,), "axis": 1, "reverse": rng.random() < 0.35,
                                        "sequences": len(sequences), "carries": ("h", "c")[:count]}  # fmt: skip
    results = c.write("recur", operands, attributes, [x.type, *[state] * count], [region])
    if rng.random() < 0.4:  # the last state, too
        return c("add", results[0], c("expand_dims", results[-1], at=1))
    return results[0]


def _mixed(c: Code, x: Value, h: Value, width: int) -> Value:
    """`x w + h u + b`, written in one of two orders, with a captured value perhaps."""
    products = [c("matmul", x, c.weight("w", WIDTH, width)), c("matmul", h, c.weight("u", WIDTH, width))]
    c.rng.shuffle(products)
    total = c("add", *products)
    if c.around and width == WIDTH:
        total = c("add", total, c("matmul", c.around[0], c.weight("v", WIDTH, WIDTH)))
    return c("add", total, c.weight("b", width)) if c.rng.random() < 0.7 else total


def _lstm(c: Code, given: list[Value]) -> list[Value]:
    x, h, memory = given
    i, f, g, o = c.several("split", _mixed(c, x, h, 4 * WIDTH), parts=4, along=1)
    f = c("add", f, c.number(1.0)) if c.rng.random() < 0.5 else f
    memory = c("add", c("multiply", c("sigmoid", f), memory), c("multiply", c("sigmoid", i), c("tanh", g)))
    h = c("multiply", c("sigmoid", o), c("tanh", memory))
    return [h, h, memory]


def _gru(c: Code, given: list[Value]) -> list[Value]:
    x, h = given
    r, z = c.several("split", c("sigmoid", _mixed(c, x, h, 2 * WIDTH)), parts=2, along=1)
    candidate = c("matmul", x, c.weight("wn", WIDTH, WIDTH))
    candidate = c("tanh", c("add", candidate, c("multiply", r, c("matmul", h, c.weight("un", WIDTH, WIDTH)))))
    h = c("add", c("multiply", c("subtract", c.number(1.0), z), candidate), c("multiply", z, h))
    return [h, h]


def _elementwise(c: Code, given: list[Value]) -> list[Value]:
    *xs, h = given
    a = c("sigmoid", c.weight("decay", WIDTH))
    y = c("add", c("multiply", a, h), c("multiply", c("subtract", c.number(1.0), a), xs[0]))
    y = c("subtract", y, c("multiply", xs[1], c.number(0.5))) if len(xs) > 1 else y
    if c.around:
        y = c("tanh", c("subtract", y, c("exp", c("negate", c("abs", c.around[0])))))
    return [c("tanh", y) if c.rng.random() < 0.5 else h, y]


def _leaky(c: Code, given: list[Value]) -> list[Value]:
    x, h = given
    h = c("tanh", _mixed(c, x, h, WIDTH))
    return [c("multiply", h, c.number(1.0)) if c.rng.random() < 0.5 else c("subtract", h, x), h]


# ---------------------------------------------------------------------------------- cond


def branched(c: Code, x: Value) -> Value:
    """A choice between two pieces by the batch's own values."""
    test = c("greater", c("mean", x, over=(0, 1, 2)), c.number(c.rng.uniform(-0.3, 0.3)))
    path = c.free("branch")
    regions: list[Region] = []
    for _ in range(2):
        region = Region([])
        inner = c.within(region, (path,))
        region.results[:] = [c.rng.choice([_shifted, pieces.dense, pieces.arithmetic])(inner, x)]
        regions.append(region)
    return c.write("cond", [test], {"path": (path,)}, [x.type], regions)[0]


def _shifted(c: Code, x: Value) -> Value:
    return c("subtract", c("sin", x), c("multiply", x, c.number(c.rng.uniform(0.2, 0.8))))


STRUCTURE: list[tuple[float, Piece]] = [
    (1.5, layers), (0.7, written_out), (1.3, repeated), (1.5, recurrent), (0.6, branched), (0.5, twins),
]  # fmt: skip
