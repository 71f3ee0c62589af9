"""The one layout of a `.trx` file."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager

from ..diagnostics.diagnostic import Diagnostics
from ..diagnostics.internal import InternalError
from ..source import Source
from ..syntax import ast, parse
from .concrete import read, read_tokens
from .items import ItemPrinter
from .render import render
from .same import same_tree
from .trivia import Trivia

_RECURSION_LIMIT = 50_000
"""Frames for the deepest trees that are read: chains of 2,000 operators, several frames for each."""


def format_source(source: Source, diagnostics: Diagnostics) -> str | None:
    """The text of a file in the one layout; None where it cannot be read, and `diagnostics` say why.

    Lines end in `\\n`, whatever they ended in before, and a byte-order mark is dropped. The result says what the source
    says, comments included: that is checked every time.

    Raises:
        InternalError: it does not; a fault of ours.
    """
    text = source.text.removeprefix("\ufeff").replace("\r\n", "\n")
    second_mark = text.startswith("\ufeff")  # a wrong character, which would pass for the first mark
    before = source if second_mark else Source(source.name, text)
    with _deep_trees():
        tree = _parsed(before, diagnostics)
        if tree is None:
            return None
        items, tokens = read(before)
        trivia = Trivia(text, tokens)
        laid_out = render(ItemPrinter(trivia).file(items, tokens[-1]))
        if laid_out != text:
            _stop_if_changed(tree, trivia.comments, Source(source.name, laid_out))
    return laid_out


def _stop_if_changed(tree: ast.File, comments: list[str], laid_out: Source) -> None:
    again = _parsed(laid_out, Diagnostics())
    if again is None or not same_tree(tree, again) or comments != Trivia(laid_out.text, read_tokens(laid_out)).comments:
        raise InternalError("format", "the layout would change what the file says")


def _parsed(source: Source, diagnostics: Diagnostics) -> ast.File | None:
    found = Diagnostics()
    tree = parse(source, found)
    for diagnostic in found:
        diagnostics.add(diagnostic)
    return None if found.failed else tree


@contextmanager
def _deep_trees() -> Generator[None]:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, _RECURSION_LIMIT))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
