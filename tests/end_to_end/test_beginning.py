"""What training begins with: the numbers of the program's own `init`, each device of a mesh making its own part."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax  # pyright: ignore[reportMissingTypeStubs] - it has none
import pytest

import trxc
import trxc_runtime
from trxc_runtime.artifact import load_artifact
from trxc_runtime.beginning import begin, forms
from trxc_runtime.placement import Placement

MODEL = """
layer Block(ratio: int = 4) {
  input x: float[..., embed]
  output x + (x |> LayerNorm >> Dense(ratio * embed) >> gelu >> Dense(embed, init = normal(0.02)))
}

model Net(embed: int = 64, classes: int = 8) {
  input x: float[batch, 32]
  h = x |> Dense(embed, init = truncated_normal(0.1)) |> BatchNorm |> repeat(3, Block())
  output logits: float[batch, classes] = h |> Dense(classes)
}

data d {
  source = arrays()
  fields { x = float[32], y = int }
}

train t for Net {
  data      = d
  loss      = cross_entropy(logits, y)
  optimizer = adamw(1e-3)
  freeze    = ["dense.*"]
  batch     = 8
  steps     = 2
@mesh@}
"""
MESH = """
mesh grid {
  data  = 2
  model = 2
  batch -> data
  embed -> model
}
"""

SCRIPT = """
import json, sys
import jax, numpy as np
from trxc_runtime.artifact import load_artifact
from trxc_runtime.beginning import _first, _places, begin, forms
from trxc_runtime.placement import Placement

program = load_artifact(sys.argv[1]).program
placement = Placement.of(program, print)
with placement.context():
    made, wanted = begin(program, placement, 3), forms(program, placement)
    assert jax.tree.map(lambda leaf: leaf.sharding, made) == jax.tree.map(lambda leaf: leaf.sharding, wanted)

def taken(**options):  # bytes that a device needs for the function and its results
    with placement.context():
        memory = jax.jit(_first(program), **options).lower(jax.random.key(0)).compile().memory_analysis()
    return memory.output_size_in_bytes + memory.temp_size_in_bytes

statistics = {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(made["opt_state"])}
weight = next(leaf for name, leaf in statistics.items() if ".mu" in name and leaf.ndim == 3)
np.savez(sys.argv[2], **{str(at): leaf for at, leaf in enumerate(jax.tree.leaves(made))})
print(json.dumps({
    "shard": weight.addressable_shards[0].data.shape, "whole": weight.shape,
    "here": taken(out_shardings=_places(program, placement)), "alone": taken(),
}))
"""


def saved(folder: Path, *, mesh: bool = False) -> Path:
    text = MODEL.replace("@mesh@", "  mesh      = grid\n" if mesh else "") + (MESH if mesh else "")
    trxc.compile(text, filename="m.trx", name="t").save(folder)
    return folder


@pytest.mark.core
def test_it_is_what_the_program_says(tmp_path: Path) -> None:
    program = load_artifact(saved(tmp_path / "m")).program
    made = begin(program, Placement(), 5)
    params: Any = program.init(jax.random.key(5))
    wanted = {"params": params, "state": program.init_state(), "opt_state": program.optimizer().init(params)}
    assert jax.tree.structure(made) == jax.tree.structure(wanted)
    for found, leaf in zip(jax.tree.leaves(made), jax.tree.leaves(wanted), strict=True):
        assert (found.dtype, found.weak_type) == (leaf.dtype, leaf.weak_type)
        np.testing.assert_array_equal(found, leaf)
    user: Any = trxc_runtime.load(tmp_path / "m").init(seed=5)
    jax.tree.map(np.testing.assert_array_equal, user, made["params"])


def test_forms_are_those_of_the_arrays(tmp_path: Path) -> None:
    program = load_artifact(saved(tmp_path / "m")).program
    made, wanted = begin(program, Placement(), 0), forms(program, Placement())
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), made) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), wanted
    )


def test_each_device_makes_its_own_part(tmp_path: Path) -> None:
    folder, numbers = saved(tmp_path / "m", mesh=True), tmp_path / "numbers.npz"
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    command = [sys.executable, "-c", SCRIPT, str(folder), str(numbers)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    facts = json.loads(done.stdout)
    assert np.prod(facts["shard"]) * 2 == np.prod(facts["whole"]), "statistics lie beside their weights"
    assert facts["here"] < 0.6 * facts["alone"], "nothing is made whole and then cut"
    alone = begin(load_artifact(folder).program, Placement(), 3)
    with np.load(numbers) as found:
        for at, leaf in enumerate(jax.tree.leaves(alone)):
            np.testing.assert_array_equal(found[str(at)], leaf)


def test_frozen_weights_are_placed_on_a_mesh() -> None:
    """Statistics of a frozen weight are a hole in the optimizer's tree."""
    params = {"a": {"w": np.ones((2, 2), np.float32)}, "b": {"w": np.ones((2,), np.float32)}}
    labels = {"a": "freeze", "b": "train"}
    optimizer: Any = optax.multi_transform({"train": optax.adam(0.1), "freeze": optax.set_to_zero()}, labels)
    mesh = jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    placement = Placement(mesh, jax.tree.map(lambda leaf: split, params), {})
    tree = {"params": params, "state": {}, "opt_state": optimizer.init(params)}
    placed = placement.shardings(tree, optimizer)
    assert jax.tree.structure(placed) == jax.tree.structure(tree)
    assert placed is not None
    (mean,) = [
        leaf for path, leaf in jax.tree.leaves_with_path(placed["opt_state"]) if ".mu" in jax.tree_util.keystr(path)
    ]
    assert mean == split
