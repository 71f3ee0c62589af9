"""Items and statements: one rule of the grammar, one method, for those that are not just words with spaces between."""

from __future__ import annotations

from ..syntax.tokens import Token
from .blocks import BlockPrinter
from .chains import CHAINS
from .concrete import Node, Tree, rule_of
from .document import HARD, LINE, Doc, Group, Nest, cat

_BREAKS_BY_ITSELF = CHAINS | {"list", "tuple", "comprehension"}
"""Values that begin beside the `=` of their item; any other goes to the next line before it is broken."""


class ItemPrinter(BlockPrinter):
    """Writes whatever a file may hold."""

    def file(self, items: list[Tree], end: Token) -> Doc:
        """All items, and the comments below them."""
        lines: list[Doc] = []
        for item in items:
            lines += [self.beginning(item), HARD]
        return cat(*lines, *self.above(end))

    # ------------------------------------------------------------------ items

    def _on_use_path(self, children: list[Node]) -> Doc:
        return self.joined(children)

    def _on_use_names(self, children: list[Node]) -> Doc:
        return self.bracketed(children)

    def _on_const(self, children: list[Node]) -> Doc:
        return self._defined(children)

    def _on_function(self, children: list[Node]) -> Doc:
        return self._defined(children)

    def _on_layer(self, children: list[Node]) -> Doc:
        return self.spaced(children) if rule_of(children[-1]) == "body" else self._defined(children)

    def _defined(self, children: list[Node]) -> Doc:
        """`fn f(x) = value`."""
        *head, value = children
        if rule_of(value) in _BREAKS_BY_ITSELF:
            return self.spaced(children)
        return cat(self.spaced(head), Group(Nest(cat(LINE, self.show(value)))))

    def _on_yields(self, children: list[Node]) -> Doc:
        arrow, *signatures = children
        return cat(self.show(arrow), Group(Nest(cat(LINE, self.listed(signatures)))))

    # ------------------------------------------------------------- statements

    def _on_input(self, children: list[Node]) -> Doc:
        return self._declared(children)

    def _on_extern_output(self, children: list[Node]) -> Doc:
        return self._declared(children)

    def _declared(self, children: list[Node]) -> Doc:
        word, *signatures = children
        return cat(self.show(word), " ", self.listed(signatures))

    def _on_require(self, children: list[Node]) -> Doc:
        word, *parts = children
        return cat(self.show(word), " ", self.listed(parts))
