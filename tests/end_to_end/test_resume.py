"""A compiled program with dropout, state and accumulation, trained from the shell: killed and resumed bit for bit."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import trxc_runtime
from trxc_runtime.checkpoint import Checkpoints
from trxc_runtime.metrics import read

pytestmark = pytest.mark.core

PROGRAM = """
model Net(vocab: int = 256, embed: int = 16) {
  input tokens: int[batch, seq]
  x = tokens |> Embedding(vocab, embed) |> BatchNorm |> residual(Dense(32) >> gelu >> Dropout(0.3) >> Dense(embed))
  output logits: float[batch, seq, vocab] = x |> Dropout(0.1) |> Dense(vocab)
}

data words {
  source = text("words.txt")
  tokens = bytes() >> window(16)
  split { train = 0.9, valid = 0.1 }
}

train small for Net {
  data = words
  loss = cross_entropy(logits, targets)
  optimizer = clip_by_global_norm(1.0) >> adamw(warmup_cosine(peak = 1e-2, warmup = 5), weight_decay = 0.1)
  batch = 8
  accumulate = 2
  steps = 60
  evaluate { every = 20, steps = 2, best = min(loss) }
  checkpoint { every = 7 }
  log { every = 1 }
}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    words = random.Random(0).choices(["the", "quick", "brown", "fox", "jumps", "over", "lazy", "dog"], k=4000)
    (folder / "words.txt").write_text(" ".join(words))
    (folder / "net.trx").write_text(PROGRAM)
    return folder


def train(project: Path, run: str) -> subprocess.Popen[bytes]:
    """`trxc train` in the project's folder."""
    command = [sys.executable, "-m", "trxc", "train", "net.trx", "--run", run]
    return subprocess.Popen(command, cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(child: subprocess.Popen[bytes]) -> None:
    """Waits for a run that must succeed."""
    _, errors = child.communicate(timeout=300)
    assert child.returncode == 0, errors.decode()


def state_of(run: Path) -> Any:
    """Everything that the newest checkpoint holds."""
    program = trxc_runtime.load_artifact(run).program
    params = program.init(jax.random.key(0))
    like = {"params": params, "state": program.init_state(), "opt_state": program.optimizer().init(params)}
    checkpoints = Checkpoints(run / "checkpoints")
    return checkpoints.restore(checkpoints.steps()[-1], like).tree


def kill_at(run: Path, step: int, child: subprocess.Popen[bytes]) -> None:
    """kill -9 once a step has been logged."""
    metrics = run / "metrics.jsonl"
    for _ in range(3000):
        if child.poll() is not None:
            pytest.fail(f"it ended by itself: {child.stderr.read().decode() if child.stderr else ''}")
        if metrics.exists() and sum(1 for _ in metrics.open()) >= step:
            break
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()


def test_killed_twice_at_random_steps_and_resumed(project: Path) -> None:
    finish(train(project, "whole"))
    steps = sorted(random.Random(time.time_ns()).sample(range(2, 50), 2))
    for step in steps:
        kill_at(project / "broken", step, train_once := train(project, "broken"))
        assert train_once.returncode == -signal.SIGKILL
    finish(train(project, "broken"))
    whole, broken = state_of(project / "whole"), state_of(project / "broken")
    jax.tree.map(np.testing.assert_array_equal, whole, broken)
    assert read(project / "whole" / "metrics.jsonl") == read(project / "broken" / "metrics.jsonl"), steps
    assert np.any(np.asarray(whole["state"]["batch_norm"]["running_mean"]))
