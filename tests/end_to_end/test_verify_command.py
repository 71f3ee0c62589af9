"""`trxc verify` on a small model under jax: right as it stands, and told where the emitter is made to go wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from trxc import compilation
from trxc.cli.shell.application import application
from trxc.passes import pipeline

PROGRAM = """
model Tagger(vocab: int = 7, tags: int = 3) {
  input words: int[batch, seq]
  x = words |> Embedding(vocab, 4) |> LayerNorm >> Dense(6) >> relu >> BatchNorm
  output logits: float[batch, seq, tags] = x |> Dense(tags)
}

data random {
  source = arrays()
  fields { words = int[5], tag = int[5] }
}

train tiny for Tagger {
  data = random
  loss = cross_entropy(logits, tag)
  metrics { accuracy = accuracy(logits, tag) }
  optimizer = sgd(0.1)
  batch = 4
  steps = 2
}
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tagger.trx").write_text(PROGRAM)
    return tmp_path


def verify(*arguments: str) -> Result:
    return CliRunner().invoke(application, ["verify", "tagger.trx", *arguments], prog_name="trxc")


@pytest.mark.core
def test_a_compiled_program_computes_what_was_written() -> None:
    result = verify("--inputs", "2", "--passes")
    assert result.exit_code == 0, result.stdout
    assert "IR after pass 2, inline-small" in result.stdout
    assert result.stdout.endswith(f"tiny, f32: all {7 + len(pipeline())} comparisons agree\n")


def test_a_fault_of_the_emitter_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    right = compilation.emit_program

    def wrong(*given: Any) -> Any:
        emitted = right(*given)
        assert "(x - mu)" in emitted.source
        return replace(emitted, source=emitted.source.replace("(x - mu)", "(mu - x)"))

    monkeypatch.setattr(compilation, "emit_program", wrong)
    result = verify("--inputs", "1", "--format", "json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["ok"] is False
    differing = {check["what"] for check in told["checks"] if not check["ok"]}
    assert {"apply: logits", "loss", "gradient of loss"} <= differing
    assert not any(what.startswith("IR") for what in differing)


EXTERN = """
extern layer Twice() from "mine:twice" {
  input x: float[n]
  output y: float[n]
}

model M() {
  input x: float[n]
  output y: float[n] = Twice()(x)
}
"""


def test_a_program_that_calls_python_is_refused(here: Path) -> None:
    (here / "tagger.trx").write_text(EXTERN)
    result = verify()
    assert (result.exit_code, result.stdout) == (1, "")
    assert "it calls Python code, `mine`" in result.stderr
