"""Results that are slow to make and easy to name: kept under the hash of all that they depend on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np

from .columns import Array


def digest(what: str, texts: Iterable[str]) -> str:
    """A name for what follows from ``what`` (a maker and its version) and the texts, in order."""
    total = sha256(what.encode())
    for text in texts:
        content = text.encode("utf-8", "surrogatepass")
        total.update(len(content).to_bytes(8, "little"))
        total.update(content)
    return total.hexdigest()


def cached_text(folder: Path | None, key: str, make: Callable[[], str]) -> str:
    """The text kept under ``key``, made and kept if there is none; without a folder it is just made."""
    if folder is None:
        return make()
    path = folder / f"{key}.json"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    text = make()
    _write(path, text.encode())
    return text


def cached_arrays(folder: Path | None, key: str, make: Callable[[], tuple[Array, Array]]) -> tuple[Array, Array]:
    """The pair of arrays kept under ``key``, as :func:`cached_text`; what cannot be read is made again."""
    if folder is None:
        return make()
    paths = folder / f"{key}.flat.npy", folder / f"{key}.offsets.npy"
    try:
        return np.load(paths[0], allow_pickle=False), np.load(paths[1], allow_pickle=False)
    except (OSError, ValueError, EOFError):
        made = make()
    for path, array in zip(paths, made, strict=True):
        _write(path, array)
    return made


def _write(path: Path, content: bytes | Array) -> None:
    """Writes a file in one step, so that no process sees half of it; a cache that cannot be written is no error."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=path.parent, delete=False) as scratch:
            if isinstance(content, bytes):
                scratch.write(content)
            else:
                np.save(scratch, content, allow_pickle=False)
        Path(scratch.name).replace(path)
    except OSError:
        return
