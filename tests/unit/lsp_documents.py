"""What the tests of the language server's core share: a text with a mark, opened, read and checked."""

from __future__ import annotations

from pathlib import Path

from trxc.lsp.analysis import analyse
from trxc.lsp.documents import Document, Workspace
from trxc.lsp.positions import Position, Range

PROJECT = Path(__file__).resolve().parents[2]
LARGEST = PROJECT / "examples" / "quickstart.trx"
MARK = "‸"


def opened(text: str, *, workspace: Workspace | None = None, path: Path | None = None, check: bool = True) -> Document:
    """A document that has been checked."""
    document = (workspace or Workspace()).open(path.as_uri() if path else "test.trx", text, 1, path)
    return checked(document) if check else document


def checked(document: Document) -> Document:
    """A document whose newest version has been checked."""
    document.refresh()
    document.adopt(analyse(document.reading, document.version))
    return document


def marked(text: str) -> tuple[Document, Position]:
    """A document, and the position of the mark that stood in its text."""
    offset = text.index(MARK)
    document = opened(text.replace(MARK, "", 1))
    return document, document.lines.position(offset)


def largest() -> Document:
    """The largest example."""
    return opened(LARGEST.read_text(encoding="utf-8"), path=LARGEST)


def at(document: Document, piece: str, further: int = 0) -> Position:
    """The position of a piece of a document's text, `further` characters on."""
    return document.lines.position(document.text.index(piece) + further)


def pieces(document: Document, ranges: list[Range]) -> list[str]:
    """The texts of ranges."""
    lines = document.lines
    return [document.text[lines.offset(start) : lines.offset(end)] for start, end in ranges]


def whole(document: Document) -> Range:
    """All of a document."""
    return document.lines.range(0, len(document.text))
