"""A model in chunks against the whole, in the reference interpreter: float64, whatever the sequence is cut into."""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trxc.diagnostics import Diagnostics
from trxc.driver import choose, stop_on_errors
from trxc.elaborate.program import check_program
from trxc.ir import Module
from trxc.ir.clone import clone_module
from trxc.ir.parameters import state_tree
from trxc.ir.verify import verify
from trxc.passes import Remarks, pipeline
from trxc.passes.decode import PREPARE, STEP, derive_decoding
from trxc.passes.decode.scope import ring
from trxc.plan.targets import DEFAULT, TARGETS, Target
from trxc.reference import Reference, Tree, init_parameters, init_states
from trxc.source import Source

from .harmless import Array

PADDING = 2
"""So many places that are not real stand behind those of a chunk of several."""

AHEAD = 1e-7
"""From which share of the largest logit on a place is taken to have moved; rounding moves it far less."""

SHORTEST = 3
"""The shortest sequence that every model takes."""


@dataclass(frozen=True)
class Lengths:
    """The sizes of a comparison; of what is kept, there is room for a few places more than there are."""

    seq: int = 7
    rows: int = 2
    capacity: int = 10
    chunk: int = 10
    """The longest chunk: where a query sees only so many places, fewer are kept."""

    @property
    def sizes(self) -> dict[str, int]:
        """What symbols stand for."""
        rings = {ring(window): min(self.capacity, window - 1 + self.chunk) for window in range(1, 33)}
        return {"batch": self.rows, "seq": self.seq, "source_len": 5, "capacity": self.capacity, **rings}


USUAL = Lengths()


def unoptimised(text: str) -> Module:
    """The module of a program before any pass, without the time that it takes to write a program.

    Raises:
        CompileError: the program has errors.
    """
    diagnostics = Diagnostics()
    checked = check_program(Source("model.trx", text), None, {}, diagnostics)
    stop_on_errors(diagnostics)
    return choose(checked, None).module


def derived(module: Module, target: Target = TARGETS[DEFAULT]) -> Module:
    """A module with decoding derived, along the places of `tokens` for `logits`, as the pass finds it.

    Raises:
        RefusedError: it looks ahead, or it is not known how.
    """
    module = clone_module(module)
    for item in pipeline(target=target):
        item.run(module, Remarks())
        if item.name == "fuse-attention":
            break
    derive_decoding(module, "tokens", "logits")
    faults = verify(module)
    assert not faults, f"not valid: {faults[0]}"
    return module


def inputs_of(module: Module, seed: int, lengths: Lengths = USUAL) -> dict[str, Array]:
    """Ids for every input, by name."""
    rng = np.random.default_rng(seed)
    return {
        str(value.name): rng.integers(0, 4, tuple(size.evaluate(lengths.sizes) for size in value.type.sizes))
        for value in module.role("apply").inputs
    }


def weights_of(module: Module, seed: int) -> tuple[Tree, Tree]:
    """Weights and states of the model."""
    apply = module.roles["apply"]
    return init_parameters(module, seed, apply), init_states(module, seed + 1, apply)


def full(module: Module, inputs: Mapping[str, Array], params: Tree, state: Tree) -> Array:
    """The logits of the whole sequence at once."""
    apply = module.role("apply")
    results, _ = Reference(module).run(apply.name, params, state, list(inputs.values()))
    return results[apply.output_names.index("logits")]


def kept(module: Module, state: Tree, lengths: Lengths = USUAL) -> Tree:
    """The model's states and those of decoding, filled with what must not matter."""
    held = copy.deepcopy(state)
    for bound in [*state_tree(module, module.roles[STEP]), *state_tree(module, module.roles[PREPARE])]:
        shape = tuple(size.evaluate(lengths.sizes) for size in bound.sizes)
        tree: Any = held
        for part in bound.path[:-1]:
            tree = tree.setdefault(part, {})
        kind = bound.parameter.type.dtype.kind
        tree.setdefault(bound.path[-1], np.full(shape, {"float": 7.0, "int": 3, "bool": True}[kind]))
    return held


def in_chunks(
    module: Module,
    inputs: Mapping[str, Array],
    params: Tree,
    state: Tree,
    cut: Sequence[int],
    lengths: Lengths = USUAL,
) -> Array:
    """The logits chunk by chunk; chunks of several places have more that are not real, where there is room."""
    reference, prepare, step = Reference(module), module.role(PREPARE), module.role(STEP)
    before = [inputs[str(value.name)] for value in prepare.inputs]
    room = replace(lengths, chunk=max(count + PADDING * (count > 1) for count in cut))
    _, held = reference.run(prepare.name, params, kept(module, state, room), before)
    found: list[Array] = []
    start = 0
    for count in cut:
        chunk = inputs["tokens"][:, start : start + count]
        if count > 1 and start + count + PADDING <= lengths.capacity:
            chunk = np.concatenate([chunk, np.full((lengths.rows, PADDING), 2)], axis=1)
        given = {
            "tokens": chunk,
            "start": np.asarray(start),
            "count": np.asarray(count),
            "slots": np.arange(lengths.capacity),
        }
        (logits,), held = reference.run(step.name, params, held, [given[str(value.name)] for value in step.inputs])
        found.append(logits[:, :count])
        start += count
    return np.concatenate(found, axis=1)


def cuts(length: int, seed: int) -> list[list[int]]:
    """One place at a time; then every prefix of more as one chunk, and the rest in chunks of random lengths."""
    rng = random.Random(seed)
    found = [[1] * length]
    for prefix in range(2, length + 1):
        cut, left = [prefix], length - prefix
        while left:
            cut.append(rng.randint(1, left))
            left -= cut[-1]
        found.append(cut)
    return found


def worst_off(module: Module, seed: int, lengths: Lengths = USUAL) -> tuple[float, list[int]]:
    """The largest difference over all cuts, as a share of the largest logit, and the cut that shows it."""
    params, state = weights_of(module, seed)
    inputs = inputs_of(module, seed + 1, lengths)
    wanted = full(module, inputs, params, state)
    scale = float(np.max(np.abs(wanted)))
    assert np.isfinite(scale)
    assert scale > 0
    worst: tuple[float, list[int]] = (0.0, [])
    for cut in cuts(lengths.seq, seed):
        found = in_chunks(module, inputs, params, state, cut, lengths)
        off = float(np.max(np.abs(found - wanted))) / scale
        if not off <= worst[0]:
            worst = (off if np.isfinite(off) else float("inf"), cut)
    return worst


def looks_ahead(module: Module, seed: int, lengths: Lengths = USUAL) -> bool:
    """Whether logits of some places move when later tokens change, or are not there; of nan nothing is known."""
    params, state = weights_of(module, seed)
    inputs = inputs_of(module, seed + 1, lengths)
    wanted = full(module, inputs, params, state)
    scale = float(np.max(np.abs(wanted)))
    if not np.isfinite(scale):
        return False
    for place in range(1, lengths.seq):
        others = inputs["tokens"].copy()
        others[:, place:] = 3 - others[:, place:]
        shorter = [inputs["tokens"][:, :place]] if place >= SHORTEST else []
        for tokens in (others, *shorter):
            found = full(module, {**inputs, "tokens": tokens}, params, state)[:, :place]
            if not np.max(np.abs(found - wanted[:, :place])) < AHEAD * scale:
                return True
    return False
