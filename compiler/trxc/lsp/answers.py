"""The answers that the core gives, free of any protocol."""

from __future__ import annotations

from ..diagnostics.diagnostic import Severity
from ..frozen import Frozen
from .positions import Position, Range


class Location(Frozen):
    """A place in a document, by its name."""

    document: str
    range: Range


class TextEdit(Frozen):
    """A change of a document."""

    range: Range
    text: str


class Hover(Frozen):
    """What to show beside a place: Markdown."""

    text: str
    range: Range


class Hint(Frozen):
    """What to show between two characters, with what it means."""

    position: Position
    text: str
    detail: str


class Related(Frozen):
    """A second place that takes part in a diagnostic."""

    location: Location
    text: str


class Problem(Frozen):
    """A diagnostic of a document."""

    range: Range
    severity: Severity
    code: str
    message: str
    related: tuple[Related, ...]
    unused: bool


class Action(Frozen):
    """A change that mends a problem, by document."""

    title: str
    problem: Problem
    edits: dict[str, list[TextEdit]]
    preferred: bool


class Completion(Frozen):
    """A word that may stand at a place. `order` sorts, the smallest first; `insert` replaces `range`."""

    label: str
    kind: str
    detail: str
    doc: str
    insert: str
    range: Range
    order: int


class Help(Frozen):
    """How the call around a place is made: its signature, the ranges of parameters in it, and which one is next."""

    label: str
    parameters: tuple[tuple[int, int], ...]
    active: int | None
    doc: str


class Outline(Frozen):
    """A symbol of a document with those in it. `range` is all of it, `selection` its name."""

    name: str
    kind: str
    detail: str
    range: Range
    selection: Range
    children: tuple[Outline, ...] = ()


class Found(Frozen):
    """A symbol of the project."""

    name: str
    kind: str
    location: Location


class Fold(Frozen):
    """Lines (from 0) that may be folded away; `kind` is "comment" or "region"."""

    first: int
    last: int
    kind: str


class Refusal(Exception):  # noqa: N818 - it is an answer, which the user reads
    """Why something that was asked for is not done."""
