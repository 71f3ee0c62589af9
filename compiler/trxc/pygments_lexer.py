"""A Pygments lexer, for documentation: ` ```trx ` in Sphinx, MkDocs and whatever else colours code with Pygments.

Most keywords are keywords only where a statement or an item begins. Looking at one line at a time is enough for all
but the oddest layouts; the tests compare it with what the parser takes for keywords.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pygments.lexer import (
    RegexLexer,
    bygroups,  # pyright: ignore[reportUnknownVariableType]
    words,
)
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, String, Whitespace

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_NAMED = rf"([ \t]+)({_NAME})"
_RECORDS = r"^(data|train|generate|weights|evaluate|mesh)"
_BEGIN = r"(?:^|(?<=\{))([ \t]*)"
"""Where a statement begins: a line, or the inside of a block."""
_STATEMENTS = r"(input|output|param|state|carry|dim|require)(?![A-Za-z0-9_]|[ \t]*(?:[,:{]|=[^=>]))"
_NOT_AN_OPERATOR = r"(?![ \t]+(?:and|or|if|else|for|in|when)(?![A-Za-z0-9_]))"
_DTYPES = ("any", "bf16", "bool", "f16", "f32", "f64", "float", "i16", "i32", "i64", "i8", "int", "u16", "u32", "u64",
           "u8")  # fmt: skip


class TrxLexer(RegexLexer):
    """Tokens of `.trx` files."""

    name = "trx"
    url = ""
    aliases: ClassVar[Sequence[str]] = ["trx"]
    filenames: ClassVar[Sequence[str]] = ["*.trx"]
    mimetypes: ClassVar[Sequence[str]] = ["text/x-trx"]

    tokens: ClassVar = {
        "root": [
            (r"\r?\n", Whitespace),
            (r"##[^\r\n]*", String.Doc),
            (r"#[^\r\n]*", Comment.Single),
            (rf"^(layer|model){_NAMED}", bygroups(Keyword.Declaration, Whitespace, Name.Class)),
            (rf"^(fn){_NAMED}", bygroups(Keyword.Declaration, Whitespace, Name.Function)),
            (rf"^(const){_NAMED}", bygroups(Keyword.Declaration, Whitespace, Name.Constant)),
            (rf"^(extern){_NAMED}{_NAMED}",
             bygroups(Keyword.Declaration, Whitespace, Keyword.Type, Whitespace, Name.Function)),
            (rf"{_RECORDS}{_NAMED}([ \t]+)(for){_NAMED}",
             bygroups(Keyword.Declaration, Whitespace, Name.Variable, Whitespace, Keyword, Whitespace, Name.Class)),
            (rf"{_RECORDS}{_NAMED}", bygroups(Keyword.Declaration, Whitespace, Name.Variable)),
            (r'^(use)([ \t]+)(?=["A-Za-z_])', bygroups(Keyword.Namespace, Whitespace)),
            (rf"{_BEGIN}{_STATEMENTS}", bygroups(Whitespace, Keyword)),
            (r"[ \t]+", Whitespace),
            (rf"next(?=[ \t]+[A-Za-z_]){_NOT_AN_OPERATOR}", Keyword),
            (rf"(for){_NAMED}([ \t]+)(in)(?![A-Za-z0-9_])",
             bygroups(Keyword, Whitespace, Name.Variable, Whitespace, Keyword)),
            (rf'when(?=[ \t]+[A-Za-z0-9_("\[]){_NOT_AN_OPERATOR}', Keyword),
            (rf"as(?=[ \t]+[A-Za-z_]){_NOT_AN_OPERATOR}", Keyword),
            (r'from(?=[ \t]*")', Keyword),
            (r"fn(?=[ \t]*\()", Keyword),
            (words(("if", "else"), suffix=r"\b"), Keyword),
            (words(("and", "or", "not"), suffix=r"\b"), Operator.Word),
            (words(("true", "false", "none"), suffix=r"\b"), Keyword.Constant),
            (words(_DTYPES, suffix=r"\b(?![ \t]*\()"), Keyword.Type),
            (r"[A-Z][A-Za-z0-9_]*", Name.Class),
            (rf"{_NAME}(?=\()", Name.Function),
            (_NAME, Name),
            (r"[0-9]+(?:_[0-9]+)*(?:\.[0-9]+(?:_[0-9]+)*(?:[eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+)", Number.Float),
            (r"[0-9]+(?:_[0-9]+)*", Number.Integer),
            (r'"', String.Double, "string"),
            (r"\|>|>>|->|=>|==|!=|<=|>=|//|[-+*/%@^<>=]", Operator),
            (r"\.\.\.|[()\[\]{},:.?]", Punctuation),
        ],
        "string": [
            (r"\\(?:u\{[0-9A-Fa-f]*\}|.)", String.Escape),
            (r'[^"\\\r\n]+', String.Double),
            (r'"', String.Double, "#pop"),
            (r"(?=\r?\n)", String.Double, "#pop"),
        ],
    }  # fmt: skip
