"""An artifact's folder: its manifest, and its program, executed only after it was verified.

Layout: ``program.py`` and ``manifest.json`` side by side; a run's folder holds copies of both.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from .errors import RunError
from .safety import MAX_PROGRAM_BYTES, check_program

FORMAT = 1
MAX_MANIFEST_BYTES = 128 * 2**20
PROGRAM, MANIFEST = "program.py", "manifest.json"
_FIELDS: dict[str, type] = {"name": str, "model": str, "sha256": dict, "inputs": list, "outputs": list}


@dataclass(frozen=True)
class Artifact:
    """A verified artifact: where it lies, what it says of itself, and its functions."""

    folder: Path
    manifest: dict[str, Any]
    program: ModuleType
    program_bytes: bytes

    @property
    def name(self) -> str:
        """The recipe's name, or the model's where there is no recipe."""
        return str(self.manifest["name"])

    @property
    def sha256(self) -> str:
        """The hash of the program's text, in hexadecimal."""
        return str(self.manifest["sha256"][PROGRAM])

    @property
    def recipe(self) -> dict[str, Any]:
        """The manifest's ``recipe``: {} for a model that was compiled without one."""
        return part(self.manifest, "recipe")

    @property
    def train(self) -> dict[str, Any]:
        """The recipe's ``train`` part; raises :class:`RunError` where there is none."""
        train = part(self.recipe, "train")
        if not train:
            raise RunError(
                f"`{self.name}` has no `train` recipe", hints=("add `train NAME for MODEL { … }` to the .trx file",)
            )
        return train


def part(of: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A record within a record; {} where it is absent or null."""
    return cast("dict[str, Any]", of.get(name) or {})


def load_artifact(folder: str | Path, *, allow_extern: bool = False, root: Path | None = None) -> Artifact:
    """Read, verify and execute the artifact in ``folder``.

    ``allow_extern`` permits the Python modules that the manifest lists under ``extern``; they are looked for
    in ``root`` first. Raises :class:`RunError` (status 1) where anything is missing, damaged or refused.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise RunError(f"there is no folder `{folder}`", hints=("`trxc compile FILE -o DIR` writes an artifact",))
    manifest = read_manifest(folder)
    source = _read(folder / PROGRAM, MAX_PROGRAM_BYTES)
    digest = hashlib.sha256(source).hexdigest()
    if digest != manifest["sha256"].get(PROGRAM):
        raise RunError(
            f"`{folder / PROGRAM}` is not the program that its manifest describes (SHA-256 differs)",
            hints=("compile the .trx file again; the program is written by the compiler, not by hand",),
        )
    externs = _externs(manifest, allow_extern)
    try:
        text = source.decode("utf-8")
    except UnicodeDecodeError:
        raise RunError(f"`{folder / PROGRAM}` is not UTF-8 text") from None
    check_program(text, externs=externs)
    program = _execute(text, folder / PROGRAM, digest, externs, root)
    return Artifact(folder, manifest, program, source)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The checked ``manifest.json`` of a folder, without touching its program."""
    path = folder / MANIFEST
    try:
        found: object = json.loads(_read(path, MAX_MANIFEST_BYTES))
    except (ValueError, RecursionError):
        raise RunError(f"`{path}` is not JSON") from None
    if not isinstance(found, dict):
        raise RunError(f"`{path}` is not a manifest")
    manifest = cast("dict[str, Any]", found)
    if manifest.get("format") != FORMAT:
        raise RunError(
            f"`{path}` has format {manifest.get('format')!r}; this runtime reads format {FORMAT}",
            hints=("compile the .trx file again, or install the trxc that wrote it",),
        )
    for field, kind in _FIELDS.items():
        if not isinstance(manifest.get(field), kind):
            raise RunError(f"`{path}` is damaged: `{field}` is missing or not a {kind.__name__}")
    return manifest


def _read(path: Path, limit: int) -> bytes:
    try:
        if path.stat().st_size > limit:
            raise RunError(f"`{path}` is larger than {limit >> 20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise RunError(f"cannot read `{path}`: {error.strerror or error}") from None


def _externs(manifest: dict[str, Any], allowed: bool) -> tuple[str, ...]:
    externs = tuple(str(name) for name in manifest.get("extern") or ())
    if externs and not allowed:
        raise RunError(
            f"this program calls Python code of its own: {', '.join(f'`{name}`' for name in externs)}",
            hints=("if you trust that code, allow it: `--allow-extern`, or `allow_extern=True`",),
        )
    return externs


def _execute(text: str, path: Path, digest: str, externs: tuple[str, ...], root: Path | None) -> ModuleType:
    _import_externs(externs, root)
    module = ModuleType(f"trxc_program_{digest[:12]}")
    module.__file__ = str(path)
    module.__dict__["__trxc_program__"] = digest  # by which a traceback's frames are known again
    try:
        exec(compile(text, str(path), "exec", dont_inherit=True), module.__dict__)
    except Exception as error:
        raise RunError(
            f"`{path}` fails while it is loaded: {error}",
            status=70,
            hints=("this is a fault of the compiler or of the jax that is installed; please report it",),
        ) from error
    return module


def _import_externs(externs: tuple[str, ...], root: Path | None) -> None:
    """Import the user's own modules, from the project's folder first."""
    if root is not None and externs:
        sys.path.insert(0, str(root))
    try:
        for name in externs:
            importlib.import_module(name)
    except ImportError as error:
        raise RunError(
            f"cannot import the extern module: {error}", hints=("it is looked for beside the .trx file",)
        ) from error
    finally:
        if root is not None and externs:
            sys.path.remove(str(root))
