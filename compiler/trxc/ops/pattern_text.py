"""Reads the text of an einops pattern: two sides of groups of letters, with the place of each."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..frozen import Frozen
from .definition import TypeFault

ELLIPSIS = "..."
MAX_LENGTH = 1000

_TOKEN = re.compile(r"\s+|\.\.\.|->|[()]|[A-Za-z_][A-Za-z_0-9]*|[0-9]+|.", re.DOTALL)


class Term(Frozen):
    """A letter or `...`, at [start, end) of the pattern."""

    name: str
    start: int
    end: int


class Group(Frozen):
    """The letters that share one dim: one, or several in parentheses, or none for a dim of size 1."""

    terms: tuple[Term, ...]
    start: int
    end: int
    is_ellipsis: bool = False


class Pattern(Frozen):
    """`left -> right`."""

    text: str
    left: tuple[Group, ...]
    right: tuple[Group, ...]

    @staticmethod
    def letters(side: Sequence[Group]) -> dict[str, Term]:
        """The letters of a side, and `...`, by name."""
        return {term.name: term for group in side for term in group.terms}


class PatternFault(TypeFault):
    """A pattern is wrong at [start, end) of its text."""

    def __init__(
        self,
        text: str,
        place: Term | Group,
        problem: str,
        *,
        operand: int | None = None,
        label: str = "",
        helps: Sequence[str] = (),
    ) -> None:
        self.start, self.end = place.start, place.end
        message = f"in the pattern `{text}`, at column {place.start + 1}: {problem}"
        super().__init__("TRX0207", message, operand=operand, label=label, helps=helps)


def parse_pattern(text: str) -> Pattern:
    """Reads `left -> right`.

    Raises:
        PatternFault: it is not a pattern, or has a letter twice on one side.
    """
    if len(text) > MAX_LENGTH:
        raise TypeFault("TRX0207", f"a pattern has at most {MAX_LENGTH} characters, not {len(text)}")
    tokens = [Term(m.group(), m.start(), m.end()) for m in _TOKEN.finditer(text) if not m.group().isspace()]
    arrows = [at for at, token in enumerate(tokens) if token.name == "->"]
    if len(arrows) != 1:
        place = tokens[arrows[1]] if arrows else Term(text, 0, len(text))
        raise PatternFault(text, place, f"a pattern has one `->`, not {len(arrows)}")
    left, right = _side(text, tokens[: arrows[0]]), _side(text, tokens[arrows[0] + 1 :])
    for group in left:
        if not group.is_ellipsis and any(term.name == ELLIPSIS for term in group.terms):
            raise PatternFault(text, group, "`...` shares a dim only on the right, where all sizes are known")
    return Pattern(text, left, right)


def _side(text: str, tokens: Sequence[Term]) -> tuple[Group, ...]:
    groups: list[Group] = []
    inside: list[Term] = []
    opened: Term | None = None
    seen: set[str] = set()
    for token in tokens:
        if token.name == "(" and opened is None:
            opened, inside = token, []
        elif token.name == ")" and opened is not None:
            groups.append(Group(tuple(inside), opened.start, token.end))
            opened = None
        else:
            terms = _letter(text, token, seen)
            if opened is not None:
                inside.extend(terms)
            else:
                groups.append(Group(terms, token.start, token.end, token.name == ELLIPSIS))
    if opened is not None:
        raise PatternFault(text, opened, "this `(` is not closed")
    return tuple(groups)


def _letter(text: str, token: Term, seen: set[str]) -> tuple[Term, ...]:
    """The letter that a token is; none for `1`, which adds nothing to a size."""
    if token.name in seen:
        raise PatternFault(text, token, f"`{token.name}` is twice on this side")
    if token.name == "(":
        raise PatternFault(text, token, "parentheses do not nest")
    if token.name == ")":
        raise PatternFault(text, token, "this `)` closes nothing")
    if token.name == "1":
        return ()
    if token.name.isdigit():
        helps = [f"use a letter, and give its size: `n = {token.name}`"]
        raise PatternFault(text, token, f"the only number in a pattern is 1, not `{token.name}`", helps=helps)
    if token.name != ELLIPSIS and not token.name.isidentifier():
        raise PatternFault(text, token, f"`{token.name}` is not a letter, `1`, `...`, `(` or `)`")
    seen.add(token.name)
    return (token,)
