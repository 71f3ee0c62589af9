"""Mistakes in how a program is written: brackets, commas, quotes, and words in the wrong place."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from trxc.syntax import ast
from trxc.syntax.layout import CLOSERS, OPENERS, match_brackets
from trxc.syntax.tokens import NEWLINE, WORD, Token

from .program import Edit, Kinds, Program, Range

KINDS = Kinds()

JOINS = frozenset({"and", "or", "not", "if", "else", "for", "in", "when", "from", "as", "true", "false", "none"})
PLAIN = (WORD, "NUMBER", "STRING")


def _pairs(program: Program) -> dict[int, int]:
    pairs = match_brackets(program.tokens).closed_by
    return {**pairs, **{closer: opener for opener, closer in pairs.items()}}


def _both(program: Program, token: Token, other: int) -> Range:
    """The statements that a bracket and its partner stand in, as one."""
    first, second = program.statement_at(token.start), program.statement_at(other)
    start, end = min(first[0], second[0]), max(first[1], second[1])
    return start, max(end, token.end, other + 1)


def _without(program: Program, kinds: tuple[str, ...]) -> Iterator[Edit]:
    pairs = _pairs(program)
    for token in program.tokens:
        if token.type in kinds:
            yield Edit(token.start, token.end, "", _both(program, token, pairs[token.start]))


@KINDS("missing bracket")
def missing_bracket(program: Program, rng: Random) -> Iterator[Edit]:
    """Every bracket has a partner, and is left alone by it here: no order of brackets is right with one too few.

    Where a closing bracket is missing, the opening one is as good a place to point at.
    """
    yield from _without(program, ("LPAR", "RPAR", "LSQB", "RSQB"))


@KINDS("unclosed block")
def unclosed_block(program: Program, rng: Random) -> Iterator[Edit]:
    """As a missing bracket: a `{` that no `}` closes. The block's own head is as good a place to point at."""
    yield from _without(program, ("RBRACE",))


@KINDS("missing quote")
def missing_quote(program: Program, rng: Random) -> Iterator[Edit]:
    """The quotes of a line are odd in number then, and none spans lines: one string has no end.

    Lines with a quote in a comment, or one that is escaped, are left out.
    """
    for token in program.tokens:
        if token.type != "STRING" or "\\" in token.text:
            continue
        line = program.text[program.text.rfind("\n", 0, token.start) + 1 :].partition("\n")[0]
        if "#" in line or "\\" in line:
            continue
        at = rng.choice((token.start, token.end - 1))
        yield Edit(at, at + 1, "", program.statement_at(token.start))


def _inside(program: Program) -> list[str]:
    """For each token, the type of the bracket that it stands in."""
    around, found = [""], list[str]()
    for token in program.tokens:
        if token.type in OPENERS:
            around.pop()
        found.append(around[-1])
        if token.type in CLOSERS:
            around.append(token.type)
    return found


@KINDS("missing comma")
def missing_comma(program: Program, rng: Random) -> Iterator[Edit]:
    """Two operands stand side by side: nothing joins them.

    Left out: commas before a word that joins (`if`), before signs and brackets, and at the end of a line or a list.
    """
    for before, token, after in zip(program.tokens, program.tokens[1:], program.tokens[2:], strict=False):
        if token.type != "COMMA" or after.type not in PLAIN or after.text in JOINS:
            continue
        if before.type in (*PLAIN, *OPENERS) and before.text not in JOINS:
            gap = "" if program.text[token.end] == " " else " "
            first, last = program.statement_at(before.start), program.statement_at(after.start)
            yield Edit(token.start, token.end, gap, (min(first[0], last[0]), max(first[1], last[1])))


@KINDS("doubled comma")
def doubled_comma(program: Program, rng: Random) -> Iterator[Edit]:
    """No list has an empty place."""
    for token in program.tokens:
        if token.type == "COMMA":
            yield Edit(token.end, token.end, ",", program.statement_at(token.start))


@KINDS("missing equals sign")
def missing_equals(program: Program, rng: Random) -> Iterator[Edit]:
    """A name and a value stand side by side: a value alone is no statement, no parameter and no argument.

    Left out: values that begin with a bracket, which would be a call or an index, or with a sign.
    """
    for before, token, after in zip(program.tokens, program.tokens[1:], program.tokens[2:], strict=False):
        if token.type == "EQUAL" and after.type in PLAIN and before.type in (WORD, "RSQB", "QMARK"):
            yield Edit(token.start, min(token.end + 1, after.start), "", program.statement_at(before.start))


@KINDS("doubled operator")
def doubled_operator(program: Program, rng: Random) -> Iterator[Edit]:
    """`*`, `@`, `|>` and `>>` need an operand before them, and an operator is none."""
    for token in program.tokens:
        if token.text in ("*", "@", "|>", ">>"):
            yield Edit(token.end, token.end, f" {token.text}", program.statement_at(token.start))


@KINDS("character of no meaning")
def no_meaning(program: Program, rng: Random) -> Iterator[Edit]:
    """These characters are in no token of the language."""
    for token, after in zip(program.tokens, program.tokens[1:], strict=False):
        if after.type == NEWLINE and token.type in (*PLAIN, *OPENERS):
            yield Edit(token.end, token.end, rng.choice(";$!&~'`"), program.statement_at(token.start))


@KINDS("keyword for a name")
def keyword_for_name(program: Program, rng: Random) -> Iterator[Edit]:
    """`NAME` in the grammar leaves these words out, so nothing can be called so."""
    for placed in program.of(ast.Bind, ast.Parameter, ast.DimDecl, ast.Layer, ast.Fn, ast.Const, ast.Record, ast.Param):
        names = placed.node.names if isinstance(placed.node, ast.Bind) else (placed.node.name,)
        for name in names:
            word = rng.choice(("and", "or", "not", "if", "else", "true", "false", "none"))
            yield Edit(name.span.start, name.span.end, word, placed.statement)


@KINDS("misspelt keyword")
def misspelt_keyword(program: Program, rng: Random) -> Iterator[Edit]:
    """An item begins with one of its words; another word there begins nothing."""
    for item in program.tree.items:
        word = item.span.text.split()[0]
        at = rng.randrange(len(word) - 1)
        new = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        if new != word:
            yield Edit(item.span.start, item.span.start + len(word), new, program.statement_at(item.span.start))


@KINDS("colon for an equals sign")
def colon_for_equals(program: Program, rng: Random) -> Iterator[Edit]:
    """After `:` stands a type, and a field or an argument has none."""
    for placed in program.of(ast.Field, ast.Argument):
        named = isinstance(placed.node, ast.Field) or placed.node.name is not None
        at = program.text.find("=", placed.node.span.start)
        if named and placed.node.value.span.start > at >= 0:
            yield Edit(at, at + 1, ":", placed.statement)


@KINDS("`==` for `=`")
def compared_for_bound(program: Program, rng: Random) -> Iterator[Edit]:
    """A comparison is a value, and a value alone is neither a statement nor a field."""
    for placed in program.of(ast.Field, ast.Bind, ast.DimDecl, ast.Next):
        node = placed.node
        value = node.size if isinstance(node, ast.DimDecl) else node.value
        at = program.text.rfind("=", node.span.start, value.span.start)
        yield Edit(at, at + 1, "==", placed.statement)


@KINDS("comparison of a comparison")
def chained_comparison(program: Program, rng: Random) -> Iterator[Edit]:
    """Comparisons do not chain: `0 < a < b` is no expression."""
    for placed in program.of(ast.Require):
        condition = placed.node.condition
        if isinstance(condition, ast.Binary) and condition.operator in ("<", "<=", "==", ">="):
            at = condition.span.start
            yield Edit(at, at, "0 <= ", placed.statement)


@KINDS("another language")
def another_language(program: Program, rng: Random) -> Iterator[Edit]:
    """`return`, `let` and `+=` are Python's or Rust's, and begin no statement here."""
    for placed in program.of(ast.Output, ast.Bind):
        start = placed.node.span.start
        if isinstance(placed.node, ast.Bind):
            yield Edit(start, start, rng.choice(("let ", "var ")), placed.statement)
        elif program.text.startswith("output", start):
            yield Edit(start, start + len("output"), "return", placed.statement)
