"""Transforms of sequences: from text to ids to examples of one length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path

import numpy as np

from .cache import cached_arrays, digest
from .columns import Array, Column, Dense, Ragged, Strings, Windows, smallest_ids
from .errors import DataError, names
from .project import Project
from .stage import Apply, Step, Transform
from .table import Table
from .tokenizers import BOS, EOS, Tokenizer, TokenizerRecipe, tokenizer_json


@dataclass(frozen=True)
class Encode(Step):
    """The ids of a text field. Yields ``into``: ``i32[length]``, of differing lengths, eos last if there is one."""

    field: str
    tokenizer: TokenizerRecipe
    into: str

    def fit(self, train: Table, project: Project) -> Apply:
        made = self.tokenizer.train(train.strings(self.field).values, project.cache)
        return Encoding(self.field, made, self.into, project.cache).apply


@dataclass(frozen=True)
class Tokenize(Step):
    """A tokenizer standing alone in a pipeline: it replaces ``text``, or the only text there is, by ``tokens``."""

    tokenizer: TokenizerRecipe

    def fit(self, train: Table, project: Project) -> Apply:
        field = _only_text(train)
        made = self.tokenizer.train(train.strings(field).values, project.cache)
        return Encoding(field, made, "tokens", project.cache, consume=True).apply


def _only_text(table: Table) -> str:
    texts = [name for name, column in table.columns.items() if isinstance(column, Strings)]
    if "text" in texts:
        return "text"
    if len(texts) != 1:
        hint = "name the field: `encode(title, bytes(), into = tokens)`"
        raise DataError(f"a tokenizer reads the field `text`; the texts here are {names(texts)}", hint)
    return texts[0]


@dataclass(frozen=True)
class Encoding:
    """`encode` with its tokenizer trained."""

    field: str
    tokenizer: Tokenizer
    into: str
    cache: Path | None = None
    consume: bool = False

    def apply(self, table: Table) -> Table:
        """The table with the field's ids, and without the text if it is consumed."""
        texts = table.strings(self.field).values
        saved = tokenizer_json(self.tokenizer)
        folder = self.cache if saved else None
        key = digest(f"encode {self.tokenizer.special} {saved}", texts) if folder else ""
        flat, offsets = cached_arrays(folder, key, lambda: self._encode(texts))
        ids = Ragged(flat, offsets, np.dtype(np.int32))
        kept = table.drop([self.field]) if self.consume else table
        return kept.put({self.into: ids}, {self.into: self.tokenizer})

    def _encode(self, texts: Sequence[str]) -> tuple[Array, Array]:
        ends = [EOS] if self.tokenizer.special else []
        encoded = (np.append(ids, np.array(ends, np.int32)) for ids in self.tokenizer.encode_all(texts))
        parts = [smallest_ids(ids, self.tokenizer.size) for ids in encoded]
        joined = Ragged.join(parts, np.dtype(np.int32))
        return joined.flat, joined.offsets


@dataclass(frozen=True)
class Window(Transform):
    """Windows of ``tokens`` for a language model. Yields ``tokens`` and ``targets``, the same moved on by one.

    Documents are joined into one sequence: by eos if the tokenizer has it, else by a newline, so that a window may
    hold the end of one and the beginning of the next. Windows begin ``stride`` tokens apart (``length`` if none, so
    that they do not overlap); what is left at the end and fills no window is dropped, as are the other fields.
    """

    length: int
    stride: int | None = None

    def __post_init__(self) -> None:
        for name, value in (("length", self.length), ("stride", self.stride)):
            if value is not None and value < 1:
                raise DataError(f"`window` needs a {name} of at least 1, not {value}")

    def apply(self, table: Table) -> Table:
        flat = _joined(table)
        starts = range(0, len(flat) - self.length, self.stride or self.length)
        if not starts:
            raise DataError(
                f"`window({self.length})` needs at least {self.length + 1} tokens, and there are {len(flat)}",
                "shorten the window, or add data",
            )
        dtype = table.column("tokens").take(np.zeros(0, np.int64)).dtype if _is_dense(table) else np.dtype(np.int32)
        tokens = Windows(flat, starts, self.length, dtype)
        targets = Windows(flat[1:], starts, self.length, dtype)
        return Table({"tokens": tokens, "targets": targets}, table.made("tokens", "tokens", "targets"))


def _is_dense(table: Table) -> bool:
    column = table.column("tokens")
    return isinstance(column, Dense) and column.values.ndim == 2


def _joined(table: Table) -> Array:
    """All documents' tokens as one sequence: ``[tokens]``."""
    if _is_dense(table):
        return table.dense("tokens").values.reshape(-1)
    tokens, tokenizer = table.ragged("tokens"), table.tokenizers.get("tokens")
    if len(tokens) == 1 or tokenizer is None or tokenizer.special:
        return tokens.flat
    newline = smallest_ids(tokenizer.encode("\n"), tokenizer.size)
    documents = map(tokens.example, range(len(tokens)))
    return np.concatenate(list(chain.from_iterable(zip(documents, repeat(newline), strict=False)))[:-1])


@dataclass(frozen=True)
class Pad(Transform):
    """Examples of one length: longer ones are cut at the end, shorter ones end in ``value``.

    Yields ``field``: ``[length]``, and ``mask`` if named: ``bool[length]``, true where the example is.
    """

    field: str
    length: int
    value: int = 0
    mask: str | None = None

    def __post_init__(self) -> None:
        if self.length < 1:
            raise DataError(f"`pad` needs a length of at least 1, not {self.length}")

    def apply(self, table: Table) -> Table:
        column = _as_ragged(table, self.field)
        present = np.arange(self.length) < column.lengths[:, None]
        padded = np.full(present.shape, self.value, column.dtype)
        for row, line in enumerate(padded):
            example = column.example(row)[: self.length]
            line[: len(example)] = example
        mask: dict[str, Column] = {self.mask: Dense(present)} if self.mask else {}
        return table.put({self.field: Dense(padded), **mask}, table.made(self.field, self.field))


def _as_ragged(table: Table, name: str) -> Ragged:
    column = table.column(name)
    if isinstance(column, Dense) and column.values.ndim == 2:
        examples, length = column.values.shape
        return Ragged(
            column.values.reshape(-1), np.arange(examples + 1, dtype=np.int64) * np.int64(length), column.values.dtype
        )
    return table.ragged(name)


@dataclass(frozen=True)
class Shift(Transform):
    """What a decoder reads while it is taught to say ``field``: ``start``, then the field without its last element.

    Yields ``into``, of the same type as ``field``. ``start`` is bos if the field's tokenizer has it, else 0.
    """

    field: str
    into: str
    start: int | None = None

    def apply(self, table: Table) -> Table:
        values = table.dense(self.field).values
        if values.ndim != 2:
            raise DataError(f"`shift` needs sequences, and field `{self.field}` is {table.fields[self.field]}")
        tokenizer = table.tokenizers.get(self.field)
        start = self.start if self.start is not None else BOS if tokenizer and tokenizer.special else 0
        first = np.full((len(values), 1), start, values.dtype)
        shifted = np.concatenate([first, values[:, :-1]], axis=1)
        return table.put({self.into: Dense(shifted)}, table.made(self.field, self.into))


@dataclass(frozen=True)
class FilterLength(Transform):
    """Only the examples whose ``field`` is from ``min`` to ``max`` long: characters of a text, ids of a sequence."""

    field: str
    max: int
    min: int = 0

    def apply(self, table: Table) -> Table:
        column = table.column(self.field)
        if isinstance(column, Strings):
            lengths = np.array([len(text) for text in column.values])
        else:
            lengths = table.ragged(self.field).lengths
        return table.select(np.flatnonzero((lengths >= self.min) & (lengths <= self.max)))


@dataclass(frozen=True)
class Lowercase(Transform):
    """A text in lower case. Yields ``field``."""

    field: str

    def apply(self, table: Table) -> Table:
        return table.put({self.field: Strings([text.lower() for text in table.strings(self.field).values])})
