"""Diagnostics as plain data: what is wrong, where, why, and how to mend it.

Stages append them to a :class:`Diagnostics` sink and go on; only the driver decides when to stop. How they
look is the business of the renderers in this package.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from ..frozen import Frozen
from ..source import Span
from .allowed import is_allowed

Severity = Literal["error", "warning"]


class Label(Frozen):
    """A second place that takes part in the story, with what happens there."""

    span: Span
    text: str


class Edit(Frozen):
    """A change that mends the file for certain: replace the text of ``span``."""

    span: Span
    replacement: str


@dataclass(frozen=True)
class Diagnostic:
    """One thing to tell the user.

    ``code`` is one of the table in :mod:`trxc.diagnostics.codes`. ``message`` is lowercase, without a full
    stop, code in backticks. ``label`` is said under the caret of ``span``. ``helps`` are changes the user can
    make, ``notes`` the rest; ``trail`` are the instantiations that led here, innermost first.
    """

    code: str
    message: str
    span: Span | None
    severity: Severity = "error"
    label: str = ""
    labels: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    helps: tuple[str, ...] = ()
    edits: tuple[Edit, ...] = ()
    trail: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = f"{self.span}: " if self.span else ""
        return f"{where}{self.severity}[{self.code}]: {self.message}"


@dataclass
class Diagnostics:
    """A sink that stages append to. One mistake gives one error: the same code at the same span is kept once."""

    items: list[Diagnostic] = field(default_factory=list[Diagnostic])
    allowed: list[Diagnostic] = field(default_factory=list[Diagnostic])
    """Warnings that are not given, as the file allows them."""
    _seen: set[tuple[str, str, int, int]] = field(default_factory=set[tuple[str, str, int, int]])

    def add(self, diagnostic: Diagnostic) -> None:
        """Keeps ``diagnostic``, unless one with its code is already at its span, or the file allows it."""
        if diagnostic.severity == "warning" and is_allowed(diagnostic.code, diagnostic.span):
            self.allowed.append(diagnostic)
            return
        span = diagnostic.span
        place = (
            diagnostic.code,
            span.source.name if span else "",
            span.start if span else -1,
            span.end if span else -1,
        )
        if place not in self._seen:
            self._seen.add(place)
            self.items.append(diagnostic)

    @property
    def failed(self) -> bool:
        """Whether any of them is an error."""
        return any(item.severity == "error" for item in self.items)

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)
