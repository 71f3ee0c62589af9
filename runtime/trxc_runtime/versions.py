"""What a run was made with, and when."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

_PACKAGES = ("jax", "jaxlib", "optax", "numpy", "orbax-checkpoint")


def versions(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Versions of what computes a run's numbers."""
    found = {name: _version(name) for name in _PACKAGES}
    return {"trxc": str(manifest.get("trxc", "unknown")), "python": platform.python_version(), **found}


def now() -> str:
    """This moment in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
