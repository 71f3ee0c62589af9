"""A compiled program at work under jax, for `trxc verify`: NumPy arrays in and out, in 32 bits."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from .lowering import DTYPES
from .output import note

if TYPE_CHECKING:
    from ...reference import Tree
    from .values import Array


class AtWork:
    """Runs an artifact's functions, each compiled once."""

    def __init__(self, artifact: Any) -> None:
        self._jax: Any = import_module("jax")
        self._program = artifact.program
        fields = [*artifact.manifest["inputs"], *(artifact.manifest["batch"] or ())]
        self._dtypes: dict[str, str] = {field["name"]: DTYPES[field["dtype"]] for field in fields}
        self._compiled: dict[str, Any] = {}

    def initial(self, seed: int) -> tuple[Tree, Tree]:
        """The program's own initial weights and states."""
        program, jax = self._program, self._jax
        return _arrays(jax.device_get((program.init(jax.random.key(seed)), program.init_state())))

    def results(
        self, role: str, params: Tree, state: Tree, inputs: Mapping[str, Array]
    ) -> tuple[dict[str, Array], Tree]:
        """What a role gives by name, and the states after it."""
        given = self._run(role, getattr(self, f"_{role}"), params, state, inputs)
        return _arrays(given)

    def gradient(self, role: str, params: Tree, state: Tree, inputs: Mapping[str, Array]) -> Tree:
        """The gradient of what `role` calls the loss."""
        function = getattr(self, f"_{role}")

        def loss(params: Any, state: Any, inputs: Any) -> Any:
            return function(params, state, inputs)[0]["loss"].astype("float32")

        slope = self._jax.grad(loss, allow_int=True)
        return _arrays(self._run(f"gradient of {role}", slope, params, state, inputs))

    def _run(self, name: str, function: Any, params: Tree, state: Tree, inputs: Mapping[str, Array]) -> Any:
        jax = self._jax
        if name not in self._compiled:
            self._compiled[name] = jax.jit(function)
        given = {key: jax.numpy.asarray(array, self._dtypes.get(key, "float32")) for key, array in inputs.items()}
        return jax.device_get(self._compiled[name](params, state, given))

    def _apply(self, params: Any, state: Any, inputs: Any) -> tuple[Any, Any]:
        return self._program.apply(params, state, inputs), state

    def _loss(self, params: Any, state: Any, inputs: Any) -> tuple[Any, Any]:
        value, after = self._program.loss(params, state, inputs, self._jax.random.key(0))
        return {"loss": value}, after

    def _measure(self, params: Any, state: Any, inputs: Any) -> tuple[Any, Any]:
        return self._program.measure(params, state, inputs), state

    def _summarize(self, params: Any, state: Any, inputs: Any) -> tuple[Any, Any]:
        del params
        return self._program.summarize(inputs), state


@contextlib.contextmanager
def at_work(artifact: Any) -> Generator[AtWork, None, None]:
    """The program in 32 bits and without the short cuts that accelerators take in products of matrices."""
    jax: Any = import_module("jax")
    placement = import_module("trxc_runtime.placement").Placement.of(artifact.program, _unsharded)
    with jax.enable_x64(False), jax.default_matmul_precision("highest"), placement.context():
        yield AtWork(artifact)


def _unsharded(reason: str) -> None:
    note(reason.replace("training", "verified"))


def _arrays(tree: Any) -> Any:
    """A tree with its leaves as arrays that NumPy computes with: floats of 16 bits as float32."""
    jax: Any = import_module("jax")
    return jax.tree.map(_array, tree)


def _array(leaf: Any) -> Array:
    array = np.asarray(leaf)
    return array.astype(np.float32) if str(array.dtype) in ("bfloat16", "float16") else array
