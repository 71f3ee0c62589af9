"""A mistake of each kind: refused, at its place, with one error. `python -m tests.mutation` makes a thousand."""

from __future__ import annotations

from functools import cache

from tests.mutation.corpus import programs
from tests.mutation.generate import KINDS, candidates, generate
from tests.mutation.judge import Verdict, judge
from tests.mutation.program import Mutant
from tests.mutation.run import enough, falling_short, table, valid_but_refused

SEED = 7


@cache
def sample() -> tuple[list[Mutant], list[Verdict]]:
    mutants = generate(SEED, len(KINDS))
    return mutants, [judge(mutant) for mutant in mutants]


def test_a_mistake_of_each_kind_is_refused_where_it_is():
    mutants, verdicts = sample()
    assert {mutant.kind for mutant in mutants} == {kind.name for kind in KINDS}
    short = [v for v in verdicts if not (v.refused and v.named and v.single)]
    assert len(short) <= 2, "\n".join(falling_short(mutants, verdicts))


def test_the_table_has_a_line_for_each_kind():
    _, verdicts = sample()
    lines = list(table(verdicts))
    assert len(lines) == len(KINDS) + 3
    assert lines[-1].startswith(f"| **all {len(KINDS)} kinds** | {len(KINDS)} |")


def test_valid_programs_are_not_complained_of():
    assert valid_but_refused() == []


def test_a_valid_program_would_not_count_as_refused():
    program = programs()[0]
    verdict = judge(Mutant("none", program.name, program.text, (0, 0), (0, 0)))
    assert not (verdict.refused or verdict.placed or verdict.named or verdict.single)
    assert not enough([verdict])


def test_an_error_elsewhere_is_not_at_the_mistake():
    text = "model M {\n  input x: float[batch, 4]\n  y = x\n  output z\n}\n"
    assert not judge(Mutant("far", "m", text, (39, 44), (39, 44))).placed
    at = text.index("output")
    assert judge(Mutant("near", "m", text, (at, at + 8), (at, at + 8))).placed


def test_kinds_say_why_they_are_wrong():
    assert len(KINDS) >= 30
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    assert all(kind.why.endswith(".") for kind in KINDS)


def test_one_seed_makes_one_set_of_mistakes():
    kind = next(kind for kind in KINDS if kind.name == "misspelt field")
    assert candidates(kind, 3) == candidates(kind, 3) != candidates(kind, 4)
