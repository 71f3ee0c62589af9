"""Removes what need not be computed: operations that do nothing or undo each other (:mod:`.rewrites`), maths on
constants, repeated subexpressions, results that nobody uses.

Before::

    %1 = constant() {value=0}
    %2 = add(x, %1)
    %3 = exp(x)
    %4 = exp(x)
    %5 = multiply(%3, %4)
    yield %5

After::

    %3 = exp(x)
    %5 = multiply(%3, %3)
    yield %5
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..ir import Attribute, Module, Op, Region, Value
from ..ir.parameters import READS
from ..ir.walk import call_order, callee, count_uses, replace
from ..ops import OPS
from .base import Pass, Remarks
from .rewrites import rewrite

KEPT = frozenset({"set_state", "require"})
"""Ops that matter though they give nothing."""


@dataclass(frozen=True)
class Simplify(Pass):
    """Local rewrites, common subexpressions within a region, dead code; to a fixed point."""

    name: ClassVar[str] = "simplify"

    def run(self, module: Module, remarks: Remarks) -> None:
        """Simplifies every function."""
        kept = _writers(module)
        for function in module.functions.values():
            while rewrite(function.body) | _common(function.body, {}) | _dead(function.body, kept):
                pass
            for value, name in zip(function.body.results, function.output_names, strict=False):
                value.name = value.name or (name if name != "output" else None)


# ------------------------------------------------------------------- common


def _common(region: Region, seen: dict[object, Op]) -> bool:
    """Makes one of equal ops; a nested region may use what is computed around it."""
    new: dict[Value, Value] = {}
    known = dict(seen)
    changed = False
    for op in region.ops:
        op.operands[:] = [new.get(v, v) for v in op.operands]
        for inner in op.regions:
            replace(inner, new)
            changed |= _common(inner, _known_inside(op, known))
        key = _key(op)
        if key is None:
            continue
        if key in known:
            for old, kept in zip(op.results, known[key].results, strict=True):
                new[old] = kept
                kept.name = kept.name or old.name
        else:
            known[key] = op
    if new:
        replace(region, new)
        region.ops[:] = [op for op in region.ops if not (op.results and all(v in new for v in op.results))]
    return changed or bool(new)


def _known_inside(op: Op, known: dict[object, Op]) -> dict[object, Op]:
    """What the regions of an op may use of what is computed around it; below another path, weights are others."""
    if op.kind in ("repeat", "recur"):
        return {}
    return {key: of for key, of in known.items() if of.kind not in READS} if op.attributes.get("path") else known


def _key(op: Op) -> object:
    """What makes two ops equal; None for those that must stay apart: draws, calls, loops, writes."""
    definition = OPS.get(op.kind)
    if definition is None:
        if op.kind not in ("parameter", "state", "size", "constant"):
            return None
    elif definition.random:
        return None
    attributes = tuple(sorted((name, _typed(value)) for name, value in op.attributes.items()))
    return (op.kind, tuple(id(v) for v in op.operands), attributes, str(op.results[0].type.dtype) if op.results else "")


def _typed(value: Attribute) -> str:
    """An attribute as text; 1, 1.0 and true are different."""
    return f"{type(value).__name__}:{value!r}" if not isinstance(value, tuple) else str([_typed(v) for v in value])


# --------------------------------------------------------------------- dead


def _writers(module: Module) -> frozenset[str]:
    """The functions whose calls matter though nobody uses their results: they, or what they call, keep something."""
    found: set[str] = set()
    for name in call_order(module):
        ops = module.functions[name].body.walk()
        if any(op.kind in KEPT or (op.kind == "call" and callee(op) in found) for op in ops):
            found.add(name)
    return frozenset(found)


def _dead(body: Region, writers: frozenset[str]) -> bool:
    """Removes ops whose results nobody uses, from the last to the first."""
    uses = count_uses(body)
    before = sum(1 for _ in body.walk())

    def sweep(region: Region) -> None:
        kept: list[Op] = []
        for op in reversed(region.ops):
            wanted = any(uses[v] for v in op.results) or _writes(op, writers)
            if wanted:
                kept.append(op)
                for inner in op.regions:
                    sweep(inner)
                continue
            for value in [*op.operands, *(v for inner in op.regions for v in _held(inner))]:
                uses[value] -= 1
        region.ops[:] = kept[::-1]

    sweep(body)
    return sum(1 for _ in body.walk()) < before


def _held(region: Region) -> list[Value]:
    return [
        *region.results,
        *(v for op in region.walk() for v in [*op.operands, *(r for g in op.regions for r in g.results)]),
    ]


def _writes(op: Op, writers: frozenset[str]) -> bool:
    """Whether an op, or something inside it, is kept for what it does."""
    if op.kind in KEPT or (op.kind == "call" and callee(op) in writers):
        return True
    return any(_writes(inner, writers) for region in op.regions for inner in region.ops)
