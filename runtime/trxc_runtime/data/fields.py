"""Transforms of fields, each for itself: names, numbers, shapes; and of which fields and examples there are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .columns import DTYPES, Array, Column, Dense
from .errors import DataError, names, nearest
from .project import Project
from .stage import Apply, Step, Transform
from .table import Table


@dataclass(frozen=True)
class Rename(Transform):
    """A field under another name. Yields ``to``."""

    field: str
    to: str

    def apply(self, table: Table) -> Table:
        column = table.column(self.field)
        if self.to in table.columns and self.to != self.field:
            raise DataError(f"`rename` would hide the field `{self.to}` that the data already have")
        return table.drop([self.field]).put({self.to: column}, table.made(self.field, self.to))


@dataclass(frozen=True)
class Scale(Transform):
    """``field * by + offset``. Yields ``field`` as ``f32``."""

    field: str
    by: float = 1.0
    offset: float = 0.0

    def apply(self, table: Table) -> Table:
        by, offset = np.float32(self.by), np.float32(self.offset)
        return table.put({self.field: table.numbers(self.field).map(lambda x: x.astype(np.float32) * by + offset)})


@dataclass(frozen=True)
class Cast(Transform):
    """A field's numbers in another dtype; refused where an integer would not fit. Yields ``field``."""

    field: str
    dtype: str

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            hint = "`precision` in the recipe says what the model computes in"
            raise DataError(f"data cannot be `{self.dtype}`", *nearest(self.dtype, DTYPES), hint)

    def apply(self, table: Table) -> Table:
        made = table.made(self.field, self.field)
        return table.put({self.field: table.numbers(self.field).map(self._cast)}, made)

    def _cast(self, values: Array) -> Array:
        dtype = np.dtype(DTYPES[self.dtype])
        if dtype.kind in "iu" and values.size:
            bounds = np.iinfo(dtype.str)
            if not (values.min() >= bounds.min and values.max() <= bounds.max):
                raise DataError(f"field `{self.field}` holds numbers that do not fit into {self.dtype}")
        return values.astype(dtype)


@dataclass(frozen=True)
class Reshape(Transform):
    """Every example in another shape of as many numbers; one size may be -1. Yields ``field``."""

    field: str
    shape: list[int]

    def apply(self, table: Table) -> Table:
        values = table.dense(self.field).values
        if not len(values):
            return table
        try:
            shaped = values.reshape(len(values), *self.shape)
        except ValueError:
            size = math.prod(values.shape[1:])
            message = f"field `{self.field}` is {table.fields[self.field]}, {size} numbers, which {self.shape} is not"
            raise DataError(message) from None
        return table.put({self.field: Dense(shaped)}, table.made(self.field, self.field))


@dataclass(frozen=True)
class Flatten(Transform):
    """Every example as one vector. Yields ``field``: ``[numbers]``."""

    field: str

    def apply(self, table: Table) -> Table:
        size = math.prod(table.dense(self.field).values.shape[1:])
        return Reshape(self.field, [size]).apply(table)


@dataclass(frozen=True)
class Stack(Transform):
    """Several fields of single numbers as one vector, in that order. Yields ``into``: ``f32[len(fields)]``."""

    fields: list[str]
    into: str

    def apply(self, table: Table) -> Table:
        columns = [table.dense(name).values for name in self.fields]
        for name, values in zip(self.fields, columns, strict=True):
            if values.ndim != 1:
                raise DataError(f"`stack` needs single numbers, and field `{name}` is {table.fields[name]}")
        if not columns:
            raise DataError("`stack` needs the names of fields")
        stacked = Dense(np.stack(columns, axis=1).astype(np.float32))
        return table.drop(self.fields).put({self.into: stacked})


@dataclass(frozen=True)
class Categories(Step):
    """A text field's different values as numbers from 0, sorted as text.

    The training split decides which there are. Yields ``field``.
    """

    field: str

    def fit(self, train: Table, project: Project) -> Apply:
        del project
        classes = sorted(set(train.strings(self.field).values))
        return _Numbered(self.field, {text: at for at, text in enumerate(classes)}).apply


@dataclass(frozen=True)
class _Numbered:
    field: str
    number: Mapping[str, int]

    def apply(self, table: Table) -> Table:
        texts = table.strings(self.field).values
        for text in texts:
            if text not in self.number:
                raise DataError(f"field `{self.field}` is {text!r} here, which the training split never has")
        return table.put({self.field: Dense(np.array([self.number[text] for text in texts], np.int32))})


@dataclass(frozen=True)
class Standardize(Step):
    """Fields with mean 0 and standard deviation 1, as the training split has them. Yields them as ``f32``.

    Statistics are those of each feature (examples of rank 0 or 1) or of each channel, the last axis (higher ranks).
    What never varies is only centred.
    """

    fields: list[str] | str

    def fit(self, train: Table, project: Project) -> Apply:
        del project
        fields = [self.fields] if isinstance(self.fields, str) else self.fields
        return _Standardized({name: _statistics(train.dense(name).values) for name in fields}).apply


def _statistics(values: Array) -> tuple[Array, Array]:
    axes = (0,) if values.ndim <= 2 else tuple(range(values.ndim - 1))
    mean = values.mean(axis=axes, dtype=np.float64)
    deviation = values.std(axis=axes, dtype=np.float64)
    return mean.astype(np.float32), np.where(deviation > 0, deviation, 1).astype(np.float32)


@dataclass(frozen=True)
class _Standardized:
    statistics: Mapping[str, tuple[Array, Array]]

    def apply(self, table: Table) -> Table:
        columns: dict[str, Column] = {}
        for name, (mean, deviation) in self.statistics.items():
            columns[name] = Dense((table.dense(name).values.astype(np.float32) - mean) / deviation)
        return table.put(columns)


@dataclass(frozen=True)
class Select(Transform):
    """Only those fields."""

    fields: list[str] | str

    def apply(self, table: Table) -> Table:
        return table.keep([self.fields] if isinstance(self.fields, str) else self.fields)


@dataclass(frozen=True)
class Drop(Transform):
    """All fields but those."""

    fields: list[str] | str

    def apply(self, table: Table) -> Table:
        dropped = [self.fields] if isinstance(self.fields, str) else self.fields
        if set(dropped) >= set(table.columns):
            raise DataError(f"`drop` would leave no field: the data have {names(table.columns)}")
        return table.drop(dropped)


@dataclass(frozen=True)
class Limit(Transform):
    """At most the first ``n`` examples of each split."""

    n: int

    def __post_init__(self) -> None:
        if self.n < 1:
            raise DataError(f"`limit` needs at least 1 example, not {self.n}")

    def apply(self, table: Table) -> Table:
        return table.select(np.arange(min(self.n, len(table))))
