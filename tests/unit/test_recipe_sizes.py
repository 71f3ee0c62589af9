"""What a recipe's data and amounts decide: sizes of weights, the length of schedules, the longest prompt."""

from __future__ import annotations

import pytest

import trxc

NET = """
model Net(classes: int = 10) {
  input image: float[batch, height, width, 1]
  output logits: float[batch, classes] = image |> Conv(4) >> relu >> Flatten >> Dense(classes)
}

data reader {
  source = digits()
}

train fit for Net {
  data = reader
  loss = cross_entropy(logits, label)
  optimizer = adam(warmup_cosine(1e-3, warmup = 10))
  batch = 32
  steps = 20
}
"""

LM = """
model LM(vocab: int = 256, context: int = 64) {
  input tokens: int[batch, seq]
  output logits: float[batch, seq, vocab] = tokens |> Embedding(vocab, 8) |> Positions(context) |> Dense(vocab)
}

data reader {
  source = python_source()
  tokens = bytes() >> window(32)
}

train fit for LM {
  data = reader
  loss = cross_entropy(logits, targets)
  optimizer = sgd(0.1)
  batch = 8
  steps = 20
}

generate say for LM {
  prompt = tokens
  from = logits
}
"""


def parameters(program: trxc.Program) -> dict[str, list[int]]:
    return {entry["path"]: entry["shape"] for entry in program.manifest["parameters"]}


def test_sizes_that_the_data_fix_reach_the_weights() -> None:
    program = trxc.compile(NET, filename="net.trx", name="fit", verify_each=True)
    assert parameters(program)["dense.w"] == [8 * 8 * 4, 10]
    assert program.manifest["inputs"][0]["shape"] == [None, 8, 8, 1]


def test_sizes_that_no_weight_needs_stay_open() -> None:
    program = trxc.compile(LM, filename="lm.trx", name="fit", verify_each=True)
    assert program.manifest["inputs"][0]["shape"] == [None, None]
    assert program.manifest["recipe"]["generate"]["context"] == 64


def test_a_model_alone_has_no_data_to_size_it() -> None:
    with pytest.raises(trxc.CompileError, match="TRX0407"):
        trxc.compile(NET, filename="net.trx", name="Net")


def test_a_schedule_must_outlast_its_warm_up() -> None:
    found = trxc.check(NET, filename="net.trx", set={"fit.steps": "10"})
    assert [d.code for d in found] == ["TRX0420"]
    assert "the warm-up must end before the schedule does" in found[0].message
    assert found[0].span is not None
    assert found[0].span.text == "warmup_cosine(1e-3, warmup = 10)"


def test_windows_have_a_length() -> None:
    found = trxc.check(LM, filename="lm.trx", set={"reader.tokens": "bytes() >> window(0)"})
    assert [d.code for d in found] == ["TRX0420"]


def test_data_longer_than_the_context_are_refused_before_training() -> None:
    found = trxc.check(LM, filename="lm.trx", set={"reader.tokens": "bytes() >> window(128)"})
    assert [d.code for d in found] == ["TRX0420"]
    assert "`seq` is 128" in found[0].notes[0]


def test_none_leaves_a_field_out() -> None:
    settings = {"fit.steps": "none", "fit.epochs": "2", "fit.optimizer": "adam(1e-3)"}
    program = trxc.compile(NET, filename="net.trx", name="fit", set=settings)
    train = program.manifest["recipe"]["train"]
    assert (train["steps"], train["epochs"]) == (None, 2)
