"""`python -m tests.fuzz.text --seed S --count N [--jobs J] [--record FILE]`: texts of every kind, checked.

Whatever the text is, a check ends within two seconds with diagnostics that stand in it, its memory does not grow, and
nothing but diagnostics comes of it. Of twelve texts one is random bytes, two are random words of the language, five are
programs of the project with pieces dropped, doubled, moved or put together with others, and of the rest each is nested
deep, has huge numbers, long names or long chains, or characters that look like others, hide, or change direction. What
fails is printed with its seed, and `generate(SEED)` gives its text. A record is kept of how far a run has got: the same
command goes on from there.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random

from tests.mutation.corpus import programs
from tests.mutation.program import Program

import trxc
from trxc.diagnostics.terminal import render

SLOWEST = 2.0
MEMORY = 2 * 1024 * 1024
"""KiB that a process may have, after all of its texts."""

_TEXT = (
    "layer model fn const use extern data train generate mesh weights for from as input output param state carry dim "
    "next require if else when in and or not true false none A x y float int ( ) [ ] { } , : = == < -> => |> >> + - * "
    '/ // % @ ^ . ... ? ! & ; " "s" "b s d -> b d" 1 0 -1 2.5 1e3 ## # é \\ \n \n \n \r\n \t'
)
WORDS = _TEXT.split(" ")
TRICKS = "\u202e\u200b\ufeff\u0000\u0301\U0001f600е\u2028\x1b[31m\x7f\ufffd１ﬁ\u00a0"
HUGE = ("9" * 3_000, "1e999999", "0." + "0" * 2_000 + "1", "1_" * 500 + "1", "2 ^ 2 ^ 9999", '"' + "a" * 50_000 + '"')


def _bytes(rng: Random) -> str:
    return rng.randbytes(rng.randrange(400)).decode("utf-8", "replace" if rng.random() < 0.5 else "ignore")


def _soup(rng: Random) -> str:
    text = " ".join(rng.choices(WORDS, k=rng.randrange(1, 120)))
    return (
        text if rng.random() < 0.5 else f"model M(n: int = 3) {{\n  input x: float[batch, 4]\n{text}\n  output x\n}}\n"
    )


def _pieces(program: Program, rng: Random) -> list[str]:
    """A program's text, cut at its tokens."""
    starts = [token.start for token in program.tokens]
    return [program.text[a:b] for a, b in zip([0, *starts], [*starts, len(program.text)], strict=True)]


def _mutated(rng: Random) -> str:
    pieces = _pieces(rng.choice(programs()), rng)
    others = _pieces(rng.choice(programs()), rng) if rng.random() < 0.3 else pieces
    for _ in range(rng.randint(1, 8)):
        if not pieces:  # a short program, all of it dropped
            break
        at, size = rng.randrange(len(pieces)), rng.choice((1, 1, 1, 2, 5, 30))
        other = rng.randrange(len(others))
        piece = others[other : other + size]
        change = rng.choice(("drop", "double", "put", "replace"))
        pieces[at : at + (size if change in ("drop", "replace") else 0)] = {
            "drop": [], "double": pieces[at : at + size], "put": piece, "replace": piece
        }[change]  # fmt: skip
    return "".join(pieces)


def _deep(rng: Random) -> str:
    depth = rng.choice((50, 99, 101, 1_000, 20_000))
    opening, closing = rng.choice((("(", ")"), ("[", "]"), ("if true { ", " } else { x }"), ("relu(", ")"), ("-", "")))
    value = opening * depth + "x" + closing * rng.choice((depth, depth, depth - 1, 0))
    return f"model M {{\n  input x: float[batch, 4]\n  output {value}\n}}\n"


def _large(rng: Random) -> str:
    chain = rng.choice((" + x", " |> relu", " >> relu", ".w", "[0]", " and x")) * rng.choice((100, 1_999, 2_001, 9_000))
    huge = rng.choice(HUGE)
    values = (f"x{chain}", f"x * {huge}", f"x |> Dense({huge})", f"x |> repeat({huge}, relu)", "n" * 30_000)
    value = rng.choice((*values, f"[i for i in range({huge})]"))
    return f"model M {{\n  input x: float[batch, 4]\n  output {value}\n}}\n"


def _tricked(rng: Random) -> str:
    text = rng.choice(programs()).text
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(text))
        text = text[:at] + rng.choice(TRICKS) + text[at + rng.randrange(2) :]
    return text


MAKERS: tuple[Callable[[Random], str], ...] = (
    _bytes, _soup, _soup, _mutated, _mutated, _mutated, _mutated, _mutated, _deep, _large, _tricked, _tricked,
)  # fmt: skip


def generate(seed: int) -> str:
    """The text of a seed."""
    return MAKERS[seed % len(MAKERS)](Random(seed))


def judge(seed: int) -> str | None:
    """What is wrong with what the compiler does with a text; None where nothing is."""
    text = generate(seed)
    begun = time.process_time()
    try:
        found = trxc.check(text, filename="text.trx")
        for item in found:
            render(item, colour=False)
    except Exception as error:
        return f"{seed}: {type(error).__name__}: {error}"[:300]
    seconds = time.process_time() - begun
    places = [item.span for item in found if item.span is not None and item.span.source.name == "text.trx"]
    if any(not 0 <= span.start <= span.end <= len(text) for span in places):
        return f"{seed}: a place outside the text"
    return f"{seed}: {seconds:.1f} s" if seconds > SLOWEST else None


def judged(seeds: range) -> tuple[list[str], int, float]:
    """What is wrong with the texts of seeds, the most KiB that the process has had, and its seconds of processor."""
    begun = time.process_time()
    failed = [problem for seed in seeds if (problem := judge(seed)) is not None]
    return failed, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time() - begun


@dataclass
class Record:
    """How far a run has got: the seeds it is of, how many are done, and what came of them."""

    seed: int
    count: int
    done: int = 0
    seconds: float = 0.0
    memory: int = 0
    failed: list[str] = field(default_factory=list[str])

    def add(self, part: range, problems: list[str], memory: int, seconds: float) -> None:
        """Adds what came of the next seeds."""
        self.done += len(part)
        self.seconds = round(self.seconds + seconds, 3)
        self.memory = max(self.memory, memory)
        self.failed += problems

    def keep(self, path: Path | None) -> None:
        """Writes it, whole or not at all."""
        if path is not None:
            beside = path.with_name(f"{path.name}.new")
            beside.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
            beside.replace(path)

    def __str__(self) -> str:
        return (
            f"{self.done} texts from seed {self.seed}: {len(self.failed)} failed; at most {self.memory / 1024:.0f} MiB "
            f"a process; {1000 * self.seconds / max(1, self.done):.1f} ms of processor a text"
        )


def recorded(path: Path | None, seed: int, count: int) -> Record:
    """The record to go on with: that of the file, if it is of these seeds.

    Raises:
        ValueError: it is of other seeds.
    """
    if path is None or not path.exists():
        return Record(seed, count)
    found = Record(**json.loads(path.read_text(encoding="utf-8")))
    if (found.seed, found.count) != (seed, count):
        raise ValueError(f"{path} is the record of {found.count} texts from seed {found.seed}")
    return found


def run(record: Record, jobs: int, path: Path | None) -> None:
    """Checks the texts that the record lacks."""
    first, last, size = record.seed + record.done, record.seed + record.count, 100
    parts = [range(at, min(at + size, last)) for at in range(first, last, size)]
    with ProcessPoolExecutor(jobs) as pool:
        for part, came in zip(parts, pool.map(judged, parts), strict=True):
            record.add(part, *came)
            record.keep(path)
            print("\n".join(came[0]), end="\n" if came[0] else "", flush=True)


def main() -> int:
    """Runs as the command line says; 1 if something failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("seed", 0), ("count", 1_000), ("jobs", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--record", type=Path, help="where to keep how far the run has got, and to go on from")
    options = parser.parse_args()
    record = recorded(options.record, options.seed, options.count)
    run(record, options.jobs, options.record)
    print(record)
    return int(bool(record.failed) or record.memory > MEMORY)


if __name__ == "__main__":
    sys.exit(main())
