"""A region on its way to two: what is done for every chunk (`step`), and what is done once before (`prepare`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ...dims import Dim, dim
from ...ir import Attribute, Function, Initializer, Op, Parameter, Path, Region, Value
from ...ir.clone import Renaming, clone_op
from ...ir.walk import captures
from ...source import Span
from ...types import INT, Axis, TensorType
from .kinds import Fixed, Known

CHUNK, CAPACITY = "chunk", "capacity"
"""The symbols of a chunk's length, and of how many places are kept."""

RING = "ring_"
"""What the symbol of a ring's length begins with, before its window."""

KEPT = Initializer("kept", "jax.nn.initializers:zeros")
"""How states begin that decoding adds; by this name `precision` knows them."""

TOTAL = Initializer("zeros", "jax.nn.initializers:zeros")
"""How running totals begin."""


def ring(window: int) -> str:
    """The symbol for how many places are kept where a query sees `window`: those before a chunk, and the chunk's."""
    return f"{RING}{window}"


def window_of(symbol: str) -> int | None:
    """How many places a query sees of a :func:`ring` with this symbol; None of any other."""
    return int(symbol.removeprefix(RING)) if symbol.startswith(RING) else None


def renamed_symbols(taken: Iterable[str]) -> dict[str, Dim]:
    """Other names for symbols that are called as those of decoding."""
    taken, found = set(taken), dict[str, Dim]()
    for name in sorted(taken):
        if name in (CHUNK, CAPACITY) or name.startswith(RING):
            fresh = f"given_{name}"
            while fresh in taken:
                fresh += "_"
            found[name] = dim(fresh)
    return found


@dataclass
class Target:
    """The two functions that one becomes; `start`, `count` and `slots` are arguments of the first where it uses them.

    `on_mesh`: whether values are split over a mesh. `start`: the first place of the chunk; `count`: how many of its
    places are real; `slots`: the places that are kept.
    """

    time: str
    step: Function
    prepare: Function
    on_mesh: bool = False
    start: Value = field(default_factory=lambda: Value(TensorType(INT), "start"))
    count: Value = field(default_factory=lambda: Value(TensorType(INT), "count"))
    slots: Value = field(default_factory=lambda: Value(TensorType(INT, (Axis(dim(CAPACITY), None),)), "slots"))

    def names(self) -> set[str]:
        """The last segments of paths that are taken."""
        return {part for path in self.step.parameters for part in path}


@dataclass
class Scope:
    """One region: where its ops go, what is known of the original's values, and the path of what is kept in it.

    `region` is the original's, once it is walked through.
    """

    target: Target
    step: Region
    prepare: Region
    parent: Scope | None = None
    root: Path = ()
    region: Region | None = None
    known: dict[Value, Known] = field(default_factory=dict[Value, Known])
    makers: dict[Value, Op] = field(default_factory=dict[Value, Op])
    made: dict[tuple[str, Value], Value] = field(default_factory=dict[tuple[str, Value], Value])
    indexed: dict[object, Value] = field(default_factory=dict[object, Value])

    # ------------------------------------------------------------------ what is known

    def of(self, value: Value) -> Known:
        """What is known of a value of the original."""
        return self.owner(value).known[value]

    def owner(self, value: Value) -> Scope:
        """The scope that defines it."""
        if value in self.known or self.parent is None:
            return self
        return self.parent.owner(value)

    def maker(self, value: Value) -> Op | None:
        """The original's op that gives it."""
        return self.owner(value).makers.get(value)

    def all_makers(self) -> Mapping[Value, Op]:
        """The original's ops by what they give, those of the regions around among them."""
        return {**self.parent.all_makers(), **self.makers} if self.parent else self.makers

    # --------------------------------------------------------------------------- ops

    def emit(
        self,
        kind: str,
        operands: list[Value],
        type_: TensorType,
        span: Span | None,
        attributes: dict[str, Attribute] | None = None,
        name: str | None = None,
    ) -> Value:
        """A new op of the step, and its result."""
        return _emit(self.step, Op(kind, operands, attributes or {}, [Value(type_, name)], span=span))

    def emit_before(
        self,
        kind: str,
        operands: list[Value],
        type_: TensorType,
        span: Span | None,
        attributes: dict[str, Attribute] | None = None,
        name: str | None = None,
    ) -> Value:
        """The same in what is done before."""
        return _emit(self.prepare, Op(kind, operands, attributes or {}, [Value(type_, name)], span=span))

    def number(self, value: int | float, type_: TensorType | None = None) -> Value:
        """A constant of the step."""
        return self.emit("constant", [], type_ or TensorType(INT), None, {"value": value})

    # ------------------------------------------------------------------ what is fixed

    def fixed(self, value: Value, span: Span | None) -> Value:
        """A fixed value in the step: computed again from weights, or read as it was computed before."""
        owner = self.owner(value)
        known = owner.known[value]
        assert isinstance(known, Fixed)
        key = ("step", value)
        if key not in owner.made:
            owner.made[key] = owner.recall(value, span) if known.computed else owner.copy(value, "step")
        return owner.made[key]

    def before(self, value: Value) -> Value:
        """A fixed value in what is done before."""
        owner = self.owner(value)
        key = ("prepare", value)
        if key not in owner.made:
            owner.made[key] = owner.copy(value, "prepare")
        return owner.made[key]

    def copy(self, value: Value, where: str) -> Value:
        """The op that gives a fixed value, with all that it needs, once more."""
        op = self.makers[value]
        outside = [*op.operands, *_captured(op)]
        values = {each: self.fixed(each, op.span) if where == "step" else self.before(each) for each in outside}
        cloned = clone_op(op, values)
        (self.step if where == "step" else self.prepare).ops.append(cloned)
        for old, new in zip(op.results, cloned.results, strict=True):
            self.made[where, old] = new
        return self.made[where, value]

    def recall(self, value: Value, span: Span | None) -> Value:
        """A value that is computed before and kept as a state."""
        state, _ = self.carried(value.name or "fixed", value.type, span, lambda: self.before(value))
        state.name = value.name
        return state

    # ------------------------------------------------------------------ what is kept

    def carried(
        self,
        name: str,
        type_: TensorType,
        span: Span | None,
        begin: Callable[[], Value] | None = None,
        *,
        total: bool = False,
    ) -> tuple[Value, Callable[[Value], None]]:
        """A state as it is before the chunk, and how to set what it is after.

        Args:
            name: what it holds.
            type_: its type.
            span: where it comes from.
            begin: computes its first value; 0 if not given.
            total: whether it is a running total, which keeps all its bits in mixed precision.
        """
        path = self._new_path(name)
        initializer = TOTAL if total else KEPT
        for function in (self.target.step, self.target.prepare):
            function.parameters[self.root + path] = Parameter(self.root + path, type_, initializer, trainable=False)
        attributes: dict[str, Attribute] = {"path": path, **({} if total else {"kept": True})}
        if begin is not None:
            self.prepare.ops.append(Op("set_state", [begin()], dict(attributes), [], span=span))

        def write(value: Value) -> None:
            self.step.ops.append(Op("set_state", [value], dict(attributes), [], span=span))

        return self.emit("state", [], type_, span, dict(attributes)), write

    def _new_path(self, name: str) -> Path:
        taken = self.target.names()
        wanted, number = f"{name}_cache", 1
        while wanted in taken:
            number += 1
            wanted = f"{name}_cache_{number}"
        return (wanted,)

    def all_places(self, value: Value, axis: int, span: Span | None, places: str = CAPACITY) -> Value:
        """A timed value at all places so far: those of the chunk are put where they belong among what is kept.

        `places` is how many are kept: fewer than all in a :func:`ring`.
        """
        key = (places, value)
        if key not in self.made:
            whole = value.type.with_axes(_resized(value.type.axes, axis, dim(places)))
            old, write = self.carried(value.name or "x", whole, span)
            kind = "write_at" if places == CAPACITY else "write_ring"
            new = self.emit(kind, [old, value, self.target.start], whole, span, {"along": axis}, value.name)
            write(new)
            self.made[key] = new
        return self.made[key]

    # -------------------------------------------------------------------------- types

    def chunked(self, type_: TensorType) -> TensorType:
        """A type with the chunk's length for that of the whole."""
        return self.renaming.type(type_)

    @property
    def renaming(self) -> Renaming:
        """The whole length becomes the chunk's."""
        return Renaming({self.target.time: dim(CHUNK)})

    def places(self, axis: int, rank: int, span: Span | None) -> Value:
        """The numbers of the chunk's places along one of so many axes."""
        key = ("places", axis, rank)
        if key not in self.indexed:
            iota = self.emit("iota", [], TensorType(INT, (Axis(dim(CHUNK), None),)), span, {"n": (dim(CHUNK), None)})
            placed = self.emit("add", [self.target.start, iota], iota.type, span)
            self.indexed[key] = self.spread(placed, axis, rank, span)
        return self.indexed[key]

    def spread(self, value: Value, axis: int, rank: int, span: Span | None) -> Value:
        """A vector along one of so many axes."""
        if rank == 1:
            return value
        axes = [Axis(dim(1), None)] * rank
        axes[axis] = value.type.axes[0]
        sizes = tuple((a.size, a.name) for a in axes)
        return self.emit("reshape", [value], value.type.with_axes(axes), span, {"sizes": sizes})


def _resized(axes: Iterable[Axis], axis: int, size: Dim) -> list[Axis]:
    return [Axis(size, a.name) if at == axis else a for at, a in enumerate(axes)]


def _emit(region: Region, op: Op) -> Value:
    region.ops.append(op)
    return op.result


def _captured(op: Op) -> list[Value]:
    return [value for region in op.regions for value in captures(region)]
