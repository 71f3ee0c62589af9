"""Ops that follow each other in equal groups, each group on what the group before it gave.

A group may hold several ops, as of layers that are written out: here three groups of two, and x is carried along::

    a = call(x) {callee="norm", path=("norm",)}
    x_2 = call(a) {callee="dense", path=("dense",)}
    b = call(x_2) {callee="norm", path=("norm_2",)}
    x_3 = call(b) {callee="dense", path=("dense_2",)}
    …

Groups are equal where their ops are, apart from the paths of what they read and draw, and use the same values from
around. What is computed between them on other values is no part of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from ..ir import Op, Path, Region, Value
from ..ir.walk import callee

LONGEST = 16
"""The most ops in a group."""

AHEAD = 128
"""How many ops are looked at first: most places are the beginning of nothing."""

Site: TypeAlias = tuple[list[Value], int]
"""A place that holds a value: operands of an op or results of a region, and the index."""


@dataclass(frozen=True)
class Chain:
    """Groups of ops in a region whose paths begin at `root`, and what goes from one group to the next."""

    region: Region
    root: Path
    groups: list[list[Op]]
    carries: list[Carry]


@dataclass(eq=False)
class Carry:
    """A value that goes from each group to the next: what it is at first and at last, what the first group gives for
    the second, and the places in the first group that hold it."""

    first: Value
    last: Value
    given: Value
    sites: list[Site] = field(default_factory=list[Site])


class Form:
    """What of an op must be equal in another, and what may differ: the values that it uses, and paths.

    `rooted` are the ops in it, itself included, whose paths are relative to the same root as its own.
    """

    def __init__(self, op: Op, classes: Callable[[str], str]) -> None:
        self.sites: list[Site] = []
        self.defined: list[Value] = []
        self.rooted: list[Op] = []
        self.key: object = self._key(op, classes, rooted=True)

    def _key(self, op: Op, classes: Callable[[str], str], *, rooted: bool) -> object:
        self.sites += [(op.operands, at) for at in range(len(op.operands))]
        attributes = {name: repr(value) for name, value in op.attributes.items() if not (rooted and name == "path")}
        if op.kind == "call":
            attributes["callee"] = classes(callee(op))
        if rooted and "path" in op.attributes:
            self.rooted.append(op)
        inside = rooted and "path" not in op.attributes
        regions = tuple(self._region(region, classes, rooted=inside) for region in op.regions)
        self.defined += op.results
        return (op.kind, len(op.operands), tuple(sorted(attributes.items())), tuple(map(_typed, op.results)), regions)

    def _region(self, region: Region, classes: Callable[[str], str], *, rooted: bool) -> object:
        self.defined += region.arguments
        ops = tuple(self._key(op, classes, rooted=rooted) for op in region.ops)
        self.sites += [(region.results, at) for at in range(len(region.results))]
        return (tuple(map(_typed, region.arguments)), ops, len(region.results))


def _typed(value: Value) -> object:
    return (value.type.dtype, value.type.sizes)


def find_chains(
    region: Region, root: Path, classes: Callable[[str], str], owns: Callable[[Op], bool], minimum: int
) -> Iterator[Chain]:
    """The chains of a region, not those of regions in it.

    Args:
        region: where to look.
        root: where the paths of its ops begin.
        classes: the same text for functions that are equal, by name.
        owns: whether an op reads weights or states, or draws; in each group one does.
        minimum: of groups.
    """
    search = _Search(region, root, classes, owns, minimum)
    at = 0
    while at < len(region.ops):
        chain = search.starting_at(at)
        if chain is None:
            at += 1
            continue
        yield chain
        at = search.place[chain.groups[-1][-1]] + 1


class _Search:
    """One region: the forms of its ops, and where its values are used."""

    def __init__(
        self, region: Region, root: Path, classes: Callable[[str], str], owns: Callable[[Op], bool], minimum: int
    ) -> None:
        self.region, self.root, self.minimum = region, root, minimum
        self.forms = {op: Form(op, classes) for op in region.ops}
        self.owning = {op for op in region.ops if owns(op)}
        keys: dict[object, int] = {}
        self.key = {op: keys.setdefault(form.key, len(keys)) for op, form in self.forms.items()}
        self.common = Counter(self.key.values())
        self.place = {op: at for at, op in enumerate(region.ops)}
        self.users: dict[Value, list[Op | None]] = {}
        for op, form in self.forms.items():
            for values, index in form.sites:
                self.users.setdefault(values[index], []).append(op)
        for value in region.results:
            self.users.setdefault(value, []).append(None)

    def starting_at(self, at: int) -> Chain | None:
        """The best chain that begins with an op, or within the group that begins with it."""
        first = self._best(at)
        if first is None:
            return None
        group = first.groups[0]
        rotated = [chain for op in group[1:] if (chain := self._best(self.place[op])) is not None]
        return max([first, *rotated], key=lambda chain: (len(chain.groups), -len(chain.carries), -len(chain.groups[0])))

    def _best(self, at: int) -> Chain | None:
        op = self.region.ops[at]
        if self.common[self.key[op]] < self.minimum:
            return None
        found: list[Chain] = []
        for value in dict.fromkeys(self._begins(at)):
            for ahead in (AHEAD, len(self.region.ops)):
                follows = self._following(value, self.region.ops[at : at + ahead])
                here = [chain for length in range(1, LONGEST + 1) if (chain := self._chain(follows, length))]
                if follows[:1] != [op] or not here:
                    break
                found += here
        return max(found, key=lambda chain: len(chain.groups) * len(chain.groups[0]), default=None)

    def _begins(self, at: int) -> Iterator[Value]:
        """The values that could be carried into a group that begins with an op: what it, or one that it feeds, uses."""
        op = self.region.ops[at]
        yield from (values[index] for values, index in self.forms[op].sites)
        if not op.operands:
            for user in (user for value in op.results for user in self.users.get(value, ()) if user is not None):
                yield from (value for value in user.operands if value not in op.results)

    def _following(self, value: Value, ops: Sequence[Op]) -> list[Op]:
        """Those of the ops that depend on a value, and those that read weights or draw for them alone."""
        reached, chosen = {value}, set[Op]()
        for op in ops:
            form = self.forms[op]
            if any(values[index] in reached for values, index in form.sites):
                reached.update(form.defined)
                chosen.add(op)
        for op in reversed(ops):
            users = [user for result in op.results for user in self.users.get(result, ())]
            if op not in chosen and users and all(user in chosen for user in users) and self.forms[op].rooted:
                chosen.add(op)
        return [op for op in ops if op in chosen]

    def _chain(self, ops: list[Op], length: int) -> Chain | None:
        """As many equal groups of some length as there are at the beginning."""
        pattern = [self.key[op] for op in ops[:length]]
        if pattern != [self.key[op] for op in ops[length : 2 * length]]:
            return None
        if not any(op in self.owning for op in ops[:length]):  # a loop of these would have no path of its own
            return None
        groups: list[list[Op]] = []
        for start in range(0, len(ops) - length + 1, length):
            group = ops[start : start + length]
            if [self.key[op] for op in group] != pattern:
                break
            groups.append(group)
        return self._linked(groups) if len(groups) >= self.minimum else None

    def _linked(self, groups: list[list[Op]]) -> Chain | None:
        """The groups that are linked in the same way, from the first on."""
        linked = [_Group(self.forms, group) for group in groups]
        wanted = linked[1].uses(linked[0])
        if not linked[0].begins(wanted):
            return None
        count = 2
        while count < len(groups) and linked[count].uses(linked[count - 1]) == wanted:
            count += 1
        count = self._closed(linked[:count], {at for source, at in wanted if source == "before"})
        if count < self.minimum:
            return None
        return self._made(groups[:count], linked[:count], wanted)

    def _closed(self, groups: Sequence[_Group], carried: set[object]) -> int:
        """How many groups there are until something of the inside of one is used elsewhere."""
        for number, group in enumerate(groups):
            after = groups[number + 1].ops if number + 1 < len(groups) else set[Op]()
            for at, value in enumerate(group.defined):
                outside = [user for user in self.users.get(value, ()) if user not in group.ops]
                if all(user in after for user in outside):
                    continue
                return number + 1 if at in carried else number
        return len(groups)

    def _made(self, ops: list[list[Op]], groups: Sequence[_Group], wanted: list[tuple[str, object]]) -> Chain | None:
        carries: dict[tuple[Value, int], Carry] = {}
        for (source, at), (values, index) in zip(wanted, groups[0].sites, strict=True):
            if source == "before":
                assert isinstance(at, int)
                first, given, last = values[index], groups[0].defined[at], groups[-1].defined[at]
                if _typed(first) != _typed(given):
                    return None
                carries.setdefault((first, at), Carry(first, last, given)).sites.append((values, index))
        return Chain(self.region, self.root, ops, list(carries.values())) if carries else None


class _Group:
    """A group's places and values, in order."""

    def __init__(self, forms: dict[Op, Form], ops: list[Op]) -> None:
        self.ops = set(ops)
        self.sites = [site for op in ops for site in forms[op].sites]
        self.defined = [value for op in ops for value in forms[op].defined]
        self.number = {value: at for at, value in enumerate(self.defined)}

    def uses(self, before: _Group) -> list[tuple[str, object]]:
        """What each place holds: a value of this group, of the one before it, or of neither."""
        return [self._source(values[index], before) for values, index in self.sites]

    def _source(self, value: Value, before: _Group) -> tuple[str, object]:
        if value in self.number:
            return "here", self.number[value]
        return ("before", before.number[value]) if value in before.number else ("around", value)

    def begins(self, wanted: list[tuple[str, object]]) -> bool:
        """Whether the first group uses values as the others do; anything from around may be what is carried."""
        found = [self._source(values[index], self) for values, index in self.sites]
        return all(
            one == other if other[0] != "before" else one[0] == "around"
            for one, other in zip(found, wanted, strict=True)
        )
