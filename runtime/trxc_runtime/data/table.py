"""A table: the fields of a set of examples, and the tokenizers that made the ids among them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from .columns import Array, Column, Dense, FieldType, Ragged, Strings
from .errors import DataError, names, nearest

if TYPE_CHECKING:
    from .tokenizers import Tokenizer


@dataclass(frozen=True)
class Table:
    """Columns of equal length by field name; ``tokenizers[field]`` made the ids in ``field``."""

    columns: Mapping[str, Column]
    tokenizers: Mapping[str, Tokenizer] = field(default_factory=dict[str, "Tokenizer"])

    def __post_init__(self) -> None:
        for name in self.columns:
            if not (name.isidentifier() and name.isascii()):
                raise DataError(f"{name!r} is no name for a field", "use letters, digits and underscores")
        lengths = {name: len(column) for name, column in self.columns.items()}
        if len(set(lengths.values())) > 1:
            counts = ", ".join(f"`{name}` {count}" for name, count in lengths.items())
            raise DataError(f"fields differ in their number of examples: {counts}")

    def __len__(self) -> int:
        return next((len(column) for column in self.columns.values()), 0)

    @property
    def fields(self) -> dict[str, FieldType]:
        """The type of every field."""
        return {name: self._type(name) for name in self.columns}

    def _type(self, name: str) -> FieldType:
        tokenizer = self.tokenizers.get(name)
        return replace(self.columns[name].type, below=tokenizer.size if tokenizer else None)

    def column(self, name: str) -> Column:
        """The field called ``name``; :class:`DataError` with the names there are, if there is none."""
        if name not in self.columns:
            near = nearest(name, self.columns)
            raise DataError(f"the data have no field `{name}`", *near, f"they have {names(self.columns)}")
        return self.columns[name]

    def numbers(self, name: str) -> Column:
        """The field called ``name``, which must not be text."""
        column = self.column(name)
        if isinstance(column, Strings):
            raise DataError(f"field `{name}` holds text where numbers are needed", "make ids of it with `encode`")
        return column

    def strings(self, name: str) -> Strings:
        """The field called ``name``, which must be text."""
        column = self.column(name)
        if not isinstance(column, Strings):
            raise DataError(f"field `{name}` is {column.type} where text is needed")
        return column

    def dense(self, name: str) -> Dense:
        """The field called ``name``, which must be numbers of one shape in every example."""
        column = self.column(name)
        if not isinstance(column, Dense):
            hints = ("give its examples one length with `pad` first",) if isinstance(column, Ragged) else ()
            raise DataError(f"field `{name}` is {column.type} where numbers of one shape are needed", *hints)
        return column

    def ragged(self, name: str) -> Ragged:
        """The field called ``name``, which must be sequences of differing lengths."""
        column = self.column(name)
        if not isinstance(column, Ragged):
            hint = "make ids of text with a tokenizer first, such as `bytes()`"
            raise DataError(f"field `{name}` is {column.type} where sequences of tokens are needed", hint)
        return column

    def put(self, columns: Mapping[str, Column], tokenizers: Mapping[str, Tokenizer] | None = None) -> Table:
        """The table with fields added or replaced; what was known of a replaced field's ids is forgotten."""
        kept = {name: made for name, made in self.tokenizers.items() if name not in columns}
        return Table({**self.columns, **columns}, {**kept, **(tokenizers or {})})

    def made(self, field: str, *into: str) -> dict[str, Tokenizer]:
        """What :meth:`put` should know of fields ``into`` that hold the same ids as ``field``."""
        return {name: self.tokenizers[field] for name in into if field in self.tokenizers}

    def keep(self, wanted: Iterable[str]) -> Table:
        """The table with only those fields."""
        columns = {name: self.column(name) for name in wanted}
        return Table(columns, {name: made for name, made in self.tokenizers.items() if name in columns})

    def drop(self, unwanted: Iterable[str]) -> Table:
        """The table without those fields."""
        for name in (unwanted := list(unwanted)):
            self.column(name)
        return self.keep(name for name in self.columns if name not in unwanted)

    def select(self, rows: Array) -> Table:
        """The table with only those examples, in that order."""
        return Table({name: column.select(rows) for name, column in self.columns.items()}, self.tokenizers)
