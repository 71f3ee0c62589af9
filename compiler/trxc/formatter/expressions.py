"""Expressions and types: one rule of the grammar, one method."""

from __future__ import annotations

from typing import cast

from ..syntax.tokens import Token
from .chains import ChainPrinter
from .concrete import Node, Tree, rule_of
from .document import LINE, SOFT, Doc, Group, Nest, cat

_BINDS = {op: level for level, ops in enumerate(("or", "and", "+ -", "* / // % @")) for op in ops.split()}
_POSTFIX = frozenset({"call", "attribute", "index"})


class ExpressionPrinter(ChainPrinter):
    """Writes what may stand in an expression or a type."""

    # -------------------------------------------------------------- operators

    def _on_binary(self, children: list[Node]) -> Doc:
        """Operands of operators that bind alike; a line ends with an operator."""
        level = _BINDS.get(_operator(children))
        rest: list[Doc] = []
        left, operator, right = children
        while True:
            rest += [self.show(right), LINE, self.token(cast("Token", operator)), " "]
            if level is None or not isinstance(left, Tree) or left.rule != "binary":
                break
            if _BINDS.get(_operator(left.children)) != level:
                break
            left, operator, right = left.children
        return Group(cat(self.show(left), Nest(cat(*reversed(rest)))))

    def _on_unary(self, children: list[Node]) -> Doc:
        return self.spaced(children) if _text(children[0]) == "not" else self.joined(children)

    def _on_if_expression(self, children: list[Node]) -> Doc:
        docs: list[Doc] = []
        while True:
            condition, opening, value, closing, otherwise, *rest = children[1:]
            docs += [self.show(children[0]), " ", self.show(condition), " "]
            docs += [self._braces(opening, value, closing), " ", self.show(otherwise), " "]
            if len(rest) > 1:
                return Group(cat(*docs, self._braces(*rest)))
            children = cast("Tree", rest[0]).children

    def _braces(self, opening: Node, value: Node, closing: Node) -> Doc:
        return self._inside(opening, closing, LINE, self.show(value))

    def _inside(self, opening: Node, closing: Node, edge: Doc, *inside: Doc) -> Doc:
        """What stands between two brackets, on lines of its own where the group is broken."""
        end = cast("Token", closing)
        within = Nest(cat(edge, *inside, *self.above(end)))
        return cat(self.show(opening), within, edge, end.text, *self.beside(end))

    def _on_lambda(self, children: list[Node]) -> Doc:
        word, *parameters, arrow, body = children
        return cat(self.show(word), self.bracketed(parameters), " ", self.show(arrow), " ", self.show(body))

    # ---------------------------------------------------------------- postfix

    def _postfix(self, tree: Tree) -> Doc:
        """Calls, attributes and indices, one after another; as loop, for there may be thousands."""
        backwards: list[Doc] = []
        node: Node = tree
        while isinstance(node, Tree) and node.rule in _POSTFIX:
            node, *after = node.children
            is_index = _text(after[0]) == "["
            backwards.append(self.bracketed(after) if is_index else self.joined(after))
        return cat(self.show(node), *reversed(backwards))

    def _on_call(self, children: list[Node]) -> Doc:
        return self._postfix(Tree("call", children))

    def _on_attribute(self, children: list[Node]) -> Doc:
        return self._postfix(Tree("attribute", children))

    def _on_index(self, children: list[Node]) -> Doc:
        return self._postfix(Tree("index", children))

    def _on_names(self, children: list[Node]) -> Doc:
        value, dot, *names = children
        return cat(self.show(value), self.show(dot), self.bracketed(names))

    def _on_call_arguments(self, children: list[Node]) -> Doc:
        return self.bracketed(children)

    def _on_slice(self, children: list[Node]) -> Doc:
        return self.joined(children)

    # ------------------------------------------------------------------ atoms

    def _on_parenthesised(self, children: list[Node]) -> Doc:
        opening, value, closing = children
        return Group(self._inside(opening, closing, SOFT, self.show(value)))

    def _on_comprehension(self, children: list[Node]) -> Doc:
        opening, item, word, name, in_, over, *condition, closing = children
        parts = [self.show(item), LINE, self.spaced([word, name, in_, over])]
        if condition:
            parts += [LINE, self.spaced(condition)]
        return Group(self._inside(opening, closing, SOFT, *parts))

    # ------------------------------------------------------------------ types

    def _on_dims(self, children: list[Node]) -> Doc:
        return self.bracketed(children)


def _operator(children: list[Node]) -> str:
    return _text(children[1])


def _text(node: Node) -> str:
    return node.text if isinstance(node, Token) else rule_of(node)
