"""What training begins with, made by one compiled function: each device makes its own part of it.

No weight is ever whole on a device of a mesh that shares it out, so that a model may be larger than one device; drawn
numbers are the same on any mesh. One function is also compiled sooner than one for each shape and operation: first
weights of w4_gpt, w2_resnet and g3_resnet50 (`benchmarks/workloads`) take 1.0, 1.9 and 4.5 s in a fresh process where
they took 2.6, 4.3 and 10.1 (two cores of an x86-64 server, jax 0.10.2, empty cache).
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
