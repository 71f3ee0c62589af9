"""Options of XLA's in a process of `trxc train`: used, one kept from the rest, and given up where XLA dies of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import trxc

FUSION = "xla_cpu_use_multi_output_fusion"

FAULT = """
model Sums {
  input places: int[batch]
  input x: float[batch, 4]
  param p: float[8, 4] = normal(0.5)
  param q: float[8, 4] = normal(0.5)
  param w: float[4, 4] = normal(0.5)
  h = x @ w
  output y: float[8, 4] = scatter_add(p, places, h) * scatter_add(q, places, tanh(h))
}

data given {
  source = arrays()
  fields { places = int, x = float[4] }
}

train sums for Sums {
  data = given
  loss = mean(y * y)
  optimizer = sgd(0.1)
  batch = 16
  steps = 3
}
"""
"""Two scatters with the same indices: what XLA's pass cannot do (openxla/xla#47367)."""

LINE = """
model Line {
  input x: float[batch]
  param slope: float[1] = ones()
  output z: float[batch] = x * slope
}

data points {
  source = csv("points.csv")
  fields { x = float, y = float }
}

train line for Line {
  data = points
  loss = mean((z - y) ^ 2)
  optimizer = sgd(0.1)
  batch = 4
  steps = 1
}
"""

TRAIN = """
import os, sys, numpy as np, trxc_runtime
draws = np.random.default_rng(0)
data = {"places": draws.integers(0, 8, 64).astype("int32"), "x": draws.normal(size=(64, 4)).astype("float32")}
trxc_runtime.train(sys.argv[1], sys.argv[2], data=data, force=True, xla_options=len(sys.argv) == 3)
print("flags:", os.environ.get("XLA_FLAGS", ""))
"""

KILLED = """
import os, signal
from contextlib import contextmanager
from trxc_runtime import loop
compiling = loop.compiling
@contextmanager
def stopped(artifact):
    with compiling(artifact):
        os.kill(os.getpid(), signal.SIGKILL)
        yield
loop.compiling = stopped
"""

COMMAND = """
import os, sys
from trxc.cli import main
from trxc.cli.shell.application import application
run = application.main if sys.argv.pop() == "called" else main
try:
    run()
finally:
    print("flags:", os.environ.get("XLA_FLAGS", ""))
"""

APART = """
import os
from trxc_runtime import xla_options
os.environ["XLA_FLAGS"] = xla_options.FLAG + xla_options.FUSION
import jax, jax.numpy as jnp
two = lambda a, b, at, x: (a.at[at].add(x), b.at[at].add(x))
given = jnp.zeros((8, 4)), jnp.ones((8, 4)), jnp.arange(6), jnp.ones((6, 4))
one, other = xla_options.without_fusion(two)(*given)
print(float(one.sum()), float(other.sum()))
"""


def process(
    tmp_path: Path, *arguments: str, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    whole = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), **environment}
    command = [sys.executable, "-c", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=whole, cwd=cwd, check=False, timeout=300)


def artifact(folder: Path) -> str:
    """The program above, which asks for fusion against what the compiler says of it."""
    program = trxc.compile(FAULT, filename="sums.trx")
    assert FUSION not in program.manifest["xla_options"]
    program.manifest["xla_options"] += [FUSION, "xla_dump_to=/"]
    return str(program.save(folder))


def marks(tmp_path: Path) -> int:
    return len(list((tmp_path / "cache" / "trxc" / "compiling").glob("*")))


def test_a_process_that_dies_of_it_says_so_and_the_next_does_without(tmp_path: Path) -> None:
    wrong = artifact(tmp_path / "artifact")
    first = process(tmp_path, TRAIN, wrong, str(tmp_path / "run"))
    if first.returncode == 0:
        pytest.skip("this XLA compiles it")
    assert "error: XLA ended the process while it compiled the training step" in first.stderr
    assert "= help: the same command again compiles without it" in first.stderr
    assert marks(tmp_path) == 1
    second = process(tmp_path, TRAIN, wrong, str(tmp_path / "run"))
    assert second.returncode == 0, second.stderr
    assert "steps are compiled without multi-output fusion" in second.stderr
    assert second.stdout == "flags: --xla_backend_extra_options=xla_cpu_disable_loop_unrolling\n"


def test_who_asks_for_it_himself_is_told_where(tmp_path: Path) -> None:
    flags = f"--xla_backend_extra_options={FUSION}"
    died = process(tmp_path, TRAIN, artifact(tmp_path / "artifact"), str(tmp_path / "run"), XLA_FLAGS=flags)
    if died.returncode == 0:
        pytest.skip("this XLA compiles it")
    assert "= help: it is in your `XLA_FLAGS`: leave it out there" in died.stderr


def test_a_process_that_is_stopped_leaves_no_mark(tmp_path: Path) -> None:
    good = trxc.compile(FAULT.replace("scatter_add(q, places, tanh(h))", "q"), filename="sums.trx")
    saved = str(good.save(tmp_path / "artifact"))
    killed = process(tmp_path, KILLED + TRAIN, saved, str(tmp_path / "run"))
    assert killed.returncode == -signal.SIGKILL
    assert marks(tmp_path) == 1
    assert "error" not in killed.stderr
    again = process(tmp_path, TRAIN, saved, str(tmp_path / "run"))
    assert again.stdout.endswith(f",{FUSION}\n"), again.stderr
    assert "without multi-output fusion" not in again.stderr
    assert marks(tmp_path) == 0


def test_it_is_used_where_it_suits(tmp_path: Path) -> None:
    program = trxc.compile(FAULT.replace("scatter_add(q, places, tanh(h))", "q"), filename="sums.trx")
    whole = process(tmp_path, TRAIN, str(program.save(tmp_path / "artifact")), str(tmp_path / "run"))
    assert whole.returncode == 0, whole.stderr
    assert whole.stdout.endswith(f"=xla_cpu_disable_loop_unrolling,{FUSION}\n")
    assert "error" not in whole.stderr
    assert marks(tmp_path) == 0


@pytest.mark.parametrize("flags", ["--xla_backend_extra_options=xla_cpu_fold_all_constants", ""])
def test_the_user_may_choose_otherwise(tmp_path: Path, flags: str) -> None:
    arguments = [artifact(tmp_path / "artifact"), str(tmp_path / "run"), *([] if flags else ["without"])]
    whole = process(tmp_path, TRAIN, *arguments, XLA_FLAGS=flags)
    assert whole.returncode == 0, whole.stderr
    assert whole.stdout == f"flags: {flags}\n"


@pytest.mark.parametrize("command", [["train", "--run", "run"], ["bench", "--seconds", "0"]])
def test_a_command_asks_for_them_where_the_process_is_its_own(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "line.trx").write_text(LINE)
    (tmp_path / "points.csv").write_text("x,y\n" + "1.5,3.0\n" * 8)
    given = [command[0], str(tmp_path / "line.trx"), *command[1:]]
    # A user's allocator is no reason to do without.
    whole = process(tmp_path, COMMAND, *given, "started", cwd=tmp_path, TRXC_ALLOCATOR="system")
    assert whole.stdout.splitlines()[-1].startswith("flags: --xla_backend_extra_options="), whole.stderr
    called = process(tmp_path, COMMAND, *given, "called", cwd=tmp_path)
    assert called.stdout.splitlines()[-1] == "flags: ", called.stderr


def test_everything_else_is_compiled_without(tmp_path: Path) -> None:
    whole = process(tmp_path, APART)
    assert whole.stdout == "24.0 56.0\n", whole.stderr
