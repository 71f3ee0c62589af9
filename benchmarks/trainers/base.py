"""What a trainer is: one workload of `benchmarks/workloads` in one tool, as that tool's users would write it.

A module of trainers has `LABEL`, the packages it `NEEDS`, and `WORKLOADS`: a trainer for each workload that the tool
has the layers for. Optimizers are those of the workloads, as optax defines them. The runner says in the environment
which device a worker is for, and whether the recipe computes in 16 bits.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

DEVICE = os.environ.get("TRXC_BENCHMARK_DEVICE", "cpu")
"""`cpu` or `gpu`."""
HALF = os.environ.get("TRXC_BENCHMARK_PRECISION", "f32") == "mixed_bf16"
"""Whether layers are computed in bfloat16, with weights, statistics and the loss in 32 bits."""
PROGRAM = "TRXC_BENCHMARK_PROGRAM"
"""The variable that names the file of trxc's program."""

ADAMW: dict[str, Any] = {"learning_rate": 1e-3, "b1": 0.9, "b2": 0.999, "eps": 1e-8, "weight_decay": 0.01}
"""`adamw(1e-3)` of a workload in optax's words: every weight decays, biases and scales too."""
MOMENTUM: dict[str, Any] = {"learning_rate": 0.1, "momentum": 0.9}
"""`sgd(0.1, momentum = 0.9)` of a workload."""
GENTLE: dict[str, Any] = {"learning_rate": 1e-5, "momentum": 0.9}
"""`sgd(1e-5, momentum = 0.9)` of one whose losses larger steps would throw apart."""


class Trainer(Protocol):
    """One workload in one tool: the weights that trxc starts with, in float32, and one batch.

    `weights` are by their dotted paths in trxc, as `encoder_blocks.attention.wq`, those of layers stacked as trxc
    stacks them; `batch` by field. What trxc keeps beside weights is not given: running means start at 0, running
    variances at 1. A trainer that knows how much memory XLA takes for a step's temporaries has it as `temporaries`, in
    bytes.
    """

    def __init__(self, weights: Mapping[str, Array], batch: Mapping[str, Array]) -> None: ...

    def loss(self) -> float:
        """Of the batch at the weights as they are, in training; no step is taken."""
        ...

    def steps(self, count: int) -> None:
        """Takes so many steps, and waits until the last is done."""
        ...


class UnsupportedError(Exception):
    """The tool cannot do this, or not on this machine; the message says why."""
