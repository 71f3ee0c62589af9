"""Text that cannot drive a terminal, and how wide it is there.

Source texts, file names and whatever a message quotes of them may come from a stranger. Escape sequences,
other control characters and characters that reorder or hide text are shown as visible stand-ins.
"""

from __future__ import annotations

import unicodedata

LONGEST = 2_000
"""Characters of one message, note or label that are shown."""

_DELETE = 0x7F
_CONTROL_PICTURES = 0x2400


def harmless(text: str) -> str:
    """``text`` on one line, with every character visible, cut after :data:`LONGEST` characters."""
    cut = text if len(text) <= LONGEST else text[:LONGEST] + "…"
    return cut if cut.isprintable() else "".join(map(visible, cut))


def visible(char: str) -> str:
    """One character, or its stand-in: ``␛`` for an escape, ``\\u{202e}`` for a change of direction."""
    code = ord(char)
    if char.isprintable() or unicodedata.category(char) == "Zs":
        return char
    if code < ord(" "):
        return chr(_CONTROL_PICTURES + code)
    return "␡" if code == _DELETE else f"\\u{{{code:x}}}"


def columns(char: str) -> int:
    """Columns of a terminal that one visible character takes: 0 (combining), 1 or 2 (wide)."""
    if char.isascii():
        return 1
    if unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def width(text: str) -> int:
    """Columns of a terminal that ``text`` takes, once it is :func:`harmless`."""
    return len(text) if text.isascii() else sum(map(columns, text))
