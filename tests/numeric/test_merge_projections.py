"""Merged projections under jax: values and gradients as without, and the weights as they were."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest
from recipes import assert_close, namespace

import trxc
from trxc.plan.targets import TARGETS

OFF = ("merge-projections",)


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pass does on CPUs what it does where it pays."""
    monkeypatch.setitem(TARGETS, "cpu", replace(TARGETS["cpu"], merged_width=1.5))


RECIPE = """
data random {
  source = arrays()
  fields { x = float[5, 8], target = float[5, 8] }
}
train t for M {
  data = random
  loss = mean((y - target) ^ 2)
  optimizer = sgd(0.1)
  batch = 3
  steps = 1
}
"""


def model(body: str, layers: str = "") -> str:
    """A program whose model maps [batch, seq, 8] to as much."""
    head = "model M(embed: int = 8) {\n  input x: float[batch, seq, embed]\n"
    return f"{layers}{head}  output y: float[batch, seq, embed] = {body}\n}}\n{RECIPE}"


BRANCHES = """
layer Branches() {
  input x: float[..., features]
  param wide: float[features, 4, 2] = normal(0.5)
  param slim: float[features, 2, 2] = normal(0.5)
  left = Dense(4)
  right = Dense(features)
  a = einsum("... i, i o c -> ... c o", x, wide)
  b = einsum("... i, i o c -> ... c o", x, slim)
  output (x |> right) * sum(a, over = (-1, -2))[..., none] + sum(b, over = (-1, -2))[..., none] +
    sum(x |> left, over = -1, keep = true)
}
"""
CELL = """
layer Gated(hidden: int) {
  input x: float[batch, features]
  carry h: float[batch, hidden] = zeros
  param u: float[hidden, hidden] = normal(0.5)
  param v: float[hidden, hidden] = normal(0.5)
  param w: float[hidden, hidden] = normal(0.5)
  param a: float[features, hidden] = normal(0.5)
  param b: float[features, hidden] = normal(0.5)
  param c: float[features, hidden] = normal(0.5)
  next h = sigmoid(x @ a + h @ u) * tanh(x @ b + h @ v) + tanh(x @ c + h @ w)
  output next h
}
"""
PROGRAMS: dict[str, tuple[str, int]] = {
    "self": (model("x |> SelfAttention(2, causal = true)"), 1),
    "bias": (model("x |> SelfAttention(2, bias = true)"), 1),
    "kv_heads": (model("x |> SelfAttention(4, kv_heads = 2, rotary = true)"), 1),
    "cross": (model("x |> CrossAttention(2, memory = concat([x, x * 2.0]), bias = true)"), 1),
    "gated": (model("x |> SwiGLU(6, bias = true)"), 1),
    "blocks": (model("x |> repeat(2, LlamaBlock(2, mlp = 6))"), 2),
    "branches": (model("x |> Branches", BRANCHES), 2),
    "cell": (model("x |> recur(Gated(8), over = seq)", CELL), 2),
}
"""Programs, and how many merged products there are to be in each at least."""


def program_of(name: str, **options: Any) -> trxc.Program:
    return trxc.compile(PROGRAMS[name][0], filename="case.trx", verify_each=True, **options)


def outcome(program: trxc.Program, *, double: bool) -> list[np.ndarray[Any, Any]]:
    """The output, the loss, and its gradients by weights and input, for weights that are the same by name."""
    rng = np.random.default_rng(3)
    names = namespace(program)
    params = names["init"](jax.random.key(1))
    inputs = {name: rng.normal(size=(3, 5, 8)).astype(np.float32) for name in ("x", "target")}
    with jax.enable_x64(double):
        if double:
            names = {}
            exec(program.source.replace("float32", "float64"), names)
            params, inputs = (
                jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree) for tree in (params, inputs)
            )

        def loss(params: Any, inputs: Any) -> Any:
            return names["loss"](params, {}, inputs, jax.random.key(2))[0]

        found = jax.jit(jax.value_and_grad(loss, (0, 1)))(params, inputs)
        output = names["apply"](params, {}, {"x": inputs["x"]})
        return [np.asarray(leaf) for leaf in jax.tree.leaves((found, output))]


@pytest.mark.parametrize("name", PROGRAMS)
def test_values_and_gradients_are_as_without(name: str) -> None:
    merged, apart = program_of(name), program_of(name, disable=OFF)
    done = [remark for remark in merged.remarks if (remark.source, remark.kind) == (OFF[0], "done")]
    assert len(done) >= PROGRAMS[name][1]
    assert merged.source != apart.source
    assert_close(outcome(apart, double=True), outcome(merged, double=True), 1e-9)
    assert_close(outcome(apart, double=False), outcome(merged, double=False), 1e-4)


@pytest.mark.parametrize("name", PROGRAMS)
def test_weights_keep_names_shapes_and_first_values(name: str) -> None:
    merged, apart = program_of(name), program_of(name, disable=OFF)
    listed = [sorted(p.manifest["parameters"], key=lambda entry: entry["path"]) for p in (merged, apart)]
    assert listed[0] == listed[1]
    first, second = (namespace(program)["init"](jax.random.key(4)) for program in (merged, apart))
    assert jax.tree.structure(first) == jax.tree.structure(second)
    for one, other in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        np.testing.assert_array_equal(one, other)


def test_in_mixed_precision_the_joint_weight_is_cast() -> None:
    settings = {"t.precision": "mixed_bf16"}
    merged, apart = program_of("self", set=settings), program_of("self", set=settings, disable=OFF)
    assert_close(outcome(apart, double=False), outcome(merged, double=False), 0.05)
    (joined,) = [op for f in merged.ir.functions.values() for op in f.body.walk() if op.kind == "concat"]
    assert joined.result.type.dtype.name in ("bf16", "f32")


def test_a_weight_that_a_mesh_splits_stays_by_itself() -> None:
    recipe = PROGRAMS["self"][0].replace("steps = 1", "steps = 1\n  mesh = two")
    recipe = recipe.replace("int = 8)", "int = 8, heads: int = 2)").replace("SelfAttention(2", "SelfAttention(heads")
    text = recipe + "mesh two {\n  model = 2\n  heads -> model\n}\n"
    program = trxc.compile(text, filename="case.trx", verify_each=True)
    (joined,) = [op for f in program.ir.functions.values() for op in f.body.walk() if op.kind == "concat"]
    assert joined.attributes["along"] == 2, "along `head`, which no rule splits"
