"""Types of values: a dtype and named axes.

``float`` and ``int`` are generic: they follow the precision of the run and are fixed by the ``precision`` pass.
All others are exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .dims import Dim, dim, product

Kind = Literal["float", "int", "bool", "any"]


@dataclass(frozen=True)
class DType:
    """A dtype by its name in the language; `bits` is 0 for the generic ones."""

    name: str
    kind: Kind
    bits: int

    @property
    def generic(self) -> bool:
        """Whether the precision of the run decides it."""
        return self.bits == 0

    def __str__(self) -> str:
        return self.name


FLOAT = DType("float", "float", 0)
INT = DType("int", "int", 0)
BOOL = DType("bool", "bool", 8)
ANY = DType("any", "any", 0)
F32 = DType("f32", "float", 32)
BF16 = DType("bf16", "float", 16)
I32 = DType("i32", "int", 32)

DTYPES: dict[str, DType] = {
    dtype.name: dtype
    for dtype in (
        FLOAT, INT, BOOL, ANY, BF16, F32, I32,
        DType("f16", "float", 16), DType("f64", "float", 64),
        DType("i8", "int", 8), DType("i16", "int", 16), DType("i64", "int", 64),
        DType("u8", "int", 8), DType("u16", "int", 16), DType("u32", "int", 32), DType("u64", "int", 64),
    )
}  # fmt: skip

_RANK = {"bool": 0, "int": 1, "float": 2}


def promote(left: DType, right: DType) -> DType:
    """The dtype of arithmetic between two: the higher kind; within a kind, exact over generic, then the wider."""
    if left == right:
        return left
    if left.kind != right.kind:
        return left if _RANK[left.kind] > _RANK[right.kind] else right
    if left.generic or right.generic:
        return right if left.generic else left
    if left.bits == right.bits:
        return DTYPES["f32"] if left.kind == "float" else DTYPES[f"i{min(64, left.bits * 2)}"]
    return left if left.bits > right.bits else right


def accepts(wanted: DType, given: DType) -> bool:
    """Whether a value of dtype `given` may stand where a declaration says `wanted`."""
    return wanted in (ANY, given) or (wanted.kind == given.kind and (wanted.generic or given.generic))


@dataclass(frozen=True)
class Axis:
    """One dim of a value: its size, and the name that it was born with, if any.

    A name that begins with ``%`` is local to one layer instance: it tells axes apart there and does not leave it.
    """

    size: Dim
    name: str | None = None

    @property
    def public_name(self) -> str | None:
        """The name, unless it is local."""
        return None if self.name is None or self.name.startswith("%") else self.name

    @property
    def label(self) -> str:
        """How messages show it: its name where that says more than its size."""
        if self.public_name is None:
            return str(self.size)
        return self.public_name if self.size.value is None else f"{self.public_name}={self.size}"

    def __str__(self) -> str:
        size = str(self.size)
        return size if self.name is None or self.name == size else f"{self.name}={size}"


def axis(size: Dim | int | str, name: str | None = None) -> Axis:
    """An axis; a size that is just a symbol lends it its name."""
    size = dim(size)
    return Axis(size, name if name is not None else (size.symbol.name if size.symbol else None))


@dataclass(frozen=True)
class TensorType:
    """`dtype[axes]`."""

    dtype: DType
    axes: tuple[Axis, ...] = ()

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.axes)

    @property
    def sizes(self) -> tuple[Dim, ...]:
        """The sizes of the axes."""
        return tuple(a.size for a in self.axes)

    @property
    def elements(self) -> Dim:
        """The number of elements."""
        return product(self.sizes)

    def with_axes(self, axes: tuple[Axis, ...] | list[Axis]) -> TensorType:
        """The same dtype over other axes."""
        return TensorType(self.dtype, tuple(axes))

    def with_dtype(self, dtype: DType) -> TensorType:
        """The same axes with another dtype."""
        return TensorType(dtype, self.axes)

    def same_sizes(self, other: TensorType) -> bool:
        """Whether ranks and sizes agree, whatever the names."""
        return self.sizes == other.sizes

    def show(self) -> str:
        """How messages show it: `[batch, seq, embed=384]`."""
        return "[" + ", ".join(a.label for a in self.axes) + "]"

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.axes))}]"
