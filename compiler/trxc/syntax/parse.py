"""From text to tree. Wrong text gives diagnostics and as much of a tree as could be read, never an exception."""

from __future__ import annotations

from typing import Any

from ..diagnostics.diagnostic import Diagnostic, Diagnostics
from ..source import Source, Span
from . import ast
from .build import Builder
from .comments import heading
from .index import ItemChunk, split_items
from .layout import deepest_chain, lay_out, match_brackets
from .recover import MAX_ERRORS, Reader
from .tables import load_tables
from .tokens import Token, tokenize
from .trees import Trees

MAX_CHARACTERS = 500_000
"""The longest file that is read."""

MAX_NESTING = 100
"""How many brackets and blocks may be open at once."""

MAX_CHAIN = 2_000
"""How many operators, calls and brackets may be nested in one expression; it bounds the depth of the tree."""


def parse(source: Source, diagnostics: Diagnostics, trees: Trees | None = None) -> ast.File:
    """The tree of a whole file; what could not be read is missing from it, or `Malformed`.

    With the trees of the version before, only what reads otherwise is read.
    """
    items: list[ast.Item] = []
    trees = trees or Trees()
    if not _too_long(source, diagnostics):
        trees.begin()
        already = len(diagnostics)
        for chunk in split_items(source):
            items.extend(_known_chunk(source, chunk, diagnostics, trees))
            if len(diagnostics) - already > MAX_ERRORS:
                _give_up(source, chunk, diagnostics)
                break
    return ast.File(Span(source, 0, len(source.text)), tuple(items), heading(source.text))


def parse_item(source: Source, chunk: ItemChunk, diagnostics: Diagnostics) -> ast.Item | None:
    """The one item of a chunk that `scan_items` found; None where it could not be read."""
    if _too_long(source, diagnostics):
        return None
    return next(iter(_parse_chunk(source, chunk, diagnostics)), None)


def parse_expression(source: Source, diagnostics: Diagnostics) -> ast.Expr | None:
    """A single expression, such as the value of `--set path=value`; None where it could not be read."""
    if _too_long(source, diagnostics):
        return None
    return _read(source, 0, len(source.text), "expression", diagnostics)


def _known_chunk(source: Source, chunk: ItemChunk, diagnostics: Diagnostics, trees: Trees) -> tuple[ast.Item, ...]:
    text = source.text[chunk.start : chunk.end]
    items = trees.find(source, chunk.start, text)
    if items is None:
        already = len(diagnostics)
        items = _parse_chunk(source, chunk, diagnostics)
        if len(diagnostics) == already:
            trees.keep(chunk.start, text, items)
    return items


def _parse_chunk(source: Source, chunk: ItemChunk, diagnostics: Diagnostics) -> tuple[ast.Item, ...]:
    return _read(source, chunk.start, chunk.end, "file", diagnostics) or ()


def _read(source: Source, start: int, end: int, rule: str, diagnostics: Diagnostics) -> Any | None:
    """The value of a start rule for `source.text[start:end]`."""
    tables = load_tables()
    start += source.text.startswith("\ufeff", start) and start == 0
    tokens = tokenize(source.text, start, end, tables)
    brackets = match_brackets(tokens)
    if brackets.deepest_at and brackets.deepest > MAX_NESTING:
        _refuse_nesting(source, brackets.deepest_at, diagnostics)
        return None
    laid_out = lay_out(tokens, brackets)
    chain, where = deepest_chain(laid_out)
    if where and chain > MAX_CHAIN:
        _refuse_chain(source, where, diagnostics)
        return None
    return Reader(tables, rule, laid_out, brackets, Builder(source, diagnostics)).read()


def _too_long(source: Source, diagnostics: Diagnostics) -> bool:
    length = len(source.text)
    if length > MAX_CHARACTERS:
        message = f"file is too long: {length:,} characters, and at most {MAX_CHARACTERS:,} are read"
        diagnostics.add(Diagnostic("TRX0113", message, Span(source, 0, 0)))
    return length > MAX_CHARACTERS


def _refuse_nesting(source: Source, token: Token, diagnostics: Diagnostics) -> None:
    message = f"brackets and blocks are nested more than {MAX_NESTING} deep"
    span = Span(source, token.start, token.end)
    diagnostics.add(Diagnostic("TRX0111", message, span, helps=("bind an inner part to a name and use the name",)))


def _refuse_chain(source: Source, token: Token, diagnostics: Diagnostics) -> None:
    message = f"expression is too long: more than {MAX_CHAIN:,} operators and calls build on one another"
    span = Span(source, token.start, token.end)
    diagnostics.add(Diagnostic("TRX0112", message, span, helps=("bind a part to a name, or use `repeat`",)))


def _give_up(source: Source, chunk: ItemChunk, diagnostics: Diagnostics) -> None:
    message = "too many errors; the rest of the file was not read"
    diagnostics.add(Diagnostic("TRX0116", message, Span(source, chunk.end, chunk.end)))
