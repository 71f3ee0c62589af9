"""What a function's symbols stand for, found from the sizes that it is given.

A function speaks of its sizes by symbols of its own: called with `float[batch, source_len]`, a function of
`float[batch, seq]` has `source_len` for its `seq`. Symbols that no input determines mean the same everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..dims import Dim, DimError, Symbol, dim
from ..types import TensorType


class BindingError(Exception):
    """The sizes given do not fit the sizes declared."""


def bind_sizes(declared: Sequence[TensorType], given: Sequence[Sequence[Dim]]) -> dict[str, Dim]:
    """The size of every symbol that the declared types determine: those that are alone, then those in linear sizes.

    Args:
        declared: the types of a function's inputs.
        given: the sizes of the axes of each operand.

    Raises:
        BindingError: ranks or sizes do not fit.
    """
    pairs = _pairs(declared, given)
    found: dict[str, Dim] = {}
    for wanted, actual in pairs:
        if wanted.symbol:
            found.setdefault(wanted.symbol.name, actual)
    while _solve_one(pairs, found):
        pass
    for wanted, actual in pairs:
        if wanted.substitute(found) != actual:
            raise BindingError(f"a size is {actual} where {wanted.substitute(found)} is declared")
    return found


def _pairs(declared: Sequence[TensorType], given: Sequence[Sequence[Dim]]) -> list[tuple[Dim, Dim]]:
    if len(declared) != len(given):
        raise BindingError(f"{len(given)} operands where {len(declared)} are declared")
    for at, (type_, sizes) in enumerate(zip(declared, given, strict=True)):
        if type_.rank != len(sizes):
            raise BindingError(f"operand {at} has {len(sizes)} axes where {type_.rank} are declared")
    return [pair for type_, sizes in zip(declared, given, strict=True) for pair in zip(type_.sizes, sizes, strict=True)]


def _solve_one(pairs: Sequence[tuple[Dim, Dim]], found: dict[str, Dim]) -> bool:
    """Whether one more symbol could be found, from a size in which it alone is unknown."""
    for wanted, actual in pairs:
        unknown = [symbol for symbol in wanted.symbols if symbol.name not in found]
        if len(unknown) == 1:
            known = wanted.substitute({name: size for name, size in found.items() if dim(name) != size})
            size = _solve(known, unknown[0], actual)
            if size is not None:
                found[unknown[0].name] = size
                return True
    return False


def _solve(wanted: Dim, unknown: Symbol, actual: Dim) -> Dim | None:
    """The `unknown` for which `wanted`, linear in it, is `actual`."""
    constant = wanted.substitute({unknown.name: dim(0)}) if _linear(wanted, unknown) else None
    if constant is None:
        return None
    slope = wanted.substitute({unknown.name: dim(1)}) - constant
    try:
        size = (actual - constant).divided_by(slope)
    except DimError:
        return None
    return size if size.integral else None


def _linear(size: Dim, unknown: Symbol) -> bool:
    for monomial, _ in size.terms:
        for atom, power in monomial:
            if isinstance(atom, Symbol):
                if atom == unknown and power != 1:
                    return False
            elif unknown in atom.numerator.symbols | atom.denominator.symbols:
                return False
    return True
