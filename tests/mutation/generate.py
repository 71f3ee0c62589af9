"""So many wrong programs of all kinds, from a seed."""

from __future__ import annotations

from random import Random

from . import call_kinds, file_kinds, name_kinds, record_kinds, shape_kinds, syntax_kinds
from .corpus import programs
from .program import Kind, Mutant, mutated

KINDS: tuple[Kind, ...] = tuple(
    kind
    for module in (syntax_kinds, name_kinds, shape_kinds, call_kinds, record_kinds, file_kinds)
    for kind in module.KINDS.entries
)


def candidates(kind: Kind, seed: int) -> list[Mutant]:
    """Every place of every program at which a kind of mistake can be made, in a random order, each text once."""
    found: dict[object, Mutant] = {}
    for program in programs():
        rng = Random(f"{seed} {kind.name} {program.name}")
        for edit in kind.makes(program, rng):
            mutant = mutated(program, kind.name, edit)
            if mutant.text != program.text or mutant.settings:
                found.setdefault((mutant.text, mutant.settings), mutant)
    mutants = list(found.values())
    Random(f"{seed} {kind.name}").shuffle(mutants)
    return mutants


def generate(seed: int, count: int, part: str = "") -> list[Mutant]:
    """`count` mutants, of every kind about as many; of a kind with fewer places, all of them.

    `part`: only of kinds whose name holds it.
    """
    pools = [candidates(kind, seed) for kind in KINDS if part in kind.name]
    chosen: list[Mutant] = []
    turn = 0
    while len(chosen) < count and any(turn < len(pool) for pool in pools):
        chosen += [pool[turn] for pool in pools if turn < len(pool)]
        turn += 1
    return chosen[:count]
