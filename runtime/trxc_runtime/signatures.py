"""Whether arrays are what a model's declared inputs say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp

from .errors import RunError

_KINDS: dict[str, Any] = {"i": jnp.integer, "u": jnp.integer, "f": jnp.floating, "b": jnp.bool_}


def check_inputs(declared: Sequence[Mapping[str, Any]], arrays: Mapping[str, Any]) -> None:
    """Compare names, ranks, kinds of numbers and sizes; a dim's name has one size in all inputs."""
    names = [str(field["name"]) for field in declared]
    if missing := [name for name in names if name not in arrays]:
        raise RunError(f"the model's input `{missing[0]}` is not given", hints=(f"its inputs are {_listed(names)}",))
    if foreign := [name for name in arrays if name not in names]:
        raise RunError(f"the model has no input `{foreign[0]}`", hints=(f"its inputs are {_listed(names)}",))
    sizes: dict[str, tuple[int, str]] = {}
    for field in declared:
        _check_one(field, arrays[field["name"]], sizes)


def _check_one(field: Mapping[str, Any], array: Any, sizes: dict[str, tuple[int, str]]) -> None:
    name, shape = field["name"], field["shape"]
    if array.ndim != len(shape):
        raise RunError(f"`{name}` is {declared_type(field)}; it was given {list(array.shape)}")
    if not _same_kind(str(field["dtype"]), array.dtype):
        raise RunError(f"`{name}` is {declared_type(field)}; it was given {array.dtype}")
    for dim, fixed, size in zip(field["dims"], shape, array.shape, strict=True):
        known, where = sizes.setdefault(str(dim), (size, name)) if dim is not None else (size, name)
        if fixed is not None and fixed != size:
            raise RunError(f"`{name}` is {declared_type(field)}; it was given {list(array.shape)}")
        if known != size:
            raise RunError(f"dim `{dim}` is {known} in `{where}` and {size} in `{name}`")


def _same_kind(dtype: str, found: Any) -> bool:
    kind = _KINDS.get("b" if dtype == "bool" else "f" if dtype.startswith("bf") else dtype[0])
    return kind is None or bool(jnp.issubdtype(found, kind))


def declared_type(field: Mapping[str, Any]) -> str:
    """A declared field as the language writes it: ``f32[batch, 784]``."""
    dims = [str(dim if size is None else size) for dim, size in zip(field["dims"], field["shape"], strict=True)]
    return f"{field['dtype']}[{', '.join(dims)}]"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"
