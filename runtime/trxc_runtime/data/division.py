"""Division of the examples into splits, the same for every run.

The order is fixed by a constant and not by a run's seed, so that a resumed or repeated run holds out the same
examples, and by NumPy's legacy generator, whose numbers are promised never to change.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any

import numpy as np

from .columns import Array, Column, Dense, Strings
from .errors import DataError, names
from .table import Table

_ORDER = 20_26
_TOLERANCE = 1e-6


def divide(table: Table, shares: Mapping[str, float]) -> dict[str, Table]:
    """Splits of a table by whole examples, documents or rows, each split in the source's order.

    A share above 1 is a number of examples; others are fractions of what those numbers leave, and what they do not
    use is left out. A single document is cut, in order, into a part a split, and shares are then of its characters
    (or numbers, in an array ``[1, length]``).
    """
    if len(table) == 1:
        return _cut(table, shares)
    order: Array = np.random.RandomState(_ORDER).permutation(len(table))
    parts = _parts(shares, len(table), "example")
    return {name: table.select(np.sort(order[start:stop])) for name, start, stop in parts}


def _cut(table: Table, shares: Mapping[str, float]) -> dict[str, Table]:
    (name, column), *rest = table.columns.items()
    if rest or not _can_be_cut(column):
        raise DataError("there is 1 example, which cannot be split", "add data, or leave `split` out")
    parts = _parts(shares, _size(column), "character" if isinstance(column, Strings) else "number")
    return {split: Table({name: _piece(column, start, stop)}) for split, start, stop in parts}


def _can_be_cut(column: Column) -> bool:
    return isinstance(column, Strings) or (isinstance(column, Dense) and column.values.ndim == 2)


def _size(column: Any) -> int:
    return len(column.values[0])


def _piece(column: Column, start: int, stop: int) -> Column:
    if isinstance(column, Strings):
        return Strings([column.values[0][start:stop]])
    assert isinstance(column, Dense)
    return Dense(column.values[:, start:stop])


def _parts(shares: Mapping[str, float], total: int, noun: str) -> Iterator[tuple[str, int, int]]:
    """Names and half-open ranges, end to end."""
    sizes = _sizes(shares, total, noun)
    ends = list(accumulate(sizes.values()))
    yield from zip(sizes, [0, *ends[:-1]], ends, strict=True)


def _sizes(shares: Mapping[str, float], total: int, noun: str) -> dict[str, int]:
    _check(shares)
    counts = {name: int(share) for name, share in shares.items() if share > 1}
    left = total - sum(counts.values())
    if left < 0:
        raise DataError(f"`split` asks for {sum(counts.values()):,} {noun}s, and there are {total:,}")
    fractions = {name: share for name, share in shares.items() if share <= 1}
    sizes = counts | _whole(fractions, left)
    empty = [name for name, size in sizes.items() if not size]
    if empty:
        raise DataError(f"{total} {noun}s are too few for the splits {names(shares)}: {names(empty)} would be empty")
    return {name: sizes[name] for name in shares}


def _check(shares: Mapping[str, float]) -> None:
    for name, share in shares.items():
        if not 0 < share < math.inf or (share > 1 and share != int(share)):
            hint = "a share is a fraction such as 0.1, or a whole number of examples"
            raise DataError(f"`split` cannot give {share} to `{name}`", hint)
    if (fractions := sum(share for share in shares.values() if share <= 1)) > 1 + _TOLERANCE:
        raise DataError(f"the fractions of `split` add up to {fractions:g}, more than 1")


def _whole(fractions: Mapping[str, float], total: int) -> dict[str, int]:
    """Whole sizes nearest to the fractions, none of them 0 while another can spare one."""
    ends = [round(end * total) for end in accumulate(fractions.values())]
    sizes = {name: end - start for name, start, end in zip(fractions, [0, *ends], ends, strict=False)}
    for name, size in sizes.items():
        largest = max(sizes, key=lambda other: sizes[other])
        if not size and sizes[largest] > 1:
            sizes[name], sizes[largest] = 1, sizes[largest] - 1
    return sizes
