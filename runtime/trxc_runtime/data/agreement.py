"""Whether the data hold what a program reads, said before any training starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .columns import FieldType
from .errors import DataError, names, nearest

_FLOATS = ("f32", "bf16", "f16", "float")
_SAME = {"int": "i32", "float": "f32"}


def check(fields: Mapping[str, FieldType], wanted: Sequence[Mapping[str, Any]]) -> None:
    """Raises :class:`DataError` unless ``fields`` are what the ``batch`` entries of a manifest ask for.

    An entry is ``{"name", "dtype", "dims", "shape"}``, the batch leading; a size of ``None`` is any, but the same
    wherever its dim is named. Floats of any width agree, since the program casts them to its precision.
    """
    problems = [problem for entry in wanted for problem in _problems(fields, entry)]
    problems = problems or list(_disagreements(fields, wanted))
    if problems:
        (message, mend), *others = problems
        raise DataError(message, *mend, *(f"also: {other}" for other, _ in others))


Problem = tuple[str, tuple[str, ...]]


def _problems(fields: Mapping[str, FieldType], entry: Mapping[str, Any]) -> Iterator[Problem]:
    name, has = entry["name"], fields.get(entry["name"])
    wants = FieldType(entry["dtype"], tuple(entry["shape"][1:]))
    if has is None:
        near = nearest(name, fields)
        yield f"the model reads `{name}`, which the data do not have", (*near, f"they have {_listed(fields)}")
    elif (mend := _mend(name, has, wants)) is not None:
        yield f"field `{name}` is {has} in the data, and the model reads {_with_dims(wants, entry)}", mend


def _mend(name: str, has: FieldType, wants: FieldType) -> tuple[str, ...] | None:
    """What would make the field fit, nothing if we cannot say, ``None`` if it fits."""
    if has.dtype == "string":
        return (f"make ids of the text: `encode({name}, bpe(), into = {name}_ids)`",)
    if None in has.shape and len(has.shape) == len(wants.shape):
        return (f"its examples differ in length: `pad({name}, length = …)`",)
    if not _shapes_agree(has.shape, wants.shape):
        return _reshape(name, has, wants)
    if _dtypes_agree(has.dtype, wants.dtype):
        return None
    return (f"`cast({name}, {wants.dtype})`",)


def _dtypes_agree(has: str, wants: str) -> bool:
    return (has in _FLOATS and wants in _FLOATS) or has == _SAME.get(wants, wants)


def _shapes_agree(has: Sequence[int | None], wants: Sequence[int | None]) -> bool:
    return len(has) == len(wants) and all(want in (None, size) for size, want in zip(has, wants, strict=True))


def _reshape(name: str, has: FieldType, wants: FieldType) -> tuple[str, ...]:
    if len(wants.shape) == 1 and len(has.shape) > 1:
        return (f"`flatten({name})` makes a vector of each example",)
    if len(has.shape) == 1 and len(wants.shape) == 1:
        (own,), (other,) = has.shape, wants.shape
        sizes = f"both are {own} or both {other}"
        return (f"set the model's size, or the data's, so that {sizes}",)
    return (f"`reshape({name}, [...])` gives each example another shape",)


def _disagreements(fields: Mapping[str, FieldType], wanted: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    """Dims of one name that are of two sizes."""
    first: dict[str, tuple[str, int]] = {}
    for entry in wanted:
        for dim, size in zip(entry["dims"][1:], fields[entry["name"]].shape, strict=True):
            if not isinstance(dim, str) or size is None:
                continue
            field, before = first.setdefault(dim, (entry["name"], size))
            if before != size:
                message = f"dim `{dim}` is {before} in the data's field `{field}` and {size} in `{entry['name']}`"
                yield message, ("give both fields one length",)


def _listed(fields: Mapping[str, FieldType]) -> str:
    return ", ".join(f"`{name}`: {field}" for name, field in fields.items()) or names(())


def _with_dims(wants: FieldType, entry: Mapping[str, Any]) -> str:
    sizes = zip(entry["dims"][1:], wants.shape, strict=True)
    return f"{wants.dtype}[{', '.join(str(dim if size is None else size) for dim, size in sizes)}]"
