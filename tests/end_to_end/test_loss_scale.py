"""Training in f16: the loss's scale saves gradients that would be 0, gives way where they overflow, and is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import trxc
import trxc_runtime
from trxc_runtime.checkpoint import Checkpoints

PROGRAM = """
model Net {
  input x: float[batch, 6]
  output y: float[batch, 1] = x |> Dense(16) |> tanh |> Dense(1)
}

data points {
  source = arrays()
  fields { x = float[6], t = float[1] }
}

train small for Net {
  data = points
  loss = FACTOR * mean((y - t) * (y - t))
  optimizer = adam(1e-2, eps = 1e-16)
  precision = f16
  batch = 16
  steps = 6
  checkpoint { every = 3 }
  log { every = 1 }
}
"""
SMALL = "1e-9"
"""Gradients of this much of a loss are too small for f16, whose least number is 6e-8."""


def data(count: int = 16) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(count, 6)).astype(np.float32)
    return {"x": x, "t": x[:, :1] * x[:, 1:2]}


def compiled(factor: str) -> trxc.Program:
    return trxc.compile(PROGRAM.replace("FACTOR", factor), filename="small.trx")


def started(factor: str, **scale: Any) -> tuple[Any, list[Any]]:
    """The program, and its trees at the start, with another scale."""
    names: dict[str, Any] = {"__name__": "program"}
    exec(compiled(factor).source, names)
    params = names["init"](jax.random.key(0))
    fresh = names["optimizer"]().init(params)
    return names["train_step"], [params, names["init_state"](), {**fresh, **scale}]


def step(train_step: Any, trees: list[Any]) -> tuple[list[Any], Any]:
    """One step, with the trees before it left as they are."""
    *new, metrics = train_step(*jax.tree.map(jnp.copy, trees), data(), jax.random.key(1))
    return list(new), metrics


def trained(trees: list[Any], train_step: Any, steps: int) -> tuple[list[Any], list[float]]:
    losses: list[float] = []
    for _ in range(steps):
        trees, metrics = step(train_step, trees)
        losses.append(float(metrics["loss"]))
    return trees, losses


def same(left: Any, right: Any) -> bool:
    return all(jax.tree.leaves(jax.tree.map(lambda a, b: bool(jnp.array_equal(a, b)), left, right)))


def test_what_underflows_without_a_scale_is_learnt_with_it() -> None:
    train_step, fresh = started(SMALL, scale=jnp.float32(1))
    still, losses = trained(fresh, train_step, 30)
    assert same(still[0], fresh[0])
    assert losses[-1] == losses[0]
    train_step, fresh = started(SMALL)
    _, losses = trained(fresh, train_step, 30)
    assert losses[-1] < losses[0] / 2


def test_an_overflow_halves_the_scale_and_changes_nothing_else() -> None:
    train_step, fresh = started("1.0", scale=jnp.float32(2.0**100), good_steps=jnp.int32(7))
    (params, state, opt_state), metrics = step(train_step, fresh)
    assert same((params, state, opt_state["inner"]), (fresh[0], fresh[1], fresh[2]["inner"]))
    assert (opt_state["scale"], opt_state["good_steps"]) == (2.0**99, 0)
    assert not np.isfinite(metrics["grad_norm"])


def test_it_trains_once_the_scale_has_given_way() -> None:
    train_step, fresh = started("1.0", scale=jnp.float32(2.0**40))
    (_, _, opt_state), losses = trained(fresh, train_step, 60)
    assert opt_state["scale"] < 2.0**30
    assert np.isfinite(losses[-1]) and losses[-1] < losses[0] / 2


def test_the_scale_doubles_after_enough_good_steps() -> None:
    train_step, fresh = started("1.0", scale=jnp.float32(128), good_steps=jnp.int32(1998))
    trees, _ = step(train_step, fresh)
    assert (trees[2]["scale"], trees[2]["good_steps"]) == (128, 1999)
    trees, _ = step(train_step, trees)
    assert (trees[2]["scale"], trees[2]["good_steps"]) == (256, 0)
    assert not same(trees[0], fresh[0])


@pytest.mark.core
def test_a_run_that_goes_on_keeps_the_scale(tmp_path: Path) -> None:
    artifact = compiled("1e4").save(tmp_path / "artifact")  # 2^15 overflows at first
    trxc_runtime.train(artifact, tmp_path / "whole", data=data(64), quiet=True)
    trxc_runtime.train(artifact, tmp_path / "broken", data=data(64), quiet=True, steps=3)
    middle = opt_state_of(tmp_path / "broken")
    trxc_runtime.train(artifact, tmp_path / "broken", data=data(64), quiet=True, steps=6)
    assert middle["scale"] < 2.0**15
    assert same(opt_state_of(tmp_path / "whole"), opt_state_of(tmp_path / "broken"))


def opt_state_of(run: Path) -> Any:
    """The optimizer's statistics in the newest checkpoint."""
    program = trxc_runtime.load_artifact(run).program
    params = program.init(jax.random.key(0))
    like = {"params": params, "state": program.init_state(), "opt_state": program.optimizer().init(params)}
    checkpoints = Checkpoints(run / "checkpoints")
    return checkpoints.restore(checkpoints.steps()[-1], like).tree["opt_state"]
