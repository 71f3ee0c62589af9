"""Who uses what in a function, as far as it is written: what is not needed is left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..ir import Function, Op, Region, Value

INLINE = frozenset({"constant", "size"})


@dataclass(frozen=True)
class Site:
    """A place that uses a value: an op of a region, or (None) the region's results."""

    region: Region
    op: Op | None


class Uses:
    """The uses of a function's values by the ops that are needed, with `tag`s looked through."""

    def __init__(self, function: Function, changes_state: Callable[[Op], bool]) -> None:
        self.alias: dict[Value, Value] = {}
        self.names: dict[Value, str] = {}
        self.live: set[int] = set()
        self.sites: dict[Value, list[Site]] = {}
        self.definer: dict[Value, Op] = {}
        self.inside: dict[int, tuple[Region, Op]] = {}
        self.position: dict[int, int] = {}
        self._wanted: set[Value] = set(function.results)
        self._changes = changes_state
        self._mark(function.body)
        self._collect(function.body)

    def of(self, value: Value) -> Value:
        """The value itself, where `value` is only another name for it."""
        while value in self.alias:
            value = self.alias[value]
        return value

    def name(self, value: Value) -> str | None:
        """What the user calls a value."""
        return value.name or self.names.get(value)

    def place(self, site: Site, region: Region) -> int:
        """The position in `region` of a use in it, or in a region nested in it; the end for its results."""
        here, op = site.region, site.op
        while here is not region:
            here, op = self.inside[id(here)]
        return len(region.ops) if op is None else self.position[id(op)]

    def is_loop_weight(self, site: Site, region: Region) -> bool:
        """Whether a use is that of a weight in a loop right in `region`, which has its gradient after the loop."""
        around = self.inside.get(id(site.region))
        deferred = site.op is not None and "gradient" in site.op.attributes
        return deferred and around is not None and around[0] is region

    def _mark(self, region: Region) -> None:
        for op in reversed(region.ops):
            if op.kind == "require" or self._changes(op) or not self._wanted.isdisjoint(op.results):
                self.live.add(id(op))
                self._wanted.update(op.operands)
                for inner in op.regions:
                    self._wanted.update(inner.results)
                    self._mark(inner)

    def _collect(self, region: Region) -> None:
        for at, op in enumerate(region.ops):
            self.position[id(op)] = at
            if id(op) not in self.live:
                continue
            if op.kind == "tag":
                self._rename(op)
                continue
            for result in op.results:
                self.definer[result] = op
            for operand in op.operands:
                self.sites.setdefault(self.of(operand), []).append(Site(region, op))
            for inner in op.regions:
                self.inside[id(inner)] = (region, op)
                self._collect(inner)
        for value in region.results:
            self.sites.setdefault(self.of(value), []).append(Site(region, None))

    def _rename(self, op: Op) -> None:
        original = self.of(op.operands[0])
        self.alias[op.result] = original
        if op.result.name and not original.name:
            self.names.setdefault(original, op.result.name)
