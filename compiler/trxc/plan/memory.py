"""How much memory a training step takes, from types alone: weights, what their update needs, and what backward needs.

Between the two halves of a step stay the values from which gradients are computed (`keeps` in the table of ops), each
once, those in loops once an iteration. A layer whose values are computed again keeps its inputs instead, with `dots`
also its products with weights and what attention gives; while its gradients are computed, its own values are there once
more.

What an XLA backend does with fusion and the reuse of buffers is not modelled; `tests/numeric/test_remat.py` holds the
estimate against XLA's own figure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from ..dims import Dim, dim
from ..frozen import Frozen
from ..ir import Module, Op, Region, Value
from ..ir.binding import bind_sizes
from ..ir.parameters import parameter_tree
from ..ir.walk import callee, definitions, repeat_count
from ..ops import OPS
from ..ops.movement import Movement
from ..source import Span
from ..types import TensorType

NO_RECOMPUTATION = "none"


class UnknownSizeError(Exception):
    """A size is not known before the program runs; the message names it."""


class Estimate(Frozen):
    """Bytes of a training step. `kept` stays from forward to backward, `working` is needed for one layer at a time."""

    weights: int
    gradients: int
    optimizer: int
    kept: int
    working: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.gradients + self.optimizer + self.kept + self.working


class Step(Frozen):
    """What an estimate needs to know of a recipe: the sizes of its symbols, and copies of the weights.

    `moments` are the copies that the optimizer keeps, `gradients` those of the gradients (2 where they are added up).
    `budget` is the memory that there is, in bytes, and `span` the place that says so; None where nothing is said.
    """

    sizes: Mapping[str, int]
    moments: int
    gradients: int = 1
    budget: int | None = None
    span: Span | None = None


def in_units(count: int) -> str:
    """Bytes as people write them: `1.3 GB`."""
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} bytes"


def estimate(module: Module, step: Step, layers: Collection[Op] = (), remat: str = NO_RECOMPUTATION) -> Estimate:
    """The memory of a training step in which the values of `layers` are computed again.

    Args:
        module: with a role `loss`.
        step: the recipe.
        layers: calls and loops, as they stand in the module's functions.
        remat: what of them is computed again: `none`, `dots` or `full`.

    Raises:
        UnknownSizeError: the sizes of the recipe do not say how large a value is.
    """
    name = module.roles["loss"]
    weights = sum(_stored(weight.sizes, weight.parameter.type) for weight in parameter_tree(module, name))
    chosen = {id(op) for op in layers} if remat != NO_RECOMPUTATION else set[int]()
    residue = _Kept(module, chosen, remat).function(name, dict(step.sizes))
    kept = residue.inner + sum(residue.inputs.values()) + sum(residue.results.values())
    return Estimate(weights, weights * step.gradients, weights * step.moments, kept, residue.working)


@dataclass
class _Residue:
    """What backward needs of a function: in bytes inside, and by number of the inputs and results that it needs."""

    inner: int
    products: int
    working: int
    inputs: dict[int, int]
    results: dict[int, int]

    @property
    def whole(self) -> int:
        """All values at once, as while a layer's gradients are computed."""
        return self.inner + sum(self.inputs.values()) + sum(self.results.values()) + self.working


@dataclass
class _Walk:
    """What backward needs of a region: the values, and bytes inside of its calls and loops."""

    kept: dict[Value, int] = field(default_factory=dict[Value, int])
    inner: int = 0
    products: int = 0
    working: int = 0


class _Kept:
    """What backward needs of functions, by name and sizes."""

    def __init__(self, module: Module, layers: Collection[int], remat: str) -> None:
        self.module, self.layers, self.remat = module, layers, remat
        self._known: dict[tuple[str, tuple[tuple[str, int], ...]], _Residue] = {}

    def function(self, name: str, sizes: dict[str, int]) -> _Residue:
        """What backward needs of a function."""
        key = (name, tuple(sorted(sizes.items())))
        if key not in self._known:
            self._known[key] = self._function(name, sizes)
        return self._known[key]

    def _function(self, name: str, sizes: dict[str, int]) -> _Residue:
        function = self.module.functions[name]
        body = _Body(self, sizes)
        walk = body.walk(function.body)
        inputs = {at: walk.kept.pop(value) for at, value in enumerate(function.inputs) if value in walk.kept}
        results: dict[int, int] = {}
        for at, value in enumerate(function.results):
            if body.root(value) in walk.kept:
                results[at] = walk.kept.pop(body.root(value))
        return _Residue(walk.inner + sum(walk.kept.values()), walk.products, walk.working, inputs, results)


class _Body:
    """One function with sizes: which values carry gradients, and which are others seen differently."""

    def __init__(self, memory: _Kept, sizes: dict[str, int]) -> None:
        self.memory, self.sizes = memory, sizes
        self.active: set[Value] = set()
        self.weights: set[Value] = set()
        self._roots: dict[Value, Value] = {}

    def root(self, value: Value) -> Value:
        """What is in memory where a value is a view of another."""
        while value in self._roots:
            value = self._roots[value]
        return value

    def bytes(self, value: Value) -> int:
        """The size of a value."""
        return _bytes(value.type, self.sizes)

    def walk(self, region: Region) -> _Walk:
        """What backward needs of a region, values of the regions around it included."""
        walk = _Walk()
        self.active.update(value for value in region.arguments if value.type.dtype.kind == "float")
        for op in region.ops:
            if op.kind == "parameter":
                self.weights.update(op.results)
                self.active.update(op.results)
            elif op.kind == "call":
                self._call(op, walk)
            elif op.regions:
                self._loop(op, walk)
            elif op.kind in OPS:
                self._compute(op, walk)
        return walk

    def _keep(self, walk: _Walk, values: Iterable[Value]) -> None:
        for value in map(self.root, values):
            if value not in self.weights and value.type.rank:
                walk.kept[value] = self.bytes(value)

    def _compute(self, op: Op, walk: _Walk) -> None:
        definition = OPS[op.kind]
        active = [value for value in op.operands if value in self.active]
        if not active or op.kind == "stop_gradient":
            return
        self.active.update(value for value in op.results if value.type.dtype.kind == "float")
        if self._is_view(op):
            self._roots[op.result] = op.operands[0]
            return
        walk.working = max(walk.working, sum(map(self.bytes, {*op.operands, *op.results} - self.weights)))
        if definition.dear or (definition.product and any(self.root(value) in self.weights for value in op.operands)):
            walk.products += sum(map(self.bytes, op.results))
        if definition.keeps == "result":
            self._keep(walk, op.results)
        elif definition.keeps == "condition":
            self._keep(walk, op.operands[:1])
        elif definition.keeps == "operands":
            self._keep(walk, [value for at, value in enumerate(op.operands) if _matters(op, at, active)])

    def _is_view(self, op: Op) -> bool:
        """Whether an op only shows its operand in another shape, or over and over."""
        if op.kind != "constrain" and not isinstance(OPS[op.kind], Movement):
            return False
        alone = len(op.operands) == 1 and len(op.results) == 1
        return alone and self.bytes(op.result) >= self.bytes(op.operands[0])

    def _call(self, op: Op, walk: _Walk) -> None:
        target = self.memory.module.functions[callee(op)]
        sizes = bind_sizes([v.type for v in target.inputs], [_known_dims(v.type, self.sizes) for v in op.operands])
        known = self.sizes | {name: size.value for name, size in sizes.items() if size.value is not None}
        residue = self.memory.function(target.name, known)
        self.active.update(value for value in op.results if value.type.dtype.kind == "float")
        if self._again(op, walk, residue.whole, residue.products):
            return
        walk.inner += residue.inner
        walk.products += residue.products
        walk.working = max(walk.working, residue.working)
        self._keep(walk, [op.operands[at] for at in residue.inputs])
        self._keep(walk, [op.results[at] for at in residue.results])

    def _loop(self, op: Op, walk: _Walk) -> None:
        """A loop keeps the values of every iteration; a branch those of the larger side, once."""
        inner = [self.walk(region) for region in op.regions]
        turns, own = self._turns(op), [set(definitions(region)) for region in op.regions]
        self.active.update(value for value in op.results if value.type.dtype.kind == "float")
        inside = max(i.inner + sum(b for v, b in i.kept.items() if v in o) for i, o in zip(inner, own, strict=True))
        working = max(part.working for part in inner)
        products = max(part.products for part in inner)
        again = self._again(op, walk, inside + working, turns * products, turns)
        if not again:
            walk.inner += turns * inside
            walk.products += turns * products
            walk.working = max(walk.working, working)
        for part, defined in zip(inner, own, strict=True):
            walk.kept |= {value: size for value, size in part.kept.items() if value not in defined}

    def _again(self, op: Op, walk: _Walk, whole: int, products: int, turns: int = 1) -> bool:
        """Notes what a layer keeps whose values are computed again; False where they are not."""
        if id(op) not in self.memory.layers:
            return False
        if turns == 1:
            self._keep(walk, op.operands)
        else:
            walk.inner += turns * sum(map(self.bytes, op.operands))
        walk.inner += products if self.memory.remat == "dots" else 0
        walk.working = max(walk.working, whole)
        return True

    def _turns(self, op: Op) -> int:
        if op.kind == "repeat":
            return repeat_count(op)
        axis = op.attributes.get("axis")
        return _known_dims(op.operands[0].type, self.sizes)[axis].evaluate({}) if isinstance(axis, int) else 1


def _matters(op: Op, at: int, active: list[Value]) -> bool:
    """Whether an operand is needed for a gradient: that of another, or its own where it is alone."""
    others = op.operands[:at] + op.operands[at + 1 :]
    return not others or any(value in active for value in others)


def _known_dims(type_: TensorType, sizes: Mapping[str, int]) -> list[Dim]:
    found = [size.substitute({name: dim(value) for name, value in sizes.items()}) for size in type_.sizes]
    for size in found:
        if size.value is None:
            raise UnknownSizeError(", ".join(sorted(symbol.name for symbol in size.symbols)))
    return found


def _stored(sizes: Iterable[Dim], type_: TensorType) -> int:
    total = (type_.dtype.bits or 32) // 8
    for size in sizes:
        total *= size.evaluate({})
    return total


def _bytes(type_: TensorType, sizes: Mapping[str, int]) -> int:
    return _stored(_known_dims(type_, sizes), type_)


__all__ = ["Estimate", "Step", "UnknownSizeError", "estimate", "in_units"]
