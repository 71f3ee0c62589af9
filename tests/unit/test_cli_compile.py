"""`trxc compile` and `trxc explain`, and what `--emit ast` prints."""

from __future__ import annotations

import ast as python_ast
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from trxc.cli.shell.application import application
from trxc.cli.shell.tree import show
from trxc.diagnostics import Diagnostics
from trxc.diagnostics.codes import CODES
from trxc.source import Source
from trxc.syntax import parse

PROGRAM = """model M(n: int = 4) {
  input x: float[batch, n]
  output y: float[batch, 3] = x |> Dense(3)
}
"""
TWO = PROGRAM + PROGRAM.replace("model M", "model N")


def trxc_(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(application, list(arguments), input=stdin, prog_name="trxc")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("m.trx").write_text(PROGRAM)
    Path("two.trx").write_text(TWO)
    return tmp_path


def test_the_artifact(here: Path):
    result = trxc_("compile", "m.trx", "-o", "build", "--verify-each")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"wrote {Path('build/program.py')} and {Path('build/manifest.json')}: M, 15 parameters\n"
    assert json.loads((here / "build" / "manifest.json").read_text())["name"] == "M"


def test_nothing_is_overwritten_without_force(here: Path):
    (here / "build").mkdir()
    (here / "build" / "program.py").write_text("mine")
    refused = trxc_("compile", "m.trx", "-o", "build")
    assert (refused.exit_code, refused.stderr) == (
        2,
        f"error: `{Path('build/program.py')}` is already there\n  = help: `--force` overwrites it\n",
    )
    assert (here / "build" / "program.py").read_text() == "mine"
    assert trxc_("compile", "m.trx", "-o", "build", "--force").exit_code == 0
    assert (here / "build" / "program.py").read_text() != "mine"


def test_a_file_cannot_be_the_artifacts_folder():
    assert trxc_("compile", "m.trx", "-o", "two.trx", "--force").exit_code == 2


def test_the_name_chooses():
    assert "def apply" in trxc_("compile", "two.trx", "N", "--emit", "python").stdout
    refused = trxc_("compile", "two.trx", "--emit", "python")
    assert refused.exit_code == 2
    assert "two.trx has several models, name one: `M`, `N`" in refused.stderr


def test_settings_reach_the_program_and_its_manifest(here: Path):
    result = trxc_("compile", "m.trx", "-o", "build", "--set", "M.n=7")
    assert "M, 24 parameters" in result.stderr
    assert json.loads((here / "build" / "manifest.json").read_text())["settings"] == {"M.n": "7"}


def test_stages_on_stdout():
    assert trxc_("compile", "m.trx", "--emit", "ast").stdout.startswith("File 1:1\n")
    assert "f32[batch, n=4]" in trxc_("compile", "m.trx", "--emit", "ir").stdout
    program = trxc_("compile", "-", "--emit", "python", stdin=PROGRAM).stdout
    python_ast.parse(program)


def test_a_stage_in_a_file(here: Path):
    assert trxc_("compile", "m.trx", "--emit", "ir", "-o", "m.ir").exit_code == 0
    assert (here / "m.ir").read_text() == trxc_("compile", "m.trx", "--emit", "ir").stdout
    assert trxc_("compile", "m.trx", "--emit", "ir", "-o", "m.ir").exit_code == 2


def test_the_ir_after_a_pass_is_shown_beside_the_result():
    result = trxc_("compile", "m.trx", "--emit", "python", "--print-after", "precision")
    assert "# after precision\n" in result.stderr
    assert "# before precision\n" not in result.stderr
    assert "f32[batch" in result.stderr
    python_ast.parse(result.stdout)


def test_the_ir_before_a_pass_is_shown():
    result = trxc_("compile", "m.trx", "--emit", "python", "--print-before", "precision")
    shown = result.stderr.partition("# before precision\n")[2]
    assert "float[batch" in shown
    assert "f32[batch" not in shown


def test_remarks_are_shown_where_they_are_asked_for():
    assert trxc_("compile", "m.trx", "--emit", "ir").stderr == ""
    assert trxc_("compile", "m.trx", "--emit", "ir", "--remarks").stderr == ""


@pytest.mark.parametrize("emit", [["-o", "build"], ["--emit", "ast"], ["--emit", "ir"]])
def test_a_wrong_program_is_not_compiled(here: Path, emit: list[str]):
    Path("bad.trx").write_text("model M {\n  input x: float[batch\n}\n")
    result = trxc_("compile", "bad.trx", *emit)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "error[TRX01" in result.stderr
    assert not (here / "build").exists()


def tree(text: str) -> str:
    found = Diagnostics()
    shown = show(parse(Source("x.trx", text), found))
    assert not found.failed
    return shown


def test_the_tree_has_a_node_a_line():
    lines = tree("const a = 1 + b\n").split("\n")
    assert [line.split()[0].removesuffix(":") for line in lines] == [
        "File", "items", "Const", "name", "value", "left", "right",
    ]  # fmt: skip
    assert lines[-1].strip() == 'right: Name 1:15 name="b"'


def test_a_deep_tree_is_shown():
    assert tree("const a = " + " + ".join(["1"] * 1_900) + "\n").count("Binary") == 1_899


def test_all_codes_are_listed():
    lines = trxc_("explain").stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(CODES)


@pytest.mark.parametrize("code", ["TRX0703", "trx703", "703"])
def test_a_page(code: str):
    result = trxc_("explain", code)
    assert result.exit_code == 0
    assert result.stdout.startswith("# TRX0703: a file cannot be read\n")
    assert "\x1b" not in result.stdout


def test_every_page_can_be_explained():
    for code in CODES:
        assert re.match(f"# {code}: ", trxc_("explain", code).stdout)
