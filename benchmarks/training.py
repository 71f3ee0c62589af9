"""How fast models train: the programs that trxc writes, beside plain JAX and those of other tools.

    python benchmarks/training.py                                         all workloads and trainers
    python benchmarks/training.py --only w4_gpt --trainer torch_eager --rounds 9
    python benchmarks/training.py --only w5_deep --set GPT.layers=12
    python benchmarks/training.py --first-steps                           from the start of a process to its first step
    python benchmarks/training.py --device gpu                            the larger workloads, in 16 bits, on a GPU
    python benchmarks/training.py --table results.jsonl --plot results.svg     lines of runs as a table and a chart

trxc compiles `benchmarks/workloads/NAME.trx` and draws the weights; each trainer has a process of its own with these
weights and one batch, and nothing is timed before all of them agree on the initial loss to 1e-5, and to 1e-3 after
three steps (ResNets, whose steps amplify rounding, to 0.03 after two; in 16 bits, see `SLACK`). Then they work by
turns of about `--seconds`, one at a time, in an order that moves on by one each round. Prints a JSON line for each
workload and trainer: the median step time; the ratio of trxc's to it (below 1 trxc is faster), round by round, as
median and spread; tokens or examples a second; the share of what a product of matrices reaches here; the seconds from
the start of its process to the end of its first step, compilation of the `.trx` file included; what XLA takes for
temporaries; the most memory that the process had, on a GPU of the GPU's.

On CPUs all is float32. The process of trxc has the options of XLA's that `trxc train` sets, and the allocator that it
arranges, unless `--allocator` says another; those of others have the environment as it is, with empty caches. For
machines that have other work, `--cpu-time` counts the processor's time, and `--one-core` keeps everything on one core:
threads of PyTorch that wait for each other count as if they worked. `--first-steps` measures only the first step, in
new processes without the loss: cold, and again with the caches that the first run left. Where memory is short,
`--pairs` races trxc with one other at a time.

A trainer whose packages are missing is left out with a line that names them. All of them (of `torch`, the build for
CPUs is smaller and as good there), and apart from them Trax, which brings TensorFlow:

    python -m venv peers && peers/bin/pip install -e . flax equinox keras torch matplotlib
    peers/bin/python benchmarks/training.py | tee results.jsonl
    python -m venv trax && trax/bin/pip install -e . trax
    trax/bin/python benchmarks/training.py --trainer trax_layers --trainer jax_plain | tee trax.jsonl

A machine with a GPU needs no more than jax, optax and torch, and nothing from the network: workloads that were compiled
elsewhere are taken from a folder.

    python benchmarks/training.py --device gpu --prepare build/gpu
    python benchmarks/training.py --device gpu --prepared build/gpu       there, in a copy of this repository
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainers import OTHERS
from trainers.compiled import ALLOCATORS, CLASSES, OURS, Workload, arranged_allocator, compile_workload
from trainers.process import LeftOutError, WorkerProcess
from trainers.tables import plot, read, table

SLACK = {"f32": (1e-5, 3, 1e-3), "mixed_bf16": (2e-3, 3, 0.02)}
"""How far losses may be apart, relatively, by precision: at the start, and after so many steps."""
CHAOTIC = {"f32": (1e-5, 2, 0.03), "mixed_bf16": (0.02, 2, 0.1)}
"""The same of ResNets, which amplify rounding: weights of W2 that are changed by 1e-7 move its loss after two steps by
1 %, after three by 7."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], choices=CLASSES, help="these workloads")
    parser.add_argument("--trainer", action="append", default=[], choices=OTHERS["cpu"], help="beside trxc")
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--prepare", type=Path, metavar="FOLDER", help="compile into a folder, and race nothing")
    parser.add_argument("--prepared", type=Path, metavar="FOLDER", help="take what was compiled from a folder")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0, help="about how long a turn is (default: 2)")
    parser.add_argument("--allocator", choices=ALLOCATORS, default=arranged_allocator(), help="of trxc's process")
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
    options.only = options.only or [name for name in CLASSES if name.startswith("g") == (options.device == "gpu")]
    if options.prepared and (options.set or options.prepare):
        parser.error("--prepared takes workloads as they were compiled: --set belongs to --prepare")
    if options.prepared and (missing := [name for name in options.only if not (options.prepared / name).is_dir()]):
        parser.error(f"{options.prepared} has no {missing[0]}")
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


def race(workload: Workload, others: Sequence[str], options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row for trxc and each of the others that can take part."""
    facts = workload.facts
    initial, steps, later = (CHAOTIC if "resnet" in facts.name else SLACK)[facts.precision]
    with ExitStack() as stack:
        runners: dict[str, Runner] = {}

        def each(modules: Sequence[str], act: Callable[[Runner], None]) -> None:
            for module in modules:
                try:
                    act(runners[module])
                except LeftOutError as reason:
                    leave_out(workload.facts.name, module, reason)
                    runners.pop(module).worker.kill()

        for module in (OURS, *others):
            caches = workload.folder / f"caches-{module}"
            worker = stack.enter_context(workload.worker(module, caches, options.allocator))
            runners[module] = Runner(worker, "cpu" if options.cpu_time else "clock")
            each([module], lambda runner: runner.start(steps))
        compare(runners, initial, later)
        each(list(runners), lambda runner: runner.warm_up(options.seconds))
        ceilings = [ceiling(workload, options)]
        for number in range(options.rounds):
            order, first = list(runners), number % len(runners)
            each(order[first:] + order[:first], Runner.turn)
        ceilings.append(ceiling(workload, options))
        best = max(ceilings, key=lambda found: found["products"])
        yield from (race_row(workload, runner, runners[OURS], best, options) for runner in runners.values())


def ceiling(workload: Workload, options: argparse.Namespace) -> dict[str, Any]:
    """How fast matrices are multiplied, in a process of its own: it takes memory."""
    with workload.worker(OURS, workload.folder / "caches-ceiling", options.allocator) as worker:
        return worker.ask("ceiling")


def leave_out(workload: str, module: str, reason: LeftOutError) -> None:
    """Says so; without trxc itself there is nothing to compare."""
    if module == OURS:
        raise SystemExit(f"trxc cannot run {workload}: {reason}")
    print(f"{workload}: {module} is left out: {reason}", file=sys.stderr)


def compare(runners: Mapping[str, Runner], initial: float, later: float) -> None:
    """Fails where the losses of one are not trxc's, at the start or after the first steps."""
    ours = runners[OURS].started
    for module, runner in runners.items():
        for name, slack in (("loss", initial), ("later_loss", later)):
            mine, its = ours[name], runner.started[name]
            if not abs(mine - its) <= slack * abs(mine):
                wrong = f"its {name} is {its:.7g}, that of trxc {mine:.7g}"
                raise SystemExit(f"{module} does not train the same model: {wrong}")


def race_row(
    workload: Workload, runner: Runner, ours: Runner, best: Mapping[str, Any], options: argparse.Namespace
) -> dict[str, Any]:
    """What was measured of one trainer."""
    started, temporaries, facts = runner.started, runner.started["temporaries"], workload.facts
    compiled = getattr(facts, runner.clock) if runner is ours else 0.0
    median, (count, items) = statistics.median(runner.seconds), facts.items
    return {
        **said(workload, "steps", started, options, runner is ours), "rounds": len(runner.seconds),
        "steps": runner.count, "loss": round(started["loss"], 6), "later_loss": round(started["later_loss"], 6),
        "step_seconds": digits(median), "step_spread": spread(runner.seconds),
        **ratios("ratio", "spread", ours.seconds, runner.seconds),
        "items": items, "items_per_second": digits(count / median),
        "ceiling": digits(best["products"]), "reached": digits(facts.flops / median / best["products"]),
        "first_seconds": round(started[runner.clock] + compiled, 2),
        "temporaries_mb": None if temporaries is None else round(temporaries / 1e6, 1),
        "peak_mb": round(started["peak"] / 1e6),
        **({"device": best["device"]} if facts.device == "gpu" else {}),
    }  # fmt: skip


def first_steps(workload: Workload, others: Sequence[str], options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row for each trainer: new processes by turns, twice with the same caches, which were empty before."""
    clock, found = "cpu" if options.cpu_time else "clock", dict[str, list[tuple[float, float]]]()
    labels, modules = dict[str, Mapping[str, Any]](), [OURS, *others]
    for number in range(options.rounds):
        for module in list(modules):
            caches = workload.folder / f"caches-{module}-{number}"
            try:
                runs = [first_step(workload, module, caches, options.allocator) for _ in range(2)]
            except LeftOutError as reason:
                leave_out(workload.facts.name, module, reason)
                modules.remove(module)
                continue
            compiled = getattr(workload.facts, clock) if module == OURS else 0.0
            labels[module] = runs[0]
            found.setdefault(module, []).append((runs[0][clock] + compiled, runs[1][clock] + compiled))
    ours = list(zip(*found[OURS], strict=True))
    for module in modules:
        cold, again = zip(*found[module], strict=True)
        yield {
            **said(workload, "first", labels[module], options, module == OURS), "rounds": len(cold),
            "first_seconds": round(statistics.median(cold), 2), "second_seconds": round(statistics.median(again), 2),
            **ratios("ratio", "spread", ours[0], cold), **ratios("second_ratio", "second_spread", ours[1], again),
        }  # fmt: skip


def first_step(workload: Workload, module: str, caches: Path, allocator: str) -> dict[str, Any]:
    """One process, from its start to its end after one step."""
    with workload.worker(module, caches, allocator) as worker:
        return worker.start(with_loss=False)


def said(
    workload: Workload, measured: str, started: Mapping[str, Any], options: argparse.Namespace, ours: bool
) -> dict[str, Any]:
    """What a row begins with."""
    facts = workload.facts
    return {
        "workload": facts.name, "settings": facts.settings, "trainer": started["label"], "measured": measured,
        "kind": facts.device, "precision": facts.precision,
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
    others, measure = options.trainer or OTHERS[options.device], first_steps if options.first_steps else race
    groups = [[other] for other in others] if options.pairs else [list(others)]
    for name in options.only:
        for group in groups:
            with tempfile.TemporaryDirectory(prefix="trxc-training-") as folder:
                compiled = options.prepared or Path(folder) / "compiled"
                if not options.prepared:
                    prepare(name, compiled, options)
                workload = Workload(compiled / name, Path(folder))
                if workload.facts.device != options.device:
                    sys.exit(f"{compiled / name} was compiled with `--device {workload.facts.device}`")
                for row in measure(workload, group, options):
                    print(json.dumps(row), flush=True)


def prepare(name: str, folder: Path, options: argparse.Namespace) -> None:
    """Compiles a workload into a folder of its own there."""
    import trxc

    try:
        settings = dict(part.split("=", 1) for part in options.set)
        compile_workload(name, folder / name, settings, options.device)
    except (trxc.CompileError, trxc.UsageError, OSError) as fault:
        sys.exit(str(fault))


def main() -> None:
    options = arguments()
    if not options.table:
        os.environ["JAX_PLATFORMS"] = "cpu"
        if options.one_core:
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        if not options.prepare:
            run(options)
            return
        for name in options.only:
            prepare(name, options.prepare, options)
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
