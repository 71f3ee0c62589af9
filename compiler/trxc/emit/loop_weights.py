"""Products in a `recur` whose weight has its gradient after the loop: what is written before the loop for them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ..ir import Op
from ..types import ANY
from .expressions import parse
from .pending import Pending, named
from .region import RegionWriter
from .scope import FOREVER


def deferred(op: Op) -> bool:
    """Whether the weight of a product in a loop is to have its gradient after the loop."""
    return op.attributes.get("gradient") == "after loop"


def write_loop_weights(writer: RegionWriter, loop: Op) -> Iterator[tuple[Op, str, ast.expr]]:
    """For each such product `u, u_parts = loop_weight(u, (seq, batch))`; gives it, a part's name, and all parts."""
    context, axis = writer.context, loop.attributes["axis"]
    assert isinstance(axis, int)
    steps = loop.operands[0].type.sizes[axis]
    for op in loop.regions[0].ops:
        if not deferred(op) or id(op) not in context.uses.live:
            continue
        x, w = op.operands
        weight = context.uses.of(w)
        rows = ", ".join(context.size(size) for size in (steps, *x.type.sizes[:-1]))
        comma = "" if x.type.rank > 1 else ","
        function = context.program.use("loop_weight")
        call = Pending(parse(f"{function}(_0, ({rows}{comma}))"), ANY, {"_0": writer.strong_item(weight)})
        hint = context.uses.name(weight) or _path_name(context.uses.definer.get(weight)) or "w"
        name = writer.names.take(hint, writer.now, FOREVER)
        parts = writer.names.take(f"{name}_parts", writer.now, FOREVER, beside=True)
        writer.emit(f"{name}, {parts} = ", call, op.span)
        context.items[weight] = named(name, weight)
        yield op, f"{name}_part", ast.Name(parts, ast.Load())


def _path_name(definer: Op | None) -> str | None:
    return definer.path()[-1] if definer is not None and definer.kind == "parameter" else None
