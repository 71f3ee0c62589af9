"""Recipes of small models, for tests that compare how one program is written in several ways."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

import trxc
from trxc_runtime.safety import check_program

_RECIPE = """
data random {
  source = arrays()
  fields { %s }
}
train t for M {
  data = random
  loss = %s
  optimizer = adamw(1e-3)
  batch = 4
  steps = 10
}
"""

_TOWER = """
layer Block(width: int, rate: float) {
  input x: float[batch, width]
  output x + (x |> Dense(2 * width) >> BatchNorm >> gelu >> Dropout(rate) >> Dense(width))
}
"""

_TOWER_MODEL = """
model M(width: int = 6) {
  input x: float[batch, width]
  output y: float[batch, width] = x |> %s
}
"""

_REGRESSION = _RECIPE % ("x = float[6], target = float[6]", "mean((y - target) ^ 2)")

PROGRAMS: dict[str, str] = {
    "tower": _TOWER + _TOWER_MODEL % "repeat(4, Block(width, 0.2))" + _REGRESSION,
    "sequence": _TOWER + _TOWER_MODEL % "Block(width, 0.2) >> Dense(width) >> Block(width, 0.3)" + _REGRESSION,
    "gpt": """
model M(vocab: int = 11, embed: int = 8, layers: int = 3, context: int = 7) {
  input tokens: int[batch, seq]
  table = Embedding(vocab, embed)
  x = tokens |> table |> Positions(context) |> repeat(layers, EncoderBlock(2, causal = true, drop = 0.1)) |> LayerNorm
  output logits: float[batch, seq, vocab] = table.attend(x)
}
"""
    + _RECIPE % ("tokens = int[7], targets = int[7]", "cross_entropy(logits, targets)"),
    "lstm": """
model M(vocab: int = 11, embed: int = 6) {
  input tokens: int[batch, seq]
  h = tokens |> Embedding(vocab, embed) |> LSTM(embed) |> Dropout(0.2) |> LSTM(embed)
  output logits: float[batch, seq, vocab] = h |> Dense(vocab)
}
"""
    + _RECIPE % ("tokens = int[7], targets = int[7]", "cross_entropy(logits, targets)"),
}


def compiled(name: str, **options: Any) -> trxc.Program:
    """A recipe of the table, compiled with every pass verified."""
    return trxc.compile(PROGRAMS[name], filename="case.trx", verify_each=True, **options)


def namespace(program: trxc.Program) -> dict[str, Any]:
    """What an emitted program defines, after the runtime's look at it."""
    check_program(program.source)
    names: dict[str, Any] = {"__name__": "program"}
    exec(compile(program.source, "program.py", "exec"), names)
    return names


def batch_of(program: trxc.Program, size: int = 4) -> dict[str, Any]:
    """A random batch; ids are below 10."""
    rng = np.random.default_rng(5)
    batch: dict[str, Any] = {}
    for field in program.manifest["recipe"]["data"]["fields"]:
        shape = (size, *field["shape"])
        whole = field["dtype"] in ("int", "i32")
        batch[field["name"]] = rng.integers(0, 10, shape) if whole else rng.normal(size=shape).astype(np.float32)
    return batch


def weights_of(names: dict[str, Any]) -> tuple[Any, Any]:
    """Random weights and the states at the start of an emitted program."""
    rng = np.random.default_rng(3)
    shapes = jax.eval_shape(names["init"], jax.random.key(1))
    params = jax.tree.map(lambda leaf: rng.normal(0, 0.3, leaf.shape).astype(np.float32), shapes)
    return params, names["init_state"]()


QUICK = {"xla_backend_optimization_level": 0}
"""Compiles in a third of the time, to code that is slower."""


def outcome(program: trxc.Program) -> list[np.ndarray[Any, Any]]:
    """Loss, new state and gradients of a program, for weights and draws that depend on names alone."""
    names = namespace(program)
    arguments = (*weights_of(names), batch_of(program), jax.random.key(2))
    function = jax.jit(jax.value_and_grad(names["loss"], has_aux=True))
    found = function.lower(*arguments).compile(compiler_options=QUICK)(*arguments)
    return [np.asarray(leaf) for leaf in jax.tree.leaves(found)]


def assert_close(left: list[np.ndarray[Any, Any]], right: list[np.ndarray[Any, Any]], tolerance: float) -> None:
    """Equal to a share of each array's largest element."""
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * (1e-3 + np.max(np.abs(one), initial=0)))
