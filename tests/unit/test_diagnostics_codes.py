"""The table of codes and the pages: complete, and true.

``TRXC_UPDATE_PAGES=1 python -m pytest tests/unit/test_diagnostics_codes.py`` writes what the compiler says today
into the pages' ``text`` blocks; read the difference before you keep it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

import trxc
from trxc.diagnostics import Diagnostic
from trxc.diagnostics.codes import CODES
from trxc.diagnostics.explain import SECTIONS, Page, canonical, explain, pages
from trxc.diagnostics.terminal import render

COMPILER = Path(trxc.__file__).parent
FOLDER = Path(str(pages()))
WRITTEN = sorted(path.stem for path in FOLDER.glob("*.md"))


def read(code: str) -> Page:
    return Page((FOLDER / f"{code}.md").read_text(encoding="utf-8"))


def literals() -> dict[str, str]:
    """Every code that the compiler's source speaks of, with a file that does."""
    found: dict[str, str] = {}
    for path in sorted(COMPILER.rglob("*.py")):
        for code in re.findall(r"""["'](TRX\d{4})["']""", path.read_text(encoding="utf-8")):
            found.setdefault(code, str(path.relative_to(COMPILER)))
    return found


def test_every_code_in_the_source_is_in_the_table():
    assert {code: path for code, path in literals().items() if code not in CODES} == {}


def test_every_code_in_the_table_is_given_somewhere():
    used = {
        code
        for path in COMPILER.rglob("*.py")
        if path.parent.name != "diagnostics"
        for code in re.findall(r"TRX\d{4}", path.read_text(encoding="utf-8"))
    }
    assert sorted(CODES.keys() - used) == []


def test_codes_and_pages_are_one_to_one():
    assert sorted(CODES) == WRITTEN


def test_the_table_is_well_formed():
    assert list(CODES) == sorted(CODES)
    for code, entry in CODES.items():
        assert re.fullmatch(r"TRX0[1-79]\d\d", code)
        assert entry.title == entry.title.strip().rstrip(".")
        assert "\n" not in entry.title


@pytest.mark.parametrize("code", WRITTEN)
def test_a_page_has_its_sections(code: str):
    page = read(code)
    assert page.title == f"{code}: {CODES[code].title}"
    assert tuple(page.sections) == SECTIONS
    assert all(text.strip() for text in page.sections.values())
    console = page.block("Wrong", "console") is not None
    assert console or (page.block("Wrong", "trx") and page.block("Wrong", "text") and page.block("Mended", "trx"))


def said(text: str) -> list[Diagnostic]:
    """What a check says; of programs with a budget of memory or a `generate` record, what compiling says."""
    found = trxc.check(text, filename="example.trx")
    if found or not re.search(r"memory =|^generate ", text, re.M):
        return found
    try:
        return trxc.compile(text, filename="example.trx").warnings
    except trxc.CompileError as error:
        return error.diagnostics


@pytest.mark.parametrize("code", [code for code in WRITTEN if read(code).block("Wrong", "trx")])
def test_a_page_says_what_the_compiler_says(code: str):
    page = read(code)
    wrong, mended = page.block("Wrong", "trx"), page.block("Mended", "trx")
    assert wrong is not None
    assert mended is not None
    given = said(wrong)
    output = "\n\n".join(render(item, colour=False) for item in given)
    assert {item.code for item in given} == {code}, output
    if os.environ.get("TRXC_UPDATE_PAGES") == "1":
        page = page.with_output(output)
        (FOLDER / f"{code}.md").write_text(page.text, encoding="utf-8")
    assert page.block("Wrong", "text") == output + "\n"
    assert said(mended) == []


PAGE = Page("""\
# TRX0101: a title

## What it says
x

## Wrong
```trx
a
b
```
```text
old
```
## Mended
```trx
c
```
""")


def test_a_page_is_taken_apart():
    assert PAGE.title == "TRX0101: a title"
    assert list(PAGE.sections) == ["What it says", "Wrong", "Mended"]
    assert PAGE.block("Wrong", "trx") == "a\nb\n"
    assert PAGE.block("Mended", "text") is None


def test_the_output_of_a_page_is_replaced_alone():
    assert PAGE.with_output("new\nlines").text == PAGE.text.replace("old", "new\nlines")


def test_the_output_of_a_new_page_is_put_after_its_example():
    page = Page("# T\n\n## Wrong\n\n```trx\na\n```\n\n## Mended\n\n```trx\nb\n```\n").with_output("out")
    assert page.text == "# T\n\n## Wrong\n\n```trx\na\n```\n\n```text\nout\n```\n\n## Mended\n\n```trx\nb\n```\n"


@pytest.mark.parametrize("code", ["TRX9999", "../../secret", "TRX0101/../x", "", "TRX"])
def test_an_unknown_code_is_a_lookup_error(code: str):
    with pytest.raises(LookupError):
        explain(code)


def test_codes_are_found_as_people_type_them():
    code = next(iter(CODES))
    number = str(int(code.removeprefix("TRX")))
    assert {canonical(text) for text in (code, code.lower(), number, f" {code}\n")} == {code}
    assert explain(number).startswith(f"# {code}: ")
