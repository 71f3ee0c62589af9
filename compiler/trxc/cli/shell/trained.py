"""A trained model with another program around its weights: other values fetched, or other generation."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Generator, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from .files import STDIN, ProgramFile
from .programs import compile_program, saved
from .status import CommandError

if TYPE_CHECKING:
    from ... import Program


def recompile(manifest: Mapping[str, Any], **options: Any) -> Program:
    """The program of a run, compiled again from the sources that its manifest keeps."""
    settings: dict[str, Any] = {**(manifest.get("settings") or {}), **(options.pop("set", None) or {})}
    with _sources(manifest) as file:
        return compile_program(file, name=manifest["name"], set=settings or None, **options)


@contextlib.contextmanager
def recompiled(runtime: Any, run: Any, *, allow_extern: bool, **options: Any) -> Generator[Any, None, None]:
    """The artifact of :func:`recompile` for the model ``run``, while the context lasts."""
    program = recompile(run.manifest, allow_extern=allow_extern, **options)
    with saved(program) as folder:
        yield runtime.load_artifact(folder, allow_extern=allow_extern)


@contextlib.contextmanager
def _sources(manifest: Mapping[str, Any]) -> Generator[ProgramFile, None, None]:
    """The run's sources in a temp folder: the main one at its top, the files it uses where it looks for them."""
    sources: dict[str, str] = dict(manifest.get("sources") or {})
    main = str(manifest.get("main"))
    if main not in sources:
        raise CommandError("the run's manifest does not have the file that it was compiled from")
    with tempfile.TemporaryDirectory(prefix="trxc-") as folder:
        top = Path(folder, "main.trx" if main == STDIN else re.split(r"[\\/]", main)[-1])
        for name, text in sources.items():
            path = top if name == main else Path(folder, _inside(name))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        yield ProgramFile(main, sources[main], top)


def _inside(name: str) -> PurePosixPath:
    """A used file's name as a path below the temp folder; a manifest may come from a stranger."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or re.search(r"[\\:\0]", name):
        raise CommandError(f"the run's manifest names a source outside its project: `{name}`")
    return path
