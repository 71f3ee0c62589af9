"""Results that jump where a number is rounded: an accuracy of 16-bit numbers says nothing of the program's."""

from __future__ import annotations

from ..ir import Module, Op, Region, Value
from ..ir.walk import callee

CHOOSING = frozenset({"argmax", "argmin", "argsort", "top_k", "categorical"})
ROUNDING = frozenset({"sign", "floor", "ceil", "round", "floor_divide", "remainder"})
COMPARING = frozenset({"equal", "not_equal", "less", "less_equal", "greater", "greater_equal"})
JUMPS = CHOOSING | ROUNDING | COMPARING


def jumping_results(module: Module, role: str) -> set[str]:
    """The names of a role's results that depend on a choice among floats."""
    function = module.role(role)
    touched = _touched(module, function.body, {})
    pairs = zip(function.output_names or ["value"], function.results, strict=True)
    return {name for name, value in pairs if value in touched}


def _touched(module: Module, region: Region, known: dict[str, bool]) -> set[Value]:
    """The values of a region that depend on a choice made in it."""
    found: set[Value] = set()
    for op in region.ops:
        if _chooses(module, op, known) or not found.isdisjoint(op.operands):
            found.update(op.results)
    return found


def _chooses(module: Module, op: Op, known: dict[str, bool]) -> bool:
    """Whether an op chooses, or one that it runs does."""
    if op.kind == "call":
        name = callee(op)
        if name not in known:
            known[name] = any(_chooses(module, inner, known) for inner in module.functions[name].body.ops)
        return known[name]
    floats = any(value.type.dtype.kind == "float" for value in op.operands)
    if floats and op.kind == "cast":
        return op.result.type.dtype.kind != "float"
    if floats and op.kind in JUMPS:
        return True
    return any(_chooses(module, inner, known) for region in op.regions for inner in region.ops)
