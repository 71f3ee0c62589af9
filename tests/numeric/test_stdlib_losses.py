"""The library's losses and measures against the same in plain NumPy, position by position."""

from __future__ import annotations

import math

import numpy as np
import pytest
from stdlib_models import check, elaborated, numbers, run

from trxc.reference import Reference


def log_softmax(x):
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_losses_of_classes():
    logits = numbers(2, 4, 5)
    targets = np.array([[0, 4, 2, 1], [3, 3, 0, 2]])
    mask = np.array([[True, True, False, True], [True, False, True, False]])
    outputs = run("losses", "Classes", logits, targets, mask).outputs
    logp = log_softmax(logits)
    losses = -np.take_along_axis(logp, targets[..., None], axis=-1)[..., 0]
    check(outputs["plain"], losses.mean())
    check(outputs["masked"], losses[mask].mean())
    wanted = np.eye(5)[targets] * 0.9 + 0.1 / 5
    normaliser = np.log(np.exp(logits).sum(axis=-1))
    check(outputs["smoothed"], (-(wanted * logp).sum(axis=-1) + 0.01 * normaliser**2).mean())
    check(outputs["ignoring"], losses[mask & (targets != 0)].mean())
    check(outputs["right"], (logits.argmax(axis=-1) == targets)[mask].mean())
    best = np.argsort(logits, axis=-1)[..., -2:]
    check(outputs["near"], np.any(best == targets[..., None], axis=-1).mean())


def test_cross_entropy_of_huge_logits_is_finite():
    logits = np.array([[[1e4, -1e4, 0.0, 0.0, 0.0]]])
    outputs = run("losses", "Classes", logits, np.array([[1]]), np.array([[False]])).outputs
    check(outputs["plain"], 2e4)
    check(outputs["masked"], 0.0)


def test_losses_of_yes_and_no():
    logits, targets = numbers(4, 3), np.array([[1, 0, 0], [0, 1, 1], [1, 1, 0], [0, 0, 0]])
    outputs = run("losses", "Yes", logits, targets).outputs
    p = np.where(targets == 1, sigmoid(logits), 1 - sigmoid(logits))
    check(outputs["entropy"], -np.log(p).mean())
    check(outputs["focal"], (-np.log(p) * (1 - p) ** 1.5).mean())
    check(outputs["right"], ((logits > 0) == (targets == 1)).mean())


def cosine(x, y):
    return (x * y).sum(-1) / np.sqrt((x**2).sum(-1) * (y**2).sum(-1))


def contrastive(x, y):
    scores = cosine(x[:, None], y[None]) / 0.07
    return -0.5 * (np.diag(log_softmax(scores)).mean() + np.diag(log_softmax(scores.T)).mean())


def huber(error, delta):
    return [0.5 * e**2 if e <= delta else delta * (e - 0.5 * delta) for e in error.flat]


NUMBERS = {
    "squared": lambda x, y: ((x - y) ** 2).mean(),
    "squared_masked": lambda x, y: ((x - y) ** 2)[[0, 2]].mean(),
    "absolute": lambda x, y: np.abs(x - y).mean(),
    "huber": lambda x, y: np.mean(huber(np.abs(x - y), 0.7)),
    "log_cosh": lambda x, y: np.log(np.cosh(x - y)).mean(),
    "hinge": lambda x, y: np.maximum(1 - np.sign(y) * x, 0).mean(),
    "soft": lambda x, y: -(np.exp(log_softmax(y)) * log_softmax(x)).sum(-1).mean(),
    "kl": lambda x, y: (np.exp(log_softmax(x)) * (log_softmax(x) - log_softmax(y))).sum(-1).mean(),
    "gaussian": lambda x, y: (0.5 * (x**2 + np.exp(y) - 1 - y).sum(-1)).mean(),
    "cosine": cosine,
    "contrastive": contrastive,
}


def test_losses_of_numbers():
    x, y = numbers(3, 4), numbers(3, 4, seed=2)
    outputs = run("losses", "Numbers", x, y, np.array([[True], [False], [True]])).outputs
    assert outputs.keys() == NUMBERS.keys()
    for name, expected in NUMBERS.items():
        np.testing.assert_allclose(outputs[name], expected(x, y), rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("targets", ["int[batch]", "int[batch, seq, 2]"])
def test_targets_must_line_up_with_logits(targets):
    text = f"model M {{\n  input x: float[batch, seq, 5], y: {targets}\n  output cross_entropy(x, y)\n}}\n"
    _, diagnostics = elaborated(text, "M")
    assert [d.code for d in diagnostics] == ["TRX0204"]


def test_perfect_predictions_cost_nothing():
    text = "model M {\n  input x: float[batch, 5], y: int[batch]\n  output cross_entropy(x * 1e3, y)\n}\n"
    module, _ = elaborated(text, "M")
    (loss,), _ = Reference(module).run("m", {}, {}, [np.eye(5), np.arange(5)])
    assert math.isclose(float(loss), 0.0, abs_tol=1e-12)
