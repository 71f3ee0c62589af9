"""Programs with a token changed: whatever comes of it is a diagnostic, and soon."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import trxc

CASES = Path(__file__).parents[1] / "cases" / "language"
TOKEN = re.compile(r'"[^"\n]*"|[A-Za-z_]\w*|\d[\w.]*(?:e-\d+)?|\|>|>>|=>|->|\.\.\.|[<>=!]=|\s+|#[^\n]*|.')

CELL = """
layer Cell(hidden: int) {
  input x: float[batch, features]
  carry h: float[batch, hidden] = zeros
  next h = tanh(Dense(hidden)(concat([x, h], along = -1)))
  output next h
}
model M(hidden: int = 8, layers: int = 2, classes: int = 3) {
  input x: float[batch, seq, 4]
  require seq <= 16, "too long"
  a, b = split(x |> recur(Cell(hidden), over = seq), 2, along = -1)
  y = x |> repeat(layers, residual(LayerNorm >> Dense(4 * hidden) >> gelu >> Dense(4)))
  param w: float[4, hidden / 2] = normal(0.02)
  z = einsum("b s d, d e -> b s e", y, w) + a * sigmoid(b)
  output logits: float[batch, classes] = mean(z, over = seq) |> Dense(classes)
}
data d {
  source = csv("a.csv")
  fields { x = float[16, 4], label = int }
  split { train = 0.9, valid = 0.1 }
}
mesh pod { data = 2, batch -> data }
train t for M {
  data = d
  loss = cross_entropy(logits, label)
  metrics { accuracy = mean(argmax(logits, over = classes) == label), perplexity = exp(loss) }
  optimizer = clip_by_global_norm(1.0) >> adamw(warmup_cosine(peak = 1e-3, warmup = 10))
  batch = 8
  steps = 100
  evaluate { every = 10, best = min(loss) }
  mesh = pod
}
"""
PROGRAMS = [(CASES / "gpt.trx").read_text(encoding="utf-8"), CELL]
TOKENS = [TOKEN.findall(text) for text in PROGRAMS]
OTHERS = sorted({token for tokens in TOKENS for token in tokens if not token.isspace()})
STRANGE = [
    "0",
    "-1",
    "1.5",
    "none",
    "true",
    "[]",
    "()",
    "x",
    "[x, x]",
    "fn(i) => i",
    '""',
    "...",
    "10_000_000_000",
    "inf",
]


@st.composite
def mutated(draw: st.DrawFn) -> str:
    tokens = list(draw(st.sampled_from(TOKENS)))
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(tokens) - 1))
        match draw(st.sampled_from(["replace", "replace", "drop", "double", "swap"])):
            case "replace":
                tokens[at] = draw(st.sampled_from(OTHERS + STRANGE))
            case "drop":
                del tokens[at]
            case "double":
                tokens.insert(at, tokens[at])
            case _:
                other = draw(st.integers(0, len(tokens) - 1))
                tokens[at], tokens[other] = tokens[other], tokens[at]
    return "".join(tokens)


def test_the_programs_are_right():
    for text in PROGRAMS:
        found = trxc.check(text, filename="example.trx")
        assert [str(item) for item in found if item.severity == "error"] == []


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
@given(mutated())
def test_a_mutated_program_gives_diagnostics(text: str):
    for found in trxc.check(text, filename="example.trx"):
        assert found.span is not None
        assert found.span.source.name == "example.trx", str(found)
