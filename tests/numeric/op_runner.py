"""Runs examples of ops: as IR functions made by hand, emitted and run under JAX, and by their references in NumPy."""

from __future__ import annotations

import functools
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.ad_checkpoint import checkpoint_name

from trxc.dims import Dim, Facts, dim
from trxc.emit.prelude import PRELUDE, needed
from trxc.ir import Attribute, Function, Op, Region, Value
from trxc.ops import op
from trxc.ops.definition import Attributes, Example, Instance, OpDefinition, Sample
from trxc.types import DTYPES, DType, TensorType, axis

SEED = 7
NUMPY_KINDS = {"float": np.float64, "int": np.int64, "bool": np.bool_}


def array(sample: Sample, rng: np.random.Generator) -> np.ndarray:
    """The operand that a sample describes, in 64 bits."""
    dtype = NUMPY_KINDS[DTYPES[sample.dtype].kind]
    if sample.values is not None:
        return np.asarray(sample.values, dtype)
    if dtype is np.bool_:
        return rng.random(sample.shape) < 0.5
    if dtype is np.int64:
        return rng.integers(int(sample.low), int(sample.high), sample.shape)
    if sample.distinct:
        return rng.permutation(np.linspace(sample.low, sample.high, math.prod(sample.shape))).reshape(sample.shape)
    return rng.uniform(sample.low, sample.high, sample.shape)


def arrays(example: Example) -> list[np.ndarray]:
    """All operands of an example; always the same ones."""
    rng = np.random.default_rng(SEED)
    return [array(sample, rng) for sample in example.operands]


@dataclass
class Symbols:
    """Names that stand for sizes: every dim of size `v` in `chosen` becomes the symbol `s{v}`."""

    chosen: frozenset[int] = frozenset()

    def size(self, number: int) -> Dim:
        return dim(f"s{number}") if number in self.chosen else dim(number)

    def attribute(self, value: Attribute) -> Attribute:
        """The same with sizes in (size, name) pairs replaced."""
        if isinstance(value, Dim) and value.value is not None:
            return self.size(value.value)
        return tuple(map(self.attribute, value)) if isinstance(value, tuple) else value

    def values(self) -> dict[str, int]:
        return {f"s{v}": v for v in self.chosen}


class TrueFacts(Facts):
    """Knows of every size what is true of it, as if all that an op needs had been required."""

    def __init__(self, sizes: Mapping[str, int]) -> None:
        super().__init__()
        self.sizes = {name: dim(size) for name, size in sizes.items()}

    def is_whole(self, quotient: Dim) -> bool:
        return quotient.substitute(self.sizes).integral

    def is_nonnegative(self, size: Dim) -> bool:
        return super().is_nonnegative(size.substitute(self.sizes))


def function_of(definition: OpDefinition, example: Example, symbols: Symbols) -> Function:
    """A function of one op, typed by the op's inference."""
    types = [
        TensorType(DTYPES[sample.dtype], tuple(axis(symbols.size(n)) for n in given.shape))
        for sample, given in zip(example.operands, arrays(example), strict=True)
    ]
    arguments = [Value(t, f"x{at}") for at, t in enumerate(types)]
    attributes = {name: symbols.attribute(value) for name, value in example.attributes.items()}
    use = Instance(tuple(types), Attributes(attributes), facts=TrueFacts(symbols.values()))
    results = [Value(t) for t in definition.infer(use)]
    body = Region(arguments, [Op(definition.name, list(arguments), attributes, results)], results)
    return Function(definition.name, body)


def instance_of(function: Function) -> Instance:
    """The use of the one op of a function."""
    (only,) = function.body.ops
    return Instance(
        tuple(v.type for v in only.operands), Attributes(only.attributes), tuple(v.type for v in only.results)
    )


@dataclass
class RunScope:
    """What emission asks of the function around the op; `bits` is the precision of generic dtypes."""

    path: str
    bits: int
    wanted: list[str] = field(default_factory=list)

    def size(self, size: Dim) -> str:
        return str(size) if size.value is not None else f"({size})".replace("^", "**").replace(" / ", " // ")

    def dtype(self, dtype: DType) -> str:
        return f"jnp.{jax_dtype(dtype, self.bits)}"

    def key(self) -> str:
        self.wanted.append("fold")
        return f'fold(key, "{self.path}")'

    def prelude(self, name: str) -> str:
        self.wanted.append(name)
        return name


def jax_dtype(dtype: DType, bits: int) -> str:
    """The name of the dtype under JAX, generic ones in `bits`."""
    if dtype.kind == "bool":
        return "bool"
    if dtype.generic:
        return f"{dtype.kind}{bits}"
    return jnp.dtype({"bf16": "bfloat16", "u": "uint", "i": "int", "f": "float"}.get(dtype.name) or _long(dtype)).name


def _long(dtype: DType) -> str:
    return {"f": "float", "i": "int", "u": "uint"}[dtype.name[0]] + dtype.name[1:]


def source_of(function: Function, bits: int) -> str:
    """Python text: the prelude functions that the op needs, and `def f(x0, …, key)`."""
    use, (only,) = instance_of(function), function.body.ops
    path = only.path() if "path" in only.attributes else ()
    scope = RunScope(".".join(path), bits)
    names = [str(v.name) for v in function.inputs]
    text = op(only.kind).emit(use, names, scope)
    shapes = {str(a.size): f"{v.name}.shape[{at}]" for v in function.inputs for at, a in enumerate(v.type.axes)}
    bound = "".join(f"    {name} = {where}\n" for name, where in shapes.items() if name.isidentifier())
    prelude = "\n\n".join(PRELUDE[name].source for name in needed(scope.wanted, "cpu"))
    return f"{prelude}\n\ndef f({', '.join([*names, 'key=None'])}):\n{bound}    return {text}\n"


def compiled(source: str) -> Any:
    """The function that the text defines."""
    space: dict[str, Any] = {
        "jax": jax, "jnp": jnp, "np": np, "math": math, "zlib": zlib, "functools": functools,
        "checkpoint_name": checkpoint_name,
    }  # fmt: skip
    exec(source, space)
    return space["f"]


@dataclass
class ReferenceEnvironment:
    """What references ask."""

    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(SEED))
    sizes: Mapping[str, int] = field(default_factory=dict)

    def size(self, size: Dim) -> int:
        return size.evaluate(self.sizes)

    def dtype(self, dtype: DType) -> np.dtype[Any]:
        return np.dtype(NUMPY_KINDS[dtype.kind])


def reference_of(function: Function, operands: Sequence[np.ndarray], env: ReferenceEnvironment) -> list[np.ndarray]:
    """All results in NumPy."""
    (only,) = function.body.ops
    return as_list(op(only.kind).reference(instance_of(function), operands, env))


def as_list(results: Any) -> list[Any]:
    """Results as a list, also of one."""
    return list(results) if isinstance(results, tuple | list) else [results]


def in_bits(operands: Sequence[np.ndarray], bits: int) -> list[np.ndarray]:
    """Operands with floats and ints in `bits`."""
    kinds = {"f": f"float{bits}", "i": f"int{bits}", "b": "bool"}
    return [np.asarray(x, kinds[x.dtype.kind]) for x in operands]


def numeric_gradient(
    function: Function, operands: Sequence[np.ndarray], at: int, cotangents: Sequence[np.ndarray], step: float = 1e-5
) -> np.ndarray:
    """Central differences of sum(results * cotangents), as the reference gives them, in operand `at`."""

    def total(x: np.ndarray) -> float:
        changed = [x if i == at else given for i, given in enumerate(operands)]
        results = reference_of(function, changed, ReferenceEnvironment())
        return sum(float(np.sum(r * c)) for r, c in zip(results, cotangents, strict=True))

    gradient = np.zeros_like(operands[at])
    for place in np.ndindex(operands[at].shape):
        nudge = np.zeros_like(operands[at])
        nudge[place] = step
        gradient[place] = (total(operands[at] + nudge) - total(operands[at] - nudge)) / (2 * step)
    return gradient
