"""`trxc bench`: what it measures, what it computes of that, and what it is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import trxc
from trxc.cli.shell.application import application
from trxc.plan.flops import flops

PROGRAM = """layer Block {
  input x: float[batch, len, d]
  output x |> Dense(16) >> relu >> Dense(d)
}
model M(width: int = 4) {
  input x: float[batch, seq, width]
  output y: float[batch, seq, 3] = x |> repeat(2, Block) |> Dense(3)
}
data d {
  source = arrays()
  fields { x = float[5, 4], target = int[5] }
}
train t for M {
  data = d
  loss = cross_entropy(y, target)
  optimizer = sgd(0.1)
  batch = 6
  steps = 10
}
"""
FORWARD = 6 * 5 * (2 * (2 * 4 * 16 + 2 * 16 * 4) + 2 * 4 * 3)
"""Of the products alone, two operations for each pair of numbers."""


def trxc_(*arguments: str) -> Result:
    return CliRunner().invoke(application, list(arguments), prog_name="trxc")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    Path("m.trx").write_text(PROGRAM)
    return tmp_path


def test_what_it_measures() -> None:
    result = trxc_("bench", "m.trx", "--seconds", "0", "--format", "json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert (found["name"], found["batch"], found["sizes"]) == ("t", 6, {"batch": 6, "seq": 5})
    assert len(found["steps"]) == 3
    assert found["median"] == sorted(found["steps"])[1]
    assert all(found[key] > 0 for key in ("written", "traced", "compiled", "first", "products", "copies", "peak"))
    assert found["weights"] == 4 * (2 * (4 * 16 + 16 + 16 * 4 + 4) + 4 * 3 + 3)
    assert 3 * FORWARD < found["flops"] < 3 * 1.5 * FORWARD


def test_it_is_told_in_lines() -> None:
    result = trxc_("bench", "m.trx", "--seconds", "0.1", "--set", "t.batch=2")
    assert result.exit_code == 0, result.stderr
    words = [line.split()[0] for line in result.stdout.splitlines()]
    assert words[:5] == ["t:", "compiles", "step", "examples", "arithmetic"]
    assert words[-2:] == ["memory", "copies"]
    assert "batch 2" in result.stdout


def test_sizes_that_the_data_alone_know() -> None:
    """What a tokenizer makes of a line has the length that it has."""
    data = '  source = tsv("a.tsv", columns = ["said"])\n  transform = encode(said, bytes(), into = target)\n'
    head, tail = PROGRAM.index("model M"), PROGRAM.index("train t")
    model = """model M {
  input target: int[batch, seq]
  output y: float[batch, seq, 300] = target |> Embedding(300, 4) |> repeat(2, Block) |> Dense(300)
}
"""
    Path("m.trx").write_text(f"{PROGRAM[:head]}{model}data d {{\n{data}}}\n{PROGRAM[tail:]}")
    result = trxc_("bench", "m.trx")
    assert result.exit_code == 2, result.stderr
    assert "say `--size seq=64`" in result.stderr
    given = trxc_("bench", "m.trx", "--size", "seq=7", "--seconds", "0", "--format", "json")
    assert given.exit_code == 0, given.stderr
    assert json.loads(given.stdout)["sizes"] == {"batch": 6, "seq": 7}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--size", "seq=x"), "a size is a whole number, from 1, of at most 6 digits"),
        (("--size", "seq=" + "9" * 5000), "a size is a whole number, from 1, of at most 6 digits"),
        (("--size", "len=3"), "the sizes of a batch are `batch`, `seq`"),
        (("--seconds", "-1"), "--seconds"),
    ],
)
def test_wrong_arguments(arguments: tuple[str, ...], said: str) -> None:
    result = trxc_("bench", "m.trx", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_model_alone_has_nothing_to_time() -> None:
    Path("m.trx").write_text(PROGRAM[: PROGRAM.index("data d")])
    assert trxc_("bench", "m.trx").exit_code == 2


def test_calls_count_in_the_sizes_of_their_callers() -> None:
    """`Block` speaks of `len`, the model of `seq`."""
    module = trxc.compile("m.trx").unoptimised
    total = flops(module, module.roles["loss"])
    assert {symbol.name for symbol in total.symbols} == {"batch", "seq"}
    assert total.evaluate({"batch": 1, "seq": 10}) == 10 * total.evaluate({"batch": 1, "seq": 1})
