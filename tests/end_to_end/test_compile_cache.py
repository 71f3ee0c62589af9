"""Compiled programs are kept for the next process, quick ones, too; in a folder that is the user's own."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ARTIFACT = Path(__file__).parent.parent / "fixtures" / "artifacts" / "classifier"

TRAIN = """
import sys, numpy as np, trxc_runtime
data = {"x": np.ones((30, 4), np.float32), "label": np.arange(30, dtype=np.int32) % 3}
trxc_runtime.train(sys.argv[1], sys.argv[2], data=data, steps=2, force=True, quiet=True)
"""


def train(tmp_path: Path, **environment: str) -> set[str]:
    """Trains two steps in a new process; the compiled programs that are kept afterwards."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    whole = {**inherited, "XDG_CACHE_HOME": str(tmp_path), **environment}
    command = [sys.executable, "-c", TRAIN, str(ARTIFACT), str(tmp_path / "run")]
    subprocess.run(command, env=whole, check=True, timeout=300)
    return {path.name for path in (tmp_path / "trxc" / "xla").glob("*-cache")}


def test_the_next_process_compiles_nothing(tmp_path: Path) -> None:
    first = train(tmp_path)
    assert any(name.startswith("jit_update-") for name in first)  # the training step of this artifact
    assert len(first) > 5
    assert train(tmp_path) == first
    assert stat.S_IMODE((tmp_path / "trxc" / "xla").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "environment",
    [{"JAX_COMPILATION_CACHE_DIR": "elsewhere"}, {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "1000"}],
)
def test_settings_of_the_user_are_left_alone(tmp_path: Path, environment: dict[str, str]) -> None:
    given = {name: str(tmp_path / value) if value == "elsewhere" else value for name, value in environment.items()}
    assert train(tmp_path, **given) == set()


def test_a_folder_that_is_a_link_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "trxc").mkdir()
    (tmp_path / "theirs").mkdir()
    (tmp_path / "trxc" / "xla").symlink_to(tmp_path / "theirs")
    assert train(tmp_path) == set()
