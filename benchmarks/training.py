"""How fast models train: the programs that trxc writes, beside plain JAX and those of other tools.

    python benchmarks/training.py                                         all workloads and trainers
    python benchmarks/training.py --only w4_gpt --trainer torch_eager --rounds 9
    python benchmarks/training.py --only w5_deep --set GPT.layers=12
    python benchmarks/training.py --first-steps                           from the start of a process to its first step
    python benchmarks/training.py --table results.jsonl --plot results.svg     lines of runs as a table and a chart

Float32 on CPUs. trxc compiles `benchmarks/workloads/NAME.trx` and draws the weights; each trainer has a process of its
own with these weights and one batch, and nothing is timed before all of them agree on the initial loss to 1e-5, and to
1e-3 after three steps (the ResNet, whose steps amplify rounding, to 0.03 after two). Then they work by turns of about
`--seconds`, one at a time, in an order that moves on by one each round. Prints a JSON line for each workload and
trainer: the median step time; the ratio of trxc's to it (below 1 trxc is faster), round by round, as median and spread;
the seconds from the start of its process to the end of its first step, compilation of the `.trx` file included; what
XLA takes for temporaries; the most memory that the process had.

The process of trxc has the allocator and the options of XLA's that `trxc train` arranges, unless `--allocator system`;
those of others have the environment as it is, with empty caches. For machines that have other work, `--cpu-time`
counts the processor's time, and `--one-core` keeps everything on one core: threads of PyTorch that wait for each other
count as if they worked. `--first-steps` measures only the first step, in new processes without the loss: cold, and
again with the caches that the first run left. Where memory is short, `--pairs` races trxc with one other at a time.

A trainer whose packages are missing is left out with a line that names them. All of them (of `torch`, the build for
CPUs is smaller and as good), and apart from them Trax, which brings TensorFlow:

    python -m venv peers && peers/bin/pip install -e . flax equinox keras torch matplotlib
    peers/bin/python benchmarks/training.py | tee results.jsonl
    python -m venv trax && trax/bin/pip install -e . trax
    trax/bin/python benchmarks/training.py --trainer trax_layers --trainer jax_plain | tee trax.jsonl
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainers import OTHERS
from trainers.process import LeftOutError, WorkerProcess
from trainers.tables import plot, read, table

FOLDER = Path(__file__).parent / "workloads"
OURS = "trxc_program"

WORKLOADS = {
    "w1_mlp": 10,
    "w2_resnet": 10,
    "w3_lstm": 256,
    "w4_gpt": 256,
    "w5_deep": 256,
    "w6_head": 50_257,
    "w8_translator": 1_024,
}
"""How many ids or classes there are."""

INITIAL, LATER = 1e-5, (3, 1e-3)
"""How far losses may be apart, relatively: at the start, and after so many steps."""
CHAOTIC = {"w2_resnet": (2, 0.03)}
"""Where training amplifies rounding: weights changed by 1e-7 move the loss after two steps by 1 %, after three by 7."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], choices=WORKLOADS, help="these workloads")
    parser.add_argument("--trainer", action="append", default=[], choices=OTHERS, help="beside trxc")
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0, help="about how long a turn is (default: 2)")
    parser.add_argument("--allocator", choices=("arranged", "system"), default="arranged", help="of trxc's process")
    parser.add_argument("--cpu-time", action="store_true", help="count the processor's time, not the clock's")
    parser.add_argument("--one-core", action="store_true", help="stay on one core")
    parser.add_argument("--pairs", action="store_true", help="race trxc with one other at a time")
    parser.add_argument("--first-steps", action="store_true", help="measure the first steps of new processes")
    parser.add_argument("--table", type=Path, nargs="+", metavar="FILE", help="print the table of recorded lines")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the chart of the lines that --table names")
    options = parser.parse_args()
    if options.plot and not options.table:
        parser.error("--plot draws recorded lines: name their files with --table")
    if options.rounds < 1:
        parser.error("--rounds must be 1 or more")
    for file in options.table or []:
        if not file.is_file():
            parser.error(f"there is no file {file}")
    return options


@dataclass
class Runner:
    """A trainer in a race: its process, what starting it took, and what each round took."""

    worker: WorkerProcess
    clock: str
    started: dict[str, Any] = field(default_factory=dict[str, Any])
    seconds: list[float] = field(default_factory=list[float])
    count: int = 1

    def start(self, steps: int) -> None:
        """Takes so many steps, the first of which is measured; notes the losses before and after."""
        self.started = self.worker.start()
        self.worker.ask("steps", steps - 1)
        self.started["later_loss"] = self.worker.ask("loss")["loss"]

    def warm_up(self, seconds: float) -> None:
        """Finds how many steps fill a turn."""
        while (took := self.worker.ask("steps", self.count)[self.clock]) < seconds / 4:
            self.count *= 2
        self.count = max(1, round(self.count * seconds / took))

    def turn(self) -> None:
        """Works once, and notes the seconds a step."""
        answer = self.worker.ask("steps", self.count)
        self.seconds.append(answer[self.clock] / self.count)
        self.started["peak"] = answer["peak"]


class Workload:
    """A workload that trxc has compiled, with the files that workers need, in a folder."""

    def __init__(self, name: str, folder: Path, options: argparse.Namespace) -> None:
        import trxc

        self.name, self.folder, self.options = name, folder, options
        self.settings = dict(part.split("=", 1) for part in options.set)
        began = time.perf_counter(), time.process_time()
        program = trxc.compile(FOLDER / f"{name}.trx", set=self.settings, target="cpu")
        self.compiled = {"clock": time.perf_counter() - began[0], "cpu": time.process_time() - began[1]}
        self.program, self.arrays = folder / "program.py", folder / "arrays.npz"
        self.program.write_text(program.source)
        self.xla_options = program.manifest["xla_options"]
        write_arrays(program, WORKLOADS[name], self.arrays)

    def worker(self, module: str, caches: Path) -> WorkerProcess:
        """A new process; it keeps what it compiles in the folder `caches`."""
        from trxc.cli.shell.allocator import arranged_environment
        from trxc.plan.xla_options import xla_flags

        environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
        environment |= {"XDG_CACHE_HOME": str(caches), "TORCHINDUCTOR_CACHE_DIR": str(caches / "inductor")}
        if module == OURS:
            environment["TRXC_BENCHMARK_PROGRAM"] = str(self.program)
            if self.options.allocator == "arranged":
                environment = arranged_environment(environment) or environment
                environment |= xla_flags(self.xla_options)
        return WorkerProcess(module, self.name, self.arrays, environment)


def write_arrays(program: Any, classes: int, path: Path) -> None:
    """Initial weights and a batch; the ends of every other `source` are padding."""
    import jax
    import numpy as np

    namespace: dict[str, Any] = {"__name__": "program"}
    exec(compile(program.source, "program.py", "exec"), namespace)
    params = jax.tree_util.tree_flatten_with_path(jax.jit(namespace["init"])(jax.random.key(0)))[0]
    arrays = {f"weights/{'.'.join(part.key for part in at)}": np.asarray(weight) for at, weight in params}
    recipe, rng = program.manifest["recipe"], np.random.default_rng(0)
    for given in recipe["data"]["fields"]:
        shape = (recipe["train"]["batch"], *given["shape"])
        ids = given["dtype"] in ("int", "i32")
        array = rng.integers(0, classes, shape, np.int32) if ids else rng.normal(size=shape).astype(np.float32)
        arrays[f"batch/{given['name']}"] = array
    if "batch/source" in arrays:
        arrays["batch/source"][::2, -8:] = 0
    np.savez(path, **arrays)


def race(workload: Workload, others: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A row for trxc and each of the others that can take part."""
    options, (steps, slack) = workload.options, CHAOTIC.get(workload.name, LATER)
    with ExitStack() as stack:
        runners: dict[str, Runner] = {}

        def each(modules: Sequence[str], act: Callable[[Runner], None]) -> None:
            for module in modules:
                try:
                    act(runners[module])
                except LeftOutError as reason:
                    leave_out(workload, module, reason)
                    runners.pop(module).worker.kill()

        for module in (OURS, *others):
            worker = stack.enter_context(workload.worker(module, workload.folder / f"caches-{module}"))
            runners[module] = Runner(worker, "cpu" if options.cpu_time else "clock")
            each([module], lambda runner: runner.start(steps))
        compare(runners, slack)
        each(list(runners), lambda runner: runner.warm_up(options.seconds))
        for number in range(options.rounds):
            order, first = list(runners), number % len(runners)
            each(order[first:] + order[:first], Runner.turn)
        yield from (race_row(workload, runner, runners[OURS]) for runner in runners.values())


def leave_out(workload: Workload, module: str, reason: LeftOutError) -> None:
    """Says so; without trxc itself there is nothing to compare."""
    if module == OURS:
        raise SystemExit(f"trxc cannot run {workload.name}: {reason}")
    print(f"{workload.name}: {module} is left out: {reason}", file=sys.stderr)


def compare(runners: Mapping[str, Runner], later: float) -> None:
    """Fails where the losses of one are not trxc's, at the start or after the first steps."""
    ours = runners[OURS].started
    for module, runner in runners.items():
        for name, slack in (("loss", INITIAL), ("later_loss", later)):
            mine, its = ours[name], runner.started[name]
            if not abs(mine - its) <= slack * abs(mine):
                wrong = f"its {name} is {its:.7g}, that of trxc {mine:.7g}"
                raise SystemExit(f"{module} does not train the same model: {wrong}")


def race_row(workload: Workload, runner: Runner, ours: Runner) -> dict[str, Any]:
    """What was measured of one trainer."""
    started, temporaries = runner.started, runner.started["temporaries"]
    compiled = workload.compiled[runner.clock] if runner is ours else 0.0
    return {
        **said(workload, "steps", started, runner is ours), "rounds": len(runner.seconds), "steps": runner.count,
        "loss": round(started["loss"], 6), "later_loss": round(started["later_loss"], 6),
        "step_seconds": digits(statistics.median(runner.seconds)), "step_spread": spread(runner.seconds),
        **ratios("ratio", "spread", ours.seconds, runner.seconds),
        "first_seconds": round(started[runner.clock] + compiled, 2),
        "temporaries_mb": None if temporaries is None else round(temporaries / 1e6, 1),
        "peak_mb": round(started["peak"] / 1e6),
    }  # fmt: skip


def first_steps(workload: Workload, others: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A row for each trainer: new processes by turns, twice with the same caches, which were empty before."""
    clock, found = "cpu" if workload.options.cpu_time else "clock", dict[str, list[tuple[float, float]]]()
    labels, modules = dict[str, Mapping[str, Any]](), [OURS, *others]
    for number in range(workload.options.rounds):
        for module in list(modules):
            caches = workload.folder / f"caches-{module}-{number}"
            try:
                runs = [first_step(workload, module, caches) for _ in range(2)]
            except LeftOutError as reason:
                leave_out(workload, module, reason)
                modules.remove(module)
                continue
            compiled = workload.compiled[clock] if module == OURS else 0.0
            labels[module] = runs[0]
            found.setdefault(module, []).append((runs[0][clock] + compiled, runs[1][clock] + compiled))
    ours = list(zip(*found[OURS], strict=True))
    for module in modules:
        cold, again = zip(*found[module], strict=True)
        yield {
            **said(workload, "first", labels[module], module == OURS), "rounds": len(cold),
            "first_seconds": round(statistics.median(cold), 2), "second_seconds": round(statistics.median(again), 2),
            **ratios("ratio", "spread", ours[0], cold), **ratios("second_ratio", "second_spread", ours[1], again),
        }  # fmt: skip


def first_step(workload: Workload, module: str, caches: Path) -> dict[str, Any]:
    """One process, from its start to its end after one step."""
    with workload.worker(module, caches) as worker:
        return worker.start(with_loss=False)


def said(workload: Workload, measured: str, started: Mapping[str, Any], ours: bool) -> dict[str, Any]:
    """What a row begins with."""
    options = workload.options
    return {
        "workload": workload.name, "settings": workload.settings, "trainer": started["label"], "measured": measured,
        "clock": "cpu" if options.cpu_time else "wall", "allocator": options.allocator if ours else "system",
        "versions": started["versions"], **machine(),
    }  # fmt: skip


def ratios(ratio: str, range_name: str, ours: Sequence[float], its: Sequence[float]) -> dict[str, Any]:
    """trxc ÷ it, round by round: median and spread."""
    found = [mine / other for mine, other in zip(ours, its, strict=True)]
    return {ratio: digits(statistics.median(found)), range_name: spread(found)}


def spread(values: Sequence[float]) -> list[float]:
    return [digits(min(values)), digits(max(values))]


def digits(value: float) -> float:
    """Four that count."""
    return float(f"{value:.4g}")


def machine() -> dict[str, Any]:
    """Its processor, and Python."""
    info = Path("/proc/cpuinfo")
    model = re.search(r"^model name\s*:\s*(.*)$", info.read_text(), re.MULTILINE) if info.exists() else None
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    name = f"{model[1]}, {platform.machine()}" if model else platform.machine()
    return {"device": name, "cores": cores, "python": platform.python_version()}


def run(options: argparse.Namespace) -> None:
    """Prints the rows of all workloads that were asked for."""
    import trxc

    others, measure = options.trainer or OTHERS, first_steps if options.first_steps else race
    groups = [[other] for other in others] if options.pairs else [list(others)]
    for name in options.only or WORKLOADS:
        for group in groups:
            with tempfile.TemporaryDirectory(prefix="trxc-training-") as folder:
                try:
                    workload = Workload(name, Path(folder), options)
                except (trxc.CompileError, trxc.UsageError) as fault:
                    sys.exit(str(fault))
                for row in measure(workload, group):
                    print(json.dumps(row), flush=True)


def main() -> None:
    options = arguments()
    if not options.table:
        os.environ["JAX_PLATFORMS"] = "cpu"
        if options.one_core:
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        run(options)
        return
    rows = read(options.table)
    print(table(rows))
    if options.plot:
        try:
            plot(rows, options.plot)
        except ModuleNotFoundError as fault:
            sys.exit(f"no chart: {fault.name} cannot be imported")
        except ValueError as fault:
            sys.exit(f"no chart: {fault}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
