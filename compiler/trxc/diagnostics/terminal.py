"""Diagnostics as a person reads them, on a terminal or in a log.

::

    error[TRX0204]: dim `embed` is 384 here and 512 there
      ┌─ gpt.trx:31:52
      │
    24│   input x: float[batch, seq, embed]
      │                              ----- 384, from `Embedding(vocab, 384)` at line 40
    31│     |> residual(LayerNorm >> Dense(mlp) >> gelu >> Dense(512))
      │        -------- adds x: [batch, seq, 384]          ^^^^^^^^^^ gives [batch, seq, 512]
      │
      = help: `Dense(embed)` gives [batch, seq, 384]
      = in Block(heads = 6), instance 1 of 6, from GPT at line 41
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..source import Source
from .diagnostic import Diagnostic
from .excerpt import Piece, excerpt, pieces
from .harmless import harmless
from .marks import Paint
from .order import in_source_order

_ANSI = {"error": "1;31", "warning": "1;33", "second": "36", "frame": "34", "word": "1"}
_NARROWEST = 2


def render(diagnostic: Diagnostic, *, colour: bool) -> str:
    """One diagnostic, without a newline at its end; with ``colour``, in ANSI escapes."""
    paint = _ansi if colour else _as_it_is
    severity = diagnostic.severity
    head = paint(severity, f"{severity}[{diagnostic.code}]") + paint("word", f": {harmless(diagnostic.message)}")
    sections = _sections(diagnostic)
    lines = [piece.line for section in sections for piece in section.pieces]
    margin = max(_NARROWEST, *(len(str(line)) for line in (0, *lines)))
    frame = _Frame(margin, paint)
    parts = [list(frame.section(section)) for section in sections]
    parts.append(list(frame.remarks(diagnostic)))
    return "\n".join([head, *frame.join(part for part in parts if part)])


def render_all(diagnostics: Iterable[Diagnostic], *, colour: bool) -> str:
    """All of them in source order, an empty line between, and the :func:`summary`; empty where there are none."""
    items = in_source_order(diagnostics)
    return "\n\n".join([*(render(item, colour=colour) for item in items), *filter(None, [summary(items)])])


def summary(diagnostics: Iterable[Diagnostic]) -> str:
    """``2 errors, 1 warning in gpt.trx``; empty where there are none."""
    items = list(diagnostics)
    counts = [(name, sum(item.severity == name for item in items)) for name in ("error", "warning")]
    told = ", ".join(_count(number, name) for name, number in counts if number)
    files = list(dict.fromkeys(item.span.source.name for item in items if item.span))
    where = f" in {harmless(files[0]) if len(files) == 1 else _count(len(files), 'file')}" if files else ""
    return told + where


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _as_it_is(style: str, text: str) -> str:
    del style
    return text


def _ansi(style: str, text: str) -> str:
    return f"\x1b[{_ANSI[style]}m{text}\x1b[0m" if style and text else text


@dataclass(frozen=True)
class _Section:
    """What there is to show of one source, and the place that its first row names."""

    source: Source
    place: str
    pieces: Sequence[Piece]


def _sections(diagnostic: Diagnostic) -> list[_Section]:
    spans = [(label.span, label.text, "second", False) for label in diagnostic.labels]
    if diagnostic.span is not None:
        spans.insert(0, (diagnostic.span, diagnostic.label, diagnostic.severity, True))
    found: dict[Source, list[Piece]] = {}
    places: dict[Source, str] = {}
    for span, text, style, primary in spans:
        places.setdefault(span.source, str(span))
        found.setdefault(span.source, []).extend(pieces(span, text, style, primary))
    return [_Section(source, places[source], found[source]) for source in found]


@dataclass(frozen=True)
class _Frame:
    """The rule on the left that holds the rows together; line numbers stand before it."""

    margin: int
    paint: Paint

    def _rule(self, sign: str, number: int | None = None) -> str:
        before = "" if number is None else str(number)
        return self.paint("frame", f"{before:>{self.margin}}{sign}")

    def section(self, section: _Section) -> Iterator[str]:
        """The rows of one source."""
        yield f"{self._rule('┌─')} {harmless(section.place)}"
        yield self._rule("│")
        for number, row, left_out in excerpt(section.source, section.pieces):
            text = row.render(self.paint)
            yield f"{self._rule('│', number)} {text}" if text else self._rule("│", number)
            if left_out:
                yield self._rule("⋮")

    def join(self, parts: Iterable[list[str]]) -> Iterator[str]:
        """The parts, an empty row between."""
        for number, part in enumerate(parts):
            if number:
                yield self._rule("│")
            yield from part

    def remarks(self, diagnostic: Diagnostic) -> Iterator[str]:
        """Helps, notes, and the instantiations that led here."""
        for text in diagnostic.helps:
            yield from self._remark("help: ", text)
        for text in diagnostic.notes:
            yield from self._remark("note: ", text)
        for text in diagnostic.trail:
            yield from self._remark("in ", text)

    def _remark(self, word: str, text: str) -> Iterator[str]:
        first, *rest = text.split("\n")
        yield f"{self._rule('=')} {self.paint('word', word)}{harmless(first)}"
        indent = " " * (self.margin + len("= ") + len(word))
        yield from ((indent + harmless(line)).rstrip() for line in rest)
