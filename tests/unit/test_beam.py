"""Beam search against a search through all sequences, on small vocabularies."""

from __future__ import annotations

from itertools import product
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from trxc_runtime.decoding import ENDED, Decoder, decode, search
from trxc_runtime.errors import RunError
from trxc_runtime.sample import Greedy
from trxc_runtime.search import Beam


def program(vocab: int, seed: int) -> ModuleType:
    """A random causal model: the scores depend on all tokens so far and on their order."""
    made, rng = ModuleType("random_model"), np.random.default_rng(seed)
    table, head = (jnp.asarray(rng.normal(0, 2, shape), jnp.float32) for shape in ((vocab, 8), (8, vocab)))

    def apply(params: object, state: object, inputs: dict[str, jax.Array]) -> dict[str, jax.Array]:
        tokens = inputs["tokens"]
        weights = 1 + jnp.sin(jnp.arange(tokens.shape[1], dtype=jnp.float32))
        total = jnp.cumsum(table[tokens] * weights[:, None], axis=1)
        return {"logits": jnp.tanh(total) @ head}

    made.apply = apply
    return made


def log_probs(made: ModuleType, prompt: list[int], said: np.ndarray) -> np.ndarray:
    """Of continuations, ``[n, length]``: the sums of their tokens' log probabilities."""
    tokens = np.concatenate([np.tile(np.array(prompt, np.int32), (len(said), 1)), said], axis=1)
    table = np.asarray(jax.nn.log_softmax(made.apply({}, {}, {"tokens": jnp.asarray(tokens)})["logits"]))
    places = range(said.shape[1])
    return sum(table[np.arange(len(said)), len(prompt) + at - 1, said[:, at]] for at in places)


def exhaustive(made: ModuleType, vocab: int, prompt: list[int], steps: int, eos: int | None, penalty: float) -> Any:
    """All sequences that end with eos or at the last step, with their scores, the best first."""
    found: list[tuple[float, list[int]]] = []
    for length in range(1, steps + 1):
        every = np.array(list(product(range(vocab), repeat=length)), np.int32)
        for said, log_prob in zip(every.tolist(), log_probs(made, prompt, every), strict=True):
            if eos not in said[:-1] and (said[-1] == eos or length == steps):
                found.append((log_prob / ((5 + length) / 6) ** penalty, said))
    return sorted(found, reverse=True)


@pytest.mark.parametrize(("vocab", "steps", "seed"), [(3, 3, 0), (3, 3, 1), (2, 5, 2), (4, 3, 3), (5, 2, 4)])
def test_a_wide_beam_finds_the_best_of_all_sequences(vocab: int, steps: int, seed: int) -> None:
    made, width = program(vocab, seed), vocab ** (steps - 1)
    decoder, prompts = Decoder(made, "tokens", "logits"), [[0], [1, 0, 1]]
    for eos, penalty in product((None, 1), (0.0, 0.6, 2.0)):
        found = search(decoder, {}, {}, prompts, Beam(width, penalty, 2), limit=steps, eos=eos)
        for prompt, continuations in zip(prompts, found, strict=True):
            wanted = exhaustive(made, vocab, prompt, steps, eos, penalty)[:2]
            assert [c.tokens for c in continuations] == [said for _, said in wanted]
            np.testing.assert_allclose([c.score for c in continuations], [score for score, _ in wanted], rtol=1e-5)


def test_all_hypotheses_in_order_where_the_beam_holds_all() -> None:
    made = program(3, 5)
    (found,) = search(Decoder(made, "tokens", "logits"), {}, {}, [[2]], Beam(27, 0.6, 27), limit=3, eos=0)
    wanted = exhaustive(made, 3, [2], 3, 0, 0.6)
    assert [c.tokens for c in found] == [said for _, said in wanted]
    assert len(found) == len(wanted) == 2**3 + 1 + 2 + 4, "none that stands for nothing is among them"


PROMPTS = [[1, 2, 3], [4], [0, 4, 4, 2, 1, 3]]


def rows(steps: Any) -> list[list[int]]:
    return [[int(t) for t in row if t != ENDED] for row in np.stack(list(steps)).T]


@pytest.mark.parametrize("seed", range(3))
def test_a_beam_of_one_takes_the_likeliest(seed: int) -> None:
    made = program(6, seed)
    greedy = decode(Decoder(made, "tokens", "logits", (Greedy(),)), {}, {}, PROMPTS, limit=12, eos=5)
    narrow = decode(Decoder(made, "tokens", "logits", search=Beam(1, 0.6)), {}, {}, PROMPTS, limit=12, eos=5)
    assert rows(narrow) == rows(greedy)


def test_a_batch_is_searched_as_its_prompts_are_alone() -> None:
    decoder, beam = Decoder(program(6, 1), "tokens", "logits"), Beam(5, 0.6, 3)
    together = search(decoder, {}, {}, PROMPTS, beam, limit=9, eos=5)
    for prompt, found in zip(PROMPTS, together, strict=True):
        (alone,) = search(decoder, {}, {}, [prompt], beam, limit=9, eos=5)
        assert [c.tokens for c in found] == [c.tokens for c in alone]
        np.testing.assert_allclose([c.score for c in found], [c.score for c in alone], rtol=1e-5)


def test_a_wider_beam_is_no_worse_here_and_differs_from_the_likeliest() -> None:
    """The search does something: on these models it finds better texts than taking the likeliest token."""
    gains = []
    for seed in range(3):
        decoder = Decoder(program(6, seed), "tokens", "logits")
        narrow, wide = (search(decoder, {}, {}, [[1]], Beam(w), limit=8)[0][0].score for w in (1, 32))
        gains.append(wide - narrow)
    assert min(gains) >= -1e-5
    assert max(gains) > 0.1


def test_the_context_bounds_a_search() -> None:
    made = program(4, 0)
    fixed = Decoder(made, "tokens", "logits", context=8, fixed=True)
    (found,) = search(fixed, {}, {}, [[1, 2, 3, 0, 1, 2, 3, 0, 1]], Beam(2), limit=3)
    (short,) = search(fixed, {}, {}, [[3, 0, 1, 2, 3, 0]], Beam(2), limit=3)
    assert len(found[0].tokens) == len(short[0].tokens) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0,), "width of at least one"), ((2, -1.0), "cannot be negative"), ((2, 0.0, 3), "cannot give 3 hypotheses")],
)
def test_senseless_arguments_are_refused(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(RunError, match=message):
        Beam(*arguments)
