"""Random programs as text: right by construction, as far as the generator knows the language.

They steer clear of what has no value (logarithms of negatives, divisions by 0) and, where they are `smooth`, of steps
that rounding could take the other way.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from . import layered, ops, shapes
from .scope import Body, Dims, Size, Val, known

STATEMENTS: list[tuple[float, ops.Statement]] = [
    (3, ops.unary), (2.5, ops.neutral), (1, ops.neutral_int), (1.5, ops.again), (3, ops.binary), (1, ops.ints),
    (1, ops.compare), (0.5, ops.logic), (1.5, ops.choose), (1, ops.convert), (1.5, ops.reduction), (1.2, ops.along),
    (0.7, ops.places), (1.2, shapes.product), (0.7, shapes.bias), (1.5, shapes.einsum), (1, shapes.patterns),
    (1.2, shapes.join), (0.7, shapes.halves), (1.2, shapes.cut), (1.2, shapes.widen), (1.2, shapes.look_up),
    (1.5, layered.stack), (1, layered.library), (1.2, layered.sequences), (1.5, layered.images),
    (1, layered.shared), (1.5, layered.own), (0.8, layered.branches), (0.7, layered.same_again),
]  # fmt: skip

INPUTS: list[tuple[str, str, Dims]] = [
    ("x", "float", (Size(0, "batch"), Size(0, "seq"), Size(4))), ("features", "float", (Size(0, "batch"), Size(4))),
    ("image", "float", (Size(0, "batch"), *known(6, 6, 2))), ("ids", "int", (Size(0, "batch"), Size(0, "seq"))),
    ("kind", "int", (Size(0, "batch"),)), ("mask", "bool", (Size(0, "batch"), Size(0, "seq"))),
    ("other", "float", (Size(0, "batch"), Size(0, "seq"), Size(4))),
]  # fmt: skip

KEEPS = "# gives what it takes"

CELL = """layer Cell(hidden: int, by: float = 0.5) {
  input x: float[batch, features]
  carry h: float[batch, hidden] = zeros
  carry m: float[batch, hidden] = ones
  u = x |> Dense(hidden)
  BODY
  next h = tanh(u + by * h + VALUE)
  next m = sigmoid(m * h) * MEMORY + 0.0
  output next h * 1.0 + tanh(next m)
}
"""


@dataclass(frozen=True)
class Generated:
    """A program: its text, in which `M` is the model and `t` its recipe."""

    seed: int
    text: str
    smooth: bool


def generate(seed: int, *, smooth: bool = False, statements: int = 16) -> Generated:
    """The program of a seed, of at most so many statements; with `smooth`, its values do not jump by rounding."""
    rng = random.Random(seed)
    made = [_cell(rng), *_own_layers(rng, smooth)]
    parts = [text for text, _ in made]
    layers = {f"own{at}": apply for at, (_, apply) in enumerate(made) if apply is not None}
    body = Body(rng, layers=layers, smooth=smooth)
    body.preserving = [f"Own{at}" for at, (text, _) in enumerate(made) if KEEPS in text]
    inputs = rng.sample(INPUTS, rng.randint(1, 3))
    if not any(kind == "float" for _, kind, _ in inputs):
        inputs[0] = INPUTS[rng.choice([0, 1, 2])]
    body.values = [Val(name, kind, dims) for name, kind, dims in inputs]
    _fill(body, rng.randint(4, statements))
    parts.append(_model(body, inputs))
    parts.append(_recipe(inputs))
    return Generated(seed, "\n".join(parts), smooth)


def _fill(body: Body, count: int, among: list[tuple[float, ops.Statement]] = STATEMENTS) -> None:
    weights = [weight for weight, _ in among]
    written = tries = 0
    while written < count and tries < 20 * count:
        tries += 1
        (statement,) = body.rng.choices([s for _, s in among], weights)
        written += statement(body) is not None


def _type(kind: str, dims: Dims) -> str:
    return f"{kind}[{', '.join(map(str, dims))}]"


def _model(body: Body, inputs: list[tuple[str, str, Dims]]) -> str:
    declared = ", ".join(f"{name}: {_type(kind, dims)}" for name, kind, dims in inputs)
    first = body.pick(lambda v: v.kind == "float" and v.name.startswith("v"))
    if first is None:
        first = body.say(f"tanh({(body.floats() or body.values[0]).name})", body.floats() or body.values[0])
    assert first is not None
    outputs = [f"output y = {first.name}"]
    for at in range(body.rng.randint(0, 2)):
        other = body.pick(lambda v: v.name.startswith("v") and v.name != first.name)
        if other is not None:
            outputs.append(f"output z{at} = {other.name}")
    needs = ["require seq >= 2"] if "seq" in declared else []
    return "\n  ".join(["model M {", f"input {declared}", *needs, *body.lines, *outputs]) + "\n}\n"


def _recipe(inputs: list[tuple[str, str, Dims]]) -> str:
    fields = ", ".join(f"{name} = {_field(kind, dims)}" for name, kind, dims in inputs)
    return f"""data d {{
  source = arrays()
  fields {{ {fields} }}
}}

train t for M {{
  data = d
  loss = mean(y * y)
  metrics {{ first = mean(y), again = mean(y * y) + 0.0 }}
  optimizer = sgd(0.1)
  batch = 3
  steps = 2
}}
"""


def _field(kind: str, dims: Dims) -> str:
    inner = ", ".join(str(size.number()) for size in dims[1:])
    return f"{kind}[{inner}]" if inner else kind


# ------------------------------------------------------------------------- the program's own layers

Apply = Callable[[Body, Val], "Val | None"]
Own = tuple[str, "Apply | None"]

INNER = [(weight, statement) for weight, statement in STATEMENTS
         if statement in (ops.unary, ops.neutral, ops.again, ops.binary, ops.compare, ops.choose, ops.along,
                          ops.reduction, shapes.bias, shapes.product, shapes.einsum, shapes.join)]  # fmt: skip
STEADY = [(weight, statement) for weight, statement in INNER
          if statement in (ops.unary, ops.neutral, ops.again, ops.binary, ops.compare, ops.choose)]  # fmt: skip


def _cell(rng: random.Random) -> Own:
    dims = (Size(0, "rows"), Size(0, "hidden"))
    body = Body(rng, weights=False, values=[Val(name, "float", dims) for name in ("u", "h", "m")], smooth=True)
    _fill(body, rng.randint(0, 4), STEADY)
    value, memory = (body.pick(lambda v: v.kind == "float") for _ in range(2))
    assert value is not None and memory is not None
    text = CELL.replace("BODY", "\n  ".join(body.lines) or "u2 = u").replace("VALUE", value.name)
    return text.replace("MEMORY", memory.name), None


def _own_layers(rng: random.Random, smooth: bool) -> list[Own]:
    made: list[Own] = []
    for at in range(1, rng.randint(1, 4)):
        kind = rng.choice([_preserving_layer, _changing_layer, _function, _stateful])
        made.append(kind(rng, smooth, at))
    if made and rng.random() < 0.4:  # the same body under another name
        text, apply = made[-1]
        at = len(made)
        twin = text.replace(f"Own{at}(", f"Own{at + 1}(").replace(f"own{at}(", f"own{at + 1}(")
        made.append((twin, _renamed(apply, at) if apply else None))
    return made


def _renamed(apply: Apply, at: int) -> Apply:
    def renamed(body: Body, x: Val) -> Val | None:
        made = apply(body, x)
        if made is not None:
            body.lines[-1] = body.lines[-1].replace(f"Own{at}", f"Own{at + 1}").replace(f"own{at}(", f"own{at + 1}(")
        return made

    return renamed


def _inside(rng: random.Random, smooth: bool) -> Body:
    dims = (Size(0, "rows"), Size(0, "width"))
    return Body(rng, values=[Val("x", "float", dims)], smooth=smooth)


def _preserving_layer(rng: random.Random, smooth: bool, at: int) -> Own:
    body = _inside(rng, smooth)
    _fill(body, rng.randint(1, 5), [*STEADY, (0.7, shapes.bias)])
    result = body.pick(lambda v: v.kind == "float" and v.name != "x") or body.values[0]
    lines = ["input x: float[..., width]", *body.lines, f"output {result.name}"]
    text = f"layer Own{at}(by: float = 0.5) {{ {KEEPS}\n  " + "\n  ".join(lines) + "\n}\n"

    def apply(outer: Body, x: Val) -> Val | None:
        layer = outer.rng.choice([f"Own{at}", f"Own{at}(0.25)", f"repeat(2, Own{at})", f"Own{at} >> Own{at}"])
        return outer.say(f"{x.name} |> {layer}", x, pure=False, reach=x.reach * 5 + 5)

    return text, apply


def _changing_layer(rng: random.Random, smooth: bool, at: int) -> Own:
    body = _inside(rng, smooth)
    _fill(body, rng.randint(2, 7), INNER)
    result = body.pick(lambda v: v.kind == "float" and v.name != "x") or body.values[0]
    lines = ["input x: float[rows, width]", *body.lines, f"output {result.name}"]
    text = f"layer Own{at}(by: float = 0.5) {{\n  " + "\n  ".join(lines) + "\n}\n"

    def apply(outer: Body, x: Val) -> Val | None:
        if x.rank != 2:
            return None
        given = {"rows": x.dims[0], "width": x.dims[1]}
        dims = tuple(_filled(size, given) for size in result.dims)
        return outer.say(f"{x.name} |> Own{at}", x, pure=False, dims=dims, reach=x.reach * 5 + 5)

    return text, apply


def _filled(size: Size, given: dict[str, Size]) -> Size:
    if not size.symbol:
        return size
    total = given[size.symbol].scaled(size.times).plus_size(Size(size.plus))
    assert total is not None
    return total


def _function(rng: random.Random, smooth: bool, at: int) -> Own:
    body = replace(_inside(rng, smooth), weights=False)
    body.values = [Val("x", "float", (Size(0, "width"),))]
    expression = rng.choice(["tanh(x) * k + 0.0", "x * 1.0 + k", "where(x > 0.137, x, k * x)", "k * x / 1.0",
                             "x * k * x", "exp(-abs(x)) + x"])  # fmt: skip
    text = f"fn own{at}(x: float[...], k: float = 0.5) = {expression}\n"

    def apply(outer: Body, x: Val) -> Val | None:
        k = outer.rng.choice(["", ", 1.0", ", 0.0", ", k = 0.3"])
        return outer.say(f"own{at}({x.name}{k})", x, reach=x.reach**2 + 2)

    return text, apply


def _stateful(rng: random.Random, smooth: bool, at: int) -> Own:
    body = _inside(rng, smooth)
    _fill(body, rng.randint(0, 3), STEADY)
    result = body.pick(lambda v: v.kind == "float" and v.rank == 2) or body.values[0]
    text = f"""layer Own{at}(by: float = 0.5) {{ {KEEPS}
  input x: float[...lead, width]
  {(chr(10) + "  ").join(body.lines)}
  state seen: float[width] = ones
  param scale: float[width] = ones
  if training {{
    next seen = by * seen + (1.0 - by) * mean(abs({result.name}), over = lead)
  }}
  output {result.name} * scale / (abs(seen) + 0.5)
}}
"""

    def apply(outer: Body, x: Val) -> Val | None:
        layer = outer.rng.choice([f"Own{at}", f"Own{at}(0.25)", f"repeat(2, Own{at})", f"residual(Own{at})"])
        return outer.say(f"{x.name} |> {layer}", x, pure=False, reach=x.reach * 5 + 5)

    return text, apply
