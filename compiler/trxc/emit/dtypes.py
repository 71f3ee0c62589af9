"""Exact dtypes, and what JAX makes of numbers that have none of their own."""

from __future__ import annotations

from collections.abc import Sequence

from ..types import BOOL, DTYPES, F32, FLOAT, I32, INT, DType, TensorType, promote

_NAMES = {
    "f64": "float64", "f32": "float32", "f16": "float16", "bf16": "bfloat16",
    "i64": "int64", "i32": "int32", "i16": "int16", "i8": "int8",
    "u64": "uint64", "u32": "uint32", "u16": "uint16", "u8": "uint8", "bool": "bool_",
}  # fmt: skip
_KINDS = {"bool": 0, "int": 1, "float": 2}
_WEAK = {"bool": BOOL, "int": I32, "float": F32}


def exact(dtype: DType) -> DType:
    """The dtype itself; f32 and i32 for the generic ones."""
    return {FLOAT: F32, INT: I32}.get(dtype, dtype)


def dtype_name(dtype: DType) -> str:
    """The dtype as a program names it.

    Raises:
        KeyError: it is no dtype of an array.
    """
    return f"jnp.{_NAMES[exact(dtype).name]}"


def combined(strong: Sequence[DType], weak: Sequence[DType]) -> DType:
    """What JAX's arithmetic gives for operands with a dtype and others that adapt (Python numbers)."""
    kind = max((exact(d).kind for d in (*strong, *weak)), key=lambda k: _KINDS[k])
    if not strong:
        return _WEAK[kind]
    result = exact(strong[0])
    for dtype in strong[1:]:
        result = promote(result, exact(dtype))
    return result if _KINDS[result.kind] >= _KINDS[kind] else _WEAK[kind]


def declared(types: Sequence[DType]) -> DType:
    """What the operation's type rule gives for the same operands, where every number has its dtype."""
    result = exact(types[0])
    for dtype in types[1:]:
        result = promote(result, exact(dtype))
    return result


def shape_comment(type_: TensorType) -> str:
    """`f32[batch, seq, 384]`: a dtype and the names of the dims, or their sizes."""
    axes = (axis.public_name or str(axis.size) for axis in type_.axes)
    return f"{exact(type_.dtype)}[{', '.join(axes)}]"


def dtype_by_name(name: str) -> DType:
    """The dtype of that name."""
    return DTYPES[name]
