"""`manifest.json`: what the runtime knows of a program without running it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ..ir import Module
from .program import Program

FORMAT = 1


def build_manifest(
    program: Program,
    module: Module,
    recipe_json: Mapping[str, Any],
    sources: Mapping[str, str],
    *,
    main: str,
    version: str,
    model: str | None = None,
    root: str | None = None,
) -> dict[str, Any]:
    """The manifest of a program.

    Args:
        program: what :func:`~trxc.emit.program.emit_program` gave.
        module: what it was given; its name is that of the recipe, or of the model where there is none.
        recipe_json: `train`, `data` and `generate` as plain data; empty for a model alone.
        sources: the texts that the program was compiled from, by name.
        main: the name of the source that the user named.
        version: the compiler's own.
        model: the name of the model.
        root: a hint of the project's folder.

    Raises:
        KeyError: `main` is not among the sources.
    """
    return {
        "format": FORMAT,
        "name": module.name,
        "model": model or module.role("apply").title or module.name,
        "trxc": version,
        "sha256": {"program.py": sha256(program.source)},
        "sources": dict(sources),
        "main": main,
        "source_sha256": sha256(sources[main]),
        "root": root,
        "parameters": program.parameters,
        "state": program.state,
        "inputs": program.inputs,
        "outputs": program.outputs,
        "batch": program.batch,
        "extern": program.extern,
        "xla_options": program.xla_options,
        "lines": [list(line) for line in program.lines],
        "recipe": dict(recipe_json),
    }


def manifest_bytes(manifest: Mapping[str, Any]) -> bytes:
    """The file's bytes: the same for the same manifest."""
    return (json.dumps(manifest, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def sha256(text: str) -> str:
    """The hexadecimal digest of a text in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()
