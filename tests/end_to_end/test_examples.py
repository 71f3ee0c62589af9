"""The examples: checked, compiled, run by themselves, and trained for a few steps in small."""

from __future__ import annotations

import filecmp
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import trxc
import trxc_runtime
from trxc_runtime.metrics import read

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
DATA = EXAMPLES / "data"

SMALL: dict[str, dict[str, object]] = {
    "char_lstm": {
        "CharLSTM.embed": 16,
        "CharLSTM.hidden": 32,
        "python.source": "python_source(limit_bytes = 200_000)",
        "python.tokens": "bytes() >> window(16)",
    },
    "digits": {"Digits.channels": 4},
    "mlp": {},
    "quickstart": {
        "GPT.embed": 32,
        "GPT.heads": 2,
        "GPT.layers": 1,
        "python.source": "python_source(limit_bytes = 200_000)",
        "python.tokens": "bytes() >> window(32)",
    },
    "translate": {"Translator.embed": 16, "Translator.heads": 2, "Translator.layers": 1},
}
"""Each example with sizes that train in seconds."""

STEPS = 40

pytestmark = pytest.mark.core


def path_of(name: str) -> Path:
    return EXAMPLES / f"{name}.trx"


@cache
def recipe_of(name: str) -> str:
    """The name of the example's train recipe."""
    return trxc.compile(path_of(name)).name


def artifact(name: str, folder: Path, **settings: object) -> Path:
    """The small example, compiled with further settings."""
    return trxc.compile(path_of(name), set=SMALL[name] | settings, verify_each=True).save(folder)


def short(name: str, folder: Path) -> Path:
    """The small example for few steps, too few for its own learning rate to warm up."""
    recipe = recipe_of(name)
    settings = {
        f"{recipe}.steps": STEPS,
        f"{recipe}.optimizer": "adam(3e-3)",
        f"{recipe}.evaluate.every": STEPS,
        f"{recipe}.evaluate.steps": 2,
        f"{recipe}.checkpoint.every": STEPS,
    }
    return artifact(name, folder, **settings)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for runs that several tests use."""
    return tmp_path_factory.mktemp("runs")


def trained(name: str, runs: Path) -> Path:
    """The run of the small example, made when it is first asked for."""
    if not (runs / name).exists():
        result = trxc_runtime.train(short(name, runs / f"{name}.out"), runs / name, root=EXAMPLES, quiet=True)
        assert result.exit_status == 0
    return runs / name


def test_every_example_is_here() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.trx")} == set(SMALL)


@pytest.mark.parametrize("name", SMALL)
def test_an_example_is_right(name: str) -> None:
    assert trxc.check(path_of(name)) == []


@pytest.mark.parametrize("name", SMALL)
def test_an_example_says_how_to_run_it(name: str) -> None:
    text = path_of(name).read_text(encoding="utf-8")
    header = text[: text.index("\n\n")]
    assert f"trxc train examples/{name}.trx" in header
    assert "two cores" in header
    assert f"runs/{recipe_of(name)}" in text or "runs/" not in text


@pytest.mark.parametrize("name", SMALL)
def test_a_program_runs_alone(name: str, tmp_path: Path) -> None:
    program = artifact(name, tmp_path) / "program.py"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    ran = subprocess.run(
        [sys.executable, str(program)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    values = dict(line.split(": ") for line in ran.stdout.splitlines() if ": " in line)
    assert np.isfinite(float(values["loss"]))


@pytest.mark.parametrize("name", SMALL)
def test_the_loss_falls(name: str, runs: Path) -> None:
    lines = read(trained(name, runs) / "metrics.jsonl")
    losses = [line["loss"] for line in lines if line["split"] == "train"]
    assert losses[-1] < 0.95 * losses[0]
    assert [line["step"] for line in lines if line["split"] == "valid"] == [STEPS]


def test_an_example_writes_text(runs: Path) -> None:
    model = trxc_runtime.load(trained("quickstart", runs))
    text = model.generate("def ", limit=8, seed=1)
    assert isinstance(text, str)
    assert text
    assert text == model.generate("def ", limit=8, seed=1)


def test_a_translation_follows_its_source(runs: Path) -> None:
    """A source is made longer as the data are, so that what fills it up has been seen, and one program serves all."""
    model = trxc_runtime.load(trained("translate", runs))
    text = model.generate("", limit=4, source="3 March 2019")
    assert isinstance(text, str)
    ids = [[*np.frombuffer(b"3 March 2019", np.uint8).astype(int) + 3, 2]]
    ids[0] += [0] * (24 - len(ids[0]))
    assert text == model.generate("", limit=4, source=ids)


def test_the_pairs_are_what_their_script_writes(tmp_path: Path) -> None:
    with (tmp_path / "dates.tsv").open("w", encoding="utf-8", newline="\n") as out:
        subprocess.run([sys.executable, str(DATA / "make_pairs.py")], stdout=out, check=True)
    assert filecmp.cmp(tmp_path / "dates.tsv", DATA / "dates.tsv", shallow=False)
