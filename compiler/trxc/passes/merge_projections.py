"""Makes one product of several of the same value: the weights stand side by side, and the result is cut.

Before::

    q: float[batch, seq, heads=8, head=32] = einsum(x, wq) {pattern="b s d, d h e -> b s h e"}
    k: float[batch, seq, groups=2, head=32] = einsum(x, wk) {pattern="b s d, d h e -> b s h e"}

After::

    wqk: float[embed=256, 10, head=32] = concat(wq, wk) {along=1}
    qk: float[batch, seq, 10, head=32] = einsum(x, wqk) {pattern="b s d, d h e -> b s h e"}
    q: float[batch, seq, heads=8, head=32] = slice(qk) {…}
    k: float[batch, seq, groups=2, head=32] = slice(qk) {…}

One product reads `x` once and fills the machine better, and there is one product for the gradient of `x` where there
were as many as weights, and their sum. Against that stand the copies: of the weights, and in the backward pass of the
gradients of the results, side by side. How wide the weights may be for this to pay, is in the target.

A layer that is a few plain ops, as `Dense`, is written out where a product in it is merged. What the weights are
called and how they are stored, does not change. In steps of decoding the weights outweigh what they are multiplied with
by far, so that their copies cost more than is saved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import ClassVar

from ..dims import Dim, dim
from ..ir import Attribute, Function, Module, Op, Region, Value
from ..ir.clone import inline_call
from ..ir.walk import call_order, callee, reachable
from ..plan.sharding import Rules
from ..plan.targets import DEFAULT, TARGETS, Target
from ..types import axis
from .base import Pass, Remarks
from .decode import STEP
from .siblings import Form, Product, products

_LONGEST_NAME = 24


def _of_decoding(module: Module) -> set[str]:
    """The functions of steps of decoding alone."""
    if STEP not in module.roles:
        return set()
    others = [name for role, name in module.roles.items() if role != STEP]
    return set(call_order(module, [module.roles[STEP]])) - set(call_order(module, others))


@dataclass(frozen=True)
class MergeProjections(Pass):
    """Merges where the target says that it pays, and where it moves no weight over the mesh of `rules`."""

    name: ClassVar[str] = "merge-projections"
    rules: Rules = ()
    target: Target = TARGETS[DEFAULT]

    def run(self, module: Module, remarks: Remarks) -> None:
        """Looks at every region of every function; functions that are no longer called go."""
        if not self.target.merged_width:
            return
        before, left_alone = reachable(module), _of_decoding(module)
        for function in [f for f in module.functions.values() if f.name not in left_alone]:
            self._region(_Place(module, function, function.body, {}), remarks)
        for name in before - reachable(module):
            del module.functions[name]

    def _region(self, place: _Place, remarks: Remarks) -> None:
        while self._one(place, remarks):
            pass
        inside = place.weights()
        for op in list(place.region.ops):
            for inner in op.regions:
                self._region(_Place(place.module, place.function, inner, inside), remarks)

    def _one(self, place: _Place, remarks: Remarks) -> bool:
        """Merges the first siblings that may be; when there are none, says why the others are not."""
        missed: list[tuple[str, Product]] = []
        for siblings in place.siblings():
            chosen = self._choose(siblings)
            if isinstance(chosen, str):
                missed.append((f"the products of {_shown(siblings)} stay apart: {chosen}", siblings[0]))
                continue
            span = chosen.products[0].span
            place.merge(chosen)
            remarks.done(self.name, f"the products of {_shown(chosen.products)} become one", span)
            return True
        for message, product in missed:
            remarks.missed(self.name, message, product.span)
        return False

    def _choose(self, siblings: Sequence[Product]) -> _Choice | str:
        """The most of them that can be merged, or why none can."""
        found: list[_Choice] = []
        reasons: list[str] = []
        for along in siblings[0].form.free:
            placed = self._placed(siblings, along)
            if placed is not None:
                reasons.append(f"`{placed}` goes over the mesh, and weights side by side would move between devices")
                continue
            for alike in _alike(siblings, along):
                narrow = self._narrow(alike)
                if len(narrow) > 1:
                    found.append(_Choice(narrow, along))
                elif len(alike) > 1:
                    reasons.append(self._too_wide(alike))
        if not found:
            return reasons[0] if reasons else _different(siblings)
        return max(found, key=lambda choice: len(choice.products))

    def _placed(self, siblings: Sequence[Product], along: int) -> str | None:
        """The name of an axis that a rule splits, if one of the weights has it at `along`."""
        names = (product.type.axes[along].public_name for product in siblings)
        split = {name for name, axes in self.rules if axes}
        return next((name for name in names if name in split), None)

    def _narrow(self, alike: Sequence[Product]) -> tuple[Product, ...]:
        """Those that pay together: without the widest, as long as all are too wide."""
        kept = [product for product in alike if product.wide() is not None and product.deep() is not None]
        while len(kept) > 1 and sum(map(_width, kept)) > self._limit(kept):
            kept.remove(max(kept, key=_width))
        return tuple(kept)

    def _limit(self, kept: Sequence[Product]) -> float:
        """The columns up to which it pays: each product but one saves a pass over `x` and one over its gradient."""
        return self.target.merged_width * (kept[0].deep() or 0) * (len(kept) - 1)

    def _too_wide(self, alike: Sequence[Product]) -> str:
        if any(product.wide() is None or product.deep() is None for product in alike):
            return "the sizes of the weights are not known"
        limit = self._limit(alike)
        return f"{sum(map(_width, alike)):,} columns together; on {self.target.name} it pays up to {limit:,.0f}"


@dataclass(frozen=True)
class _Choice:
    """Products whose weights are to stand side by side along axis `along`."""

    products: tuple[Product, ...]
    along: int

    @property
    def form(self) -> Form:
        """The form that all have."""
        return self.products[0].form

    @property
    def sizes(self) -> list[Dim]:
        """The size of each weight at `along`."""
        return [product.type.axes[self.along].size for product in self.products]


def _width(product: Product) -> int:
    return product.wide() or 0


def _shown(siblings: Sequence[Product]) -> str:
    name = siblings[0].x.name
    return f"{f'`{name}`' if name else 'one value'} with {', '.join(f'`{p.name}`' for p in siblings)}"


def _alike(siblings: Sequence[Product], along: int) -> list[list[Product]]:
    """Those together whose weights differ in nothing but their size at `along`."""
    found: dict[object, list[Product]] = {}
    for product in siblings:
        sizes = product.type.sizes
        key = (product.type.dtype, product.op.result.type.dtype, sizes[:along], sizes[along + 1 :])
        found.setdefault(key, []).append(product)
    return list(found.values())


def _different(siblings: Sequence[Product]) -> str:
    if len({product.type.dtype for product in siblings}) > 1:
        return "the weights are of different dtypes"
    return "the weights differ in more than one dim"


@dataclass(frozen=True)
class _Place:
    """A region of a function, and the reads of weights in the regions around it, each with its region."""

    module: Module
    function: Function
    region: Region
    outer: Mapping[Value, tuple[Op, Region]]

    def weights(self) -> dict[Value, tuple[Op, Region]]:
        """The reads of weights that the region sees, inner ones last."""
        own = {op.result: (op, self.region) for op in self.region.ops if op.kind == "parameter"}
        return {**self.outer, **own}

    def siblings(self) -> Iterator[list[Product]]:
        """Products of one value that have one form, if there are several with different weights."""
        groups: dict[object, dict[object, Product]] = {}
        weights = self.weights()
        for product in products(self.module, self.region, {value: op for value, (op, _) in weights.items()}):
            home = self.region if product.call else weights[product.weight.result][1]
            groups.setdefault((product.x, product.form), {}).setdefault((home, product.name), product)
        return (list(group.values()) for group in groups.values() if len(group) > 1)

    def merge(self, choice: _Choice) -> None:
        """Puts one product in the place of the first; calls with a product in them are written out before."""
        calls = {id(product.call): product.call for product in choice.products if product.call is not None}
        if calls:
            for call in calls.values():
                self._write_out(call)
            return
        joined = self._join(choice)
        first, form = choice.products[0], choice.form
        along = form.result_axis(choice.along)
        type_ = first.op.result.type
        axes = (*type_.axes[:along], axis(sum(choice.sizes, dim(0))), *type_.axes[along + 1 :])
        merged = Value(type_.with_axes(axes), _joint_name([p.op.result for p in choice.products]))
        operands = list(first.op.operands)
        operands[form.weight_at] = joined
        product = Op(first.op.kind, operands, dict(first.op.attributes), [merged], span=first.op.span)
        at = self.region.ops.index(first.op)
        self.region.ops[at:at] = [product, *_cut(merged, choice, along)]
        gone = {product.op for product in choice.products}
        self.region.ops[:] = [op for op in self.region.ops if op not in gone]

    def _write_out(self, call: Op) -> None:
        """Puts the body of a layer in place of its call: that is where the user wrote it, and named its results."""
        target = self.module.functions[callee(call)]
        made = {value: (at, n) for at, op in enumerate(target.body.ops) for n, value in enumerate(op.results)}
        ops = inline_call(self.module, self.function, call)
        for op in ops:
            op.span = call.span
        for given, value in zip(call.results, target.results, strict=True):
            if given.name is not None and value in made:
                at, n = made[value]
                ops[at].results[n].name = given.name

    def _join(self, choice: _Choice) -> Value:
        """The weights side by side, where all of them are known: before the loop, if all are read there."""
        reads = [product.weight for product in choice.products]
        homes = [self.weights()[read.result][1] for read in reads]
        order = list(dict.fromkeys(region for _, region in self.weights().values()))
        home = max(homes, key=order.index)
        type_ = choice.products[0].type
        axes = list(type_.axes)
        axes[choice.along] = axis(sum(choice.sizes, dim(0)))
        weights = [read.result for read in reads]
        joined = Value(type_.with_axes(axes), _joint_name(weights))
        concat = Op("concat", weights, {"along": choice.along}, [joined], span=choice.products[0].op.span)
        if home is self.region:
            moved = [op for op in home.ops if op in reads]
            home.ops[:] = [op for op in home.ops if op not in reads]
            at = home.ops.index(choice.products[0].op)
            home.ops[at:at] = [*moved, concat]
        else:
            home.ops.insert(max(home.ops.index(op) for op in reads if op in home.ops) + 1, concat)
        return joined


def _cut(merged: Value, choice: _Choice, along: int) -> Iterator[Op]:
    """The results of the products, from the joint one."""
    results = [product.op.result for product in choice.products]
    if len(set(choice.sizes)) == 1:
        attributes: dict[str, Attribute] = {"parts": len(results), "along": along}
        yield Op("split", [merged], attributes, results, span=choice.products[0].op.span)
        return
    start = dim(0)
    for product, result, size in zip(choice.products, results, choice.sizes, strict=True):
        whole = merged.type.sizes
        starts = tuple((start if at == along else dim(0), None) for at in range(len(whole)))
        stops = tuple((start + size if at == along else full, None) for at, full in enumerate(whole))
        yield Op("slice", [merged], {"starts": starts, "stops": stops}, [result], span=product.op.span)
        start = start + size


def _joint_name(values: Sequence[Value]) -> str | None:
    """`qkv` of `q`, `k`, `v`; `wqkv` of `wq`, `wk`, `wv`; `gate_up` of `gate`, `up`."""
    names = list(dict.fromkeys(value.name for value in values))
    known = [name for name in names if name is not None]
    if len(known) < len(names):
        return None
    shared = takewhile(lambda letters: len(set(letters)) == 1, zip(*known, strict=False))
    prefix = "".join(letters[0] for letters in shared) if len(known) > 1 else ""
    rests = [name.removeprefix(prefix) for name in known]
    joined = prefix + "".join(rests) if all(len(rest) <= 1 for rest in rests) else "_".join(known)
    return joined if len(joined) <= _LONGEST_NAME else None
