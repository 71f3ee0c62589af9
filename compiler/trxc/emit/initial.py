"""`init` and `init_state`: the first weights and states, as one nested dict."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from ..ir import Attribute, Initializer, Path
from ..ir.parameters import BoundParameter
from .dtypes import dtype_name
from .errors import EmitError
from .expressions import literal, number, parse
from .layout import statement
from .lines import Line
from .scope import ProgramContext

MAX_ELEMENTS = 2**40
TARGET_MODULE = "jax.nn.initializers"
_POSITIONAL = ("stddev", "scale", "value")
_SUBSCRIPT = re.compile(r"\[(\d+|\*)\]")


def write_init(program: ProgramContext, weights: Sequence[BoundParameter]) -> list[Line]:
    """`init(key)`."""
    key = parse("key")
    tree = nested([(w.path, initial(program, w, key)) for w in weights])
    lines = ["def init(key):", '    """The weights at the start, from a random key."""']
    return [Line(line) for line in (*lines, *statement("return ", tree, 4))]


def write_init_state(program: ProgramContext, states: Sequence[BoundParameter]) -> list[Line]:
    """`init_state()`."""
    key = parse("jax.random.key(0)")
    tree = nested([(s.path, initial(program, s, key)) for s in states])
    lines = ["def init_state():", '    """What training keeps beside the weights, at the start."""']
    return [Line(line) for line in (*lines, *statement("return ", tree, 4))]


def nested(entries: Sequence[tuple[Path, ast.expr]]) -> ast.expr:
    """A nested dict with an expression at the end of each path."""
    if len(entries) == 1 and not entries[0][0]:
        return entries[0][1]
    below: dict[str, list[tuple[Path, ast.expr]]] = {}
    for path, value in entries:
        below.setdefault(path[0], []).append((path[1:], value))
    return ast.Dict([parse(literal(key)) for key in below], [nested(rest) for rest in below.values()])


def sizes_of(weight: BoundParameter) -> tuple[int, ...]:
    """The stored shape.

    Raises:
        EmitError: a size is not known, or too large.
    """
    total = 1
    for size in weight.sizes:
        if size.value is None:
            raise EmitError(f"the size `{size}` of the weight `{weight.name}` is not known", weight.parameter.span)
        total *= size.value
    if total > MAX_ELEMENTS:
        raise EmitError(f"the weight `{weight.name}` has {total} elements", weight.parameter.span)
    return tuple(size.value for size in weight.sizes if size.value is not None)


def initial(program: ProgramContext, weight: BoundParameter, key: ast.expr) -> ast.expr:
    """The expression for a weight's first value."""
    shape, dtype = sizes_of(weight), parse(dtype_name(weight.parameter.type.dtype))
    start = weight.parameter.initializer
    constant = _constant(start)
    if constant is not None:
        whole = ast.parse(repr(shape), mode="eval").body
        if constant in (0, 1):
            return ast.Call(parse("jnp.zeros" if constant == 0 else "jnp.ones"), [whole, dtype], [])
        return ast.Call(parse("jnp.full"), [whole, number(constant), dtype], [])
    draw, own = _of_stack(program, weight, _initializer(start, weight), key)
    single = parse(repr(shape[len(weight.stack) :]))
    return ast.Call(draw, [own, single, dtype], [])


def _constant(start: Initializer) -> float | int | None:
    """The number that every element is, or None."""
    attribute = start.target.partition(":")[2]
    if attribute in ("zeros", "ones"):
        return 0 if attribute == "zeros" else 1
    if attribute == "constant":
        value = start.arguments[0][1] if start.arguments else None
        return value if isinstance(value, int | float) else None
    return None


def _initializer(start: Initializer, weight: BoundParameter) -> ast.expr:
    module, _, attribute = start.target.partition(":")
    if module != TARGET_MODULE or not attribute.isidentifier():
        raise EmitError(f"`{start.target}` is no initializer of `{TARGET_MODULE}`", weight.parameter.span)
    arguments: list[ast.expr] = []
    keywords: list[ast.keyword] = []
    for at, (name, value) in enumerate(start.arguments):
        if not name or (at == 0 and name in _POSITIONAL):
            arguments.append(_argument(value, weight))
        else:
            keywords.append(ast.keyword(name, _argument(value, weight)))
    return ast.Call(parse(f"jax.nn.initializers.{attribute}"), arguments, keywords)


def _argument(value: Attribute, weight: BoundParameter) -> ast.expr:
    if isinstance(value, tuple):
        return ast.Tuple([_argument(item, weight) for item in value], ast.Load())
    if isinstance(value, int | float):
        return number(value)
    if value is None or isinstance(value, str):
        return ast.Constant(value)
    raise EmitError(f"an initializer of `{weight.name}` has an argument that is no literal", weight.parameter.span)


def _of_stack(
    program: ProgramContext, weight: BoundParameter, draw: ast.expr, key: ast.expr
) -> tuple[ast.expr, ast.expr]:
    """The initializer for a stack, and its key: the name without numbers, then each number, outermost first."""
    marks = _SUBSCRIPT.findall(weight.name)
    plain = _SUBSCRIPT.sub("", weight.name)
    key = program.key_at(key, (plain,) if plain else ())
    while marks and marks[0] != "*":
        key = ast.Call(parse("jax.random.fold_in"), [key, parse(marks.pop(0))], [])
    counts = list(weight.stack)
    for mark in reversed(marks):
        name, size = ("stacked", counts.pop()) if mark == "*" else ("element", int(mark))
        draw = ast.Call(parse(program.use(name)), [parse(str(size)), draw], [])
    return draw, key
