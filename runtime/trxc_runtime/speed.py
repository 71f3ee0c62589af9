"""How fast a recipe's steps are on this machine, and how fast the machine is: what a step reaches of it.

The batch is handed in, and is the same at every step: reading data is not measured. Ceilings are those of
:mod:`.ceilings`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .artifact import Artifact, load_artifact
from .beginning import begin
from .ceilings import copy_rate, product_rate
from .compile_cache import use_compile_cache
from .errors import RunError
from .peak import peak_memory
from .placement import Placement
from .untyped import jax
from .xla_options import compiling, use_xla_options

PRODUCTS = {"mixed_bf16": "bfloat16", "f16": "float16"}
"""The dtype of a model's products, by the recipe's precision; else it is float32."""


@dataclass(frozen=True)
class Speed:
    """Seconds, bytes and rates of a recipe's training steps.

    ``traced`` and ``compiled`` are seconds until the step can run: in jax, then in XLA (little where the cache has it).
    ``steps`` are the seconds of each step, ``first`` the first one's, which touches memory for the first time.
    ``weights`` and ``temporaries`` are bytes of one device, ``peak`` those that the process had at most. ``products``
    are the floating point operations a second of a product of matrices in ``dtype``, ``copies`` the bytes a second of
    reading and writing.
    """

    device: str
    devices: int
    traced: float
    compiled: float
    first: float
    steps: tuple[float, ...]
    weights: int
    temporaries: int
    peak: int
    dtype: str
    products: float
    copies: float

    @property
    def median(self) -> float:
        """Seconds of a step."""
        return statistics.median(self.steps)


def speed_of(
    artifact: str | Path | Artifact,
    batch: Mapping[str, Any],
    *,
    seconds: float = 10.0,
    root: str | Path | None = None,
    allow_extern: bool = False,
    xla_options: bool = False,
    warn: Callable[[str], None] = lambda text: None,
) -> Speed:
    """Time the training steps of an artifact with a recipe, for about so many seconds, three steps at least.

    ``batch`` has an array for each field that a step takes; ``xla_options`` is as for :func:`.training.train`. Raises
    :class:`RunError`.
    """
    use_compile_cache()
    where = Path(root) if root else None
    loaded = (
        artifact if isinstance(artifact, Artifact) else load_artifact(artifact, allow_extern=allow_extern, root=where)
    )
    if not hasattr(loaded.program, "train_step"):
        raise RunError("this artifact has no recipe to time", hints=("it was compiled from a model alone",))
    if xla_options:
        use_xla_options(loaded, warn)
    dtype = PRODUCTS.get(loaded.train.get("precision", ""), "float32")
    # Before the steps and after them: other work on the machine comes and goes.
    products = product_rate(dtype)
    program, placement = loaded.program, Placement.of(loaded.program, warn)
    with placement.context():
        first = begin(program, placement, seed=0)
        tree = (first["params"], first["state"], first["opt_state"])
        given = (placement.put(batch), jax.random.key(0))
        began = time.perf_counter()
        lowered = program.train_step.lower(*tree, *given)
        traced = time.perf_counter()
        with compiling(loaded):
            step = lowered.compile()
        compiled = time.perf_counter()
        weights = _bytes(tree[0])
        taken = _timed(step, tree, given, seconds)
    return Speed(
        device=_device(),
        devices=1 if placement.mesh is None else placement.mesh.size,
        traced=traced - began,
        compiled=compiled - traced,
        first=taken[0],
        steps=tuple(taken[1:]),
        weights=weights,
        temporaries=int(step.memory_analysis().temp_size_in_bytes),
        peak=peak_memory(),
        dtype=dtype,
        products=max(products, product_rate(dtype)),
        copies=copy_rate(),
    )


def _timed(step: Any, tree: tuple[Any, Any, Any], given: tuple[Any, Any], seconds: float) -> list[float]:
    """The seconds of each step, the first included; each waits for what it has computed."""
    taken: list[float] = []
    began = time.perf_counter()
    while len(taken) < 4 or time.perf_counter() - began < seconds:
        before = time.perf_counter()
        *held, metrics = step(*tree, *given)
        jax.block_until_ready((held, metrics))
        tree = (held[0], held[1], held[2])
        taken.append(time.perf_counter() - before)
    return taken


def _device() -> str:
    device = jax.devices()[0]
    return str(device.device_kind) if device.platform != "cpu" else "CPU"


def _bytes(tree: Any) -> int:
    return sum(int(leaf.nbytes) for leaf in jax.tree.leaves(tree))
