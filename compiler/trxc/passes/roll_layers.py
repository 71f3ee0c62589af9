"""Makes one loop of equal layers that stand one after the other; their weights become slices of one array.

Before::

    %1 = call(%0) {callee="block", path=("block",)}
    %2 = call(%1) {callee="block", path=("block_2",)}
    %3 = call(%2) {callee="block", path=("block_3",)}
    %4 = call(%3) {callee="block", path=("block_4",)}

After::

    %4 = repeat(%0) {count=4, path=("block",), names=("block", "block_2", "block_3", "block_4")} do (x) {
      %5 = call(x) {callee="block", path=()}
      yield %5
    }

The weights keep their names, and with them their first values, and draws their random keys. What they compute is the
same; the program becomes short, and XLA compiles one layer instead of all. Layers are rolled in all functions that read
their weights or in none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from ..ir import Function, Module, Op, Path, Region, Value
from ..ir.clone import clone_function
from ..ir.merge import canonical_text
from ..ir.parameters import BoundParameter, parameter_tree
from ..ir.patterns import matches
from ..ir.walk import SLICED, callee, reachable, slice_names
from ..plan.targets import DEFAULT, TARGETS, Target
from ..source import Span
from .base import Pass, Remarks
from .chains import Chain, find_chains
from .families import DifferentError, Family, Names, Places, Reading, family_of, rooted_ops
from .layouts import Layout, layouts_of

EACH_NUMBER = frozenset({
    "sgd", "sign_sgd", "rprop", "optimistic_gradient_descent", "adam", "adamw", "nadam", "nadamw", "adamax", "amsgrad",
    "radam", "adabelief", "adan", "contrib.ademamix", "yogi", "lion", "adagrad", "rmsprop", "adadelta",
    "contrib.prodigy", "clip_by_global_norm", "clip", "add_decayed_weights", "zero_nans", "scale", "chain",
})  # fmt: skip
"""What of optax treats every number of a weight alike, and knows no more of the others than of all weights together.

The others take norms, means or factors of each array, and of layers in one array would take them of all: `lamb`,
`lars`, `adafactor`, `muon`, `novograd`, `sm3`, `fromage`, `clip_by_block_rms`, `adaptive_grad_clip`, `centralize`.
"""


@dataclass(frozen=True)
class RollLayers(Pass):
    """Layers to loops, as the recipe permits.

    `patterns` are those of weights that the recipe treats apart: slices that differ in them stay apart. `optimizer` are
    the parts of the optimizer, as "module:attribute".
    """

    name: ClassVar[str] = "roll-layers"
    target: Target = TARGETS[DEFAULT]
    patterns: tuple[str, ...] = ()
    optimizer: tuple[str, ...] = ()

    def run(self, module: Module, remarks: Remarks) -> None:
        """Rolls until there is nothing left to roll: loops first, then what is inside of them."""
        told = _Told(remarks)
        while self._round(module, told):
            pass
        kept = reachable(module)
        for name in [name for name in module.functions if name not in kept]:
            del module.functions[name]

    def _round(self, module: Module, told: _Told) -> bool:
        reading, classes = Reading(module), _Classes(module)
        families: list[Family] = []
        for function in module.functions.values():
            for chain, named in _chains(function, classes, reading, self.target.roll_from):
                try:
                    family = family_of(chain, function, reading)
                except DifferentError as error:
                    told.missed(chain, str(error))
                    continue
                if named or any(slice_names(op) for group in chain.groups for op in _loops(group)):
                    family.reason = "layers inside of them, or around, have become a loop already"
                families.append(family)
        if not families:
            return False
        places = Places(module, families)
        for part in (part for part in self.optimizer if not _treats_alike(part)):
            for family in (family for family in families if family.members):
                family.reason = f"`{part.rpartition('.')[2].rpartition(':')[2]}` treats each weight as a whole"
        _look_apart(module, families, self.patterns)
        agreed = _agreed(families, places, told)
        for family, layout in layouts_of(agreed, places).items():
            told.done(family)
            _roll(family, layout, reading)
        return bool(agreed)


@dataclass
class _Told:
    """What is said of chains, as of layers."""

    remarks: Remarks

    def done(self, family: Family) -> None:
        """A chain has become a loop."""
        groups = family.chain.groups
        self.remarks.done("roll-layers", f"{_layers(family.chain)} become one loop", groups[0][0].span)

    def missed(self, chain: Chain, why: str) -> None:
        """A chain has not."""
        self.remarks.missed("roll-layers", f"{_layers(chain)} could be one loop, but {why}", _span(chain))


def _span(chain: Chain) -> Span | None:
    return chain.groups[0][0].span


def _layers(chain: Chain) -> str:
    """`12 equal layers (block, block_2, …, block_12)`."""
    heads = [next((op.path() for op in rooted_ops(group[0]) if op.path()), ()) for group in chain.groups]
    names = [".".join(path) for path in heads if path]
    shown = f" ({names[0]}, {names[1]}, …, {names[-1]})" if len(names) > 2 else ""
    return f"{len(chain.groups)} equal layers{shown}"


class _Classes:
    """Functions that are equal, by the name of the first."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self._firsts: dict[str, str] = {}
        self._known: dict[str, str] = {}

    def __call__(self, name: str) -> str:
        if name not in self._known:
            copy = clone_function(self.module.functions[name])
            for op in copy.body.walk():
                if op.kind == "call":
                    op.attributes["callee"] = self(callee(op))
            self._known[name] = self._firsts.setdefault(canonical_text(copy), name)
        return self._known[name]


def _chains(function: Function, classes: _Classes, reading: Reading, minimum: int) -> Iterator[tuple[Chain, bool]]:
    """The outermost chains of a function, and whether each is in a loop whose slices have names of their own."""

    def look(region: Region, root: Path, named: bool) -> Iterator[tuple[Chain, bool]]:
        taken: set[Op] = set()
        for chain in find_chains(region, root, classes, reading.owns, minimum):
            taken.update(op for group in chain.groups for op in group)
            yield chain, named
        for op in region.ops:
            if op not in taken:
                below = root + op.path() if "path" in op.attributes else root
                for inner in op.regions:
                    yield from look(inner, below, named or bool(slice_names(op)))

    return look(function.body, (), False)


def _loops(group: list[Op]) -> Iterator[Op]:
    for op in group:
        if op.kind == SLICED:
            yield op
        for region in op.regions:
            yield from _loops(region.ops)


def _treats_alike(part: str) -> bool:
    """Whether a part of an optimizer does the same for layers in one array as for each by itself."""
    module, _, attribute = part.partition(":")
    return module != "optax" or attribute in EACH_NUMBER or attribute.endswith(("_schedule", "_schedules", "_decay"))


# ------------------------------------------------------------------ agreement


def _look_apart(module: Module, families: list[Family], patterns: tuple[str, ...]) -> None:
    """Gives a reason to families of whose slices the recipe's patterns take some and others not."""
    if not patterns:
        return
    roles = dict.fromkeys(module.roles.values())
    weights = {bound.segments: bound for name in roles for bound in parameter_tree(module, name)}
    for family in families:
        for prefix, members in family.places:
            for pattern in patterns:
                if any(_differ(weights, (prefix, names), pattern) for names in members):
                    family.reason = f"`{pattern}` is said of some of them alone"


def _differ(weights: dict[Path, BoundParameter], slices: tuple[Path, Names], pattern: str) -> bool:
    prefix, names = slices
    size = len(prefix) + 1
    taken: list[set[Path]] = []
    for name in names:
        below = [bound for path, bound in weights.items() if path[:size] == (*prefix, name)]
        held = [b for b in below if any(matches(pattern, each) for each in b.names.values())]
        taken.append({bound.segments[size:] for bound in held})
    return any(paths != taken[0] for paths in taken)


def _agreed(families: list[Family], places: Places, told: _Told) -> list[Family]:
    """The families that everything which reads their weights agrees on."""
    apart = places.mixed()
    for family in families:
        if family.reason:
            told.missed(family.chain, family.reason)
    left = families
    while True:
        kept = [family for family in left if not family.reason and family.places and not family.places & apart]
        if len(kept) == len(left):
            return kept
        for family in (family for family in left if family not in kept):
            apart |= {identity for identity in family.places if identity[1]}
            if not family.reason and family.places:
                told.missed(family.chain, "what else uses their weights, as in training, does not do so layer by layer")
        left = kept


# -------------------------------------------------------------------- rolling


def _roll(family: Family, layout: Layout, reading: Reading) -> None:
    """Puts a loop in the place of the last op of a chain."""
    chain = family.chain
    first, *others = chain.groups
    region = Region([Value(carry.first.type, carry.first.name) for carry in chain.carries])
    for argument, carry in zip(region.arguments, chain.carries, strict=True):
        for values, index in carry.sites:
            values[index] = argument
    for op in first:
        for inner in rooted_ops(op):
            path = chain.root + inner.path()
            inner.attributes["path"] = layout.inner(family, path) if reading.owns(inner) else ()
    region.ops, region.results = first, [carry.given for carry in chain.carries]
    lasts = _lasts(chain)
    local = layout.path[len(chain.root) :]
    named = {"names": layout.names} if layout.names else {}
    loop = Op(SLICED, [carry.first for carry in chain.carries], {"count": len(chain.groups), "path": local, **named},
              lasts, [region], _span(chain))  # fmt: skip
    gone = {op for group in (first, *others) for op in group}
    at = next(at for at, op in enumerate(chain.region.ops) if op is others[-1][-1])
    chain.region.ops[at] = loop
    chain.region.ops[:] = [op for op in chain.region.ops if op not in gone]
    _move_parameters(family, layout)


def _lasts(chain: Chain) -> list[Value]:
    """The results of the loop: what the last group gave, a new value where that is two carries'."""
    found: list[Value] = []
    for carry in chain.carries:
        found.append(Value(carry.last.type, carry.last.name) if carry.last in found else carry.last)
    return found


def _move_parameters(family: Family, layout: Layout) -> None:
    """Declares what the function itself owns of the slices once, where the first is stored."""
    parameters = family.function.parameters
    firsts = {names[0] for names in family.members}
    for path in [path for path in parameters if family.holds(path)]:
        parameter = parameters.pop(path)
        if path[len(family.prefix)] in firsts:
            new = layout.path + layout.inner(family, path)
            parameters[new] = replace(parameter, path=new)
