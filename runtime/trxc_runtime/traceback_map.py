"""Tracebacks that end in emitted code, told at the line of the ``.trx`` file that it came from."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import Any

from .artifact import PROGRAM, part
from .errors import first_line


def explain_exception(error: BaseException, manifest: Mapping[str, Any]) -> str | None:
    """The exception at its ``.trx`` line, as a few lines of text; None if no emitted code took part in it."""
    place = trx_line(error, manifest)
    if place is None:
        return None
    name, line = place
    text = _source_line(manifest, name, line)
    margin = " " * len(str(line))
    shown = ["error: " + first_line(error), f"{margin} ┌─ {name}:{line}"]
    if text is not None:
        shown += [f"{margin} │", f"{line} │ {text}"]
    return "\n".join(shown)


def trx_line(error: BaseException, manifest: Mapping[str, Any]) -> tuple[str, int] | None:
    """File and line, from 1, of the innermost emitted frame that the map knows."""
    lines: list[list[Any]] = sorted(manifest.get("lines") or [])
    starts = [int(entry[0]) for entry in lines]
    digest = part(manifest, "sha256").get(PROGRAM)
    found: tuple[str, int] | None = None
    at = error.__traceback__
    while at is not None:
        if at.tb_frame.f_globals.get("__trxc_program__", "") == digest:
            index = bisect_right(starts, at.tb_lineno) - 1
            found = (str(lines[index][1]), int(lines[index][2])) if index >= 0 else found
        at = at.tb_next
    if found is None and error.__cause__ is not None:
        return trx_line(error.__cause__, manifest)
    return found


def _source_line(manifest: Mapping[str, Any], name: str, line: int) -> str | None:
    texts = str(part(manifest, "sources").get(name, "")).split("\n")
    return texts[line - 1] if 0 < line <= len(texts) and texts != [""] else None
