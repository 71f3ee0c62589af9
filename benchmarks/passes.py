"""What passes are worth: training steps of a workload with and without them, by turns in one process.

    python benchmarks/passes.py w4_gpt --without fuse-attention [--without …] [--rounds 7] [--steps 3]
    python benchmarks/passes.py w5_deep --set GPT.layers=12 --without roll-layers
    python benchmarks/passes.py w4_gpt --each            one row for every pass that changes the program
    python benchmarks/passes.py w4_gpt --set bench.remat=full --against bench.remat=none

Compiles `benchmarks/workloads/NAME.trx` (or a file) twice, checks that both give the same first loss and gradient norm,
and prints one JSON line: medians of the step time in seconds, the ratio with ÷ without (below 1 the pass pays) round by
round with its spread, XLA's compile time, its temporaries in MB, and the lines of the program. The process has the
options of XLA's that `trxc train` sets, and the allocator that it arranges, unless `--allocator` says another.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from trainers.compiled import ALLOCATORS, arranged_allocator, with_allocator

from trxc.plan.xla_options import xla_flags

WORKLOADS = Path(__file__).parent / "workloads"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workload")
    parser.add_argument("--without", action="append", default=[], metavar="PASS")
    parser.add_argument("--each", action="store_true")
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE")
    parser.add_argument("--against", action="append", default=[], metavar="PATH=VALUE", help="settings of the other")
    parser.add_argument("--target", default="cpu")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=3, help="steps a round of each")
    parser.add_argument("--allocator", choices=ALLOCATORS, default=arranged_allocator())
    return parser.parse_args()


def arrange(allocator: str) -> None:
    """Starts the process anew, once, with an allocator."""
    environment = with_allocator(os.environ, allocator)
    if environment != os.environ:
        os.execve(sys.executable, [sys.executable, *sys.argv], environment)


class Variant:
    """A compiled program at work: its own weights, and one batch that both variants share."""

    def __init__(self, program: Any, batch: Any) -> None:
        import jax

        self.source = program.source
        self.namespace: dict[str, Any] = {"__name__": "program"}
        exec(compile(program.source, "program.py", "exec"), self.namespace)
        key = jax.random.key(0)
        params, state = jax.jit(self.namespace["init"])(key), self.namespace["init_state"]()
        opt_state = self.namespace["optimizer"]().init(params)
        self.held, self.batch, self.key = (params, state, opt_state), batch, key
        began = time.perf_counter()
        lowered = self.namespace["train_step"].lower(*self.held, batch, key)
        self.step = lowered.compile()
        self.compile_seconds = time.perf_counter() - began
        self.megabytes = self.step.memory_analysis().temp_size_in_bytes / 1e6
        self.first = {name: float(value) for name, value in self.run(1)[1].items()}

    def run(self, steps: int) -> tuple[float, dict[str, Any]]:
        """Seconds a step, and the metrics of the last."""
        import jax

        metrics: dict[str, Any] = {}
        began = time.perf_counter()
        for _ in range(steps):
            *held, metrics = self.step(*self.held, self.batch, self.key)
            self.held = tuple(held)
        jax.block_until_ready((self.held, metrics))
        return (time.perf_counter() - began) / steps, metrics


def random_batch(program: Any, size: int) -> Any:
    """A batch of the declared shapes; ids below 10, or below the number of classes that a `vocab` says."""
    import jax.numpy as jnp
    import numpy as np

    rng, batch = np.random.default_rng(0), {}
    for field in program.manifest["recipe"]["data"]["fields"]:
        shape = (size, *field["shape"])
        whole = field["dtype"] in ("int", "i32")
        batch[field["name"]] = jnp.array(
            rng.integers(0, 10, shape, np.int32) if whole else rng.normal(size=shape), "int32" if whole else "float32"
        )
    return batch


def compare(path: Path, without: tuple[str, ...], options: argparse.Namespace) -> dict[str, Any]:
    """One row: everything on against some passes off."""
    import trxc

    settings, others = (dict(part.split("=", 1) for part in parts) for parts in (options.set, options.against))
    programs = [
        trxc.compile(path, set=chosen, target=options.target, disable=off)
        for chosen, off in ((settings, ()), (settings | others, without))
    ]
    if programs[0].source == programs[1].source:
        return {"workload": path.stem, "without": without, "same_program": True}
    os.environ |= xla_flags(programs[0].manifest["xla_options"])  # read when jax first compiles
    batch = random_batch(programs[0], programs[0].manifest["recipe"]["train"]["batch"])
    on, off = (Variant(program, batch) for program in programs)
    for name, value in on.first.items():
        assert abs(value - off.first[name]) <= 1e-4 * max(1, abs(value)), (name, value, off.first[name])
    rounds = [(on.run(options.steps)[0], off.run(options.steps)[0]) for _ in range(options.rounds)]
    ratios = [one / other for one, other in rounds]
    return {
        "workload": path.stem, "settings": settings, "against": others, "without": without, "target": options.target,
        "allocator": options.allocator, "step_seconds": round(statistics.median(r[0] for r in rounds), 5),
        "step_seconds_without": round(statistics.median(r[1] for r in rounds), 5),
        "ratio": round(statistics.median(ratios), 3), "spread": [round(min(ratios), 3), round(max(ratios), 3)],
        "compile_seconds": [round(on.compile_seconds, 2), round(off.compile_seconds, 2)],
        "temporaries_mb": [round(on.megabytes, 1), round(off.megabytes, 1)],
        "lines": [on.source.count("\n"), off.source.count("\n")],
    }  # fmt: skip


def machine() -> dict[str, Any]:
    import jax

    device = jax.devices()[0]
    kind = device.device_kind if device.platform != "cpu" else platform.machine()
    return {"device": kind, "cores": os.cpu_count(), "python": platform.python_version(), "jax": jax.__version__}


def main() -> None:
    options = arguments()
    arrange(options.allocator)
    from trxc.passes import PASS_NAMES, REQUIRED

    path = Path(options.workload)
    path = path if path.suffix else WORKLOADS / f"{options.workload}.trx"
    rows = [(name,) for name in PASS_NAMES if name not in REQUIRED] if options.each else [tuple(options.without)]
    for without in rows:
        print(json.dumps({**compare(path, without, options), **machine()}), flush=True)


if __name__ == "__main__":
    main()
