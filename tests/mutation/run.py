"""`python -m tests.mutation --seed S --count N [--jobs J] [--write]`: what the compiler says of so many wrong programs.

They are made of every example, case and library file of the project, of every kind of mistake about as many. Of each
kind: how many there were, how many were refused, of how many the first error points at the mutated text or its
statement, of how many a second place that it shows does at least, how many gave that error and nothing else, and the
processor's seconds for the slowest. `--write` puts the table into `docs/mutation.md`; `--show` lists what falls short.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import trxc

from .corpus import ROOT, programs
from .generate import KINDS, generate
from .judge import NAME, Verdict, judge
from .program import Mutant

PAGE = ROOT / "docs" / "mutation.md"
BEGIN, END = "<!-- mutants -->\n", "<!-- end of mutants -->"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs as the command line says; 1 if a valid program is complained of, or the figures fall short."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=1_000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--kind", help="only kinds whose name holds this")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args(arguments)
    complaints = valid_but_refused()
    for text in complaints:
        print(f"valid, and complained of: {text}")
    mutants = generate(options.seed, options.count, options.kind or "")
    verdicts = judged(mutants, options.jobs)
    if options.show:
        print("\n".join(falling_short(mutants, verdicts)))
    text = "\n".join(table(verdicts))
    print(text)
    if options.write:
        write(text, options.seed, len(complaints))
    return int(bool(complaints) or not enough(verdicts))


def valid_but_refused() -> list[str]:
    """What is said of the valid programs: nothing should be."""
    return [f"{program.name}: {item}" for program in programs() for item in trxc.check(program.text, filename=NAME)]


def judged(mutants: Sequence[Mutant], jobs: int) -> list[Verdict]:
    """The verdicts on mutants, in order."""
    if jobs < 2:
        return [judge(mutant) for mutant in mutants]
    with ProcessPoolExecutor(jobs) as pool:
        return list(pool.map(judge, mutants, chunksize=20))


def enough(verdicts: Sequence[Verdict]) -> bool:
    """Whether the compiler does as it promises: 99 % refused, 95 % at the mistake, 90 % with one error, all in time."""
    count = len(verdicts)
    refused, placed, single = (sum(values) for values in zip(*((v.refused, v.placed, v.single) for v in verdicts),
                                                             strict=True))  # fmt: skip
    in_time = all(verdict.seconds < 1 for verdict in verdicts)
    return refused >= 0.99 * count and placed >= 0.95 * count and single >= 0.9 * count and in_time


def table(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """A line a kind, and one for all."""
    yield "| kind of mistake | programs | refused | at the mistake | … or shown there | one error alone | slowest |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for kind in KINDS:
        if found := [verdict for verdict in verdicts if verdict.kind == kind.name]:
            yield _line(kind.name, found)
    yield _line(f"**all {len({v.kind for v in verdicts})} kinds**", verdicts)


def _line(name: str, found: Sequence[Verdict]) -> str:
    def share(values: Iterable[bool]) -> str:
        part = 100 * sum(values) / len(found)
        return f"{part:.1f} %" if 0 < part < 100 else f"{part:.0f} %"

    shares = (share(getattr(v, name) for v in found) for name in ("refused", "placed", "named", "single"))
    return f"| {name} | {len(found)} | {' | '.join(shares)} | {max(v.seconds for v in found):.2f} s |"


def falling_short(mutants: Sequence[Mutant], verdicts: Sequence[Verdict]) -> Iterator[str]:
    """The mutants that are not refused, not at their place or not with one error, with what is said of them."""
    for mutant, verdict in zip(mutants, verdicts, strict=True):
        if verdict.refused and verdict.placed and verdict.single:
            continue
        line = mutant.text.count("\n", 0, mutant.place[0]) + 1
        begin, stop = mutant.text.rfind("\n", 0, mutant.place[0]) + 1, mutant.text.find("\n", mutant.place[1])
        yield f"--- {mutant.kind}, {mutant.program}:{line} {dict(mutant.settings) or ''}"
        yield f"    {mutant.text[begin:stop].strip()}"
        yield from (f"    > {text}" for text in verdict.said or ["nothing is said"])


def write(text: str, seed: int, complaints: int) -> None:
    """Puts the table into the page, with what made it."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    head = f"Seed {seed}; the {len(programs())} valid programs themselves give {complaints or 'no'} diagnostics."
    Path(PAGE).write_text(f"{before}{BEGIN}{head}\n\n{text}\n{END}{after}", encoding="utf-8")
