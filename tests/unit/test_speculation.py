"""What is drawn with a draft: distributed as without it, and with `greedy()` the same."""

from __future__ import annotations

from itertools import product
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.unit.test_beam import program

from trxc_runtime.beside import Amateur, Proposer, Weighted
from trxc_runtime.contrast import Contrast
from trxc_runtime.decoding import ENDED, Decoder, decode
from trxc_runtime.errors import RunError
from trxc_runtime.sample import Greedy, NoRepeatNgram, PresencePenalty, Stage, Temperature, TopK
from trxc_runtime.search import Beam
from trxc_runtime.speculation import Drafted
from trxc_runtime.stages import Stages, begin

VOCAB, STEPS, DRAWS = 5, 3, 20_000
TARGET = program(VOCAB, 0)
PROMPT = [1, 3]


def worst(target: ModuleType) -> ModuleType:
    """A draft that finds likely what the target does not."""
    made = ModuleType("worst")

    def apply(params: object, state: object, inputs: Any) -> dict[str, jax.Array]:
        return {"logits": -3 * target.apply(params, state, inputs)["logits"]}

    made.apply = apply
    return made


def weighted(made: ModuleType, **options: Any) -> Weighted:
    return Weighted(Decoder(made, "tokens", "logits", **options), {}, {})


def drawn(decoder: Decoder, prompts: list[list[int]], **options: Any) -> np.ndarray:
    """``i32[rows, steps]``."""
    return np.array(list(decode(decoder, {}, {}, prompts, **options))).T


def exact(stages: Stages, eos: int | None) -> dict[tuple[int, ...], float]:
    """The probability of each continuation of the prompt, from the target and the stages alone."""
    found: dict[tuple[int, ...], float] = {(): 1.0}
    for _ in range(STEPS):
        longer: dict[tuple[int, ...], float] = {}
        for said, chance in found.items():
            if said and said[-1] in (eos, ENDED):
                longer[*said, ENDED] = chance
                continue
            carry = begin(stages, [PROMPT], STEPS, VOCAB)
            for token in said:
                carry = stages.advance(carry, jnp.array([token]))
            logits = TARGET.apply({}, {}, {"tokens": jnp.array([[*PROMPT, *said]])})["logits"][:, -1]
            chances = np.asarray(jax.nn.softmax(stages(logits, carry)), np.float64)[0]
            longer |= {(*said, token): chance * chances[token] for token in range(VOCAB) if chances[token] > 0}
        found = longer
    return found


def surprise(rows: np.ndarray, chances: dict[tuple[int, ...], float]) -> float:
    """The chi-square statistic in standard deviations above its mean; rare sequences count as one."""
    said, counts = np.unique(rows, axis=0, return_counts=True)
    found = dict(zip(map(tuple, said.tolist()), counts.tolist(), strict=True))
    assert found.keys() <= chances.keys(), "nothing is said that cannot be"
    wanted = np.array([len(rows) * chance for chance in chances.values()])
    got = np.array([found.get(each, 0) for each in chances])
    common = wanted >= 5
    wanted, got = (np.append(x[common], x[~common].sum()) for x in (wanted, got))
    wanted, got = wanted[wanted > 0], got[wanted > 0]
    degrees = len(wanted) - 1
    return float((np.sum((got - wanted) ** 2 / wanted) - degrees) / np.sqrt(2 * degrees))


CHAINS: dict[str, tuple[Stage, ...]] = {
    "as it is": (),
    "warmer, of the likeliest": (Temperature(1.7), TopK(3)),
    "with a memory": (PresencePenalty(2.0), Temperature(1.3)),
}
DRAFTS = {"the target": TARGET, "a random draft": program(VOCAB, 7), "the worst": worst(TARGET)}


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("draft", DRAFTS)
def test_sequences_follow_the_targets_distribution(draft: str, chain: str) -> None:
    """Chi-square over all sequences of three tokens; the one with eos in it ends there."""
    told: list[Drafted] = []
    stages, eos = CHAINS[chain], 4 if chain == "as it is" else None
    decoder = Decoder(TARGET, "tokens", "logits", stages, draft=Proposer(weighted(DRAFTS[draft]), 2, told.append))
    rows = drawn(decoder, [PROMPT] * DRAWS, limit=STEPS, seed=11, eos=eos)
    assert surprise(rows, exact(Stages(stages), eos)) < 4
    if draft == "the target":
        assert told[-1].accepted >= told[-1].rounds * 0.9, "its own proposals are accepted, as far as they are said"
    if draft == "the worst":
        assert told[-1].mean < 1


def test_the_comparison_would_see_another_distribution() -> None:
    stages = Stages(CHAINS["as it is"])
    other = drawn(Decoder(DRAFTS["a random draft"], "tokens", "logits"), [PROMPT] * DRAWS, limit=STEPS, seed=11)
    warmer = drawn(Decoder(TARGET, "tokens", "logits", (Temperature(1.1),)), [PROMPT] * DRAWS, limit=STEPS, seed=11)
    own = drawn(Decoder(TARGET, "tokens", "logits"), [PROMPT] * DRAWS, limit=STEPS, seed=11)
    chances = exact(stages, None)
    assert surprise(own, chances) < 4
    assert surprise(warmer, chances) > 20
    assert surprise(other, chances) > 1000


RAGGED = [[1, 2, 3], [4], [0, 4, 4, 2, 1, 3]]


@pytest.mark.parametrize(("draft", "ahead"), [("the target", 4), ("a random draft", 1), ("the worst", 3)])
@pytest.mark.parametrize("options", [{"eos": 4}, {"eos": None}], ids=["with an end", "without"])
def test_greedy_tokens_are_the_targets(draft: str, ahead: int, options: dict[str, Any]) -> None:
    """Rows of different lengths, a limit and an eos in the middle of what was accepted, and past the burst."""
    for limit in (1, 3, 20):
        plain = Decoder(TARGET, "tokens", "logits", (Greedy(),))
        drafted = Decoder(TARGET, "tokens", "logits", (Greedy(),), draft=Proposer(weighted(DRAFTS[draft]), ahead))
        wanted = drawn(plain, RAGGED, limit=limit, **options)
        np.testing.assert_array_equal(drawn(drafted, RAGGED, limit=limit, **options), wanted)


def test_stages_remember_what_was_said_and_no_proposal() -> None:
    """No token twice, in the prompt and after it: what was proposed in vain may still be said."""
    draft = Proposer(weighted(DRAFTS["a random draft"]), 3)
    decoder = Decoder(TARGET, "tokens", "logits", (NoRepeatNgram(1),), draft=draft)
    for row in drawn(decoder, [[2]] * 50, limit=4, seed=3):
        assert sorted([2, *row.tolist()]) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("fixed", "context"), [(True, 12), (False, 12), (False, 9)])
def test_a_full_context_slides_as_without_a_draft(fixed: bool, context: int) -> None:
    target = {"stages": (Greedy(),), "context": context, "fixed": fixed}
    draft = Proposer(weighted(DRAFTS["a random draft"], context=10), 3)
    wanted = drawn(Decoder(TARGET, "tokens", "logits", **target), RAGGED, limit=30)
    found = drawn(Decoder(TARGET, "tokens", "logits", **target, draft=draft), RAGGED, limit=30)
    np.testing.assert_array_equal(found, wanted)


def test_a_good_draft_needs_few_readings() -> None:
    told: list[Drafted] = []
    draft = Proposer(weighted(TARGET), 4, told.append)
    drawn(Decoder(TARGET, "tokens", "logits", (Greedy(),), draft=draft), [[1]], limit=41)
    assert told[-1] == Drafted(rounds=8, proposed=32, accepted=32)
    assert told[-1].mean == 4
    assert str(told[-1]) == "4.00 tokens of the draft accepted a reading, 100 % of them"


def test_the_target_may_itself_be_contrasted() -> None:
    amateur = Amateur(weighted(program(VOCAB, 5)), Contrast(0.5, 0.1))
    options: Any = {"stages": (Greedy(),), "amateur": amateur}
    draft = Proposer(weighted(DRAFTS["a random draft"]), 3)
    wanted = drawn(Decoder(TARGET, "tokens", "logits", **options), RAGGED, limit=12)
    found = drawn(Decoder(TARGET, "tokens", "logits", **options, draft=draft), RAGGED, limit=12)
    np.testing.assert_array_equal(found, wanted)
    assert (wanted != drawn(Decoder(TARGET, "tokens", "logits", (Greedy(),)), RAGGED, limit=12)).any()


@pytest.mark.parametrize("ahead", [0, 256])
def test_a_senseless_ahead_is_refused(ahead: int) -> None:
    with pytest.raises(RunError, match="from 1 to 255 tokens ahead"):
        drawn(Decoder(TARGET, "tokens", "logits", draft=Proposer(weighted(TARGET), ahead)), [[1]], limit=2)


def test_what_cannot_go_together_is_refused() -> None:
    short = Decoder(TARGET, "tokens", "logits", draft=Proposer(weighted(TARGET, context=8), 4))
    with pytest.raises(RunError, match="a draft that reads 8 places"):
        drawn(short, [[1]], limit=2)
    searching = Decoder(TARGET, "tokens", "logits", search=Beam(2), draft=Proposer(weighted(TARGET)))
    with pytest.raises(RunError, match="a search draws nothing"):
        drawn(searching, [[1]], limit=2)


def test_the_exact_distribution_is_one() -> None:
    chances = exact(Stages(), None)
    assert sorted(chances) == list(product(range(VOCAB), repeat=STEPS))
    assert sum(chances.values()) == pytest.approx(1)
