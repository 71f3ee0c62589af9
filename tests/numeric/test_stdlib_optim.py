"""The declaration lines of std.optim and std.init against the optax and jax that are installed."""

from __future__ import annotations

import importlib
import inspect
import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from trxc.diagnostics import Diagnostics
from trxc.elaborate.body import Session
from trxc.elaborate.evaluate import evaluate
from trxc.elaborate.records import record_body
from trxc.elaborate.values import Declared, Sequence, Size, whole
from trxc.resolve import Library
from trxc.source import Source
from trxc.syntax import ast, parse_expression

LIBRARY = Library(Diagnostics())
UNITS = {module: LIBRARY.standard(module) for module in ("optim", "init")}
EXTERNS: dict[str, ast.Extern] = {name: unit.own(name).item for unit in UNITS.values() for name in unit.names()}
KINDS = {name: item.kind.name for name, item in EXTERNS.items()}
OPTIMIZERS = [name for name, kind in KINDS.items() if kind == "optimizer"]
SCHEDULES = [name for name, kind in KINDS.items() if kind == "schedule"]
INITIALIZERS = [name for name, kind in KINDS.items() if kind == "initializer"]
STEPS = 100
FIRST = {"schedule": "0.1", "float": "0.1", "int": "20"}
"""What a required argument is given, by its type."""


def declared(text: str) -> Declared:
    """An expression as it would stand in a train record of 100 steps."""
    diagnostics = Diagnostics()
    library = Library(diagnostics)
    unit = library.program(Source("case.trx", "train t for M {\n}\n"))
    body = record_body(Session(library, diagnostics), unit.items["t"])
    body.variables["total_steps"] = whole(STEPS)
    expression = parse_expression(Source("expression", text), diagnostics)
    assert expression is not None
    result = evaluate(expression, body)
    assert isinstance(result, Declared) and not list(diagnostics)
    return result


def target_of(path: str) -> Any:
    """The function that a declaration names."""
    module, _, attribute = path.partition(":")
    return operator.attrgetter(attribute)(importlib.import_module(module))


def made(value: Any) -> Any:
    """What a declared thing makes, arguments first."""
    if isinstance(value, Declared):
        function = target_of(value.target)
        return function(**{name: made(item) for name, item in value.arguments})
    if isinstance(value, Sequence):
        return tuple(made(item) for item in value.items)
    return value.known if isinstance(value, Size) else value


def call_of(name: str) -> str:
    """The shortest call: what has no default is given."""
    required = [p for p in EXTERNS[name].parameters if p.default is None]
    return f"{name}({', '.join(FIRST[p.type.name.name] for p in required)})"


@pytest.mark.parametrize("name", EXTERNS)
def test_every_argument_is_one_of_the_target(name):
    item = EXTERNS[name]
    target = target_of(item.target.value)
    passed = item.parameters if item.arguments is None else item.arguments
    if name in ("zeros", "ones"):
        assert not passed
        return
    inspect.signature(target).bind(**{argument.name.name: None for argument in passed})


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_learning_rate_comes_first(name):
    names = [p.name.name for p in EXTERNS[name].parameters]
    assert "learning_rate" not in names[1:]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_steps(name):
    transformation = made(declared(call_of(name)))
    params = {"w": jnp.linspace(-1.0, 1.0, 12).reshape(3, 4), "b": jnp.ones(4)}
    grads = jax.tree.map(lambda p: 0.5 * p + 0.3, params)
    state = transformation.init(params)
    for _ in range(2):
        updates, state = transformation.update(grads, state, params)
        params = optax.apply_updates(params, updates)
    for leaf in jax.tree.leaves(params):
        assert np.isfinite(leaf).all()
    assert any(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(updates))


@pytest.mark.parametrize(
    "text",
    [
        "sgd(cosine(0.1), momentum = 0.9, nesterov = true)",
        "adamw(warmup_cosine(peak = 1e-3, warmup = 10), weight_decay = 0.1)",
        "rmsprop(0.1, momentum = 0.9)",
        "adafactor(1e-3, momentum = 0.9, weight_decay = 1e-4)",
        "muon(one_cycle(0.02), steps = 4)",
        "prodigy(linear(1.0))",
    ],
)
def test_schedules_inside_of_optimizers(text):
    transformation = made(declared(text))
    params = {"w": jnp.ones((3, 4))}
    state = transformation.init(params)
    updates, _ = transformation.update(params, state, params)
    assert np.isfinite(updates["w"]).all()


CURVES = {
    "constant_rate(0.3)": {0: 0.3, 50: 0.3, 100: 0.3},
    "linear(0.4)": {0: 0.4, 50: 0.2, 100: 0.0, 120: 0.0},
    "linear(0.4, end = 0.2, steps = 10)": {0: 0.4, 5: 0.3, 50: 0.2},
    "polynomial(0.4)": {0: 0.4, 50: 0.1, 100: 0.0},
    "cosine(0.4, share = 0.5)": {0: 0.4, 50: 0.3, 100: 0.2},
    "warmup_cosine(peak = 0.4, warmup = 20)": {0: 0.0, 10: 0.2, 20: 0.4, 60: 0.2, 100: 0.0},
    "warmup_cosine(0.4, 20, end = 0.1)": {20: 0.4, 60: 0.25, 100: 0.1},
    "warmup_constant(0.4, warmup = 20)": {0: 0.0, 10: 0.2, 20: 0.4, 100: 0.4},
    "warmup_exponential(0.4, 20, every = 10, rate = 0.5)": {10: 0.2, 20: 0.4, 30: 0.2, 40: 0.1},
    "exponential(0.4, every = 10, rate = 0.5)": {0: 0.4, 10: 0.2, 20: 0.1},
    "exponential(0.4, every = 10, rate = 0.5, staircase = true, end = 0.15)": {9: 0.4, 10: 0.2, 50: 0.15},
    "one_cycle(0.4, start_factor = 4.0)": {0: 0.1, 30: 0.4, 100: 1e-5},
    "one_cycle_linear(0.4, start_factor = 4.0)": {0: 0.1, 15: 0.25, 30: 0.4, 85: 0.1},
}


@pytest.mark.parametrize(("text", "points"), CURVES.items(), ids=list(CURVES))
def test_schedules_go_where_they_say(text, points):
    curve = made(declared(text))
    for step, rate in points.items():
        np.testing.assert_allclose(curve(step), rate, rtol=1e-5, atol=1e-6, err_msg=f"at step {step}")


def test_every_schedule_is_tried():
    assert {text.partition("(")[0] for text in CURVES} == set(SCHEDULES)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_every_initializer_draws(name):
    start = declared(call_of(name))
    draw = target_of(start.target) if name in ("zeros", "ones") else made(start)
    weight = draw(jax.random.key(0), (3, 8, 8), jnp.float32)
    assert weight.shape == (3, 8, 8) and np.isfinite(weight).all()


def test_variance_scaling_over_chosen_dims():
    text = 'variance_scaling(2.0, "fan_in", "normal", inputs = 0, outputs = [1, 2])'
    weight = made(declared(text))(jax.random.key(0), (50, 8, 40), jnp.float32)
    np.testing.assert_allclose(weight.var(), 2 / 50, rtol=0.05)
