"""Patterns of parameter paths, as `freeze` takes them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .parameters import BoundParameter


def matches(pattern: str, name: str) -> bool:
    """Whether a pattern names a weight or what it is a part of: `blocks`, `blocks[*].attention`, `*.bias`."""
    text = "".join(".*" if part == "*" else re.escape(part) for part in re.split(r"(\*)", pattern))
    return re.fullmatch(rf"{text}(?:[.\[].*)?", name) is not None


def takes(pattern: str, weight: BoundParameter) -> bool:
    """Whether a pattern names a weight; of a stack, each of its slices."""
    return all(matches(pattern, name) for name in weight.names.values())


def matched(patterns: Sequence[str], weight: BoundParameter) -> bool:
    """Whether one of several patterns takes a weight."""
    return any(takes(pattern, weight) for pattern in patterns)
