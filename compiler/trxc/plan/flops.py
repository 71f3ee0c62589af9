"""How much arithmetic a function is, by the table of ops; its calls and loops counted as often as they run."""

from __future__ import annotations

from ..dims import Dim, dim
from ..ir import Function, Module, Op, Region
from ..ir.binding import bind_sizes
from ..ir.walk import callee, repeat_count
from ..ops import OPS, Attributes, Instance


def flops(module: Module, name: str) -> Dim:
    """Floating point operations of one run of a function, forward; of a branch its first side.

    Raises:
        KeyError: a function is not there.
        BindingError: the sizes of a call do not fit.
    """
    return _Count(module).function(module.functions[name])


class _Count:
    """The functions of a module, each counted once, in its own symbols."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self._known: dict[str, Dim] = {}

    def function(self, function: Function) -> Dim:
        """Those of one function."""
        if function.name not in self._known:
            self._known[function.name] = self._region(function.body)
        return self._known[function.name]

    def _region(self, region: Region) -> Dim:
        total = dim(0)
        for op in region.ops:
            total = total + self._op(op)
        return total

    def _op(self, op: Op) -> Dim:
        inside = [self._region(region) for region in op.regions]
        match op.kind:
            case "call":
                return self._call(op)
            case "repeat":
                return inside[0] * repeat_count(op)
            case "recur":
                axis = op.attributes["axis"]
                assert isinstance(axis, int)
                return inside[0] * op.operands[0].type.sizes[axis]
            case "cond":
                return inside[0]
            case _:
                pass
        if op.kind not in OPS:
            return dim(0)
        operands = tuple(value.type for value in op.operands)
        results = tuple(value.type for value in op.results)
        return OPS[op.kind].flops(Instance(operands, Attributes(op.attributes), results))

    def _call(self, op: Op) -> Dim:
        """A function speaks of sizes by symbols of its own."""
        function = self.module.functions[callee(op)]
        sizes = bind_sizes([value.type for value in function.inputs], [value.type.sizes for value in op.operands])
        return self.function(function).substitute(sizes)
