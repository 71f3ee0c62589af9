"""The formatter: every program in one layout.

    text ──read──▶ concrete.Tree + Trivia ──ItemPrinter──▶ document.Doc ──render──▶ text

It works on tokens rather than on the tree that the compiler uses, so that literals, parentheses and comments come out
as they went in.
"""

from .formatting import format_source
from .render import WIDTH

__all__ = ["WIDTH", "format_source"]
