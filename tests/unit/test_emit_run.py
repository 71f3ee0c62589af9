"""What emitted programs compute."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from emit_cells import batch_norm_tower, branching, lstm, sizes
from emit_examples import NORMAL, RECIPE, Build, X, function, gpt, module, tensor

from trxc.emit import Declared, EmitRecipe, emit_program
from trxc.ir import Module, Parameter, Value
from trxc.types import F32
from trxc_runtime.safety import check_program

SGD = EmitRecipe(Declared("sgd", "optax:sgd", (("learning_rate", 0.1),)))


def load(module_: Module, recipe: EmitRecipe | None = None) -> Any:
    source = emit_program(module_, recipe).source
    check_program(source)
    names: dict[str, Any] = {"__name__": "program"}
    exec(compile(source, "program.py", "exec"), names)
    return SimpleNamespace(**names)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("recipe", [None, SGD])
def test_main_runs(recipe: EmitRecipe | None, capsys: pytest.CaptureFixture[str]) -> None:
    load(batch_norm_tower(), recipe).main()
    out = capsys.readouterr().out
    assert "Tower: 64 parameters" in out
    assert ("loss:" in out) == (recipe is not None)


def tower_reference(params: Any, state: Any, x: np.ndarray, training: bool) -> tuple[np.ndarray, list[Any]]:
    """The three layers and the head, and the means that training would note."""
    means: list[Any] = []

    def norm(x: np.ndarray, scale: Any, mean: Any, var: Any) -> np.ndarray:
        if training:
            means.append(0.9 * np.asarray(mean) + 0.1 * x.mean(0))
            mean, var = x.mean(0), x.var(0)
        return (x - mean) / np.sqrt(var + 1e-5) * scale

    layers, kept = params["layers"], state["layers"]["norm"]
    for i in range(3):
        h = x @ np.asarray(layers["w"][i])
        x = np.tanh(norm(h, layers["norm"]["scale"][i], kept["running_mean"][i], kept["running_var"][i]))
    head = state["head"]["norm"]
    return norm(x, params["head"]["norm"]["scale"], head["running_mean"], head["running_var"]), means


def test_state_is_read_in_inference_and_replaced_in_training() -> None:
    program = load(batch_norm_tower(), SGD)
    params, state = program.init(jax.random.key(1)), program.init_state()
    state = jax.tree.map(lambda s: s + 0.5, state)
    x, target = (np.asarray(jax.random.normal(jax.random.key(k), (6, 4))) for k in (2, 3))
    expected, _ = tower_reference(params, state, x, training=False)
    got = program.apply(params, state, {"x": x})["y"]
    np.testing.assert_allclose(got, expected, rtol=2e-3, atol=2e-4)
    expected, means = tower_reference(params, state, x, training=True)
    batch = {"x": x, "target": target}
    value, new = program.loss(params, state, batch, jax.random.key(0))
    np.testing.assert_allclose(value, np.mean((expected - target) ** 2), rtol=2e-2)
    np.testing.assert_allclose(new["layers"]["norm"]["running_mean"], np.stack(means[:3]), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(new["head"]["norm"]["running_mean"], means[3], rtol=1e-4, atol=1e-3)
    assert jax.tree.structure(new) == jax.tree.structure(state)


def test_recur_backwards() -> None:
    """Against the equations, step by step; the outputs pass dropout, the carries do not."""
    program = load(lstm())
    params = jax.tree.map(lambda w: 20 * w, program.init(jax.random.key(1)))
    x = np.asarray(jax.random.normal(jax.random.key(2), (2, 7, 3)))
    h, c = np.zeros((2, 5)), np.zeros((2, 5))
    steps: list[np.ndarray] = []
    for t in reversed(range(7)):
        gates = np.concatenate([x[:, t], h], -1) @ np.asarray(params["cell"]["w"])
        i, f, g, o = np.split(gates, 4, -1)
        c = sigmoid(f + 1.0) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        steps.insert(0, h)
    got = program.apply(params, {}, {"x": x})
    np.testing.assert_allclose(got["last"], h, rtol=1e-5, atol=1e-6)
    y, expected = np.asarray(got["y"]), np.stack(steps, 1)
    kept = y != 0
    assert 0.2 < kept.mean() < 0.8
    np.testing.assert_allclose(y[kept], 2 * expected[kept], rtol=1e-5, atol=1e-6)
    assert len({row.tobytes() for row in kept.transpose(1, 0, 2)}) > 1, "every step has a key of its own"


@pytest.mark.parametrize("sign", [1, -1])
def test_cond_takes_one_branch(sign: int) -> None:
    program = load(branching())
    params = program.init(jax.random.key(1))
    x = sign * np.abs(np.asarray(jax.random.normal(jax.random.key(2), (3, 4))))
    key = np.tanh(x)
    branch = key @ np.asarray(params["then"]["w"]) if sign > 0 else x + 2 * key
    got = program.apply(params, {}, {"lambda": x})["y"]
    np.testing.assert_allclose(got, branch * 3 + (sign > 0), rtol=1e-5, atol=1e-5)


def test_sizes_are_solved_and_passed_on() -> None:
    program = load(sizes())
    pairs, other = np.ones((6, 4), np.float32), np.ones((5, 4), np.float32)
    got = program.apply({}, {}, {"pairs": pairs, "other": other})
    assert got["y"].shape == (3, 4)
    np.testing.assert_allclose(got["y"], 1 / 16)
    np.testing.assert_allclose(got["z"], 40)


def layers(rolled: bool) -> Module:
    """Two layers with dropout: under `repeat`, or written out."""
    weights = {("w",): Parameter(("w",), tensor(F32, ("embed", 8), ("embed", 8)), NORMAL)}
    x = Value(X, "x")
    b = Build(x)
    w = b.raw("parameter", [], [weights["w",].type], path=("w",))[0]
    layer = function("layer", b, [b.op("dropout", b.op("matmul", x, w), rate=0.5, path=("dropout",))], weights)
    y = x = Value(X, "x")
    b = Build(x)
    if rolled:
        carry = Value(X, "x")
        inner = Build(carry)
        inner.region.results = inner.call(layer, carry)
        (y,) = b.raw("repeat", [x], [X], ["y"], [inner.region], count=2, path=("net", "layers"))
    else:
        for i in range(2):
            (y,) = b.call(layer, y, path=("net", f"layers[{i}]"))
    return module("m", [layer, function("model", b, [y], outputs=["y"])], apply="model")


def test_rolled_and_written_out_agree_bit_for_bit() -> None:
    rolled, flat = load(layers(True)), load(layers(False))
    stacked, single = rolled.init(jax.random.key(3)), flat.init(jax.random.key(3))
    for i in range(2):
        np.testing.assert_array_equal(stacked["net"]["layers"]["w"][i], single["net"][f"layers_{i}"]["w"])
    x = jax.random.normal(jax.random.key(4), (2, 3, 8))
    np.testing.assert_allclose(
        rolled.apply(stacked, {}, {"x": x})["y"], flat.apply(single, {}, {"x": x})["y"], rtol=1e-5
    )


def gpt_batch() -> dict[str, jax.Array]:
    keys = jax.random.split(jax.random.key(5))
    return {name: jax.random.randint(k, (4, 6), 0, 16) for name, k in zip(("tokens", "targets"), keys, strict=True)}


def tower_batch() -> dict[str, jax.Array]:
    keys = jax.random.split(jax.random.key(5))
    return {name: jax.random.normal(k, (4, 4)) for name, k in zip(("x", "target"), keys, strict=True)}


def one_step(program: Any, batch: dict[str, jax.Array], **change: Any) -> tuple[Any, Any, dict[str, jax.Array]]:
    params, state = program.init(jax.random.key(0)), program.init_state()
    start = jax.tree.map(jnp.copy, params)
    opt_state = program.optimizer().init(params)
    opt_state = {**opt_state, **change} if change else opt_state
    new, _, _, metrics = program.train_step(params, state, opt_state, batch, jax.random.key(9))
    return start, new, metrics


def without_dropout(module_: Module) -> Module:
    for function_ in module_.functions.values():
        for op in function_.body.walk():
            if op.kind == "dropout":
                op.attributes["rate"] = 0.0
    return module_


def test_accumulation_is_the_mean_gradient() -> None:
    batch = gpt_batch()
    whole = one_step(load(without_dropout(gpt()), SGD), batch)
    split = one_step(load(without_dropout(gpt()), dataclasses.replace(SGD, accumulate=4)), batch)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), whole[1:], split[1:])


def test_schedule_drives_the_update() -> None:
    program = load(gpt(), RECIPE)
    assert float(program.schedule(0)) == 0.0
    np.testing.assert_allclose(program.schedule(100), 1e-3, rtol=1e-6)
    start, new, metrics = one_step(program, gpt_batch())
    jax.tree.map(np.testing.assert_array_equal, start, new)  # the rate is 0 at step 0
    assert set(metrics) == {"loss", "grad_norm"}


def test_frozen_weights_stay_and_count_for_nothing() -> None:
    batch = gpt_batch()
    start, new, metrics = one_step(
        load(gpt(), dataclasses.replace(SGD, freeze=("blocks[*].attention", "table"))), batch
    )
    same = jax.tree.map(lambda a, b: bool((a == b).all()), start, new)
    assert all(jax.tree.leaves(same["blocks"]["attention"]))
    assert same["table"]["w"]
    assert not same["blocks"]["up"]
    assert metrics["grad_norm"] < one_step(load(gpt(), SGD), batch)[2]["grad_norm"]


def test_l2_is_the_gradient_of_the_squared_norm() -> None:
    recipe = dataclasses.replace(SGD, l2=(("layers", 0.25),), freeze=("head",))
    start, plain, _ = one_step(load(batch_norm_tower(), dataclasses.replace(SGD, freeze=("head",))), tower_batch())
    _, decayed, _ = one_step(load(batch_norm_tower(), recipe), tower_batch())
    w = start["layers"]["w"]
    np.testing.assert_allclose(decayed["layers"]["w"], plain["layers"]["w"] - 0.1 * 2 * 0.25 * w, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(decayed["head"]["norm"]["scale"], start["head"]["norm"]["scale"])


def test_loss_scale_changes_nothing_but_the_steps_that_overflow() -> None:
    scaled = load(batch_norm_tower(), dataclasses.replace(SGD, loss_scale=True))
    _, plain, metrics = one_step(load(batch_norm_tower(), SGD), tower_batch())
    start, new, scaled_metrics = one_step(scaled, tower_batch())
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), plain, new)
    np.testing.assert_allclose(scaled_metrics["loss"], metrics["loss"], rtol=1e-6)
    np.testing.assert_allclose(scaled_metrics["grad_norm"], metrics["grad_norm"], rtol=1e-3)
    _, new, _ = one_step(scaled, tower_batch(), scale=jnp.float32(3e38))
    jax.tree.map(np.testing.assert_array_equal, start, new)


def test_constrain_does_nothing_without_a_mesh_and_holds_under_one() -> None:
    x = Value(tensor(F32, "batch", ("c", 4)), "x")
    b = Build(x)
    y = b.op("tanh", b.op("constrain", x, spec=("data", None)), name="y")
    program = load(module("m", [function("f", b, [y], outputs=["y"])], apply="f"))
    x = jnp.ones((2, 4))
    np.testing.assert_allclose(program.apply({}, {}, {"x": x})["y"], np.tanh(1.0), rtol=1e-6)
    mesh = jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    with jax.set_mesh(mesh):
        text = str(jax.make_jaxpr(lambda x: program.apply({}, {}, {"x": x}))(x))
    assert "sharding_constraint" in text


def test_a_mesh_has_specs_for_all_weights_and_fields() -> None:
    recipe = dataclasses.replace(SGD, mesh={"data": 1, "model": 1}, rules={"batch": ("data",), "heads": ("model",)})
    program = load(gpt(), recipe)
    spec = jax.sharding.PartitionSpec
    specs = program.param_specs()
    assert specs["blocks"]["attention"]["wq"] == spec(None, None, "model")
    assert program.batch_specs() == {"tokens": spec("data"), "targets": spec("data")}
    params = program.init(jax.random.key(0))
    placed = jax.tree.map(lambda s, w: jax.sharding.NamedSharding(program.make_mesh(), s), specs, params)
    assert jax.tree.structure(placed) == jax.tree.structure(params)
