"""What training begins with, made by one compiled function: each device makes its own part of it.

No weight is ever whole on a device of a mesh that shares it out, so that a model may be larger than one device; drawn
numbers are the same on any mesh. One function is also compiled sooner than one for each shape and operation, as long as
few weights are of one shape: with an empty cache it takes 0.41 of the time for w4_gpt (4.4 s before), 0.49 for
w2_resnet, 0.44 for g3_resnet50 (17 s) and 0.96 for w8_translator (`benchmarks/workloads`, three pairs of processes by
turns on two busy cores of an x86-64 server, jax 0.10.2).
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from .placement import Placement
from .trees import Tree
from .untyped import jax
from .xla_options import for_once


def begin(program: ModuleType, placement: Placement, seed: int) -> Tree:
    """Weights, what the model keeps beside them, and the optimizer's statistics: `{"params", "state", "opt_state"}`."""
    places = _places(program, placement)
    options = {} if places is None else {"out_shardings": places}
    return for_once(_first(program), **options)(jax.random.key(seed))


def forms(program: ModuleType, placement: Placement) -> Tree:
    """The shapes, dtypes and places of :func:`begin`'s arrays, as `jax.ShapeDtypeStruct`; nothing is computed."""
    shapes, places = _shapes(program), _places(program, placement)
    return shapes if places is None else jax.tree.map(_placed, shapes, places)


def _placed(leaf: Any, place: Any) -> Any:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place)


def _first(program: ModuleType) -> Callable[[Any], Tree]:
    """The function that makes it, of a random key."""
    optimizer = program.optimizer()

    def first(key: Any) -> Tree:
        params = program.init(key)
        return {"params": params, "state": program.init_state(), "opt_state": optimizer.init(params)}

    return first


def _shapes(program: ModuleType) -> Tree:
    return jax.eval_shape(_first(program), jax.random.key(0))


def _places(program: ModuleType, placement: Placement) -> Tree:
    return placement.shardings(_shapes(program), program.optimizer())
