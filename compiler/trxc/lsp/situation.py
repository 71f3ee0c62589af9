"""What is being written at a place: found from the tokens before it, for the text there is seldom whole."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..frozen import Frozen
from ..source import Source
from ..syntax import split_items
from ..syntax.tables import load_tables
from ..syntax.tokens import NEWLINE, WORD, Token, tokenize

OPENERS = {"LPAR": "(", "LBRACE": "{", "LSQB": "["}
CLOSERS = frozenset({"RPAR", "RBRACE", "RSQB"})
RECORDS = frozenset({"data", "train", "generate", "weights", "evaluate", "mesh"})


@dataclass
class Level:
    """An open bracket: what stands before it, and what has been written in it."""

    bracket: str
    before: list[Token]
    tokens: list[Token] = field(default_factory=list[Token])

    @property
    def commas(self) -> int:
        """How many arguments are done."""
        return sum(token.text == "," for token in self.tokens)

    @property
    def argument(self) -> list[Token]:
        """The tokens of the argument (or statement) that is being written."""
        found: list[Token] = []
        for token in reversed(self.tokens):
            if token.text == "," or (token.type == NEWLINE and self.bracket != "("):
                break
            found.append(token)
        return [token for token in reversed(found) if token.type != NEWLINE]

    @property
    def callee(self) -> list[Token]:
        """The name right before the bracket, `space.name` in full."""
        found: list[Token] = []
        for token in reversed(self.before):
            wanted = WORD if len(found) % 2 == 0 else "DOT"
            if token.type != wanted:
                break
            found.append(token)
        if found and found[-1].type != WORD:
            found.pop()
        return list(reversed(found))

    @property
    def given(self) -> set[str]:
        """The names of arguments or fields that are written already."""
        pairs = zip(self.tokens, self.tokens[1:], strict=False)
        return {first.text for first, second in pairs if second.type in ("EQUAL", "LBRACE") and first.type == WORD}


class Situation(Frozen):
    """A place: the word that is being written, the item's header, and the open brackets, innermost last."""

    start: int
    end: int
    word: str
    head: list[Token]
    levels: list[Level]
    silent: bool
    """Whether it is in a comment or a string."""

    @property
    def inner(self) -> Level:
        """The innermost bracket, or the item itself."""
        return self.levels[-1]

    @property
    def kind(self) -> str:
        """The keyword that the item begins with; "" outside of items."""
        return self.head[0].text if self.head else ""

    @property
    def name(self) -> str:
        """The name of the item."""
        words = [token.text for token in self.head if token.type == WORD]
        return words[2 if self.kind == "extern" and len(words) > 2 else 1] if len(words) > 1 else ""

    @property
    def call(self) -> Level | None:
        """The innermost bracket that is one of a call."""
        for level in reversed(self.levels):
            if level.bracket == "{":
                return None
            if level.bracket == "(" and level.callee:
                return level
            if level.bracket == "(" and level.before and level.before[-1].type in CLOSERS:
                return None  # it calls what another call gives
        return None

    @property
    def fields(self) -> list[str]:
        """The records within the record that are open here, outermost first."""
        braces = [level for level in self.levels if level.bracket == "{"]
        return [level.before[-1].text for level in braces[1:] if level.before and level.before[-1].type == WORD]


def situation_at(source: Source, offset: int) -> Situation:
    """What is being written at an offset."""
    text = source.text
    start = end = offset
    while start > 0 and _is_part(text[start - 1]):
        start -= 1
    while end < len(text) and _is_part(text[end]):
        end += 1
    chunk = next((c for c in reversed(split_items(source)) if c.start <= start), None)
    tokens = tokenize(text, chunk.start if chunk else 0, start, load_tables())
    return Situation(start, end, text[start:offset], _head(tokens), _levels(tokens), _in_text(text, start))


def _is_part(char: str) -> bool:
    return char == "_" or (char.isascii() and char.isalnum())


def _head(tokens: list[Token]) -> list[Token]:
    rest = [token for token in tokens if token.type != NEWLINE]
    stop = next((at for at, token in enumerate(rest) if token.type in ("LBRACE", "EQUAL")), len(rest))
    return rest[:stop]


def _levels(tokens: list[Token]) -> list[Level]:
    levels = [Level("", [])]
    for token in tokens:
        if token.type in OPENERS:
            levels.append(Level(OPENERS[token.type], levels[-1].tokens[:]))
        elif token.type in CLOSERS and len(levels) > 1:
            levels.pop()
        if token.type not in OPENERS or len(levels) == 1:
            levels[-1].tokens.append(token)
        else:
            levels[-2].tokens.append(token)
    return levels


def _in_text(text: str, at: int) -> bool:
    """Whether a place is in a comment or a string."""
    quoted = False
    for char in text[text.rfind("\n", 0, at) + 1 : at].replace('\\"', ""):
        if char == '"':
            quoted = not quoted
        elif char == "#" and not quoted:
            return True
    return quoted
