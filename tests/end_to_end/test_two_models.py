"""Programs of two models at once: a draft that proposes, an amateur that scores are set against; and who may be one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from tests.end_to_end.test_generation import RAGGED, SAME, WithoutDecode, artifact, weights
from tests.end_to_end.test_generation_text import SPEAKER, TRANSLATOR, speaker

import trxc
import trxc_runtime
from trxc_runtime import Drafted, RunError
from trxc_runtime.beside import Amateur, Proposer, Weighted
from trxc_runtime.contrast import Contrast
from trxc_runtime.decoding import Decoder, decode, search
from trxc_runtime.rows import CachedRows, Given
from trxc_runtime.sample import Greedy
from trxc_runtime.search import Beam


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Each program once, by its name."""
    found: dict[str, Any] = {}

    def program(name: str) -> Any:
        if name not in found:
            found[name] = artifact(name, tmp_path_factory.mktemp("programs")).program
        return found[name]

    return program


def nearly(params: Any, by: float = 0.05) -> Any:
    """Weights as those, a little off."""
    rng = np.random.default_rng(3)
    return jax.tree.map(lambda leaf: leaf + by * rng.normal(size=leaf.shape).astype(leaf.dtype), params)


def drafted(program: Any, other: Any, params: Any, *, told: Any = None, context: int | None = 16) -> Decoder:
    """Greedy, with a draft that reads 12 places."""
    model = Weighted(Decoder(other, "tokens", "logits", context=12), params, other.init_state())
    return Decoder(program, "tokens", "logits", (Greedy(),), context, draft=Proposer(model, 3, told))


def drawn(decoder: Decoder, params: Any, prompts: list[list[int]], **options: Any) -> np.ndarray:
    return np.array(list(decode(decoder, params, decoder.program.init_state(), prompts, **options)))


PAIRS = [
    ("lstm", "lstm", SAME[:1]),
    ("lstm", "lstm", RAGGED),
    ("conv", "conv", RAGGED),
    ("running", "running", RAGGED),
    ("gpt", "lstm", RAGGED),
    ("encdec", "encdec", RAGGED),
    ("window", "gpt", RAGGED),
]


@pytest.mark.parametrize(("name", "other", "prompts"), PAIRS)
def test_greedy_tokens_are_the_targets_past_the_context(
    name: str, other: str, prompts: list[list[int]], programs: Any
) -> None:
    """What is kept of proposals that were not accepted plays no part, in caches, carries, windows and totals."""
    target, draft = programs(name), programs(other)
    params, told = weights(target), list[Drafted]()
    source = np.random.default_rng(5).integers(1, 5, (len(prompts), 5)).astype(np.int32)
    options = {"limit": 20, "constants": {"source": source} if name == "encdec" else {}}
    wanted = drawn(Decoder(target, "tokens", "logits", (Greedy(),), 16), params, prompts, **options)
    found = drawn(drafted(target, draft, nearly(weights(draft)), told=told.append), params, prompts, **options)
    np.testing.assert_array_equal(found, wanted)
    assert 0 < told[-1].accepted < told[-1].proposed, "some of the proposals are wrong, and some right"


@pytest.mark.parametrize("name", ["running", "conv"])
def test_a_draft_goes_on_from_what_was_accepted(name: str, programs: Any) -> None:
    """It is as often right as if it read the whole sequence anew each time."""
    program, found = programs(name), list[Drafted]()
    params = weights(program)
    for kind in (program, WithoutDecode(program)):
        told: list[Drafted] = []
        model = Weighted(Decoder(kind, "tokens", "logits"), nearly(params), {})
        decoder = Decoder(program, "tokens", "logits", (Greedy(),), draft=Proposer(model, 3, told.append))
        drawn(decoder, params, RAGGED, limit=14)
        found.append(told[-1])
    assert found[0] == found[1]
    assert 0 < found[0].accepted < found[0].proposed


def test_a_ring_that_has_gone_round_holds_its_window(programs: Any) -> None:
    """280 tokens, in a ring of 258 places; half of the proposals are overwritten."""
    target, told = programs("window"), list[Drafted]()
    params = weights(target)
    model = Weighted(Decoder(target, "tokens", "logits"), nearly(params), {})
    wanted = drawn(Decoder(target, "tokens", "logits", (Greedy(),)), params, RAGGED[:2], limit=280)
    decoder = Decoder(target, "tokens", "logits", (Greedy(),), draft=Proposer(model, 5, told.append))
    np.testing.assert_array_equal(drawn(decoder, params, RAGGED[:2], limit=280), wanted)
    assert told[-1].accepted < told[-1].proposed


KEPT_BY_PLACE = {"gpt": True, "window": True, "lookup": True, "lstm": False, "conv": False, "running": False}


@pytest.mark.parametrize("name", KEPT_BY_PLACE)
def test_what_is_kept_by_place_is_told_from_what_is_not(name: str, programs: Any) -> None:
    program = programs(name)
    rows = CachedRows(program, "tokens", "logits", None)
    params = weights(program)
    given = Given(program.split(params) if hasattr(program, "split") else params, program.init_state(), {})
    leaves = jax.tree.leaves(rows.by_place(given))
    assert leaves
    assert all(leaf is KEPT_BY_PLACE[name] for leaf in leaves)


def test_contrast_with_caches_is_contrast_without(programs: Any) -> None:
    """Drawn and searched; and as the formula says, from both models' whole sequences."""
    expert, amateur = programs("gpt"), programs("lstm")
    params, theirs = weights(expert), nearly(weights(amateur), 0.5)
    found = []
    for kind in (lambda program: program, WithoutDecode):
        other = Weighted(Decoder(kind(amateur), "tokens", "logits", context=16), theirs, {})
        decoder = Decoder(
            kind(expert), "tokens", "logits", (Greedy(),), 16, amateur=Amateur(other, Contrast(1.0, 0.05))
        )
        tokens = drawn(decoder, params, RAGGED, limit=8)
        best = search(decoder, params, {}, RAGGED[:2], Beam(2), limit=4)
        found.append((tokens.tolist(), [[each.tokens for each in row] for row in best]))
    assert found[0] == found[1]
    text = list(RAGGED[1])
    for token in np.array(found[0][0])[:, 1].tolist():
        pair = ((expert, params), (amateur, theirs))
        logits = [program.apply(w, {}, {"tokens": np.array([text])})["logits"][0, -1] for program, w in pair]
        log_e, log_a = (np.asarray(jax.nn.log_softmax(each), np.float64) for each in logits)
        scores = np.where(log_e >= log_e.max() + np.log(0.05), 2 * log_e - log_a, -np.inf)
        assert token == int(scores.argmax())
        text.append(token)


# ------------------------------------------------------------------------------------- as callers ask for it


def trained(model: trxc_runtime.Model, params: Any) -> trxc_runtime.Model:
    """A model as if a run had trained it."""
    model.__dict__["_weights"] = (params, model.artifact.program.init_state(), 1)
    return model


@pytest.fixture(scope="module")
def speakers(tmp_path_factory: pytest.TempPathFactory) -> tuple[trxc_runtime.Model, trxc_runtime.Model]:
    """One that speaks, and one that is nearly the same."""
    large, params = speaker(tmp_path_factory.mktemp("large"))
    small, _ = speaker(tmp_path_factory.mktemp("small"))
    return trained(large, params), trained(small, nearly(params, 0.02))


def test_a_draft_changes_no_greedy_text(speakers: tuple[trxc_runtime.Model, trxc_runtime.Model]) -> None:
    large, small = speakers
    told: list[Drafted] = []
    wanted = large.generate(["ab", "c"], sample=[Greedy()])
    assert large.generate(["ab", "c"], sample=[Greedy()], draft=small, on_draft=told.append) == wanted
    assert told[-1].accepted > 0
    pieces = large.stream("ab", sample=[Greedy()], draft=small, ahead=2, on_draft=told.append)
    assert "".join(pieces) == wanted[0]
    assert told[-1].proposed == 2 * told[-1].rounds


def test_the_same_seed_gives_the_same_text_with_a_draft(
    speakers: tuple[trxc_runtime.Model, trxc_runtime.Model],
) -> None:
    large, small = speakers
    text = large.generate("ab", draft=small, seed=3)
    assert text == large.generate("ab", draft=small, seed=3)
    assert text != large.generate("ab", draft=small, seed=4)


def test_an_amateur_changes_what_is_said(speakers: tuple[trxc_runtime.Model, trxc_runtime.Model]) -> None:
    large, small = speakers
    plain = large.generate("ab", sample=[Greedy()])
    assert large.generate("ab", sample=[Greedy()], amateur=small, contrast=0.0) == plain
    assert large.generate("ab", sample=[Greedy()], amateur=small, contrast=float("inf"), plausible=0.01) != plain
    assert large.hypotheses("ab", search=Beam(1), amateur=small, contrast=0.0)[0].text == plain


def test_models_that_do_not_go_together_are_refused(
    speakers: tuple[trxc_runtime.Model, trxc_runtime.Model], tmp_path: Path
) -> None:
    large, small = speakers
    other = trained(*speaker(tmp_path / "other", special=False))
    trxc.compile(TRANSLATOR.read_text(), filename="translate.trx").save(tmp_path / "translator")
    translator = trxc_runtime.load(tmp_path / "translator")
    wide = SPEAKER.format(how="", vocab=259, special="false")
    trxc.compile(wide, filename="m.trx", name="t").save(tmp_path / "wide")
    untrained = trxc_runtime.load(small.artifact.folder)
    refused = [
        ({"draft": other}, "the draft has scores for 256 tokens, and the model for 259"),
        ({"draft": trxc_runtime.load(tmp_path / "wide")}, "another tokenizer: it has 256 tokens, and the model's 259"),
        ({"amateur": untrained}, "holds no trained weights"),
        ({"draft": "runs/small"}, "`draft` is a model"),
        ({"draft": translator}, "the draft has scores for|the draft needs the input"),
        ({"draft": small, "search": Beam(2)}, "a search draws nothing"),
        ({"draft": small, "ahead": 0}, "from 1 to 255"),
        ({"amateur": small, "contrast": -1.0}, "contrast is a number from 0 on"),
        ({"amateur": small, "plausible": 1.5}, "plausible is a share"),
    ]
    for options, message in refused:
        with pytest.raises(RunError, match=message):
            large.generate("ab", **options)
