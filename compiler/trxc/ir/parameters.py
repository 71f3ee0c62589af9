"""The weights and states of a whole model, found by walking calls and loops; functions that are the same."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence

from ..dims import Dim, dim
from ..frozen import Frozen
from .ir import Function, Module, Op, Parameter, Path
from .walk import SLICED, Loop, Placed, callee, placed_ops, slice_names, stack_count

READS = frozenset({"parameter", "state", "set_state"})

_INDEX = re.compile(r"\[(\d+)\]")


def storage_key(segment: str) -> str:
    """The key of a path's segment in a tree of parameters: `blocks[0]`, one of several that differ, is `blocks_0`."""
    return _INDEX.sub(r"_\1", segment)


class Stack(Frozen):
    """One dim of a stored array that holds several weights: their number, and how the name says which of them it is.

    The dim belongs to the first `at` segments of the path. Slice *i* has the number `[i]` after the last of them; or,
    with `names`, name *i* in place of it and of `over` segments after it.
    """

    count: int
    at: int
    names: tuple[str, ...] = ()
    over: int = 0

    def below(self, length: int) -> Stack:
        """The same for a path with as many segments before it."""
        return Stack(self.count, self.at + length, self.names, self.over)


class BoundParameter(Frozen):
    """A weight or state of a whole model.

    `path` are its keys in the tree of parameters. `name` is what checkpoints call it, with `[*]` where it is one of a
    stack: `blocks[*].attention.wq`, and the first name of a stack whose slices have names of their own. `stacks` are
    the dims that hold several such weights, outermost first: the stored array has these dims before those of
    `parameter.type`, which is one slice.
    """

    path: Path
    name: str
    stacks: tuple[Stack, ...]
    parameter: Parameter
    segments: Path

    @property
    def stack(self) -> tuple[int, ...]:
        """The numbers of slices, outermost first."""
        return tuple(stack.count for stack in self.stacks)

    @property
    def sizes(self) -> tuple[Dim, ...]:
        """The sizes of the stored array."""
        return (*map(dim, self.stack), *self.parameter.type.sizes)

    @property
    def names(self) -> dict[tuple[int, ...], str]:
        """What each slice is called, by its indices: `blocks[0].attention.wq`; itself, by (), where there is one."""
        every = itertools.product(*(range(stack.count) for stack in self.stacks))
        return {at: slice_name(self.segments, self.stacks, at) for at in every}


class Found(Frozen):
    """A parameter on its way from the function that owns it to the root: its storage path, and its stacks."""

    path: Path
    stacks: tuple[Stack, ...]
    parameter: Parameter

    @property
    def stack(self) -> tuple[int, ...]:
        """The numbers of slices, outermost first."""
        return tuple(stack.count for stack in self.stacks)

    def below(self, placed: Placed) -> Found:
        """As its caller sees it."""
        prefix = placed.path
        path = prefix + self.path
        inner = (stack.below(len(prefix)) for stack in self.stacks)
        return Found(path, (*stacks_of(placed.loops, path), *inner), self.parameter)

    def bound(self) -> BoundParameter:
        """With its name."""
        keys = tuple(map(storage_key, self.path))
        name = slice_name(self.path, self.stacks, None)
        return BoundParameter(keys, name, self.stacks, self.parameter, self.path)

    def agrees(self, other: Found) -> bool:
        """Whether both can be the same weight."""
        mine, theirs = self.parameter, other.parameter
        return (
            (self.path, self.stacks) == (other.path, other.stacks)
            and (mine.type.dtype, mine.type.sizes) == (theirs.type.dtype, theirs.type.sizes)
            and (mine.initializer, mine.trainable) == (theirs.initializer, theirs.trainable)
        )


def stacks_of(loops: Iterable[Loop], path: Path) -> tuple[Stack, ...]:
    """The stacks that loops make of what is at a path."""
    found: list[Stack] = []
    for loop in loops:
        over, names = loop.renaming(path[len(loop.path) :]) or (0, ())
        found.append(Stack(loop.count, len(loop.path), names, over))
    return tuple(found)


def slice_name(path: Path, stacks: Sequence[Stack], at: Sequence[int] | None) -> str:
    """The name of a slice; without indices that of all, `[*]` for the numbers and the first of the slices' own names.

    Args:
        path: where the slices are stored, as names.
        stacks: what they are slices of, outermost first.
        at: the index of the slice in each of the stacks.
    """
    texts: list[str | None] = ["", *path]
    for place, stack in enumerate(stacks):
        last = stack.at + stack.over
        if stack.names:
            texts[stack.at : last] = [None] * stack.over
            texts[last] = stack.names[at[place] if at is not None else 0]
        else:
            texts[stack.at] = f"{texts[stack.at] or ''}[{at[place] if at is not None else '*'}]"
    return ".".join(text for text in texts if text)


def stored_loops(module: Module, function: str, root: Path = ()) -> Iterator[tuple[Path, Op]]:
    """The loops over layers that a function runs, each as often as it is run, and where their slices are stored."""
    for placed in placed_ops(module.functions[function]):
        if placed.op.kind == SLICED:
            yield tuple(map(storage_key, root + placed.path)), placed.op
        elif placed.op.kind == "call":
            below = placed.op.path() if "path" in placed.op.attributes else ()
            yield from stored_loops(module, callee(placed.op), root + placed.root + below)


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
    reads: dict[Path, dict[tuple[Loop, ...], None]] = {}
    loops: list[Loop] = []
    for placed in placed_ops(function):
        if placed.op.kind in READS:
            reads.setdefault(placed.path, {})[placed.loops] = None
        elif placed.op.kind == SLICED:
            loops.append(Loop(placed.path, stack_count(placed.op), slice_names(placed.op)))
    for parameter in function.parameters.values():
        around = dict.fromkeys(loop for loop in loops if parameter.path[: len(loop.path)] == loop.path)
        for stack in reads.get(parameter.path, {tuple(around): None}):
            yield Found(parameter.path, stacks_of(stack, parameter.path), parameter)
