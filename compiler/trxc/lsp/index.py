"""What an elaboration has found out, by place: the observer that it tells, and the answers to what stood where."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from ..elaborate.body import Body, Session
from ..elaborate.values import CValue, Size
from ..ir import Path
from ..source import Source, Span
from ..syntax import ast
from ..types import Axis

Place: TypeAlias = tuple[int, int]


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
        self.concrete = Facts()
        self.symbolic: dict[str, Facts] = {}
        self._items = {item.name.span.start: item for item in file.items if not isinstance(item, ast.Use)}
        self._starts = sorted((item.span.start, item.name.name) for item in self._items.values())
        self._trial: Session | None = None
        self._tried: Span | None = None
        self._found = Facts()

    # -------------------------------------------------------- what it is told

    def entered(self, item: ast.Layer | ast.Fn, body: Body) -> None:
        """Keeps the body of one of the source's items."""
        facts = self._facts(item.name.span, body)
        if facts is not None:
            facts.bodies.setdefault(item.name.name, body)

    def declared(self, statement: ast.Statement, body: Body) -> None:
        """Keeps what a statement's names stand for."""
        facts = self._facts(statement.span, body)
        if facts is None:
            return
        for ident in _idents(statement):
            value = _named(ident.name, body)
            if value is not None:
                facts.values.setdefault((ident.span.start, ident.span.end), Seen(value, body))
        if isinstance(statement, ast.Output) and statement.name is None and body.outputs:
            start = statement.span.start
            facts.values.setdefault((start, start + len("output")), Seen(body.outputs[-1][1], body))

    def evaluated(self, span: Span, value: CValue, body: Body) -> None:
        """Keeps what an expression is worth."""
        facts = self._facts(span, body)
        if facts is not None:
            facts.values.setdefault((span.start, span.end), Seen(value, body))

    def applied(self, layer: CValue, span: Span, values: list[CValue], result: CValue, body: Body) -> None:
        """Keeps what a layer makes of what."""
        facts = self._facts(span, body)
        if facts is not None:
            place = span.start, span.end
            known = facts.applications.get(place)
            if known is None or known.body.frame is body.frame:  # `repeat` tells of its layer before it tells of itself
                facts.applications[place] = Application(layer, list(values), result, body, body.frame.base)

    def _facts(self, span: Span, body: Body) -> Facts | None:
        """Where to keep something, if it is to be kept."""
        if span.source is not self.source:
            return None
        session = body.session
        if not session.symbolic:
            return self.concrete
        if session is not self._trial:
            self._begin(session)
        tried = self._tried
        return self._found if tried is not None and tried.start <= span.start < tried.end else None

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
        return not (self.concrete.values or self.symbolic)

    def value(self, place: Place) -> Seen | None:
        """What stands at a place, with sizes where a model gives them."""
        return self.concrete.values.get(place) or self._alone(place).values.get(place)

    def application(self, place: Place) -> Application | None:
        """What the layer at a place is applied to."""
        return self.concrete.applications.get(place) or self._alone(place).applications.get(place)

    def body(self, item: str) -> Body | None:
        """The body of an item, with sizes where a model gives them."""
        return self.concrete.bodies.get(item) or self.symbolic.get(item, _NOTHING).bodies.get(item)

    def _alone(self, place: Place) -> Facts:
        """What is known of the item at a place, checked by itself."""
        at = bisect_right(self._starts, (place[0], "\U0010ffff")) - 1
        return self.symbolic.get(self._starts[at][1], _NOTHING) if at >= 0 else _NOTHING


_NOTHING = Facts()


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
