"""Training steps in PyTorch as it is, with fused optimizers, and under `torch.autocast` where layers take 16 bits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import nn

from .base import ADAMW, DEVICE, GENTLE, HALF, MOMENTUM, Array, UnsupportedError
from .torch_large import Llama, ResNet50
from .torch_networks import GPT, MLP, Head, LanguageModel, ResNet, Translator
from .weights import Weights

LABEL = "PyTorch, eager"
NEEDS = ("torch",)

# A batch that is repeated thousands of times leaves units dead, whose momenta shrink to denormal numbers, which are
# slow; XLA flushes them, too. Threads inherit this from the one that starts them.
torch.set_flush_denormal(True)

PLACE = "cuda" if DEVICE == "gpu" else "cpu"
"""The device in PyTorch's words."""

Build = Callable[[Weights], nn.Module]


class TorchTrainer:
    """See :class:`.base.Trainer`."""

    def __init__(
        self,
        build: Build,
        optimizer: Callable[..., torch.optim.Optimizer],
        weights: Mapping[str, Array],
        batch: Mapping[str, Array],
    ) -> None:
        if DEVICE == "gpu" and not torch.cuda.is_available():
            raise UnsupportedError("PyTorch finds no GPU here")
        self.network = build(Weights(weights)).to(PLACE)
        self.forward: Callable[..., torch.Tensor] = self.network
        self.batch = {name: tensor(array).to(PLACE) for name, array in batch.items()}
        self.optimizer = optimizer([weight for weight in self.network.parameters() if weight.requires_grad])

    def loss(self) -> float:
        """See :class:`.base.Trainer`."""
        with torch.no_grad(), autocast():
            return self.network(self.batch).item()

    def steps(self, count: int) -> None:
        """See :class:`.base.Trainer`."""
        for _ in range(count):
            self.optimizer.zero_grad(set_to_none=True)
            with autocast():
                loss = self.forward(self.batch)
            loss.backward()
            self.optimizer.step()
        if DEVICE == "gpu":
            torch.cuda.synchronize()


def autocast() -> torch.autocast:
    """What a forward pass runs in."""
    return torch.autocast(PLACE, torch.bfloat16, enabled=HALF)


def tensor(array: Array) -> torch.Tensor:
    """Ids and labels as PyTorch takes them, in 64 bits."""
    found = torch.from_numpy(array)
    return found if found.is_floating_point() else found.long()


adamw = partial(
    torch.optim.AdamW,
    lr=ADAMW["learning_rate"],
    betas=(ADAMW["b1"], ADAMW["b2"]),
    eps=ADAMW["eps"],
    weight_decay=ADAMW["weight_decay"],
    fused=True,
)
sgd, gentle = (
    partial(torch.optim.SGD, lr=given["learning_rate"], momentum=given["momentum"], fused=True)
    for given in (MOMENTUM, GENTLE)
)

NETWORKS: dict[str, tuple[Build, Callable[..., torch.optim.Optimizer]]] = {
    "w1_mlp": (MLP, sgd),
    "w2_resnet": (ResNet, sgd),
    "w3_lstm": (LanguageModel, adamw),
    "w4_gpt": (GPT, adamw),
    "w5_deep": (GPT, adamw),
    "w6_head": (Head, adamw),
    "w8_translator": (Translator, adamw),
    "g1_gpt2": (GPT, adamw),
    "g2_llama": (Llama, adamw),
    "g3_resnet50": (ResNet50, gentle),
}
WORKLOADS: dict[str, Callable[[Mapping[str, Array], Mapping[str, Array]], TorchTrainer]] = {
    name: partial(TorchTrainer, *given) for name, given in NETWORKS.items()
}
