"""What an op is: one class that declares its operands, attributes, inference, cost, emission and reference.

An :class:`OpDefinition` is the only place that knows its op. The elaborator binds user calls through ``slots``,
types them through ``infer``; the emitter writes what ``emit`` returns; ``reference`` computes the same in NumPy
and is the oracle of every test. ``example`` is checked against all of them by one test that walks the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from ..dims import Dim, DimError, Facts, dim
from ..frozen import Frozen
from ..ir import Attribute
from ..types import Axis, DType, TensorType
from .arrays import Array, np

OperandKind = Literal["any", "number", "float", "int", "bool"]
AttributeKind = Literal[
    "axis", "axes", "order", "int", "ints", "number", "bool", "string", "dtype", "size", "sizes", "letters", "padding"
]
"""`axis` and `axes` are written as names or (negative) integers and arrive as non-negative ints of operand 0,
`axes` from the first on and an `order` as it is written;
`ints` accepts one int for all; a `size` arrives as the pair (Dim, name or None), `sizes` as a tuple of pairs.
`letters` are all keywords that no other slot takes (`h = 2` of an einops pattern), as pairs (letter, size).
`padding` arrives as it is written: a string, an int, ints, or a (before, after) pair of ints for each axis."""


Keeps = Literal["operands", "result", "condition", "nothing"]
"""What the gradient of an op is computed from: its operands, its result, operand 0 alone, or nothing of their size."""


class _Required:
    """Marks an attribute without a default."""

    def __repr__(self) -> str:
        return "required"


REQUIRED = _Required()


class Operand(Frozen):
    """A tensor that the op takes. `variadic`: a list or tuple of them, the last operand then."""

    name: str
    kind: OperandKind = "any"
    variadic: bool = False
    optional: bool = False


class Setting(Frozen):
    """A compile-time attribute that the op takes, by keyword or in its place."""

    name: str
    kind: AttributeKind
    default: Attribute | _Required = REQUIRED


Slot: TypeAlias = Operand | Setting


class TypeFault(Exception):
    """A call does not fit its op. `operand` is the index of the one to blame; `labels` say more about others.

    `constraint` is (numerator, divisor) where all that is missing is to know that the division is exact.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        operand: int | None = None,
        label: str = "",
        labels: Sequence[tuple[int, str]] = (),
        helps: Sequence[str] = (),
        constraint: tuple[Dim, Dim] | None = None,
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.operand, self.label = code, message, operand, label
        self.labels, self.helps = tuple(labels), tuple(helps)
        self.constraint = constraint


class Attributes(dict[str, Attribute]):
    """Attributes by name, with typed access."""

    def int_(self, name: str) -> int:
        """An int."""
        value = self[name]
        assert isinstance(value, int)
        return value

    def ints(self, name: str) -> tuple[int, ...]:
        """A tuple of ints."""
        value = self[name]
        assert isinstance(value, tuple)
        return tuple(v for v in value if isinstance(v, int))

    def axis(self, name: str) -> int:
        """An axis index, from 0."""
        return self.int_(name)

    def axes(self, name: str) -> tuple[int, ...]:
        """Axis indices, from 0, in order."""
        return self.ints(name)

    def number(self, name: str) -> float | int:
        """An int or a float."""
        value = self[name]
        assert isinstance(value, int | float)
        return value

    def flag(self, name: str) -> bool:
        """A bool."""
        return bool(self[name])

    def text(self, name: str) -> str:
        """A string."""
        value = self[name]
        assert isinstance(value, str)
        return value

    def dtype(self, name: str) -> DType:
        """A dtype."""
        value = self[name]
        assert isinstance(value, DType)
        return value

    def size(self, name: str) -> Axis:
        """A size, with its name."""
        return _as_axis(self[name])

    def sizes(self, name: str) -> tuple[Axis, ...]:
        """Sizes, with their names."""
        value = self[name]
        assert isinstance(value, tuple)
        return tuple(_as_axis(item) for item in value)

    def letters(self, name: str) -> dict[str, Axis]:
        """Sizes by the letter of a pattern, with their names."""
        found: dict[str, Axis] = {}
        value = self[name]
        assert isinstance(value, tuple)
        for pair in value:
            assert isinstance(pair, tuple)
            letter, size = pair
            assert isinstance(letter, str)
            found[letter] = _as_axis(size)
        return found


def _as_axis(pair: Attribute) -> Axis:
    assert isinstance(pair, tuple)
    size, name = pair
    assert isinstance(size, Dim) and (name is None or isinstance(name, str))
    return Axis(size, name)


@dataclass(frozen=True)
class Instance:
    """One use of an op: what it is given, what is known of the sizes, and (after inference) what it gives."""

    operands: tuple[TensorType, ...]
    attributes: Attributes
    results: tuple[TensorType, ...] = ()
    facts: Facts = field(default_factory=Facts)

    @property
    def result(self) -> TensorType:
        """The type of the first result."""
        return self.results[0]

    def divides(self, numerator: Dim, divisor: Dim) -> bool:
        """Whether `divisor` is shown to divide `numerator`, by arithmetic or by what is known of the sizes.

        A use that has results was typed with all facts at hand, which later stages need not carry along.
        """
        try:
            quotient = numerator.divided_by(divisor)
        except DimError:
            return False
        return bool(self.results) or self.facts.is_whole(quotient)


class Scope(Protocol):
    """What emission may ask of the function that is being written."""

    def size(self, size: Dim) -> str:
        """A Python expression for a size: a literal, or one over names bound from the inputs' shapes."""
        ...

    def dtype(self, dtype: DType) -> str:
        """A Python expression for a dtype, as `jnp.float32`."""
        ...

    def key(self) -> str:
        """A Python expression for this op's own random key."""
        ...

    def prelude(self, name: str) -> str:
        """Asks for a function of the program's prelude (:mod:`trxc.emit.prelude`) and returns its name."""
        ...


class Environment(Protocol):
    """What a reference computation may ask."""

    @property
    def rng(self) -> np.random.Generator:
        """The source of random draws."""
        ...

    def size(self, size: Dim) -> int:
        """The value of a size."""
        ...

    def dtype(self, dtype: DType) -> np.dtype[Any]:
        """The NumPy dtype that stands for a dtype (float64 for every float, int64 for every int)."""
        ...


class Sample(Frozen):
    """An operand of an example: random values of a shape in [low, high), or just `values`.

    `distinct` spreads them evenly and shuffles, for ops whose gradient jumps where values tie.
    """

    shape: tuple[int, ...] = ()
    dtype: str = "float"
    low: float = -2.0
    high: float = 2.0
    distinct: bool = False
    values: Any = None


class Example(Frozen):
    """Operands and attributes (as they arrive in ``infer``) that the walk over the table tries."""

    operands: tuple[Sample, ...]
    attributes: Mapping[str, Attribute] = field(default_factory=dict[str, Attribute])


class Along(Frozen):
    """How a result runs along an axis of an operand: its place t along `axis` comes from the operand's places
    t - `back` to t, and from no other; with `back` None, from all places up to t."""

    axis: int
    back: int | None = 0


class OpDefinition:
    """The base of all ops. A subclass is one op; its docstring is the op's documentation (semantics, source).

    ``differentiable`` says whether gradients flow to float operands and are to be checked; ``random`` that results
    are draws, compared by distribution only; ``elementwise`` that operands broadcast and fusing is free. ``keeps`` is
    what stays in memory for backward, ``product`` that its result is dear to compute again if an operand is a weight,
    and ``dear`` that it is without one.
    """

    name: str = ""
    slots: tuple[Slot, ...] = ()
    differentiable: bool = True
    random: bool = False
    elementwise: bool = False
    keeps: Keeps = "operands"
    product: bool = False
    dear: bool = False
    public: bool = True
    examples: tuple[Example, ...] = ()

    def infer(self, use: Instance) -> tuple[TensorType, ...]:
        """The types of the results.

        Raises:
            TypeFault: the operands do not fit.
        """
        raise AssertionError(f"{self.name} declares no inference")

    def flops(self, use: Instance) -> Dim:
        """Floating point operations; one an element of the result unless the op says otherwise."""
        return use.result.elements if use.results else dim(0)

    def along(self, use: Instance, operand: int, axis: int) -> Along | None:
        """How every result depends on the places along an axis of an operand, of which sizes and attributes other than
        that axis's length do not matter; None where a place may depend on later ones, or is no place of the result.
        """
        return None

    def emit(self, use: Instance, operands: Sequence[str], scope: Scope) -> str:
        """The Python expression; operands are atoms (names, literals, calls, parenthesised expressions)."""
        raise AssertionError(f"{self.name} declares no emission")

    def reference(self, use: Instance, operands: Sequence[Array], env: Environment) -> Array | tuple[Array, ...]:
        """The results in NumPy, plainly."""
        raise AssertionError(f"{self.name} declares no reference")

    @property
    def operand_slots(self) -> tuple[Operand, ...]:
        """The slots that are tensors."""
        return tuple(slot for slot in self.slots if isinstance(slot, Operand))


def aligned(use: Instance, operand: int, axis: int) -> Along | None:
    """The axis of the result that an operand's is lined up with on the right, as broadcasting does."""
    at = axis + use.result.rank - use.operands[operand].rank
    return Along(at) if use.operands[operand].sizes[axis] == use.result.sizes[at] else None


def broadcast_axes(types: Sequence[TensorType]) -> tuple[Axis, ...]:
    """The axes of an elementwise result: aligned on the right, equal or 1; a name comes from the first that has one.

    Raises:
        TypeFault: sizes differ and neither is 1.
    """
    rank = max((t.rank for t in types), default=0)
    return tuple(_broadcast_axis(types, rank - at) for at in range(rank))


def _broadcast_axis(types: Sequence[TensorType], from_right: int) -> Axis:
    best: Axis | None = None
    best_operand = 0
    for index, type_ in enumerate(types):
        if type_.rank < from_right:
            continue
        here = type_.axes[-from_right]
        if best is None or best.size.value == 1:
            best, best_operand = here, index
        elif here.size.value == 1:
            continue
        elif here.size != best.size:
            raise _clash(types, best_operand, best, index, here)
        elif best.name is None:
            best = here
    assert best is not None
    return best


def _clash(types: Sequence[TensorType], first: int, left: Axis, second: int, right: Axis) -> TypeFault:
    named = left.public_name == right.public_name and left.public_name is not None
    what = (
        f"dim `{left.public_name}` is {left.size} here and {right.size} there"
        if named
        else (f"dims do not line up: {left.label} here and {right.label} there")
    )
    return TypeFault(
        "TRX0204",
        what,
        operand=second,
        label=f"is {types[second].show()}",
        labels=[(first, f"is {types[first].show()}")],
        helps=_lined_up(types[first], types[second]),
    )


def _lined_up(x: TensorType, y: TensorType) -> list[str]:
    """How the one of fewer dims would line up, if its dims are all among those of the other, in their order."""
    short, long = (x, y) if x.rank < y.rank else (y, x)
    left = list(short.axes)
    index: list[str] = []
    for axis in long.axes:
        taken = bool(left) and left[0].size == axis.size
        index.append(":" if taken else "none")
        left = left[1:] if taken else left
    if left or not 0 < short.rank < long.rank:
        return []
    return [f"`[{', '.join(index)}]` behind the one with {short.rank} dims lines it up".replace(" 1 dims", " 1 dim")]
