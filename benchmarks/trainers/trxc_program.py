"""The program that trxc wrote, with the cache of compiled programs that `trxc train` keeps.

The runner compiles the workload, and names the file of the program in the environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from trxc_runtime.compile_cache import use_compile_cache
from trxc_runtime.xla_options import for_once

from .base import PROGRAM, Array, Trainer

LABEL = "trxc"
NEEDS = ("jax", "optax")


class Program:
    """See :class:`.base.Trainer`; any workload."""

    def __init__(self, weights: Mapping[str, Array], batch: Mapping[str, Array]) -> None:
        use_compile_cache()
        path = Path(os.environ[PROGRAM])
        self.program: dict[str, Any] = {"__name__": "program"}
        exec(compile(path.read_text(), path, "exec"), self.program)
        params, state = nested(weights), self.program["init_state"]()
        self.held = (params, state, for_once(self.program["optimizer"]().init)(params))
        self.batch = jax.tree.map(jnp.asarray, dict(batch))
        self.key = jax.random.key(0)
        self.step = self.program["train_step"].lower(*self.held, self.batch, self.key).compile()
        self.temporaries = self.step.memory_analysis().temp_size_in_bytes

    def loss(self) -> float:
        """See :class:`.base.Trainer`."""
        value, _ = jax.jit(self.program["loss"])(*self.held[:2], self.batch, self.key)
        return float(value)

    def steps(self, count: int) -> None:
        """See :class:`.base.Trainer`."""
        for _ in range(count):
            *held, _ = self.step(*self.held, self.batch, self.key)
            self.held = tuple(held)
        jax.block_until_ready(self.held)


def nested(weights: Mapping[str, Array]) -> dict[str, Any]:
    """The tree of weights, from dotted paths."""
    tree: dict[str, Any] = {}
    for path, array in weights.items():
        *folders, name = path.split(".")
        at = tree
        for folder in folders:
            at = at.setdefault(folder, {})
        at[name] = jnp.array(array)
    return tree


WORKLOADS: dict[str, type[Trainer]] = dict.fromkeys(
    (path.stem for path in (Path(__file__).parents[1] / "workloads").glob("*.trx")), Program
)
