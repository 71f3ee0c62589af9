"""Fused attention under jax: values and gradients as without the pass, however attention is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from recipes import assert_close, namespace

import trxc

OFF = ("fuse-attention",)
ROOT = Path(__file__).parents[2]
SEQ = 70  # a whole block of queries, and a rest
RECIPE = f"""
data random {{
  source = arrays()
  fields {{ x = float[{SEQ}, 8], target = float[{SEQ}, 8] }}
}}
train t for M {{
  data = random
  loss = mean((y - target) ^ 2)
  optimizer = sgd(0.1)
  batch = 2
  steps = 1
}}
"""
USES = "use std.attention (causal_mask, alibi, masked)\n"


def model(body: str, layers: str = "", before: str = "") -> str:
    """A program whose model maps [batch, seq, 8] to as much."""
    head = f"model M(embed: int = 8) {{\n  input x: float[batch, seq, embed]\n  {before}\n"
    return f"{USES}{layers}{head}  output y: float[batch, seq, embed] = {body}\n}}\n{RECIPE}"


def layer(scores: str, mixed: str = 'einsum("b h s t, b t h e -> b s h e", weights, q)', before: str = "") -> str:
    """A layer `Own(heads)` that attends to its input; q is [batch, seq, heads, head]."""
    return f"""
layer Own(heads: int) {{
  input x: float[batch, seq, embed]
  dim head = embed / heads
  require embed % heads == 0
  param w: float[embed, heads, head] = normal(0.5)
  q = einsum("b s d, d h e -> b s h e", x, w)
  plain = einsum("b s h e, b t h e -> b h s t", q, q * 0.5)
  {before}
  weights = softmax({scores}, over = -1)
  output rearrange({mixed}, "b s h e -> b s (h e)")
}}
"""


RELATIVE = layer(
    "plain + bias",
    before="""param table: float[8, heads] = normal(0.5)
  near = clip(iota(seq)[:, none] - iota(seq)[none, :], 0, 7)
  bias = rearrange(table[near], "s t h -> h s t")""",
)
TURNED = layer(
    "where(iota(seq)[:, none] < iota(seq)[none, :], -inf, many @ swap(many, -1, -2) / 2.0)",
    'rearrange(weights @ many, "b h s e -> b s h e")',
    'many = rearrange(q, "b s h e -> b h s e")',
)
MASK = "mask = x[:, :, 0] > 0.3"
PROGRAMS: dict[str, tuple[str, int]] = {
    "plain": (model("x |> SelfAttention(2)"), 1),
    "causal": (model("x |> SelfAttention(2, causal = true, bias = true)"), 1),
    "grouped": (model("x |> SelfAttention(4, causal = true, kv_heads = 2, rotary = true)"), 1),
    "window": (model("x |> SelfAttention(2, window = 5)"), 1),
    "padded": (model("x |> SelfAttention(2, mask = mask, causal = true)", before=MASK), 1),
    "all padded": (model("x |> SelfAttention(2, mask = mask, window = 3)", before="mask = x[:, :, 0] > 99.0"), 1),
    "cross": (model("x |> CrossAttention(2, memory = concat([x, sin(x)], along = 1))"), 1),
    "decoder": (model("x |> DecoderBlock(2, x |> EncoderBlock(2, mask = mask), mask = mask)", before=MASK), 3),
    "llama": (model("x |> repeat(2, LlamaBlock(2, mlp = 6, kv_heads = 1, window = 9))"), 1),
    "relative": (model("x |> Own(2)", RELATIVE), 1),
    "alibi": (model("x |> Own(2)", layer("where(causal_mask(seq, seq), plain + alibi(heads, seq, seq), -inf)")), 1),
    "turned": (model("x |> Own(2)", TURNED), 1),
    "finite": (model("x |> Own(2)", layer("masked(plain, causal_mask(seq, seq))")), 1),
}
"""Programs, and how many softmaxes are to be fused in each."""


def outcome(program: trxc.Program, *, double: bool) -> list[np.ndarray[Any, Any]]:
    """The output, the loss, and its gradients by weights and input."""
    rng = np.random.default_rng(3)
    names = namespace(program)
    params = names["init"](jax.random.key(1))
    inputs = {name: rng.normal(size=(2, SEQ, 8)).astype(np.float32) for name in ("x", "target")}
    with jax.enable_x64(double):
        if double:
            names = {}
            exec(program.source.replace("float32", "float64"), names)
            params, inputs = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), (params, inputs))

        def loss(params: Any, inputs: Any) -> Any:
            return names["loss"](params, {}, inputs, jax.random.key(2))[0]

        found = jax.jit(jax.value_and_grad(loss, (0, 1)))(params, inputs)
        output = jax.jit(names["apply"])(params, {}, {"x": inputs["x"]})
        return [np.asarray(leaf) for leaf in jax.tree.leaves((found, output))]


def kinds(program: trxc.Program) -> set[str]:
    """The kinds of all ops of a program."""
    return {op.kind for function in program.ir.functions.values() for op in function.body.walk()}


@pytest.mark.parametrize("name", PROGRAMS)
def test_values_and_gradients_are_as_without(name: str) -> None:
    text, count = PROGRAMS[name]
    fused = trxc.compile(text, filename="case.trx", verify_each=True)
    apart = trxc.compile(text, filename="case.trx", disable=OFF)
    done = {remark for remark in fused.remarks if (remark.source, remark.kind) == (OFF[0], "done")}
    assert len(done) == count
    assert "softmax" in kinds(apart)
    assert "softmax" not in kinds(fused)
    assert_close(outcome(apart, double=True), outcome(fused, double=True), 1e-9)
    assert_close(outcome(apart, double=False), outcome(fused, double=False), 1e-4)


@pytest.mark.parametrize(
    "path", ["examples/quickstart.trx", "examples/translate.trx", "tests/cases/passes/programs/gpt.trx"]
)
def test_examples_are_fused(path: str) -> None:
    program = trxc.compile(ROOT / path, verify_each=True)
    assert "attention" in kinds(program) | {kind.partition("_")[0] for kind in kinds(program)}
    assert "softmax" not in kinds(program)


def test_dropout_on_weights_is_fused_and_keeps_its_key() -> None:
    program = trxc.compile(model("x |> SelfAttention(2, drop = 0.25)"), filename="case.trx", verify_each=True)
    fused = [op for f in program.ir.functions.values() for op in f.body.walk() if op.kind == "attention_dropout"]
    assert [(op.attributes["rate"], op.path()) for op in fused] == [(0.25, ("dropout",))]
    assert {"attention", "attention_dropout"} <= kinds(program), "none of it in inference"


def test_mixed_precision_gives_it_16_bits_and_takes_16_bits() -> None:
    text = PROGRAMS["relative"][0]
    program = trxc.compile(text, filename="case.trx", verify_each=True, set={"t.precision": "mixed_bf16"})
    ops = [op for f in program.ir.functions.values() for op in f.body.walk() if op.kind == "attention"]
    assert ops
    assert {value.type.dtype.name for op in ops for value in [*op.operands, *op.results]} == {"bf16"}


def test_after_precision_there_is_still_attention_to_be_found() -> None:
    """Casts around the softmax are looked through, and the result has the dtype that it had."""
    from trxc.ir.verify import verify
    from trxc.passes import Remarks
    from trxc.passes.fuse_attention import FuseAttention

    text = PROGRAMS["causal"][0]
    program = trxc.compile(text, filename="case.trx", disable=OFF, set={"t.precision": "mixed_bf16"})
    assert {"softmax", "cast"} <= kinds(program)
    FuseAttention().run(program.ir, Remarks())
    assert verify(program.ir) == []
    assert "softmax" not in kinds(program)
