"""How elaboration reports: faults are raised where something is wrong, and caught at the statement around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..diagnostics import Diagnostic, Edit, Label
from ..resolve import respelt
from ..source import Span


def counted(number: int, noun: str) -> str:
    """`1 input`, `2 inputs`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


class Fault(Exception):  # noqa: N818 - what users are told of is a fault of their program
    """Something is wrong with the program. The statement that was being elaborated gives a diagnostic and goes on."""

    def __init__(
        self,
        code: str,
        message: str,
        span: Span,
        *,
        label: str = "",
        labels: Sequence[tuple[Span, str]] = (),
        helps: Sequence[str] = (),
        notes: Sequence[str] = (),
        edits: Sequence[Edit] = (),
    ) -> None:
        super().__init__(message)
        self.placed = False
        places = tuple(Label(place, text) for place, text in labels)
        mends = tuple(edits) or respelt(span, helps)
        self.diagnostic = Diagnostic(
            code, message, span, label=label, labels=places, helps=tuple(helps), notes=tuple(notes), edits=mends
        )

    def add_label(self, span: Span, text: str) -> None:
        """Adds a second place that takes part."""
        labels = (*self.diagnostic.labels, Label(span, text))
        self.diagnostic = replace(self.diagnostic, labels=labels)


def as_float(number: int, span: Span) -> float:
    """An int as a float.

    Raises:
        Fault: it is larger than any float.
    """
    try:
        return float(number)
    except OverflowError:
        raise Fault("TRX0212", "this int is larger than any float", span) from None


class NeedsKnown(Fault):
    """A size must be known at compile time and is not; checking a layer by itself then falls back to its defaults."""

    def __init__(self, symbols: frozenset[str], message: str, span: Span) -> None:
        super().__init__("TRX0407", message, span, helps=["give the size a value, with a default or `--set`"])
        self.symbols = symbols


class Silent(Exception):  # noqa: N818 - nothing is wrong that has not been said
    """A value that is missing because of an error that has been reported already."""
