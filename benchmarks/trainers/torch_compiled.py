"""Training steps with `torch.compile`: forward, loss and backward are compiled, the optimizer is fused as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch

from .base import Array, UnsupportedError
from .torch_eager import NETWORKS, Build, TorchTrainer

LABEL = "PyTorch, compiled"
NEEDS = ("torch",)


class CompiledTrainer(TorchTrainer):
    """See :class:`.base.Trainer`."""

    def __init__(
        self,
        build: Build,
        optimizer: Callable[..., torch.optim.Optimizer],
        weights: Mapping[str, Array],
        batch: Mapping[str, Array],
    ) -> None:
        super().__init__(build, optimizer, weights, batch)
        self.forward = torch.compile(self.network, dynamic=False)
        self.compiled = False

    def steps(self, count: int) -> None:
        """See :class:`.base.Trainer`; the first compiles."""
        if self.compiled:
            super().steps(count)
            return
        try:
            super().steps(1)
        except Exception as fault:  # the compiler's faults have no class in common
            raise UnsupportedError(f"`torch.compile` fails: {str(fault).splitlines()[0]}") from fault
        self.compiled = True
        super().steps(count - 1)


WORKLOADS: dict[str, Callable[[Mapping[str, Array], Mapping[str, Array]], CompiledTrainer]] = {
    name: partial(CompiledTrainer, *given) for name, given in NETWORKS.items()
}
