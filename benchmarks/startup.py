"""How long `trxc check` takes, beside merely importing the packages that it depends on.

    python benchmarks/startup.py

Runs both by turns, and prints for each the fastest, the median and the slowest run: by the clock, and in processor
time, which other programs on the machine disturb less. The ratio is of the fastest runs. The parser's tables and
Python's bytecode are cached before the first run that counts, as they are wherever trxc is installed.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
CHECK = ["-m", "trxc", "check", str(ROOT / "examples" / "quickstart.trx")]
IMPORTS = ["-c", "import lark, click, numpy, rich"]


def seconds(arguments: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Seconds by the clock and of processor time that one run of Python takes."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *arguments], env=environment, check=True, stdout=subprocess.DEVNULL)
    clock, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def row(name: str, values: list[float]) -> str:
    """A line with the spread of some runs, in milliseconds."""
    spread = (min(values), statistics.median(values), max(values))
    return f"{name:<26}" + "".join(f"{value * 1000:>10.0f}" for value in spread)


def report(checks: list[tuple[float, float]], imports: list[tuple[float, float]]) -> str:
    """The table, and the ratios."""
    lines = [f"{'milliseconds':<26}{'fastest':>10}{'median':>10}{'slowest':>10}"]
    ratios: list[str] = []
    for at, what in enumerate(("clock", "processor")):
        check, reference = [run[at] for run in checks], [run[at] for run in imports]
        lines += [row(f"trxc check, {what}", check), row(f"imports alone, {what}", reference)]
        by_turns = [a / b for a, b in zip(check, reference, strict=True)]
        ratios.append(
            f"ratio, {what}: {min(check) / min(reference):.2f} (by turns {min(by_turns):.2f} to {max(by_turns):.2f})"
        )
    return "\n".join([*lines, *ratios])


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=12, help="how often each is run (default: 12)")
    runs: int = parser.parse_args().runs
    with tempfile.TemporaryDirectory(prefix="trxc-startup-") as cache:
        paths = os.pathsep.join([str(ROOT / "compiler"), str(ROOT / "runtime")])
        environment = {**os.environ, "PYTHONPATH": paths, "PYTHONPYCACHEPREFIX": cache, "XDG_CACHE_HOME": cache}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for arguments in (CHECK, IMPORTS):
            seconds(arguments, environment)
        measured = [(seconds(CHECK, environment), seconds(IMPORTS, environment)) for _ in range(runs)]
    print(report([check for check, _ in measured], [imports for _, imports in measured]))


if __name__ == "__main__":
    main()
