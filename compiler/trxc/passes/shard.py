"""Places activations: a `constrain` after every layer whose result has dims that a mesh rule names.

Before::

    %0: f32[batch, seq, embed] = call(x) {callee="block", path=("block",)}

After, with `batch -> data`::

    %0: f32[batch, seq, embed] = call(x) {callee="block", path=("block",)}
    %1: f32[batch, seq, embed] = constrain(%0) {spec=("data", none, none)}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..ir import Module, Op, Region, Value
from ..plan.sharding import Rules, spec_of
from .base import Pass, Remarks


@dataclass(frozen=True)
class Shard(Pass):
    """Adds constraints by the rules of a mesh: dim name → axes."""

    name: ClassVar[str] = "shard"
    rules: Rules = ()

    def run(self, module: Module, remarks: Remarks) -> None:
        """Constrains the inputs of roles, and the results of calls and loops, in every function."""
        if not self.rules:
            return
        for function in module.functions.values():
            new: dict[Value, Value] = {}
            self._region(function.body, new)

    def _region(self, region: Region, new: dict[Value, Value]) -> None:
        ops: list[Op] = []
        for op in region.ops:
            op.operands[:] = [new.get(v, v) for v in op.operands]
            ops.append(op)
            for inner in op.regions:
                self._region(inner, dict(new))
            if op.kind not in ("call", "repeat"):
                continue
            for value in op.results:
                spec = spec_of(value.type.axes, self.rules)
                if any(spec):
                    constrained = Value(value.type, value.name)
                    ops.append(Op("constrain", [value], {"spec": spec}, [constrained], span=op.span))
                    new[value] = constrained
                    value.name = None
        region.ops[:] = ops
        region.results[:] = [new.get(v, v) for v in region.results]
