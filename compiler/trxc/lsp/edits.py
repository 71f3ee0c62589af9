"""Changes of a text, and where what stands in it now has stood before them."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..frozen import Frozen

MAX_CHANGES = 200
"""Changes that are kept apart; more are taken as one of all that lies between."""


class Change(Frozen):
    """Characters `start` up to `end` give way to `text`."""

    start: int
    end: int
    text: str

    def apply(self, before: str) -> str:
        """The text after it."""
        return before[: self.start] + self.text + before[self.end :]


@dataclass
class History:
    """The changes of a text since a version of it, oldest first."""

    changes: list[Change] = field(default_factory=list[Change])

    def add(self, change: Change) -> None:
        """Adds the next change."""
        self.changes.append(change)
        if len(self.changes) > MAX_CHANGES:
            self.changes = [self._joined()]

    def earlier(self, start: int, end: int) -> tuple[int, int] | None:
        """Where the characters from `start` to `end` stood at first; None where a change has touched them."""
        for change in reversed(self.changes):
            new_end = change.start + len(change.text)
            if start >= new_end:
                by = (change.end - change.start) - len(change.text)
                start, end = start + by, end + by
            elif end > change.start:
                return None
        return start, end

    def _joined(self) -> Change:
        """One change that spans all of them, in the coordinates of the first text. Its own text matters by length."""
        first, *rest = self.changes
        start, end, length = first.start, first.end, len(first.text)
        for change in rest:
            before = max(0, start - change.start)  # characters ahead of what has changed so far
            after = max(0, change.end - (start + length))
            start, end = start - before, end + after
            length += before + after + len(change.text) - (change.end - change.start)
        return Change(start, end, " " * length)


def between(before: str, after: str) -> Change:
    """The smallest single change that makes one text of another."""
    most = min(len(before), len(after))
    start = next((at for at in range(most) if before[at] != after[at]), most)
    same = 0
    while same < most - start and before[-1 - same] == after[-1 - same]:
        same += 1
    return Change(start, len(before) - same, after[start : len(after) - same])
