"""Ways to train one program that must make no difference: each is a row of `trxc verify --invariance`.

Dropout is off in all of them (:func:`~trxc.compilation.compile`, `dropout = False`): a micro-batch has keys of its own,
and a pass may draw the same distribution from other bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from ..compilation import Program
from ..driver import CompileError
from ..elaborate.fields import field_of
from ..ir import Module, Op
from ..ops.arrays import Array
from ..passes import PASS_NAMES, REQUIRED
from ..reference import EvaluationError, Tree, init_parameters, init_states
from .samples import draws, interpret, reached

BATCH = 8
"""Examples of a step: what 1, 2 and 4 parts, and as many devices, divide."""

PARTS = (2, 4)
DEVICES = 4

Compile = Callable[[Mapping[str, str], tuple[str, ...]], Program]
"""Compiles the recipe with these settings and without these passes, and without dropout."""


@dataclass(frozen=True)
class Run:
    """One training.

    `parts`: the gradient is the mean of those of so many parts of the batch, taken outside of the program. `devices`:
    how many it is placed on, by the program's own mesh where it has one. `nudge`: how far weights are moved at the
    start, relative to each.
    """

    program: Program
    parts: int = 1
    devices: int = 1
    nudge: float = 0.0


@dataclass(frozen=True)
class Variant:
    """A way to train that is compared with another; without a run, `note` says why it is not."""

    what: str
    against: str
    run: Run | None
    note: str = ""


def settings_of(name: str, accumulate: int = 1) -> dict[str, str]:
    """Fields of the train record that are the same in all variants, but for the one that is tried."""
    return {f"{name}.batch": str(BATCH), f"{name}.accumulate": str(accumulate)}


def variants(compile_: Compile, base: Program, given: dict[str, Array]) -> Iterator[Variant]:
    """Every variant of a recipe.

    Args:
        compile_: compiles it.
        base: the recipe as it is: no accumulation, all passes.
        given: a batch, for finding out whether it can be worked through in parts.
    """
    yield from _in_parts(compile_, base, given)
    yield from _remat(compile_, base)
    yield from _passes(compile_, base)
    yield from _meshes(compile_, base)


def _compiled(compile_: Compile, what: str, against: str, settings: Mapping[str, str], *off: str) -> Variant:
    try:
        return Variant(what, against, Run(compile_(settings, off)))
    except CompileError as error:
        return Variant(what, against, None, f"not compared: {error}")


def _in_parts(compile_: Compile, base: Program, given: dict[str, Array]) -> Iterator[Variant]:
    against, outside = "accumulate = 1", f"batch in {PARTS[0]} parts, by hand"
    if note := parts_differ(base.unoptimised, given):
        yield from (Variant(f"accumulate = {count}", against, None, note) for count in PARTS)
        yield Variant(outside, "the whole batch", None, note)
        return
    for count in PARTS:
        yield _compiled(compile_, f"accumulate = {count}", against, settings_of(base.name, count))
    yield Variant(outside, "the whole batch", Run(base, parts=PARTS[0]))


def parts_differ(module: Module, given: dict[str, Array]) -> str:
    """Why a batch that is worked through in parts is another training by its own definition; "" where it is not."""
    function = module.role("loss")
    if any(not value.type.axes or len(given[value.name or ""]) != BATCH for value in function.inputs):
        return "not compared: an input has no batch dim that could be split"
    if written := [name for op in reached(module, "loss") if op.kind == "set_state" and (name := _path(op))]:
        return f"not compared: the state `{written[0]}` depends on the micro-batch by its definition"
    if draws(module, "loss"):
        return "not compared: each part draws other random numbers than the whole"
    return _other_mean(module, given)


def _path(op: Op) -> str:
    return ".".join(map(str, cast("tuple[object, ...]", op.attributes.get("path", ()))))


def _other_mean(module: Module, given: dict[str, Array]) -> str:
    """Whether the loss of a batch is something else than the mean of its parts' losses, in the reference."""
    params, state = init_parameters(module, 0), init_states(module, 0)
    try:
        whole = _loss(module, params, state, given)
        for count in PARTS:
            parts = [{name: array[at::count] for name, array in given.items()} for at in range(count)]
            mean = float(np.mean([_loss(module, params, state, part) for part in parts]))
            if not abs(mean - whole) <= 1e-9 * (1 + abs(whole)):
                return f"not compared: the loss is no mean over examples: {whole:.6g}, and {mean:.6g} in {count} parts"
    except EvaluationError as error:
        return f"not compared: part of a batch cannot be computed: {error}"
    return ""


def _loss(module: Module, params: Tree, state: Tree, given: dict[str, Array]) -> float:
    return float(interpret(module, "loss", params, state, given)[0]["loss"])


def _remat(compile_: Compile, base: Program) -> Iterator[Variant]:
    """What backward recomputes, where the language lets the recipe say so."""
    spec = field_of("train", "remat")
    for choice in spec.choices if spec else ():
        if choice == "auto":  # takes one of the others
            continue
        settings = {**settings_of(base.name), f"{base.name}.remat": choice}
        yield _compiled(compile_, f"remat = {choice}", "remat as it is", settings)


def _passes(compile_: Compile, base: Program) -> Iterator[Variant]:
    optional = tuple(name for name in PASS_NAMES if name not in REQUIRED)
    for name in optional:
        if name == "roll-layers" and draws(base.unoptimised, "loss"):
            note = "not compared: layers in a loop draw from other keys than layers one by one"
            yield Variant(f"without {name}", "all passes", None, note)
            continue
        yield _compiled(compile_, f"without {name}", "all passes", settings_of(base.name), name)
    if not draws(base.unoptimised, "loss"):
        yield _compiled(compile_, "without any of them", "all passes", settings_of(base.name), *optional)


def _meshes(compile_: Compile, base: Program) -> Iterator[Variant]:
    """On several devices: the recipe's own mesh with two on each axis, or the batch split by jax."""
    if base.mesh is None:
        yield Variant(f"batch over {DEVICES} devices", "one device", Run(base, devices=DEVICES))
        return
    axes = [axis for axis, size in base.mesh.axes.items() if size > 1]
    for chosen in [*([axis] for axis in axes if len(axes) > 1), axes]:
        what = f"mesh {', '.join(f'{axis} = 2' for axis in chosen)}"
        sizes = {f"{base.mesh.name}.{axis}": str(2 if axis in chosen else 1) for axis in base.mesh.axes}
        found = _compiled(compile_, what, "one device", {**settings_of(base.name), **sizes})
        yield _placed(found, chosen)


def _placed(variant: Variant, chosen: list[str]) -> Variant:
    """On as many devices as its mesh has; not at all, where no dim is split: rules that do not divide are left out."""
    mesh = variant.run.program.mesh if variant.run else None
    if variant.run is None or mesh is None:
        return variant
    placed = {axis for targets in mesh.rules.values() for axis in targets}
    if placed.isdisjoint(chosen):
        return replace(variant, run=None, note="not compared: no dim is placed on it")
    return replace(variant, run=replace(variant.run, devices=math.prod(mesh.axes.values())))
