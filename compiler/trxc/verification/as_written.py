"""A compiled program that takes and gives weights as the program that was written stores them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ..ir import Module
from ..ops.arrays import Array
from ..reference import Tree, map_tree
from ..storage import restored

if TYPE_CHECKING:
    from .verify import Compiled


class AsWritten:
    """`compiled` with trees of the module `written` in place of those of `final`, which passes have made of it."""

    def __init__(self, compiled: Compiled, written: Module, final: Module) -> None:
        self.compiled, self.written, self.final = compiled, written, final

    def initial(self, seed: int) -> tuple[Tree, Tree]:
        """The program's own initial weights and states."""
        params, state = self.compiled.initial(seed)
        return self._back(params), self._back(state)

    def results(
        self, role: str, params: Tree, state: Tree, inputs: Mapping[str, Array]
    ) -> tuple[dict[str, Array], Tree]:
        """What a role gives by name, and the states after it."""
        found, after = self.compiled.results(role, self._there(params), self._there(state), inputs)
        return found, self._back(after, state)

    def gradient(self, role: str, params: Tree, state: Tree, inputs: Mapping[str, Array]) -> Tree:
        """The gradient of what `role` calls the loss."""
        slopes = self.compiled.gradient(role, self._there(params), self._there(state), inputs)
        return self._back(slopes, map_tree(np.zeros_like, params))

    def _there(self, tree: Tree) -> Tree:
        return restored(self.written, self.final, None, tree)

    def _back(self, tree: Tree, missing: Tree | None = None) -> Tree:
        return restored(self.final, self.written, None, tree, missing=missing)
