"""Makes one op of softmax attention: a product, what is done to scores, a softmax, a product with the values.

The op never holds the [queries, keys] weights in memory; causal masks and windows become attributes, so that blocks
that no query may see are not computed.

Before::

    %0: float[batch, heads, seq, seq] = einsum(q, k) {pattern="b s h e, b t h e -> b h s t"}
    %1: float[batch, heads, seq, seq] = divide(%0, 5.65)
    %2: float[batch, heads, seq, seq] = where(iota(seq)[:, none] >= iota(seq)[none, :], %1, -inf)
    %3: float[batch, heads, seq, seq] = softmax(%2) {over=(3,)}
    %4: float[batch, seq, heads, head] = einsum(%3, v) {pattern="b h s t, b t h e -> b s h e"}

After::

    %4: float[batch, seq, heads, head] = attention(q, k, v) {scale=0.177, causal=true, window=none, …}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..ir import Function, Module, Op, Region, Value
from ..ir.walk import count_uses, regions, uses
from ..ops import OPS
from .attention_build import Builder
from .attention_form import Form, form_of
from .attention_pattern import Found, Search, UnfitError
from .attention_terms import Makers
from .base import Pass, Remarks

DONE = "softmax(q k) v becomes one op that never holds the weights of all queries and keys"


@dataclass(frozen=True)
class FuseAttention(Pass):
    """Fuses every softmax attention of every function."""

    name: ClassVar[str] = "fuse-attention"

    def run(self, module: Module, remarks: Remarks) -> None:
        """Looks at every softmax."""
        for function in module.functions.values():
            for region in regions(function.body):
                for op in [op for op in region.ops if op.kind == "softmax"]:
                    self._fuse(function, region, op, remarks)

    def _fuse(self, function: Function, region: Region, softmax: Op, remarks: Remarks) -> None:
        makers: Makers = {value: op for op in region.ops for value in op.results}
        try:
            found = Search(region, makers, uses(function.body)).find(softmax)
            form = form_of(found, makers) if found is not None else None
        except UnfitError as unfit:
            remarks.missed(self.name, f"attention stays as it is written: {unfit.reason}", unfit.op.span)
            return
        if found is None or form is None:
            return
        _rewrite(region, found, form, makers)
        _remove_unused(function, region, found)
        remarks.done(self.name, "; ".join(dict.fromkeys([DONE, *form.notes])), softmax.span)


def _rewrite(region: Region, found: Found, form: Form, makers: Makers) -> None:
    """Puts the op where the product with the values stands; its result stays what it is."""
    builder = Builder(found.softmax.span, makers)
    builder.attention(form, found)
    at = region.ops.index(found.mix)
    builder.ops[-1].results[:] = [found.mix.result]
    region.ops[at : at + 1] = builder.ops


def _remove_unused(function: Function, region: Region, found: Found) -> None:
    """Removes what computed the weights and nothing else, from the last op to the first."""
    held = count_uses(function.body)
    above = _above(region, found.mixed.left.value, found.mixed.right.value)
    gone: set[Op] = set()
    for op in reversed(region.ops):
        draws = op.kind in OPS and OPS[op.kind].random and op is not found.dropout
        if op in above and not draws and not op.regions and not any(held[value] for value in op.results):
            gone.add(op)
            held.subtract(op.operands)
    region.ops[:] = [op for op in region.ops if op not in gone]


def _above(region: Region, *values: Value) -> set[Op]:
    """The ops of a region that values are computed from."""
    makers = {result: op for op in region.ops for result in op.results}
    found: set[Op] = set()
    pending = list(values)
    while pending:
        op = makers.get(pending.pop())
        if op is not None and op not in found:
            found.add(op)
            pending += op.operands
    return found
