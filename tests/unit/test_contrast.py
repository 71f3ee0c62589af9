"""Contrastive scores against the formula, said plainly in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from trxc_runtime.contrast import Contrast, one_length
from trxc_runtime.errors import RunError

EXPERT, AMATEUR = (np.random.default_rng(seed).normal(0, 2, (3, 2, 7)).astype(np.float32) for seed in (0, 1))


def log_probs(logits: np.ndarray) -> np.ndarray:
    logits = logits.astype(np.float64)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


@pytest.mark.parametrize("plausible", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("contrast", [0.0, 0.5, 3.0, float("inf")])
def test_scores_are_those_of_the_formula(contrast: float, plausible: float) -> None:
    ours, theirs = log_probs(EXPERT), log_probs(AMATEUR)
    wanted = ours - theirs if contrast == float("inf") else (1 + contrast) * ours - contrast * theirs
    likely = np.exp(ours) >= plausible * np.exp(ours).max(axis=-1, keepdims=True)
    found = np.asarray(Contrast(contrast, plausible)(EXPERT, AMATEUR))
    np.testing.assert_array_equal(np.isfinite(found), likely)
    np.testing.assert_allclose(found[likely], wanted[likely], rtol=1e-4, atol=1e-4)


def test_what_a_model_excludes_is_no_infinity() -> None:
    """Excluded by the expert it stays so; by the amateur alone, it wins by a number."""
    expert, amateur = np.zeros((1, 4), np.float32), np.zeros((1, 4), np.float32)
    expert[0, 0] = amateur[0, 0] = amateur[0, 1] = -np.inf
    found = np.asarray(Contrast(0.5, 0.0)(expert, amateur))[0]
    assert found[0] == -np.inf
    assert np.isfinite(found[1:]).all()
    assert found.argmax() == 1


@pytest.mark.parametrize(
    ("lengths", "contexts", "fixed"),
    [
        ((None, None), (8, None), False),
        ((8, None), (8, 16), True),
        ((8, 8), (8, 8), True),
        ((None, 8), (None, 8), True),
    ],
)
def test_both_are_read_at_the_length_of_one(lengths: tuple, contexts: tuple, fixed: bool) -> None:
    assert one_length(lengths, contexts) is fixed


@pytest.mark.parametrize(("lengths", "contexts"), [((8, None), (8, 4)), ((8, 16), (8, 16))])
def test_lengths_that_do_not_go_together_are_refused(lengths: tuple, contexts: tuple) -> None:
    with pytest.raises(RunError, match="and always as many"):
        one_length(lengths, contexts)
