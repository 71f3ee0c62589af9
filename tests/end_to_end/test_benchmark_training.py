"""`benchmarks/training.py`: workloads are compiled once, and raced where there is no compiler."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.trainers.compiled import CLASSES, SOURCES, Facts, compile_workload

ROOT = Path(__file__).parents[2]
WITHOUT_LARK = """\
import sys
sys.modules["lark"] = None
"""


def bench(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "benchmarks" / "training.py"), *map(str, arguments)]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)


def test_what_is_prepared_is_raced_without_the_compiler(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_LARK)
    path = {"PYTHONPATH": str(tmp_path)}
    given = ("--only", "w1_mlp", "--trainer", "jax_plain", "--rounds", "1", "--seconds", "0.05")
    assert "lark" in bench(*given, **path).stderr
    prepared = bench("--only", "w1_mlp", "--set", "bench.batch=16", "--prepare", tmp_path / "build")
    assert (prepared.stdout, prepared.returncode) == ("", 0), prepared.stderr
    raced = bench(*given, "--prepared", tmp_path / "build", "--allocator", "system", **path)
    ours, plain = map(json.loads, raced.stdout.splitlines())
    assert (ours["trainer"], plain["trainer"]) == ("trxc", "plain JAX")
    assert ours["settings"] == plain["settings"] == {"bench.batch": "16"}
    assert ours["loss"] == pytest.approx(plain["loss"], rel=1e-5)
    assert ours["items_per_second"] == pytest.approx(16 / ours["step_seconds"], rel=1e-3)
    flops = json.loads((tmp_path / "build" / "w1_mlp" / "facts.json").read_text())["flops"]
    assert ours["reached"] == pytest.approx(flops / ours["step_seconds"] / ours["ceiling"], rel=1e-2)


def test_a_gpu_that_is_not_there_is_said() -> None:
    small = ("--set", "GPT.layers=1", "--set", "GPT.embed=24", "--set", "GPT.vocab=64")
    done = bench("--device", "gpu", "--only", "g1_gpt2", *small, "--trainer", "jax_plain", CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "trxc cannot run g1_gpt2: jax finds no GPU here"
    assert "Traceback" not in done.stderr


def test_a_folder_for_another_device_is_refused(tmp_path: Path) -> None:
    assert bench("--only", "w1_mlp", "--prepare", tmp_path).returncode == 0
    done = bench("--device", "gpu", "--only", "w1_mlp", "--prepared", tmp_path)
    assert done.stderr.strip() == f"{tmp_path / 'w1_mlp'} was compiled with `--device cpu`"
    assert f"{tmp_path} has no w2_resnet" in bench("--only", "w2_resnet", "--prepared", tmp_path).stderr


def test_every_workload_has_classes() -> None:
    assert {path.stem for path in SOURCES.glob("*.trx")} - {"w9_llama"} == set(CLASSES)


@pytest.mark.parametrize(
    ("name", "settings", "items", "classes", "precision"),
    [
        ("w1_mlp", {}, (128, "examples"), 10, "f32"),
        ("w8_translator", {}, (1_024, "tokens"), 1_024, "f32"),
        ("g1_gpt2", {"GPT.layers": "2", "GPT.vocab": "512"}, (8_192, "tokens"), 512, "mixed_bf16"),
        ("g3_resnet50", {"bench.batch": "2"}, (2, "examples"), 1_000, "mixed_bf16"),
    ],
)
def test_facts_of_a_workload(
    name: str, settings: dict[str, str], items: tuple[int, str], classes: int, precision: str, tmp_path: Path
) -> None:
    facts = compile_workload(name, tmp_path, settings, "gpu")
    assert (facts.items, facts.classes, facts.precision) == (items, classes, precision)
    assert Facts(**json.loads((tmp_path / "facts.json").read_text())) == facts


def test_arithmetic_is_that_of_the_products(tmp_path: Path) -> None:
    """Nearly: the table of ops counts what is between them, too."""
    facts = compile_workload("w1_mlp", tmp_path, {}, "cpu")
    weights = 784 * 512 + 512 * 512 + 512 * 10
    assert facts.flops == pytest.approx(6 * 128 * weights, rel=0.02)
