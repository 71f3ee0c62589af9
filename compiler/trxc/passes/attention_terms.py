"""Products by the names of their axes: einsums and matmuls alike, and what only puts axes into another order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..dims import Dim
from ..ir import Op, Value
from ..ops.contraction import expand_pattern, parse_pattern
from ..ops.definition import Attributes, Instance
from ..ops.pattern_text import parse_pattern as parse_moves
from ..ops.patterns import applied

PRODUCTS = frozenset({"einsum", "matmul"})

Makers = Mapping[Value, Op]
"""The op of the same region that gives a value."""


@dataclass(frozen=True)
class Term:
    """A value with a name for each of its axes."""

    value: Value
    names: tuple[str, ...]


@dataclass(frozen=True)
class Product:
    """Two terms, multiplied and summed over the names that the result has not."""

    left: Term
    right: Term
    result: tuple[str, ...]


def product_of(op: Op) -> Product | None:
    """The product that an op is, if it is one of two terms whose axes of one name have one size."""
    if op.kind not in PRODUCTS or len(op.operands) != 2:
        return None
    terms, result = _einsum_names(op) if op.kind == "einsum" else _matmul_names(op)
    found = Product(Term(op.operands[0], terms[0]), Term(op.operands[1], terms[1]), result)
    plain = all(len(set(names)) == len(names) for names in terms)
    return found if plain and result and _sizes_agree(found.left, found.right) else None


def _einsum_names(op: Op) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
    pattern = parse_pattern(Attributes(op.attributes).text("pattern"), 2)
    expanded = expand_pattern(pattern, [value.type for value in op.operands])
    return expanded.terms, expanded.result


def _matmul_names(op: Op) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
    left, right = (value.type.rank for value in op.operands)
    if min(left, right) < 2:
        return ((), ()), ()
    batches = tuple(f"b{at}" for at in range(max(left, right) - 2, 0, -1))
    rows, columns = batches[len(batches) - (left - 2) :], batches[len(batches) - (right - 2) :]
    return ((*rows, "m", "k"), (*columns, "k", "n")), (*batches, "m", "n")


def _sizes_agree(left: Term, right: Term) -> bool:
    sizes = dict(zip(left.names, left.value.type.sizes, strict=True))
    return all(sizes.get(n, size) == size for n, size in zip(right.names, right.value.type.sizes, strict=True))


def order_of(op: Op) -> tuple[int, ...] | None:
    """The axis of the operand that each axis of the result is, for an op that does nothing else."""
    if op.kind == "transpose":
        return Attributes(op.attributes).axes("order")
    if op.kind == "swap":
        return _swapped(op)
    if op.kind != "rearrange":
        return None
    (x,) = op.operands
    moves = applied(instance(op), "rearrange")
    whole = moves.split == x.type.sizes and len(moves.axes) == len(moves.order)
    return moves.order if whole else None


def _swapped(op: Op) -> tuple[int, ...]:
    attributes, order = Attributes(op.attributes), list(range(op.result.type.rank))
    first, second = attributes.axis("first"), attributes.axis("second")
    order[first], order[second] = order[second], order[first]
    return tuple(order)


def instance(op: Op) -> Instance:
    """An op as the table of ops sees it."""
    results = tuple(value.type for value in op.results)
    return Instance(tuple(value.type for value in op.operands), Attributes(op.attributes), results)


def number_of(value: Value, makers: Makers) -> float | int | None:
    """The number that a value is known to be."""
    op = makers.get(value)
    if op is None:
        return None
    if op.kind == "cast" and op.result.type.dtype.kind == "float":
        return number_of(op.operands[0], makers)
    if op.kind == "size":
        return Attributes(op.attributes).size("size").size.value
    number = op.attributes["value"] if op.kind == "constant" else None
    return number if isinstance(number, int | float) and not isinstance(number, bool) else None


def factor_of(op: Op, makers: Makers) -> tuple[Value, float] | None:
    """`x` and `c`, where the op is `x * c`, `x / c` or `-x` with a number c."""
    if op.kind == "negate":
        return op.operands[0], -1.0
    if op.kind not in ("multiply", "divide"):
        return None
    left, right = op.operands
    number = number_of(right, makers)
    if number is not None and left.type.same_sizes(op.result.type):
        if op.kind == "divide":
            return (left, 1 / number) if number else None
        return left, float(number)
    number = number_of(left, makers)
    if op.kind == "multiply" and number is not None and right.type.same_sizes(op.result.type):
        return right, float(number)
    return None


def peeled(term: Term, makers: Makers) -> tuple[Term, float]:
    """A term without what puts its axes into order and multiplies it by numbers; and their product."""
    scale = 1.0
    while (op := makers.get(term.value)) is not None:
        if (order := order_of(op)) is not None:
            names = dict(zip(order, term.names, strict=True))
            term = Term(op.operands[0], tuple(names[at] for at in range(len(order))))
        elif (found := factor_of(op, makers)) is not None and found[0].type.dtype == term.value.type.dtype:
            term, scale = Term(found[0], term.names), scale * found[1]
        else:
            break
    return term, scale


def repeated(term: Term, name: str, makers: Makers) -> tuple[Term, Dim] | None:
    """What an axis is made of by `repeat_axis(x, ".. g .. -> .. (g r) ..", r = n)`, and n; None if it is not."""
    op = makers.get(term.value)
    if op is None or op.kind != "repeat_axis" or op.operands[0].type.rank != term.value.type.rank:
        return None
    pattern, sizes = parse_moves(Attributes(op.attributes).text("pattern")), Attributes(op.attributes).letters("sizes")
    left, right = ([tuple(t.name for t in group.terms) for group in side] for side in (pattern.left, pattern.right))
    grown = [at for at, letters in enumerate(right) if at < len(left) and letters != left[at]]
    if len(grown) != 1 or len(left) != len(right):
        return None
    (at,) = grown
    one, several = left[at], right[at]
    if len(one) != 1 or len(several) != 2 or several[0] != one[0] or several[1] not in sizes:
        return None
    if any(group.is_ellipsis for group in pattern.left[:at]):
        at -= len(left)
    if term.names[at] != name:
        return None
    return Term(op.operands[0], term.names), sizes[several[1]].size
