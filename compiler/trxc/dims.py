"""Sizes of dims: exact symbolic arithmetic over names.

A :class:`Dim` is a polynomial with rational coefficients whose monomials are products of powers of atoms.
Powers may be negative, so that exact division by a monomial cancels by itself: ``heads * (embed / heads)`` is
``embed``. An atom is a :class:`Symbol`, or a :class:`Floor` or :class:`Mod` that could not be simplified.
Equal sizes have equal representations wherever ring arithmetic can show it.

What is known of the symbols beyond that (``require embed % heads == 0``) is kept in :class:`Facts`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, total_ordering
from typing import TypeAlias

MAX_TERMS = 256
MAX_DEGREE = 64
MAX_DIGITS = 60
MAX_TEXT = 1000


class DimError(Exception):
    """An operation on sizes has no answer: division by zero, a size out of bounds."""


@total_ordering
class _Ordered:
    """Orders atoms by their text, so that every polynomial has one representation."""

    def __lt__(self, other: object) -> bool:
        return str(self) < str(other)


@dataclass(frozen=True, eq=True)
class Symbol(_Ordered):
    """A size that is not known until run time, or not fixed while a layer is checked by itself."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, eq=True)
class Floor(_Ordered):
    """``numerator // denominator`` that does not simplify."""

    numerator: Dim
    denominator: Dim

    def __str__(self) -> str:
        return f"({_grouped(self.numerator)} // {_grouped(self.denominator)})"


@dataclass(frozen=True, eq=True)
class Mod(_Ordered):
    """``numerator % denominator`` that does not simplify."""

    numerator: Dim
    denominator: Dim

    def __str__(self) -> str:
        return f"({_grouped(self.numerator)} % {_grouped(self.denominator)})"


Atom: TypeAlias = Symbol | Floor | Mod
Monomial: TypeAlias = tuple[tuple[Atom, int], ...]
ONE: Monomial = ()


@dataclass(frozen=True)
class Dim:
    """A size. Build them with :func:`dim` and arithmetic; ``terms`` are sorted and have no zero coefficient."""

    terms: tuple[tuple[Monomial, Fraction], ...]

    @cached_property
    def value(self) -> int | None:
        """The size as an int where it is known, else None."""
        if not self.terms:
            return 0
        if len(self.terms) == 1 and self.terms[0][0] == ONE and self.terms[0][1].denominator == 1:
            return self.terms[0][1].numerator
        return None

    @cached_property
    def symbols(self) -> frozenset[Symbol]:
        """The symbols that it depends on."""
        found: set[Symbol] = set()
        for monomial, _ in self.terms:
            for atom, _ in monomial:
                if isinstance(atom, Symbol):
                    found.add(atom)
                else:
                    found |= atom.numerator.symbols | atom.denominator.symbols
        return frozenset(found)

    @property
    def symbol(self) -> Symbol | None:
        """The symbol that it is, if it is just one."""
        if len(self.terms) == 1 and self.terms[0][1] == 1 and len(self.terms[0][0]) == 1:
            atom, power = self.terms[0][0][0]
            return atom if power == 1 and isinstance(atom, Symbol) else None
        return None

    @property
    def integral(self) -> bool:
        """Whether it is an integer whatever its symbols are."""
        return all(c.denominator == 1 and all(power > 0 for _, power in m) for m, c in self.terms)

    def __add__(self, other: Dim | int) -> Dim:
        return _collect([*self.terms, *dim(other).terms])

    def __neg__(self) -> Dim:
        return Dim(tuple((m, -c) for m, c in self.terms))

    def __sub__(self, other: Dim | int) -> Dim:
        return self + (-dim(other))

    def __mul__(self, other: Dim | int) -> Dim:
        return _collect((_times(m, n), c * d) for m, c in self.terms for n, d in dim(other).terms)

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other: Dim | int) -> Dim:
        return dim(other) - self

    def __pow__(self, power: int) -> Dim:
        if not 0 <= power <= MAX_DEGREE:
            raise DimError(f"the power {power} is out of bounds")
        result = dim(1)
        for _ in range(power):
            result = result * self
        return result

    def divided_by(self, other: Dim | int) -> Dim:
        """The exact quotient; may be fractional (see :attr:`integral`). A sum divides only what it divides exactly.

        Raises:
            DimError: `other` is zero, or a sum that does not divide this as a polynomial.
        """
        divisor = dim(other)
        if not divisor.terms:
            raise DimError("division by zero")
        if self == divisor:
            return dim(1)
        if len(divisor.terms) == 1:
            monomial, coefficient = divisor.terms[0]
            inverse = tuple((atom, -power) for atom, power in monomial)
            return self * Dim(((inverse, 1 / coefficient),))
        return _long_division(self, divisor)

    def __floordiv__(self, other: Dim | int) -> Dim:
        divisor = dim(other)
        if not divisor.terms:
            raise DimError("division by zero")
        if self.value is not None and divisor.value is not None:
            return dim(self.value // divisor.value)
        try:
            quotient = self.divided_by(divisor)
        except DimError:
            return _atom(Floor(self, divisor))
        if quotient.integral:
            return quotient
        whole = Dim(tuple((m, c) for m, c in quotient.terms if Dim(((m, c),)).integral))
        rest = self - whole * divisor
        if whole.terms and rest.value is not None and divisor.value is not None:
            return whole + rest.value // divisor.value
        return _atom(Floor(self, divisor))

    def __mod__(self, other: Dim | int) -> Dim:
        divisor = dim(other)
        quotient = self // divisor
        floor = Floor(self, divisor)
        if any(atom == floor for monomial, _ in quotient.terms for atom, _ in monomial):
            return _atom(Mod(self, divisor))
        return self - quotient * divisor

    def substitute(self, sizes: Mapping[str, Dim]) -> Dim:
        """This size with symbols replaced by name."""
        if self.symbol is not None:
            return sizes.get(self.symbol.name, self)
        if not any(symbol.name in sizes for symbol in self.symbols):
            return self
        total = dim(0)
        for monomial, coefficient in self.terms:
            product = Dim(((ONE, coefficient),))
            for atom, power in monomial:
                product = product * _power(_substitute_atom(atom, sizes), power)
            total = total + product
        return total

    def evaluate(self, sizes: Mapping[str, int]) -> int:
        """The size as an int where ``sizes`` gives every symbol.

        Raises:
            DimError: a symbol has no size, or the result is not a whole number.
        """
        if self.value is not None:
            return self.value
        names = [symbol.name for symbol in self.symbols if symbol.name in sizes]
        result = self.substitute({name: dim(sizes[name]) for name in names})
        if result.value is None:
            raise DimError(f"`{self}` has no whole size here")
        return result.value

    @cached_property
    def _text(self) -> str:
        if not self.terms:
            return "0"
        text = ""
        for monomial, coefficient in sorted(self.terms, key=lambda term: (term[0] == ONE, str(term[0]))):
            piece = _term(monomial, abs(coefficient))
            sign = "-" if coefficient < 0 else "+"
            text += f" {sign} {piece}" if text else (f"-{piece}" if coefficient < 0 else piece)
        return text

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Dim({self})"


def dim(size: Dim | int | str) -> Dim:
    """A size from an int, a symbol's name, or a size."""
    if isinstance(size, Dim):
        return size
    if isinstance(size, str):
        return _atom(Symbol(size))
    return Dim(((ONE, Fraction(size)),)) if size else Dim(())


def product(sizes: Iterable[Dim]) -> Dim:
    """The product of sizes; 1 of none."""
    return math.prod(sizes, start=dim(1))


def _atom(atom: Atom) -> Dim:
    if not isinstance(atom, Symbol) and len(str(atom)) > MAX_TEXT:  # nested `//` could double the size with every level
        raise DimError("a size grew out of bounds")
    return Dim(((((atom, 1),), Fraction(1)),))


def _collect(terms: Iterable[tuple[Monomial, Fraction]]) -> Dim:
    sums: dict[Monomial, Fraction] = {}
    for monomial, coefficient in terms:
        sums[monomial] = sums.get(monomial, Fraction(0)) + coefficient
    kept = tuple(sorted((m, c) for m, c in sums.items() if c))
    if len(kept) > MAX_TERMS or any(abs(c.numerator) >= 10**MAX_DIGITS for _, c in kept):
        raise DimError("a size grew out of bounds")
    if any(sum(abs(power) for _, power in m) > MAX_DEGREE for m, _ in kept):
        raise DimError("a size grew out of bounds")
    return Dim(kept)


def _times(left: Monomial, right: Monomial) -> Monomial:
    powers: dict[Atom, int] = dict(left)
    for atom, power in right:
        powers[atom] = powers.get(atom, 0) + power
    return tuple(sorted((atom, power) for atom, power in powers.items() if power))


def _long_division(numerator: Dim, divisor: Dim) -> Dim:
    """Polynomial division by the divisor's leading term, in graded lexicographic order; exact, or a DimError."""
    atoms = sorted({atom for size in (numerator, divisor) for monomial, _ in size.terms for atom, _ in monomial})

    def order(term: tuple[Monomial, Fraction]) -> tuple[int, ...]:
        powers = dict(term[0])
        return (sum(powers.values()), *(powers.get(atom, 0) for atom in atoms))

    lead, lead_coefficient = max(divisor.terms, key=order)
    inverse = tuple((atom, -power) for atom, power in lead)
    quotient, rest = dim(0), numerator
    for _ in range(MAX_TERMS):
        if not rest.terms:
            return quotient
        monomial, coefficient = max(rest.terms, key=order)
        ratio = _times(monomial, inverse)
        if any(power < 0 for _, power in ratio):
            break
        step = Dim(((ratio, coefficient / lead_coefficient),))
        quotient, rest = quotient + step, rest - step * divisor
    raise DimError(f"`{numerator}` is not a multiple of `{divisor}`")


def _power(base: Dim, power: int) -> Dim:
    return base**power if power >= 0 else dim(1).divided_by(base ** (-power))


def _substitute_atom(atom: Atom, sizes: Mapping[str, Dim]) -> Dim:
    if isinstance(atom, Symbol):
        return sizes.get(atom.name, _atom(atom))
    numerator, denominator = atom.numerator.substitute(sizes), atom.denominator.substitute(sizes)
    return numerator // denominator if isinstance(atom, Floor) else numerator % denominator


def _grouped(size: Dim) -> str:
    single = len(size.terms) < 2 and " " not in str(size)
    alone = size.terms and size.terms[0][1] == 1 and len(size.terms) == 1 and len(size.terms[0][0]) == 1
    return str(size) if single or alone else f"({size})"


def _term(monomial: Monomial, coefficient: Fraction) -> str:
    above = [str(a) if p == 1 else f"{a}^{p}" for a, p in monomial if p > 0]
    below = [str(a) if p == -1 else f"{a}^{-p}" for a, p in monomial if p < 0]
    if coefficient.numerator != 1 or not above:
        above.insert(0, str(coefficient.numerator))
    if coefficient.denominator != 1:
        below.insert(0, str(coefficient.denominator))
    text = " * ".join(above)
    for factor in below:
        text += f" / {factor}"
    return text


@dataclass
class Facts:
    """What `require` and exact divisions have established about symbols."""

    multiples: list[tuple[Dim, Dim]] = field(default_factory=list[tuple[Dim, Dim]])
    bounds: list[Dim] = field(default_factory=list[Dim])

    def assume_multiple(self, numerator: Dim, divisor: Dim) -> None:
        """Notes that `divisor` divides `numerator`."""
        self.multiples.append((numerator, divisor))

    def assume_nonnegative(self, size: Dim) -> None:
        """Notes that `size` ≥ 0."""
        self.bounds.append(size)

    def is_whole(self, quotient: Dim) -> bool:
        """Whether `quotient` is shown to be an integer, by itself or as a multiple of a known whole quotient."""
        if quotient.integral:
            return True
        return any(_try(lambda n=n, d=d: quotient.divided_by(n.divided_by(d)).integral) for n, d in self.multiples)

    def is_nonnegative(self, size: Dim) -> bool:
        """Whether `size` ≥ 0 is shown: symbols are at least 1, and differences to known bounds may be as well."""
        return _at_least_zero(size) or any(_at_least_zero(size - bound) for bound in self.bounds)


def _try(question: Callable[[], bool]) -> bool:
    try:
        return question()
    except DimError:
        return False


def _at_least_zero(size: Dim) -> bool:
    """Shown by shifting every symbol s ≥ 1 to 1 + s' with s' ≥ 0: no negative coefficient may remain."""
    if size.value is not None:
        return size.value >= 0
    if not all(power > 0 and isinstance(atom, Symbol) for m, _ in size.terms for atom, power in m):
        return all(c >= 0 for _, c in size.terms)
    shifted = size.substitute({symbol.name: dim(symbol.name) + 1 for symbol in size.symbols})
    return all(c >= 0 for _, c in shifted.terms)
