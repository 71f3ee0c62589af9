"""What rows have said, where they do not go in step: some are ahead, and all are yielded token by token."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .stepping import ENDED, Ids


class Said:
    """The texts of all rows, each with what it has said, which of them have ended, and how far they were yielded."""

    def __init__(self, prompts: Sequence[Sequence[int]]) -> None:
        self.texts = [list(map(int, prompt)) for prompt in prompts]
        self.ended = np.zeros(len(prompts), bool)
        self._begin = [len(prompt) for prompt in prompts]
        self._yielded = 0

    @property
    def numbers(self) -> Ids:
        """How many tokens each row has said, ``i32[rows]``."""
        return np.array([len(text) - first for text, first in zip(self.texts, self._begin, strict=True)], np.int32)

    @property
    def least(self) -> int:
        """The fewest of a row that goes on; the most of all where none does."""
        return int(self.numbers.max() if self.ended.all() else self.numbers[~self.ended].min())

    def over(self, limit: int) -> bool:
        """Whether each row has ended or said so much."""
        return bool((self.ended | (self.numbers >= limit)).all())

    def add(self, tokens: Any, counts: Any, ended: Any) -> None:
        """So many tokens of each row of ``i32[rows, n]``, and which rows have ended with them."""
        rows: Ids = np.asarray(tokens, np.int32)
        for text, row, count in zip(self.texts, rows, counts, strict=True):
            text += row[:count].tolist()
        self.ended = np.array(ended)

    def ready(self) -> Iterator[Ids]:
        """Yield ``i32[rows]``, what all rows have said and was not yielded yet; ENDED of one that ended before."""
        numbers, until = self.numbers, self.least
        for at in range(self._yielded, until):
            rows = zip(self.texts, self._begin, numbers, strict=True)
            yield np.array([text[first + at] if at < number else ENDED for text, first, number in rows], np.int32)
        self._yielded = max(until, self._yielded)
