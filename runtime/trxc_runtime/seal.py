"""A checkpoint's seal: size and SHA-256 of each of its files, written last.

Storage returns wrong numbers silently when a bit flips, so that a checkpoint counts only while every byte is the
one that was written; a folder without a valid seal does not exist.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from .files import sha256_of, sync_file, sync_folder, write_json

SEAL = "checkpoint.json"
FORMAT = 1
MAX_SEAL_BYTES = 64 * 2**20


class DamagedError(Exception):
    """A checkpoint that is not what its seal says; the message is a clause such as "`d/x` has changed"."""


def write_seal(folder: Path, facts: dict[str, Any]) -> None:
    """Seal ``folder``: flush its files, then record ``facts`` and every file's size and hash."""
    paths = _files(folder)
    for path in paths:
        sync_file(path)
    for inner in [path for path in folder.rglob("*") if path.is_dir()]:
        sync_folder(inner)
    listed = {
        path.relative_to(folder).as_posix(): {"size": path.stat().st_size, "sha256": sha256_of(path)} for path in paths
    }
    write_json(folder / SEAL, {"format": FORMAT, **facts, "files": listed})


def read_seal(folder: Path) -> dict[str, Any]:
    """What the seal records, unchecked against the files; raises :class:`DamagedError` if it cannot be read."""
    path = folder / SEAL
    try:
        if path.stat().st_size > MAX_SEAL_BYTES:
            raise DamagedError(f"`{SEAL}` is larger than {MAX_SEAL_BYTES >> 20} MiB")
        found: object = json.loads(path.read_bytes())
    except OSError:
        raise DamagedError("it was never finished") from None
    except (ValueError, RecursionError):
        raise DamagedError(f"`{SEAL}` cannot be read") from None
    if not isinstance(found, dict):
        raise DamagedError(f"`{SEAL}` cannot be read")
    seal = cast("dict[str, Any]", found)
    if seal.get("format") != FORMAT or not isinstance(seal.get("files"), dict) or not isinstance(seal.get("step"), int):
        raise DamagedError(f"`{SEAL}` cannot be read")
    return seal


def check_seal(folder: Path) -> dict[str, Any]:
    """The seal, after every file was compared with it; raises :class:`DamagedError` naming the first that differs."""
    seal = read_seal(folder)
    listed: dict[str, Any] = seal["files"]
    present = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
    if missing := sorted(listed.keys() - present.keys()):
        raise DamagedError(f"`{missing[0]}` is missing")
    if foreign := sorted(present.keys() - listed.keys()):
        raise DamagedError(f"`{foreign[0]}` was not there when it was saved")
    for name, path in present.items():
        _check_file(name, path, listed[name])
    return seal


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / SEAL)


def _check_file(name: str, path: Path, expected: object) -> None:
    if not isinstance(expected, dict):
        raise DamagedError(f"`{SEAL}` cannot be read")
    facts = cast("dict[str, object]", expected)
    if path.stat().st_size != facts.get("size"):
        raise DamagedError(f"`{name}` has another size")
    if sha256_of(path) != facts.get("sha256"):
        raise DamagedError(f"`{name}` has changed")
