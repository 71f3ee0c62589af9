"""What an elaboration has found out, by place: the observer that it tells, and the answers to what stood where.

Facts are kept by the item that was being checked and the item that they are of, their places counted from where that
begins: an item that is not checked again, as nothing that it reaches has changed, leaves those of the check before.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, TypeAlias

from ..elaborate.body import Body, Session
from ..elaborate.values import CValue, Size
from ..ir import Path
from ..source import Source, Span
from ..syntax import ast
from ..types import Axis

Place: TypeAlias = tuple[int, int]
"""Where something begins and ends, from the beginning of its item."""


class Seen(NamedTuple):
    """What a text is worth in a body."""

    value: CValue
    body: Body


class Application(NamedTuple):
    """A layer that is applied, with where (below `base`) in the function of `body` its weights stand."""

    layer: CValue
    values: list[CValue]
    result: CValue
    body: Body
    base: Path


@dataclass
class Facts:
    """What is known of one kind of elaboration."""

    values: dict[Place, Seen] = field(default_factory=dict[Place, Seen])
    applications: dict[Place, Application] = field(default_factory=dict[Place, Application])
    bodies: dict[str, Body] = field(default_factory=dict[str, Body])


class Index:
    """An observer that keeps what concerns one source.

    A layer is seen with the sizes of its first use in a model (`concrete`), and by itself, every size a symbol
    (`symbolic`), as its own check sees it and not one of a layer that uses it.
    """

    def __init__(self, source: Source, file: ast.File) -> None:
        self.source = source
        self.concrete: dict[str, dict[str, Facts]] = {}
        self.symbolic: dict[str, Facts] = {}
        self._items = {item.name.span.start: item for item in file.items if not isinstance(item, ast.Use)}
        spans = sorted((item.span.start, item.span.end, item.name.name) for item in self._items.values())
        self._starts = [start for start, _, _ in spans]
        self._spans = spans
        self._checked = ""
        self._sessions: list[Session] = []
        self._trial: Session | None = None
        self._tried: Span | None = None
        self._found = Facts()

    # -------------------------------------------------------- what it is told

    def checking(self, item: str) -> str:
        """Keeps what follows for an item, and says for which it was kept before."""
        before, self._checked = self._checked, item
        return before

    def reuse(self, earlier: Index, unchanged: frozenset[str]) -> None:
        """Takes what the checks of items have found that were not done again."""
        for name in unchanged:
            if name in earlier.symbolic:
                self.symbolic.setdefault(name, earlier.symbolic[name])
            if name in earlier.concrete:
                self.concrete.setdefault(name, earlier.concrete[name])

    def done(self) -> None:
        """The check has ended: what is kept of it for long does not keep all the rest."""
        for session in self._sessions:
            session.observer = None
        self._sessions, self._trial = [], None

    def entered(self, item: ast.Layer | ast.Fn, body: Body) -> None:
        """Keeps the body of one of the source's items."""
        facts, _ = self._facts(item.name.span, body)
        if facts is not None:
            facts.bodies.setdefault(item.name.name, body)

    def declared(self, statement: ast.Statement, body: Body) -> None:
        """Keeps what a statement's names stand for."""
        facts, begin = self._facts(statement.span, body)
        if facts is None:
            return
        for ident in _idents(statement):
            value = _named(ident.name, body)
            if value is not None:
                facts.values.setdefault((ident.span.start - begin, ident.span.end - begin), Seen(value, body))
        if isinstance(statement, ast.Output) and statement.name is None and body.outputs:
            start = statement.span.start - begin
            facts.values.setdefault((start, start + len("output")), Seen(body.outputs[-1][1], body))

    def evaluated(self, span: Span, value: CValue, body: Body) -> None:
        """Keeps what an expression is worth."""
        facts, begin = self._facts(span, body)
        if facts is not None:
            facts.values.setdefault((span.start - begin, span.end - begin), Seen(value, body))

    def applied(self, layer: CValue, span: Span, values: list[CValue], result: CValue, body: Body) -> None:
        """Keeps what a layer makes of what."""
        facts, begin = self._facts(span, body)
        if facts is not None:
            place = span.start - begin, span.end - begin
            known = facts.applications.get(place)
            if known is None or known.body.frame is body.frame:  # `repeat` tells of its layer before it tells of itself
                facts.applications[place] = Application(layer, list(values), result, body, body.frame.base)

    def _facts(self, span: Span, body: Body) -> tuple[Facts | None, int]:
        """Where to keep something, if it is to be kept, and where its item begins."""
        if span.source is not self.source:
            return None, 0
        session = body.session
        if not self._sessions or session is not self._sessions[-1]:
            self._sessions.append(session)
        if not session.symbolic:
            begin, name = self._item_at(span.start)
            of_items = self.concrete.setdefault(self._checked, {})
            return of_items.setdefault(name, Facts()), begin
        if session is not self._trial:
            self._begin(session)
        tried = self._tried
        if tried is None or not tried.start <= span.start < tried.end:
            return None, 0
        return self._found, tried.start

    def _item_at(self, offset: int) -> tuple[int, str]:
        """Where the item begins that an offset is in, and its name."""
        at = bisect_right(self._starts, offset) - 1
        return (self._starts[at], self._spans[at][2]) if at >= 0 else (0, "")

    def _begin(self, session: Session) -> None:
        """Another attempt to check a layer by itself: what the last one of the same layer found is forgotten."""
        self._trial, self._tried, self._found = session, None, Facts()
        first = session.stack[0].span if session.stack else None
        if first is not None and first.source is self.source and first.start in self._items:
            item = self._items[first.start]
            self._tried, self.symbolic[item.name.name] = item.span, self._found

    # ------------------------------------------------------------- its answers

    @property
    def empty(self) -> bool:
        """Whether nothing was elaborated."""
        return not (self.concrete or self.symbolic)

    def value(self, start: int, end: int) -> Seen | None:
        """What stands between two offsets, with sizes where a model gives them."""
        begin, name = self._item_at(start)
        place = start - begin, end - begin
        return next((facts.values[place] for facts in self._of(name) if place in facts.values), None)

    def application(self, start: int, end: int) -> Application | None:
        """What the layer between two offsets is applied to."""
        begin, name = self._item_at(start)
        place = start - begin, end - begin
        return next((facts.applications[place] for facts in self._of(name) if place in facts.applications), None)

    def body(self, item: str) -> Body | None:
        """The body of an item, with sizes where a model gives them."""
        return next((facts.bodies[item] for facts in self._of(item) if item in facts.bodies), None)

    @cached_property
    def _checks(self) -> list[dict[str, Facts]]:
        """What checks with sizes have found, from top to bottom of the file; asked for once all is found."""
        return [self.concrete[name] for _, _, name in self._spans if name in self.concrete]

    def _of(self, name: str) -> Iterator[Facts]:
        """What is known of an item: by the checks of others, from top to bottom of the file, then by its own."""
        for of_items in self._checks:
            if name in of_items:
                yield of_items[name]
        if name in self.symbolic:
            yield self.symbolic[name]


def _named(name: str, body: Body) -> CValue:
    dim = body.dims.get(name)
    return Size(dim.size, name) if isinstance(dim, Axis) else body.variables.get(name)


def _idents(statement: ast.Statement) -> tuple[ast.Ident, ...]:
    match statement:
        case ast.Bind(names=names):
            return names
        case ast.Input(signatures=signatures):
            return tuple(signature.name for signature in signatures)
        case ast.Output(name=ast.Ident() as name):
            return (name,)
        case ast.Param(name=name) | ast.State(name=name) | ast.Carry(name=name) | ast.DimDecl(name=name):
            return (name,)
        case _:
            return ()
