"""What to call a value: as the user does, else after what it replaces, else after what it is."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from ..ir import Op, Region, Value
from ..ir.walk import callee
from ..ops import OPS

if TYPE_CHECKING:
    from .region import RegionWriter

_KINDS = {
    "arange": "positions",
    "argmax": "best",
    "concat": "joined",
    "contract": "product",
    "conv": "features",
    "einsum": "product",
    "equal": "mask",
    "log_softmax": "log_probs",
    "logsumexp": "total",
    "matmul": "product",
    "max": "largest",
    "mean": "average",
    "min": "smallest",
    "one_hot": "chosen",
    "prod": "product",
    "softmax": "weights",
    "split": "part",
    "strided_conv": "features",
    "sum": "total",
    "take_along": "picked",
    "gather": "rows",
    "where": "chosen",
    "winograd_conv": "features",
}
_MOVED = frozenset(
    {
        *("broadcast", "cast", "expand_dims", "flatten", "reshape", "slice"),
        *("squeeze", "stop_gradient", "swap_axes", "take_index", "transpose"),
    }
)


def hint(writer: RegionWriter, op: Op, value: Value, *, reuse: bool = True) -> str:
    """A name for a value that an op gives, before it is made free of clashes."""
    given = writer.context.uses.name(value)
    if given is not None:
        return given
    if (becomes := _state_name(writer, value) or _carry_name(writer, value)) is not None:
        return becomes
    if reuse and (replaced := _replaced(writer, op, value)):
        return replaced
    if op.kind in ("parameter", "state"):
        return op.path()[-1]
    if op.kind == "call":
        return _result_name(writer, op, value)
    if op.kind == "recur" and (output := _output_name(writer, op, value)):
        return output
    if op.kind == "constrain" and (placed := writer.context.uses.definer.get(writer.context.uses.of(op.operands[0]))):
        return hint(writer, placed, op.operands[0], reuse=False)
    if op.kind in _MOVED and (moved := _first_name(writer, op)):
        return moved
    if op.kind in OPS and OPS[op.kind].elementwise:
        return _KINDS.get(op.kind, "mask" if value.type.dtype.kind == "bool" else "h")
    return _KINDS.get(op.kind, op.kind)


def _state_name(writer: RegionWriter, value: Value) -> str | None:
    """The state that a value becomes, if it does."""
    sites = writer.context.uses.sites.get(value, [])
    return next((s.op.path()[-1] for s in sites if s.op is not None and s.op.kind == "set_state"), None)


def _carry_name(writer: RegionWriter, value: Value) -> str | None:
    """The carry that a value is the beginning of, if it is."""
    for site in writer.context.uses.sites.get(value, []):
        if site.op is not None and site.op.kind in ("repeat", "recur"):
            operands = [writer.context.uses.of(operand) for operand in site.op.operands]
            return site.op.regions[0].arguments[operands.index(value)].name
        if site.op is None and (name := _next_carry_name(writer, site.region, value)):
            return name
    return None


def _next_carry_name(writer: RegionWriter, body: Region, value: Value) -> str | None:
    """The carry of a `recur` that a value of its body is in the next step, if it is."""
    _, loop = writer.context.uses.inside.get(id(body), (None, None))
    if loop is None or loop.kind != "recur":
        return None
    carries = len(loop.operands) - int(str(loop.attributes["sequences"]))
    results = [writer.context.uses.of(result) for result in body.results[len(body.results) - carries :]]
    return body.arguments[len(body.arguments) - carries + results.index(value)].name if value in results else None


def _output_name(writer: RegionWriter, loop: Op, value: Value) -> str | None:
    """What the body of a `recur` calls the value of which a result is the sequence."""
    body, at = loop.regions[0], loop.results.index(value)
    inside = writer.context.uses.of(body.results[at])
    return writer.context.uses.name(inside) or _next_carry_name(writer, body, inside)


def _first_name(writer: RegionWriter, op: Op) -> str | None:
    """What the user calls the first operand."""
    return writer.context.uses.name(writer.context.uses.of(op.operands[0])) if op.operands else None


def _replaced(writer: RegionWriter, op: Op, value: Value) -> str | None:
    """The name of the first operand, if it has the same type and is not needed any more."""
    if not op.operands or op.operands[0].type != value.type:
        return None
    item = writer.context.items.get(writer.context.uses.of(op.operands[0]))
    if item is None or not isinstance(item.template, ast.Name) or item.weak:
        return None
    name = item.template.id
    return name if writer.names.until.get(name, -1) == writer.now and len(op.results) == 1 else None


def _result_name(writer: RegionWriter, op: Op, value: Value) -> str:
    """What the callee calls the result."""
    function = writer.context.program.module.functions[callee(op)]
    at = op.results.index(value)
    names = [None if name == "output" else name for name in function.output_names]
    return (names[at] if at < len(names) else None) or function.results[at].name or "h"
