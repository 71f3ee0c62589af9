"""`python -m tests.fuzz.run --seed S --count N [--jax K] [--jobs J]`: random programs against the passes.

Of N programs, each is compiled with every pass verified, and its values in the reference interpreter compared before
and after every pass. K more, whose values do not jump, are emitted and run under jax. What fails is written, shrunk,
to the folder `--keep`, one `.trx` file each.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from .generate import generate
from .harmless import Verdict, judge
from .shrink import shrink

READ_ALL = 8
"""One program in so many has the text of every module between two passes printed and read back."""


def judged(seed: int) -> tuple[int, Verdict]:
    """The verdict on a seed's program."""
    return seed, judge(generate(seed).text, read_all=seed % READ_ALL == 0)


def judged_under_jax(seed: int) -> tuple[int, Verdict]:
    """The same, of the emitted program."""
    from .emitted import judge_emitted

    return seed, judge_emitted(generate(seed, smooth=True).text)


def main() -> int:
    """Runs as the command line says; how many programs failed, at most 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--jax", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"))
    options = parser.parse_args()
    failed = 0
    with ProcessPoolExecutor(options.jobs) as pool:
        seeds = range(options.seed, options.seed + options.count)
        failed += _report("passes", pool.map(judged, seeds, chunksize=4), options.keep)
        seeds = range(options.seed, options.seed + options.jax)
        failed += _report("jax", pool.map(judged_under_jax, seeds), options.keep)
    return min(failed, 1)


def _report(title: str, verdicts: Iterable[tuple[int, Verdict]], keep: Path) -> int:
    """Counts verdicts, and keeps what failed."""
    start, refused, kinds = time.perf_counter(), Counter[str](), Counter[str]()
    count = accepted = failed = stages = finite = 0
    worst = 0.0
    for seed, verdict in verdicts:
        count += 1
        if verdict.refused:
            refused[verdict.refused.split()[0]] += 1
            print(f"seed {seed} refused: {verdict.refused}")
        elif verdict.divergence:
            failed += 1
            print(f"seed {seed} FAILED: {verdict.divergence.stage}: {verdict.divergence.what}", flush=True)
            _keep(title, seed, verdict, keep)
        accepted += not verdict.refused
        finite += verdict.finite and not verdict.refused
        stages, worst = stages + verdict.stages, max(worst, verdict.worst)
        kinds.update(verdict.kinds)
        if count % 100 == 0:
            print(
                f"{title}: {count} so far, {accepted} accepted, {failed} failed, {stages} modules compared", flush=True
            )
    if count:
        print(f"{title}: {count} programs, {accepted} accepted ({finite} of them finite), {failed} failed; "
              f"{stages} modules compared, the worst off by {worst:.2g}; {len(kinds)} kinds of op; "
              f"{time.perf_counter() - start:.0f} s; refused: {dict(refused)}")  # fmt: skip
        print("rarest:", ", ".join(f"{kind} {n}" for kind, n in kinds.most_common()[::-1][:12]))
    return failed


def _keep(title: str, seed: int, verdict: Verdict, folder: Path) -> None:
    """Writes a failing program, made small."""
    assert verdict.divergence is not None
    kind = verdict.divergence.what.split(":")[0][:20]
    text = generate(seed, smooth=title == "jax").text
    if title == "passes":

        def fails(smaller: str) -> bool:
            found = judge(smaller).divergence
            return found is not None and found.what.startswith(kind[:8])

        text = shrink(text, fails, attempts=150)
    folder.mkdir(parents=True, exist_ok=True)
    header = f"# seed {seed}, {title}: {verdict.divergence.stage}: {verdict.divergence.what.splitlines()[0]}\n"
    (folder / f"{title}_{seed}.trx").write_text(header + text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
