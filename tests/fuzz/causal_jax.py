"""A program's own `prepare` and `decode` under jax against its `apply`: in float32 and float64, rows alike and ragged.

As a generation would run them, jitted: a chunk of the prompt with places behind it that are not real, then one place at
a time; and one place at a time from the first. Ragged rows have a position each, under `vmap`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import trxc
from trxc_runtime.untyped import jax, jnp

from .emitted import WIDER
from .harmless import Divergence, Verdict

DOUBLE, SINGLE = 1e-10, 1e-5
"""What logits may be off by, as a share of the largest."""

LENGTH, ROWS, PREFIX, PADDED, SOURCE = 7, 3, 4, 6, 5
"""The places of a sequence and its rows; those of the first chunk, how long it is, and the encoder's side."""

CAPACITY = LENGTH + PADDED
"""The places that there is room for: whole chunks are written."""

RAGGED = (4, 1, 3)
"""How many places of the first chunk are real, row by row."""

RECIPE = """
data d {{
  source = arrays()
  fields {{ tokens = int[6], targets = int[6]{source} }}
}}
train t for M {{
  data = d
  loss = cross_entropy(logits, targets)
  optimizer = sgd(0.1)
  batch = 2
  steps = 2
}}
generate g for M {{
  prompt = tokens
  from = logits
}}
"""


@dataclass(frozen=True)
class Off:
    """How far logits are off as a share of the largest: of rows alike, and of ragged ones."""

    alike: float
    ragged: float


def with_recipe(text: str) -> str:
    """A model with what makes it one that is generated from."""
    return text + RECIPE.format(source=", source = int[5]" if re.search(r"source: int", text) else "")


def emitted(text: str) -> str:
    """The program of a model, `decode` and all.

    Raises:
        CompileError: it looks ahead.
        AssertionError: decoding was not derived.
    """
    program = trxc.compile(with_recipe(text), filename="model.trx", name="t")
    assert "decode" in program.ir.roles, [remark.message for remark in program.remarks]
    return program.source


def worst_under_jax(source: str, *, double: bool, seed: int = 0) -> Off:
    """How far a program is off, by its text."""
    with jax.enable_x64(double):
        return Run(source, double=double, seed=seed).off()


def judge_emitted_decoding(text: str, seed: int) -> Verdict:
    """A random model's program in both precisions; `worst` is that of float64."""
    verdict = Verdict(finite=True)
    try:
        source = emitted(text)
        for double, bound in ((True, DOUBLE), (False, SINGLE)):
            off = worst_under_jax(source, double=double, seed=seed)
            worst = max(off.alike, off.ragged)
            verdict.stages += 1
            if double:
                verdict.worst = worst
            if not worst <= bound:
                precision = "float64" if double else "float32"
                verdict.divergence = Divergence("values", f"logits off by {worst:.2g} under jax in {precision}")
                return verdict
    except Exception as error:
        verdict.divergence = Divergence("exception", f"{type(error).__name__}: {str(error)[:300]}")
    return verdict


class Run:
    """A program, with weights that are not as small as they begin, and inputs."""

    def __init__(self, source: str, *, double: bool, seed: int) -> None:
        for narrow, wide in WIDER if double else ():
            source = source.replace(narrow, wide)
        self.program: dict[str, Any] = {"__name__": "program"}
        exec(compile(source, "program.py", "exec"), self.program)
        self.whole = np.int64 if double else np.int32
        rng = np.random.default_rng(seed)

        def moved(x: Any) -> Any:
            shape: tuple[int, ...] = x.shape
            return x + (0.3 * rng.normal(size=shape)).astype(x.dtype)

        self.params = jax.tree.map(moved, self.program["init"](jax.random.key(1)))
        self.weights = self.program["split"](self.params) if "split" in self.program else self.params
        self.state = self.program["init_state"]()
        self.inputs = {"tokens": rng.integers(0, 5, (ROWS, LENGTH)).astype(self.whole)}
        if 'inputs["source"]' in source:
            self.inputs["source"] = rng.integers(0, 5, (ROWS, SOURCE)).astype(self.whole)
        self.prepare, self.decode = jax.jit(self._prepared), jax.jit(self._chunk)

    def off(self) -> Off:
        """The worst of rows alike, place by place and with a chunk first, and of ragged rows."""
        wanted = np.asarray(jax.jit(self.program["apply"])(self.params, self.state, self.inputs)["logits"])
        scale = float(np.max(np.abs(wanted)))
        assert np.isfinite(scale)
        assert scale > 0
        alike = max(float(np.max(np.abs(self._alike(first) - wanted))) for first in (0, PREFIX))
        ragged = max(float(np.max(np.abs(found - wanted[row, at]))) for row, at, found in self._ragged())
        return Off(alike / scale, ragged / scale)

    def _prepared(self, inputs: Any) -> Any:
        given = {**inputs, "tokens": inputs["tokens"][:, :1]}
        return self.program["prepare"](self.weights, self.state, given, CAPACITY)

    def _chunk(self, kept: Any, tokens: Any, start: Any, count: Any) -> tuple[Any, Any]:
        places = {"start": start, "count": count, "slots": jnp.arange(CAPACITY, dtype=self.whole)}
        outputs, kept = self.program["decode"](self.weights, kept, {"tokens": tokens, **places})
        return outputs["logits"], kept

    def _alike(self, first: int) -> Any:
        """[rows, places, vocab]: after a chunk of the first places, if there are to be any, place by place."""
        tokens, kept = self.inputs["tokens"], self.prepare(self.inputs)
        found: list[Any] = []
        if first:
            logits, kept = self.decode(kept, self._padded(tokens[:, :first]), *self._numbers(0, first))
            found.append(logits[:, :first])
        for at in range(first, LENGTH):
            logits, kept = self.decode(kept, tokens[:, at : at + 1], *self._numbers(at, 1))
            found.append(logits)
        return np.concatenate(found, axis=1)

    def _ragged(self) -> Iterator[tuple[int, int, Any]]:
        """Row, place and logits: each row's first chunk has as many real places as it says; then place by place."""
        prepare, decode = jax.jit(jax.vmap(self._row_prepared)), jax.jit(jax.vmap(self._row_chunk))
        tokens, counts = self.inputs["tokens"], np.asarray(RAGGED, self.whole)
        real = np.arange(PREFIX) < counts[:, None]
        first = self._padded(np.where(real, tokens[:, :PREFIX], 3))
        logits, kept = decode(prepare(self.inputs), first, np.zeros_like(counts), counts)
        yield from ((int(row), int(at), logits[row, 0, at]) for row, at in np.argwhere(real))
        for _ in range(LENGTH - max(RAGGED)):
            rows = np.arange(ROWS)
            logits, kept = decode(kept, tokens[rows, counts][:, None], counts, np.ones_like(counts))
            yield from ((row, int(counts[row]), logits[row, 0, 0]) for row in range(ROWS))
            counts = counts + 1

    def _row_prepared(self, inputs: Any) -> Any:
        return self._prepared({name: value[None] for name, value in inputs.items()})

    def _row_chunk(self, kept: Any, tokens: Any, start: Any, count: Any) -> tuple[Any, Any]:
        return self._chunk(kept, tokens[None], start, count)

    def _padded(self, tokens: Any) -> Any:
        """A chunk with places behind it that are not real."""
        behind = np.full((len(tokens), PADDED - tokens.shape[1]), 3, tokens.dtype)
        return np.concatenate([tokens, behind], axis=1)

    def _numbers(self, *numbers: int) -> list[Any]:
        return [np.asarray(number, self.whole) for number in numbers]
