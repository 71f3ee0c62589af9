"""Columns: one field of every example, stored so that a batch is one indexing operation.

Nothing here holds a copy per example. Token windows are slices of one flat array, and ids are kept in the
smallest integers that hold them; both become what the model reads (``i32``) when a batch is taken.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import DataError

Array = np.ndarray[Any, np.dtype[Any]]

DTYPES: dict[str, type[np.generic]] = {
    "bool": np.bool_,
    "i8": np.int8,
    "i16": np.int16,
    "i32": np.int32,
    "u8": np.uint8,
    "u16": np.uint16,
    "u32": np.uint32,
    "f16": np.float16,
    "f32": np.float32,
    "int": np.int32,
    "float": np.float32,
}
"""The language's names of dtypes that data may have; ``int`` and ``float`` are 32 bits wide in a batch."""

_NAMES = {np.dtype(dtype): name for name, dtype in DTYPES.items() if name not in ("int", "float")}


def dtype_name(dtype: np.dtype[Any]) -> str:
    """The language's name of a NumPy dtype: ``float32`` is ``f32``."""
    return _NAMES[np.dtype(dtype)]


@dataclass(frozen=True)
class FieldType:
    """What every example holds in a field.

    ``dtype`` is a name such as ``i32``, or ``string``; ``shape`` is one example's, ``None`` where examples differ.
    ``below`` is known for ids: all are smaller, so an embedding needs that many rows.
    """

    dtype: str
    shape: tuple[int | None, ...]
    below: int | None = None

    def __str__(self) -> str:
        if self.dtype == "string":
            return self.dtype
        return f"{self.dtype}[{', '.join('any' if size is None else str(size) for size in self.shape)}]"


class Column(ABC):
    """One field of all examples."""

    @property
    @abstractmethod
    def type(self) -> FieldType:
        """The dtype and shape of one example."""

    @abstractmethod
    def __len__(self) -> int:
        """How many examples there are."""

    @abstractmethod
    def take(self, rows: Array) -> Array:
        """The examples of those numbers, stacked: ``[len(rows), *shape]``."""

    @abstractmethod
    def select(self, rows: Array) -> Column:
        """A column of those examples only, in that order."""

    @abstractmethod
    def map(self, change: Callable[[Array], Array]) -> Column:
        """The column with every number changed by an elementwise function."""


@dataclass(frozen=True, eq=False)
class Dense(Column):
    """Examples of one shape: ``values`` is ``[examples, *shape]``."""

    values: Array

    @property
    def type(self) -> FieldType:
        return FieldType(dtype_name(self.values.dtype), tuple(self.values.shape[1:]))

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Array) -> Array:
        return self.values[rows]

    def select(self, rows: Array) -> Column:
        return Dense(self.values[rows])

    def map(self, change: Callable[[Array], Array]) -> Column:
        return Dense(change(self.values))


@dataclass(frozen=True, eq=False)
class Strings(Column):
    """Texts. They never reach a model: a tokenizer makes ids of them."""

    values: Sequence[str]

    @property
    def type(self) -> FieldType:
        return FieldType("string", ())

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Array) -> Array:
        return np.array([self.values[row] for row in rows], dtype=object)

    def select(self, rows: Array) -> Column:
        return Strings([self.values[int(row)] for row in rows])

    def map(self, change: Callable[[Array], Array]) -> Column:
        raise DataError("this field holds text where numbers are needed")


@dataclass(frozen=True, eq=False)
class Ragged(Column):
    """Examples of different lengths, end to end: example ``i`` is ``flat[offsets[i]:offsets[i + 1]]``."""

    flat: Array
    offsets: Array
    dtype: np.dtype[Any]

    @classmethod
    def join(cls, parts: Sequence[Array], dtype: np.dtype[Any]) -> Ragged:
        """The column whose examples are ``parts``, each ``[length]``; ``dtype`` is what a batch holds."""
        lengths = np.array([0, *(len(part) for part in parts)], dtype=np.int64)
        flat = np.concatenate(parts) if parts else np.zeros(0, dtype)
        return cls(flat, np.cumsum(lengths), dtype)

    @property
    def lengths(self) -> Array:
        """How long each example is: ``[examples]``."""
        return np.diff(self.offsets)

    def example(self, row: int) -> Array:
        """Example ``row``, a view: ``[length]``."""
        return self.flat[self.offsets[row] : self.offsets[row + 1]]

    @property
    def type(self) -> FieldType:
        return FieldType(dtype_name(self.dtype), (None,))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def take(self, rows: Array) -> Array:
        raise DataError("examples of different lengths make no batch", "pad them to one length with `pad`")

    def select(self, rows: Array) -> Column:
        return Ragged.join([self.example(int(row)) for row in rows], self.dtype)

    def map(self, change: Callable[[Array], Array]) -> Column:
        flat = change(self.flat.astype(self.dtype))
        return Ragged(flat, self.offsets, flat.dtype)


@dataclass(frozen=True, eq=False)
class Windows(Column):
    """Slices of one array: example ``i`` is ``flat[starts[i]:starts[i] + length]``, copied when it is taken."""

    flat: Array
    starts: range | Array
    length: int
    dtype: np.dtype[Any]

    @property
    def type(self) -> FieldType:
        return FieldType(dtype_name(self.dtype), (self.length,))

    def __len__(self) -> int:
        return len(self.starts)

    def _starts_of(self, rows: Array) -> Array:
        if isinstance(self.starts, range):
            return self.starts.start + np.asarray(rows, np.int64) * self.starts.step
        return self.starts[rows]

    def take(self, rows: Array) -> Array:
        at = self._starts_of(rows)[:, None] + np.arange(self.length)
        return self.flat[at].astype(self.dtype)

    def select(self, rows: Array) -> Column:
        return Windows(self.flat, self._starts_of(rows), self.length, self.dtype)

    def map(self, change: Callable[[Array], Array]) -> Column:
        flat = change(self.flat.astype(self.dtype))
        return Windows(flat, self.starts, self.length, flat.dtype)


def dense(values: Array, what: str) -> Dense:
    """A column of numbers ``[examples, *shape]`` in a dtype that a model can read.

    Numbers wider than 32 bits become 32 bits wide; :class:`DataError` if an integer does not fit, or if they are
    not numbers. ``what`` names them in the message.
    """
    if values.ndim == 0:
        raise DataError(f"{what} is a single number where examples are stacked along a leading axis")
    return Dense(narrow(values, what))


def narrow(values: Array, what: str) -> Array:
    """``values`` in native byte order, at most 32 bits wide; see :func:`dense`."""
    kind, wide = values.dtype.kind, values.dtype.itemsize > 4
    if kind not in "biuf":
        raise DataError(f"{what} holds {values.dtype}, which is no number a model can read")
    if kind == "f":
        return _finite(values, what)
    if kind in "iu" and wide:
        return _narrow_integers(values, what)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _finite(values: Array, what: str) -> Array:
    """``values`` at most 32 bits wide; refused where they are, or would become, no number."""
    with np.errstate(over="ignore"):
        narrowed = values.astype(
            np.float32 if values.dtype.itemsize > 4 else values.dtype.newbyteorder("="), copy=False
        )
    if not np.isfinite(narrowed).all():
        example = int(np.argwhere(~np.isfinite(narrowed))[0][0])
        raise DataError(f"{what} holds a value that is no finite 32-bit number, first in example {example}")
    return narrowed


def _narrow_integers(values: Array, what: str) -> Array:
    bounds = np.iinfo(np.int32)
    if values.size and (values.min() < bounds.min or values.max() > bounds.max):
        raise DataError(f"{what} holds integers that do not fit into 32 bits")
    return values.astype(np.int32)


def smallest_ids(ids: Array, below: int) -> Array:
    """Ids, all smaller than ``below``, in the narrowest unsigned integers that hold them."""
    return ids.astype(np.min_scalar_type(max(below - 1, 0)), copy=False)
