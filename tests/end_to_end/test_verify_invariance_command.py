"""`trxc verify --invariance` at work: trained in another process, right as it stands, told where it is made wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from trxc.cli.shell.application import application
from trxc.cli.shell.variants_at_work import fingerprint
from trxc.emit import training

PROGRAM = """
model Net(vocab: int = 6, embed: int = 8) {
  input words: int[batch, seq]
  x = words |> Embedding(vocab, embed) |> repeat(2, residual(LayerNorm >> Dropout(0.5) >> Dense(embed)))
  output logits: float[batch, seq, vocab] = x |> Dense(vocab)
}

mesh grid {
  data = 4
  model = 2
  batch -> data
  vocab -> model
}

data random {
  source = arrays()
  fields { words = int[5], tag = int[5] }
}

train tiny for Net {
  data = random
  loss = cross_entropy(logits, tag)
  optimizer = OPTIMIZER
  batch = 4
  steps = 100
  mesh = grid
  freeze = ["embedding"]
}
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def verify(*arguments: str, optimizer: str = "adamw(1e-2)") -> Result:
    Path("net.trx").write_text(PROGRAM.replace("OPTIMIZER", optimizer))
    return CliRunner().invoke(application, ["verify", "net.trx", "--invariance", *arguments], prog_name="trxc")


def told(result: Result) -> dict[str, Any]:
    return {check["what"]: check for check in json.loads(result.stdout)["checks"]}


@pytest.mark.core
def test_no_way_to_train_makes_a_difference() -> None:
    result = verify("--steps", "8")
    assert result.exit_code == 0, result.output
    lines = {" ".join(line.split()[:3]): line for line in result.stdout.splitlines()}
    for what in ("accumulate = 4", "batch in 2", "mesh data =", "mesh model ="):
        assert lines[what].endswith(" ok") and " 8 " in lines[what]
    assert "comparisons agree" in result.stdout


@pytest.mark.parametrize("optimizer", ["sgd(0.1)", "adam(1e-2)"])
def test_accumulation_that_forgets_to_divide_is_told(monkeypatch: pytest.MonkeyPatch, optimizer: str) -> None:
    """Adam's steps do not show a gradient that is four times as long: its norm does."""
    wrong = training._ACCUMULATED.replace(  # pyright: ignore[reportPrivateUsage]
        "value, grads = jax.tree.map(lambda x: x / {count}, total)", "value, grads = total[0] / {count}, total[1]"
    )
    assert wrong != training._ACCUMULATED  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(training, "_ACCUMULATED", wrong)
    result = verify("--steps", "3", "--format", "json", optimizer=optimizer)
    assert result.exit_code == 1
    assert {what for what, check in told(result).items() if not check["ok"]} == {"accumulate = 2", "accumulate = 4"}


def test_what_is_not_for_it_is_refused() -> None:
    result = verify("--passes")
    assert result.exit_code == 2
    assert "`--passes` is not for `--invariance`" in result.output


def test_a_fingerprint_is_of_the_weights_not_of_their_storage() -> None:
    layers = np.arange(6, dtype=np.float32).reshape(2, 3)
    one = {"parameters": [{"key": ["a"], "stack": [2]}], "state": []}
    two = {"parameters": [{"key": ["a_0"], "stack": []}, {"key": ["a_1"], "stack": []}], "state": []}
    stacked = fingerprint(one, {"parameters": {"a": layers}, "state": {}})
    assert stacked == fingerprint(two, {"parameters": {"a_0": layers[0], "a_1": layers[1]}, "state": {}})
    assert stacked != fingerprint(two, {"parameters": {"a_0": layers[0], "a_1": layers[1] + 1e-6}, "state": {}})
