"""Programs run where only jax and optax can be imported, as on a machine that has neither compiler nor runtime."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

REFUSED = (
    *("trxc", "trxc_runtime", "lark", "click", "rich", "grain", "orbax"),
    *("safetensors", "tokenizers", "tensorboardX", "sklearn"),
)
"""What the project depends on, or is, besides jax and optax."""

CHILD = """
import importlib, sys
import numpy as np

refused = sys.argv[1].split(",")

class Refusal:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in refused:
            raise ImportError(f"`{name}` is not here")

sys.meta_path.insert(0, Refusal())
for name in refused:
    try:
        importlib.import_module(name)
    except ImportError:
        continue
    sys.exit(f"`{name}` could be imported")

import jax
import program  # beside the arrays

batch = dict(np.load("batch.npz"))
key = jax.random.key(0)
params, state = program.init(key), program.init_state()
step = jax.jit(jax.value_and_grad(program.loss, has_aux=True))
(loss, _), grads = step(params, state, batch, key)
np.savez("given.npz", loss, *jax.tree.leaves(grads))
"""


def loss_and_gradients_alone(program: Path, batch: Mapping[str, Any], folder: Path) -> list[np.ndarray[Any, Any]]:
    """The loss of a batch at the weights of key 0, then the gradients: what a process by itself computes.

    ``folder`` gets a copy of the program, and is all that the process sees of the project.
    """
    (folder / "program.py").write_bytes(program.read_bytes())
    np.savez(folder / "batch.npz", **batch)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ran = subprocess.run(
        [sys.executable, "-c", CHILD, ",".join(REFUSED)],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    with np.load(folder / "given.npz") as given:
        return [given[f"arr_{at}"] for at in range(len(given.files))]
