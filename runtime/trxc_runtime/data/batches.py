"""Batches of a split: any training step's, one pass in order, or a stream prepared ahead."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import cached_property, lru_cache
from hashlib import sha256
from queue import Empty, Full, Queue
from typing import Any, cast

import numpy as np

from .columns import Array, Column, FieldType, Ragged, Strings
from .errors import DataError
from .table import Table

Batch = dict[str, Array]


class Split:
    """The examples of one split, ready to be batched.

    A batch is ``{field: [size, *shape]}`` of the fields that a model can read: texts and fields whose examples
    differ in length are left out. ``len(split)`` is the number of examples.
    """

    def __init__(self, name: str, table: Table, *, shuffle: bool = True) -> None:
        self.name = name
        self.table = table
        self.shuffle = shuffle

    def __len__(self) -> int:
        return len(self.table)

    @property
    def fields(self) -> dict[str, FieldType]:
        """The type of every field, also of those that no batch holds."""
        return self.table.fields

    def batch(self, step: int, size: int, *, seed: int) -> Batch:
        """The training batch of step ``step``, a function of ``(seed, step, size)`` alone.

        The examples come in a new order each epoch. A batch may end one epoch and begin the next, and no example
        is left out. The number of processes is of no consequence: each takes its rows of the same batch.
        """
        return self._take(_order(len(self), size, seed, self.shuffle)(step))

    def batches(self, size: int) -> Iterator[tuple[Batch, int]]:
        """One pass in order, each batch with its number of examples; the last may hold fewer than ``size``."""
        _check_size(size)
        for start in range(0, len(self), size):
            rows = np.arange(start, min(start + size, len(self)))
            yield self._take(rows), len(rows)

    def stream(self, size: int, seed: int, start: int = 0, prefetch: int = 2) -> Stream:
        """The batches of steps ``start``, ``start + 1``, …, made by a thread up to ``prefetch`` ahead."""
        return Stream(self, size, seed, start, prefetch)

    @cached_property
    def _columns(self) -> dict[str, Column]:
        columns = self.table.columns.items()
        return {name: column for name, column in columns if not isinstance(column, (Strings, Ragged))}

    def _take(self, rows: Array) -> Batch:
        return {name: column.take(rows) for name, column in self._columns.items()}


class Stream(Iterator[Batch]):
    """Endless batches, prepared by a thread. Close it, or use it as a context, to end the thread."""

    def __init__(self, split: Split, size: int, seed: int, start: int, prefetch: int) -> None:
        self._split, self._size, self._seed, self._start = split, size, seed, start
        self._ready: Queue[Batch | BaseException] = Queue(max(1, prefetch))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._fill, name=f"batches of {split.name}", daemon=True)
        self._thread.start()

    def __next__(self) -> Batch:
        while not self._stop.is_set():
            try:
                made = self._ready.get(timeout=0.2)
            except Empty:
                continue
            if isinstance(made, BaseException):
                self.close()
                raise made
            return made
        raise StopIteration

    def close(self) -> None:
        """Ends the thread and waits for it; closing twice is no error."""
        self._stop.set()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _fill(self) -> None:
        step = self._start
        while not self._stop.is_set():
            try:
                made: Batch | BaseException = self._split.batch(step, self._size, seed=self._seed)
            except Exception as error:  # raised where the batch is asked for
                made = error
            self._offer(made)
            step += 1
            if isinstance(made, BaseException):
                return

    def _offer(self, made: Batch | BaseException) -> None:
        while not self._stop.is_set():
            try:
                self._ready.put(made, timeout=0.2)
                break
            except Full:
                continue


class _Order:
    """The rows of each step's batch, worked out for that step alone."""

    def __init__(self, examples: int, size: int, seed: int, shuffle: bool) -> None:
        import grain  # pyright: ignore[reportMissingTypeStubs] - it has none

        rows = cast(Any, grain.MapDataset).range(examples)
        # Grain adds the epoch to the seed: hashed, so that seed 0's second epoch is not seed 1's first.
        mixed = int.from_bytes(sha256(f"shuffle {seed}".encode()).digest()[:4], "little")
        ordered = rows.shuffle(seed=mixed) if shuffle else rows
        self._batches = ordered.repeat().batch(size)

    def __call__(self, step: int) -> Array:
        return np.asarray(self._batches[step], np.int64)


@lru_cache(maxsize=16)
def _order(examples: int, size: int, seed: int, shuffle: bool) -> _Order:
    _check_size(size)
    return _Order(examples, size, seed, shuffle)


def _check_size(size: int) -> None:
    if size < 1:
        raise DataError(f"a batch holds at least 1 example, not {size}")
