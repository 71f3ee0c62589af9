"""The valid programs that are made wrong: every example, template and case, and every file of the library.

A library file is checked as a program of its own, with models after it that use it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from .program import Program

ROOT = Path(__file__).parents[2]
PLACES = (
    "examples/*.trx", "compiler/trxc/templates/*/model.trx", "tests/cases/language/*.trx", "tests/cases/decoding/*.trx",
    "tests/cases/passes/programs/*.trx",
)  # fmt: skip
AROUND = {"combinators": "layers"}
"""Whose models use a library file, where they are not called as it is."""

WARNED = {"tests/cases/language/shapes.trx"}
"""Shows what is warned of: a weight map for another file's model."""

MENDED = {"tests/cases/language/gpt.trx": ("  model = 4\n", "  model = 2\n")}
"""Shows what is warned of, heads that a mesh does not divide, and is right without it."""


@cache
def programs() -> tuple[Program, ...]:
    """Every valid program, the project's own files first."""
    files = [path for place in PLACES for path in sorted(ROOT.glob(place))]
    own = [_own(str(path.relative_to(ROOT))) for path in files]
    library = [_library(path) for path in sorted((ROOT / "stdlib").glob("*.trx"))]
    return tuple(program for program in (*own, *library) if program.name not in WARNED)


def _own(name: str) -> Program:
    return Program(name, (ROOT / name).read_text(encoding="utf-8").replace(*MENDED.get(name, ("", ""))))


def _library(path: Path) -> Program:
    name = AROUND.get(path.stem, path.stem)
    around = Path(__file__).parent / "around" / f"{path.stem}.trx"
    uses = around if around.exists() else ROOT / "tests" / "cases" / "stdlib" / f"{name}.trx"
    text = f"{path.read_text(encoding='utf-8')}\n{uses.read_text(encoding='utf-8')}"
    return Program(f"stdlib/{path.name}", text)
