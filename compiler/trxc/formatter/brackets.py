"""What stands in brackets: on one line, several to a line, or each on a line of its own.

Items that an empty line sets apart stay so, and are then never on one line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..syntax.tokens import Token
from .concrete import Node, first_token, is_comma, rule_of
from .document import LINE, SOFT, Concat, Doc, Group, IfBroken, Nest, cat, fill
from .tokens import TokenPrinter

_OF_SEVERAL_STEPS = frozenset({"pipe", "compose", "if_expression", "lambda", "comprehension"})
_BRACKETS = frozenset({"call_arguments", "index", "dims", "parenthesised", "list", "tuple", "names"})
_LISTS = frozenset({"list", "comprehension"})
_LAST_COMMA = IfBroken(",")


class _Bracketed(NamedTuple):
    """A list in brackets, taken apart."""

    opening: Token
    items: list[Node]
    commas: list[Token]
    closing: Token


class BracketPrinter(TokenPrinter):
    """Writes lists in brackets."""

    def bracketed(self, children: list[Node]) -> Doc:
        """Arguments, dims, names: several to a line where all are simple, else each on its own."""
        parts = _take_apart(children)
        if len(parts.items) == 1 and rule_of(parts.items[0]) in _LISTS:
            return self.joined(children[:2] + children[-1:]) if not parts.commas else self._stacked(parts)
        return self._filled(parts) if self._fills(parts) else self._stacked(parts)

    def _on_parameters(self, children: list[Node]) -> Doc:
        """Several to a line, whatever they are; each on its own where there are comments."""
        parts = _take_apart(children)
        filled = self._filled(parts) if parts.items else self._stacked(parts)
        return self._stacked(parts) if filled.forced else filled

    def _on_list(self, children: list[Node]) -> Doc:
        """The brackets stand on lines of their own where a list is broken."""
        parts = _take_apart(children)
        if not self._fills(parts):
            return self._stacked(parts)
        inside = Nest(cat(SOFT, fill(*self._items(parts, self.beginning))))
        return Group(cat(self.token(parts.opening), inside, SOFT, self.token(parts.closing)))

    def _on_tuple(self, children: list[Node]) -> Doc:
        parts = _take_apart(children)
        return self._stacked(parts, "," if len(parts.items) == 1 else _LAST_COMMA)

    # ---------------------------------------------------------------- layouts

    def _fills(self, parts: _Bracketed) -> bool:
        """Whether the items share lines: there are several, all simple, and no comments among them."""
        if len(parts.items) < 2 or not all(map(_is_simple, parts.items)):
            return False
        self._begin.difference_update(first_token(item).start for item in parts.items)  # empty lines are no obstacle
        return not Concat(
            (self.token(parts.opening), *self._items(parts, self.show), *self.above(parts.closing))
        ).forced

    def _filled(self, parts: _Bracketed) -> Group:
        inside = Nest(fill(*self._items(parts, self.beginning)))
        return Group(cat(self.token(parts.opening), inside, self.token(parts.closing)))

    def _items(self, parts: _Bracketed, show: Callable[[Node], Doc]) -> list[Doc]:
        """Items, each with the comma after it, but none after the last one."""
        docs = [show(item) for item in parts.items]
        after = [self.token(comma) for comma in parts.commas[: len(docs) - 1]]
        return [*map(cat, docs, after), cat(docs[-1], *self._dropped_comma(parts))]

    def _stacked(self, parts: _Bracketed, last_comma: Doc = _LAST_COMMA) -> Group:
        """All on one line, or each item on its own with a comma after it."""
        inside: list[Doc] = []
        for at, item in enumerate(parts.items[:-1]):
            inside += [self.beginning(item), self.token(parts.commas[at]), LINE]
        if parts.items:
            inside += [self.beginning(parts.items[-1]), last_comma, *self._dropped_comma(parts)]
        inside += self.above(parts.closing)
        edge: Doc = SOFT if inside or self.trivia.beside(parts.opening) else ""
        closing = cat(parts.closing.text, *self.beside(parts.closing))
        return Group(cat(self.token(parts.opening), Nest(cat(edge, *inside)), edge, closing))

    def _dropped_comma(self, parts: _Bracketed) -> list[Doc]:
        """The comments of the comma after the last item, which is written only where that ends its line."""
        return self.comments_only(parts.commas[-1]) if 0 < len(parts.items) == len(parts.commas) else []


def _take_apart(children: list[Node]) -> _Bracketed:
    opening, *inner, closing = children
    assert isinstance(opening, Token) and isinstance(closing, Token)
    commas = [node for node in inner if isinstance(node, Token) and is_comma(node)]
    return _Bracketed(opening, [node for node in inner if not is_comma(node)], commas, closing)


def _is_simple(node: Node, brackets: int = 0) -> bool:
    """Whether a reader sees at a glance where an item ends: no step after another, no brackets in brackets."""
    if isinstance(node, Token):
        return True
    brackets += node.rule in _BRACKETS
    if brackets > 1 or node.rule in _OF_SEVERAL_STEPS:
        return False
    return all(_is_simple(child, brackets) for child in node.children)
