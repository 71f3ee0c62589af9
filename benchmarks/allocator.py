"""What the arranged allocator (`trxc.cli.shell.allocator`) is worth: steps of the quickstart, with and without it.

    python benchmarks/allocator.py [--rounds 5] [--steps 60]

Runs both by turns in processes of their own, and prints the seconds a step of each, and the median and spread of the
ratios round by round. Compilation and the first steps are left out: what counts is the pace that the run reports last.
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

EXAMPLE = Path(__file__).parents[1] / "examples" / "quickstart.trx"


def seconds_a_step(steps: int, allocator: str) -> float:
    """Seconds of a step, by the last pace in the log of a run; `allocator` is `arranged` or `system`."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    environment.pop("TRXC_ALLOCATOR", None)
    if allocator == "system":
        environment["TRXC_ALLOCATOR"] = "system"
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
    ratios: list[float] = []
    for number in range(options.rounds):
        arranged, system = (seconds_a_step(options.steps, kind) for kind in ("arranged", "system"))
        ratios.append(arranged / system)
        print(f"round {number + 1}: arranged {arranged:.4f} s, system {system:.4f} s, ratio {ratios[-1]:.2f}")
    print(f"ratio: median {statistics.median(ratios):.2f}, from {min(ratios):.2f} to {max(ratios):.2f}")


if __name__ == "__main__":
    main()
