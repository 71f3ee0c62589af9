"""How fast a machine is: what jax reaches here, not what a data sheet promises."""

from __future__ import annotations

import time
from typing import Any

from .untyped import jax, jnp

SIDES = {"cpu": 2048}
SIDE = 8192
"""The side of the matrices that are multiplied, by platform: a GPU is done with smaller ones before it is busy."""

COPIED = 1 << 26
"""Numbers of 32 bits that are read and written: more than caches hold."""

TURNS = 10
"""How often a ceiling is measured at a time; the best counts."""


def product_rate(dtype: str) -> float:
    """Floating point operations a second of a product of two square matrices, of numbers drawn at random."""
    side = SIDES.get(jax.default_backend(), SIDE)
    x = jax.random.normal(jax.random.key(0), (side, side), dtype)
    return 2 * side**3 / _best(jax.jit(jnp.matmul), x, x)


def copy_rate() -> float:
    """Bytes a second that are read and written, where a number is added to a large array."""
    return 2 * 4 * COPIED / _best(jax.jit(_one_more), jnp.ones(COPIED, jnp.float32))


def _one_more(x: Any) -> Any:
    return x + 1


def _best(function: Any, *given: Any) -> float:
    """Seconds of the fastest of some calls, after one that compiles."""
    jax.block_until_ready(function(*given))
    taken: list[float] = []
    for _ in range(TURNS):
        began = time.perf_counter()
        jax.block_until_ready(function(*given))
        taken.append(time.perf_counter() - began)
    return min(taken)
