"""A check answers at once: it waits for no package that it does not need."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart.trx"
HEAVY = {"jax", "jaxlib", "optax", "numpy", "lark", "rich", "trxc_runtime"}


def imported(argv: list[str], cache: Path, status: int = 0) -> set[str]:
    """The packages that `trxc` imports on its way to this status with these arguments."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "trxc", *argv],
        capture_output=True, text=True, timeout=120, env={**os.environ, "XDG_CACHE_HOME": str(cache)},
    )  # fmt: skip
    assert done.returncode == status, done.stderr[-2000:]
    timed = [line.rsplit("|", 1)[1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {name.split(".")[0] for name in timed}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's cache folder after the first check, which had the parser's tables made."""
    folder = tmp_path_factory.mktemp("cache")
    assert "lark" in imported(["check", str(QUICKSTART)], folder)
    return folder


def test_a_check_imports_nothing_heavy(cache: Path):
    packages = imported(["check", str(QUICKSTART)], cache)
    assert {"trxc", "click"} <= packages
    assert not packages & HEAVY


def test_a_check_that_finds_an_error_imports_nothing_heavy_either(cache: Path, tmp_path: Path):
    wrong = tmp_path / "model.trx"
    wrong.write_text("model M {\n  input x: float[batch, 4]\n  output nowhere\n}\n")
    assert not imported(["check", str(wrong)], cache, status=1) & HEAVY


@pytest.mark.parametrize("argv", [["--version"], ["explain", "TRX0212"]])
def test_what_is_only_told_imports_nothing_heavy(argv: list[str], cache: Path):
    assert not imported(argv, cache) & HEAVY
