"""What the process's allocator (`trxc.cli.shell.allocator`) is worth: steps of the quickstart with each.

    python benchmarks/allocator.py [--rounds 5] [--steps 60]

Runs them by turns in processes of their own, in an order that moves on by one each round: tcmalloc where the system has
it, glibc's allocator with settings, and as it is. Prints the seconds a step of each, and for the first two the median
and spread of the ratios to the last, round by round. Compilation and the first steps are left out: what counts is the
pace that the run reports last.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from trainers.compiled import ALLOCATORS, arranged_allocator, with_allocator

EXAMPLE = Path(__file__).parents[1] / "examples" / "quickstart.trx"


def seconds_a_step(steps: int, allocator: str) -> float:
    """Seconds of a step, by the last pace in the log of a run with one of `ALLOCATORS`."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    environment.pop("TRXC_ALLOCATOR", None)
    environment = {"TRXC_ALLOCATOR": "system", **with_allocator(environment, allocator)}
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run")
        command = [sys.executable, "-m", "trxc", "train", str(EXAMPLE), "--run", str(run), "--steps", str(steps), "-q"]
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
        paces = re.findall(r"· ([\d.]+) steps/s", (run / "log.txt").read_text())
    return 1 / float(paces[-1])


def main() -> None:
    """Runs the rounds and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60)
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    there = ALLOCATORS[ALLOCATORS.index(arranged_allocator()) :]
    ratios: dict[str, list[float]] = {name: [] for name in there[:-1]}
    for number in range(options.rounds):
        at = number % len(there)
        taken = {name: seconds_a_step(options.steps, name) for name in (*there[at:], *there[:at])}
        print(f"round {number + 1}: {', '.join(f'{name} {taken[name]:.4f} s' for name in there)}")
        for name in ratios:
            ratios[name].append(taken[name] / taken["system"])
    for name, found in ratios.items():
        print(f"{name} ÷ system: median {statistics.median(found):.2f}, from {min(found):.2f} to {max(found):.2f}")


if __name__ == "__main__":
    main()
