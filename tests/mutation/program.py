"""A valid program as mutations see it: its tree, its tokens, and which statement each of them belongs to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from trxc.diagnostics import Diagnostics
from trxc.source import Source
from trxc.syntax import ast, parse
from trxc.syntax.tables import load_tables
from trxc.syntax.tokens import Token, tokenize

Range = tuple[int, int]

STATEMENTS = (
    ast.Input, ast.Output, ast.Param, ast.State, ast.Carry, ast.DimDecl, ast.Bind, ast.Next, ast.Require,
    ast.Field, ast.Rule, ast.Parameter, ast.Use, ast.Const, ast.Fn, ast.Extern,
)  # fmt: skip
"""What counts as the statement of what stands in it; the innermost one does."""


@dataclass(frozen=True)
class Placed:
    """A node with what it stands in, outermost first."""

    node: Any
    around: tuple[Any, ...]

    def nearest(self, *kinds: type) -> Any | None:
        """The innermost node of a kind that it stands in."""
        return next((node for node in reversed(self.around) if isinstance(node, kinds)), None)

    @property
    def item(self) -> Any:
        """The item of the file that it stands in."""
        return self.around[1] if len(self.around) > 1 else self.node

    @property
    def statement(self) -> Range:
        """Where the statement is: of a layer's or a record's head, up to its block."""
        for node in (self.node, *reversed(self.around)):
            if isinstance(node, STATEMENTS):
                return node.span.start, node.span.end
            if isinstance(node, ast.If | ast.Layer | ast.Record | ast.SubRecord):
                return head(node)
        return self.node.span.start, self.node.span.end


def head(node: Any) -> Range:
    """An `if`, a layer or a record up to the end of the line where its block begins."""
    span = node.span
    inside = children(node)
    begin = min((n.span.start for n in inside if isinstance(n, STATEMENTS) and not isinstance(n, ast.Parameter)),
                default=span.end)  # fmt: skip
    line = span.source.text.find("{", span.start, begin)
    return span.start, (line + 1 if line >= 0 else begin)


def children(node: Any) -> list[Any]:
    """The nodes directly below a node, in the order of its fields."""
    found: list[Any] = []
    for name in type(node).__match_args__:
        value = getattr(node, name)
        found.extend(v for v in (value if isinstance(value, tuple) else (value,)) if isinstance(v, ast.Node))
    return found


@dataclass(frozen=True, eq=False)
class Program:
    """A valid program: a name to call it by, and its text."""

    name: str
    text: str

    @cached_property
    def source(self) -> Source:
        """Its source, called by its name."""
        return Source(self.name, self.text)

    @cached_property
    def tree(self) -> ast.File:
        """Its tree.

        Raises:
            ValueError: it has none.
        """
        diagnostics = Diagnostics()
        tree = parse(self.source, diagnostics)
        if diagnostics.failed:
            raise ValueError(f"{self.name} is no program: {next(iter(diagnostics))}")
        return tree

    @cached_property
    def tokens(self) -> list[Token]:
        """Its tokens without blanks and comments, newlines included."""
        return tokenize(self.text, 0, len(self.text), load_tables())

    @cached_property
    def nodes(self) -> list[Placed]:
        """Every node of the tree, in order."""

        def visit(node: Any, around: tuple[Any, ...]) -> Iterator[Placed]:
            yield Placed(node, around)
            for child in children(node):
                yield from visit(child, (*around, node))

        return list(visit(self.tree, ()))

    @cached_property
    def words(self) -> frozenset[str]:
        """Every word of the text, comments included."""
        import re

        return frozenset(re.findall(r"\w+", self.text))

    def of(self, *kinds: type) -> list[Placed]:
        """The nodes of some kinds."""
        return [placed for placed in self.nodes if isinstance(placed.node, kinds)]

    @cached_property
    def statements(self) -> list[Range]:
        """Where statements and heads are."""
        kinds = (*STATEMENTS, ast.If, ast.Layer, ast.Record, ast.SubRecord)
        return sorted({placed.statement for placed in self.nodes if isinstance(placed.node, kinds)})

    def statement_at(self, at: int) -> Range:
        """The innermost statement around an offset, or its line."""
        around = [(start, end) for start, end in self.statements if start <= at < end]
        if around:
            return min(around, key=lambda place: place[1] - place[0])
        begin = self.text.rfind("\n", 0, at) + 1
        stop = self.text.find("\n", at)
        return begin, stop if stop >= 0 else len(self.text)


@dataclass(frozen=True)
class Edit:
    """A change that makes a program wrong: `text[start:end]` becomes `new`, in a statement of the program.

    `also` are further places that change; `settings` what is set from outside; `files` texts that stand beside it.
    """

    start: int
    end: int
    new: str
    statement: Range
    also: tuple[tuple[int, int, str], ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    files: tuple[tuple[str, str], ...] = ()


def instead(placed: Placed, new: str) -> Edit:
    """The edit that puts something in place of a node."""
    span = placed.node.span
    return Edit(span.start, span.end, new, placed.statement)


@dataclass(frozen=True)
class Mutant:
    """A wrong program: where the mutated text and its statement are in it."""

    kind: str
    program: str
    text: str
    place: Range
    statement: Range
    settings: tuple[tuple[str, str], ...] = ()
    files: tuple[tuple[str, str], ...] = ()


def mutated(program: Program, kind: str, edit: Edit) -> Mutant:
    """A program with an edit made."""
    edits = sorted([(edit.start, edit.end, edit.new), *edit.also])
    parts: list[str] = []
    at = 0
    for start, end, new in edits:
        parts += [program.text[at:start], new]
        at = end
    text = "".join([*parts, program.text[at:]])

    def moved(offset: int, *, after: bool) -> int:
        """Where an offset of the valid text is now."""
        return offset + sum(len(new) - (end - start) for start, end, new in edits
                            if (end <= offset if after else end <= offset and start < offset))  # fmt: skip

    begin = moved(edit.start, after=False)
    place = (begin, begin + len(edit.new))
    first, last = moved(edit.statement[0], after=False), moved(edit.statement[1], after=True)
    statement = (min(first, place[0]), max(last, place[1]))
    return Mutant(kind, program.name, text, place, statement, edit.settings, edit.files)


Makes = Callable[[Program, Any], Iterator[Edit]]


@dataclass(frozen=True)
class Kind:
    """A kind of mistake: its name, how it is made, and why what is made is always wrong."""

    name: str
    makes: Makes
    why: str


@dataclass
class Kinds:
    """The kinds of a module, in order."""

    entries: list[Kind] = field(default_factory=list[Kind])

    def __call__(self, name: str) -> Callable[[Makes], Makes]:
        """Adds a function that makes a kind; its docstring says why it is wrong."""

        def add(makes: Makes) -> Makes:
            self.entries.append(Kind(name, makes, " ".join((makes.__doc__ or "").split())))
            return makes

        return add
