"""Writes short functions out where they are called, if they own no weights and draw no random numbers.

Before::

    function dropout(x) { yield x }
    function block(x) { %0 = call(x) {callee="dropout"}; yield %0 }

After::

    function block(x) { yield x }
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..ir import Function, Module
from ..ir.clone import inline_call
from ..ir.walk import call_order, callee, reachable
from ..ops import OPS
from .base import Pass, Remarks


@dataclass(frozen=True)
class InlineSmall(Pass):
    """Inlines functions of at most `limit` ops; then drops functions that nothing reaches."""

    name: ClassVar[str] = "inline-small"
    limit: int = 2

    def run(self, module: Module, remarks: Remarks) -> None:
        """Inlines into every function, callees before callers."""
        roles = set(module.roles.values())
        for name in call_order(module):
            function = module.functions[name]
            for op in list(function.body.walk()):
                if op.kind == "call" and callee(op) not in roles and self._is_small(module.functions[callee(op)]):
                    inline_call(module, function, op)
        kept = reachable(module)
        for name in [n for n in module.functions if n not in kept]:
            del module.functions[name]

    def _is_small(self, function: Function) -> bool:
        if function.parameters:
            return False
        ops = [op for op in function.body.walk() if op.kind not in ("constant", "size")]
        plain = all(op.kind in OPS and not OPS[op.kind].random and not op.regions for op in ops)
        return len(ops) <= self.limit and plain
