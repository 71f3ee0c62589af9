"""Which weights, stored apart, could be slices of one array: the same for all functions that read them.

A chain of equal groups of ops (:mod:`.chains`) reads weights whose paths differ in one segment: ``block``,
``block_2``, ``block_3``; or in one for each of several *members*: ``norm``, ``norm_2`` and ``dense``, ``dense_2``. That
is its family. The same weights are read by other functions: in inference and in training, by `loss` and by `measure`.
They can be stored together only if everything that reads one of them belongs to a chain of the same family.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from ..ir import Function, Module, Op, Path
from ..ir.parameters import READS, Trees
from ..ir.walk import callee, placed_ops
from ..ops import OPS
from ..ops.slices import numbered_alike
from .chains import Chain

Names: TypeAlias = tuple[str, ...]

Identity: TypeAlias = tuple[Path, frozenset[Names]]
"""A family at one place in a model: the path before the segments that differ, and the names of each member."""


class DifferentError(Exception):
    """The groups of a chain are equal, but not what they read; the message says why in words of a user."""


@dataclass(eq=False)
class Family:
    """What the groups of a chain read and draw below `prefix`, which is relative to the function.

    `members` have weights or states; `drawn` only draw. `reason` says why they cannot be stored together, if so.
    """

    chain: Chain
    function: Function
    prefix: Path
    members: tuple[Names, ...]
    drawn: tuple[Names, ...]
    reason: str = ""
    places: set[Identity] = field(default_factory=set[Identity])

    def holds(self, path: Path) -> bool:
        """Whether a path of the function is one of a slice, or leads into one."""
        size = len(self.prefix)
        names = {name for names in self.members for name in names}
        return path[:size] == self.prefix and len(path) > size and path[size] in names

    def at(self, place: Path) -> Identity:
        """The family where its function stands at a place."""
        return place + self.prefix, frozenset(self.members)


class Reading:
    """What ops read and draw, by what they call."""

    def __init__(self, module: Module) -> None:
        self.module, self.trees = module, Trees(module)
        self._drawing: dict[str, bool] = {}

    def stores(self, op: Op) -> bool:
        """Whether an op reads or sets weights or states."""
        if op.kind == "call":
            return bool(self.trees.of(callee(op))[0])
        return op.kind in READS or any(self.stores(inner) for region in op.regions for inner in region.ops)

    def owns(self, op: Op) -> bool:
        """Whether something below an op's path is its own: weights, states, a random key."""
        return self.stores(op) or self.draws(op)

    def draws(self, op: Op) -> bool:
        """Whether an op draws random numbers."""
        if op.kind == "call":
            name = callee(op)
            if name not in self._drawing:
                self._drawing[name] = any(map(self.draws, self.module.functions[name].body.ops))
            return self._drawing[name]
        own = op.kind in OPS and OPS[op.kind].random
        return own or any(self.draws(inner) for region in op.regions for inner in region.ops)


def rooted_ops(op: Op) -> Iterator[Op]:
    """The op, or those inside it, whose paths are relative to where it stands."""
    if "path" in op.attributes:
        yield op
        return
    for region in op.regions:
        for inner in region.ops:
            yield from rooted_ops(inner)


def family_of(chain: Chain, function: Function, reading: Reading) -> Family:
    """The family of a chain.

    Raises:
        DifferentError: the paths of its groups do not differ in one segment each.
    """
    stored: dict[Names, None] = {}
    drawn: dict[Names, None] = {}
    prefixes: set[Path] = set()
    arrays = False
    for same in zip(*([op for top in group for op in rooted_ops(top)] for group in chain.groups), strict=True):
        if not reading.owns(same[0]):
            continue
        paths = [chain.root + op.path() for op in same]
        prefix, names = _differing(paths)
        prefixes.add(prefix)
        (stored if reading.stores(same[0]) else drawn).setdefault(names)
        arrays |= same[0].kind in READS and len(paths[0]) == len(prefix) + 1
    members, others = tuple(stored), tuple(names for names in drawn if names not in stored)
    every = [name for names in (*members, *others) for name in names]
    alike = all(map(numbered_alike, (*members, *others)))
    if len(prefixes) > 1 or len(set(every)) < len(every) or not alike:
        raise DifferentError("their weights are not named alike")
    if arrays and len(stored | drawn) == 1:  # the only member is stored at the path of the loop: as a tree, not a leaf
        raise DifferentError("what they read are single weights, not layers")
    return Family(chain, function, prefixes.pop(), members, others)


def _differing(paths: list[Path]) -> tuple[Path, Names]:
    """The path before the segment in which paths differ, and those segments."""
    first = paths[0]
    if len(set(paths)) < len(paths):
        raise DifferentError("some of them share their weights")
    lengths = {len(path) for path in paths}
    places = [at for at in range(len(first)) if len({path[at] for path in paths}) > 1] if len(lengths) == 1 else []
    if len(places) != 1 or len({path[places[0]] for path in paths}) < len(paths):
        raise DifferentError("their weights are not named alike")
    return first[: places[0]], tuple(path[places[0]] for path in paths)


class Places:
    """Where families stand in the whole model, and what is read there."""

    def __init__(self, module: Module, families: list[Family]) -> None:
        self.module = module
        self.of_op: dict[Op, list[Family]] = {}
        self.inside: dict[str, list[Family]] = {}
        for family in families:
            self.inside.setdefault(family.function.name, []).append(family)
            for group in family.chain.groups:
                for op in group:
                    for inner in _within(op):
                        self.of_op.setdefault(inner, []).append(family)
        self.read: dict[Path, set[frozenset[Identity]]] = {}
        """The families through which each weight is read, a set each time that it is."""
        self.used: set[Path] = set()
        """The paths of all ops: a loop that has no weights yet would slice those that are put below its path."""
        self._seen: set[tuple[str, Path, frozenset[Identity]]] = set()
        for name in dict.fromkeys(module.roles.values()):
            self._visit(name, (), frozenset())

    def _visit(self, name: str, place: Path, through: frozenset[Identity]) -> None:
        if (name, place, through) in self._seen:
            return
        self._seen.add((name, place, through))
        function = self.module.functions[name]
        for family in self.inside.get(name, ()):
            family.places.add(family.at(place))
        for placed in placed_ops(function):
            if "path" in placed.op.attributes:
                self.used.add(place + placed.path)
            if placed.op.kind not in READS and placed.op.kind != "call":
                continue
            mine = through | {family.at(place) for family in self.of_op.get(placed.op, ())}
            path = place + placed.path
            if placed.op.kind == "call":
                self._visit(callee(placed.op), path, mine)
            else:
                self.read.setdefault(path, set()).add(mine)
        for path in function.parameters:
            if place + path not in self.read:  # a weight that nobody reads is stored all the same
                mine = through | {family.at(place) for family in self.inside.get(name, ()) if family.holds(path)}
                self.read[place + path] = {mine}

    def children(self, prefix: Path) -> set[str]:
        """The segments that follow a path."""
        size = len(prefix)
        return {path[size] for path in (*self.read, *self.used) if len(path) > size and path[:size] == prefix}

    def mixed(self) -> set[Identity]:
        """The families of which a weight is also read otherwise."""
        families = {identity for known in self.inside.values() for family in known for identity in family.places}
        slices: dict[Path, set[Identity]] = {}
        for identity in families:
            for name in (name for names in identity[1] for name in names):
                slices.setdefault((*identity[0], name), set()).add(identity)
        found: set[Identity] = set()
        for path, ways in self.read.items():
            for length in range(1, len(path) + 1):
                for identity in slices.get(path[:length], ()):
                    if any(identity not in through for through in ways):
                        found.add(identity)
        return found


def _within(op: Op) -> Iterator[Op]:
    yield op
    for region in op.regions:
        yield from region.walk()
