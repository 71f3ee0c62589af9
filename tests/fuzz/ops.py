"""Statements that apply ops: each writes a line or two into a body, or gives up where nothing fits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from .scope import Body, Dims, Size, Val

Statement = Callable[[Body], "Val | None"]

BOUNDED = ["tanh({})", "sigmoid({})", "sin({})", "cos({})", "erf({})", "exp(-abs({}))", "{} |> clip(-1.2, 1.3)",
           "softsign({})", "sqrt(abs({}) + 0.25)", "log(abs({}) + 0.5)", "rsqrt({0} * {0} + 0.5)", "log1p(abs({}))",
           "expm1(clip({}, -1.0, 1.0))", "softplus({})"]  # fmt: skip
SAME = ["-{}", "abs({})", "relu({})", "gelu({})", "silu({})", "leaky_relu({})", "{} |> elu", "hard_swish({})",
        "mish({})", "selu({})", "soft_shrink({})",
        "negate({})", "stop_gradient({}) + {}", "maximum({}, -0.713)"]  # fmt: skip
NEUTRAL = ["{} * 1.0", "{} + 0.0", "{} * 1.0 + 0.0", "0.0 + {}", "1.0 * {}", "{} - 0.0", "{} / 1.0", "{} ^ 1",
           "cast({}, float)", "1 * {} + 0", "0 - {}", "1.0 / ({0} * {0} + 1.0)", "0.0 * {0} + {0}", "-(-{})",
           "power({}, 1.0)", "({0} + 0.0) * ({0} * 1.0)", "{} ^ 2", "{} - 1 * {}"]  # fmt: skip
STEPS = ["floor({})", "ceil({} * 1.37)", "round({})", "sign({} + 0.217)"]


def unary(body: Body) -> Val | None:
    """An elementwise function of a float."""
    x = body.floats()
    if x is None:
        return None
    if body.rng.random() < 0.5:
        return body.say(body.rng.choice(BOUNDED).format(*[x.name] * 2), x, reach=2.0)
    if not body.smooth and body.rng.random() < 0.2:
        return body.say(body.rng.choice(STEPS).format(x.name), x, reach=x.reach * 1.4 + 1)
    return body.say(body.rng.choice(SAME).format(*[x.name] * 2), x, reach=x.reach * 2)


def neutral(body: Body) -> Val | None:
    """What is nothing, or nearly."""
    x = body.floats()
    return x and body.say(body.rng.choice(NEUTRAL).format(*[x.name] * 2), x, reach=x.reach**2 + 1)


def neutral_int(body: Body) -> Val | None:
    """The same of ints, where some of it makes floats."""
    x = body.pick(lambda value: value.kind == "int")
    if x is None:
        return None
    text, kind = body.rng.choice([("{} * 1", "int"), ("{} + 0", "int"), ("{} * 1.0", "float"), ("{} + 0.0", "float"),
                                  ("{} / 1", "float"), ("{} // 1", "int"), ("cast({}, int)", "int"),
                                  ("{} ^ 1", "int"), ("{} % 3", "int"), ("{} * 2 - 1", "int"),
                                  ("cast({}, bool)", "bool"), ("0 - {}", "int")])  # fmt: skip
    return body.say(text.format(x.name), x, kind=kind, reach=x.reach * 2 + 1)


def again(body: Body) -> Val | None:
    """An expression that has been said."""
    if not body.said:
        return None
    expression, value = body.rng.choice(body.said)
    return body.say(expression, value)


def _fitting(x: Val, y: Val) -> bool:
    """Whether `y` broadcasts to `x`."""
    return y.rank <= x.rank and all(a == b or b == Size(1) for a, b in zip(x.dims[::-1], y.dims[::-1], strict=False))


def binary(body: Body) -> Val | None:
    """Two floats, one of them broadcast perhaps, or a number."""
    x = body.floats()
    if x is None:
        return None
    y = body.pick(lambda value: value.kind == "float" and _fitting(x, value))
    other = y.name if y and body.rng.random() < 0.8 else body.number_text()
    reach, exact = (y.reach, x.exact or y.exact) if y else (2.0, x.exact)
    text, made = body.rng.choice([("{0} + {1}", x.reach + reach), ("{0} - {1}", x.reach + reach),
                                  ("{0} * {1}", x.reach * reach), ("{0} / (abs({1}) + 0.6)", x.reach * 2),
                                  ("maximum({0}, {1})", x.reach + reach), ("{1} * {0}", x.reach * reach),
                                  ("minimum({0}, {1})", x.reach + reach), ("{1} + {0}", x.reach + reach),
                                  ("{1} - {0}", x.reach + reach)])  # fmt: skip
    return body.say(text.format(x.name, other), x, reach=made, exact=exact)


def ints(body: Body) -> Val | None:
    """Arithmetic of ints."""
    x = body.pick(lambda value: value.kind == "int")
    y = x and body.pick(lambda value: value.kind == "int" and _fitting(x, value))
    if x is None or y is None:
        return None
    text = body.rng.choice(["({0} + {1}) % 5", "{0} // 2", "minimum({0}, {1})", "maximum({0}, {1}) - 1",
                            "({0} * {1}) % 4", "abs({0} - {1})", "where({0} > {1}, {0}, {1} + 1)",
                            "clip({0}, 0, 3)", "-{0} + {1}"])  # fmt: skip
    return body.say(text.format(x.name, y.name), x, reach=x.reach + y.reach)


def compare(body: Body) -> Val | None:
    """A bool of two values."""
    x = body.pick(lambda value: value.kind in ("int", "float"))
    if x is None:
        return None
    y = body.pick(lambda value: value.kind == x.kind and _fitting(x, value))
    number = str(body.rng.randrange(3)) if x.kind == "int" else body.number_text()
    noisy = body.smooth and x.kind == "float"
    other = y.name if y and not noisy and body.rng.random() < 0.5 else number
    return body.say(f"{x.name} {body.rng.choice(['<', '<=', '>', '>=', '==', '!='])} {other}", x, kind="bool")


def logic(body: Body) -> Val | None:
    """Bools of bools."""
    x = body.pick(lambda value: value.kind == "bool")
    y = x and body.pick(lambda value: value.kind == "bool" and _fitting(x, value))
    if x is None or y is None:
        return None
    text = body.rng.choice(["{0} and {1}", "{0} or not {1}", "not {0}", "{0} == {1}"])
    return body.say(text.format(x.name, y.name), x)


def choose(body: Body) -> Val | None:
    """`where`."""
    x = body.floats()
    mask = x and body.pick(lambda value: value.kind == "bool" and _fitting(x, value))
    if x is None or mask is None:
        return None
    y = body.pick(lambda value: value.kind == "float" and _fitting(x, value))
    other = y.name if y and body.rng.random() < 0.6 else body.number_text()
    text = body.rng.choice(["where({m}, {x}, {y})", "where({m}, {y}, {x})", "where({m}, {x}, -6e4) |> softmax",
                            "where(not {m}, {x}, {x})"])  # fmt: skip
    if "softmax" in text and not x.rank:
        return None
    return body.say(text.format(m=mask.name, x=x.name, y=other), x, reach=x.reach + (y.reach if y else 2))


def convert(body: Body) -> Val | None:
    """A cast."""
    x = body.pick()
    if x is None:
        return None
    if x.kind == "float" and not body.smooth and body.rng.random() < 0.4:
        return body.say(f"cast({x.name} * 1.31, int)", x, kind="int", exact=False)
    if x.kind == "float":
        exact = body.rng.random() < 0.3 and body.weights
        return body.say(f"cast({x.name}, {'f32' if exact else 'float'})", x, exact=exact)
    kind = body.rng.choice(["int", "float"]) if x.kind == "bool" else "float"
    return body.say(f"cast({x.name}, {kind})", x, kind=kind, reach=max(x.reach, 1.0))


# ------------------------------------------------------------------------------- reductions


def _without(dims: Dims, axes: set[int], *, keep: bool) -> Dims:
    return tuple(Size(1) if at in axes else size for at, size in enumerate(dims) if keep or at not in axes)


def reduction(body: Body) -> Val | None:
    """Over some axes, kept or not."""
    x = body.pick(lambda value: value.rank >= 1)
    if x is None:
        return None
    axes = set(body.rng.sample(range(x.rank), body.rng.randint(1, min(2, x.rank))))
    every = body.rng.random() < 0.1
    axes = set(range(x.rank)) if every else axes
    keep = body.rng.random() < 0.4
    ops = {"bool": ["any", "all", "sum"], "int": ["sum", "max", "min"],
           "float": ["sum", "mean", "mean", "variance", "max", "min", "logsumexp", "prod"]}[x.kind]  # fmt: skip
    op = body.rng.choice(ops)
    kind = "int" if (x.kind, op) == ("bool", "sum") else x.kind
    shown = [at - x.rank if body.rng.random() < 0.3 else at for at in sorted(axes)]
    over = "" if every else f", over = {shown[0] if len(shown) == 1 else shown}"
    name = f"tanh({x.name})" if op == "prod" else x.name
    reach = {"sum": x.reach * 5, "variance": x.reach**2}.get(op, x.reach + 3)
    return body.say(f"{op}({name}{over}, keep = {str(keep).lower()})", x, kind=kind,
                    dims=_without(x.dims, axes, keep=keep), reach=reach)  # fmt: skip


def along(body: Body) -> Val | None:
    """What leaves a shape: softmax, cumulative sums, sorts, turns."""
    x = body.floats(rank=1)
    if x is None:
        return None
    at = body.rng.randrange(x.rank)
    ops = ["softmax", "log_softmax", "cumsum", "cummax", "reverse", "sort", "cummin"]
    op = body.rng.choice(ops)
    if body.rng.random() < 0.1:
        return body.say(f"roll({x.name}, {body.rng.randint(-2, 2)}, over = {at})", x)
    if body.rng.random() < 0.1:
        return body.say(f"cumprod(tanh({x.name}), over = {at})", x, reach=1.0)
    return body.say(f"{op}({x.name}, over = {at})", x, reach=x.reach * (4 if op == "cumsum" else 1) + 2)


def places(body: Body) -> Val | None:
    """argmax, argsort, top_k."""
    x = body.floats(rank=1)
    if x is None or body.smooth:
        return None
    at = body.rng.randrange(x.rank)
    if body.rng.random() < 0.3 and x.dims[at].known >= 2:
        first, second = body.name(), body.name()
        dims = (*x.dims[:at], Size(2), *x.dims[at + 1 :])
        body.lines.append(f"{first}, {second} = top_k({x.name}, 2, over = {at})")
        body.values += [replace(x, name=first, dims=dims), Val(second, "int", dims)]
        return body.values[-1]
    if body.rng.random() < 0.4:
        return body.say(f"argsort({x.name}, over = {at})", x, kind="int")
    op = body.rng.choice(["argmax", "argmin"])
    return body.say(f"{op}({x.name}, over = {at})", x, kind="int", dims=_without(x.dims, {at}, keep=False))
