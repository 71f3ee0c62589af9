"""Whether the passes leave what a program computes as it was: each alone, every prefix of the pipeline, and all of it.

The oracle is the reference interpreter in float64 on the module before any pass; casts are the identity there. Passes
may store weights elsewhere: they are carried over, and states compared, by name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import trxc
from trxc import reference
from trxc.ir import Module, Path
from trxc.ir.clone import clone_module
from trxc.ir.parameters import Stack, Trees
from trxc.ir.printer import to_text
from trxc.ir.reader import from_text
from trxc.ir.verify import verify
from trxc.passes import REQUIRED, Pass, Remarks, pipeline
from trxc.plan.targets import TARGETS
from trxc.reference import Reference, init_parameters, init_states
from trxc.storage import by_name, restored

from .scope import SIZES
from .shrink import swept

ROLES = ("apply", "loss", "measure")
TOLERANCE = 1e-9
NUDGE = 1e-15
"""By how much the result of every op is nudged, as a share of each number, to see what rounding alone makes of a
program's results: more than we let pass where nearly equal numbers are subtracted, or 1e9 is added to hide scores."""
LARGEST_EXCUSE = 1e-4
RULES = (("batch", ("data",)),)
EAGER = replace(
    TARGETS["cpu"],
    name="eager",
    roll_from=2,
    merged_width=100.0,
    projects_sequences=True,
    gradients_after_loops=True,
    fused_classes=2,
    loss_block=16,
    unrolled_layers=2,
)
"""A target for which every pass does what it can, however small the program."""
REMAT = {"f32": "full", "bf16": "dots"}
"""What backward computes again; the interpreter does not look at it, jax does."""
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Divergence:
    """What went wrong, and after which passes."""

    stage: str
    what: str


@dataclass
class Verdict:
    """What became of a program. `refused`: the checker did not accept it.

    `changed` counts, by pass, how often it changed the program, alone or in the pipeline; `kinds` are the kinds of op.
    """

    refused: str = ""
    divergence: Divergence | None = None
    stages: int = 0
    worst: float = 0.0
    finite: bool = True
    excused: int = 0
    """How many results were off by no more than nudging what every op of the program gives moves them."""
    kinds: set[str] = field(default_factory=set[str])
    changed: set[str] = field(default_factory=set[str])


def judge(text: str, *, read_all: bool = True) -> Verdict:
    """Compiles a program and tries the passes on it.

    Args:
        text: the program.
        read_all: whether the text of every module between two passes is read back, which takes as long as the rest.
    """
    verdict = Verdict()
    try:
        program = trxc.compile(text, filename="fuzz.trx", name="t", verify_each=read_all)
    except trxc.CompileError as error:
        first = next(d for d in error.diagnostics if d.severity == "error")
        verdict.refused = f"{first.code} {first.message}"
        return verdict
    except Exception as error:
        verdict.divergence = Divergence("compile", f"{type(error).__name__}: {error}")
        return verdict
    return judge_module(program.unoptimised, read_all=read_all, compiled=program.ir)


def judge_module(module: Module, *, read_all: bool = True, compiled: Module | None = None) -> Verdict:
    """Tries the passes on a module; `compiled` is what the compiler made of it."""
    verdict = Verdict()
    verdict.kinds = {op.kind for function in module.functions.values() for op in function.body.walk()}
    try:
        _Trial(module, verdict, read_all).run(compiled)
    except _DivergedError as error:
        verdict.divergence = error.divergence
    return verdict


class _DivergedError(Exception):
    def __init__(self, stage: str, what: str) -> None:
        super().__init__(what)
        self.divergence = Divergence(stage, what)


def key_of(text: str) -> bytes:
    """What tells texts apart."""
    return hashlib.sha256(text.encode()).digest()


class Stores:
    """Where a module keeps the weights and states of its roles, all found in one walk."""

    def __init__(self, module: Module) -> None:
        self.roles, self.trees = module.roles, Trees(module)

    def of(self, role: str) -> dict[Path, tuple[Path, tuple[Stack, ...]]]:
        """By keys: the segments of the name, and the stacks."""
        found, _ = self.trees.of(self.roles[role])
        return {key: (entry.path, entry.stacks) for key, entry in found.items()}


class _Trial:
    """One program's runs; what has been tried is known by its text."""

    def __init__(self, module: Module, verdict: Verdict, read_all: bool) -> None:
        self.module, self.verdict, self.read_all = module, verdict, read_all
        self.text = to_text(module)
        self.tried = {key_of(self.text)}
        roles = [role for role in ROLES if role in module.roles]
        self.weights = {role: init_parameters(module, 3, module.roles[role]) for role in roles}
        self.states = {role: init_states(module, 4, module.roles[role]) for role in roles}
        self.stores = Stores(module)
        self.kept = {role: by_name(module, role, self.states[role]) for role in roles}
        self.inputs = {role: batch_of(module, role) for role in roles}
        self.moved: dict[str, float] | None = None
        self.wanted = self._outcome(module, "before all passes")
        verdict.finite = all(np.isfinite(array).all() for array in self.wanted.values())
        faults = verify(module)
        if faults:
            raise _DivergedError("before all passes", f"not valid: {faults[0]}")

    def run(self, compiled: Module | None) -> None:
        """Every module that passes make of this one.

        Raises:
            _DivergedError: one computes something else.
        """
        root = self.module.roles["apply"]
        passes = pipeline(model=(root, f"{root}_train"), rules=RULES, target=EAGER, remat=REMAT["f32"])
        for item in dict.fromkeys(passes):
            self._step(item, clone_module(self.module), self.text, f"{item.name} alone")
        at = next((at for at, item in enumerate(passes) if item.name == "precision"), len(passes))
        module = clone_module(self.module)
        text = self._chain(passes[:at], module, self.text, "f32")
        for compute in ("bf16", "f32"):  # the passes before know nothing of it
            rest = pipeline(
                compute=compute, model=(root, f"{root}_train"), rules=RULES, target=EAGER, remat=REMAT[compute]
            )[at:]
            last = clone_module(module) if compute == "bf16" else module
            ended = self._chain(rest, last, text, compute)
            if self.read_all:
                self._same(_read_back(last, ended, compute), f"{compute}: read back")
            if compute == "f32" and rounds(last) != rounds(self._exact()):
                raise _DivergedError("f32: declared precision", "values are narrowed to 16 bits in one of both only")
        if compiled is not None and key_of(to_text(compiled)) not in self.tried:
            self._same(compiled, "compiled")

    def _exact(self) -> Module:
        """The module with exact dtypes, as it was written but for dead code."""
        root, module = self.module.roles["apply"], clone_module(self.module)
        for item in pipeline(model=(root, f"{root}_train")):
            if item.name in REQUIRED:
                item.run(module, Remarks())
        return swept(module)

    def _chain(self, passes: tuple[Pass, ...], module: Module, text: str, compute: str) -> str:
        names = list[str]()
        for item in passes:
            names.append(item.name)
            text = self._step(item, module, text, f"{compute}: {' > '.join(names)}")
        return text

    def _step(self, item: Pass, module: Module, before: str, stage: str) -> str:
        """Runs a pass; the module's text after it."""
        try:
            item.run(module, Remarks())
        except Exception as error:
            raise _DivergedError(stage, f"{type(error).__name__}: {error}") from error
        text = to_text(module)
        if text == before:
            return text
        self.verdict.changed.add(item.name)
        key = key_of(text)
        if key in self.tried:
            return text
        self.tried.add(key)
        faults = verify(module)
        if faults:
            raise _DivergedError(stage, f"not valid: {faults[0]}")
        if self.read_all:
            _read_back(module, text, stage)
        self._same(module, stage)
        return text

    def _same(self, module: Module, stage: str) -> None:
        self.verdict.stages += 1
        found = self._outcome(module, stage)
        if found.keys() != self.wanted.keys():
            raise _DivergedError(stage, f"gives {sorted(found.keys() ^ self.wanted.keys())} in one of both only")
        for name, wanted in self.wanted.items():
            off = distance(wanted, found[name])
            if off > TOLERANCE and off <= self._excused(name):
                self.verdict.excused += 1
                continue
            self.verdict.worst = max(self.verdict.worst, off)
            if off > TOLERANCE:
                raise _DivergedError(stage, f"{name} is off by {off:.2g} of the largest")

    def _excused(self, name: str) -> float:
        """How far off a result may be by rounding; one that nudges move by a tenth is nothing but rounding."""
        moved = self._moved_by_nudges().get(name, 0.0)
        return moved if moved >= 0.1 else min(moved, LARGEST_EXCUSE)

    def _moved_by_nudges(self) -> dict[str, float]:
        """How far each result of the program as it was written moves with those of its ops, at most."""
        if self.moved is None:
            several: list[dict[str, Array]] = []
            for seed in range(4):
                with nudged_ops(np.random.default_rng(seed)):
                    several.append(self._outcome(self.module, "nudged"))
            self.moved = {name: max(distance(self.wanted[name], o[name]) for o in several) for name in self.wanted}
        return self.moved

    def _outcome(self, module: Module, stage: str) -> dict[str, Array]:
        found: dict[str, Array] = {}
        stores = Stores(module)
        try:
            for role, inputs in self.inputs.items():
                params, state = self.weights[role], self.states[role]
                moved = stores.of(role) != self.stores.of(role)
                if moved:
                    params, state = (restored(self.module, module, role, tree) for tree in (params, state))
                results, after = Reference(module).run(module.roles[role], params, state, inputs)
                found |= {f"{role} {at}": result for at, result in enumerate(results)}
                if self.kept[role]:
                    kept = self.kept[role] | by_name(module, role, after)  # what no pass has left, nobody writes
                    found |= {f"{role} {name}": array for name, array in kept.items()}
        except Exception as error:
            raise _DivergedError(stage, f"{type(error).__name__}: {error}") from error
        return found


@contextmanager
def nudged_ops(rng: np.random.Generator) -> Iterator[None]:
    """The interpreter with the result of every op a little off."""
    frame: Any = reference._Frame
    exact = frame.set

    def off(self: Any, values: Any, arrays: Any, what: str) -> None:
        exact(self, values, [_nudged(np.asarray(array), rng) for array in arrays], what)

    frame.set = off
    try:
        yield
    finally:
        frame.set = exact


def _nudged(array: Array, rng: np.random.Generator) -> Array:
    return array * (1 + NUDGE * rng.uniform(-1, 1, array.shape)) if array.dtype.kind == "f" else array


def rounds(module: Module) -> bool:
    """Whether values are narrowed to 16 bits anywhere: casts are the identity in the interpreter, and not in jax."""
    casts = [op for function in module.functions.values() for op in function.body.walk() if op.kind == "cast"]
    return any(op.result.type.dtype.kind == "float" and op.result.type.dtype.bits == 16 for op in casts)


def _read_back(module: Module, text: str, stage: str) -> Module:
    again = from_text(text)
    if to_text(again) != text:
        raise _DivergedError(stage, f"the text of `{module.name}` does not read back")
    return again


def batch_of(module: Module, role: str) -> list[Array]:
    """Random inputs for a role."""
    rng = np.random.default_rng(7)
    arrays: list[Array] = []
    draw: dict[str, Callable[[tuple[int, ...]], Any]] = {
        "int": lambda shape: rng.integers(0, 4, shape),
        "bool": lambda shape: rng.random(shape) < 0.6,
        "float": lambda shape: rng.normal(size=shape),
    }
    for value in module.role(role).inputs:
        shape = tuple(size.evaluate(SIZES) for size in value.type.sizes)
        arrays.append(np.asarray(draw[value.type.dtype.kind](shape)))
    return arrays


def leaves(tree: Any) -> list[Array]:
    """The arrays of a nested dict, by name."""
    if isinstance(tree, dict):
        return [leaf for key in sorted(tree) for leaf in leaves(tree[key])]
    return [np.asarray(tree)]


def distance(wanted: Array, given: Array) -> float:
    """The largest difference, as a share of the largest of `wanted`; inf for other shapes, or nan in one only."""
    if wanted.shape != given.shape:
        return float("inf")
    if wanted.dtype.kind != "f" or not wanted.size:
        return 0.0 if np.array_equal(wanted, given) else float("inf")
    odd = ~np.isfinite(wanted)
    if not np.array_equal(wanted[odd], given[odd], equal_nan=True):
        return float("inf")
    scale = np.max(np.abs(wanted[~odd]), initial=0.0) or 1.0
    off = np.max(np.abs(wanted[~odd] - given[~odd]), initial=0.0) / scale
    return float(off) if np.isfinite(off) else float("inf")
