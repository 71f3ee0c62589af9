"""Comments that document: `##` lines above an item, and the block that heads a file."""

from __future__ import annotations


def doc_above(text: str, start: int) -> str:
    """The `##` lines right above the line that begins at or before `start`, without their marks."""
    at = _line_start(text, start)
    if text[at:start].strip():
        return ""
    lines: list[str] = []
    while at > 0:
        previous = _line_start(text, at - 1)
        line = text[previous:at].strip()
        if not line.startswith("##"):
            break
        lines.append(_content(line))
        at = previous
    return "\n".join(reversed(lines))


def doc_start(text: str, start: int) -> int:
    """Where the `##` lines above `start` begin, or `start` itself; `start` begins a line."""
    while start > 0:
        previous = _line_start(text, start - 1)
        if not text.startswith("##", previous):
            break
        start = previous
    return start


def heading(text: str) -> str:
    """The comment block that a file begins with, unless it documents the item right below it."""
    lines: list[str] = []
    after = ""
    for line in text.removeprefix("\ufeff").splitlines():
        if not line.startswith("#"):
            after = line
            break
        lines.append(line)
    while after.strip() and lines and lines[-1].startswith("##"):
        lines.pop()
    return "\n".join(_content(line) for line in lines)


def _content(line: str) -> str:
    return line.lstrip("#").removeprefix(" ").rstrip()


def _line_start(text: str, at: int) -> int:
    return text.rfind("\n", 0, at) + 1
