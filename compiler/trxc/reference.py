"""A NumPy interpreter of the intermediate representation: slow, and plain enough to be believed by reading.

It is the oracle of every pass and of the emitted program. All floats are float64, all ints int64. Loops are loops,
calls are calls. Every value is checked against the shape that its type says.

Parameters and states are nested dicts of arrays by the segments of their paths, as keys
(:func:`trxc.ir.parameters.storage_key`); those under a `repeat` have a leading axis for its iterations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from .dims import Dim, DimError, dim
from .ir import Function, Module, Op, Path, Region, Value
from .ir.binding import BindingError, bind_sizes
from .ir.parameters import BoundParameter, parameter_tree, state_tree, storage_key
from .ir.walk import callee, collected_count, first_slice, repeat_count
from .ops import OPS
from .ops.arrays import Array
from .ops.control import CONTROL
from .ops.definition import Attributes, Instance
from .types import DType

Tree: TypeAlias = "dict[str, Array | Tree]"
"""Arrays by path, one dict a segment."""


class EvaluationError(Exception):
    """A program could not be computed: inputs or parameters do not fit, or an op did not give what its type says."""


class Reference:
    """Runs the functions of a module."""

    def __init__(self, module: Module) -> None:
        self.module = module

    def run(
        self, function: str, params: Tree, state: Tree, inputs: Sequence[Array], rng: np.random.Generator | None = None
    ) -> tuple[list[Array], Tree]:
        """The results of a function, and the states after it. Nothing that is passed in is changed.

        Args:
            function: its name.
            params: the weights; see :func:`trxc.ir.parameters.parameter_tree` for what there must be.
            state: the states, likewise. States are read as they were at the start of the run.
            inputs: an array an input. Their shapes decide the sizes.
            rng: where draws come from; seeded with 0, if not given.

        Raises:
            EvaluationError: the shapes of the inputs do not fit, a weight is missing, or an op's result is not what its
                type says.
        """
        generator = np.random.default_rng(0) if rng is None else rng
        new_state = map_tree(np.array, state)
        root = _Root(params, state, new_state)
        with np.errstate(all="ignore"):
            results = _call(self.module, self.module.functions[function], root, inputs, {}, generator)
        return results, new_state


@dataclass(frozen=True)
class _Root:
    """The subtrees that the paths of a function or region are relative to. `new_state` is written to in place."""

    params: Tree
    state: Tree
    new_state: Tree

    def below(self, path: Path) -> _Root:
        """The subtrees at a path."""
        return _Root(_subtree(self.params, path), _subtree(self.state, path), _subtree(self.new_state, path))

    def slice(self, index: int) -> _Root:
        """Slice `index` of every array."""

        def view(array: Array) -> Array:
            return array[index, ...]

        return _Root(map_tree(view, self.params), map_tree(view, self.state), map_tree(view, self.new_state))


@dataclass
class _Frame:
    """One call under way: the values computed so far, what its symbols stand for, and the source of draws."""

    module: Module
    sizes: dict[str, int]
    rng: np.random.Generator
    values: dict[Value, Array] = field(default_factory=dict[Value, Array])

    def size(self, size: Dim) -> int:
        """The value of a size."""
        try:
            return size.evaluate(self.sizes)
        except DimError as error:
            raise EvaluationError(str(error)) from None

    def dtype(self, dtype: DType) -> np.dtype[Any]:
        """float64 for every float, int64 for every int."""
        return np.dtype({"float": np.float64, "int": np.int64, "bool": np.bool_}[dtype.kind])

    def set(self, values: Iterable[Value], arrays: Iterable[Array], what: str) -> None:
        """Gives values their arrays, in the dtypes and of the shapes that their types say."""
        for value, array in zip(values, arrays, strict=True):
            shape = tuple(map(self.size, value.type.sizes))
            if np.shape(array) != shape:
                raise EvaluationError(f"{what} gives shape {np.shape(array)} for {value!r}, which is {shape}")
            self.values[value] = np.asarray(array, self.dtype(value.type.dtype))

    def get(self, values: Iterable[Value]) -> list[Array]:
        """The arrays of values."""
        return [self.values[value] for value in values]


def _call(
    module: Module,
    function: Function,
    root: _Root,
    inputs: Sequence[Array],
    outer_sizes: Mapping[str, int],
    rng: np.random.Generator,
) -> list[Array]:
    """Binds the function's symbols to the sizes of the inputs; those that no input determines are the caller's."""
    try:
        bound = bind_sizes([value.type for value in function.inputs], [list(map(dim, np.shape(x))) for x in inputs])
    except BindingError as error:
        raise EvaluationError(f"the inputs of `{function.name}` do not fit: {error}") from None
    sizes = {name: size.value for name, size in bound.items()}
    frame = _Frame(module, {**outer_sizes, **{name: size for name, size in sizes.items() if size is not None}}, rng)
    return _run(frame, function.body, root, inputs)


def _run(frame: _Frame, region: Region, root: _Root, arguments: Sequence[Array]) -> list[Array]:
    frame.set(region.arguments, arguments, "an argument")
    for op in region.ops:
        frame.set(op.results, _compute(frame, op, root), f"`{op.kind}`")
    return frame.get(region.results)


def _compute(frame: _Frame, op: Op, root: _Root) -> Sequence[Array]:
    if op.kind in _CONTROL:
        return _CONTROL[op.kind](frame, op, root)
    definition = CONTROL[op.kind] if op.kind in CONTROL else OPS[op.kind]
    operands, results = (tuple(value.type for value in values) for values in (op.operands, op.results))
    use = Instance(operands, Attributes(op.attributes), results)
    given = definition.reference(use, frame.get(op.operands), frame)
    return given if isinstance(given, tuple) else (given,)


def _parameter(frame: _Frame, op: Op, root: _Root) -> Sequence[Array]:
    return [_leaf(root.params, op.path())]


def _state(frame: _Frame, op: Op, root: _Root) -> Sequence[Array]:
    """A state; what its sizes say and no input does, is what its shape is."""
    array = _leaf(root.state, op.path())
    for size, length in zip(op.result.type.sizes, array.shape, strict=False):
        if size.symbol is not None:
            frame.sizes.setdefault(size.symbol.name, length)
    return [array]


def _set_state(frame: _Frame, op: Op, root: _Root) -> Sequence[Array]:
    (value,) = frame.get(op.operands)
    _leaf(root.new_state, op.path())[...] = value
    return []


def _call_op(frame: _Frame, op: Op, root: _Root) -> Sequence[Array]:
    target = frame.module.functions[callee(op)]
    return _call(frame.module, target, root.below(op.path()), frame.get(op.operands), frame.sizes, frame.rng)


def _repeat(frame: _Frame, op: Op, root: _Root) -> Sequence[Array]:
    carries = frame.get(op.operands)
    stacked = root.below(op.path())
    collected: list[list[Array]] = [[] for _ in range(collected_count(op))]
    for iteration in range(first_slice(op), first_slice(op) + repeat_count(op)):
        yielded = _run(frame, op.regions[0], stacked.slice(iteration), carries)
        carries = yielded[: len(carries)]
        for turns, value in zip(collected, yielded[len(carries) :], strict=True):
            turns.append(value)
    return carries + [np.stack(turns) for turns in collected]


def _recur(frame: _Frame, op: Op, root: _Root) -> Sequence[Array]:
    attributes = Attributes(op.attributes)
    axis, count = attributes.axis("axis"), attributes.int_("sequences")
    operands = frame.get(op.operands)
    sequences, carries = operands[:count], operands[count:]
    length = sequences[0].shape[axis]
    order = range(length - 1, -1, -1) if attributes.flag("reverse") else range(length)
    outputs: list[list[Array]] = [[] for _ in range(len(op.results) - len(carries))]
    for position in order:
        elements = [np.take(sequence, position, axis) for sequence in sequences]
        yielded = _run(frame, op.regions[0], root.below(op.path()), elements + carries)
        for steps, output in zip(outputs, yielded, strict=False):
            steps.append(output)
        carries = yielded[len(outputs) :]
    if attributes.flag("reverse"):
        outputs = [steps[::-1] for steps in outputs]
    return [np.stack(steps, axis) for steps in outputs] + carries


def _cond(frame: _Frame, op: Op, root: _Root) -> Sequence[Array]:
    (predicate,) = frame.get(op.operands)
    inner = root.below(op.path()) if "path" in op.attributes else root
    return _run(frame, op.regions[0 if predicate else 1], inner, [])


_CONTROL: dict[str, Callable[[_Frame, Op, _Root], Sequence[Array]]] = {
    "parameter": _parameter,
    "state": _state,
    "set_state": _set_state,
    "call": _call_op,
    "repeat": _repeat,
    "recur": _recur,
    "cond": _cond,
}


def map_tree(function: Callable[[Array], Array], tree: Tree) -> Tree:
    """A tree of the same form with a function applied to every array."""
    return {
        key: map_tree(function, entry) if isinstance(entry, dict) else function(entry) for key, entry in tree.items()
    }


def _subtree(tree: Tree, path: Path) -> Tree:
    """The part of a tree below a path; empty where there is nothing, as for a layer without weights."""
    for segment in path:
        below = tree.get(storage_key(segment), {})
        if not isinstance(below, dict):
            raise EvaluationError(f"`{'.'.join(path)}` is an array, not a layer's parameters")
        tree = below
    return tree


def _leaf(tree: Tree, path: Path) -> Array:
    array = _subtree(tree, path[:-1]).get(storage_key(path[-1]))
    if array is None or isinstance(array, dict):
        raise EvaluationError(f"there is no parameter `{'.'.join(path)}`")
    return array


def init_parameters(module: Module, seed: int, function: str | None = None) -> Tree:
    """Random weights, for tests: normal with deviation 0.5, or small ints, whatever the initializers say.

    Args:
        module: the module.
        seed: of the random numbers.
        function: whose weights; those of all roles, if not given.
    """
    return _filled(module, function, parameter_tree, np.random.default_rng(seed))


def init_states(module: Module, seed: int, function: str | None = None, sizes: Mapping[str, int] | None = None) -> Tree:
    """Random states, from [0.5, 1.5) as they may be variances; otherwise as :func:`init_parameters`.

    `sizes` are those of symbols: what decoding keeps has some.
    """
    return _filled(module, function, state_tree, np.random.default_rng(seed), sizes)


def _filled(
    module: Module,
    function: str | None,
    find: Callable[[Module, str], list[BoundParameter]],
    rng: np.random.Generator,
    sizes: Mapping[str, int] | None = None,
) -> Tree:
    tree: Tree = {}
    for name in module.roles.values() if function is None else [function]:
        for bound in find(module, name):
            _put(tree, bound, rng, sizes or {})
    return tree


def _put(tree: Tree, bound: BoundParameter, rng: np.random.Generator, sizes: Mapping[str, int]) -> None:
    *folders, last = bound.path
    for segment in folders:
        below = tree.setdefault(segment, {})
        assert isinstance(below, dict)
        tree = below
    if last not in tree:
        tree[last] = _drawn(bound, rng, sizes)


def _drawn(bound: BoundParameter, rng: np.random.Generator, sizes: Mapping[str, int]) -> Array:
    shape = tuple(size.evaluate(sizes) for size in bound.sizes)
    if bound.parameter.type.dtype.kind == "float":
        return rng.normal(0, 0.5, shape) if bound.parameter.trainable else rng.uniform(0.5, 1.5, shape)
    return rng.integers(0, 2, shape).astype(np.bool_ if bound.parameter.type.dtype.kind == "bool" else np.int64)
