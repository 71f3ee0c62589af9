"""What number and string tokens mean."""

from __future__ import annotations

import math
import re

from ..diagnostics.diagnostic import Diagnostic, Diagnostics
from ..source import Span
from . import ast

MAX_DIGITS = 400
"""The longest number that is read; longer ones cost quadratic time to convert."""

_ESCAPE = re.compile(r"\\(u\{([0-9A-Fa-f]{1,6})\}|.)", re.DOTALL)
_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"'}


def read_number(span: Span, diagnostics: Diagnostics) -> ast.Expr:
    """An int, or a float where there is a point or an exponent."""
    text = span.text.replace("_", "")
    if len(text) > MAX_DIGITS:
        label = f"{len(text)} characters, and at most {MAX_DIGITS} are read"
        diagnostics.add(Diagnostic("TRX0107", "number is too long", span, label=label))
        return ast.Malformed(span)
    if text.isdigit():
        return ast.Number(span, int(text))
    value = float(text)
    if math.isinf(value):
        diagnostics.add(Diagnostic("TRX0107", "number is too large for a float", span, helps=("`inf` is infinity",)))
    return ast.Number(span, value)


def read_string(span: Span, diagnostics: Diagnostics) -> ast.String:
    """A string without its quotes, its escapes replaced; the first escape that means nothing is reported."""
    wrong: list[Span] = []

    def replace(found: re.Match[str]) -> str:
        value = _escaped(found[1], found[2])
        if value is None:
            at = span.start + 1 + found.start()
            wrong.append(Span(span.source, at, at + len(found[0])))
        return found[0] if value is None else value

    value = _ESCAPE.sub(replace, span.text[1:-1])
    for escape in wrong[:1]:
        _report_escape(escape, diagnostics)
    return ast.String(span, value)


def _escaped(letter: str, digits: str | None) -> str | None:
    if digits is None:
        return _SIMPLE.get(letter)
    point = int(digits, 16)
    return None if point > 0x10FFFF or 0xD800 <= point <= 0xDFFF else chr(point)


def _report_escape(span: Span, diagnostics: Diagnostics) -> None:
    wrong = f"`{span.text}` is not a character" if span.text.startswith("\\u{") else f"unknown escape `{span.text}`"
    known = r"escapes are `\n`, `\t`, `\r`, `\\`, `\"` and `\u{1F600}`; `\\` is a backslash"
    diagnostics.add(Diagnostic("TRX0106", wrong, span, helps=(known,)))
