"""Trees that are read once: what reads as in the version before is moved to where it stands now.

To move the tree of an item costs a fifth of what reading it does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from ..frozen import Frozen
from ..source import Source, Span
from . import ast

_new = object.__new__
_set = object.__setattr__
Tree = TypeVar("Tree", bound=Frozen)


@dataclass
class Trees:
    """The items of one file's last version, by the text of the chunk that they were read from, and where it began.

    Only what was read without a complaint is kept. What has not been asked for again in a version is forgotten.
    """

    _before: dict[str, tuple[int, tuple[ast.Item, ...]]] = field(
        default_factory=dict[str, "tuple[int, tuple[ast.Item, ...]]"]
    )
    _now: dict[str, tuple[int, tuple[ast.Item, ...]]] = field(
        default_factory=dict[str, "tuple[int, tuple[ast.Item, ...]]"]
    )

    def begin(self) -> None:
        """Another version is going to be read."""
        self._before, self._now = self._now, {}

    def find(self, source: Source, start: int, text: str) -> tuple[ast.Item, ...] | None:
        """The items of a chunk that begins at `start` of a source; None where it reads unlike any before."""
        known = self._before.get(text)
        if known is None:
            return None
        items = tuple(moved(item, source, start - known[0]) for item in known[1])
        self._now[text] = start, items
        return items

    def keep(self, start: int, text: str, items: tuple[ast.Item, ...]) -> None:
        """Keeps the items of a chunk."""
        self._now[text] = start, items


def moved(node: Tree, source: Source, by: int) -> Tree:
    """A copy of a tree, every span of it in another source and `by` characters further on."""
    copy = _new(type(node))
    for name in node.__match_args__:
        value: Any = getattr(node, name)
        if type(value) is Span:
            value = _moved_span(value, source, by)
        elif type(value) is tuple:
            parts = cast("tuple[object, ...]", value)
            value = tuple([moved(part, source, by) if isinstance(part, Frozen) else part for part in parts])
        elif isinstance(value, Frozen):
            value = moved(value, source, by)
        _set(copy, name, value)
    return copy


def _moved_span(span: Span, source: Source, by: int) -> Span:
    """Not through the constructor of `Span`, which takes twice as long; there are as many as nodes."""
    copy = _new(Span)
    _set(copy, "source", source)
    _set(copy, "start", span.start + by)
    _set(copy, "end", span.end + by)
    return copy
