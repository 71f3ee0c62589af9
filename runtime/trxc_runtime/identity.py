"""Whether a run's folder belongs to what is about to be trained in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from .artifact import PROGRAM, Artifact, part
from .errors import RunError
from .run_folder import RunFolder

# What may change between an interrupted run and the one that goes on from it: how long, how often, how much is said.
_FREE = ("steps", "epochs", "evaluate", "checkpoint", "log", "metrics", "mesh")


def identity(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Hashes of the parts that make a run what it is: the program, the data, and the rest of the recipe."""
    recipe = part(manifest, "recipe")
    rest = {name: value for name, value in part(recipe, "train").items() if name not in _FREE}
    return {
        "program": str(manifest["sha256"][PROGRAM]),
        "data recipe": _hash(recipe.get("data")),
        "batch, seed or precision": _hash(rest),
    }


def refuse_other(folder: RunFolder, artifact: Artifact) -> None:
    """Raise :class:`RunError` if the folder's run is of something else, naming what differs."""
    before: Mapping[str, str] = folder.read().get("identity") or {}
    differs = [part for part, value in identity(artifact.manifest).items() if before.get(part, value) != value]
    if differs:
        raise RunError(
            f"`{folder.path}` holds a run of another program: the {differs[0]} changed",
            hints=("train in another folder: `--run DIR`", "or start this one over: `--force`"),
        )


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
