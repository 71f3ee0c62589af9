"""`python -m tests.fuzz.run --seed S --count N [--modules M] [--jax K] [--jobs J]`: random programs against the passes.

N programs in the language and M modules are held against what they compute in the reference interpreter after every
pass. K more, whose values do not jump, are emitted and run under jax: of eight, seven modules and one program. What
fails is written, made small, to the folder `--keep`. With `--record FILE` each part that is done is a line of that
file, and is not done again: a run that was cut off goes on, and the summary is of all of it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from trxc.ir import Module
from trxc.ir.printer import to_text
from trxc.passes import PASS_NAMES

from .causal_models import Broken, causal_model
from .causality import broken_model, judge_ahead, judge_causal
from .generate import generate
from .harmless import NUDGE, Verdict, judge, judge_module
from .modules import make_module
from .shrink import shrink, shrink_module

READ_ALL = 8
"""One program in so many has the text of every module between two passes printed and read back."""

PART = 20
"""So many seeds are one part of the work."""


@dataclass
class Part:
    """What became of the seeds of one kind from `first` on."""

    kind: str
    first: int
    seconds: float = 0.0
    count: int = 0
    finite: int = 0
    stages: int = 0
    worst: float = 0.0
    excused: int = 0
    refused: list[str] = field(default_factory=list[str])
    failed: list[str] = field(default_factory=list[str])
    kinds: dict[str, int] = field(default_factory=dict[str, int])
    changed: dict[str, int] = field(default_factory=dict[str, int])

    def add(self, seed: int, verdict: Verdict) -> None:
        """Counts a verdict."""
        self.count += 1
        self.finite += verdict.finite and not verdict.refused
        self.stages, self.worst = self.stages + verdict.stages, max(self.worst, verdict.worst)
        self.excused += verdict.excused
        for counted, found in ((self.kinds, verdict.kinds), (self.changed, verdict.changed)):
            for name in found:
                counted[name] = counted.get(name, 0) + 1
        if verdict.refused:
            self.refused.append(f"{seed}: {verdict.refused}")
        if verdict.divergence:
            self.failed.append(f"{seed}: {verdict.divergence.stage}: {verdict.divergence.what}")


def _under_jax(seed: int) -> Verdict:
    from .emitted import judge_emitted, judge_emitted_module

    if seed % 8 == 0:
        return judge_emitted(generate(seed, smooth=True, statements=8).text)
    return judge_emitted_module(make_module(seed, smooth=True))


def _causal(seed: int) -> Verdict:
    model = causal_model(seed)
    return judge_causal(model.text, seed, beyond=model.beyond)


def _decoded_under_jax(seed: int) -> Verdict:
    from .causal_jax import judge_emitted_decoding

    model = causal_model(seed, most=2)
    return Verdict(refused="beyond it") if model.beyond else judge_emitted_decoding(model.text, seed)


JUDGES: dict[str, Callable[[int], Verdict]] = {
    "programs": lambda seed: judge(generate(seed).text, read_all=seed % READ_ALL == 0),
    "modules": lambda seed: judge_module(make_module(seed), read_all=seed % READ_ALL == 0),
    "jax": _under_jax,
    "causal": _causal,
    "decoded": _decoded_under_jax,
    "ahead": lambda seed: judge_ahead(broken_model(seed), seed),
}
"""By kind, what gives the verdict on a seed; those of decoding are asked for by :mod:`.causal`."""


def judged(kind: str, first: int, count: int, keep: Path) -> Part:
    """A part of the work, its failures made small."""
    part, start = Part(kind, first), time.perf_counter()
    for seed in range(first, first + count):
        verdict = JUDGES[kind](seed)
        part.add(seed, verdict)
        if verdict.divergence:
            _keep(kind, seed, verdict, keep)
    part.seconds = time.perf_counter() - start
    return part


def main() -> int:
    """Runs as the command line says; 1 if a program failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("seed", "count", "modules", "jax"):
        parser.add_argument(f"--{name}", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"))
    parser.add_argument("--record", type=Path)
    options = parser.parse_args()
    asked = {"programs": options.count, "modules": options.modules, "jax": options.jax}
    work = [(kind, first, min(PART, options.seed + count - first)) for kind, count in asked.items()
            for first in range(options.seed, options.seed + count, PART)]  # fmt: skip
    parts: list[Part] = []
    start = time.perf_counter()
    for part in done(work, options.jobs, options.keep, options.record):
        parts.append(part)
        for text in part.failed:
            print(f"{part.kind} {text}", flush=True)
        if len(parts) % 25 == 0:
            print(f"{sum(p.count for p in parts)} so far, {time.perf_counter() - start:.0f} s", flush=True)
    for kind in asked:
        _report(kind, [part for part in parts if part.kind == kind])
    return int(any(part.failed for part in parts))


def done(work: list[tuple[str, int, int]], jobs: int, keep: Path, record: Path | None) -> Iterator[Part]:
    """The parts of the work, those that the record has first."""
    known = [Part(**json.loads(line)) for line in record.read_text().splitlines()] if record and record.exists() else []
    have = {(part.kind, part.first, part.count): part for part in known}
    yield from (have[item] for item in work if item in have)
    with ProcessPoolExecutor(jobs) as pool:
        for future in [pool.submit(judged, *item, keep) for item in work if item not in have]:
            part = future.result()
            if record:
                with record.open("a") as file:
                    file.write(json.dumps(asdict(part)) + "\n")
            yield part


def _report(kind: str, parts: list[Part]) -> None:
    """The figures of all parts of a kind: a pass that changed nothing was not tested."""
    if not parts:
        return
    count, seconds = sum(part.count for part in parts), sum(part.seconds for part in parts)
    refused, failed = (sum(len(entries) for entries in lists) for lists in
                       ([part.refused for part in parts], [part.failed for part in parts]))  # fmt: skip
    excuse = "float32 no more than rounding does by itself" if kind == "jax" else f"no more than nudges of {NUDGE:g} do"
    kinds, changed = Counter[str](), Counter[str](dict.fromkeys(PASS_NAMES, 0) if kind != "jax" else {})
    for part in parts:
        kinds.update(part.kinds)
        changed.update(part.changed)
    print(f"{kind}: {count} programs, {sum(part.finite for part in parts)} of them finite, {refused} refused, "
          f"{failed} failed; {sum(part.stages for part in parts)} modules compared, the worst off by "
          f"{max(part.worst for part in parts):.2g}, {sum(part.excused for part in parts)} results by {excuse}; "
          f"{seconds / count:.2f} s of one process a program")  # fmt: skip
    for part in parts:
        for text in part.refused:
            print(f"  refused {text}")
    if changed:
        print("  changed by:", ", ".join(f"{name} {number}" for name, number in changed.items()))
    print(f"  {len(kinds)} kinds of op:", ", ".join(f"{name} {number}" for name, number in kinds.most_common()))


# ------------------------------------------------------------------------------ what fails


def _keep(kind: str, seed: int, verdict: Verdict, folder: Path) -> None:
    """Writes a failing program, made small: text of the language, or a module's."""
    assert verdict.divergence is not None
    folder.mkdir(parents=True, exist_ok=True)
    what = f"# seed {seed}, {kind}: {verdict.divergence.stage}: {verdict.divergence.what.splitlines()[0]}\n"
    if kind == "decoded":
        (folder / f"{kind}_{seed}.trx").write_text(what + causal_model(seed, most=2).text, encoding="utf-8")
        return
    if kind in ("causal", "ahead"):
        (folder / f"{kind}_{seed}.trx").write_text(what + _small_model(kind, seed, verdict), encoding="utf-8")
        return
    if kind == "programs" or (kind == "jax" and seed % 8 == 0):
        text = generate(seed, smooth=kind == "jax", statements=8 if kind == "jax" else 16).text
        text = shrink(text, _fails_alike(judge, verdict), attempts=150) if kind == "programs" else text
        (folder / f"{kind}_{seed}.trx").write_text(what + text, encoding="utf-8")
        return
    module, again = make_module(seed, smooth=kind == "jax"), judge_module
    if kind == "jax":
        from .emitted import judge_emitted_module as again
    module = shrink_module(module, _fails_alike(again, verdict), attempts=60 if kind == "jax" else 200)
    (folder / f"{kind}_{seed}.ir").write_text(what + to_text(module), encoding="utf-8")


def _small_model(kind: str, seed: int, verdict: Verdict) -> str:
    """A model whose decoding is wrong, or one that looks ahead and is not refused, made small."""
    if kind == "causal":
        again = partial(judge_causal, seed=seed, beyond=causal_model(seed).beyond)
        return shrink(causal_model(seed).text, _fails_alike(again, verdict), attempts=150)
    broken = broken_model(seed)

    def still_ahead(text: str) -> Verdict:
        return judge_ahead(Broken(broken.kind, text, frozenset(), ""), seed)

    return shrink(broken.text, _fails_alike(still_ahead, verdict), attempts=150)


def _fails_alike(again: Callable[..., Verdict], verdict: Verdict) -> Callable[[str | Module], bool]:
    """Whether something smaller fails in the same way: an exception of the same kind, or other values."""
    assert verdict.divergence is not None
    off = " off by " in verdict.divergence.what
    kind = verdict.divergence.what.split(":")[0][:8]

    def fails(smaller: str | Module) -> bool:
        found = again(smaller).divergence
        if found is None or found.stage == "before all passes":
            return False
        return " off by " in found.what if off else found.what.startswith(kind)

    return fails


if __name__ == "__main__":
    sys.exit(main())
