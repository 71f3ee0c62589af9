"""The values of a model by the names that users give them: `blocks[2].attention.scores`.

A name is a path of layers and loops, then what the value is called in the layer that it stands in: an input, a
binding, a weight, an output (`output`, where the layer gives it no name). Of values that are called the same, the last
is `x`, those before it are `x#1`, `x#2`, in order. Functions and layers that stand at no path of their own are looked
through; what the layer itself calls `x` comes before what they do. Branches of `cond` are not looked into, as only one
of the two has values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeAlias

from ..diagnostics import Diagnostic
from ..dims import dim
from ..ir import Function, Module, Op, Path, Region, Value
from ..ir.clone import call_renaming
from ..ir.walk import callee, repeat_count
from ..types import Axis, TensorType

MOST = 200_000
"""Ops that are looked at before a search ends."""

WEIGHTS = ("parameter", "state")

_TOKEN = re.compile(r"([^\s.#]+?)(?:#(\d{1,6}))?")
_INDICES = re.compile(r"(?:\[\d{1,6}\])*")


class UnknownValueError(Exception):
    """A name that is no value's, with the diagnostic that says so."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


@dataclass(frozen=True)
class Step:
    """Into the op at a position of a region: a call's callee, or a loop's region at iteration `index`, or at all."""

    position: int
    index: int | None = None


@dataclass(frozen=True)
class Segment:
    """A part of a path, and the numbers of iterations of the loops that begin with it."""

    text: str
    counts: tuple[int, ...] = ()

    def indices(self, token: str) -> tuple[int | None, ...] | None:
        """The iteration of each loop that a part of a name speaks of; None where it speaks of something else."""
        rest = token.removeprefix(self.text)
        if not token.startswith(self.text) or not _INDICES.fullmatch(rest):
            return None
        given = [int(text) for text in re.findall(r"\d+", rest)]
        if given and len(given) != len(self.counts):
            return None
        return tuple(given) if given else (None,) * len(self.counts)

    def __str__(self) -> str:
        return self.text + "".join(f"[0…{count - 1}]" for count in self.counts)


Segments: TypeAlias = tuple[Segment, ...]


@dataclass(frozen=True)
class Place:
    """Where a value is: the steps to the region that defines it, then the op and which of its results (-1: argument).

    `rank` says how near it is to what the user wrote: the smaller, the nearer.
    """

    segments: Segments
    name: str
    steps: tuple[Step, ...]
    at: tuple[int, int]
    rank: tuple[bool, int, bool]
    type: TensorType
    weight: bool = False


@dataclass(frozen=True)
class _Scope:
    """Where a search is."""

    segments: Segments
    steps: tuple[Step, ...] = ()
    depth: int = 0
    fresh: bool = True


class Names:
    """The names of a function and of all below it."""

    def __init__(self, module: Module, function: Function) -> None:
        self.module, self.function = module, function
        self._left = MOST

    def places(self, tokens: Sequence[str] | None = None) -> Iterator[Place]:
        """Every named value, in order; with `tokens`, those whose path is one that they begin with.

        Of layers below that path, only inputs are there then.

        A value's type is the one that it has where it stands.
        """
        self._left = MOST
        for place in self._function(self.function, _Scope(()), tokens):
            if tokens is None or _meets(place.segments, tokens):
                yield place

    def _function(self, function: Function, scope: _Scope, tokens: Sequence[str] | None) -> Iterator[Place]:
        yield from self._arguments(function.body, scope, loop=False)
        yield from self._ops(function.body, scope, tokens)
        yield from _named(function.body, list(zip(function.output_names, function.results, strict=False)), scope)

    @staticmethod
    def _arguments(region: Region, scope: _Scope, *, loop: bool) -> Iterator[Place]:
        for at, value in enumerate(region.arguments):
            if value.name is not None:
                rank = (loop, scope.depth, value.lent)
                yield Place(scope.segments, value.name, scope.steps, (-1, at), rank, value.type)

    def _ops(self, region: Region, scope: _Scope, tokens: Sequence[str] | None) -> Iterator[Place]:
        for position, op in enumerate(region.ops):
            self._left -= 1
            if self._left < 0:
                return
            yield from _results(op, position, scope)
            if op.kind in ("call", "repeat", "recur"):
                yield from self._below(op, position, scope, tokens)

    def _below(self, op: Op, position: int, scope: _Scope, tokens: Sequence[str] | None) -> Iterator[Place]:
        segments = scope.segments + tuple(map(Segment, op.path()))
        if op.kind == "repeat" and segments:
            last = segments[-1]
            segments = (*segments[:-1], Segment(last.text, (*last.counts, repeat_count(op))))
        if tokens is not None and not _meets(segments, tokens):
            return
        steps = (*scope.steps, Step(position))
        if op.kind == "call":
            inner = _Scope(segments, steps, 0 if op.path() else scope.depth + 1)
            function = self.module.functions[callee(op)]
            if tokens is not None and len(segments) > len(tokens):  # that there is such a layer is all that matters
                yield from self._arguments(function.body, inner, loop=False)
            else:
                yield from self._function(function, inner, tokens)
            return
        inner = _Scope(segments, steps, scope.depth if not op.path() else 0)
        region = op.regions[0]
        yield from self._arguments(region, inner, loop=True)
        yield from self._ops(region, inner, tokens)
        if op.kind == "recur":
            names = op.attributes["carries"]
            assert isinstance(names, tuple)
            following = region.results[len(region.results) - len(names) :]
            yield from _named(region, [(f"next_{n}", v) for n, v in zip(names, following, strict=True)], inner)

    def find(self, name: str) -> list[Place]:
        """The value of a name; several places where it is a weight that is read in several.

        Raises:
            UnknownValueError: there is none.
        """
        tokens, number = _tokens(name)
        found = [p for p in self.places(tokens[:-1]) if len(p.segments) == len(tokens) - 1 and p.name == tokens[-1]]
        if found:
            nearest = min(place.rank for place in found)
            found = [place for place in found if place.rank == nearest]
            if number is None and all(place.weight for place in found):
                return [self._indexed(place, tokens, name) for place in found]
            at = len(found) if number is None else number
            if not 1 <= at <= len(found):
                raise _wrong(name, f"`{name.partition('#')[0]}` is bound {len(found)} times")
            return [self._indexed(found[at - 1], tokens, name)]
        raise self._unknown(name, tokens)

    def _indexed(self, place: Place, tokens: Sequence[str], name: str) -> Place:
        """The place with the iterations that a name speaks of."""
        indices: list[int | None] = []
        for segment, token in zip(place.segments, tokens, strict=False):
            for index, count in zip(segment.indices(token) or (), segment.counts, strict=True):
                if index is not None and index >= count:
                    raise _wrong(name, f"`{segment.text}` is repeated {count} times", (f"the last is `{count - 1}`",))
                indices.append(index)
        steps = tuple(
            Step(step.position, indices.pop(0)) if op.kind == "repeat" else step
            for step, op in zip(place.steps, self.ops(place), strict=True)
        )
        return Place(place.segments, name, steps, place.at, place.rank, place.type, place.weight)

    def ops(self, place: Place) -> list[Op]:
        """The ops that the steps to a place lead into."""
        region, found = self.function.body, list[Op]()
        for step in place.steps:
            found.append(region.ops[step.position])
            op = found[-1]
            region = self.module.functions[callee(op)].body if op.kind == "call" else op.regions[0]
        return found

    def listing(self) -> Iterator[tuple[str, TensorType]]:
        """Every name that can be fetched and its type, in order; of loops, `blocks[0…5]`, the type is that of one."""
        groups: dict[tuple[Segments, str], list[Place]] = {}
        for place in self.places():
            groups.setdefault((place.segments, place.name), []).append(place)
        for (segments, name), found in groups.items():
            nearest = min(place.rank for place in found)
            found = [place for place in found if place.rank == nearest]
            found = found[-1:] if all(place.weight for place in found) else found
            for number, place in enumerate(found, 1):
                text = name if number == len(found) else f"{name}#{number}"
                type_ = self._outside(place)
                if type_ is not None:
                    yield ".".join([*map(str, segments), text]), type_

    def _outside(self, place: Place) -> TensorType | None:
        """The type of a value when it is fetched, from one iteration of each loop; None where it cannot be."""
        steps = tuple(Step(step.position, 0) for step in place.steps)
        try:
            return outward_type(self.module, self.function.body, place, fed=False, steps=steps)
        except UnknownValueError:
            return None

    def _unknown(self, name: str, tokens: list[str]) -> UnknownValueError:
        """What there is at the deepest level that is known."""
        level = max(range(len(tokens) + 1), key=lambda length: self._reaches(tokens[:length]) * (length + 1))
        known = tokens[:level]
        values, layers = self._held(known)
        prefix = "".join(f"{token}." for token in known)
        whole = level == len(tokens)
        message = f"`{name}` is a layer, not a value" if whole else f"there is no value `{name}`"
        wanted, bracket, index = tokens[level].partition("[") if level < len(tokens) else ("", "", "")
        near = get_close_matches(wanted, [*layers, *values], n=1, cutoff=0.5)
        rest = [near[0] + bracket + index, *tokens[level + 1 :]] if near else []
        helps = (f"did you mean `{'.'.join([*known, *rest])}`?",) if near else ()
        shown = ", ".join(f"`{value}`" for value in values[:30]) + (", …" if len(values) > 30 else "")
        notes = [f"values in `{prefix[:-1]}`: {shown}" if prefix else f"values of the model: {shown}"] if values else []
        notes += [f"layers: {', '.join(f'`{layer}`' for layer in layers[:30])}"] if layers else []
        return UnknownValueError(Diagnostic("TRX0707", message, None, helps=helps, notes=tuple(notes)))

    def _reaches(self, tokens: list[str]) -> bool:
        return any(len(place.segments) >= len(tokens) for place in self.places(tokens))

    def _held(self, tokens: list[str]) -> tuple[list[str], list[str]]:
        """The names of the values and of the layers directly below a path."""
        values, layers = dict[str, None](), dict[str, None]()
        for place in self.places(tokens):
            if len(place.segments) == len(tokens):
                values[place.name] = None
            elif len(place.segments) > len(tokens):
                layers[place.segments[len(tokens)].text] = None
        return list(values), list(layers)


def _meets(segments: Segments, tokens: Sequence[str]) -> bool:
    """Whether a path is what the parts of a name say, as far as both go."""
    return all(s.indices(t) is not None for s, t in zip(segments, tokens, strict=False))


def _results(op: Op, position: int, scope: _Scope) -> Iterator[Place]:
    if op.kind in WEIGHTS:
        *folders, name = op.path()
        segments = scope.segments + tuple(map(Segment, folders))
        depth = 0 if folders else scope.depth
        yield Place(segments, name, scope.steps, (position, 0), (False, depth, False), op.result.type, weight=True)
        return
    for at, value in enumerate(op.results):
        if value.name is not None:
            rank = (False, scope.depth, value.lent)
            yield Place(scope.segments, value.name, scope.steps, (position, at), rank, value.type)


def _named(region: Region, values: list[tuple[str, Value]], scope: _Scope) -> Iterator[Place]:
    """Values of a region by other names than their own."""
    where = {v: (-1, at) for at, v in enumerate(region.arguments)}
    where |= {v: (position, at) for position, op in enumerate(region.ops) for at, v in enumerate(op.results)}
    for name, value in values:
        if value.name != name or value.lent:
            yield Place(scope.segments, name, scope.steps, where[value], (False, scope.depth, False), value.type)


def _tokens(name: str) -> tuple[list[str], int | None]:
    """The parts of a name, and which of the values of that name it is, if it says so."""
    *path, last = name.split(".")
    found = _TOKEN.fullmatch(last)
    if found is None or not all(_TOKEN.fullmatch(part) and "#" not in part for part in path):
        message = f"`{name}` cannot be the name of a value"
        help_ = "names are written as in `blocks[2].attention.scores` or `x#1`"
        raise UnknownValueError(Diagnostic("TRX0707", message, None, helps=(help_,)))
    return [*path, found[1]], int(found[2]) if found[2] else None


def _wrong(name: str, reason: str, helps: tuple[str, ...] = ()) -> UnknownValueError:
    return UnknownValueError(Diagnostic("TRX0707", f"there is no value `{name}`: {reason}", None, helps=helps))


def outward_type(module: Module, region: Region, place: Place, *, fed: bool, steps: tuple[Step, ...]) -> TensorType:
    """The type that a value has for a region that is `steps` above it.

    Raises:
        UnknownValueError: it cannot be stacked along the dim that a loop walks.
    """
    if not steps:
        return place.type
    op = region.ops[steps[0].position]
    if op.kind == "call":
        target = module.functions[callee(op)]
        inner = outward_type(module, target.body, place, fed=fed, steps=steps[1:])
        return call_renaming(target, op.operands).type(inner)
    inner = outward_type(module, op.regions[0], place, fed=fed, steps=steps[1:])
    if op.kind == "repeat":
        return inner if fed or steps[0].index is not None else inner.with_axes((_turns(op), *inner.axes))
    if place.weight:
        return inner
    axis = op.attributes["axis"]
    assert isinstance(axis, int)
    if inner.rank < axis:
        raise _wrong(place.name, "it has too few dims to be stacked over the steps")
    walked = op.operands[0].type.axes[axis]
    return inner.with_axes((*inner.axes[:axis], walked, *inner.axes[axis:]))


def _turns(op: Op) -> Axis:
    return Axis(dim(repeat_count(op)))


__all__ = ["Names", "Path", "Place", "Step", "UnknownValueError", "outward_type"]
