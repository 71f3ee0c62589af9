"""Tokens drawn by a program's own `decode` are those drawn from the whole sequence computed anew for each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import trxc
from trxc_runtime.artifact import Artifact, load_artifact
from trxc_runtime.decoding import Decoder, decode
from trxc_runtime.sample import Temperature, TopP, draw

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
    (token,) = draw(outputs["logits"][:, -1], (Temperature(0.8), TopP(0.95)), key)
    assert int(token) == sequence[9]
