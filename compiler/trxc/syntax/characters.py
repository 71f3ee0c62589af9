"""What to say about characters that begin no token."""

from __future__ import annotations

import re
import unicodedata

from ..diagnostics.diagnostic import Diagnostic, Edit
from ..source import Span
from .situation import Situation
from .tokens import BAD, Token

_LOOKALIKES = {
    "\u00a0": " ", "\u2003": " ", "\u3000": " ", "−": "-", "–": "-", "—": "-", "×": "*", "·": "*", "÷": "/",
    "≤": "<=", "≥": ">=", "≠": "!=", "→": "->", "⇒": "=>", "…": "...", "（": "(", "）": ")", "，": ",", "：": ":",
}  # fmt: skip
_QUOTES = {"'": "'", "`": "`", "“": "”“", "”": "”", "„": "“”", "‘": "’‘", "’": "’", "«": "»"}
_OTHERWISE = {"&": "`and`", "|": "`or`, and a value is piped with `|>`", "!": "`not`", "~": "`not`"}
_DOUBLED = {"&&": "and", "||": "or"}


def explain_character(situation: Situation) -> Diagnostic | None:
    """The diagnostic for the first unreadable character of the statement, up to where the parse stopped."""
    tokens = situation.tokens[situation.begin : situation.at + 1]
    token = next((token for token in tokens if token.type == BAD), None)
    if token is None:
        return None
    span = situation.span(token)
    if token.text.startswith('"'):
        label = "opened here, and the line ends before it is closed"
        return Diagnostic("TRX0105", "string is never closed", span, label=label, helps=('add a `"`',))
    if token.text in _QUOTES:
        return _other_quotes(situation, token)
    return _foreign_operator(situation, token) or _foreign_character(span)


def _other_quotes(situation: Situation, token: Token) -> Diagnostic:
    source = situation.source
    span, edits = situation.span(token), ()
    string = re.compile(rf"{token.text}([^\"\\\n]*?)[{_QUOTES[token.text]}]").match(source.text, token.start)
    if string:
        span = Span(source, string.start(), string.end())
        edits = (Edit(span, f'"{string[1]}"'),)
    return Diagnostic("TRX0109", 'strings are written with double quotes, `"`', span, edits=edits)


def _foreign_operator(situation: Situation, token: Token) -> Diagnostic | None:
    """`&&`, `||`, `!` and `;`, of other languages."""
    source, char = situation.source, token.text
    double = source.text[token.start : token.start + 2]
    if double in _DOUBLED:
        span = Span(source, token.start, token.start + 2)
        word = _DOUBLED[double]
        edit = Edit(span, word if source.text[span.end : span.end + 1].isspace() else f"{word} ")
        return Diagnostic("TRX0109", f"`{double}` is written `{word}`", span, edits=(edit,))
    span = situation.span(token)
    if char == ";":
        message = "statements are separated by new lines, not by `;`"
        return Diagnostic("TRX0109", message, span)
    if char in _OTHERWISE:
        edits = (Edit(span, "not "),) if char == "!" else ()
        return Diagnostic("TRX0109", f"`{char}` is written {_OTHERWISE[char]}", span, edits=edits)
    return None


def _foreign_character(span: Span) -> Diagnostic:
    char = span.text
    name = unicodedata.name(char, f"U+{ord(char):04X}")
    if instead := _LOOKALIKES.get(char):
        message = f"{name} has no place here"
        help_ = f"write `{instead}`" if instead != " " else "write an ordinary space"
        return Diagnostic("TRX0104", message, span, helps=(help_,), edits=(Edit(span, instead),))
    if char.isalpha():
        message = f"`{char}` ({name}) cannot be part of a name"
        return Diagnostic("TRX0104", message, span, helps=("names are made of the letters a–z, digits and `_`",))
    shown = f"`{char}` ({name})" if char.isprintable() else name
    return Diagnostic("TRX0104", f"{shown} has no place here", span)
