"""Random causal models are decoded as they are computed, and those that look ahead are refused at their line.

`python -m tests.fuzz.causal` tries more of them, and larger; `docs/decoding.md` has its figures.
"""

from __future__ import annotations

import random
import re
from typing import Any

import pytest
from tests.fuzz.causal import ARCHITECTURES, PAGE, title
from tests.fuzz.causal_jax import DOUBLE, SINGLE, Run, emitted, worst_under_jax
from tests.fuzz.causal_layers import MIXERS, draw
from tests.fuzz.causal_models import STATEMENTS, Broken, causal_model
from tests.fuzz.causality import AT_ITS_LINE, EQUAL, broken_model, judge_ahead, judge_causal, points_at
from tests.fuzz.chunks import derived, looks_ahead, unoptimised

import trxc
from trxc.diagnostics.terminal import render
from trxc.passes.decode import RefusedError

CAUSAL, AHEAD, PART = 40, 40, 10


@pytest.mark.parametrize("first", range(0, CAUSAL, PART))
def test_random_causal_models_are_decoded_as_they_are_computed(first: int) -> None:
    for seed in range(first, first + PART):
        model = causal_model(seed, most=1)
        verdict = judge_causal(model.text, seed, beyond=model.beyond)
        assert verdict.divergence is None, f"seed {seed}: {verdict.divergence}\n{model.text}"
        assert verdict.stages or model.beyond, f"seed {seed}: {verdict.refused}"


@pytest.mark.parametrize("first", range(0, AHEAD, PART))
def test_random_models_that_look_ahead_are_refused_where_they_do(first: int) -> None:
    compared = 0
    for seed in range(first, first + PART):
        broken = broken_model(seed, most=1)
        verdict = judge_ahead(broken, seed)
        assert verdict.divergence is None, f"seed {seed}: {verdict.divergence}\n{broken.text}"
        assert not verdict.refused, f"seed {seed}: {verdict.refused}\n{broken.text}"
        compared += verdict.stages
        at_its_line = f"{broken.kind}: {AT_ITS_LINE}" in verdict.changed
        assert at_its_line or not verdict.stages, f"seed {seed}: {sorted(verdict.changed)}\n{broken.text}"
    assert compared >= PART // 2


def test_a_seed_is_a_model() -> None:
    assert causal_model(3).text == causal_model(3).text != causal_model(4).text
    assert broken_model(3) == broken_model(3) != broken_model(4)


def test_all_layers_are_drawn() -> None:
    """A kind that is never drawn is not tested."""
    rng = random.Random(0)
    drawn = {draw(rng, MIXERS, "Mix").kind for _ in range(200)}
    assert len(drawn) >= len(MIXERS)
    seen = {kind for seed in range(60) for kind in causal_model(seed).kinds}
    assert drawn <= seen


def test_what_looks_ahead_is_told_by_its_numbers() -> None:
    """The comparison behind the table of refusals sees a look ahead, and sees none where there is none."""
    model = next(model for seed in range(20) if not (model := causal_model(seed, most=1)).beyond)
    assert not looks_ahead(unoptimised(model.text), 0)
    kinds = {kind for kind, _ in STATEMENTS}
    statements = {broken.kind: broken for broken in model.broken_statements()}
    assert statements.keys() == kinds
    assert looks_ahead(unoptimised(statements["a mean over time"].text), 0)


def test_a_refusal_elsewhere_is_not_taken_for_one_at_its_line() -> None:
    broken = broken_model(0, most=1)
    with pytest.raises(RefusedError) as raised:
        derived(unoptimised(broken.text))
    assert points_at(broken, raised.value)
    assert not points_at(Broken(broken.kind, broken.text, frozenset({1}), "nowhere"), raised.value)


# ------------------------------------------------------------------------------- under jax


@pytest.mark.parametrize("name", ["running", "shift"])
def test_a_program_decodes_as_it_computes(name: str) -> None:
    """Both precisions, places that are not real, ragged rows; the command compares every architecture."""
    source = emitted((ARCHITECTURES / f"{name}.trx").read_text())
    for double, bound in ((True, DOUBLE), (False, SINGLE)):
        off = worst_under_jax(source, double=double)
        assert max(off.alike, off.ragged) <= bound


class Forgetful(Run):
    """Chunks that keep nothing."""

    def _chunk(self, kept: Any, tokens: Any, start: Any, count: Any) -> tuple[Any, Any]:
        logits, _ = super()._chunk(kept, tokens, start, count)
        return logits, kept


def test_the_comparison_under_jax_sees_what_is_forgotten() -> None:
    off = Forgetful(emitted((ARCHITECTURES / "running.trx").read_text()), double=False, seed=0).off()
    assert min(off.alike, off.ragged) > 1e-3


# ------------------------------------------------------------------------------------ the page


def _rows(part: str) -> list[list[str]]:
    page = PAGE.read_text(encoding="utf-8")
    text = page.partition(f"<!-- {part} -->\n")[2].partition(f"<!-- end of {part} -->")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def test_the_page_has_every_architecture_and_all_are_equal() -> None:
    rows = {re.sub(r".*\[(\w+)\].*", r"\1", row[0]): row for row in _rows("equality")}
    assert sorted(rows) == sorted(path.stem for path in ARCHITECTURES.glob("*.trx"))
    for name, (what, *numbers) in rows.items():
        assert what.startswith(title((ARCHITECTURES / f"{name}.trx").read_text()))
        bounds = (EQUAL, DOUBLE, DOUBLE, SINGLE, SINGLE)
        assert all(float(number) <= bound for number, bound in zip(numbers, bounds, strict=True)), name


def test_the_page_has_every_kind_of_look_ahead() -> None:
    rows = {row[0]: row[1:] for row in _rows("refusals")}
    kinds = {kind for kind, _ in STATEMENTS}
    kinds |= {change.kind for seed in range(60) for layer in causal_model(seed).layers for change in layer.breaks}
    assert rows.keys() == kinds | {"all"}
    assert all(int(count) > 0 for count, *_ in rows.values())


def test_the_page_shows_what_is_said_of_its_example() -> None:
    page = PAGE.read_text(encoding="utf-8")
    programs = re.findall(r"^```trx(?: fragment)?\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (said,) = re.findall(r"^```text\n(error.*?)\n```$", page, re.MULTILINE | re.DOTALL)
    derives, ahead = programs
    assert "decode" in trxc.compile(derives, filename="example.trx", name="reader").ir.roles
    with pytest.raises(trxc.CompileError) as raised:
        trxc.compile(ahead, filename="example.trx", name="reader")
    assert "\n\n".join(render(found, colour=False) for found in raised.value.diagnostics) == said
