"""Emitted programs under jax: all passes against none, in values and gradients, and both against the reference.

In float64 the text says `float64` where it said `float32`: what is left to differ is the order of operations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import trxc
from trxc.passes import PASS_NAMES
from trxc.reference import Reference, init_parameters, init_states

from .harmless import Divergence, Verdict, batch_of, distance, leaves

DOUBLE, SINGLE = 1e-9, 1e-4


def judge_emitted(text: str) -> Verdict:
    """Emits a program with all passes and with none, and runs both under jax."""
    verdict = Verdict()
    try:
        best = trxc.compile(text, filename="fuzz.trx", name="t", verify_each=True)
        plain = trxc.compile(text, filename="fuzz.trx", name="t", disable=PASS_NAMES)
    except trxc.CompileError as error:
        first = next(d for d in error.diagnostics if d.severity == "error")
        verdict.refused = f"{first.code} {first.message}"
        return verdict
    try:
        verdict.divergence = _compare(best, plain, verdict)
    except Exception as error:
        verdict.divergence = Divergence("jax", f"{type(error).__name__}: {str(error)[:400]}")
    return verdict


def _compare(best: trxc.Program, plain: trxc.Program, verdict: Verdict) -> Divergence | None:
    module = plain.unoptimised
    wanted = _reference(module)
    verdict.finite = all(np.isfinite(array).all() for array in wanted)
    found: dict[tuple[str, bool], list[Any]] = {}
    for double in (True, False):
        with jax.enable_x64(double):
            for name, program in (("best", best), ("plain", plain)):
                found[name, double] = _outcome(program, double=double)
    count = len(wanted)
    verdict.stages += 4
    off = _off(wanted, found["plain", True][:count])
    if off > DOUBLE:
        return Divergence("jax, float64, no passes", f"off by {off:.2g} from the reference")
    off = _off(found["plain", True], found["best", True])
    verdict.worst = max(verdict.worst, off)
    if off > DOUBLE:
        return Divergence("jax, float64", f"values or gradients off by {off:.2g} from those without passes")
    loss = _off(found["plain", True], found["plain", False])  # what float32 costs without any pass
    off = _off(found["plain", False], found["best", False])
    if off > max(SINGLE, 4 * loss):
        return Divergence("jax, float32", f"off by {off:.2g}; rounding alone costs {loss:.2g}")
    return None


def _off(wanted: list[Any], given: list[Any]) -> float:
    if len(wanted) != len(given):
        return float("inf")
    return max((distance(np.asarray(a), np.asarray(b)) for a, b in zip(wanted, given, strict=True)), default=0.0)


def _reference(module: Any) -> list[Any]:
    """Outputs in inference; loss and new states in training."""
    found: list[Any] = []
    for role in ("apply", "loss"):
        name = module.roles[role]
        params, state = init_parameters(module, 3, name), init_states(module, 4, name)
        results, after = Reference(module).run(name, params, state, batch_of(module, role))
        found += [*results, *(leaves(after) if role == "loss" else [])]
    return found


def _outcome(program: trxc.Program, *, double: bool) -> list[Any]:
    """What the emitted program gives, as `_reference` does; then gradients of the loss, by weights and float inputs."""
    module = program.unoptimised
    source = program.source.replace("float32", "float64").replace("int32", "int64") if double else program.source
    emitted: dict[str, Any] = {"__name__": "program"}
    exec(compile(source, "program.py", "exec"), emitted)
    found: list[Any] = []
    name = module.roles["apply"]
    outputs = jax.jit(emitted["apply"])(*_given(module, "apply", double))
    found += [outputs[each] for each in module.functions[name].output_names]
    params, state, batch = _given(module, "loss", double)
    smooth = {key: value for key, value in batch.items() if value.dtype.kind == "f"}

    def loss(params: Any, inputs: Any) -> Any:
        value, after = emitted["loss"](params, state, {**batch, **inputs}, jax.random.key(0))
        return value, after

    run: Callable[..., Any] = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))
    (value, after), gradients = run(params, smooth)
    found += [value, *leaves(jax.tree.map(np.asarray, after)), *jax.tree.leaves(gradients)]
    return [np.asarray(array, np.float64 if jnp.issubdtype(array.dtype, jnp.floating) else None) for array in found]


def _given(module: Any, role: str, double: bool) -> tuple[Any, Any, dict[str, Any]]:
    """Weights, states, and inputs by name."""
    name = module.roles[role]
    floating, whole = (np.float64, np.int64) if double else (np.float32, np.int32)

    def exact(array: Any) -> Any:
        return array.astype({"f": floating, "i": whole}.get(array.dtype.kind, array.dtype))

    params, state = init_parameters(module, 3, name), init_states(module, 4, name)
    names = [str(value.name) for value in module.role(role).inputs]
    inputs = {each: exact(array) for each, array in zip(names, batch_of(module, role), strict=True)}
    return jax.tree.map(exact, params), jax.tree.map(exact, state), inputs
