"""The data of a recipe, as training, evaluation and generation ask for it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Generator, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .artifact import Artifact
from .compile_cache import cache_folder, private_folder
from .errors import RunError
from .run_folder import RunFolder
from .user_errors import DataError

if TYPE_CHECKING:
    from .data import Batch, Data


@contextlib.contextmanager
def data_errors() -> Generator[None]:
    """Turn a :class:`DataError` into a :class:`RunError` with status 1."""
    try:
        yield
    except DataError as error:
        raise RunError(error.message, hints=tuple(error.hints)) from error


def load_data(artifact: Artifact, *, root: str | Path | None = None, arrays: Mapping[str, Any] | None = None) -> Data:
    """The recipe's data, checked against what the program reads; raises :class:`RunError`.

    Relative paths start from ``root``, else from where the run was started, else from the manifest's hint.
    """
    from . import data

    recipe = artifact.recipe.get("data")
    if not recipe:
        raise RunError(f"`{artifact.name}` has no data", hints=("add `data = NAME` to its `train` recipe",))
    with data_errors():
        loaded = data.load(
            recipe, root=root_of(artifact, root), cache=private_folder(cache_folder() / "data"), arrays=arrays
        )
        loaded.check(artifact.manifest["batch"])
    return loaded


def root_of(artifact: Artifact, root: str | Path | None) -> Path:
    """The folder that the recipe's paths start from; a ``root`` that was given must exist."""
    if root and not Path(root).is_dir():
        raise RunError(f"there is no folder `{root}`")
    hint = root or RunFolder(artifact.folder).read().get("root") or artifact.manifest.get("root")
    return Path(hint) if hint and Path(hint).is_dir() else Path.cwd()


def batches_of(artifact: Artifact, loaded: Data, split: str, steps: int | None) -> Iterator[tuple[Batch, int]]:
    """One ordered pass over a split, at most ``steps`` batches, with the fields that the program reads."""
    chosen = loaded.only(fields_of(artifact.manifest)).split(split)
    return islice(chosen.batches(evaluation_batch(artifact.train)), steps)


def fields_of(manifest: Mapping[str, Any]) -> list[str]:
    """The names of the fields that ``loss`` and ``measure`` read."""
    return [str(field["name"]) for field in manifest["batch"]]


def evaluation_batch(train: Mapping[str, Any]) -> int:
    """How many examples are measured at once: as many as training holds at once."""
    return max(1, int(train["batch"]) // int(train.get("accumulate") or 1))


def steps_of(train: Mapping[str, Any], examples: int) -> int:
    """How many steps a recipe asks for: ``steps``, or ``epochs`` passes over ``examples``."""
    if train.get("steps"):
        return int(train["steps"])
    if train.get("epochs"):
        return max(1, math.ceil(float(train["epochs"]) * examples / int(train["batch"])))
    raise RunError("the recipe says neither `steps` nor `epochs`")
