"""Wrong programs as people write them: one error for one mistake, in the program, in words that help.

Each file of `cases/errors` holds programs, one after another under `# === name`, and beside it what the compiler
says of them. `TRXC_UPDATE_CASES=1 python -m pytest tests/unit/test_elaborate_errors.py` writes that anew; read the
difference before you keep it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

import trxc
from trxc.diagnostics import Diagnostic
from trxc.diagnostics.terminal import render

FOLDER = Path(__file__).parents[1] / "cases" / "errors"
FILES = sorted(FOLDER.glob("*.trx"))
SEVERAL = {"two mistakes": 2}


def programs(file: Path) -> dict[str, str]:
    _, *parts = re.split(r"^# === (.+)\n\n", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


ALL = [(file.stem, name, text) for file in FILES for name, text in programs(file).items()]


def said(text: str) -> list[Diagnostic]:
    return trxc.check(text, filename="example.trx")


@pytest.mark.parametrize(("name", "text"), [entry[1:] for entry in ALL], ids=[f"{f}-{n}" for f, n, _ in ALL])
def test_one_mistake_is_one_error_in_the_program(name: str, text: str):
    found = said(text)
    assert len(found) == SEVERAL.get(name, 1), [str(item) for item in found]
    for item in found:
        assert item.span is not None
        assert item.span.source.name == "example.trx"
        assert item.span.start < item.span.end
        assert item.message[0].islower() or item.message[0] in "`@0123456789"
        assert not item.message.endswith(".")


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_errors_read_as_expected(file: Path):
    parts = [f"# === {name}\n\n" + "\n\n".join(render(item, colour=False) for item in said(text))
             for name, text in programs(file).items()]  # fmt: skip
    output = "\n\n".join(parts) + "\n"
    expected = file.with_suffix(".expected")
    if os.environ.get("TRXC_UPDATE_CASES") == "1":
        expected.write_text(output, encoding="utf-8")
    assert output == expected.read_text(encoding="utf-8")
