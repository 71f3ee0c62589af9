"""Where arrays live: on one device, or over the mesh that the recipe asks for."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any, TypeVar

import numpy as np

from .trees import Tree
from .untyped import jax, optax

Batch = Mapping[str, Any]
Step = TypeVar("Step")


@dataclass(frozen=True)
class Placement:
    """Puts a training state and its batches where they belong; without a mesh, on the default device."""

    mesh: Any = None
    params: Tree = None
    batch: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, program: ModuleType, warn: Callable[[str], None]) -> Placement:
        """The placement that a program asks for, or an unsharded one, with one warning, where devices are too few."""
        shape: dict[str, int] = getattr(program, "MESH_SHAPE", {})
        if not shape:
            return cls()
        needed, present = math.prod(shape.values()), jax.device_count()
        if present < needed:
            axes = ", ".join(f"{name} = {size}" for name, size in shape.items())
            warn(f"the mesh ({axes}) needs {needed} devices and there is {present}: training unsharded on one")
            return cls()
        mesh = program.make_mesh()
        specs = program.param_specs()
        params = jax.tree.map(partial(jax.sharding.NamedSharding, mesh), specs, is_leaf=_is_spec)
        batch = {name: jax.sharding.NamedSharding(mesh, spec) for name, spec in program.batch_specs().items()}
        return cls(mesh, params, batch)

    def context(self) -> contextlib.AbstractContextManager[Any]:
        """The context that the program's functions run in."""
        return jax.set_mesh(self.mesh) if self.mesh is not None else contextlib.nullcontext()

    def shardings(self, tree: dict[str, Tree], optimizer: Any) -> dict[str, Tree] | None:
        """Where the leaves of ``{"params", "state", "opt_state"}`` lie; None without a mesh.

        Shapes are enough for leaves. Statistics of a parameter lie beside it.
        """
        if self.mesh is None:
            return None
        everywhere = jax.sharding.NamedSharding(self.mesh, jax.sharding.PartitionSpec())

        def beside(leaf: Any, sharding: Any) -> Any:
            if _is_masked(leaf):  # frozen weights have no statistics, and `sharding` is then a whole subtree
                return leaf
            return sharding if len(sharding.spec) <= leaf.ndim else everywhere

        def copied(leaf: Any) -> Any:
            return everywhere

        return {
            "params": self.params,
            "state": jax.tree.map(copied, tree["state"]),
            "opt_state": optax.tree.map_params(
                optimizer, beside, tree["opt_state"], self.params, transform_non_params=copied, is_leaf=_is_masked
            ),
        }

    def weights(self, params: Tree, state: Tree) -> tuple[Tree, Tree]:
        """Put weights and states that nothing is learnt of in place."""
        if self.mesh is None:
            return params, state
        everywhere = jax.sharding.NamedSharding(self.mesh, jax.sharding.PartitionSpec())
        return jax.device_put(params, self.params), jax.device_put(state, everywhere)

    def steps(self, steps: Iterator[Step]) -> Iterator[Step]:
        """The same, each made in the context of the mesh, which its user is not in."""
        while self.mesh is not None:
            with self.context():
                try:
                    step = next(steps)
                except StopIteration:
                    return
            yield step
        yield from steps

    def put(self, batch: Batch) -> dict[str, Any]:
        """A batch on its devices; a field whose leading axis does not divide goes to all of them."""
        if self.mesh is None or self.batch is None:
            return {name: jax.device_put(np.asarray(value)) for name, value in batch.items()}
        return {name: jax.device_put(np.asarray(value), self._sharding(name, value)) for name, value in batch.items()}

    def _sharding(self, name: str, value: Any) -> Any:
        everywhere = jax.sharding.NamedSharding(self.mesh, jax.sharding.PartitionSpec())
        sharding = (self.batch or {}).get(name, everywhere)
        try:
            sharding.shard_shape(np.shape(value))
        except ValueError:
            return everywhere
        return sharding


def _is_masked(value: object) -> bool:
    return isinstance(value, optax.MaskedNode)


def _is_spec(value: object) -> bool:
    return isinstance(value, jax.sharding.PartitionSpec)
