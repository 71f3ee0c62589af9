"""`trxc verify --invariance` without jax: what is trained, and what is made of the losses, with a trainer that invents
them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import trxc
from trxc.passes import PASS_NAMES, REQUIRED
from trxc.verification.comparison import Check
from trxc.verification.invariance import LAST_BIT, Trained, verify_invariance
from trxc.verification.variants import BATCH, Run
from trxc.verification.verify import Report

PROGRAM = """
layer Noise {
  input x: float[batch, seq, d]
  output x + random_normal([seq, d])
}

model Net(vocab: int = 6, embed: int = 4) {
  input words: int[batch, seq]
  x = words |> Embedding(vocab, embed) |> BODY
  output logits: float[batch, seq, vocab] = x |> Dense(vocab)
}

mesh grid {
  data = 3
  model = 5
  batch -> data
  vocab -> model
}

data random {
  source = arrays()
  fields { words = int[5], tag = int[5] }
}

train tiny for Net {
  data = random
  loss = LOSS
  optimizer = sgd(0.1)
  batch = 30
  accumulate = 3
  steps = 2
  MESH
}
"""
LOSS = "cross_entropy(logits, tag)"


class Inventing:
    """Gives every training the same losses, unless `spoil` has others for it."""

    def __init__(self, spoil: Callable[[Run, Trained], Trained] = lambda run, trained: trained) -> None:
        self.spoil = spoil
        self.runs: list[Run] = []

    def train(self, runs: Sequence[Run], batches: Mapping[str, Any], seed: int) -> list[Trained]:
        self.runs = list(runs)
        self.batches = batches
        losses = tuple(1 / (1 + at) for at in range(len(batches["words"])))
        return [self.spoil(run, Trained(losses, 2.0, "start")) for run in runs]


def verified(trainer: Inventing, *, body: str = "relu", loss: str = LOSS, mesh: str = "", **settings: Any) -> Report:
    text = PROGRAM.replace("BODY", body).replace("LOSS", loss).replace("MESH", mesh)

    def compiled(changed: Mapping[str, str], without: tuple[str, ...]) -> trxc.Program:
        return trxc.compile(
            text, filename="n.trx", name="tiny", set={**settings, **changed}, disable=without, dropout=False
        )

    return verify_invariance(compiled, "tiny", trainer, steps=4)


def row(report: Report, what: str) -> Check:
    (found,) = [check for check in report.checks if check.what == what]
    return found


def test_every_way_has_a_row_and_is_trained_once() -> None:
    trainer = Inventing()
    report = verified(trainer)
    assert report.ok
    names = [check.what for check in report.checks]
    assert {"accumulate = 2", "accumulate = 4", "batch in 2 parts, by hand", "batch over 4 devices"} <= set(names)
    assert {f"without {name}" for name in PASS_NAMES if name not in REQUIRED} <= set(names)
    assert {check.inputs for check in report.checks[1:]} == {4}
    texts = [(run.program.source, run.parts, run.devices, run.nudge) for run in trainer.runs]
    assert len(set(texts)) == len(texts) < len(names) + 1
    assert (trainer.runs[0].nudge, trainer.runs[1].nudge) == (0.0, LAST_BIT)
    assert trainer.batches["words"].shape == (4, BATCH, 5)


def spoiled(what: Callable[[Run], bool], **changed: Any) -> Inventing:
    return Inventing(lambda run, trained: replace(trained, **changed) if what(run) else trained)


def test_another_loss_at_one_step_is_told() -> None:
    report = verified(spoiled(lambda run: run.parts == 2, losses=(1.0, 0.5, 0.333334, 0.2501)))
    assert [check.what for check in report.checks if not check.ok] == ["batch in 2 parts, by hand"]
    found = row(report, "batch in 2 parts, by hand")
    assert found.note == "step 4: the loss is 0.2501 instead of 0.25"
    assert found.error == pytest.approx(1e-4 / 0.26)


def test_losses_that_hide_a_wrong_gradient_are_told() -> None:
    """Adam makes the same step of a gradient that is twice as long: its norm shows it."""
    report = verified(spoiled(lambda run: run.devices == 4, slope=4.0))
    assert "norm of the first gradient is 4 instead of 2" in row(report, "batch over 4 devices").note


def test_other_weights_at_the_start_are_told() -> None:
    report = verified(spoiled(lambda run: run.devices == 4, start="other"))
    (wrong,) = [check for check in report.checks if not check.ok]
    assert (wrong.what, wrong.note) == (
        "initial weights of all variants", "`batch over 4 devices` starts with other weights"
    )  # fmt: skip


def test_a_variant_that_cannot_be_trained_is_told() -> None:
    report = verified(Inventing(lambda run, trained: Trained(error="it broke") if run.devices == 4 else trained))
    assert row(report, "batch over 4 devices").note == "it cannot be trained: it broke"
    assert not report.ok


def test_a_program_that_cannot_be_trained_at_all_is_told() -> None:
    report = verified(Inventing(lambda run, trained: Trained(error="it broke")))
    assert [(check.ok, check.note) for check in report.checks] == [(False, "it cannot be trained: it broke")]


@pytest.mark.parametrize(("loss", "allowed"), [(1.00001, 4e-5), (1.000001, 1e-5)])
def test_what_rounding_does_is_allowed(loss: float, allowed: float) -> None:
    report = verified(spoiled(lambda run: bool(run.nudge), losses=(loss, 0.5, 1 / 3, 0.25)))
    assert row(report, "accumulate = 2").tolerance == pytest.approx(allowed, rel=0.05)
    assert bool(row(report, "weights moved by their last bit").note) == (allowed > 1e-5)


def test_where_rounding_does_too_much_nothing_is_compared() -> None:
    report = verified(spoiled(lambda run: bool(run.nudge), losses=(1.1, 0.5, 1 / 3, 0.25)))
    assert row(report, "accumulate = 2").inputs == 0
    assert "rounding alone changes the losses by 9.9e-02" in row(report, "accumulate = 2").note


def test_a_loss_that_is_not_finite_is_told_and_is_no_difference() -> None:
    losses = (1.0, np.nan, np.inf, 0.5)
    report = verified(spoiled(lambda run: True, losses=losses))
    assert report.ok
    assert row(report, "weights moved by their last bit").note == "the loss is not finite from step 2 on"


@pytest.mark.parametrize(
    ("body", "loss", "why"),
    [
        ("BatchNorm", LOSS, "the state `running_mean` depends on the micro-batch"),
        ("relu", "max(token_losses(logits, tag))", "the loss is no mean over examples"),
        ("Noise", LOSS, "each part draws other random numbers"),
    ],
)
def test_where_parts_are_another_training_they_are_not_compared(body: str, loss: str, why: str) -> None:
    report = verified(Inventing(), body=body, loss=loss)
    for what in ("accumulate = 2", "accumulate = 4", "batch in 2 parts, by hand"):
        assert row(report, what).inputs == 0
        assert why in row(report, what).note
    assert report.ok


def test_dropout_is_off_and_then_parts_are_compared() -> None:
    trainer = Inventing()
    report = verified(trainer, body="Dropout(0.5)")
    assert row(report, "accumulate = 2").inputs == 4
    assert "dropout(" not in trainer.runs[0].program.source


def test_a_mesh_of_the_recipe_is_tried_axis_by_axis() -> None:
    trainer = Inventing()
    report = verified(trainer, mesh="mesh = grid")
    names = [check.what for check in report.checks if check.what.startswith("mesh")]
    assert names == ["mesh data = 2", "mesh model = 2", "mesh data = 2, model = 2"]
    on = {run.devices: run.program.source for run in trainer.runs if run.devices > 1}
    assert 'MESH_SHAPE = {"data": 2, "model": 2}' in on[4]


def test_settings_of_the_user_count() -> None:
    trainer = Inventing()
    verified(trainer, **{"Net.embed": 8})
    assert "(6, 8)" in trainer.runs[0].program.source
