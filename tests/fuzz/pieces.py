"""Pieces of models, from [batch, seq, 4] to [batch, seq, 4]: arithmetic, products, norms, convolutions, moves."""

from __future__ import annotations

from trxc.ir import Value
from trxc.types import BF16, F32, FLOAT, INT, TensorType

from .building import ONES, WIDTH, Code, sized

BOUNDED = ["tanh", "sigmoid", "sin", "cos", "erf"]
BINARY = ["add", "subtract", "multiply", "maximum", "minimum"]


def activation(c: Code, x: Value) -> Value:
    """An elementwise function, as one op or by hand."""
    choice = c.rng.randrange(5)
    if choice == 0:
        return c("maximum", x, c.number(0.0))
    if choice == 1:
        return c("multiply", x, c("sigmoid", x))
    if choice == 2:  # gelu
        inner = c("erf", c("divide", x, c.number(2**0.5)))
        return c("multiply", c("multiply", c.number(0.5), x), c("add", c.number(1.0), inner))
    return c(c.rng.choice(BOUNDED), x)


def arithmetic(c: Code, x: Value) -> Value:
    """Operations with another value of the same shape, or with numbers."""
    other = c.rng.choice([v for v in c.around if v.type == x.type] or [x])
    y = c(c.rng.choice(BINARY), *c.rng.choice([(x, other), (other, x)]))
    if c.rng.random() < 0.5:
        y = c(c.rng.choice(["add", "subtract", "divide"]), y, c("add", c("abs", other), c.number(0.6)))
    if c.rng.random() < 0.4:
        y = c("subtract", c.number(c.rng.uniform(-1.5, 1.5)), y)
    return c("tanh", y)


def neutral(c: Code, x: Value) -> Value:
    """What is nothing, or nearly, and constants that can be computed."""
    for _ in range(c.rng.randint(1, 4)):
        kind, number = c.rng.choice([("add", 0.0), ("multiply", 1.0), ("subtract", 0.0), ("divide", 1.0), ("power", 1),
                                     ("multiply", 1), ("add", 0), ("subtract", 1.0), ("multiply", 0.0)])  # fmt: skip
        operands = (x, c.number(number))
        x = c(kind, *(operands[::-1] if kind in ("add", "multiply") and c.rng.random() < 0.4 else operands))
    folded = c("multiply", c.number(c.rng.choice([3, 2.5])), c("subtract", c.number(0.75), c.number(2)))
    odd = c("cast", c("floor_divide", c.number(-7), c.number(2)), dtype=FLOAT)
    return c("tanh", c("add", x, c("multiply", folded, c("divide", odd, c.number(3.0)))))


def twice(c: Code, x: Value) -> Value:
    """The same expression, and one that differs in one attribute."""
    over = c.rng.choice([(0,), (1,), (2,)])
    first = c("softmax", x, over=over)
    second = c("softmax", x, over=c.rng.choice([over, (1,), (2,)]))
    third = c("reverse", first, over=c.rng.choice([(1,), (2,)]))
    fourth = c("reverse", second, over=c.rng.choice([(1,), (2,)]))
    return c("add", c("subtract", c("add", third, x), c("multiply", second, fourth)), c("cumsum", first, over=1))


def dense(c: Code, x: Value) -> Value:
    """A product with a weight, a bias perhaps, an activation perhaps."""
    y = c("matmul", x, c.weight("w", x.type.axes[-1].size.value or WIDTH, WIDTH))
    y = c("add", y, c.weight("b", WIDTH)) if c.rng.random() < 0.6 else y
    return activation(c, y)


def siblings(c: Code, x: Value) -> Value:
    """Two or three products of one value, as gates, or with different widths."""
    width = c.rng.choice([WIDTH, 6, 3])
    up, gate = (c("matmul", x, c.weight(name, WIDTH, width)) for name in ("up", "gate"))
    if c.rng.random() < 0.5:
        up, gate = (c("add", value, c.weight("b", width)) for value in (up, gate))
    mixed = c("subtract", c("multiply", c("sigmoid", gate), up), gate)
    down = c("matmul", mixed, c.weight("down", width, WIDTH))
    if c.rng.random() < 0.4:
        down = c("add", down, c("tanh", c("matmul", x, c.weight("skip", WIDTH, WIDTH))))
    return c("tanh", down)


def norm(c: Code, x: Value) -> Value:
    """Layer or RMS norm, or over another axis."""
    over = (c.rng.choice([2, 2, 2, 1]),)
    eps = c.number(c.rng.choice([0.1, 0.01]))
    if c.rng.random() < 0.5:
        x = c("subtract", x, c("mean", x, over=over, keep=True))
        spread = c("mean", c("multiply", x, x), over=over, keep=True)
    else:
        spread = c("variance", x, over=over, keep=True)
        x = c("subtract", x, c("mean", x, over=over, keep=True)) if c.rng.random() < 0.7 else x
    y = c("multiply", x, c("rsqrt", c("add", spread, eps)))
    if c.rng.random() < 0.7:
        y = c("multiply", y, c.weight("scale", WIDTH, initializer=ONES))
    return c("add", y, c.weight("shift", WIDTH)) if c.rng.random() < 0.5 else y


def batch_norm(c: Code, x: Value) -> Value:
    """With running means, kept in training."""
    rank = x.type.rank
    over, width = tuple(range(rank - 1)), x.type.axes[-1].size.value or WIDTH
    scale, shift = c.weight("scale", width, initializer=ONES), c.weight("shift", width)
    names = [c.free("running_mean"), c.free("running_var")]
    for name in names:
        c.declare(name, scale.type, ONES, trains=False)
    mu, spread = (c.read(name) for name in names)
    if c.training:
        rate = c.rng.choice([0.9, 0.5])
        now = c("mean", x, over=over), c("variance", x, over=over)
        for name, kept, value in zip(names, (mu, spread), now, strict=True):
            c.keep(name, c("add", c("multiply", c.number(rate), kept), c("multiply", c.number(1 - rate), value)))
        mu, spread = now
    else:
        c.rng.choice([0.9, 0.5])
    y = c("multiply", c("subtract", x, mu), c("rsqrt", c("add", spread, c.number(0.1))))
    return c("add", c("multiply", y, scale), shift)


def convolution(c: Code, x: Value) -> Value:
    """Along the sequence or over a picture, a batch norm behind it perhaps."""
    bias = c.rng.random() < 0.5
    if c.rng.random() < 0.5:
        padding = c.rng.choice(["same", "causal"])
        y = c("conv", x, c.weight("kernel", c.rng.choice([1, 2, 3]), WIDTH, WIDTH), padding=padding)
        y = c("add", y, c.weight("bias", WIDTH)) if bias else y
        return batch_norm(c, y) if c.rng.random() < 0.6 else c("tanh", y)
    first, second = x.type.axes[:2]
    picture = c("reshape", x, sizes=(sized(first), sized(second), sized(2), sized(2)))
    y = c("conv", picture, c.weight("kernel", 2, 2, 2, 2), padding="same")
    y = c("add", y, c.weight("bias", 2)) if bias else y
    y = batch_norm(c, y) if c.rng.random() < 0.6 else c("maximum", y, c.number(0.1))
    return c("reshape", y, sizes=(sized(first), sized(second), sized(WIDTH)))


def moves(c: Code, x: Value) -> Value:
    """Transposes, reshapes and the like that cancel, or nearly."""
    axes = list(range(3))
    y = x
    for _ in range(c.rng.randint(1, 3)):
        order = c.rng.sample(axes, 3)
        y = c("transpose", y, order=tuple(order))
    wanted = tuple(y.type.sizes.index(size) for size in x.type.sizes)
    y = c("transpose", y, order=wanted)
    choice = c.rng.randrange(7)
    if choice == 0:
        y = c("squeeze", c("expand_dims", y, at=2), over=(2,))
    elif choice == 1:
        y = c("swap", c("swap", y, first=0, second=1), first=1, second=0)
    elif choice == 2:
        left, right = c.several("split", y, parts=2, along=2)
        y = c("concat", *c.rng.choice([(left, right), (right, left)]), along=2)
    elif choice == 3:
        y = c("flatten", c("reshape", y, sizes=(*(sized(a) for a in y.type.axes[:2]), sized(2), sized(2))), first=2,
              last=3)  # fmt: skip
    elif choice == 4:
        y = c("reverse", c("reverse", y, over=(1,)), over=(c.rng.choice([1, 2]),))
    elif choice == 5:
        wide = c("broadcast", y, sizes=(sized(2), *(sized(a) for a in y.type.axes)))
        y = c("subtract", c("sum", wide, over=(0,)), y)
    else:
        y = c("roll", y, shift=c.rng.choice([1, -1, 2]), over=1)
    return y


def cube(c: Code, x: Value) -> Value:
    """A weight of equal dims, turned more than once."""
    y = c.weight("cube", WIDTH, WIDTH, WIDTH)
    for _ in range(2):
        y = c("transpose", y, order=tuple(c.rng.sample(range(3), 3)))
    y = c("sum", y, over=(0,))
    return c("tanh", c("matmul", x, y))


def positions(c: Code, x: Value) -> Value:
    """Something made of sizes, places and ids alone."""
    length = c("cast", c("iota", n=sized(x.type.axes[1])), dtype=FLOAT)
    phases = c("multiply", c("expand_dims", length, at=1), c.weight("rates", WIDTH))
    y = c("add", x, c("sin", phases))
    ids = next((v for v in c.around if v.type.dtype.kind == "int"), None)
    if ids is not None:
        y = c("add", y, c("gather", c.weight("table", 4, WIDTH), ids, along=0))
    length = c.write("size", [], {"size": sized(x.type.axes[1])}, [TensorType(INT)])[0]
    return c("multiply", y, c("rsqrt", c("cast", length, dtype=FLOAT)))


def chosen(c: Code, x: Value) -> Value:
    """`where` by a mask of the batch, or by places."""
    mask = next((v for v in c.around if v.type.dtype.kind == "bool"), None)
    if mask is None or c.rng.random() < 0.3:
        places = c("iota", n=sized(x.type.axes[1]))
        mask = c("broadcast", c("expand_dims", c("less", places, c.number(2)), at=0),
                 sizes=tuple(sized(a) for a in x.type.axes[:2]))  # fmt: skip
    mask = c("logical_not", mask) if c.rng.random() < 0.3 else mask
    other = c.rng.choice([c.number(0.25), c("tanh", x), x])
    choices = (x, other) if c.rng.random() < 0.5 or not other.type.rank else (other, x)
    return c("where", c("expand_dims", mask, at=2), *choices)


def exactly(c: Code, x: Value) -> Value:
    """A part of the sum in declared precision, and casts that undo each other."""
    if c.rng.random() < 0.4:  # rounded, and back
        exact = c("cast", x, dtype=F32)
        return c("cast", c("cast", c("cast", exact, dtype=BF16), dtype=F32), dtype=FLOAT)
    dtype = c.rng.choice([F32, BF16, F32])
    narrow = c("cast", x, dtype=dtype)
    y = c("multiply", narrow, c("cast", c.weight("gain", WIDTH), dtype=dtype))
    y = c("cast", c("cast", y, dtype=F32), dtype=dtype) if c.rng.random() < 0.5 else y
    return c("cast", c("tanh", y), dtype=FLOAT)


def reductions(c: Code, x: Value) -> Value:
    """Statistics along an axis, kept or put back."""
    at = c.rng.choice([0, 1, 2])
    kind = c.rng.choice(["sum", "mean", "max", "min", "logsumexp", "variance"])
    if c.rng.random() < 0.5:
        total = c(kind, x, over=(at,), keep=True)
    else:
        total = c("expand_dims", c(kind, x, over=(at,)), at=at)
    return c("tanh", c(c.rng.choice(["subtract", "add"]), x, total))


def steps(c: Code, x: Value) -> Value:
    """What jumps: for programs whose gradients nobody asks for."""
    if c.smooth:
        return activation(c, x)
    kind = c.rng.choice(["floor", "round", "sort", "argmax", "argsort"])
    if kind == "argmax":
        hot = c("one_hot", c("argmax", x, over=2), size=sized(WIDTH))
        return c("multiply", x, hot)
    if kind == "argsort":
        return c("take_along", x, c("argsort", x, over=2), along=2)
    return c(kind, x, **({"over": 1} if kind == "sort" else {}))
