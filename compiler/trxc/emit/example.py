"""`main()`: the program by itself prints what it is and runs once on random data."""

from __future__ import annotations

from collections.abc import Sequence

from ..dims import Dim, DimError
from ..ir import Value
from .dtypes import dtype_name, exact
from .errors import EmitError
from .expressions import literal, parse
from .layout import statement
from .lines import Line
from .names import comment_text
from .recipe import EmitRecipe

SIZES = (16, 8, 32, 64, 12, 24, 60, 4, 2, 1)

_BEGIN = """\
def main():
    \"\"\"Prints what the model is, and runs it once on random data.\"\"\"
    key = jax.random.key(0)
    params, state = init(key), init_state()
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
"""

_TRAIN = """\
    opt_state = optimizer().init(params)
    params, state, opt_state, metrics = train_step(params, state, opt_state, batch, key)
    for name, value in metrics.items():
        print(f"{name}: {value:.4f}")
"""

_APPLY = """\
    for name, value in apply(params, state, inputs).items():
        print(f"{name}: {value.dtype}{list(value.shape)}")
"""


def write_main(title: str, fields: Sequence[Value], recipe: EmitRecipe | None) -> list[Line]:
    """The lines of `main`."""
    what = literal(comment_text(title).replace("{", "(").replace("}", ")") + ": ")[1:-1]
    name = "batch" if recipe else "inputs"
    lines: list[str] = [*_BEGIN.rstrip("\n").split("\n")]
    lines.append(f'    print(f"{what}{{count:,}} parameters")')
    lines += statement(f"{name} = ", parse(_random_dict(fields, recipe)), 4)
    lines.append(f"    for name, value in {name}.items():")
    lines.append('        print(f"{name}: {value.dtype}{list(value.shape)}")')
    lines += (_TRAIN if recipe else _APPLY).rstrip("\n").split("\n")
    lines += ["", "", 'if __name__ == "__main__":', "    main()"]
    return [Line(line) for line in lines]


def _random_dict(fields: Sequence[Value], recipe: EmitRecipe | None) -> str:
    sizes = _sizes(fields, recipe)
    entries = [f"{literal(value.name or 'x')}: {_random(value, sizes)}" for value in fields]
    return "{" + ", ".join(entries) + "}"


def _random(value: Value, sizes: dict[str, int]) -> str:
    shape = repr(tuple(size.evaluate(sizes) for size in value.type.sizes))
    dtype = exact(value.type.dtype)
    if dtype.kind == "bool":
        return f"jnp.ones({shape}, jnp.bool_)"
    if dtype.kind == "int":
        return f"jax.random.randint(key, {shape}, 0, 2, {dtype_name(dtype)})"
    return f"jax.random.normal(key, {shape}, {dtype_name(dtype)})"


def _sizes(fields: Sequence[Value], recipe: EmitRecipe | None) -> dict[str, int]:
    """A small size for every symbol, such that all shapes are whole; leading ones are split by accumulation."""
    accumulate = recipe.accumulate if recipe else 1
    leading = {v.type.sizes[0].symbol.name for v in fields if v.type.rank and v.type.sizes[0].symbol}
    every = {symbol.name for value in fields for size in value.type.sizes for symbol in size.symbols}
    dims = [size for value in fields for size in value.type.sizes]
    for number in SIZES:
        sizes = {name: 2 * accumulate if name in leading else number for name in sorted(every)}
        if all(_whole(size, sizes) for size in dims):
            return sizes
    raise EmitError("no small sizes fit the shapes of all inputs")


def _whole(size: Dim, sizes: dict[str, int]) -> bool:
    try:
        return size.evaluate(sizes) > 0
    except DimError:
        return False
