"""Recipes as a manifest writes them, for the tests of data."""

from __future__ import annotations

import inspect
from typing import Any

from trxc_runtime.data import arrays, fields, records, scikit, sequences, sources, tokenizers

MODULES = (sources, records, arrays, scikit, tokenizers, sequences, fields)


def call(name: str, **args: Any) -> dict[str, Any]:
    """A manifest's call of one of the data classes, by its class name."""
    for module in MODULES:
        found = vars(module).get(name)
        if inspect.isclass(found) and found.__module__ == module.__name__:
            return {"call": f"{module.__name__}:{name}", "name": name.lower(), "args": args}
    raise KeyError(name)


def recipe(source: Any, *stages: Any, split: Any = None, **others: Any) -> dict[str, Any]:
    """A manifest's `recipe.data`."""
    return {"name": "sample", "source": source, "stages": list(stages), "split": split, **others}
