"""Small programs whose faults were found by reading: dtypes at loops and states, keys of draws, keys of functions."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
from elaboration import problem

import trxc

DATA = "data random {\n  source = arrays()\n  fields { x = float[6, 8] }\n}\n"
TRAIN = """train fit for M {{
  data = random
  loss = mean(y * y)
  precision = {precision}
  optimizer = sgd(0.1)
  batch = 4
  steps = 2
}}
"""
PRECISIONS = ["f32", "mixed_bf16"]


def run(body: str, layers: str = "", precision: str = "mixed_bf16") -> tuple[Any, Any, Any]:
    """A model of these statements in one step: its loss, its new state, and what it gives in inference."""
    text = f"{layers}\nmodel M() {{\n  input x: float[batch, seq, d]\n  {body}\n}}\n"
    text += DATA + TRAIN.format(precision=precision)
    program = trxc.compile(text, filename="example.trx", name="fit", verify_each=True)
    names: dict[str, Any] = {"__name__": "program"}
    exec(program.source, names)
    params, state = names["init"](jax.random.key(0)), names["init_state"]()
    x = np.random.default_rng(0).normal(size=(4, 6, 8)).astype(np.float32)
    step = jax.jit(jax.value_and_grad(names["loss"], has_aux=True))
    (loss, new), _ = step(params, state, {"x": x}, jax.random.key(1))
    kinds = [jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree) for tree in (state, new)]
    assert kinds[0] == kinds[1], "a state keeps its shape and dtype"
    return loss, new, names["apply"](params, state, {"x": x})["y"]


def cell(carry: str, following: str) -> str:
    return f"layer C() {{\n  input x: float[batch, d]\n  carry {carry} = zeros\n  next h = {following}\n  output x\n}}"


def counter(dtype: str) -> str:
    body = f"  state n: {dtype} = 256\n  if training {{ next n = n + 1 }}\n  output x"
    return f"layer C() {{\n  input x: float[batch, seq, d]\n{body}\n}}"


# ------------------------------------------------------------------ dtypes


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    "body",
    [
        "output y = x |> Dense(8) |> LSTM(8) |> GRU(8, reverse = true)",
        "output y = x |> repeat(3, BatchNorm >> LSTM(8) >> dropout(rate = 0.1))",
        "output y = x |> Dense(8) |> recur(repeat(2, GRUCell(8)), over = seq)",
        "p = mean(x) > 0.0\n  output y = x |> Dense(8) |> cond(p, BatchNorm >> relu, softmax(over = -1))",
    ],
)
def test_loops_with_states_run(body: str, precision: str) -> None:
    loss, _, y = run(body, precision=precision)
    assert np.isfinite(loss) and y.dtype == np.float32


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    ("carry", "following"),
    [
        ("h: float[batch, d]", "cast(x, f32)"),
        ("h: float[batch, d]", "h + cast(x, bf16)"),
        ("h: f32[batch, d]", "h + x"),
        ("h: int[batch]", "h + 1"),
    ],
)
def test_a_carry_keeps_its_dtype(carry: str, following: str, precision: str) -> None:
    run("output y = x |> Dense(8) |> recur(C, over = seq)", cell(carry, following), precision)


@pytest.mark.parametrize("what", ["carry", "state"])
def test_the_next_value_is_of_the_same_kind(what: str) -> None:
    text = f"layer C() {{\n  input x: float[batch]\n  {what} n: int[batch] = zeros\n  next n = x\n  output x\n}}\n"
    found = problem(text)
    assert (found.code, found.message) == ("TRX0206", "`next n` is `float`, and `n` is `int`")


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("dtype", ["f32", "bf16", "f16"])
def test_a_dtype_that_is_said_stays_in_loops(dtype: str, precision: str) -> None:
    body = f"h = cast(x |> Dense(8), {dtype})\n  output y = h |> repeat(2, softmax(over = -1)) |> repeat(2, relu)"
    run(body, precision=precision)


def test_what_is_said_to_be_f32_is_computed_in_f32() -> None:
    _, _, y = run("output y = mean(cast(x, f32), over = seq) + 100.0")
    assert np.any(y != y.astype(jax.numpy.bfloat16))


# ------------------------------------------------------------------ states


@pytest.mark.parametrize("dtype", ["float", "f32", "int"])
def test_a_count_goes_on_in_mixed_precision(dtype: str) -> None:
    _, new, _ = run("output y = x |> Dense(8) |> C", counter(dtype))
    assert new["c"]["n"] == 257


def test_running_means_are_those_of_full_precision() -> None:
    found = [run("output y = x |> BatchNorm", precision=p)[1]["batch_norm"]["running_mean"] for p in PRECISIONS]
    np.testing.assert_allclose(found[1], found[0], atol=5e-4, rtol=0)
    assert np.any(found[1] != found[1].astype(jax.numpy.bfloat16))


# ------------------------------------------------------------------ draws

NOISE = "fn noise(x: float[..., d]) = tanh(exp(sin(cos(x)))) * 0.0 + random_normal(x.shape)"
DROP = "layer Drop() {\n  input x: float[..., q]\n  output dropout(x, 0.5)\n}"
SKIP = "layer Skip(f: layer) {\n  input x: float[..., q]\n  output dropout(f(x), 0.5)\n}"


@pytest.mark.parametrize(
    ("layers", "body"),
    [
        (NOISE, "output y = noise(x) - noise(x)"),
        (DROP, "drop = Drop\n  output y = drop(x) - drop(x)"),
        (SKIP, "skip = Skip(relu)\n  output y = skip(x) - skip(x)"),
        ("", "output y = dropout(x, 0.5) - dropout(x, 0.5)"),
    ],
)
def test_nothing_draws_twice_alike(layers: str, body: str) -> None:
    assert run(body, layers)[0] > 0.1


# --------------------------------------------------------------- functions


def test_zero_and_minus_zero_are_two_functions() -> None:
    layer = "layer S(k: float) {\n  input x: float[..., q]\n  output 1.0 / (k * exp(tanh(sin(x))))\n}"
    _, _, y = run("output y = S(0.0)(x) + S(-0.0)(x)", layer)
    assert np.all(np.isnan(y)), "inf - inf"


def test_a_mesh_rule_for_one_of_two_dims_keeps_functions_apart() -> None:
    layer = """layer Wide() {
  input x: float[b, n, q]
  output x |> Dense(8) |> relu |> Dense(8)
}"""
    model = """model M() {
  input x: float[batch, source_len, d]
  input t: float[batch, target_len, d]
  output y = mean(x |> Wide, over = [1, 2]) + mean(t |> Wide, over = [1, 2])
}"""
    mesh = "mesh m {\n  data = 1\n  model = 1\n  batch -> data\n  source_len -> model\n}\n"
    data = DATA.replace("x = float[6, 8]", "x = float[6, 8], t = float[5, 8]")
    train = TRAIN.format(precision="f32").replace("batch = 4", "batch = 4\n  mesh = m")
    text = "\n".join([mesh, layer, model, data, train])
    module = trxc.compile(text, filename="example.trx", name="fit", verify_each=True).ir
    split = {
        value.type.axes[1].public_name
        for function in module.functions.values()
        for op in function.body.walk()
        if op.kind == "constrain" and "model" in str(op.attributes["spec"])
        for value in op.results
    }
    assert split == {"source_len"}
    called = [op.attributes["callee"] for op in module.role("apply").body.walk() if op.kind == "call"]
    assert len(set(called)) == 2
