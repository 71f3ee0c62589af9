"""`benchmarks/decoding.py`: what is compiled once generates where there is no compiler, nor what reads data."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ALONE = """\
import sys
sys.modules |= {"lark": None, "grain": None, "tensorboardX": None}
"""


def bench(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "benchmarks" / "decoding.py"), *map(str, arguments)]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)


def test_what_is_prepared_is_raced_without_the_compiler(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(ALONE)
    small = ("--set", "GPT.layers=2", "--set", "GPT.embed=32", "--set", "GPT.vocab=64")
    prepared = bench("--only", "gpt-8", *small, "--prepare", tmp_path / "build")
    assert (prepared.stdout, prepared.returncode) == ("", 0), prepared.stderr
    given = ("--only", "gpt-8", "--peer", "jax_by_hand", "--limit", "4", "--rounds", "1")
    raced = bench(*given, "--prepared", tmp_path / "build", PYTHONPATH=str(tmp_path))
    assert raced.returncode == 0, raced.stderr
    ours, by_hand = map(json.loads, raced.stdout.splitlines())
    assert (ours["way"], by_hand["way"]) == ("trxc", "JAX by hand")
    assert ours["tokens"] == by_hand["tokens"] == 4
    done = bench("--only", "gpt-8", "--set", "GPT.layers=2", "--device", "gpu", "--prepare", tmp_path / "gpu")
    assert done.returncode == 0
    done = bench(*given, "--prepared", tmp_path / "gpu")
    assert done.stderr.strip() == f"{tmp_path / 'gpu' / 'gpt-8'} was compiled with `--device gpu`"
    assert f"{tmp_path} has no llama-1" in bench("--only", "llama-1", "--prepared", tmp_path).stderr


def test_a_gpu_that_is_not_there_is_said() -> None:
    done = bench("--device", "gpu", "--only", "gpt-1", CUDA_VISIBLE_DEVICES="")
    assert (done.stderr, done.returncode) == ("jax finds no GPU here\n", 1)
