"""Sizes as Python expressions, and where a function gets the symbols in them from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..dims import Atom, Dim, DimError, Monomial, Symbol, dim
from ..ir import Value


def size_text(size: Dim, names: Mapping[str, str]) -> str:
    """A Python expression for a size over `names` of symbols; whole divisions by `//`."""
    if size.value is not None:
        return str(size.value)
    below = math.lcm(*(c.denominator for _, c in size.terms))
    inverse = _common_inverse(size)
    above = size * below * _monomial(inverse)
    text = _sum(above, names)
    if below == 1 and not inverse:
        return text
    divisor = _product(inverse, below, names)
    return f"({text}) // ({divisor})"


def _common_inverse(size: Dim) -> Monomial:
    powers: dict[Atom, int] = {}
    for monomial, _ in size.terms:
        for atom, power in monomial:
            powers[atom] = max(powers.get(atom, 0), -power)
    return tuple((atom, power) for atom, power in powers.items() if power)


def _monomial(monomial: Monomial) -> Dim:
    return Dim(((tuple(sorted(monomial)), dim(1).terms[0][1]),))


def _sum(size: Dim, names: Mapping[str, str]) -> str:
    """A sum with whole coefficients and no negative powers, the constant last."""
    text = ""
    for monomial, coefficient in sorted(size.terms, key=lambda term: (term[0] == (), str(term[0]))):
        piece = _product(monomial, abs(int(coefficient)), names)
        sign = "-" if coefficient < 0 else "+"
        text += f" {sign} {piece}" if text else ("-" if coefficient < 0 else "") + piece
    return text


def _product(monomial: Monomial, coefficient: int, names: Mapping[str, str]) -> str:
    factors = [_power(atom, power, names) for atom, power in monomial]
    if coefficient != 1 or not factors:
        factors.insert(0, str(coefficient))
    return " * ".join(factors)


def _power(atom: Atom, power: int, names: Mapping[str, str]) -> str:
    if isinstance(atom, Symbol):
        text = names[atom.name]
    else:
        sign = "//" if type(atom).__name__ == "Floor" else "%"
        text = f"(({size_text(atom.numerator, names)}) {sign} ({size_text(atom.denominator, names)}))"
    return text if power == 1 else f"{text} ** {power}"


@dataclass
class Bindings:
    """Where a function gets its symbols from: axes of its inputs that are just a symbol, then solved expressions.

    `axes` are input positions with the axis of each symbol, `solved` pairs of a symbol and the expression for it, in
    order; `missing` the symbols that no input tells.
    """

    axes: dict[int, dict[int, str]] = field(default_factory=dict[int, dict[int, str]])
    solved: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    missing: list[str] = field(default_factory=list[str])


def bind_symbols(
    needed: set[str], inputs: Sequence[Value], input_names: Sequence[str], names: Mapping[str, str]
) -> Bindings:
    """Finds every needed symbol in the shapes of the inputs, or solves a shape for it."""
    found = Bindings()
    wanted, known = set(needed), set[str]()
    for symbol in sorted(needed):
        if (place := _plain_place(symbol, inputs)) is not None:
            _take(found, place, symbol)
            known.add(symbol)
    _solve_rest(found, wanted, known, inputs, input_names, names)
    found.missing = sorted(wanted - known)
    return found


def _plain_place(symbol: str, inputs: Sequence[Value]) -> tuple[int, int] | None:
    for at, value in enumerate(inputs):
        for axis, size in enumerate(value.type.sizes):
            if size.symbol is not None and size.symbol.name == symbol:
                return at, axis
    return None


def _take(found: Bindings, place: tuple[int, int], symbol: str) -> None:
    at, axis = place
    found.axes.setdefault(at, {})[axis] = symbol


def _solve_rest(
    found: Bindings,
    wanted: set[str],
    known: set[str],
    inputs: Sequence[Value],
    input_names: Sequence[str],
    names: Mapping[str, str],
) -> None:
    """Solves sizes that are linear in one symbol that is still unknown, until nothing new is found."""
    progress = True
    while progress and wanted - known:
        progress = False
        for at, value in enumerate(inputs):
            for axis, size in enumerate(value.type.sizes):
                unknown = {s.name for s in size.symbols} - known
                if not unknown & wanted:
                    continue
                for other in sorted(unknown):
                    if (place := _plain_place(other, inputs)) and unknown - {other} <= wanted | {other}:
                        _take(found, place, other)
                        known.add(other)
                        progress = True
                unknown -= known
                if len(unknown) != 1:
                    continue
                (symbol,) = unknown
                shape = f"{input_names[at]}.shape[{axis}]"
                if (text := _solution(size, symbol, shape, names)) is not None:
                    found.solved.append((symbol, text))
                    known.add(symbol)
                    progress = True


def _solution(size: Dim, symbol: str, shape: str, names: Mapping[str, str]) -> str | None:
    """`symbol` from `shape` = a * symbol + b, or None where the size is not of that form."""
    try:
        rest = size.substitute({symbol: dim(0)})
        slope = size.substitute({symbol: dim(1)}) - rest
        if size != slope * dim(symbol) + rest or not slope.terms:
            return None
        offset = f" - ({size_text(rest, names)})" if rest.terms else ""
        if slope.value == 1:
            return f"{shape}{offset}"
        below = math.lcm(*(c.denominator for _, c in slope.terms))
        scaled = f"{below} * ({shape}{offset})" if below != 1 else f"({shape}{offset})"
        whole = size_text(slope * below, names)
    except (DimError, ZeroDivisionError):
        return None
    return scaled if whole == "1" else f"{scaled} // ({whole})"
