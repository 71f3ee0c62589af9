"""Sources of records: rows of tables and lines of JSON."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from .columns import Array, Column, Dense, Ragged, Strings, dense, narrow
from .errors import DataError, names, nearest
from .project import Project, read_text
from .stage import Source
from .table import Table

_MAX_CELL = 1 << 24
_MISSING = {"", "na", "n/a", "nan", "null", "none", "?"}


@dataclass(frozen=True)
class Csv(Source):
    """Rows of comma-separated values. Yields a field a column: all integers ``i32``, all numbers ``f32``, else text.

    The first row names the columns, and ``columns`` chooses among them; with ``header = false`` it names them.
    """

    path: str
    columns: list[str] | None = None
    header: bool = True

    def load(self, project: Project) -> Table:
        return _table(self.path, project, csv.excel, self.columns, self.header)


class _Tabs(csv.excel_tab):
    quoting = csv.QUOTE_NONE


@dataclass(frozen=True)
class Tsv(Source):
    """Rows of tab-separated values, as :class:`Csv` but without quoting, and ``columns`` names them by default."""

    path: str
    columns: list[str] | None = None
    header: bool = False

    def load(self, project: Project) -> Table:
        return _table(self.path, project, _Tabs, self.columns, self.header)


@dataclass(frozen=True)
class Jsonl(Source):
    """One JSON object a line. Yields a field a key: texts, numbers, or (nested) lists of numbers."""

    path: str

    def load(self, project: Project) -> Table:
        text = read_text(project.file(self.path))
        records = [_record(line, self.path, at) for at, line in enumerate(text.split("\n"), 1) if line.strip()]
        if not records:
            raise DataError(f'"{self.path}" holds no records')
        keys = list(records[0][1])
        for at, record in records:
            if record.keys() != set(keys):
                raise DataError(f'"{self.path}", line {at}: has {names(record)} where the first has {names(keys)}')
        columns = {key: _from_json([record[key] for _, record in records], key, self.path) for key in keys}
        return Table({name: columns[key] for name, key in zip(_field_names(keys, self.path), keys, strict=True)})


def _table(path: str, project: Project, dialect: type[csv.Dialect], columns: list[str] | None, header: bool) -> Table:
    rows = _rows(path, read_text(project.file(path)), dialect)
    first = next(rows, None)
    if first is None:
        raise DataError(f'"{path}" holds no rows')
    if not header and columns is None:
        hint = 'name them: `columns = ["text", "label"]`, or read the first row with `header = true`'
        raise DataError(f'the columns of "{path}" have no names', hint)
    named = _field_names(first[1] if header else cast(list[str], columns), path)
    cells = _columns(path, named, rows if header else _chain(first, rows))
    return Table({name: _from_cells(cells[name], name, path) for name in _chosen(columns or named, cells, path)})


def _chain(first: tuple[int, list[str]], rest: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    yield first
    yield from rest


def _rows(path: str, text: str, dialect: type[csv.Dialect]) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and cells of the rows that are not empty."""
    csv.field_size_limit(_MAX_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), dialect)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        raise DataError(f'"{path}", line {reader.line_num}: {error}') from None


def _columns(path: str, named: Sequence[str], rows: Iterator[tuple[int, list[str]]]) -> dict[str, list[str]]:
    cells: dict[str, list[str]] = {name: [] for name in named}
    for line, row in rows:
        if len(row) != len(named):
            raise DataError(f'"{path}", line {line}: {len(row)} columns where there should be {len(named)}')
        for column, cell in zip(cells.values(), row, strict=True):
            column.append(cell)
    if not cells or not next(iter(cells.values())):
        raise DataError(f'"{path}" holds no rows')
    return cells


def _chosen(columns: Sequence[str], cells: dict[str, list[str]], path: str) -> Sequence[str]:
    for name in columns:
        if name not in cells:
            raise DataError(f'"{path}" has no column `{name}`', *nearest(name, cells), f"it has {names(cells)}")
    return columns


def _field_names(written: Sequence[str], path: str) -> list[str]:
    """Headings as names of fields: ``Sepal length (cm)`` is ``Sepal_length_cm``."""
    fields = [re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") for name in written]
    for at, name in enumerate(fields):
        if not name or name[0].isdigit():
            raise DataError(f'"{path}": {written[at]!r} is no name for a field', "give the columns names of letters")
        if name in fields[:at]:
            raise DataError(f'"{path}" has two columns called `{name}`')
    return fields


def _from_cells(cells: list[str], name: str, path: str) -> Column:
    """Numbers if every cell is one, else text; a table with holes among numbers is refused."""
    holes = [at for at, cell in enumerate(cells) if cell.strip().lower() in _MISSING]
    if holes:
        _refuse_holes(cells, holes, f'"{path}": column `{name}`')
        return Strings(cells)
    for dtype in (np.int64, np.float64):
        numbers = _numbers(cells, dtype)
        if numbers is not None and (dtype is np.float64 or _fits(numbers)):
            return Dense(narrow(numbers, f"column `{name}`"))
    return Strings(cells)


def _refuse_holes(cells: list[str], holes: list[int], what: str) -> None:
    absent = set(holes)
    full = [cell for at, cell in enumerate(cells) if at not in absent]
    if full and _numbers(full, np.float64) is not None:
        hint = "fill such cells in, or leave the rows or the column out"
        raise DataError(f"{what} has no number in row {holes[0] + 1} and numbers elsewhere", hint)


def _numbers(cells: list[str], dtype: type[np.generic]) -> Array | None:
    try:
        return np.array([float(cell) if dtype is np.float64 else int(cell) for cell in cells], dtype)
    except (ValueError, OverflowError):
        return None


def _fits(numbers: Array) -> bool:
    bounds = np.iinfo(np.int32)
    return bool(numbers.min() >= bounds.min and numbers.max() <= bounds.max)


def _record(line: str, path: str, at: int) -> tuple[int, dict[str, Any]]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f'"{path}", line {at}: is no JSON: {error}') from None
    if not isinstance(record, dict):
        raise DataError(f'"{path}", line {at}: is no JSON object', 'write {"text": "…", "label": 1}, one a line')
    return at, cast(dict[str, Any], record)


def _from_json(values: list[Any], key: str, path: str) -> Column:
    what = f'"{path}": `{key}`'
    if all(isinstance(value, str) for value in values):
        return Strings(values)
    if all(isinstance(value, list) for value in values) and len({len(value) for value in values}) > 1:
        parts = [_array(value, what) for value in values]
        if any(part.ndim != 1 for part in parts):
            raise DataError(f"{what} holds nested lists of different lengths")
        dtype = np.result_type(*(part for part in parts if len(part)))
        return Ragged.join([part.astype(dtype) for part in parts], dtype)
    return dense(_array(values, what), what)


def _array(values: list[Any], what: str) -> Array:
    try:
        return narrow(np.array(values), what)
    except (ValueError, OverflowError):
        raise DataError(f"{what} holds lists of different lengths, or numbers that do not fit") from None
