"""What a function needs beside its inputs: weights, state, a random key; and whether it changes state."""

from __future__ import annotations

from dataclasses import dataclass

from ..ir import Function, Module, Op, Path, Region
from ..ir.parameters import storage_key
from ..ir.walk import callee
from ..ops import OPS


@dataclass(frozen=True)
class Needs:
    """What a function, a region or an op takes beside its values."""

    params: bool = False
    state: bool = False
    key: bool = False
    changes: bool = False

    def __or__(self, other: Needs) -> Needs:
        return Needs(
            self.params or other.params,
            self.state or other.state,
            self.key or other.key,
            self.changes or other.changes,
        )


_OWN = {
    "parameter": Needs(params=True),
    "state": Needs(state=True),
    "set_state": Needs(state=True, changes=True),
}


class ModuleNeeds:
    """The needs of all functions of a module, each looked into once; callees come before their callers."""

    def __init__(self, module: Module, order: list[str]) -> None:
        self.functions: dict[str, Needs] = {}
        self.leaves: dict[str, tuple[Path, ...]] = {}
        for name in order:
            function = module.functions[name]
            self.functions[name] = self.region(function.body)
            self.leaves[name] = self._function_leaves(function)

    def region(self, region: Region) -> Needs:
        """The needs of a region."""
        total = Needs()
        for op in region.ops:
            total |= self.op(op)
        return total

    def op(self, op: Op) -> Needs:
        """The needs of an op, those of its regions included."""
        if op.kind == "call":
            return self.functions[callee(op)]
        if op.kind in _OWN:
            return _OWN[op.kind]
        total = Needs(key=op.kind in OPS and OPS[op.kind].random)
        for region in op.regions:
            total |= self.region(region)
        return total

    def region_leaves(self, region: Region) -> tuple[Path, ...]:
        """The states that a region reads or sets, as storage paths relative to the region's root."""
        found: dict[Path, None] = {}
        for op in region.ops:
            for path in self._op_leaves(op):
                found[path] = None
        return tuple(found)

    def _op_leaves(self, op: Op) -> list[Path]:
        if op.kind in ("state", "set_state"):
            return [storage_path(op.path())]
        inner = self.leaves[callee(op)] if op.kind == "call" else self._regions_leaves(op)
        prefix = storage_path(op.path()) if inner and "path" in op.attributes else ()
        return [prefix + path for path in inner]

    def _regions_leaves(self, op: Op) -> list[Path]:
        return [path for region in op.regions for path in self.region_leaves(region)]

    def _function_leaves(self, function: Function) -> tuple[Path, ...]:
        owned = [storage_path(p.path) for p in function.parameters.values() if not p.trainable]
        return tuple(dict.fromkeys([*owned, *self.region_leaves(function.body)]))


def storage_path(path: Path) -> Path:
    """A path as keys of the tree that holds what it names."""
    return tuple(map(storage_key, path))
