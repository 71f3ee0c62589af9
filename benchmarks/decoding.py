"""How fast models generate: by the decoding that trxc derives, by recomputation, and by hand in other people's tools.

    python benchmarks/decoding.py                                       all workloads and peers
    python benchmarks/decoding.py --only gpt-1 --only llama-1 --rounds 9
    python benchmarks/decoding.py --peer jax_by_hand --limit 32 --set GPT.layers=2
    python benchmarks/decoding.py --one-core                            processor time on one core, for busy machines
    python benchmarks/decoding.py --device gpu                          on a GPU, up to 64 rows
    python benchmarks/decoding.py --table benchmarks/results/decoding.jsonl        the lines of a run as a table

Greedy, float32, the same weights in all; tokens are compared before anything is timed. Each round runs all by turns,
once for one token and once for `--limit`: the first is the time to the first token, the rest of the second gives the
tokens a second after it, summed over the rows. Prints a JSON line for each workload and way: medians, and the ratio of
trxc's speed to the other's (above 1 trxc is faster) round by round, with its spread. What is compiled is compiled
before; how long that took is told beside. Recomputation draws fewer tokens, for it gets slower with each of them.

Peers are in `benchmarks/peers`; one whose packages are missing is left out with a line that names them. All of them:

    python -m venv peers && peers/bin/pip install -e . flax torch && peers/bin/python benchmarks/decoding.py

A machine with a GPU needs no compiler, and nothing from the network: `--prepare build/decoding` writes what it compiles
there, and `--prepared build/decoding` takes it on that machine. Products are in 32 bits in all, as PyTorch has them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

WORKLOADS = Path(__file__).parent / "workloads"
CONTEXT = 512
RECOMPUTED = 16
"""Tokens that recomputation draws."""
SLACK = 1e-4
"""How far the scores of two tokens may be apart, relative to the largest, where sums in another order swap them."""

Generate = Callable[[Sequence[Sequence[int]], int], Any]
"""Greedy tokens after prompts, `i32[count, rows]`."""


@dataclass(frozen=True)
class Workload:
    """A model of `benchmarks/workloads`, and how long its prompts are."""

    file: str
    model: str
    lengths: tuple[int, ...]


CASES = {
    "gpt-1": Workload("w4_gpt", "GPT", (64,)),
    "gpt-8": Workload("w4_gpt", "GPT", (64,) * 8),
    "gpt-ragged": Workload("w4_gpt", "GPT", tuple(range(16, 129, 16))),
    "llama-1": Workload("w9_llama", "Llama", (64,)),
    "gpt-64": Workload("w4_gpt", "GPT", (64,) * 64),
}
DEVICES = {
    "cpu": ("gpt-1", "gpt-8", "gpt-ragged", "llama-1"),
    "gpu": ("gpt-1", "gpt-8", "gpt-64", "llama-1"),
}
"""What is raced where nothing is named."""


def arguments(peers: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], choices=CASES, help="these workloads")
    parser.add_argument("--peer", action="append", default=[], choices=("recompute", *peers), help="beside trxc")
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE")
    parser.add_argument("--device", choices=DEVICES, default="cpu")
    parser.add_argument("--prepare", type=Path, metavar="FOLDER", help="compile into a folder, and race nothing")
    parser.add_argument("--prepared", type=Path, metavar="FOLDER", help="take what was compiled from a folder")
    parser.add_argument("--limit", type=int, default=256, help="tokens that are drawn for each row")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--one-core", action="store_true", help="stay on one core, and count its time, not the clock's")
    parser.add_argument("--table", type=Path, metavar="FILE", help="print the table of lines that were printed before")
    options = parser.parse_args()
    if options.limit < 2:
        parser.error("the speed after the first token takes a second one")
    options.only = options.only or DEVICES[options.device]
    if options.prepared and (options.set or options.prepare):
        parser.error("--prepared takes workloads as they were compiled: --set belongs to --prepare")
    if options.prepared and (missing := [name for name in options.only if not (options.prepared / name).is_dir()]):
        parser.error(f"{options.prepared} has no {missing[0]}")
    return options


def compile_case(case: Workload, folder: Path, options: argparse.Namespace) -> None:
    """Writes a workload's program into a folder."""
    import trxc

    recipe = f"\ngenerate text for {case.model} {{\n  prompt = tokens\n  from = logits\n}}\n"
    text = (WORKLOADS / f"{case.file}.trx").read_text() + recipe
    settings = {"GPT.context": str(CONTEXT)} if case.model == "GPT" else {}
    settings |= dict(part.split("=", 1) for part in options.set)
    trxc.compile(text, filename=f"{case.file}.trx", name="bench", set=settings, target=options.device).save(folder)


class Compiled:
    """A workload compiled by trxc, with weights that make it say many different things."""

    def __init__(self, folder: Path, device: str) -> None:
        import jax
        import numpy as np

        from trxc_runtime.artifact import load_artifact

        artifact = load_artifact(folder)
        if artifact.manifest["target"] != device:
            sys.exit(f"{folder} was compiled with `--device {artifact.manifest['target']}`")
        self.program = artifact.program
        rng = np.random.default_rng(0)
        self.params = jax.tree.map(
            lambda w: w + rng.normal(scale=0.05, size=w.shape).astype(w.dtype), self.program.init(jax.random.key(0))
        )

    def generate(self, *, recompute: bool = False) -> Generate:
        """By the program's `decode`, or by its `apply` on all there is so far, for each token anew."""
        import numpy as np

        from trxc_runtime.decoding import Decoder, decode
        from trxc_runtime.sample import Greedy

        program = WithoutDecode(self.program) if recompute else self.program
        decoder: Any = Decoder(program, "tokens", "logits", (Greedy(),), CONTEXT)

        def generate(prompts: Sequence[Sequence[int]], count: int) -> Any:
            return np.array(list(decode(decoder, self.params, self.program.init_state(), prompts, limit=count)))

        return generate

    def scores(self, tokens: Sequence[int]) -> Any:
        """The logits after some tokens, from the whole sequence: `f32[vocab]`."""
        import numpy as np

        inputs = {"tokens": np.array([tokens], np.int32)}
        return np.asarray(self.program.apply(self.params, self.program.init_state(), inputs)["logits"][0, -1])


class WithoutDecode:
    """A program as if decoding could not be derived from it."""

    def __init__(self, program: Any) -> None:
        self.apply, self.init_state = program.apply, program.init_state


@dataclass
class Way:
    """One way of generating: what it compiled, and what each round took."""

    label: str
    generate: Generate
    limit: int
    clock: Callable[[], float]
    warm_up: float = 0.0
    swaps: int = 0

    def __post_init__(self) -> None:
        self.first: list[float] = []
        self.rates: list[float] = []

    def round(self, prompts: Sequence[Sequence[int]]) -> None:
        """One token, then all of them."""
        times: list[float] = []
        for count in (1, self.limit):
            began = self.clock()
            self.generate(prompts, count)
            times.append(self.clock() - began)
        self.first.append(times[0])
        self.rates.append(len(prompts) * (self.limit - 1) / (times[1] - times[0]))

    def prepare(self, prompts: Sequence[Sequence[int]]) -> Any:
        """The tokens, once all is compiled; notes how much longer the first run took than the second."""
        began = self.clock()
        tokens = self.generate(prompts, self.limit)
        once = self.clock() - began
        self.generate(prompts, 1)
        began = self.clock()
        self.generate(prompts, self.limit)
        self.warm_up += once - (self.clock() - began)
        return tokens


def others(case: Workload, compiled: Compiled, options: argparse.Namespace, clock: Callable[[], float]) -> list[Way]:
    """Every other way that can be gone here; says of the rest why not."""
    import jax
    from peers import PEERS, load
    from peers.transformer import UnsupportedError, transformer

    chosen, found = options.peer or ["recompute", *PEERS], list[Way]()
    if "recompute" in chosen:
        generate = compiled.generate(recompute=True)
        found.append(Way("recomputation", generate, min(RECOMPUTED, options.limit), clock))
    for name in chosen:
        peer, missing = load(name) if name != "recompute" else (None, "")
        if missing:
            print(f"{name} is left out: {missing} cannot be imported", file=sys.stderr)
        if peer is None:
            continue
        began = clock()
        try:
            weights = transformer(jax.device_get(compiled.params))
            generate = peer.build(weights, len(case.lengths), max(case.lengths), options.limit)
        except UnsupportedError as reason:
            print(f"{name} is left out: {reason}", file=sys.stderr)
            continue
        found.append(Way(peer.LABEL, generate, options.limit, clock, warm_up=clock() - began))
    return found


def check(compiled: Compiled, way: Way, prompts: Sequence[Sequence[int]], ours: Any, theirs: Any) -> None:
    """Fails where tokens differ, unless the two that differ first have scores that rounding may swap; counts those."""
    assert theirs.shape == (way.limit, len(prompts)), (way.label, theirs.shape)
    for row, prompt in enumerate(prompts):
        differ = (ours[: way.limit, row] != theirs[:, row]).nonzero()[0]
        if not len(differ):
            continue
        at = int(differ[0])
        scores = compiled.scores([*prompt, *map(int, ours[:at, row])])
        gap = float(scores[ours[at, row]] - scores[theirs[at, row]])
        assert abs(gap) <= SLACK * abs(scores).max(), (
            f"{way.label}: row {row} differs from token {at} on, where scores are {gap:.3g} apart"
        )
        way.swaps += 1


def race(name: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for every way of one workload, trxc's first."""
    import numpy as np

    case, clock = CASES[name], time.process_time if options.one_core else time.perf_counter
    with tempfile.TemporaryDirectory() as folder:
        if not options.prepared:
            compile_case(case, Path(folder), options)
        compiled = Compiled(options.prepared / name if options.prepared else Path(folder), options.device)
    rng, vocab = np.random.default_rng(1), compiled.params["table"]["w"].shape[0]
    prompts = [rng.integers(1, vocab, length).tolist() for length in case.lengths]
    ours = Way("trxc", compiled.generate(), options.limit, clock)
    wanted = ours.prepare(prompts)
    ways = [ours, *others(case, compiled, options, clock)]
    for way in ways[1:]:
        check(compiled, way, prompts, wanted, way.prepare(prompts))
    for _ in range(options.rounds):
        for way in ways:
            way.round(prompts)
    said = {"workload": name, "settings": options.set, "one_core": options.one_core, "distinct": len(np.unique(wanted))}
    return [{**said, **row(way, ours)} for way in ways]


def row(way: Way, ours: Way) -> dict[str, Any]:
    """What was measured of one way, and trxc's speed ÷ its."""
    ratios = [mine / its for mine, its in zip(ours.rates, way.rates, strict=True)]
    return {
        "way": way.label, "tokens": way.limit, "rounds": len(way.rates), "swaps": way.swaps,
        "first_ms": round(1000 * statistics.median(way.first), 2),
        "tokens_per_second": round(statistics.median(way.rates), 1), "best": round(max(way.rates), 1),
        "ratio": round(statistics.median(ratios), 3), "spread": [round(min(ratios), 3), round(max(ratios), 3)],
        "warm_up_seconds": round(way.warm_up, 2),
    }  # fmt: skip


def machine() -> dict[str, Any]:
    import jax

    device = jax.devices()[0]
    kind = device.device_kind if device.platform != "cpu" else platform.machine()
    versions: dict[str, str] = {}
    for package in ("jax", "flax", "torch"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {"device": kind, "cores": os.cpu_count(), "python": platform.python_version(), **versions}


def table(path: Path) -> str:
    """The lines of a run in Markdown."""
    lines = [
        "| workload | way | first token, ms | tokens/s after it | best round | trxc ÷ it | spread | compiles, s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for line in path.read_text().splitlines():
        r = json.loads(line)
        ratio = ["", ""] if r["way"] == "trxc" else [f"{r['ratio']:.2f}", "{:.2f}–{:.2f}".format(*r["spread"])]
        speeds = (f"{r['first_ms']:.1f}", f"{r['tokens_per_second']:,.0f}", f"{r['best']:,.0f}")
        cells = (r["workload"], r["way"], *speeds, *ratio, f"{r['warm_up_seconds']:.1f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    from peers import PEERS

    options = arguments(PEERS)
    if options.table:
        print(table(options.table))
        return
    if options.one_core:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    sys.path[:0] = [str(WORKLOADS.parents[1] / part) for part in ("compiler", "runtime")]  # they need not be installed
    if options.prepare:
        for name in options.only:
            compile_case(CASES[name], options.prepare / name, options)
        return
    os.environ |= {"JAX_PLATFORMS": "cuda" if options.device == "gpu" else "cpu"}
    os.environ |= {"JAX_DEFAULT_MATMUL_PRECISION": "float32"}
    try:
        machine()
    except (RuntimeError, AssertionError):  # the latter where the build of jaxlib is for CPUs alone
        sys.exit("jax finds no GPU here")
    for name in options.only:
        for found in race(name, options):
            print(json.dumps({**found, **machine()}), flush=True)


if __name__ == "__main__":
    main()
