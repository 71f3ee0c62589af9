"""Text from models as callers ask for it: prompts, inputs, stops, searches, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import trxc
import trxc_runtime
from trxc_runtime import RunError
from trxc_runtime.sample import Greedy
from trxc_runtime.search import Beam

SPEAKER = """
model Speaker(vocab: int = {vocab}) {{
  input tokens: int[batch, seq]
  output logits: float[batch, seq, vocab] = tokens |> Embedding(vocab, 8) >> LSTM(8) >> Dense(vocab)
}}
data d {{
  source = python_source()
  tokens = bytes(special = {special}) >> window(16)
}}
train t for Speaker {{
  data = d
  loss = cross_entropy(logits, targets)
  optimizer = sgd(0.1)
  batch = 2
  steps = 1
}}
generate g for Speaker {{
  prompt = tokens
  from = logits
  limit = 12
  seed = 5
{how}
}}
"""
TRANSLATOR = Path(__file__).parents[2] / "examples" / "translate.trx"


def speaker(folder: Path, how: str = "", special: bool = True) -> tuple[trxc_runtime.Model, Any]:
    """A model with fresh weights, made larger so that what it says is not all the same."""
    text = SPEAKER.format(how=how, vocab=259 if special else 256, special=str(special).lower())
    trxc.compile(text, filename="m.trx", name="t").save(folder)
    model = trxc_runtime.load(folder)
    rng = np.random.default_rng(0)
    letters = np.arange(259 if special else 256)
    ascii_only = np.where((letters >= 100) & (letters < 126), 0.0, -50.0).astype(np.float32)
    params = jax.tree.map(lambda leaf: leaf + rng.normal(0, 1, leaf.shape).astype(np.float32), model.init(1))
    params["dense"]["b"] = params["dense"]["b"] + ascii_only
    return model, params


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[trxc_runtime.Model, Any]:
    return speaker(tmp_path_factory.mktemp("plain"))


def test_a_text_ends_before_a_stop(plain: tuple[trxc_runtime.Model, Any], tmp_path: Path) -> None:
    model, params = plain
    whole = model.generate("ab", params=params)
    assert len(whole) == 12
    stop = whole[5:7]
    cut = whole[: whole.index(stop)]
    assert model.generate("ab", params=params, stop=stop) == cut
    assert "".join(model.stream("ab", params=params, stop=["€", stop])) == cut
    texts = model.generate(["ab", "cd"], params=params)
    ended = model.generate(["ab", "cd"], params=params, stop=[stop, "€"])
    assert ended == [text.partition(stop)[0] for text in texts]
    own, params = speaker(tmp_path, f'  stop = ["{stop}"]')
    assert own.generate("ab", params=params) == cut
    assert own.generate("ab", params=params, stop=[]) == whole, "a caller's stops replace the recipe's"


def test_seed_and_limit_are_the_recipes_unless_they_are_given(plain: tuple[trxc_runtime.Model, Any]) -> None:
    model, params = plain
    assert model.generate("ab", params=params) == model.generate("ab", params=params, seed=5, limit=12)
    assert model.generate("ab", params=params) != model.generate("ab", params=params, seed=6)


def test_hypotheses_come_with_scores_and_the_best_is_generated(tmp_path: Path) -> None:
    model, params = speaker(tmp_path, "  search = beam(4, length_penalty = 0.6, hypotheses = 3)")
    found = model.hypotheses("ab", params=params)
    assert [len(h.tokens) for h in found] == [12, 12, 12]
    assert sorted((h.score for h in found), reverse=True) == [h.score for h in found]
    assert model.generate("ab", params=params) == found[0].text == "".join(model.stream("ab", params=params))
    several = model.hypotheses(["ab", "c"], params=params)
    assert [h.text for h in several[0]] == [h.text for h in found]
    greedy = model.generate("ab", params=params, sample=[Greedy()])
    assert greedy == model.generate("ab", params=params, search=Beam(1))


def test_without_a_prompt_there_is_a_text_for_each_row_of_the_inputs(tmp_path: Path) -> None:
    trxc.compile(TRANSLATOR.read_text(), filename=str(TRANSLATOR)).save(tmp_path)
    model = trxc_runtime.load(tmp_path)
    params = model.init(3)
    one = model.generate(params=params, limit=4, source="3 March 2019")
    assert one == model.generate("", params=params, limit=4, source="3 March 2019")
    assert model.generate(params=params, limit=4, source=["3 March 2019", "1 May 2020"])[0] == one
    assert model.generate(["", ""], params=params, limit=4, source="3 March 2019") == [one, one]
    assert len(model.hypotheses(params=params, limit=4, search=Beam(3, hypotheses=2), source=["a", "b"])[1]) == 2
    for options, message in [
        ({"source": ["a", "b"], "prompt": ""}, "`source` has 2 rows, and there is 1 prompt"),
        ({}, "needs the model's input `source` too"),
        ({"source": 3}, "an array with one row a prompt, or text; it was given 3"),
        ({"source": [[1, 2], [3]]}, "rows of `source` differ in length"),
        ({"source": [[1.5, 2.5]]}, "`source` is i32"),
        ({"source": [1, 2]}, "`source` is i32"),
    ]:
        with pytest.raises(RunError, match=message):
            model.generate(params=params, limit=2, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 0}, "at least one token is generated, and the limit is 0"),
        ({"seed": -1}, "a seed is an int from 0"),
        ({"stop": [""]}, "at least one character"),
        ({"sample": [3]}, "3 is no sampling stage"),
        ({"sample": [Greedy()], "search": Beam(2)}, "two ways of choosing"),
        ({"prompt": [3]}, "a prompt is a text, and this is 3"),
        ({"prompt": []}, "there is no prompt"),
        ({"source": "x"}, "no further input `source`"),
    ],
)
def test_mistakes_of_callers_are_told(
    plain: tuple[trxc_runtime.Model, Any], options: dict[str, Any], message: str
) -> None:
    model, params = plain
    with pytest.raises(RunError, match=message):
        model.generate(**{"prompt": "ab", "params": params, **options})


def test_an_empty_prompt_needs_something_to_begin_with(tmp_path: Path) -> None:
    model, params = speaker(tmp_path, special=False)
    with pytest.raises(RunError, match="nothing is known that a text begins with"):
        model.generate(params=params)
    with pytest.raises(RunError, match="searches for nothing"):
        model.hypotheses("a", params=params)
    with pytest.raises(RunError, match="a list of ids from 0 on"):
        trxc_runtime.generate_tokens(model, {}, [[-1]], params=params)
    with pytest.raises(RunError, match="the prompt is empty"):
        list(trxc_runtime.generate_tokens(model, {}, [[]], params=params))
