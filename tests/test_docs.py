"""The documentation: its programs check, its Python parses, its links lead somewhere, its tables are up to date."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import trxc
from trxc.diagnostics import Diagnostics
from trxc.source import Source
from trxc.syntax import parse

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^( *)```(\w+)( fragment)?\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]*)(#[^)\s]*)?\)")


def blocks(language: str, *, fragment: bool) -> list[object]:
    """The blocks of a language, as test cases that are called by page and line."""
    return [
        pytest.param(
            textwrap.dedent(found[4]), id=f"{page.stem}:{page.read_text()[: found.start()].count(chr(10)) + 1}"
        )
        for page in PAGES
        for found in BLOCK.finditer(page.read_text(encoding="utf-8"))
        if found[2] == language and bool(found[3]) == fragment
    ]


def anchor(heading: str) -> str:
    """What a heading is linked by on GitHub."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def headings(page: Path) -> set[str]:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return {anchor(found) for found in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


@pytest.mark.parametrize("text", blocks("trx", fragment=False))
def test_a_whole_program_has_nothing_to_complain_of(text: str):
    assert [str(d) for d in trxc.check(text, filename="example.trx")] == []


@pytest.mark.parametrize("text", blocks("trx", fragment=True))
def test_a_fragment_is_well_formed(text: str):
    """As a file, as the body of a layer, or as fields of a record."""
    wrapped = [text, f"layer Around {{\n{text}\n}}", f"train around {{\n{text}\n}}"]
    complaints: list[list[str]] = []
    for attempt in wrapped:
        diagnostics = Diagnostics()
        parse(Source("fragment.trx", attempt), diagnostics)
        complaints.append([str(d) for d in diagnostics])
    assert [] in complaints, complaints


@pytest.mark.parametrize("text", blocks("python", fragment=False))
def test_python_is_python(text: str):
    ast.parse(text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path):
    for target, heading in LINK.findall(page.read_text(encoding="utf-8")):
        if target.startswith("http"):
            continue
        found = page.parent / target if target else page
        assert found.exists(), target
        assert not heading or heading[1:] in headings(found), heading


def test_generated_parts_are_up_to_date():
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_stale_part_is_noticed():
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        from generate import generated
    finally:
        sys.path.pop(0)
    stale = "before\n<!-- generated: limits -->\nold\n<!-- end -->\nafter\n"
    fresh = generated(stale)
    assert fresh != stale and fresh == generated(fresh)
    assert fresh.startswith("before\n") and fresh.endswith("after\n")
