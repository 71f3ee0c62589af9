"""Workloads as trxc compiled them, with what a race needs to know: they can be taken to a machine without the compiler.

`benchmarks/workloads/NAME.trx` becomes `FOLDER/NAME/program.py` and `facts.json`; weights and a batch are drawn where
the race is.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any

from .base import PROGRAM
from .process import WorkerProcess

SOURCES = Path(__file__).parents[1] / "workloads"
OURS = "trxc_program"

CLASSES = {
    "w1_mlp": 10,
    "w2_resnet": 10,
    "w3_lstm": 256,
    "w4_gpt": 256,
    "w5_deep": 256,
    "w6_head": 50_257,
    "w8_translator": 1_024,
    "g1_gpt2": 50_257,
    "g2_llama": 32_000,
    "g3_resnet50": 1_000,
}
"""How many ids or classes there are, by workload; those of a GPU are named with a g."""

ALLOCATORS = ("tcmalloc", "glibc", "system")
"""Those of a process that trains: tcmalloc where the system has it, glibc's with settings, and glibc's as it is."""

FORWARD_PASSES = 3
"""What a step's arithmetic is counted as: backward has two products for each of forward's."""


@dataclass(frozen=True)
class Facts:
    """What is known of a compiled workload.

    ``flops`` is the arithmetic of a step, ``clock`` and ``cpu`` the seconds that compiling the `.trx` file took.
    """

    name: str
    settings: dict[str, str]
    device: str
    recipe: dict[str, Any]
    xla_options: list[str]
    flops: int
    clock: float
    cpu: float

    @property
    def fields(self) -> list[dict[str, Any]]:
        """Those of a batch, without its first dim."""
        return self.recipe["data"]["fields"]

    @property
    def precision(self) -> str:
        """`f32` or `mixed_bf16`."""
        return self.recipe["train"].get("precision") or "f32"

    @property
    def items(self) -> tuple[int, str]:
        """How many tokens a batch has, or examples where it has none."""
        batch = self.recipe["train"]["batch"]
        tokens = [prod(field["shape"]) for field in self.fields if is_ids(field) and field["shape"]]
        return (batch * max(tokens), "tokens") if tokens else (batch, "examples")

    @property
    def classes(self) -> int:
        """How many ids or classes there are."""
        given = [int(value) for path, value in self.settings.items() if path.endswith((".vocab", ".classes"))]
        return given[0] if given else CLASSES[self.name]


def is_ids(field: Mapping[str, Any]) -> bool:
    """Whether a field has whole numbers."""
    return field["dtype"] in ("int", "i32")


def compile_workload(name: str, folder: Path, settings: Mapping[str, str], device: str) -> Facts:
    """Writes a workload's program and facts into `folder`.

    Raises what `trxc.compile` raises, and ``ValueError`` for a setting of which the arithmetic cannot be told.
    """
    import trxc
    from trxc.plan.flops import flops

    began = time.perf_counter(), time.process_time()
    program = trxc.compile(SOURCES / f"{name}.trx", set=dict(settings), target=device)
    clock, cpu = time.perf_counter() - began[0], time.process_time() - began[1]
    module = program.unoptimised
    arithmetic = FORWARD_PASSES * flops(module, module.roles["loss"]).evaluate(program.sizes)
    manifest = program.manifest
    facts = Facts(
        name, dict(settings), device, manifest["recipe"], manifest["xla_options"], int(arithmetic), clock, cpu
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "program.py").write_text(program.source)
    (folder / "facts.json").write_text(json.dumps(asdict(facts)))
    return facts


class Workload:
    """A compiled workload: its facts, and the files that workers need, in a folder."""

    def __init__(self, compiled: Path, folder: Path) -> None:
        self.facts = Facts(**json.loads((compiled / "facts.json").read_text()))
        self.folder, self.program, self.arrays = folder, compiled / "program.py", folder / "arrays.npz"
        write_arrays(self.program, self.facts, self.arrays)

    def worker(self, module: str, caches: Path, allocator: str) -> WorkerProcess:
        """A new process; it keeps what it compiles in the folder `caches`, and leaves GPU memory to the others."""
        facts = self.facts
        environment = {**os.environ, "JAX_PLATFORMS": "cuda" if facts.device == "gpu" else "cpu"}
        environment |= {"XDG_CACHE_HOME": str(caches), "TORCHINDUCTOR_CACHE_DIR": str(caches / "inductor")}
        environment |= {"TRXC_BENCHMARK_DEVICE": facts.device, "TRXC_BENCHMARK_PRECISION": facts.precision}
        environment["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
        if module == OURS:
            environment[PROGRAM] = str(self.program.resolve())
            if facts.device == "cpu":
                from trxc.plan.xla_options import xla_flags

                environment = {**with_allocator(environment, allocator), **xla_flags(facts.xla_options)}
        return WorkerProcess(module, facts.name, self.arrays, environment)


def with_allocator(environment: Mapping[str, str], allocator: str) -> dict[str, str]:
    """The environment of a process with one of `ALLOCATORS`, as `trxc train` arranges it."""
    from trxc.cli.shell.allocator import arranged_environment, tcmalloc

    if allocator == "system":
        return dict(environment)
    library = tcmalloc() if allocator == "tcmalloc" else None
    return arranged_environment(environment, library) or dict(environment)


def arranged_allocator() -> str:
    """Which one `trxc train` takes here."""
    from trxc.cli.shell.allocator import tcmalloc

    return "tcmalloc" if tcmalloc() else "glibc"


def write_arrays(program: Path, facts: Facts, path: Path) -> None:
    """Initial weights and a batch; the ends of every other `source` are padding."""
    import jax
    import numpy as np

    namespace: dict[str, Any] = {"__name__": "program"}
    exec(compile(program.read_text(), program, "exec"), namespace)
    params = jax.tree_util.tree_flatten_with_path(jax.jit(namespace["init"])(jax.random.key(0)))[0]
    arrays = {f"weights/{'.'.join(part.key for part in at)}": np.asarray(weight) for at, weight in params}
    rng = np.random.default_rng(0)
    for field in facts.fields:
        shape = (facts.recipe["train"]["batch"], *field["shape"])
        integers = rng.integers(0, facts.classes, shape, np.int32) if is_ids(field) else None
        arrays[f"batch/{field['name']}"] = rng.normal(size=shape).astype(np.float32) if integers is None else integers
    if "batch/source" in arrays:
        arrays["batch/source"][::2, -8:] = 0
    np.savez(path, **arrays)
