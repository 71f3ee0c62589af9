"""Emitted programs under jax: all passes against none, in values and gradients, and both against the reference.

In float64 the text says `float64` for every other float: what is left to differ is the order of operations. Nearly all
of the time is XLA's: the programs are compiled together, with few optimisations. Where they differ then, they are
compiled once more as users have them: XLA itself has been seen to make nan of a gradient without optimisations only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import trxc
from trxc.emit import emit_program
from trxc.ir import Module
from trxc.ir.clone import clone_module
from trxc.passes import REQUIRED, Remarks, pipeline
from trxc.reference import Reference, init_parameters, init_states
from trxc.storage import by_name, restored, stored

from .harmless import EAGER, Array, Divergence, Verdict, batch_of, distance

WIDER = (("bfloat16", "float64"), ("float32", "float64"), ("int32", "int64"))
"""What stands for what in a program's text, so that it computes with 64 bits."""

DOUBLE, SINGLE = 1e-9, 1e-4
ROUNDING = 10
"""How many times what float32 costs without any pass it may cost with them, where that is more than `SINGLE`."""
SLOPE, STEPS = 1e-5, (1e-6, 1e-4)
"""What a derivative along a line may be off by, as a share of its terms, and the steps of differences. The second is
for programs that round a lot, as where 1e9 is taken from all scores of a query: small steps are lost there."""
QUICK = {"xla_backend_optimization_level": 0}
"""Halves the time of compiling."""
Found = dict[str, Array]


def judge_emitted(text: str) -> Verdict:
    """Compiles a program, emits it with all passes and with none, and runs both under jax."""
    try:
        program = trxc.compile(text, filename="fuzz.trx", name="t")
    except trxc.CompileError as error:
        first = next(d for d in error.diagnostics if d.severity == "error")
        return Verdict(refused=f"{first.code} {first.message}")
    return judge_emitted_module(program.unoptimised)


def judge_emitted_module(module: Module) -> Verdict:
    """The same of a module."""
    verdict = Verdict()
    verdict.kinds = {op.kind for function in module.functions.values() for op in function.body.walk()}
    try:
        verdict.divergence = _compare(module, verdict, quick=True) and _compare(module, verdict, quick=False)
    except Exception as error:
        verdict.divergence = Divergence("jax", f"{type(error).__name__}: {str(error)[:400]}")
    return verdict


class Emitted:
    """A module after some passes, and its program."""

    def __init__(self, original: Module, *, passes: bool) -> None:
        self.original, self.module = original, clone_module(original)
        root = original.roles["apply"]
        for item in pipeline(model=(root, f"{root}_train"), target=EAGER, remat="full"):
            if passes or item.name in REQUIRED:
                item.run(self.module, Remarks())
        self.source = emit_program(self.module, None).source

    def computation(self, *, double: bool) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """A function of arrays for jax to compile, and the arrays: outputs, then loss and state with gradients."""
        source = self.source
        for narrow, wide in WIDER if double else ():
            source = source.replace(narrow, wide)
        emitted: dict[str, Any] = {"__name__": "program"}
        exec(compile(source, "program.py", "exec"), emitted)

        def outcome(apply: Any, training: Any) -> Any:
            params, state, batch = training
            smooth = {key: value for key, value in batch.items() if value.dtype.kind == "f"}

            def loss(params: Any, inputs: Any) -> Any:
                return emitted["loss"](params, state, {**batch, **inputs}, jax.random.key(0))

            return emitted["apply"](*apply), jax.value_and_grad(loss, (0, 1), has_aux=True)(params, smooth)

        return outcome, (self._given("apply", double), self._given("loss", double))

    def named(self, outcome: Any) -> Found:
        """What the computation gave, by name."""
        outputs, ((value, after), (weights, inputs)) = outcome
        found = {f"apply {name}": array for name, array in outputs.items()}
        found |= {"loss": value, **{f"d {name}": array for name, array in inputs.items()}}
        found |= {f"state {name}": array for name, array in by_name(self.module, "loss", after).items()}
        return found | {f"d {name}": array for name, array in by_name(self.module, "loss", weights).items()}

    def _given(self, role: str, double: bool) -> tuple[Any, Any, dict[str, Any]]:
        """Weights, states, and inputs by name."""
        floating, whole = (np.float64, np.int64) if double else (np.float32, np.int32)

        def exact(array: Any) -> Any:
            return jnp.asarray(array.astype({"f": floating, "i": whole}.get(array.dtype.kind, array.dtype)))

        params, state = weights_of(self.original)
        stored = (restored(self.original, self.module, None, tree) for tree in (params, state))
        names = [str(value.name) for value in self.original.role(role).inputs]
        inputs = {each: exact(array) for each, array in zip(names, batch_of(self.original, role), strict=True)}
        return *(jax.tree.map(exact, tree) for tree in stored), inputs


def weights_of(module: Module) -> tuple[Any, Any]:
    """Weights and states, those of all roles."""
    return init_parameters(module, 3), init_states(module, 4)


def _compare(module: Module, verdict: Verdict, *, quick: bool) -> Divergence | None:
    wanted = _reference(module)
    plain, best = Emitted(module, passes=False), Emitted(module, passes=True)
    found = run({"plain": plain, "best": best}, quick=quick)
    verdict.finite = all(np.isfinite(array).all() for array in [*wanted.values(), *found["plain", True].values()])
    verdict.stages += 4
    off, where = largest_difference(wanted, found["plain", True])
    if off > DOUBLE:
        return Divergence("jax, float64, no passes", f"{where} is off by {off:.2g} from the reference")
    off = _slope_off(module, found["plain", True]) if verdict.finite else 0.0
    if off > SLOPE:
        return Divergence(
            "jax, float64, no passes", f"the d of all is off by {off:.2g} from differences of the reference"
        )
    off, where = largest_difference(found["plain", True], found["best", True], every=True)
    if off <= DOUBLE or not quick:
        verdict.worst = max(verdict.worst, off)
    if off > DOUBLE:
        return Divergence("jax, float64", f"{where} is off by {off:.2g} from what it is without passes")
    rounding, _ = largest_difference(found["plain", True], found["plain", False])  # what float32 costs without any pass
    off, where = largest_difference(found["plain", False], found["best", False])
    if off > max(SINGLE, ROUNDING * rounding):
        return Divergence("jax, float32", f"{where} is off by {off:.2g}; rounding alone costs {rounding:.2g}")
    verdict.excused += off > SINGLE
    return _dtypes(found["plain", False], found["best", False])


def run(programs: dict[str, Emitted], *, quick: bool = True) -> dict[tuple[str, bool], Found]:
    """What programs give, by name and whether in float64; compiled together, as jax spends its time on compilations."""
    runs = [(name, double) for double in (True, False) for name in programs]
    with jax.enable_x64(True):
        parts = [programs[name].computation(double=double) for name, double in runs]
        together = jax.jit(lambda given: [part(*each) for (part, _), each in zip(parts, given, strict=True)])
        arrays = [given for _, given in parts]
        compiled = together.lower(arrays).compile(compiler_options=QUICK if quick else None)
        given = jax.tree.map(np.asarray, compiled(arrays))
    return {run: programs[run[0]].named(outcome) for run, outcome in zip(runs, given, strict=True)}


def _dtypes(plain: Found, best: Found) -> Divergence | None:
    for name in plain.keys() & best.keys():
        array = plain[name]
        if array.dtype != best[name].dtype:
            return Divergence("jax, dtypes", f"{name} is {best[name].dtype}, and {array.dtype} without passes")
    return None


def largest_difference(wanted: Found, given: Found, *, every: bool = False) -> tuple[float, str]:
    """The largest difference of what is wanted, and where it is; inf, if something of it is missing.

    With `every`, nothing else may be there. A weight that plays no part, whose gradient is 0, may be. A gradient may be
    as far off as rounding makes of the largest gradient: one that is 0 in exact arithmetic has no scale of its own.
    Where it overflows, it is not compared.
    """
    missing = {name for name in wanted.keys() - given.keys() if name[:2] != "d " or np.any(wanted[name])}
    if missing or (every and given.keys() - wanted.keys()):
        return float("inf"), f"one of {sorted(missing or given.keys() - wanted.keys())}"
    wanted = {name: array for name, array in wanted.items() if name in given}
    scale = max((_largest(array) for name, array in wanted.items() if name[:2] == "d "), default=0)
    worst = (0.0, "")
    for name, array in wanted.items():
        one, other = _wide(array), _wide(given[name])
        if name[:2] == "d ":
            one, other = (np.where(np.isfinite(one), each, 0.0) for each in (one, other))
        off = distance(one, other)
        if name[:2] == "d " and np.isfinite(off) and scale:
            off = min(off, float(np.max(np.abs(one - other), initial=0)) / scale * 1e3)
        worst = max(worst, (off, name))
    return worst


def _largest(array: Array) -> float:
    finite = _wide(array)[np.isfinite(_wide(array))]
    return float(np.max(np.abs(finite), initial=0))


def _slope_off(module: Module, found: Found) -> float:
    """How far gradients are from what the reference interpreter's loss does along a random line.

    Both programs would share an error in the gradients of an op's own text. What a program shields from gradients, or
    chooses by values, has no such derivative.
    """
    if any(op.kind == "stop_gradient" for function in module.functions.values() for op in function.body.walk()):
        return 0.0
    name, rng = module.roles["loss"], np.random.default_rng(11)
    params, state = weights_of(module)
    weights = by_name(module, "loss", params)
    labels = [str(value.name) for value in module.role("loss").inputs]
    inputs = dict(zip(labels, batch_of(module, "loss"), strict=True))
    line = {each: rng.normal(size=array.shape) for each, array in {**weights, **inputs}.items() if f"d {each}" in found}

    def along(step: float) -> float:
        here = {each: array + step * line[each] if each in line else array for each, array in weights.items()}
        batch = [array + step * line[each] if each in line else array for each, array in inputs.items()]
        results, _ = Reference(module).run(name, {**params, **stored(module, "loss", here)}, state, batch)
        return float(results[0])

    terms = np.concatenate([np.ravel(found[f"d {each}"] * direction) for each, direction in line.items()])

    def off(step: float) -> float:
        above, below = along(step), along(-step)
        slope, noise = (above - below) / (2 * step), np.finfo(np.float64).eps * abs(above) / step
        return max(0.0, abs(slope - float(np.sum(terms))) - 4 * noise) / (float(np.sum(np.abs(terms))) + STEPS[0])

    return min(map(off, STEPS))


def _wide(array: Any) -> Array:
    return np.asarray(array, np.float64 if jnp.issubdtype(array.dtype, jnp.floating) else None)


def _reference(module: Module) -> Found:
    """Outputs in inference; loss and new states in training."""
    params, state = weights_of(module)
    found: Found = {}
    for role in ("apply", "loss"):
        name = module.roles[role]
        results, after = Reference(module).run(name, params, state, batch_of(module, role))
        if role == "apply":
            names = module.functions[name].output_names
            found |= {f"apply {each}": array for each, array in zip(names, results, strict=False)}
        else:
            found |= {"loss": results[0]}
            found |= {f"state {each}": array for each, array in by_name(module, "loss", after).items()
                      if each in by_name(module, "loss", state)}  # fmt: skip
    return found
