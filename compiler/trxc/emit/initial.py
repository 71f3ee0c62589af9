"""`init` and `init_state`: the first weights and states, as one nested dict."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from ..ir import Attribute, Initializer, Path
from ..ir.parameters import BoundParameter, Stack, slice_name
from .dtypes import dtype_name
from .errors import EmitError
from .expressions import literal, number, parse
from .layout import statement
from .lines import Line
from .scope import ProgramContext, indexed
from .slices import name_list, numbers

MAX_ELEMENTS = 2**40
TARGET_MODULE = "jax.nn.initializers"
_POSITIONAL = ("stddev", "scale", "value")
_SUBSCRIPT = re.compile(r"\[(#?\d+|\*)\]")
_OWN_NAME = re.compile(r"<(\d+)>")


def write_init(program: ProgramContext, weights: Sequence[BoundParameter]) -> list[Line]:
    """`init(key)`."""
    key = parse("key")
    tree = nested([(w.path, initial(program, w, key)) for w in weights])
    lines = ["@jax.jit", "def init(key):", '    """The weights at the start, from a random key."""']
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
    single = parse(repr(shape[len(weight.stack) :]))
    drawn, dims = _of_stack(program, weight, _initializer(start, weight), [key, single, dtype])
    if dims == sorted(dims):
        return drawn
    return ast.Call(parse("jnp.moveaxis"), [drawn, parse(repr(tuple(range(len(dims))))), parse(repr(tuple(dims)))], [])


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
    program: ProgramContext, weight: BoundParameter, draw: ast.expr, arguments: list[ast.expr]
) -> tuple[ast.expr, list[int]]:
    """What an initializer draws for a stack, and which of the stack's dims each of those is that it gives first.

    A key, the first of the initializer's arguments, is made from the name without numbers, then each number, outermost
    first. So slices with names of their own come before those with numbers.
    """
    text = slice_name(weight.segments, [_marked(at, stack) for at, stack in enumerate(weight.stacks)], None)
    marks, plain = _SUBSCRIPT.findall(text), _SUBSCRIPT.sub("", text)
    named = [int(at) for at in _OWN_NAME.findall(plain)]
    key, *form = arguments
    if not named:
        key = program.key_at(key, (plain,) if plain else ())
        while marks and marks[0].isdigit():
            key = ast.Call(parse("jax.random.fold_in"), [key, parse(marks.pop(0))], [])
    stars = [at for at, stack in enumerate(weight.stacks) if not stack.names]
    numbered: list[int] = []
    for mark in reversed(marks):
        at = stars.pop() if mark == "*" else int(mark[1:]) if mark[0] == "#" else None
        numbered[:0] = [] if at is None else [at]
        wrapper, size = _wrapper(weight, mark, at)
        draw = ast.Call(parse(program.use(wrapper)), [size, draw], [])
    if not named:
        return ast.Call(draw, [key, *form], []), numbered
    names = _own_names(program, weight, _OWN_NAME.split(plain), "")
    return ast.Call(parse(program.use("each")), [names, draw, key, *form], []), named + numbered


def _marked(at: int, stack: Stack) -> Stack:
    """The stack with a mark in place of its names: `<0>`, or `blocks[#0]` where they are numbered."""
    pair = indexed(stack.names[0]) if stack.names else None
    return Stack(stack.count, stack.at, (f"{pair[0]}[#{at}]" if pair else f"<{at}>",) * bool(stack.names), stack.over)


def _wrapper(weight: BoundParameter, mark: str, at: int | None) -> tuple[str, ast.expr]:
    """What makes an initializer of slices from that of one, and its first argument."""
    if at is None:
        return "element", parse(mark)
    names = weight.stacks[at].names
    if not names:
        return "stacked", parse(str(weight.stacks[at].count))
    return "stacked_at", numbers([pair[1] for pair in map(indexed, names) if pair])


def _own_names(program: ProgramContext, weight: BoundParameter, parts: Sequence[str], outer: str) -> ast.expr:
    """The names of a stack's slices, in lists of lists where it has several dims with names.

    Args:
        program: what is being written.
        weight: the stack.
        parts: text, and the place of a dim, by turns.
        outer: the variable that holds the name so far.
    """
    before, at, after, *more = parts
    own = [before + name for name in weight.stacks[int(at)].names]
    names = name_list(program, own, ast.Name(outer, ast.Load()) if outer else "", "" if more else after)
    if not more:
        return names
    variable = "inner" if outer else "outer"
    inner = _own_names(program, weight, [after, *more], variable)
    target = ast.comprehension(ast.Name(variable, ast.Store()), names, [], 0)
    return ast.ListComp(inner, [target])
