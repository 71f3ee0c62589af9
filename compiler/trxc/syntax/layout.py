"""Layout: which brackets belong together, and which newlines end something."""

from __future__ import annotations

from dataclasses import dataclass, field

from .tokens import END, NEWLINE, WORD, Token

CLOSERS = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE"}
OPENERS = {closer: opener for opener, closer in CLOSERS.items()}

_OPERATORS = frozenset({"PIPE", "COMPOSE", "ADD", "MULTIPLY", "COMPARE", "CIRCUMFLEX", "OR", "AND", "NOT"})
_JOINS_NEXT_LINE = _OPERATORS | {"EQUAL", "COMMA", "ARROW", "FAT_ARROW", "LBRACE"}
TOO_DEEP = 1_000
"""Brackets open at once with which nobody looks for the one that is missing: such a text is refused anyway."""

_STATEMENTS = frozenset({"input", "output", "param", "state", "carry", "dim", "require"})
_AFTER_OPERAND = frozenset({"and", "or", "if", "else", "for", "in", "when", "from", "as", "is"})
_JOINS_LINE_BEFORE = frozenset({"PIPE", "COMPOSE", "ELSE", "RBRACE", END})


@dataclass
class Brackets:
    """Which bracket closes which, by where they stand in the text, and those left over."""

    closed_by: dict[int, int] = field(default_factory=dict[int, int])
    unclosed: set[int] = field(default_factory=set[int])
    stray: set[int] = field(default_factory=set[int])
    deepest: int = 0
    """The greatest number of brackets open at once."""
    deepest_at: Token | None = None


def match_brackets(tokens: list[Token]) -> Brackets:
    """Pairs brackets. A `}` closes its block over brackets left open inside; a `)` never closes over a `{`.

    A line that can only be a new statement ends the search for the `)` and `]` of the lines before it. Where blocks do
    not match, a `}` that begins a line belongs to the `{` of the nearest line that is indented alike: the blocks within
    are those that lack their own.
    """
    found = _matched(tokens, {})
    blocks = {token.start for token in tokens if token.text in ("{", "}")}
    if found.deepest > TOO_DEEP or not blocks & (found.unclosed | found.stray):
        return found
    return _matched(tokens, _indents(tokens))


def _indents(tokens: list[Token]) -> dict[int, int]:
    """How far the line of each `}` that begins one is indented; of a `{`, the line on which its statement began."""
    found: dict[int, int] = {}
    indent = statement = depth = 0
    begins = True
    for token in tokens:
        if token.text == "{":
            found[token.start] = statement
        elif token.text == "}" and begins:
            found[token.start] = indent
        depth += (token.text in ("(", "[")) - (token.text in (")", "]"))
        begins = token.type == NEWLINE
        if begins:
            indent = len(token.text) - token.text.rfind("\n") - 1
            statement = indent if depth <= 0 else statement
    return found


def _matched(tokens: list[Token], indents: dict[int, int]) -> Brackets:
    found = Brackets()
    stack: list[Token] = []
    for at, token in enumerate(tokens):
        if token.type in CLOSERS:
            stack.append(token)
            if len(stack) > found.deepest:
                found.deepest, found.deepest_at = len(stack), token
        elif token.type in OPENERS:
            _close(stack, token, found, indents)
        elif token.type == NEWLINE and stack and stack[-1].type != "LBRACE" and _is_broken_off(tokens, at):
            while stack and stack[-1].type != "LBRACE":
                found.unclosed.add(stack.pop().start)
    found.unclosed.update(token.start for token in stack)
    return found


def _close(stack: list[Token], closer: Token, found: Brackets, indents: dict[int, int]) -> None:
    """Closes the nearest bracket of this kind, or of this indentation; those opened after it stay open for ever."""
    opener = OPENERS[closer.type]
    indent = indents.get(closer.start)
    alike = [at for at, token in enumerate(stack) if indents.get(token.start) == indent] if indent is not None else []
    if alike:
        found.unclosed.update(token.start for token in stack[alike[-1] + 1 :])
        del stack[alike[-1] + 1 :]
    for place in range(len(stack) - 1, -1, -1):
        if stack[place].type == opener:
            found.unclosed.update(token.start for token in stack[place + 1 :])
            found.closed_by[stack[place].start] = closer.start
            del stack[place:]
            return
        if stack[place].type == "LBRACE":
            break
    found.stray.add(closer.start)


def lay_out(tokens: list[Token], brackets: Brackets) -> list[Token]:
    """The tokens without the newlines that end nothing, `END` last.

    Inside a bracket that is never closed newlines count, so that the mistake ends with its line.
    """
    kept: list[Token] = []
    open_brackets: list[str] = []
    for at, token in enumerate(tokens):
        if token.type != NEWLINE:
            _track(token, brackets, open_brackets)
            kept.append(token)
        elif (not open_brackets or open_brackets[-1] == "LBRACE") and _ends_something(kept, tokens, at):
            kept.append(token)
    end = tokens[-1].end if tokens else 0
    kept.append(Token(END, "", end, end))
    return kept


def _track(token: Token, brackets: Brackets, open_brackets: list[str]) -> None:
    if token.type in CLOSERS and token.start in brackets.closed_by:
        open_brackets.append(token.type)
    elif token.type in OPENERS and token.start not in brackets.stray:
        open_brackets.pop()


def _ends_something(kept: list[Token], tokens: list[Token], at: int) -> bool:
    before = kind_of(kept[-1]) if kept else "LBRACE"
    after = kind_of(tokens[at + 1]) if at + 1 < len(tokens) else END
    if before in _JOINS_NEXT_LINE:
        return before != "LBRACE" and _begins_statement(tokens, at + 1, after_comma=before == "COMMA")
    return after not in _JOINS_LINE_BEFORE


def _is_broken_off(tokens: list[Token], at: int) -> bool:
    """Whether the line after the newline `at` cannot go on with what is open, whatever that is."""
    before = kind_of(tokens[at - 1])
    operand = before in ("WORD", "NUMBER", "STRING") or before in OPENERS
    return (operand or before == "COMMA") and _begins_statement(tokens, at + 1, after_comma=not operand)


def _begins_statement(tokens: list[Token], at: int, after_comma: bool) -> bool:
    """Whether a line can only be a new statement, as `z = …` or `output y`, so that the one before is unfinished.

    No well-formed line looks so after an operator: it serves to report the mistake in the line that it is in.
    """
    if at + 1 >= len(tokens) or tokens[at].type != WORD:
        return False
    first, second = tokens[at], tokens[at + 1]
    if second.type == WORD:
        return first.text in _STATEMENTS and second.text not in _AFTER_OPERAND
    return second.type == "EQUAL" and not after_comma  # fields go on after a comma


def kind_of(token: Token) -> str:
    """The token's type, where the reserved words that layout knows count as their terminals."""
    return token.text.upper() if token.text in ("and", "or", "not", "else") else token.type


def deepest_chain(tokens: list[Token]) -> tuple[int, Token | None]:
    """A bound on the depth of the tree that the tokens make, and the token that reaches it.

    Operators, calls and `else if` all nest what is around them. Counting starts anew at commas and newlines,
    and a bracket adds what is inside it to the chain it stands in.
    """
    counts = [[0, 0]]  # per open bracket: of the chain now being read, and the greatest before it
    greatest, where = 0, None
    for token in tokens:
        kind = kind_of(token)
        if kind in CLOSERS:
            counts.append([0, 0])
        elif kind in OPENERS and len(counts) > 1:
            counts[-2][0] += 1 + max(counts.pop())
        elif kind in ("COMMA", NEWLINE):
            counts[-1] = [0, max(counts[-1])]
        elif kind in _OPERATORS or kind in ("DOT", "ELSE", "FAT_ARROW"):
            counts[-1][0] += 1
        if counts[-1][0] > greatest:
            greatest, where = counts[-1][0], token
    return greatest, where
