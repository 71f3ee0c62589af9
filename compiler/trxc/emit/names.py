"""Names of the user's as Python names, and text of the user's as comments: nothing of it can become code."""

from __future__ import annotations

import ast
import builtins
import keyword
import re
import textwrap

from .prelude import PRELUDE

CONTRACT = (
    *("init", "init_state", "apply", "loss", "measure", "summarize", "optimizer", "schedule"),
    *("prepare", "decode", "split"),
    *("train_step", "main", "MESH_SHAPE", "make_mesh", "param_specs", "batch_specs", "labels"),
)
IMPORTS = ["jax", "jnp", "np", "optax", "functools", "math", "zlib", "P", "checkpoint_name"]
ARGUMENTS = ["params", "state", "key"]


def reserved_names() -> frozenset[str]:
    """What a local name of the user's may not be; that of a function may not be in `CONTRACT` either."""
    prelude = {name for entry in PRELUDE.values() for name in defined_names(entry.source)}
    return frozenset({*IMPORTS, *ARGUMENTS, *prelude, *PRELUDE, *dir(builtins)})


def defined_names(source: str) -> list[str]:
    """The names that a Python text defines at its top level."""
    found: list[str] = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.append(node.name)
        elif isinstance(node, ast.Assign):
            found.extend(target.id for target in node.targets if isinstance(target, ast.Name))
    return found


def python_name(name: str) -> str:
    """A Python identifier for any text: ASCII letters, digits and underscores, no keyword, no leading underscore."""
    text = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_")
    if not text or text[0].isdigit():
        text = f"v{text}"
    return f"{text}_" if keyword.iskeyword(text) or keyword.issoftkeyword(text) else text


def fresh(name: str, taken: set[str] | frozenset[str], reserved: frozenset[str]) -> str:
    """A Python name for `name`: with an underscore where the program needs the name itself, numbered where taken."""
    base = python_name(name)
    base = f"{base}_" if base in reserved else base
    candidate, number = base, 1
    while candidate in taken or candidate in reserved:
        number += 1
        candidate = f"{base}{number}" if base.endswith("_") else f"{base}_{number}"
    return candidate


def comment_text(text: str) -> str:
    """One line of the user's, safe in a comment or docstring: printable, without quotes, backslashes or breaks."""
    flat = " ".join(text.split())
    return "".join(c for c in flat.replace("\\", "/").replace('"', "'") if c.isprintable()).strip()


def docstring(text: str, indent: str, width: int = 88) -> list[str]:
    """The lines of a docstring of one paragraph, wrapped; none for an empty text."""
    clean = comment_text(text)
    if not clean:
        return []
    if len(indent) + len(clean) + 6 <= width:
        return [f'{indent}"""{clean}"""']
    lines = textwrap.wrap(clean, width - len(indent) - 3)
    return [f'{indent}"""{lines[0]}', *(indent + line for line in lines[1:]), f'{indent}"""']
