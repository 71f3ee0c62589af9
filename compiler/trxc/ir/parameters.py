"""The weights and states of a whole model, found by walking calls and loops; functions that are the same."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..dims import Dim, dim
from ..frozen import Frozen
from .ir import Function, Module, Parameter, Path
from .walk import SLICED, Placed, callee, placed_ops, stack_count

READS = frozenset({"parameter", "state", "set_state"})

_INDEX = re.compile(r"\[(\d+)\]")


def storage_key(segment: str) -> str:
    """The key of a path's segment in a tree of parameters: `blocks[0]`, one of several that differ, is `blocks_0`."""
    return _INDEX.sub(r"_\1", segment)


class BoundParameter(Frozen):
    """A weight or state of a whole model.

    `path` are its keys in the tree of parameters. `name` is what checkpoints call it, with `[*]` where it is one of a
    stack: `blocks[*].attention.wq`. `stack` are the numbers of slices, outermost first: the stored array has these
    dims before those of `parameter.type`, which is one slice. `stacked_at` says after how many segments of the path
    each of the `[*]` stands.
    """

    path: Path
    name: str
    stack: tuple[int, ...]
    stacked_at: tuple[int, ...]
    parameter: Parameter

    @property
    def sizes(self) -> tuple[Dim, ...]:
        """The sizes of the stored array."""
        return (*map(dim, self.stack), *self.parameter.type.sizes)


class Found(Frozen):
    """A parameter on its way from the function that owns it to the root: its logical path, and its stacks."""

    path: Path
    stack: tuple[int, ...]
    stacked_at: tuple[int, ...]
    parameter: Parameter

    def below(self, placed: Placed) -> Found:
        """As its caller sees it."""
        prefix = placed.path
        counts = tuple(count for _, count in placed.loops)
        at = (*(len(path) for path, _ in placed.loops), *(len(prefix) + at for at in self.stacked_at))
        return Found(prefix + self.path, counts + self.stack, at, self.parameter)

    def bound(self) -> BoundParameter:
        """With its name."""
        keys = tuple(map(storage_key, self.path))
        name = _logical_name(self.path, self.stacked_at)
        return BoundParameter(keys, name, self.stack, self.stacked_at, self.parameter)

    def agrees(self, other: Found) -> bool:
        """Whether both can be the same weight."""
        mine, theirs = self.parameter, other.parameter
        return (
            (self.path, self.stack, self.stacked_at) == (other.path, other.stack, other.stacked_at)
            and (mine.type.dtype, mine.type.sizes) == (theirs.type.dtype, theirs.type.sizes)
            and (mine.initializer, mine.trainable) == (theirs.initializer, theirs.trainable)
        )


def _logical_name(path: Path, stacked_at: tuple[int, ...]) -> str:
    text = "[*]" * stacked_at.count(0)
    for number, segment in enumerate(path, 1):
        text += ("." if text else "") + segment + "[*]" * stacked_at.count(number)
    return text


def parameter_tree(module: Module, function: str) -> list[BoundParameter]:
    """The weights of a function and all that it calls; one that is reached twice is there once."""
    return [bound for bound in _tree(module, function) if bound.parameter.trainable]


def state_tree(module: Module, function: str) -> list[BoundParameter]:
    """The states of a function and all that it calls; one that is reached twice is there once."""
    return [bound for bound in _tree(module, function) if not bound.parameter.trainable]


def _tree(module: Module, function: str) -> list[BoundParameter]:
    found, _ = Trees(module).of(function)
    return [entry.bound() for entry in found.values()]


class Trees:
    """The parameters of functions by storage path, each function walked once."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self._known: dict[str, tuple[dict[Path, Found], list[str]]] = {}

    def of(self, name: str) -> tuple[dict[Path, Found], list[str]]:
        """What a function and its callees own, and what is wrong with it (in the function itself, not in callees)."""
        if name not in self._known:
            self._known[name] = {}, []
            self._known[name] = self._walk(self.module.functions[name])
        return self._known[name]

    def _walk(self, function: Function) -> tuple[dict[Path, Found], list[str]]:
        found: dict[Path, Found] = {}
        problems: list[str] = []
        for entry in self._reached(function):
            key = tuple(map(storage_key, entry.path))
            known = found.setdefault(key, entry)
            if not known.agrees(entry):
                problems.append(f"the parameter `{entry.bound().name}` is declared twice, differently")
        inner = {key[:length] for key in found for length in range(1, len(key))}
        problems += [
            f"`{'.'.join(key)}` is both a parameter and a part of the path of others" for key in found if key in inner
        ]
        return found, problems

    def _reached(self, function: Function) -> Iterator[Found]:
        yield from own_parameters(function)
        for placed in placed_ops(function):
            if placed.op.kind == "call" and callee(placed.op) in self.module.functions:
                for entry in self.of(callee(placed.op))[0].values():
                    yield entry.below(placed)


def own_parameters(function: Function) -> Iterator[Found]:
    """The parameters that a function owns, once for every different stack of loops that it is read in.

    One that is never read is stacked by the loops whose paths its own begins with.
    """
    reads: dict[Path, dict[tuple[tuple[Path, int], ...], None]] = {}
    loops: list[tuple[Path, int]] = []
    for placed in placed_ops(function):
        if placed.op.kind in READS:
            reads.setdefault(placed.path, {})[placed.loops] = None
        elif placed.op.kind == SLICED:
            loops.append((placed.path, stack_count(placed.op)))
    for parameter in function.parameters.values():
        around = dict.fromkeys(loop for loop in loops if parameter.path[: len(loop[0])] == loop[0])
        for stack in reads.get(parameter.path, {tuple(around): None}):
            at = tuple(len(path) for path, _ in stack)
            yield Found(parameter.path, tuple(count for _, count in stack), at, parameter)
