"""The formatter: the layout of each form, and what holds for every text."""

from __future__ import annotations

import random
import re
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fuzz.generate import generate
from tests.unit.format_programs import Writer, shaken

import trxc
from trxc.diagnostics.diagnostic import Diagnostics
from trxc.formatter import WIDTH
from trxc.formatter.concrete import read_tokens
from trxc.formatter.same import same_tree
from trxc.formatter.trivia import Trivia
from trxc.source import Source
from trxc.syntax import ast, parse

ROOT = Path(__file__).resolve().parents[2]
CASES = sorted((ROOT / "tests" / "cases" / "format").glob("*.trx"))
HOUSE = sorted(path for folder in ("stdlib", "examples", "compiler") for path in (ROOT / folder).rglob("*.trx"))
PROJECT = sorted(path for path in ROOT.rglob("*.trx") if "build" not in path.parts)
DIVIDER = "# ----- becomes\n"


def tree_of(text: str) -> ast.File | None:
    diagnostics = Diagnostics()
    tree = parse(Source("text", text), diagnostics)
    return None if diagnostics.failed else tree


def comments_of(text: str) -> list[str]:
    return Trivia(text, read_tokens(Source("text", text))).comments


def check(text: str) -> None:
    """Formatted twice is formatted once; the tree and the comments are the same, and lines end where they end."""
    before = tree_of(text)
    assert before is not None
    formatted = trxc.format(text)
    assert trxc.format(formatted) == formatted
    after = tree_of(formatted)
    assert after is not None and same_tree(before, after)
    assert comments_of(formatted) == comments_of(text)
    assert all(line == line.rstrip() for line in formatted.split("\n"))
    assert "\n\n\n" not in formatted and not formatted.startswith("\n") and not formatted.endswith("\n\n")


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_what_becomes_of(case: Path):
    before, _, after = case.read_text(encoding="utf-8").partition(DIVIDER)
    assert trxc.format(before) == after
    check(before)


@pytest.mark.parametrize("path", HOUSE, ids=lambda path: path.stem)
def test_the_files_that_users_read_have_the_layout(path: Path):
    assert trxc.format(path.read_text(encoding="utf-8")) == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", PROJECT, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_program_of_the_project(path: Path):
    text = path.read_text(encoding="utf-8")
    if tree_of(text) is None:
        with pytest.raises(trxc.CompileError):
            trxc.format(text)
    else:
        check(text)


def test_the_page_about_the_layout_shows_it():
    page = (ROOT / "docs" / "format.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```trx\n(.*?)```", page, re.DOTALL)
    (statements,) = re.findall(r"```trx fragment\n(.*?)```", page, re.DOTALL)
    for text in (program, "layer A {\n" + textwrap.indent(statements, "  ") + "}\n"):
        assert trxc.format(text) == text


@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.03, 0.3, 0.7]))
@settings(max_examples=120, deadline=None)
def test_every_form_of_the_grammar_in_any_layout(seed: int, often: float):
    rng = random.Random(seed)
    check(shaken(Writer(rng).file(), rng, often))


@given(st.integers(0, 2**32), st.sampled_from([0.03, 0.3]))
@settings(max_examples=25, deadline=None)
def test_programs_that_mean_something_in_any_layout(seed: int, often: float):
    check(shaken(generate(seed).text, random.Random(seed), often))


@given(st.sampled_from(HOUSE), st.integers(0, 2**32), st.sampled_from([0.03, 0.3]))
@settings(max_examples=25, deadline=None)
def test_the_files_that_users_read_in_any_layout(path: Path, seed: int, often: float):
    check(shaken(path.read_text(encoding="utf-8"), random.Random(seed), often))


@given(st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_only_what_cannot_be_broken_is_wider(seed: int):
    text = trxc.format(Writer(random.Random(seed)).file())
    assert max(map(len, text.split("\n"))) <= WIDTH


@pytest.mark.parametrize(
    "text",
    [
        "const a = " + " + ".join(["term"] * 1_900) + "\n",
        "const a = x" + "".join(f" |> f{at}" for at in range(1_900)) + "\n",
        "const a = x" + ".y" * 1_900 + "\n",
        "const a = " + "-" * 1_900 + "x\n",
        "const a = " + "if x { y } else " * 600 + "{ z }\n",
        "const a = " + "(" * 100 + "x" + ")" * 100 + "\n",
        "const a = " + "f(" * 100 + "x" + ")" * 100 + "\n",
        "const a = [" + ", ".join(map(str, range(3_000))) + "]\n",
        "layer A {\n" + "  if x {\n" * 90 + "  y = z\n" + "  }\n" * 90 + "}\n",
        'const a = "' + "long " * 100 + '"\n',
    ],
    ids=["sum", "pipe", "attributes", "signs", "choices", "parentheses", "calls", "list", "blocks", "string"],
)
def test_deep_and_long(text: str):
    check(text)


def test_line_endings_marks_and_the_last_newline():
    plain = "const a = 1  # one\n             # goes on\n\n# end\n"
    assert trxc.format(plain) == plain
    assert trxc.format("\ufeff" + plain.replace("\n", "\r\n")) == plain
    assert trxc.format("const a=1") == "const a = 1\n"
    assert [trxc.format(text) for text in ("", "\n\n", "  \t\n")] == ["", "", ""]
    assert trxc.format("\n\n  # only\n") == "# only\n"


def test_a_broken_text_is_refused_with_what_is_wrong():
    with pytest.raises(trxc.CompileError) as caught:
        trxc.format("model M {\n  x = (1\n}\n", filename="m.trx")
    assert [(d.code, str(d.span)) for d in caught.value.diagnostics] == [("TRX0102", "m.trx:2:7")]


def test_a_layout_that_would_change_the_program_is_a_fault(monkeypatch: pytest.MonkeyPatch):
    from trxc.diagnostics.internal import InternalError
    from trxc.formatter import formatting

    for wrong in ("const a = 2  # c\n", "const a = 1\n", "const a = (\n"):
        monkeypatch.setattr(formatting, "render", lambda doc, wrong=wrong: wrong)
        with pytest.raises(InternalError, match="would change what the file says"):
            trxc.format("const a=1  # c\n")
