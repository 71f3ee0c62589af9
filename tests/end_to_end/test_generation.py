"""Tokens drawn by a program's own `decode` are those drawn from the whole sequence computed anew for each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import trxc
from trxc_runtime.artifact import Artifact, load_artifact
from trxc_runtime.decoding import Decoder, decode, search
from trxc_runtime.prompts import Reading
from trxc_runtime.sample import NoRepeatNgram, Temperature, TopP
from trxc_runtime.search import Beam
from trxc_runtime.stages import Stages

FOLDER = Path(__file__).parents[1] / "cases" / "decoding"
RECIPE = """
data d {{
  source = arrays()
  fields {{ tokens = int[6], targets = int[6]{source} }}
}}
train t for M {{
  data = d
  loss = cross_entropy(logits, targets)
  optimizer = sgd(0.1)
  batch = 2
  steps = 2
}}
generate g for M {{
  prompt = tokens
  from = logits
}}
"""
SAME = [[1, 2, 3], [4, 5, 6]]
RAGGED = [[1, 2, 3], [4, 5], [7, 8, 9, 1, 2]]


def artifact(name: str, folder: Path) -> Artifact:
    """A model of the cases of decoding, compiled."""
    text = (FOLDER / f"{name}.trx").read_text()
    recipe = RECIPE.format(source=", source = int[5]" if "source" in text else "")
    trxc.compile(text + recipe, filename="m.trx", name="t").save(folder / name)
    return load_artifact(folder / name)


def weights(program: Any) -> Any:
    rng = np.random.default_rng(0)
    params = program.init(jax.random.key(1))
    return jax.tree.map(lambda x: x + 0.3 * rng.normal(size=x.shape).astype(x.dtype), params)


def tokens(program: Any, params: Any, prompts: list[list[int]], *, context: int | None = 16, **options: Any) -> Any:
    """What is drawn, one row a step."""
    decoder = Decoder(program, "tokens", "logits", (Temperature(0.8), TopP(0.95)), context)
    state = program.init_state()
    return np.array(list(decode(decoder, params, state, prompts, seed=3, **{"limit": 9, "eos": 0, **options})))


class WithoutDecode:
    """A program as if decoding could not be derived from it."""

    def __init__(self, program: Any) -> None:
        self.apply, self.init_state = program.apply, program.init_state


@pytest.mark.core
@pytest.mark.parametrize("name", ["gpt", "lstm", "encdec"])
def test_tokens_are_those_of_the_whole_sequence(name: str, tmp_path: Path) -> None:
    program = artifact(name, tmp_path).program
    params = weights(program)
    for prompts in (SAME, RAGGED):
        rng = np.random.default_rng(5)
        source = rng.integers(1, 5, (len(prompts), 5)).astype(np.int32)
        constants = {"source": source} if name == "encdec" else {}
        found = tokens(program, params, prompts, constants=constants)
        wanted = tokens(WithoutDecode(program), params, prompts, constants=constants)
        np.testing.assert_array_equal(found, wanted)


def test_a_full_context_loses_its_older_half(tmp_path: Path) -> None:
    """Up to the context all is as before; then what is drawn follows from the younger half."""
    program = artifact("gpt", tmp_path).program
    params, context = weights(program), 8
    prompt = [1, 2, 3]
    found = tokens(program, params, [prompt], context=context, limit=12, eos=None)[:, 0]
    whole = tokens(WithoutDecode(program), params, [prompt], context=context, limit=6, eos=None)[:, 0]
    np.testing.assert_array_equal(found[:6], whole)
    sequence = [*prompt, *map(int, found)]
    outputs = program.apply(params, {}, {"tokens": np.array([sequence[5:9]], np.int32)})
    key = jax.random.fold_in(jax.random.key(3), 6)
    (token,), _ = Stages((Temperature(0.8), TopP(0.95))).draw(outputs["logits"][:, -1], ((), ()), key)
    assert int(token) == sequence[9]


@pytest.mark.parametrize(("name", "prompts"), [("llama", SAME), ("llama", RAGGED), ("encdec", RAGGED)])
def test_caches_that_grow_change_no_token(
    name: str, prompts: list[list[int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = artifact(name, tmp_path).program
    source = np.random.default_rng(5).integers(1, 5, (len(prompts), 5)).astype(np.int32)
    options = {"context": None, "limit": 60, "eos": None, "constants": {"source": source} if name == "encdec" else {}}
    wanted = tokens(program, weights(program), prompts, **options)
    capacities: list[int] = []
    make_room = Reading.make_room

    def noted(self: Reading, places: int) -> None:
        make_room(self, places)
        capacities.append(self.capacity)

    monkeypatch.setattr("trxc_runtime.prompts.FIRST_CAPACITY", 4)
    monkeypatch.setattr("trxc_runtime.stepping.LATE", 0.0)
    monkeypatch.setattr(Reading, "make_room", noted)
    found = tokens(program, weights(program), prompts, **options)
    np.testing.assert_array_equal(found, wanted)
    assert capacities == [32, 64, 64, 64], "twice as many places each time that what was kept is full"


def test_bursts_get_longer_while_they_are_quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program, reached = artifact("lstm", tmp_path).program, list[int]()
    options = {"context": None, "limit": 100, "eos": None}
    monkeypatch.setattr("trxc_runtime.stepping.LATE", 0.0)
    wanted = tokens(program, weights(program), SAME, **options)
    make_room = Reading.make_room

    def noted(self: Reading, places: int) -> None:
        reached.append(places - self.reached)
        make_room(self, places)

    monkeypatch.setattr(Reading, "make_room", noted)
    monkeypatch.setattr("trxc_runtime.stepping.LATE", 1e9)
    np.testing.assert_array_equal(tokens(program, weights(program), SAME, **options), wanted)
    assert reached == [16, 84]


@pytest.mark.parametrize("name", ["running", "lstm"])
def test_rows_that_are_read_in_different_numbers_of_chunks(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept of the shorter rows stays, while more of the longest is read."""
    program = artifact(name, tmp_path).program
    wanted = tokens(WithoutDecode(program), weights(program), RAGGED, eos=None)
    monkeypatch.setattr("trxc_runtime.rows.CHUNK", 2)
    np.testing.assert_array_equal(tokens(program, weights(program), RAGGED, eos=None), wanted)


def test_stages_remember_what_a_full_context_forgot(tmp_path: Path) -> None:
    """Of 11 tokens none comes twice, though the model reads 8 at most; with caches and without."""
    program = artifact("gpt", tmp_path).program
    stages = (NoRepeatNgram(1),)
    for kind in (program, WithoutDecode(program)):
        decoder = Decoder(kind, "tokens", "logits", stages, 8)
        found = np.array(list(decode(decoder, weights(program), {}, [[1, 2], [3, 4]], limit=9, seed=1)))
        for row, prompt in zip(found.T.tolist(), ([1, 2], [3, 4]), strict=True):
            assert sorted([*prompt, *row]) == list(range(11))


@pytest.mark.parametrize("name", ["gpt", "lstm", "encdec"])
def test_a_beam_with_caches_is_one_without(name: str, tmp_path: Path) -> None:
    program = artifact(name, tmp_path).program
    params, beam = weights(program), Beam(4, 0.6, 3)
    source = np.random.default_rng(5).integers(1, 5, (3, 5)).astype(np.int32)
    options = {"limit": 7, "eos": 0, "constants": {"source": source} if name == "encdec" else {}}
    found, wanted = (
        search(Decoder(kind, "tokens", "logits", context=16), params, program.init_state(), RAGGED, beam, **options)
        for kind in (program, WithoutDecode(program))
    )
    assert [[c.tokens for c in row] for row in found] == [[c.tokens for c in row] for row in wanted]
    scores = [[[c.score for c in row] for row in rows] for rows in (found, wanted)]
    np.testing.assert_allclose(*scores, rtol=1e-4)
    assert len({tuple(c.tokens) for c in found[0]}) == 3


def test_a_beam_ends_where_the_context_does(tmp_path: Path) -> None:
    program = artifact("gpt", tmp_path).program
    decoder = Decoder(program, "tokens", "logits", context=8)
    (found,) = search(decoder, weights(program), {}, [[1, 2, 3, 4, 5, 6, 7, 8, 9]], Beam(2), limit=20)
    assert len(found[0].tokens) == 5, "half of the context for the prompt, and one place more than the rest"
