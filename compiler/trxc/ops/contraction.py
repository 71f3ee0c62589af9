"""Einsum patterns: reading them, lining them up with operands, and finding the matrix product inside.

A pattern is written as einops writes it: `"b s d, d h e -> b s h e"`, names of any length apart by spaces, one term
an operand, `...` for any axes. An :class:`Expanded` pattern has a name for each axis, also for those under `...`.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import TypeAlias

from ..frozen import Frozen
from ..types import Axis, TensorType
from .definition import TypeFault

ELLIPSIS = "..."
Term: TypeAlias = tuple[str, ...]


class Pattern(Frozen):
    """The names of each operand's axes and of the result's."""

    terms: tuple[Term, ...]
    result: Term

    @property
    def names(self) -> tuple[str, ...]:
        """Every name once, in order."""
        return tuple(dict.fromkeys(name for term in self.terms for name in term))

    @property
    def compact(self) -> str:
        """The pattern as `jnp.einsum` takes it: a letter a name, its own or its first where that is free."""
        letters = _letters([name for name in self.names if name != ELLIPSIS]) | {ELLIPSIS: ELLIPSIS}
        terms = ["".join(letters[name] for name in term) for term in (*self.terms, self.result)]
        return f"{','.join(terms[:-1])}->{terms[-1]}"


def _letters(names: list[str]) -> dict[str, str]:
    letters = {name: name for name in names if len(name) == 1}
    for name in names:
        if name not in letters:
            wanted = [*name, *string.ascii_letters]
            letters[name] = next(c for c in wanted if c in string.ascii_letters and c not in letters.values())
    return letters


def parse_pattern(text: str, operands: int) -> Pattern:
    """Reads a pattern for so many operands.

    Raises:
        TypeFault: TRX0207, what is wrong with it.
    """
    left, arrow, right = text.partition("->")
    if not arrow:
        raise _fault("an einsum pattern needs a `->`", f'"{text.strip()} -> …" says which axes the result has')
    terms = tuple(_parse_term(term) for term in left.split(","))
    pattern = Pattern(terms, _parse_term(right))
    if len(terms) != operands:
        raise _fault(f"the pattern has {_count(len(terms), 'term')} for {_count(operands, 'operand')}")
    _check_result(pattern)
    if len([name for name in pattern.names if name != ELLIPSIS]) > len(string.ascii_letters):
        raise _fault(f"the pattern has more than {len(string.ascii_letters)} names")
    return pattern


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _fault(message: str, *helps: str) -> TypeFault:
    return TypeFault("TRX0207", message, helps=helps)


def _parse_term(text: str) -> Term:
    names = tuple(text.replace(ELLIPSIS, f" {ELLIPSIS} ").split())
    for name in names:
        if name != ELLIPSIS and not (name.isascii() and name.isidentifier() and name.strip("_")):
            grouped = "()" if "(" in name or ")" in name else ""
            hint = (
                "einsum has no groups: split or merge axes with `rearrange` before or after"
                if grouped
                else ("a pattern is names apart by spaces, `...`, a comma between operands, and one `->`")
            )
            raise _fault(f"`{name}` is no name of an axis", hint)
    if names.count(ELLIPSIS) > 1:
        raise _fault(f"`...` is there twice in `{' '.join(names)}`")
    return names


def _check_result(pattern: Pattern) -> None:
    known = pattern.names
    for name in pattern.result:
        if name not in known:
            run_together = len(name) > 1 and set(name) <= set("".join(known))
            raise _fault(
                f"`{name}` is in the result of the pattern and in no operand",
                *([f'names stand apart by spaces: "{" ".join(name)}"'] if run_together else []),
            )
        if pattern.result.count(name) > 1:
            raise _fault(f"`{name}` is twice in the result of the pattern")
    if ELLIPSIS in known and ELLIPSIS not in pattern.result:
        raise _fault("`...` is in an operand of the pattern and not in its result", "write `...` in the result as well")


def expand_pattern(pattern: Pattern, operands: Sequence[TensorType]) -> Pattern:
    """The pattern with a name for each axis under `...`, counted from the right, as broadcasting goes.

    Raises:
        TypeFault: TRX0205, an operand has more or fewer axes than its term.
    """
    spare = [_axes_under_ellipsis(i, term, x) for i, (term, x) in enumerate(zip(pattern.terms, operands, strict=True))]
    terms = tuple(_expand(term, count) for term, count in zip(pattern.terms, spare, strict=True))
    return Pattern(terms, _expand(pattern.result, max(spare, default=0)))


def _axes_under_ellipsis(index: int, term: Term, x: TensorType) -> int:
    named = len(term) - (ELLIPSIS in term)
    if named == x.rank or (named < x.rank and ELLIPSIS in term):
        return x.rank - named
    run_together = len(term) == 1 and len(term[0]) == x.rank
    raise TypeFault(
        "TRX0205",
        f"`{' '.join(term)}` names {_count(named, 'axis').replace('axiss', 'axes')} of an operand of rank {x.rank}",
        operand=index,
        label=f"is {x.show()}",
        helps=[f'names stand apart by spaces: "{" ".join(term[0])}"'] if run_together else (),
    )


def _expand(term: Term, count: int) -> Term:
    at = term.index(ELLIPSIS) if ELLIPSIS in term else len(term)
    return (*term[:at], *(f"{ELLIPSIS}{i}" for i in range(count, 0, -1)), *term[at + 1 :])


def line_up(pattern: Pattern, operands: Sequence[TensorType]) -> dict[str, Axis]:
    """The axis behind each name of an expanded pattern; its name is that of the first operand's that has one.

    Raises:
        TypeFault: TRX0204, two axes under one name have different sizes.
    """
    found: dict[str, tuple[int, Axis]] = {}
    for index, (term, x) in enumerate(zip(pattern.terms, operands, strict=True)):
        for name, here in zip(term, x.axes, strict=True):
            first, axis = found.setdefault(name, (index, here))
            broadcasts = name.startswith(ELLIPSIS)
            if broadcasts and axis.size.value == 1:
                found[name] = (index, here)
            elif here.size != axis.size and not (broadcasts and here.size.value == 1):
                raise _clash(name, operands, first, axis, index, here)
            elif axis.name is None and here.size == axis.size:
                found[name] = (first, here)
    return {name: axis for name, (_, axis) in found.items()}


def _clash(name: str, operands: Sequence[TensorType], first: int, left: Axis, second: int, right: Axis) -> TypeFault:
    shown = ELLIPSIS if name.startswith(ELLIPSIS) else name
    return TypeFault(
        "TRX0204",
        f"`{shown}` of the pattern is {left.label} and {right.label}",
        operand=second,
        label=f"is {operands[second].show()}",
        labels=[(first, f"is {operands[first].show()}")] if first != second else (),
    )


class MatrixProduct(Frozen):
    """An einsum of two operands as one product of matrices.

    The last `inner` axes of operand `x` are multiplied with the first of operand `w`, once `w` is transposed by
    `w_order`; `order` then transposes the result.
    """

    x: int
    w: int
    inner: int
    w_order: tuple[int, ...]
    order: tuple[int, ...]

    @property
    def transposes(self) -> tuple[bool, bool]:
        """Whether the result, and whether `w`, has to be transposed: the fewer the better, the result's first."""
        return (list(self.order) != sorted(self.order), list(self.w_order) != sorted(self.w_order))


def find_product(pattern: Pattern) -> MatrixProduct | None:
    """The product of matrices that an expanded pattern of two terms is, if it is one over leading dims.

    Only where an operand has more than two axes: of two matrices, einsum makes a single product by itself.
    """
    if len(pattern.terms) != 2 or max(map(len, pattern.terms)) < 3:
        return None
    found = [p for p in (_product(pattern, 0, 1), _product(pattern, 1, 0)) if p is not None]
    return min(found, key=lambda p: p.transposes, default=None)


def _product(pattern: Pattern, at_x: int, at_w: int) -> MatrixProduct | None:
    x, w, result = pattern.terms[at_x], pattern.terms[at_w], pattern.result
    inner = tuple(name for name in x if name in w)
    rows, columns = x[: len(x) - len(inner)], tuple(name for name in w if name not in inner)
    plain = len(set(x)) == len(x) and len(set(w)) == len(w) and set(result) == {*rows, *columns}
    if not (plain and inner and rows and columns and x == rows + inner):
        return None
    w_order = tuple(w.index(name) for name in inner + columns)
    return MatrixProduct(at_x, at_w, len(inner), w_order, tuple((rows + columns).index(name) for name in result))
