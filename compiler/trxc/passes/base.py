"""What a pass is: a frozen dataclass with a name, whose fields are its options, that changes a module in place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..ir import Module


@dataclass(frozen=True)
class Pass:
    """The base of all passes. `name` is what the command line calls it."""

    name: ClassVar[str] = ""

    def run(self, module: Module) -> None:
        """Changes the module; what it computes stays the same."""
        raise AssertionError(f"the pass {self.name} does nothing")
