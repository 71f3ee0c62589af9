"""Loops that draw are compiled once, though weights of a checkpoint are bound to a device and new numbers are not."""

from __future__ import annotations

import collections
import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from tests.end_to_end.test_generation import SAME, artifact, weights

from trxc_runtime.beside import Proposer, Weighted
from trxc_runtime.decoding import Decoder, decode
from trxc_runtime.sample import NoRepeatNgram, PresencePenalty, Temperature
from trxc_runtime.search import Beam


@contextlib.contextmanager
def compiled() -> Iterator[collections.Counter[str]]:
    """How often XLA compiles functions, by their names."""
    found: collections.Counter[str] = collections.Counter()

    class Counts(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            before, _, name = record.getMessage().partition("XLA compilation of jit(")
            found.update([name.partition(")")[0]] if before == "Finished " else [])

    logger, counts = logging.getLogger("jax._src.dispatch"), Counts()
    logger.addHandler(counts)
    logger.propagate = False
    try:
        with jax.log_compiles():
            yield found
    finally:
        logger.removeHandler(counts)
        logger.propagate = True


def draw(decoder: Decoder, params: Any, state: Any, limit: int) -> np.ndarray:
    return np.array(list(decode(decoder, params, state, SAME, limit=limit, seed=3)))


@pytest.mark.parametrize("bound", [False, True])
def test_drawing_is_compiled_once(bound: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trxc_runtime.stepping.LATE", 0.0)
    program = artifact("gpt", tmp_path).program
    params = weights(program)
    params = jax.device_put(params, jax.devices()[0]) if bound else params
    stages = (PresencePenalty(0.5), NoRepeatNgram(3), Temperature(0.8))
    with compiled() as counts:
        draw(Decoder(program, "tokens", "logits", stages, 32), params, program.init_state(), 100)
    assert counts["burst"] == 1, "through three bursts of one reading, and through further readings"


@pytest.mark.parametrize("bound", [False, True])
def test_drawing_with_a_draft_is_compiled_once(bound: bool, tmp_path: Path) -> None:
    program = artifact("gpt", tmp_path).program
    params, state = weights(program), program.init_state()
    params = jax.device_put(params, jax.devices()[0]) if bound else params
    model = Weighted(Decoder(program, "tokens", "logits"), params, state)
    with compiled() as counts:
        decoder = Decoder(program, "tokens", "logits", (Temperature(0.8),), draft=Proposer(model, 3))
        draw(decoder, params, state, 80)
    assert counts["<unnamed function>"] == 1


def test_weights_that_numpy_holds_draw_the_same(tmp_path: Path) -> None:
    program = artifact("gpt", tmp_path).program
    params, state = weights(program), program.init_state()
    decoder = Decoder(program, "tokens", "logits", (Temperature(0.8),))
    wanted = draw(decoder, params, state, 20)
    for same in (jax.tree.map(np.asarray, params), jax.device_put(params, jax.devices()[0])):
        np.testing.assert_array_equal(draw(decoder, same, state, 20), wanted)
    best = Decoder(program, "tokens", "logits", search=Beam(2))
    found = draw(best, jax.device_put(params, jax.devices()[0]), state, 5)
    np.testing.assert_array_equal(found, draw(best, params, state, 5))
