"""The passes, each one file; the command line names them by `name`, :mod:`.order` puts them in order.

What a check needs of them is loaded alone: the names here load all of them when they are asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .base import Pass, Remark, Remarks

if TYPE_CHECKING:
    from .order import PASS_NAMES, REQUIRED, pipeline, run_passes

__all__ = ["PASS_NAMES", "REQUIRED", "Pass", "Remark", "Remarks", "pipeline", "run_passes"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.order"), name)
