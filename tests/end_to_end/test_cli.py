"""The command line as a shell runs it: statuses, streams, and a project from `new` to a trained model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "PYTHONPATH")},
    "PYTHONPATH": os.pathsep.join([str(ROOT / "compiler"), str(ROOT / "runtime")]),
    "JAX_PLATFORMS": "cpu",
}

GOOD = "model M {\n  input x: float[batch, 4]\n  output y: float[batch, 4] = x + 1.0\n}\n"

WITHOUT_JAX = """
import sys
from trxc.cli import main
sys.argv = ["trxc", *sys.argv[1:]]
try:
    main()
finally:
    print(*sorted({"jax", "jaxlib", "optax", "rich", "trxc_runtime"} & set(sys.modules)), file=sys.stderr)
"""


def start(*arguments: str, cwd: Path, stdin: str | None = None, python: tuple[str, ...] = ("-m", "trxc")):
    return subprocess.run(
        [sys.executable, *python, *arguments],
        cwd=cwd,
        env=ENVIRONMENT,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.core
def test_a_check_loads_neither_jax_nor_rich(tmp_path: Path):
    (tmp_path / "m.trx").write_text(GOOD)
    ran = start("check", "m.trx", cwd=tmp_path, python=("-c", WITHOUT_JAX))
    assert (ran.returncode, ran.stdout, ran.stderr.strip()) == (0, "", "")


@pytest.mark.core
def test_statuses_of_a_process(tmp_path: Path):
    (tmp_path / "m.trx").write_text(GOOD)
    wrong = start("check", "-", cwd=tmp_path, stdin="model M {\n  input x: float[n]\n  output y = z\n}\n")
    assert wrong.returncode == 1
    assert "<stdin>:3:14" in wrong.stderr
    assert "\x1b" not in wrong.stderr
    assert start("chekc", cwd=tmp_path).returncode == 2


@pytest.mark.skipif(os.name != "posix", reason="pipes close otherwise there")
def test_a_closed_pipe_is_quiet(tmp_path: Path):
    script = f"'{sys.executable}' -m trxc explain | head -n 1; exit ${{PIPESTATUS[0]}}"
    ran = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert ran.stdout.startswith("TRX0101")
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent otherwise there")
def test_an_interrupt_ends_with_its_status(tmp_path: Path):
    """Training is stopped at a step, saved, and goes on."""
    assert start("new", "p", "--template", "blank", cwd=tmp_path).returncode == 0
    training = subprocess.Popen(
        [sys.executable, "-m", "trxc", "train", "model.trx", "--steps", "20000"],
        cwd=tmp_path / "p",
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert training.stderr is not None
    line = next((line for line in training.stderr if line.startswith("step ")), "")
    training.send_signal(signal.SIGINT)
    _, rest = training.communicate(timeout=120)
    assert line.startswith("step ")
    assert training.returncode == 130, rest
    assert "Traceback" not in rest
    assert json.loads((tmp_path / "p" / "runs" / "quick" / "run.json").read_text())["status"] == "interrupted"


@pytest.mark.core
def test_a_project_from_its_beginning(tmp_path: Path):
    assert start("new", "line", "--template", "blank", cwd=tmp_path).returncode == 0
    project = tmp_path / "line"
    trained = start("train", "model.trx", "--quiet", cwd=project)
    assert (trained.returncode, trained.stdout, trained.stderr) == (0, "", "")

    ran = start("run", "runs/quick", "--input", "x=[[3.0], [0.0]]", cwd=project)
    assert ran.returncode == 0, ran.stderr
    (seven,), (one,) = json.loads(ran.stdout)["y"]
    assert (seven, one) == (pytest.approx(7, abs=0.3), pytest.approx(1, abs=0.3))

    kept = start("run", "runs/quick", "--input", "x=[[3]]", "-o", "y.json", cwd=project)
    assert kept.returncode == 0, kept.stderr
    assert json.loads((project / "y.json").read_text())["y"] == [[pytest.approx(seven)]]

    wrong = start("run", "runs/quick", "--input", "x=[[1.0, 2.0]]", cwd=project)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (1, 1)

    inside = start("run", "runs/quick", "--input", "x=[[3]]", "--fetch", "y", "--fetch", "dense.w", cwd=project)
    assert inside.returncode == 0, inside.stderr
    found = json.loads(inside.stdout)
    assert list(found) == ["y", "dense.w"]
    assert (found["dense.w"], found["y"]) == ([[pytest.approx(2, abs=0.1)]], [[pytest.approx(seven)]])
    misspelt = start("run", "runs/quick", "--input", "x=[[3]]", "--fetch", "dense.v", cwd=project)
    assert misspelt.returncode == 1
    assert "there is no value `dense.v`" in misspelt.stderr

    again = start("train", "model.trx", cwd=project)
    assert again.returncode == 0
    assert "is finished" in again.stderr


def test_text_from_a_trained_model(tmp_path: Path):
    assert start("new", "lm", cwd=tmp_path).returncode == 0
    project = tmp_path / "lm"
    smaller = ["--set", "GPT.layers=1", "--set", "GPT.embed=16", "--set", "quick.batch=4"]
    trained = start("train", "model.trx", "--steps", "5", "--quiet", *smaller, cwd=project)
    assert trained.returncode == 0, trained.stderr

    said = start("generate", "runs/quick", "--prompt", "def ", "--tokens", "8", cwd=project)
    assert said.returncode == 0, said.stderr
    assert said.stderr.startswith("8 tokens, ")
    greedy = ["generate", "runs/quick", "--prompt", "def ", "--tokens", "8", "--set", "chat.sample=greedy()"]
    first, second = (start(*greedy, "--seed", seed, cwd=project) for seed in ("1", "2"))
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    other = start(*greedy[:-2], "--set", "GPT.embed=32", cwd=project)
    assert other.returncode == 2
    assert "changes the model" in other.stderr

    longer = start("run", "runs/quick", "--input", f"tokens={[[1] * 500]}", cwd=project)
    assert longer.returncode == 1
    assert "the model cannot take these inputs" in longer.stderr
    assert "require seq <= context" in longer.stderr

    measured = start("eval", "runs/quick", "--steps", "2", "--format", "json", cwd=project)
    assert measured.returncode == 0, measured.stderr
    assert json.loads(measured.stdout).keys() == {"loss", "perplexity", "accuracy"}


@pytest.mark.parametrize(("stage", "text"), [("stablehlo", "module @"), ("hlo", "HloModule")])
def test_what_jax_makes_of_a_program(tmp_path: Path, stage: str, text: str):
    assert start("new", "line", "--template", "blank", cwd=tmp_path).returncode == 0
    lowered = start("compile", "line/model.trx", "--emit", stage, cwd=tmp_path)
    assert lowered.returncode == 0, lowered.stderr
    assert lowered.stdout.startswith(text)
    model = start("compile", "line/model.trx", "Line", "--emit", stage, cwd=tmp_path)
    assert "8,1" in model.stdout.replace("x", ",")
