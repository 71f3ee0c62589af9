"""What a program is verified on: small sizes that it accepts, random inputs, and weights moved off their initial ones.

Many weights start as zeros or ones, and a program that forgot them would give the same. So each is moved at random
by a tenth of its own size (:func:`moved`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

import numpy as np

from ..dims import DimError
from ..ir import Function, Module, Op, Value
from ..ir.walk import call_order
from ..ops import OPS
from ..ops.arrays import Array
from ..ops.definition import Attributes
from ..reference import EvaluationError, Reference, Tree, map_tree

POOLS = ((2, 5, 7, 3, 4, 6, 11, 13), (2, 6, 4, 8, 12, 10, 16, 14), (2, 8, 16, 32, 64))
"""Sizes for the symbols of a role in the order they appear: distinct, so that axes cannot be confused."""

EVEN = (4, 8, 12, 16, 24, 32, 48, 60, 64, 1)
"""One size for all symbols but the first, where no distinct ones fit."""

FEW = 5
"""Integers are below this where they choose nothing."""

STEP = 0.1


class UnverifiableError(Exception):
    """The program cannot be run by the reference interpreter on anything that was tried; why not."""


class SteadyDraws:
    """Random numbers that depend on the shape drawn alone: a pass may drop or move a draw that nobody needs."""

    def random(self, size: tuple[int, ...]) -> Array:
        """Even in [0, 1)."""
        return _generator(size).random(size)

    def standard_normal(self, size: tuple[int, ...]) -> Array:
        """Normal."""
        return _generator(size).standard_normal(size)

    def uniform(self, low: float, high: float, size: tuple[int, ...]) -> Array:
        """Even in [low, high)."""
        return _generator(size).uniform(low, high, size)


def _generator(size: tuple[int, ...]) -> np.random.Generator:
    return np.random.default_rng([len(size), *size])


def interpret(
    module: Module, role: str, params: Tree, state: Tree, inputs: dict[str, Array]
) -> tuple[dict[str, Array], Tree]:
    """The results of a role by name, and the states after it, by the reference interpreter.

    Raises:
        EvaluationError: it cannot be computed.
    """
    function = module.role(role)
    draws = cast("np.random.Generator", SteadyDraws())
    try:
        results, after = Reference(module).run(function.name, params, state, list(inputs.values()), draws)
    except (ValueError, IndexError, DimError) as error:
        raise EvaluationError(str(error)) from error
    return dict(zip(function.output_names or ["value"], results, strict=True)), after


def draw_inputs(module: Module, role: str, sizes: dict[str, int], rng: np.random.Generator) -> dict[str, Array]:
    """Random inputs of a role by name: normal floats, ids that every table has, mostly true bools."""
    function, below = module.role(role), smallest_table(module)
    names = [value.name or f"x{at}" for at, value in enumerate(function.inputs, 1)]
    drawn = {name: _drawn(value, sizes, below, rng) for name, value in zip(names, function.inputs, strict=True)}
    # What is averaged over a batch is hardly ever negative, and its logarithm or root is often asked for.
    return {name: np.abs(array) for name, array in drawn.items()} if role == "summarize" else drawn


def _drawn(value: Value, sizes: dict[str, int], below: int, rng: np.random.Generator) -> Array:
    shape = tuple(size.evaluate(sizes) for size in value.type.sizes)
    if value.type.dtype.kind == "int":
        return rng.integers(0, below, shape)
    if value.type.dtype.kind == "float":
        return rng.normal(size=shape).astype(np.float32).astype(np.float64)
    mask = rng.random(shape) < 0.75
    mask[..., :1] = True  # a row that is masked as a whole has no softmax
    return mask


def smallest_table(module: Module) -> int:
    """The number of entries of the smallest axis that integers choose from; at least 1."""
    found = [size for function in module.functions.values() for op in function.body.walk() for size in _chosen(op)]
    return max(1, min(found, default=FEW))


def _chosen(op: Op) -> Iterator[int]:
    """How many entries an op chooses from; of an axis with a symbol, the smallest size that is ever tried."""
    attributes = Attributes(op.attributes)
    if op.kind in ("gather", "take_along"):
        size = op.operands[0].type.sizes[attributes.axis("along")]
    elif op.kind == "one_hot":
        size = attributes.size("size").size
    else:
        return
    yield size.value if size.value is not None else POOLS[0][0]


def small_sizes(module: Module, role: str, params: Tree, state: Tree) -> dict[str, int]:
    """A small size for every symbol of a role's inputs, such that the role can be computed.

    Raises:
        UnverifiableError: none of those that are tried fit.
    """
    reason = ""
    for sizes in _candidates(module.role(role)):
        try:
            inputs = draw_inputs(module, role, sizes, np.random.default_rng(0))
            interpret(module, role, params, state, inputs)
        except (DimError, EvaluationError, ValueError) as error:
            reason = reason or str(error)
            continue
        return sizes
    raise UnverifiableError(f"no small sizes were found that `{role}` can be computed on: {reason}")


def _candidates(function: Function) -> Iterator[dict[str, int]]:
    types = [value.type for value in function.inputs]
    sizes = [size for type_ in types for size in type_.sizes]
    names = list(dict.fromkeys(symbol.name for size in sizes for symbol in sorted(size.symbols, key=str)))
    for pool in POOLS:
        if len(names) <= len(pool):
            yield dict(zip(names, pool, strict=False))
    for number in EVEN:
        yield {name: number if at else 2 for at, name in enumerate(names)}
        yield dict.fromkeys(names, number)


def moved(tree: Tree, rng: np.random.Generator, *, up: bool = False) -> Tree:
    """The tree with every float a little off; `up`: only upwards, as for running variances."""

    def move(array: Array) -> Array:
        if array.dtype.kind != "f":
            return array
        noise = rng.normal(size=array.shape)
        shifted = array + STEP * _spread(array) * (np.abs(noise) if up else noise)
        return shifted.astype(np.float32)  # that jax and the reference are given the same numbers

    return map_tree(move, tree)


def direction(tree: Tree, rng: np.random.Generator) -> Tree:
    """A random direction to move all weights in, each as far as its own size asks for; 0 for what is no float."""
    return map_tree(
        lambda array: (
            _spread(array) * rng.normal(size=array.shape) if array.dtype.kind == "f" else np.zeros(array.shape)
        ),
        tree,
    )


def _spread(array: Array) -> float:
    size = float(np.sqrt(np.mean(np.square(array, dtype=np.float64)))) if array.size else 0.0
    return size or 1.0


def leaves(tree: Tree, prefix: str = "") -> Iterator[tuple[str, Array]]:
    """The arrays of a tree with their dotted names."""
    for key, entry in tree.items():
        if isinstance(entry, dict):
            yield from leaves(entry, f"{prefix}{key}.")
        else:
            yield prefix + key, entry


def along(tree: Tree, step: Tree, length: float) -> Tree:
    """`tree + length * step`, in float64."""
    steps = dict(leaves(step))
    moves: Iterator[Array] = (length * steps[name] for name, _ in leaves(tree))
    return map_tree(lambda array: array + next(moves) if array.dtype.kind == "f" else array, tree)


def reached(module: Module, role: str) -> Iterator[Op]:
    """Every op that a role may run."""
    for name in call_order(module, [module.roles[role]]):
        yield from module.functions[name].body.walk()


def draws(module: Module, role: str) -> bool:
    """Whether a role draws random numbers."""
    return _any(module, role, lambda op: op.kind in OPS and OPS[op.kind].random and op.attributes.get("rate") != 0)


def stops_gradients(module: Module, role: str) -> bool:
    """Whether a role's gradient differs from its slope because the program says so."""
    return _any(module, role, lambda op: op.kind == "stop_gradient")


def _any(module: Module, role: str, holds: Callable[[Op], bool]) -> bool:
    return any(map(holds, reached(module, role)))
