"""Makes one of functions that are the same: equal layers on sequences of two lengths, or in training and inference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..ir import Module
from ..ir.merge import merge_equal_functions
from ..ir.walk import callee
from .base import Pass, Remarks

TRAINING = "_train"
"""What the elaborator adds to the names of functions for training."""


@dataclass(frozen=True)
class MergeFunctions(Pass):
    """See :func:`trxc.ir.merge.merge_equal_functions`."""

    name: ClassVar[str] = "merge-functions"

    def run(self, module: Module, remarks: Remarks) -> None:
        """Merges, callees before callers."""
        merge_equal_functions(module)
        _rename(module)


def _rename(module: Module) -> None:
    """Drops the suffix of functions for training that have no counterpart in inference."""
    names = {name: name.removesuffix(TRAINING) for name in module.functions}
    names = {old: new if old == new or new not in module.functions else old for old, new in names.items()}
    for function in module.functions.values():
        function.name = names[function.name]
        for op in function.body.walk():
            if op.kind == "call":
                op.attributes["callee"] = names[callee(op)]
    module.functions = {names[name]: function for name, function in module.functions.items()}
    module.roles = {role: names[name] for role, name in module.roles.items()}
