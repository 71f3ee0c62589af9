"""Tokens with the comments around them, and what is simply written with single spaces in between."""

from __future__ import annotations

from ..syntax.tokens import Token
from .concrete import Node, Tree, first_token, rule_of
from .document import BLANK, LINE, Comment, Doc, Group, Nest, OwnLine, cat
from .trivia import Trivia

_NO_SPACE_BEFORE = frozenset({":", ",", "?", "annotation", "parameters", "dims"})
_NO_SPACE_AFTER = frozenset({"..."})


class TokenPrinter:
    """Writes trees as documents: a method `_on_RULE` for a rule that is not just its parts with spaces in between."""

    def __init__(self, trivia: Trivia) -> None:
        self.trivia = trivia
        self._begin: set[int] = set()
        """Where the tokens stand that begin a statement, an item, a field or a part of a list: there, empty lines are
        kept."""

    def show(self, node: Node) -> Doc:
        """The document of a node."""
        if isinstance(node, Token):
            return self.token(node)
        return getattr(self, f"_on_{node.rule}", self.spaced)(node.children)

    def token(self, token: Token) -> Doc:
        """A token with the comments above and beside it."""
        return cat(*self.above(token), token.text, *self.beside(token))

    def above(self, token: Token) -> list[Doc]:
        """The comments on lines of their own before a token, and the empty line after them."""
        before = self.trivia.before(token)
        docs: list[Doc] = [OwnLine(comment.text, comment.blank) for comment in before.comments]
        if before.blank and token.start in self._begin:
            docs.append(BLANK)
        return docs

    def beside(self, token: Token) -> list[Doc]:
        """The comment at the end of the line that a token ends."""
        lines = self.trivia.beside(token)
        return [Comment(lines)] if lines else []

    def comments_only(self, token: Token) -> list[Doc]:
        """What remains of a token that is not written."""
        return self.above(token) + self.beside(token)

    def beginning(self, node: Node) -> Doc:
        """A statement, an item, a field or a part of a list: an empty line above it, or above its comments, is kept."""
        self._begin.add(first_token(node).start)
        return self.show(node)

    def spaced(self, children: list[Node]) -> Doc:
        """Children with single spaces in between, where the language writes spaces."""
        docs: list[Doc] = []
        for at, child in enumerate(children):
            if at and not self._touches(children[at - 1], child):
                docs.append(" ")
            docs.append(self.show(child))
        return cat(*docs)

    def joined(self, children: list[Node]) -> Doc:
        """Children without anything in between."""
        return cat(*map(self.show, children))

    def listed(self, children: list[Node]) -> Doc:
        """Parts with commas in between, outside of brackets: as many on each line as fit."""
        docs: list[Doc] = [self.show(children[0])]
        for comma, part in zip(children[1::2], children[2::2], strict=True):
            docs += [self.show(comma), Group(Nest(cat(LINE, self.show(part))))]
        return cat(*docs)

    def _touches(self, left: Node, right: Node) -> bool:
        return _mark(right) in _NO_SPACE_BEFORE or _mark(left) in _NO_SPACE_AFTER


def _mark(node: Node) -> str:
    return rule_of(node) if isinstance(node, Tree) else node.text
