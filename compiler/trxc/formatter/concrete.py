"""The concrete syntax of a file: every token, under the rules of the grammar that took it."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NamedTuple, TypeAlias

from ..source import Source
from ..syntax.index import split_items
from ..syntax.layout import lay_out, match_brackets
from ..syntax.machine import Machine
from ..syntax.tables import load_tables
from ..syntax.tokens import END, NEWLINE, Token, tokenize


class Tree(NamedTuple):
    """What a rule was made of, newlines left out."""

    rule: str
    children: list[Node]


Node: TypeAlias = Tree | Token


class Concrete(NamedTuple):
    """A file: its items, and all of its tokens without newlines, `END` last."""

    items: list[Tree]
    tokens: list[Token]


def read(source: Source) -> Concrete:
    """A file that is known to be well-formed."""
    tables = load_tables()
    items: list[Tree] = []
    tokens: list[Token] = []
    for laid_out in _chunks(source):
        machine = Machine(tables, "file", _build)
        for token in laid_out:
            machine.feed(token, machine.terminal(token, source.text))
        items += machine.result.children
        tokens += laid_out[:-1]
    return Concrete(items, _without_newlines(source, tokens))


def read_tokens(source: Source) -> list[Token]:
    """The tokens alone."""
    return _without_newlines(source, [token for laid_out in _chunks(source) for token in laid_out[:-1]])


def _chunks(source: Source) -> Generator[list[Token]]:
    """The tokens of each item, as the parser reads them."""
    tables = load_tables()
    for chunk in split_items(source):
        tokens = tokenize(source.text, chunk.start, chunk.end, tables)
        yield lay_out(tokens, match_brackets(tokens))


def _without_newlines(source: Source, tokens: list[Token]) -> list[Token]:
    end = len(source.text)
    return [*(token for token in tokens if token.type != NEWLINE), Token(END, "", end, end)]


def first_token(node: Node) -> Token:
    """The token that a node begins with."""
    while isinstance(node, Tree):
        node = node.children[0]
    return node


def is_comma(node: Node) -> bool:
    """Whether a node is a comma."""
    return isinstance(node, Token) and node.text == ","


def rule_of(node: Node) -> str:
    """The rule of a tree; "" for a token."""
    return node.rule if isinstance(node, Tree) else ""


def _build(rule: str, children: list[Any], start: int, end: int) -> Tree:
    del start, end
    return Tree(rule, [child for child in children if isinstance(child, Tree) or child.type != NEWLINE])
