"""Hostile and broken text: whatever is asked about whatever text, the core answers and never raises."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lsp_documents import LARGEST, PROJECT, checked, opened, whole

from trxc.lsp.answers import Refusal
from trxc.lsp.callees import signature_help
from trxc.lsp.colours import encode, semantic_tokens
from trxc.lsp.complete import complete
from trxc.lsp.documents import Document
from trxc.lsp.edits import Change
from trxc.lsp.folding import folds, selection_ranges
from trxc.lsp.formatting import format_edits
from trxc.lsp.hints import inlay_hints
from trxc.lsp.hover import hover
from trxc.lsp.navigate import definition, highlights, references
from trxc.lsp.outline import document_symbols, workspace_symbols
from trxc.lsp.positions import Position, Range
from trxc.lsp.problems import actions, problems
from trxc.lsp.rename import prepare_rename, rename

TEXTS = [path.read_text(encoding="utf-8") for path in sorted((PROJECT / "examples").glob("*.trx"))]
TEXTS += [(PROJECT / "stdlib" / name).read_text(encoding="utf-8") for name in ("norm.trx", "recurrent.trx")]
PIECES = [
    "(", ")", "{", "}", "[", "]", '"', "#", "\n", "\r\n", "\r", "🦊", "\ud800", "\0", "\u2028", " |> ", " >> ", " = ",
    ".", ",", ":", "...", "x", "input ", "output ", "layer A ", "model M {", "use std.", 'use "../x.trx"', "use ",
    "fn(x) => ", "99999999999999999999", "1e999", "next ", "repeat(3, ", "train t for ", "mesh m {", "-> ", "é",
    "\ufeff", "if ", "else {", "for i in ", "?", "^", "\t",
]  # fmt: skip


def _refusable(ask: Callable[[Document, Position], object]) -> Callable[[Document, Position], object]:
    def asked(document: Document, position: Position) -> object:
        try:
            return ask(document, position)
        except Refusal as refusal:
            return str(refusal)

    return asked


REQUESTS: dict[str, Callable[[Document, Position], object]] = {
    "hover": hover,
    "hints": lambda d, p: inlay_hints(d, Range(p, Position(p.line + 40, 3))),
    "definition": definition,
    "references": references,
    "highlights": highlights,
    "prepare rename": _refusable(prepare_rename),
    "complete": complete,
    "signature help": signature_help,
    "symbols": lambda d, p: document_symbols(d),
    "workspace symbols": lambda d, p: workspace_symbols(d.workspace, "o"),
    "colours": lambda d, p: encode(semantic_tokens(d)),
    "colours of a part": lambda d, p: semantic_tokens(d, Range(p, Position(p.line + 5, 1))),
    "folds": lambda d, p: folds(d),
    "selection": selection_ranges,
    "format": lambda d, p: format_edits(d),
    "problems": lambda d, p: problems(d),
    "mends": lambda d, p: actions(d, whole(d)),
}


def mutated(text: str, rng: random.Random) -> str:
    for _ in range(rng.randint(0, 6)):
        start = rng.randint(0, len(text))
        end = min(len(text), start + rng.choice((0, 0, 1, 3, 20, 200)))
        text = text[:start] + rng.choice(PIECES) * rng.choice((1, 1, 1, 2, 40)) + text[end:]
    return text


def ask_everything(document: Document, rng: random.Random) -> None:
    for _ in range(3):
        position = document.lines.position(rng.randint(0, len(document.text)))
        for ask in REQUESTS.values():
            ask(document, position)
    for ask in REQUESTS.values():
        ask(document, Position(rng.randint(-1, 500), rng.randint(-1, 500)))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32))
def test_no_request_raises_on_mutated_text(seed: int) -> None:
    rng = random.Random(seed)
    first = rng.choice(TEXTS)
    document = opened(first)
    for version in range(2, 4):
        document.replace(mutated(document.text, rng), version)
        if rng.random() < 0.5:  # else what was found out about an older version answers
            checked(document)
        ask_everything(document, rng)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_no_request_raises_on_arbitrary_text(text: str) -> None:
    document = opened(text)
    ask_everything(document, random.Random(len(text)))


def test_typing_a_whole_file_never_raises(tmp_path: Path) -> None:
    text = LARGEST.read_text(encoding="utf-8")
    document = opened("", path=tmp_path / "typed.trx")
    rng = random.Random(7)
    for at in range(0, len(text), 61):
        piece = text[at : at + 61]
        document.change([Change(len(document.text), len(document.text), piece)], at + 2)
        checked(document)
        ask_everything(document, rng)
    assert problems(document) == []


@pytest.mark.parametrize("seed", range(8))
def test_a_rename_on_mutated_text_is_done_or_refused(seed: int) -> None:
    rng = random.Random(seed)
    document = opened(mutated(rng.choice(TEXTS), rng))
    for occurrence in rng.sample(document.reading.table.ordered, min(4, len(document.reading.table.ordered))):
        position = document.lines.position(occurrence.span.start)
        _refusable(lambda d, p: rename(d, p, "renamed"))(document, position)


def test_deep_nesting_and_long_chains_are_answered() -> None:
    for text in ("(" * 5_000, "model M {\n  output " + "x |> " * 3_000, "layer A = " + "[" * 90 + "]" * 90):
        ask_everything(opened(text), random.Random(1))
