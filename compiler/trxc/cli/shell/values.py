"""Arrays that come from the command line and go back to it."""

from __future__ import annotations

import io
import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from .output import reason
from .status import PROGRAM_WRONG, USAGE_WRONG, CommandError
from .usage import did_you_mean, listed

Array = NDArray[Any]

SUFFIXES = (".npy", ".npz", ".json")
MOST_PRINTED = 10_000
"""Numbers that are printed as JSON; of more, a summary is."""


def read_values(given: tuple[tuple[str, str], ...], declared: Mapping[str, Mapping[str, Any]]) -> dict[str, Array]:
    """The arrays of ``NAME=VALUE`` arguments, by name, in the dtypes that ``declared`` fields have."""
    arrays: dict[str, Array] = {}
    for name, text in given:
        if name in arrays:
            raise CommandError(f"`{name}` is given twice", status=USAGE_WRONG)
        if declared and name not in declared:
            near = did_you_mean(name, declared) or f"; there is {listed(declared)}"
            raise CommandError(f"the model has no input `{name}`{near}", status=USAGE_WRONG)
        arrays[name] = as_declared(_read(name, text), declared.get(name), name)
    return arrays


def as_declared(array: Array, field: Mapping[str, Any] | None, name: str) -> Array:
    """Integers where floats are wanted become floats, and sizes of integers are fitted; no number is changed."""
    if array.dtype.kind not in "biuf" and str(array.dtype) != "bfloat16":
        raise CommandError(f"`{name}` holds {array.dtype}, not numbers", status=PROGRAM_WRONG)
    dtype = str(field["dtype"]) if field else ""
    if dtype.startswith(("f", "bf")) and array.dtype.kind in "iuf":
        return array.astype(np.float32)
    wanted = {"i8": np.int8, "i32": np.int32, "u8": np.uint8, "i64": np.int64}.get(dtype)
    if wanted is None or array.dtype.kind not in "iu":
        return array
    fitted = array.astype(wanted)
    if not np.array_equal(fitted, array):
        raise CommandError(f"`{name}` has numbers that do not fit {dtype}", status=PROGRAM_WRONG)
    return fitted


def as_archive(values: Mapping[str, Array]) -> bytes:
    """The arrays as a NumPy archive."""
    written = io.BytesIO()
    np.savez(written, allow_pickle=False, **{name: _portable(value) for name, value in values.items()})
    return written.getvalue()


def as_json(values: Mapping[str, Array], *, whole: bool = False) -> str:
    """The arrays as JSON; too many numbers to read become summaries, unless ``whole``. No number is null."""
    few = whole or sum(value.size for value in values.values()) <= MOST_PRINTED
    told = {name: _told(_portable(value)) if few else _summary(value) for name, value in values.items()}
    return json.dumps(told, allow_nan=False)


def _read(name: str, text: str) -> Array:
    path = Path(text)
    if path.suffix in SUFFIXES:
        try:
            return _from_json(name, path.read_bytes()) if path.suffix == ".json" else _from_numpy(name, path)
        except OSError as error:
            raise CommandError(f"cannot read `{text}`: {reason(error)}", status=USAGE_WRONG) from None
    return _from_json(name, sys.stdin.buffer.read() if text == "-" else text.encode())


def _from_json(name: str, data: bytes) -> Array:
    try:
        array: Array = np.asarray(json.loads(data))
    except (ValueError, RecursionError):
        raise CommandError(
            f"`{name}` is neither JSON nor numbers of one shape",
            status=USAGE_WRONG,
            hints=(f"give a file ({', '.join(SUFFIXES)}) or nested lists such as [[1, 2], [3, 4]]",),
        ) from None
    return array


def _from_numpy(name: str, path: Path) -> Array:
    try:
        loaded: Any = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return cast("Array", loaded)
        with loaded:
            entries = list(loaded.files)
            if name not in entries and len(entries) != 1:
                raise CommandError(f"`{path}` has no array `{name}`; it has {listed(entries)}", status=USAGE_WRONG)
            return cast("Array", loaded[name if name in entries else entries[0]])
    except (ValueError, EOFError, BadZipFile):
        raise CommandError(f"`{path}` is not a NumPy file of plain numbers") from None


def _portable(value: Array) -> Array:
    """bfloat16, which NumPy's formats do not know, as float32; every one of its numbers is one."""
    return value.astype(np.float32) if str(value.dtype) == "bfloat16" else value


def _told(value: Array) -> Any:
    """Nested lists; a float with no more digits than its own dtype needs, and as a string where JSON has no word."""
    if value.ndim:
        return [_told(part) for part in value]
    number = value.item()
    if not isinstance(number, float):
        return number
    return float(str(value[()])) if math.isfinite(number) else str(number)


def _summary(value: Array) -> dict[str, Any]:
    facts: dict[str, Any] = {"shape": list(value.shape), "dtype": str(value.dtype)}
    if value.size:
        numbers = _portable(value).astype(np.float64)
        facts |= {"min": _told(numbers.min()), "mean": _told(numbers.mean()), "max": _told(numbers.max())}
    return facts
