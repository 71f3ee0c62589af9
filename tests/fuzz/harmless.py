"""Whether the passes leave what a program computes as it was: each alone, every prefix of the pipeline, and all of it.

The oracle is the reference interpreter in float64 on the module before any pass; casts are the identity there.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import trxc
from trxc.ir import Module
from trxc.ir.clone import clone_module
from trxc.ir.printer import to_text
from trxc.ir.reader import from_text
from trxc.ir.verify import verify
from trxc.passes import Pass, Remarks, pipeline
from trxc.reference import Reference, init_parameters, init_states

from .scope import SIZES

ROLES = ("apply", "loss", "measure")
TOLERANCE = 1e-9
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Divergence:
    """What went wrong, and after which passes."""

    stage: str
    what: str


@dataclass
class Verdict:
    """What became of a program. `refused`: the checker did not accept it."""

    refused: str = ""
    divergence: Divergence | None = None
    stages: int = 0
    worst: float = 0.0
    finite: bool = True
    kinds: set[str] = field(default_factory=set[str])


def judge(text: str, *, read_all: bool = True) -> Verdict:
    """Compiles a program and tries the passes on it.

    Args:
        text: the program.
        read_all: whether the text of every module between two passes is read back, which takes as long as the rest.
    """
    verdict = Verdict()
    try:
        program = trxc.compile(text, filename="fuzz.trx", name="t", verify_each=True)
    except trxc.CompileError as error:
        first = next(d for d in error.diagnostics if d.severity == "error")
        verdict.refused = f"{first.code} {first.message}"
        return verdict
    except Exception as error:
        verdict.divergence = Divergence("compile", f"{type(error).__name__}: {error}")
        return verdict
    verdict.kinds = {op.kind for function in program.unoptimised.functions.values() for op in function.body.walk()}
    try:
        _Trial(program.unoptimised, verdict, read_all).run(program.ir)
    except _DivergedError as error:
        verdict.divergence = error.divergence
    return verdict


class _DivergedError(Exception):
    def __init__(self, stage: str, what: str) -> None:
        super().__init__(what)
        self.divergence = Divergence(stage, what)


class _Trial:
    """One program's runs; what has been tried is known by its text."""

    def __init__(self, module: Module, verdict: Verdict, read_all: bool) -> None:
        self.module, self.verdict, self.read_all = module, verdict, read_all
        self.tried: set[bytes] = set()
        roles = [role for role in ROLES if role in module.roles]
        self.weights = {role: init_parameters(module, 3, module.roles[role]) for role in roles}
        self.states = {role: init_states(module, 4, module.roles[role]) for role in roles}
        self.inputs = {role: batch_of(module, role) for role in roles}
        self.wanted = self._outcome(module, "before all passes")
        verdict.finite = all(np.isfinite(array).all() for array in self.wanted)

    def run(self, compiled: Module) -> None:
        """Every module that passes make of this one.

        Raises:
            _DivergedError: one computes something else.
        """
        self._same(compiled, "compiled")
        root = self.module.roles["apply"]
        for compute in ("f32", "bf16"):
            passes = pipeline(compute=compute, model=(root, f"{root}_train"), rules=(("batch", ("data",)),))
            module, names = clone_module(self.module), list[str]()
            for item in passes:
                names.append(item.name)
                self._step(item, module, f"{compute}: {' > '.join(names)}")
                if compute == "f32" or item.name == "precision":
                    self._step(item, clone_module(self.module), f"{compute}: {item.name} alone")
            if self.read_all:
                self._same(_read_back(module, compute), f"{compute}: read back")

    def _step(self, item: Pass, module: Module, stage: str) -> None:
        try:
            item.run(module, Remarks())
        except Exception as error:
            raise _DivergedError(stage, f"{type(error).__name__}: {error}") from error
        faults = verify(module)
        if faults:
            raise _DivergedError(stage, f"not valid: {faults[0]}")
        text = to_text(module)
        key = hashlib.sha256(text.encode()).digest()
        if key in self.tried:
            return
        self.tried.add(key)
        if self.read_all:
            _read_back(module, stage)
        self._same(module, stage)

    def _same(self, module: Module, stage: str) -> None:
        self.verdict.stages += 1
        found = self._outcome(module, stage)
        if len(found) != len(self.wanted):
            raise _DivergedError(stage, f"{len(found)} arrays instead of {len(self.wanted)}")
        for wanted, given in zip(self.wanted, found, strict=True):
            off = distance(wanted, given)
            self.verdict.worst = max(self.verdict.worst, off)
            if off > TOLERANCE:
                raise _DivergedError(stage, f"off by {off:.2g} of the largest")

    def _outcome(self, module: Module, stage: str) -> list[Array]:
        found: list[Array] = []
        try:
            for role, inputs in self.inputs.items():
                name = module.roles[role]
                results, after = Reference(module).run(name, self.weights[role], self.states[role], inputs)
                found += [*results, *leaves(after)]
        except Exception as error:
            raise _DivergedError(stage, f"{type(error).__name__}: {error}") from error
        return found


def _read_back(module: Module, stage: str) -> Module:
    text = to_text(module)
    again = from_text(text)
    if to_text(again) != text:
        raise _DivergedError(stage, "its text does not read back")
    return again


def batch_of(module: Module, role: str) -> list[Array]:
    """Random inputs for a role."""
    rng = np.random.default_rng(7)
    arrays: list[Array] = []
    for value in module.role(role).inputs:
        shape = tuple(size.evaluate(SIZES) for size in value.type.sizes)
        drawn = {"int": rng.integers(0, 4, shape), "bool": rng.random(shape) < 0.6, "float": rng.normal(size=shape)}
        arrays.append(np.asarray(drawn[value.type.dtype.kind]))
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
