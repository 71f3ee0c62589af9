"""Makes one of functions that are the same: equal layers on sequences of two lengths, or in training and inference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..ir import Module
from ..ir.merge import merge_equal_functions
from .base import Pass


@dataclass(frozen=True)
class MergeFunctions(Pass):
    """See :func:`trxc.ir.merge.merge_equal_functions`."""

    name: ClassVar[str] = "merge-functions"

    def run(self, module: Module) -> None:
        """Merges, callees before callers."""
        merge_equal_functions(module)
