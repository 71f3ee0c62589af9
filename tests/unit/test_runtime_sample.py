"""Sampling stages, and the decoding loop against one without a buffer."""

import dataclasses
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from trxc_runtime.decoding import ENDED, Decoder, decode
from trxc_runtime.errors import RunError
from trxc_runtime.sample import Greedy, MinP, Temperature, TopK, TopP
from trxc_runtime.stages import Stages

LOGITS = jnp.log(jnp.array([[0.5, 0.3, 0.15, 0.05]]))


def kept(stage: object) -> list[int]:
    return np.flatnonzero(np.isfinite(np.asarray(stage(LOGITS, ()))[0])).tolist()


def test_top_k_keeps_the_likeliest() -> None:
    assert kept(TopK(2)) == [0, 1]
    assert kept(TopK(9)) == [0, 1, 2, 3]


def test_top_p_keeps_the_fewest_that_reach_p() -> None:
    assert kept(TopP(0.4)) == [0]
    assert kept(TopP(0.7)) == [0, 1]
    assert kept(TopP(1.0)) == [0, 1, 2, 3]


def test_min_p_is_relative_to_the_likeliest() -> None:
    assert kept(MinP(0.25)) == [0, 1, 2]
    assert kept(MinP(0.7)) == [0]


def test_temperature_divides_and_zero_is_greedy() -> None:
    np.testing.assert_allclose(Temperature(2.0)(LOGITS, ()), LOGITS / 2)
    assert kept(Temperature(0.0)) == kept(Greedy()) == [0]


@pytest.mark.parametrize("make", [lambda: Temperature(-1.0), lambda: TopK(0), lambda: TopP(0.0), lambda: MinP(2.0)])
def test_senseless_arguments_are_refused(make: object) -> None:
    with pytest.raises(RunError):
        make()


def test_draws_follow_the_distribution() -> None:
    rows = jnp.broadcast_to(LOGITS, (4000, 4))
    tokens = np.asarray(Stages((TopK(2),)).draw(rows, ((),), jax.random.key(0))[0])
    assert np.mean(tokens == 0) == pytest.approx(0.625, abs=0.03)
    assert set(tokens.tolist()) == {0, 1}


def counting_program() -> ModuleType:
    """Next token: the sum of those so far, modulo 7; a wrong length or a look to the right changes it."""
    program = ModuleType("counting")

    def apply(params: object, state: object, inputs: dict[str, jax.Array]) -> dict[str, jax.Array]:
        total = jnp.cumsum(inputs["tokens"], axis=1) + inputs.get("add", jnp.zeros((1,), jnp.int32))[:, None]
        return {"logits": jax.nn.one_hot(total % 7, 7) * 50}

    program.apply = apply
    return program


DECODER = Decoder(counting_program(), "tokens", "logits", (Greedy(),))


def run(decoder: Decoder, prompts: list[list[int]], **options: object) -> list[list[int]]:
    return np.stack(list(decode(decoder, {}, {}, prompts, **options))).T.tolist()


def naive(prompt: list[int], limit: int, window: int = 999) -> list[int]:
    tokens = list(prompt)
    for _ in range(limit):
        tokens.append(sum(tokens[-window:]) % 7)
    return tokens[len(prompt) :]


def test_prompts_of_different_lengths_do_not_disturb_each_other() -> None:
    prompts = [[1, 2, 3], [5], [6, 6, 6, 6, 1]]
    assert run(DECODER, prompts, limit=9) == [naive(prompt, 9) for prompt in prompts]


@pytest.mark.parametrize("fixed", [True, False])
def test_the_window_slides_past_the_context(fixed: bool) -> None:
    decoder = dataclasses.replace(DECODER, context=4, fixed=fixed)
    prompts = [[1, 2], [3, 1, 4, 1, 5, 9, 2]]
    assert run(decoder, prompts, limit=12) == [naive(prompt, 12, window=4) for prompt in prompts]


def test_a_row_ends_at_eos_and_the_others_go_on() -> None:
    rows = run(DECODER, [[1, 2], [5, 1]], limit=9, eos=6)
    whole = [naive([1, 2], 9), naive([5, 1], 9)]
    for row, expected in zip(rows, whole, strict=True):
        end = expected.index(6) + 1 if 6 in expected else len(expected)
        assert row[:end] == expected[: min(end, len(row))]
        assert all(token == ENDED for token in row[end:])
    assert any(ENDED in row for row in rows)


def test_further_inputs_are_held_constant() -> None:
    constants = {"add": jnp.array([3], jnp.int32)}
    assert run(DECODER, [[1]], limit=2, constants=constants) == [[4, 1]]


def test_an_empty_prompt_is_refused() -> None:
    with pytest.raises(RunError, match="empty"):
        run(DECODER, [[]], limit=1)


def test_the_seed_decides() -> None:
    flat = dataclasses.replace(DECODER, stages=(Temperature(100.0),))
    assert run(flat, [[1]], limit=20, seed=1) == run(flat, [[1]], limit=20, seed=1)
    assert run(flat, [[1]], limit=20, seed=1) != run(flat, [[1]], limit=20, seed=2)
