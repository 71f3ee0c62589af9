"""A check tells what looks ahead, as a compilation does; where a layer of the library does, at its use."""

from __future__ import annotations

from pathlib import Path

import pytest

import trxc

EXAMPLES = Path(__file__).parents[2] / "examples"
PROGRAM = """
model M(vocab: int = 12, embed: int = 8) {
  input tokens: int[batch, seq]
  x = tokens |> Embedding(vocab, embed) |> MIX
  output logits: float[batch, seq, vocab] = x |> Dense(vocab)
}

data d {
  source = arrays()
  fields { tokens = int[6], targets = int[6] }
}

train t for M {
  data      = d
  loss      = cross_entropy(logits, targets)
  optimizer = sgd(0.1)
  batch     = 2
  steps     = 2
}

generate g for M {
  prompt = tokens
  from   = logits
}
"""
AHEAD = {
    "SelfAttention(2)": "SelfAttention(2)",
    "residual(SelfAttention(2))": "SelfAttention(2)",
    "repeat(2, residual(LayerNorm >> SelfAttention(2)))": "SelfAttention(2)",
    "fn(x) => x - mean(x, over = 1, keep = true)": "mean(x, over = 1, keep = true)",
}


@pytest.mark.parametrize("mix", AHEAD)
def test_a_check_points_at_what_looks_ahead(mix: str) -> None:
    text = PROGRAM.replace("MIX", f"({mix})" if mix.startswith("fn") else mix)
    (found,) = trxc.check(text, filename="m.trx")
    assert found.code == "TRX0601"
    assert found.span is not None
    assert found.span.source.text[found.span.start : found.span.end] == AHEAD[mix]
    with pytest.raises(trxc.CompileError) as raised:
        trxc.compile(text, filename="m.trx")
    assert [str(each) for each in raised.value.diagnostics] == [str(found)]


def test_the_library_is_shown_beside_its_use() -> None:
    (found,) = trxc.check(PROGRAM.replace("MIX", "SelfAttention(2)"), filename="m.trx")
    (label,) = found.labels
    assert label.span.source.name == "std/transformer.trx"
    assert label.text == "this looks ahead"


@pytest.mark.parametrize("mix", ["SelfAttention(2, causal = true)", "LSTM(8)", "LayerNorm"])
def test_what_looks_back_is_let_through(mix: str) -> None:
    assert trxc.check(PROGRAM.replace("MIX", mix), filename="m.trx") == []


def alone(mix: str) -> str:
    """A model that is generated from, and that no recipe trains."""
    begin, _, rest = PROGRAM.partition("data d {")
    return (begin + rest[rest.index("generate g") :]).replace("MIX", mix)


def test_a_model_that_nothing_trains_is_looked_at_too() -> None:
    (found,) = trxc.check(alone("SelfAttention(2)"), filename="m.trx")
    assert found.code == "TRX0601"


def test_a_model_that_nothing_trains_decodes() -> None:
    program = trxc.compile(alone("SelfAttention(2, causal = true)"), filename="m.trx")
    assert "\ndef decode(params, state, inputs):" in program.source
