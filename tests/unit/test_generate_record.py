"""The `generate` record: how tokens are chosen, as the manifest has it, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

import trxc

PROGRAM = """
model Speaker(vocab: int = 11) {
  input tokens: int[batch, seq]
  output logits: float[batch, seq, vocab] = tokens |> Embedding(vocab, 6) >> LSTM(5) >> Dense(vocab)
}
data d {
  source = arrays()
  fields { tokens = int[6], targets = int[6] }
}
train t for Speaker {
  data = d
  loss = cross_entropy(logits, targets)
  optimizer = sgd(0.1)
  batch = 2
  steps = 2
}
generate g for Speaker {
  prompt = tokens
  from = logits
  HOW
}
"""


def recipe(how: str) -> dict[str, Any]:
    """What the runtime is told, with the fields `sample`, `search` and `stop` only."""
    made = trxc.compile(PROGRAM.replace("HOW", how), filename="m.trx", name="t").manifest["recipe"]["generate"]
    return {name: made[name] for name in ("sample", "search", "stop")}


def test_without_any_a_token_is_drawn_from_the_models_scores() -> None:
    assert recipe("") == {"sample": [], "search": None, "stop": []}


def test_stages_and_stops_are_told_to_the_runtime() -> None:
    found = recipe('sample = repetition_penalty(1.5) >> forbid([3, "a"])\n  stop = ["\\n\\n", "END"]')
    assert found["stop"] == ["\n\n", "END"]
    assert [stage["call"] for stage in found["sample"]] == [
        "trxc_runtime.sample.penalties:RepetitionPenalty",
        "trxc_runtime.sample.exclusions:Forbid",
    ]
    assert [stage["args"] for stage in found["sample"]] == [{"r": 1.5}, {"tokens": [3, "a"]}]


def test_a_search_is_told_to_the_runtime() -> None:
    found = recipe("search = beam(4, length_penalty = 0.6)")
    arguments = {"width": 4, "length_penalty": 0.6, "hypotheses": 1}
    assert found["search"] == {"call": "trxc_runtime.search:Beam", "name": "beam", "args": arguments}


def test_a_search_goes_by_stages_that_only_exclude() -> None:
    found = recipe('sample = matching("[a-z]+") >> forbid([3])\n  search = beam(4)')
    assert [stage["name"] for stage in found["sample"]] == ["matching", "forbid"]
    assert found["search"]["name"] == "beam"


@pytest.mark.parametrize(
    ("how", "code", "message"),
    [
        ("search = beam(4)\n  sample = greedy()", "TRX0502", "both `sample` and `search` are given"),
        ('search = beam(4)\n  sample = matching("a") >> top_k(3)', "TRX0502", "both `sample` and `search` are given"),
        ("search = greedy()", "TRX0505", "`search` is a search, and this is a sampler"),
        ("sample = beam(4)", "TRX0505", "`sample` is a sampler, and this is a search"),
        ("search = beam(0)", "TRX0420", "at least one continuation is kept"),
        ("search = beam(2, hypotheses = 3)", "TRX0420", "from 1 to `width` hypotheses can be given"),
        ("search = beam(2, length_penalty = -1.0)", "TRX0420", "the length penalty is not negative"),
        ("sample = temperature(-0.5)", "TRX0420", "a temperature is not negative"),
        ("sample = top_k(0)", "TRX0420", "at least one token is kept"),
        ("sample = top_p(0.0)", "TRX0420", "p is a probability above 0"),
        ("sample = min_p(1.5)", "TRX0420", "p is a probability"),
        ("sample = typical(1.5)", "TRX0420", "p is a probability above 0"),
        ("sample = repetition_penalty(0.0)", "TRX0420", "what scores are divided by is above 0"),
        ("sample = no_repeat_ngram(0)", "TRX0420", "at least one token"),
        ("sample = forbid(3)", "TRX0405", "argument `tokens` of `forbid` is a list"),
        ("stop = [3]", "TRX0505", "`stop` is a list of strings"),
        ('stop = ["a", ""]', "TRX0506", "a text of `stop` has at least one character"),
    ],
)
def test_what_makes_no_sense_is_refused(how: str, code: str, message: str) -> None:
    found = trxc.check(PROGRAM.replace("HOW", how), filename="m.trx")
    assert [d.code for d in found] == [code]
    assert message in found[0].message
