"""The syntax front end: from the text of a `.trx` file to its tree."""

from . import ast
from .index import ItemChunk, scan_items, split_items
from .parse import parse, parse_expression, parse_item
from .trees import Trees

__all__ = ["ItemChunk", "Trees", "ast", "parse", "parse_expression", "parse_item", "scan_items", "split_items"]
