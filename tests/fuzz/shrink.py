"""A program that fails, made small: lines and parts of lines go as long as it fails in the same way."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

_SMALLER = [
    (re.compile(r"repeat\((\d+), "), lambda m: "repeat(1, "),
    (re.compile(r" >> [A-Za-z]\w*(\([^()]*\))?"), lambda m: ""),
    (re.compile(r"(residual|repeat)\((?:\d+, )?([A-Za-z]\w*(?:\([^()]*\))?)\)"), lambda m: m.group(2)),
    (re.compile(r"= .*\b(v\d+)\b.*"), lambda m: f"= {m.group(1)}"),
    (re.compile(r"\b(?:tanh|sigmoid|abs|exp|relu|gelu|sin|cos)\((\w+)\)"), lambda m: m.group(1)),
    (re.compile(r" [-+*/] [\w.]+"), lambda m: ""),
]  # fmt: skip


def shrink(text: str, fails: Callable[[str], bool], *, attempts: int = 600) -> str:
    """The smallest program found that `fails`, by dropping items and statements and simplifying what is left."""
    changed = True
    while changed and attempts > 0:
        changed = False
        for smaller in _candidates(text):
            attempts -= 1
            if fails(smaller):
                text, changed = smaller, True
                break
            if attempts <= 0:
                break
    return text


def _candidates(text: str) -> Iterator[str]:
    items = re.split(r"\n(?=(?:layer|fn|model|data|train) )", text)
    for at, item in enumerate(items):
        if item.lstrip().startswith(("layer", "fn")):
            yield "\n".join(items[:at] + items[at + 1 :])
    lines = text.split("\n")
    for size in (8, 4, 2, 1):
        for at in range(len(lines) - size, -1, -1):
            if all(line.startswith("  ") and "input" not in line for line in lines[at : at + size]):
                yield "\n".join(lines[:at] + lines[at + size :])
    for at in range(len(lines) - 1, -1, -1):
        for pattern, smaller in _SMALLER:
            for match in pattern.finditer(lines[at]):
                line = lines[at][: match.start()] + smaller(match) + lines[at][match.end() :]
                if line != lines[at]:
                    yield "\n".join([*lines[:at], line, *lines[at + 1 :]])
