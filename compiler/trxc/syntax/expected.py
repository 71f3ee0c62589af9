"""Words for what the parser would have taken."""

from __future__ import annotations

from .situation import Situation
from .tokens import END, NEWLINE

EXPRESSION = frozenset(
    {"NAME", "NUMBER", "STRING", "LPAR", "LSQB", "TRUE", "FALSE", "NONE", "ADD", "NOT", "IF", "FN", "NEXT"}
)
STATEMENT = frozenset({"NAME", "INPUT", "OUTPUT", "PARAM", "STATE", "CARRY", "DIM", "NEXT", "REQUIRE", "IF"})
ITEM = frozenset(
    {"USE", "CONST", "FUNCTION", "LAYER", "MODEL", "EXTERN"}
    | {"DATA", "TRAIN", "GENERATE", "WEIGHTS", "EVALUATE", "MESH"}
)
AFTER_OPERAND = frozenset(
    {"PIPE", "COMPOSE", "OR", "AND", "COMPARE", "ADD", "MULTIPLY", "CIRCUMFLEX", "LPAR", "LSQB", "DOT"}
)

_SPELLED = {
    "NAME": "a name",
    "NUMBER": "a number",
    "STRING": "a string",
    NEWLINE: "a new line",
    END: "the end of the text",
    "COMMA": "`,`",
    "EQUAL": "`=`",
    "COLON": "`:`",
    "ARROW": "`->`",
    "FAT_ARROW": "`=>`",
    "LPAR": "`(`",
    "RPAR": "`)`",
    "LSQB": "`[`",
    "RSQB": "`]`",
    "LBRACE": "`{`",
    "RBRACE": "`}`",
    "ELLIPSIS": "`...`",
    "QMARK": "`?`",
    "DOT": "`.`",
    "COMPARE": "a comparison",
    "ADD": "`+` or `-`",
    "MULTIPLY": "`*` or `/`",
    "PIPE": "`|>`",
    "COMPOSE": "`>>`",
    "CIRCUMFLEX": "`^`",
    "FUNCTION": "`fn`",
}
"""Terminals that are not keywords; a keyword is its own name in lower case."""

_MOST = 4
"""How many possibilities are worth listing."""


def expectation(situation: Situation) -> str:
    """What has a place here, such as "an expression" or "`,` or `)`"; "" where too much has one."""
    left = set(situation.expected)
    words = _groups(situation, left)
    if "RPAR" in left or "RSQB" in left or NEWLINE in left:
        left -= {"RBRACE", END} if NEWLINE in left else set()
    words.extend(spelling(name) for name in sorted(left, key=_rank))
    return _listed(words) if 0 < len(words) <= _MOST else ""


def spelling(terminal: str) -> str:
    """A terminal as a user would write or call it."""
    return _SPELLED.get(terminal) or f"`{terminal.lower()}`"


def _rank(terminal: str) -> tuple[bool, bool, str]:
    return terminal in (NEWLINE, END), terminal != "NAME", spelling(terminal)


def _groups(situation: Situation, left: set[str]) -> list[str]:
    """Names for the kinds of thing among `left`, which loses what they cover."""
    before = situation.before.type if situation.before else ""
    if {"LAYER", "CONST"} <= left:
        left -= ITEM | {END, NEWLINE}
        return ["an item such as `layer`, `fn` or `use`"]
    if "INPUT" in left:
        left -= STATEMENT | {"RBRACE", NEWLINE}
        return ["a statement"]
    if {"NUMBER", "LPAR"} <= left:
        return [_kind_of_expression(left)]
    if {"NAME", "STRING", "RBRACE"} <= left:
        left -= {"NAME", "STRING", "RBRACE"}
        return ["a field"]
    if {"NAME", "ELLIPSIS"} <= left:
        left -= {"NAME", "ELLIPSIS", "RPAR"}
        return ["a parameter"]
    if left == {"NAME"} and before in ("COLON", "ARROW"):
        left.clear()
        return ["a type such as `float[batch, seq]`"]
    if "PIPE" in left and left - AFTER_OPERAND:
        left -= AFTER_OPERAND
    return []


def _kind_of_expression(left: set[str]) -> str:
    dims, index = "ELLIPSIS" in left, "COLON" in left
    left -= EXPRESSION | {"RPAR", "RSQB", "ELLIPSIS", "COLON"}
    if index:
        return "an index"
    return "a dim or `...`" if dims else "an expression"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
