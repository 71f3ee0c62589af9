"""`python -m tests.fuzz.causal --seed S --count N [--ahead M] [--jax K] [--jobs J] [--write]`: decoding, and the whole.

N random causal models are decoded in the reference interpreter, in chunks of every kind, and compared with the model's
own logits, K more as programs under jax; M that look ahead, by their numbers, are to be refused at the line where they
do. What fails is made small and written to the folder `--keep`; `--record` is as for :mod:`.run`. With `--write`, the
architectures of `tests/cases/decoding` are compared as well, in the interpreter and under jax, and the tables of
`docs/decoding.md` are written.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

from .causality import AT_ITS_LINE, NOT_KNOWN, TOLD
from .chunks import derived, unoptimised, worst_off
from .run import PART, Part, done

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "decoding.md"
ARCHITECTURES = ROOT / "tests" / "cases" / "decoding"


def main() -> int:
    """Runs as the command line says; 1 if a model failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=500, help="causal models")
    parser.add_argument("--ahead", type=int, default=500, help="models that look ahead")
    parser.add_argument("--jax", type=int, default=0, help="causal models as programs under jax")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"))
    parser.add_argument("--record", type=Path)
    parser.add_argument("--write", action="store_true", help="write the tables of docs/decoding.md")
    options = parser.parse_args()
    asked = {"causal": options.count, "decoded": options.jax, "ahead": options.ahead}
    work = [(kind, first, min(PART, options.seed + count - first)) for kind, count in asked.items()
            for first in range(options.seed, options.seed + count, PART)]  # fmt: skip
    parts: list[Part] = []
    start = time.perf_counter()
    for part in done(work, options.jobs, options.keep, options.record):
        parts.append(part)
        for text in part.failed:
            print(f"{part.kind} {text}", flush=True)
    print(f"{time.perf_counter() - start:.0f} s")
    causal, decoded, ahead = ([part for part in parts if part.kind == kind] for kind in asked)
    figures = "\n".join([*described(causal, options.seed), *described_under_jax(decoded)])
    refusals = "\n".join(refusal_table(ahead))
    print(figures, refusals, sep="\n\n")
    if options.write:
        equality = "\n".join(equality_table())
        print(equality)
        write({"models": figures, "refusals": refusals, "equality": equality})
    return int(any(part.failed for part in parts))


def described(parts: list[Part], seed: int) -> list[str]:
    """What became of the causal models, and why some could not be decoded."""
    if not parts:
        return []
    count, compared = sum(part.count for part in parts), sum(part.stages for part in parts)
    reasons = Counter(text.split(": ", 1)[1] for part in parts for text in part.refused)
    failed = sum(len(part.failed) for part in parts)
    lines = [
        f"{count} models (`--seed {seed} --count {count}`): decoding was derived for {compared} "
        f"({100 * compared / count:.1f} %), {failed} failed, and the logits were off by "
        f"{max(part.worst for part in parts):.1g} of the largest at most."
    ]
    if reasons:
        lines += ["", "Not derived, each of them computed as a whole:", ""]
        lines += [f"- {number}: {reason}" for reason, number in reasons.most_common()]
    return lines


def described_under_jax(parts: list[Part]) -> list[str]:
    """What became of programs of causal models."""
    if not parts:
        return []
    failed, worst = sum(len(part.failed) for part in parts), max(part.worst for part in parts)
    count = sum(part.stages for part in parts) // 2
    return ["", f"{count} of them, smaller, as programs under jax (`--jax`): {failed} failed, the worst off by "
            f"{worst:.1g} in float64, and by less than 1e-5 in float32."]  # fmt: skip


def refusal_table(parts: list[Part]) -> list[str]:
    """By kind of what looks ahead: how many there were, how many were refused, and how many at the right line."""
    counted = Counter[str]()
    for part in parts:
        counted.update(part.changed)
    kinds = sorted({name.split(": ")[0] for name in counted})
    lines = ["| what looks ahead | models | refused | at its line |", "|---|---|---|---|"]
    for kind in kinds:
        told, placed, unknown = (counted[f"{kind}: {what}"] for what in (TOLD, AT_ITS_LINE, NOT_KNOWN))
        note = f" (and {unknown} only not derived)" if unknown else ""
        lines.append(f"| {kind} | {counted[f'{kind}: all']} | {told}{note} | {placed} |")
    sums = [sum(counted[f"{kind}: {what}"] for kind in kinds) for what in ("all", TOLD, AT_ITS_LINE)]
    return [*lines, f"| all | {sums[0]} | {sums[1]} | {sums[2]} |"]


def equality_table() -> list[str]:
    """Every architecture: the worst logits of the interpreter, and under jax in both precisions, ragged rows too."""
    from .causal_jax import emitted, worst_under_jax

    lines = ["| architecture | interpreter, float64 | jax, float64 | ragged | jax, float32 | ragged |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    for path in sorted(ARCHITECTURES.glob("*.trx")):
        text = path.read_text()
        worst, _ = worst_off(derived(unoptimised(text)), 3)
        source = emitted(text)
        double, single = (worst_under_jax(source, double=wide) for wide in (True, False))
        numbers = (worst, double.alike, double.ragged, single.alike, single.ragged)
        cells = " | ".join(f"{number:.1g}" for number in numbers)
        lines.append(f"| {title(text)} ([{path.stem}](../tests/cases/decoding/{path.name})) | {cells} |")
    return lines


def title(text: str) -> str:
    """What the first line of a case says."""
    return text.splitlines()[0].removeprefix("# ")


def write(parts: dict[str, str]) -> None:
    """Puts texts between their markers on the page."""
    page = PAGE.read_text(encoding="utf-8")
    for name, text in parts.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, _, rest = page.partition(begin)
        assert rest, f"no place for {name}"
        page = before + begin + text + "\n" + end + rest.partition(end)[2]
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
