"""Where the compiler spends its time on long programs and deep models: seconds of processor and memory, stage by stage.

    python benchmarks/long_programs.py [--lines 2500 5000 10000] [--layers 96 960] [--seed 0]
    python benchmarks/long_programs.py --lines 10000 --write long.trx        writes the program, measures nothing

A program is families of layers, each with a model, its data, a recipe and what is generated from it, drawn from a
seed. A deep model has its layers written out one by one (`written`), or in a `repeat`. Each row is a process of its
own, so that its memory is what that program takes: a check, or the compilation of the file's first recipe. Other
programs on the machine disturb seconds of processor little.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

ATTENTION = """
## Self-attention of family {n}, written out.
layer Attention{n}(heads: int, window: int = {window}) {{
  input x: float[batch, seq, embed]
  require embed % heads == 0, "embed must be a multiple of heads"
  dim head = embed / heads

  param wq: float[embed, heads, head] = normal({scale})
  param wk: float[embed, heads, head] = normal({scale})
  param wv: float[embed, heads, head] = normal({scale})
  param wo: float[heads, head, embed] = normal({scale})

  q = einsum("b s d, d h e -> b s h e", x, wq)
  k = einsum("b s d, d h e -> b s h e", x, wk)
  v = einsum("b s d, d h e -> b s h e", x, wv)
  scores: float[batch, heads, seq, keys] = einsum("b s h e, b t h e -> b h s t", q, k) / sqrt(head)
  near = sliding_window_mask(seq, keys, window)
  weights = softmax(where(causal_mask(seq, keys) and near, scores, -inf), over = keys)
  mixed = einsum("b h s t, b t h e -> b s h e", weights, v)
  output einsum("b s h e, h e d -> b s d", mixed, wo)
}}
"""
GATED = """
## A gated feed-forward layer of family {n}.
layer Gated{n}(ratio: int = {ratio}, rate: float = {rate}) {{
  input x: float[..., embed]
  dim inner = ratio * embed
  gate = x |> Dense(inner, bias = false) |> {activation}
  up = x |> Dense(inner, bias = false)
  output gate * up |> Dense(embed, bias = false) |> Dropout(rate)
}}

layer Block{n}(heads: int, deep: bool = {deep}) {{
  input x: float[batch, seq, embed]
  mixed = x |> residual({norm} >> Attention{n}(heads))
  wide = mixed |> residual({norm} >> Gated{n})
  output if deep {{ wide |> residual({norm} >> Gated{n}(ratio = 2)) }} else {{ wide }}
}}
"""
RECURRENT = """
## A cell of family {n} that forgets by its input alone.
layer Cell{n}(hidden: int) {{
  input x: float[batch, features]
  carry h: float[batch, hidden] = zeros
  z = concat([x, h], along = -1) |> Dense(hidden) |> sigmoid
  candidate = concat([x, h], along = -1) |> Dense(hidden) |> tanh
  next h = h + z * (candidate - h)
  output h
}}

layer Mixer{n}(hidden: int = {hidden}) {{
  input x: float[batch, seq, embed]
  run = x |> recur(Cell{n}(hidden), over = seq) |> Dense(embed)
  scale = 1.0 / (1.0 + exp(-run)) # a sigmoid, written out
  output x + scale * run
}}
"""
MODEL = """
fn smooth{n}(x: float[...], by: float = {scale}) = x * (1.0 - by) + by * {activation}(x)

model Model{n}(vocab: int = {vocab}, embed: int = {embed}, heads: int = {heads}, layers: int = {layers}) {{
  input tokens: int[batch, seq]
  require seq <= {context}

  table = Embedding(vocab, embed)
  x = tokens |> table |> Positions({context})
  x = x |> repeat(layers, Block{n}(heads)) |> Mixer{n}
  x = x |> smooth{n} |> {norm}
  output logits: float[batch, seq, vocab] = table.attend(x)
}}

data text{n} {{
  source = python_source(limit_bytes = {limit})
  tokens = bytes() >> window({context})
  split  {{ train = 0.95, valid = 0.05 }}
}}

train run{n} for Model{n} {{
  data       = text{n}
  loss       = cross_entropy(logits, targets)
  metrics    {{ accuracy = mean(argmax(logits, over = vocab) == targets) }}
  optimizer  = clip_by_global_norm(1.0) >> adamw(warmup_cosine(peak = {peak}, warmup = 100), weight_decay = 0.1)
  batch      = 16
  steps      = {steps}
  evaluate   {{ every = 500, best = min(loss) }}
  checkpoint {{ every = 250, keep = 2 }}
}}

generate text_of{n} for Model{n} {{
  prompt = tokens
  from   = logits
  sample = temperature(0.7) >> top_p(0.95)
  limit  = 300
}}
"""
USES = "use std.attention (causal_mask, sliding_window_mask)\n"


def family(n: int, rng: Random) -> str:
    """Five layers, a fn, a model and its records."""
    heads = rng.choice((2, 4, 8))
    words = {
        "window": rng.choice((32, 64, 128)), "scale": rng.choice((0.01, 0.02, 0.05)), "ratio": rng.randint(2, 6),
        "rate": rng.choice((0.0, 0.1)), "activation": rng.choice(("gelu", "silu", "relu", "mish", "softsign")),
        "norm": rng.choice(("LayerNorm", "RMSNorm")), "deep": rng.choice(("true", "false")), "heads": heads,
        "hidden": 8 * rng.randint(4, 16), "vocab": 256, "embed": 16 * heads, "layers": rng.randint(2, 12),
        "context": rng.choice((64, 128)), "limit": 1_000 * rng.randint(100, 999), "peak": rng.choice((1e-3, 5e-3)),
        "steps": 100 * rng.randint(5, 50),
    }  # fmt: skip
    return "".join(part.format(n=n, **words) for part in (ATTENTION, GATED, RECURRENT, MODEL))


def program(lines: int, seed: int) -> str:
    """A program of about so many lines, and not fewer."""
    rng, parts, count = Random(seed), [USES], 1
    while count < lines:
        parts.append(family(len(parts), rng))
        count += parts[-1].count("\n")
    return "".join(parts)


def deep(layers: int, seed: int, *, written: bool) -> str:
    """One family whose model has so many layers, each on a line of its own or all in a `repeat`."""
    text = USES + family(1, Random(seed))
    rolled = "  x = x |> repeat(layers, Block1(heads)) |> Mixer1\n"
    lines = "  x = x |> Block1(heads)\n" * layers if written else f"  x = x |> repeat({layers}, Block1(heads))\n"
    return text.replace(rolled, lines).replace("layers: int = ", "_layers: int = ")


# ------------------------------------------------------------------- stages

STAGES = {
    "read": ("trxc.elaborate.program", "Library.program"),
    "layers": ("trxc.elaborate.program", "check_layer"),
    "models": ("trxc.elaborate.subject", "elaborate_model"),
    "recipes": ("trxc.elaborate.program", "Recipe.elaborate"),
    "names": ("trxc.elaborate.program", "read_items"),
    "unreached": ("trxc.elaborate.program", "check_unreached"),
    "unused": ("trxc.elaborate.program", "warn_unused"),
    "causality": ("trxc.driver", "check_causality"),
    "passes": ("trxc.compilation", "run_passes"),
    "emit": ("trxc.compilation", "emit_program"),
    "manifest": ("trxc.compilation", "build_manifest"),
}
"""What is timed: functions, by the name through which they are called."""

COMPILED = ("passes", "emit", "manifest")


class Clock:
    """Seconds of processor by stage; what a stage spends within another is counted there and not here."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._inside: list[float] = []

    def time(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, timed."""

        def timed(*args: Any, **named: Any) -> Any:
            begun = time.process_time()
            self._inside.append(0.0)
            try:
                return function(*args, **named)
            finally:
                whole, inner = time.process_time() - begun, self._inside.pop()
                self.seconds[name] = self.seconds.get(name, 0.0) + whole - inner
                if self._inside:
                    self._inside[-1] += whole

        return timed

    def watch(self, name: str) -> None:
        """Times a stage wherever it is called."""
        where, path = STAGES[name]
        owner: Any = importlib.import_module(where)
        *outer, last = path.split(".")
        for part in outer:
            owner = getattr(owner, part)
        setattr(owner, last, self.time(name, getattr(owner, last)))


def measure(path: Path, what: str) -> dict[str, float]:
    """Checks or compiles a file in this process."""
    import trxc

    clock = Clock()
    for name in STAGES:
        if what == "compile" or name not in COMPILED:
            clock.watch(name)
    gc.disable()  # as the command line does
    begun = time.process_time()
    if what == "check":
        found = [str(item) for item in trxc.check(path)]
        assert not found, found[:5]
    else:
        trxc.compile(path, name="run1")
    whole = time.process_time() - begun
    rest = whole - sum(clock.seconds.values())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"whole": whole, **clock.seconds, "rest": rest, "MiB": memory}


def apart(text: str, what: str, folder: Path) -> dict[str, float]:
    """The same in a process of its own."""
    path = folder / "program.trx"
    path.write_text(text, encoding="utf-8")
    command = [sys.executable, __file__, "--measure", what, "--write", str(path)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def row(name: str, text: str, found: dict[str, float]) -> str:
    """A row of the table."""
    stages = ", ".join(f"{k} {v:.2f}" for k, v in found.items() if k not in ("whole", "MiB") and v >= 0.005)
    return f"| {name} | {text.count(chr(10))} | {found['whole']:.2f} | {found['MiB']:.0f} | {stages} |"


def main() -> None:
    import tempfile

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, nargs="*", default=[2_500, 5_000, 10_000])
    parser.add_argument("--layers", type=int, nargs="*", default=[96, 960])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=Path, metavar="FILE")
    parser.add_argument("--measure", choices=("check", "compile"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.write, options.measure)))
        return
    if options.write:
        options.write.write_text(program(options.lines[-1], options.seed), encoding="utf-8")
        return
    texts = {f"{n:,} lines": program(n, options.seed) for n in options.lines}
    for n in options.layers:
        texts[f"{n} layers, written"] = deep(n, options.seed, written=True)
        texts[f"{n} layers, repeat"] = deep(n, options.seed, written=False)
    print("| what | lines | seconds | MiB | stages |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts.items():
            for what in ("check", "compile"):
                print(row(f"{what}: {name}", text, apart(text, what, Path(folder))), flush=True)


if __name__ == "__main__":
    main()
