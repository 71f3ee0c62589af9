"""Blocks in braces: the bodies of layers, and the fields of records with their `=` and `->` in columns."""

from __future__ import annotations

from typing import NamedTuple, cast

from ..diagnostics.harmless import width
from ..syntax.tokens import Token
from .concrete import Node, first_token, is_comma
from .document import HARD, LINE, Doc, Group, IfBroken, Nest, cat
from .expressions import ExpressionPrinter

WIDEST_KEY = 60
"""Columns of the widest key that others are padded to."""


class _Field(NamedTuple):
    """A field of a record, taken apart: `key = value`, `key { … }` or `keys -> target`."""

    rule: str
    key: list[Node]
    rest: list[Node]
    comma: Token | None
    """The comma that ends it, if it is one that does."""

    @property
    def width(self) -> int:
        """Columns of its key."""
        return sum(width(token.text) + is_comma(token) for token in map(first_token, self.key))


class BlockPrinter(ExpressionPrinter):
    """Writes bodies, and records."""

    # ----------------------------------------------------------------- bodies

    def _on_body(self, children: list[Node]) -> Doc:
        opening, *statements, closing = children
        lines: list[Doc] = []
        for statement in statements:
            lines += [HARD, self.beginning(statement)]
        return self._block(opening, lines, closing, HARD)

    def _on_extern_body(self, children: list[Node]) -> Doc:
        return self._on_body(children)

    def _block(self, opening: Node, lines: list[Doc], closing: Node, edge: Doc) -> Doc:
        """What stands between braces; nothing stands in `{}`."""
        end = cast("Token", closing)
        inside = [*lines, *self.above(end)]
        last = edge if inside or self.trivia.beside(first_token(opening)) else ""
        return cat(self.show(opening), Nest(cat(*inside)), last, end.text, *self.beside(end))

    # ---------------------------------------------------------------- records

    def _on_fields(self, children: list[Node]) -> Doc:
        """Each field on a line of its own, unless there is a group around that fits on one line."""
        opening, *inner, closing = children
        fields = _take_apart(inner)
        lines: list[Doc] = []
        for at, (field, padding) in enumerate(zip(fields, self._padding(fields), strict=True)):
            comma = "" if at == len(fields) - 1 else IfBroken("", ",")
            comments = self.comments_only(field.comma) if field.comma else []
            lines += [LINE, *self._field(field, padding), comma, *comments]
        return self._block(opening, lines, closing, LINE)

    def _field(self, field: _Field, padding: int) -> list[Doc]:
        self._begin.add(first_token(field.key[0]).start)
        key = self.listed(field.key) if field.rule == "rule" else self.joined(field.key)
        rest = Group(self.show(field.rest[0])) if field.rule == "subrecord" else self.spaced(field.rest)
        return [key, IfBroken(" " * padding), " ", rest]

    def _padding(self, fields: list[_Field]) -> list[int]:
        """The spaces after each key. Keys of one kind that no empty line sets apart are padded alike."""
        found: list[int] = []
        run: list[int] = []
        for at, field in enumerate(fields):
            if at and (self._set_apart(field) or (field.rule == "rule") != (fields[at - 1].rule == "rule")):
                found += _padded(run)
                run = []
            run.append(field.width)
        return found + _padded(run)

    def _set_apart(self, field: _Field) -> bool:
        before = self.trivia.before(first_token(field.key[0]))
        return before.blank or any(comment.blank for comment in before.comments)


def _padded(widths: list[int]) -> list[int]:
    longest = max((width for width in widths if width <= WIDEST_KEY), default=0)
    return [max(0, longest - width) for width in widths]


def _take_apart(inner: list[Node]) -> list[_Field]:
    """The fields among what stands between braces."""
    found: list[_Field] = []
    for node in inner:
        if isinstance(node, Token):
            found[-1] = found[-1]._replace(comma=node)
        else:
            end = -1 if node.rule == "subrecord" else -2
            found.append(_Field(node.rule, node.children[:end], node.children[end:], None))
    return found
