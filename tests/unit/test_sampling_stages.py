"""Each sampling stage against its definition in NumPy, and what is drawn against the exact distribution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from trxc_runtime.data.tokenizers import Bytes
from trxc_runtime.errors import RunError
from trxc_runtime.sample import (
    Forbid,
    FrequencyPenalty,
    Greedy,
    MinP,
    NoRepeatNgram,
    PresencePenalty,
    RepetitionPenalty,
    Setting,
    Stage,
    Temperature,
    TopK,
    TopP,
    Typical,
)
from trxc_runtime.stages import Stages, begin, stages_of

VOCAB, ROWS = 12, 5
PROMPTS = [[3, 1, 4, 1, 5], [9, 2], [6, 5, 3, 5, 8, 9, 7, 9], [3], [1, 1, 1]]
SAID = [[1, 4, 1], [9, 2, 9], [7, 9, 3], [3, 3, 3], [0, 1, 1]]

Definition = Callable[[np.ndarray, Sequence[int], Sequence[int]], np.ndarray]
"""New scores of one row, of its scores, its prompt, and what was generated since."""


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max())
    return powers / powers.sum()


def by_order(scores: np.ndarray, distance: np.ndarray, p: float) -> np.ndarray:
    """The first tokens by distance, until their probabilities reach p together."""
    kept, total = np.full(len(scores), -np.inf), 0.0
    for token in np.argsort(distance):
        kept[token] = scores[token]
        total += softmax(scores)[token]
        if total >= p:
            break
    return kept


def greedy(scores: np.ndarray) -> np.ndarray:
    return np.where(np.arange(len(scores)) == scores.argmax(), 0.0, -np.inf)


def typical(scores: np.ndarray, p: float) -> np.ndarray:
    probabilities = softmax(scores)
    surprise = np.array([-np.log(q) if q else np.inf for q in probabilities])
    entropy = -sum(q * np.log(q) for q in probabilities if q)
    return by_order(scores, abs(surprise - entropy), p)


def repetition(scores: np.ndarray, r: float, said: Sequence[int]) -> np.ndarray:
    changed = [score / r if score > 0 else score * r for score in scores]
    return np.array([changed[t] if t in said else scores[t] for t in range(len(scores))])


def no_repeat(scores: np.ndarray, n: int, said: Sequence[int]) -> np.ndarray:
    grams = {tuple(said[at : at + n]) for at in range(len(said) - n + 1)}
    last = tuple(said[len(said) - n + 1 :])
    return np.array([-np.inf if (*last, t) in grams else scores[t] for t in range(len(scores))])


CASES: list[tuple[Stage, Definition]] = [
    (Greedy(), lambda s, p, g: greedy(s)),
    (Temperature(0.0), lambda s, p, g: greedy(s)),
    (Temperature(0.7), lambda s, p, g: s / 0.7),
    (TopK(3), lambda s, p, g: np.where(s >= np.sort(s)[-3], s, -np.inf)),
    (TopP(0.8), lambda s, p, g: by_order(s, -s, 0.8)),
    (TopP(1.0), lambda s, p, g: s),
    (MinP(0.2), lambda s, p, g: np.where(softmax(s) >= 0.2 * softmax(s).max(), s, -np.inf)),
    (Typical(0.6), lambda s, p, g: typical(s, 0.6)),
    (Typical(0.2), lambda s, p, g: typical(s, 0.2)),
    (RepetitionPenalty(1.7), lambda s, p, g: repetition(s, 1.7, [*p, *g])),
    (PresencePenalty(0.9), lambda s, p, g: s - 0.9 * np.isin(np.arange(len(s)), g)),
    (FrequencyPenalty(0.4), lambda s, p, g: s - 0.4 * np.bincount(g, minlength=len(s)) if len(g) else s),
    (Forbid([0, 7]), lambda s, p, g: np.where(np.isin(np.arange(len(s)), [0, 7]), -np.inf, s)),
    (Forbid([]), lambda s, p, g: s),
    (NoRepeatNgram(1), lambda s, p, g: no_repeat(s, 1, [*p, *g])),
    (NoRepeatNgram(2), lambda s, p, g: no_repeat(s, 2, [*p, *g])),
    (NoRepeatNgram(3), lambda s, p, g: no_repeat(s, 3, [*p, *g])),
]
NAMES = [str(stage) for stage, _ in CASES]


def bound(stages: Sequence[Stage]) -> Stages:
    return Stages(tuple(stages)).bind(Setting(VOCAB))


def random_scores(seed: int, rows: int = ROWS) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 2, (rows, VOCAB)).astype(np.float32)


def told(stages: Stages, steps: int) -> Any:
    """What stages remember after so many of the tokens that are said."""
    carry = begin(stages, PROMPTS, 4, VOCAB)
    for step in range(steps):
        carry = jax.jit(Stages.advance)(stages, carry, jnp.array([row[step] for row in SAID], jnp.int32))
    return carry


@pytest.mark.parametrize("steps", [0, 1, 3])
@pytest.mark.parametrize(("stage", "definition"), CASES, ids=NAMES)
def test_a_stage_is_its_definition(stage: Stage, definition: Definition, steps: int) -> None:
    stages, scores = bound([stage]), random_scores(steps)
    found = jax.jit(Stages.__call__)(stages, jnp.asarray(scores), told(stages, steps))
    rows = zip(scores.astype(np.float64), PROMPTS, SAID, strict=True)
    wanted = [definition(row, prompt, said[:steps]) for row, prompt, said in rows]
    np.testing.assert_allclose(np.asarray(found), np.array(wanted), rtol=1e-5, atol=1e-6)


def test_a_repeated_ngram_is_left_where_nothing_else_is() -> None:
    stages = bound([NoRepeatNgram(1)])
    carry = begin(stages, [list(range(VOCAB))], 4, VOCAB)
    scores = jnp.asarray(random_scores(0, 1))
    np.testing.assert_array_equal(stages(scores, carry), scores)


CHAINS: list[list[int]] = [[2], [3], [4], [6], [7], [9], [11], [12], [14, 15], [2, 9, 10, 4], [9, 2, 6], [11, 2, 3, 7]]
SIGMAS = 3.72
"""A chi-square statistic is refused where it is as unlikely as 1 in 10,000 (Wilson and Hilferty's approximation)."""


def chi_square_limit(degrees: int) -> float:
    return degrees * (1 - 2 / (9 * degrees) + SIGMAS * np.sqrt(2 / (9 * degrees))) ** 3


@pytest.mark.parametrize("chain", CHAINS, ids=[" >> ".join(NAMES[at] for at in chain) for chain in CHAINS])
def test_what_is_drawn_has_the_exact_distribution(chain: list[int]) -> None:
    """40,000 draws of one row, seed 7, against the definitions one after another."""
    draws, row = 40_000, 2
    stages = bound([CASES[at][0] for at in chain])
    expected = random_scores(11)[row].astype(np.float64)
    for at in chain:
        expected = CASES[at][1](expected, PROMPTS[row], SAID[row])
    expected = softmax(expected) * draws
    carry = jax.tree.map(lambda leaf: jnp.repeat(leaf[row : row + 1], draws, axis=0), told(stages, 3))
    scores = jnp.broadcast_to(random_scores(11)[row], (draws, VOCAB))
    tokens, _ = jax.jit(Stages.draw)(stages, scores, carry, jax.random.key(7))
    counts = np.bincount(np.asarray(tokens), minlength=VOCAB)
    assert counts[expected == 0].sum() == 0
    likely = expected > 5
    statistic = ((counts - expected)[likely] ** 2 / expected[likely]).sum()
    assert likely.sum() > 1
    assert statistic < chi_square_limit(int(likely.sum()) - 1)


def test_the_statistical_test_can_fail() -> None:
    """Draws at temperature 1 are not those at 0.95."""
    draws, scores = 40_000, random_scores(11)[2]
    tokens, _ = Stages().draw(jnp.broadcast_to(scores, (draws, VOCAB)), (), jax.random.key(7))
    expected = softmax(scores.astype(np.float64) / 0.95) * draws
    likely = expected > 5
    counts = np.bincount(np.asarray(tokens), minlength=VOCAB)
    statistic = ((counts - expected)[likely] ** 2 / expected[likely]).sum()
    assert statistic > chi_square_limit(int(likely.sum()) - 1)


def test_texts_are_forbidden_by_their_token() -> None:
    stage = Forbid(["a", 5]).bind(Setting(259, Bytes(special=True)))
    assert stage == Forbid([5, 3 + ord("a")])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Typical(0.0), "typical is a probability above 0: 0.0"),
        (lambda: RepetitionPenalty(0.0), "repetition_penalty is a number above 0: 0.0"),
        (lambda: NoRepeatNgram(0), "at least one token: 0"),
        (lambda: Forbid([99]).bind(Setting(12)), "names token 99, and there are those from 0 to 11"),
        (lambda: Forbid([-1]).bind(Setting(12)), "names token -1"),
        (lambda: Forbid(["ab"]).bind(Setting(256, Bytes())), "takes texts of one token, and 'ab' is 2"),
        (lambda: Forbid([""]).bind(Setting(256, Bytes())), "'' is none"),
        (lambda: Forbid(["a"]).bind(Setting(256)), "no tokenizer"),
        (lambda: Forbid(range(12)).bind(Setting(12)), "leaves none of the 12 tokens"),
        (lambda: stages_of(["greedy"]), "'greedy' is no sampling stage"),
    ],
)
def test_what_makes_no_sense_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(RunError, match=message):
        make()


def test_a_function_of_scores_is_a_stage() -> None:
    stages = stages_of([lambda scores: scores * 2, TopK(1)])
    scores = jnp.asarray(random_scores(1))
    assert np.isfinite(np.asarray(stages(scores, ((), ())))).sum() == ROWS


@dataclass(frozen=True)
class Once(Stage):
    """No token twice, from a table of which tokens exclude which: the example of the documentation, and more."""

    excludes: jax.Array
    arrays: ClassVar[tuple[str, ...]] = ("excludes",)

    def begin(self, prompts: jax.Array, lengths: jax.Array, vocab: int) -> jax.Array:
        return jnp.zeros((prompts.shape[0], vocab), bool)

    def __call__(self, logits: jax.Array, carry: jax.Array) -> jax.Array:
        return jnp.where(carry, -jnp.inf, logits)

    def advance(self, carry: jax.Array, tokens: jax.Array) -> jax.Array:
        return carry | self.excludes[tokens]


def test_a_stage_of_ones_own_is_handed_its_arrays() -> None:
    """Two tables of one shape, one compiled function."""
    traced: list[object] = []

    def draw(stages: Stages, scores: jax.Array, carry: object) -> object:
        traced.append(stages)
        return stages.draw(scores, carry, jax.random.key(0))

    jitted, scores = jax.jit(draw), jnp.asarray(random_scores(2))
    for table in (jnp.eye(VOCAB, dtype=bool), jnp.ones((VOCAB, VOCAB), bool)):
        stages = Stages((Once(table), TopK(4)))
        carry = begin(stages, PROMPTS, 4, VOCAB)
        tokens, carry = jitted(stages, scores, carry)
        np.testing.assert_array_equal(carry[0], np.asarray(table)[np.asarray(tokens)])
    assert len(traced) == 1


@pytest.mark.parametrize(
    ("stages", "draws"),
    [
        ((Greedy(),), False),
        ((Forbid([1]), Temperature(0.0)), False),
        ((Stages((TopK(3), Greedy())),), False),
        ((Greedy(), Forbid([0])), True),
        ((Temperature(0.5),), True),
        ((), True),
    ],
    ids=str,
)
def test_nothing_is_drawn_where_one_token_is_left(stages: tuple[Stage, ...], draws: bool) -> None:
    """Random bits for every token cost more than finding the likeliest."""
    made, scores = bound(stages), jnp.asarray(random_scores(3))
    carry = told(made, 2)
    text = str(jax.make_jaxpr(lambda s, key: made.draw(s, carry, key)[0])(scores, jax.random.key(0)))
    assert ("random_bits" in text) == draws
    if not draws:
        tokens, _ = made.draw(scores, carry, jax.random.key(0))
        assert np.array_equal(tokens, np.argmax(made(scores, carry), axis=-1))
