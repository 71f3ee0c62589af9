"""Recurrent layers under jax with and without the passes of their loops: values, gradients, and what is in the loop."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import trxc
from trxc.plan.targets import TARGETS

PASSES = ("hoist-loop-invariants", "recurrent-weight-gradient")


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pass does on CPUs what it does where it pays."""
    monkeypatch.setitem(TARGETS, "cpu", replace(TARGETS["cpu"], projects_sequences=True))


OWN = """
layer Own(hidden: int) {
  input x: float[batch, features]
  carry h: float[batch, hidden] = zeros
  carry c: float[batch, hidden] = zeros
  param wi: float[features, hidden] = glorot_uniform
  param wf: float[features, hidden] = glorot_uniform
  param ui: float[hidden, hidden] = orthogonal
  param uf: float[hidden, hidden] = orthogonal
  param b: float[hidden] = zeros
  f = sigmoid(x @ wf + h @ uf + b)
  next c = f * c + (1.0 - f) * tanh(x @ wi + h @ ui)
  next h = tanh(next c)
  output next h
}
layer Counting(hidden: int) {
  input x: float[batch, features]
  carry h: float[batch, hidden] = zeros
  param w: float[features, hidden] = glorot_uniform
  param u: float[hidden, hidden] = orthogonal
  state steps: float[] = zeros
  next steps = steps + 1.0
  next h = tanh(dropout(x, 0.0) @ w + h @ u)
  output next h
}
layer Stack(hidden: int) {
  input x: float[batch, seq, hidden]
  blocks = repeat(2, LSTM(hidden))
  output x |> blocks
}
layer Decay(rate: float) {
  input x: float[batch, features]
  carry h: float[batch, features] = zeros
  next h = rate * h + (1.0 - rate) * x
  output next h
}
"""

LAYERS = {
    "simple": "SimpleRNN(8)",
    "lstm": "LSTM(8)",
    "gru": "GRU(8)",
    "reversed": "LSTM(8, reverse = true)",
    "bidirectional": "bidirectional(LSTM(4), GRU(4))",
    "stacked": "LSTM(8) >> LSTM(8)",
    "repeated": "Dense(8) >> Stack(8)",
    "own": "recur(Own(8), over = seq)",
    "counting": "recur(Counting(8), over = seq)",
    "decay": "Dense(8) >> recur(Decay(0.8), over = seq)",
}


def compiled(layer: str, **settings: Any) -> trxc.Program:
    """A model of one recurrent layer, with a loss."""
    text = f"""{OWN}
model M() {{
  input x: float[batch, seq, 6]
  output y: float[batch, seq, 8] = x |> {LAYERS[layer]}
}}
data d {{
  source = arrays()
  fields {{ x = float[5, 6], targets = float[5, 8] }}
}}
train t for M {{
  data = d
  loss = mean((y - targets)^2)
  optimizer = adam(1e-3)
  batch = 3
  steps = 1
}}
"""
    return trxc.compile(text, filename="recurrent.trx", name="t", verify_each=True, **settings)


def emitted(program: trxc.Program, *, double: bool = False) -> dict[str, Any]:
    """The functions of a program; in float64, its text says that where it said float32."""
    source = program.source.replace("float32", "float64") if double else program.source
    functions: dict[str, Any] = {"__name__": "program"}
    exec(compile(source, "program.py", "exec"), functions)
    return functions


def batch_of(dtype: str) -> dict[str, Any]:
    rng = np.random.default_rng(5)
    return {name: jnp.asarray(rng.normal(size=(3, 5, size)), dtype) for name, size in (("x", 6), ("targets", 8))}


def outcome(program: trxc.Program, *, double: bool) -> list[Any]:
    """Loss, new state and gradients, by weights and inputs; then the output."""
    functions, batch = emitted(program, double=double), batch_of("float64" if double else "float32")
    params, state, key = functions["init"](jax.random.key(1)), functions["init_state"](), jax.random.key(2)
    run = jax.jit(jax.value_and_grad(functions["loss"], (0, 2), has_aux=True))
    return jax.tree.leaves((run(params, state, batch, key), jax.jit(functions["apply"])(params, state, batch)))


@pytest.mark.parametrize(("layer", "double"), [*((layer, True) for layer in LAYERS), ("own", False)])
def test_values_and_gradients_are_those_without_the_passes(layer: str, double: bool) -> None:
    off = ("hoist-loop-invariants", "recurrent-weight-gradient", "merge-projections")
    best, plain = compiled(layer), compiled(layer, disable=off)
    with jax.enable_x64(double):
        found, wanted = outcome(best, double=double), outcome(plain, double=double)
    bound = 1e-9 if double else 1e-4
    for one, other in zip(wanted, found, strict=True):
        np.testing.assert_allclose(other, one, rtol=0, atol=bound * (1e-3 + float(np.max(np.abs(one)))))


def scans(jaxpr: Any) -> list[Any]:
    """The bodies of all scans in a jaxpr."""
    found: list[Any] = []
    for equation in jaxpr.eqns:
        for value in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda v: hasattr(v, "eqns")):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                found += [inner] if equation.primitive.name == "scan" else []
                found += scans(inner)
    return found


def products_in_loops(program: trxc.Program) -> list[tuple[tuple[int, ...], ...]]:
    """The shapes of what products in loops multiply and give, in the step of training."""
    functions, batch = emitted(program), batch_of("float32")
    params, state, key = functions["init"](jax.random.key(1)), functions["init_state"](), jax.random.key(2)
    traced = jax.make_jaxpr(jax.value_and_grad(functions["loss"], has_aux=True))(params, state, batch, key)
    equations = [e for body in scans(traced.jaxpr) for e in every_equation(body) if e.primitive.name == "dot_general"]
    return [tuple(v.aval.shape for v in (*e.invars, *e.outvars)) for e in equations]


def every_equation(jaxpr: Any) -> list[Any]:
    """All equations of a jaxpr, but those of scans in it."""
    found: list[Any] = []
    for equation in jaxpr.eqns:
        found.append(equation)
        for value in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda v: hasattr(v, "eqns")):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns") and equation.primitive.name != "scan":
                found += every_equation(inner)
    return found


def test_the_loop_of_a_training_step_has_two_products() -> None:
    """With the carry, forward, and with the gradient of the gates, backward: `h @ u` and `d @ u.T`."""
    assert sorted(products_in_loops(compiled("lstm"))) == [
        ((3, 8), (8, 32), (3, 32)),
        ((3, 32), (32, 8), (3, 8)),
    ]


def test_without_the_passes_it_has_more() -> None:
    found = products_in_loops(compiled("lstm", disable=PASSES))
    assert ((3, 6), (6, 32), (3, 32)) in found
    assert len(found) > 4


def test_gates_of_ones_own_project_no_elements_and_sum_no_weights_in_the_loop() -> None:
    found = products_in_loops(compiled("own"))
    assert found and all(product[-1][0] == 3 for product in found), "what a product gives is a row for each example"
    assert all((3, 6) not in product for product in found)


def test_parameters_are_called_the_same() -> None:
    for layer in ("own", "repeated"):
        names = [[p["path"] for p in compiled(layer, disable=off).manifest["parameters"]] for off in ((), PASSES)]
        assert sorted(names[0]) == sorted(names[1])


def test_in_mixed_precision_a_weight_is_cast_once_and_its_gradient_is_f32() -> None:
    program = compiled("lstm", set={"t.precision": "mixed_bf16"})
    functions, batch = emitted(program), batch_of("float32")
    params, key = functions["init"](jax.random.key(1)), jax.random.key(2)
    traced = jax.make_jaxpr(functions["loss"])(params, {}, batch, key)
    casts = [
        e for body in scans(traced.jaxpr) for e in every_equation(body) if e.primitive.name == "convert_element_type"
    ]
    assert (8, 32) not in [e.outvars[0].aval.shape for e in casts]
    grads = jax.jit(jax.grad(functions["loss"], has_aux=True))(params, {}, batch, key)[0]
    assert {leaf.dtype.name for leaf in jax.tree.leaves(grads)} == {"float32"}
    exact = jax.jit(jax.grad(emitted(compiled("lstm"))["loss"], has_aux=True))(params, {}, batch, key)[0]
    for one, other in zip(jax.tree.leaves(exact), jax.tree.leaves(grads), strict=True):
        np.testing.assert_allclose(other, one, atol=0.05 * float(np.max(np.abs(one))))


def test_under_checkpoint_and_twice_differentiated() -> None:
    """The parts of a weight's gradient go through recomputation, and can be differentiated themselves."""
    found: list[Any] = []
    with jax.enable_x64(True):
        for off in ((), PASSES):
            functions, batch = emitted(compiled("gru", disable=off), double=True), batch_of("float64")
            params, key = functions["init"](jax.random.key(1)), jax.random.key(2)

            def loss(weights: Any, given: Any = functions, data: Any = batch, draws: Any = key) -> Any:
                return jax.checkpoint(lambda w: given["loss"](w, {}, data, draws)[0])(weights)

            def norm(weights: Any, of: Any = loss) -> Any:
                return sum(jnp.sum(g**2) for g in jax.tree.leaves(jax.grad(of)(weights)))

            found.append(jax.tree.leaves((jax.jit(jax.grad(loss))(params), jax.jit(jax.grad(norm))(params))))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-9, atol=1e-12)
