"""Files that are not there, or that use each other in a circle."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from trxc.syntax import ast

from .program import Edit, Kinds, Program
from .words import misspelt

KINDS = Kinds()


def _first(program: Program) -> str:
    return next(item.name.name for item in program.tree.items if isinstance(item, ast.Layer | ast.Fn))


def _use(program: Program, line: str, *files: tuple[str, str]) -> Edit:
    at = program.tree.items[0].span.start
    at = program.text.rfind("\n\n", 0, at) + 2 if "\n\n" in program.text[:at] else 0
    return Edit(at, at, f"{line}\n\n", (at, at), files=files)


@KINDS("circle of files")
def circle(program: Program, rng: Random) -> Iterator[Edit]:
    """A file is read once those that it uses are, so none of a circle can be the first."""
    if any(isinstance(item, ast.Layer | ast.Fn) for item in program.tree.items):
        other = f'use "main.trx" ({_first(program)})\n\nconst ONE = 1\n'
        yield _use(program, 'use "other.trx" (ONE)', ("other.trx", other))


@KINDS("file that is not there")
def no_file(program: Program, rng: Random) -> Iterator[Edit]:
    """There is no such file beside the program."""
    name = f"{misspelt('other', program, rng)}.trx"
    yield _use(program, f'use "{name}" (ONE)', ("other.trx", "const ONE = 1\n"))


@KINDS("name that a file does not have")
def no_name(program: Program, rng: Random) -> Iterator[Edit]:
    """The file is there, and has nothing of this name."""
    name = misspelt("small_model", program, rng)
    yield _use(program, f'use "other.trx" ({name})', ("other.trx", "const small_model = 1\n"))
