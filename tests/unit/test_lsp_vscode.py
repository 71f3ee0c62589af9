"""The extension for Visual Studio Code: what its manifest promises is there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import trxc
from trxc.lsp.colours import TYPES

FOLDER = Path(__file__).resolve().parents[2] / "editors" / "vscode"
MANIFEST = json.loads((FOLDER / "package.json").read_text(encoding="utf-8"))
SCRIPT = (FOLDER / "extension.js").read_text(encoding="utf-8")


def test_files_that_are_named_are_there() -> None:
    contributes = MANIFEST["contributes"]
    paths = [MANIFEST["main"], contributes["grammars"][0]["path"], contributes["languages"][0]["configuration"]]
    assert [path for path in paths if not (FOLDER / path).is_file()] == []


def test_its_version_is_the_compilers() -> None:
    assert MANIFEST["version"] == trxc.__version__
    lock = json.loads((FOLDER / "package-lock.json").read_text(encoding="utf-8"))
    assert lock["version"] == MANIFEST["version"]
    wanted = {**MANIFEST["dependencies"], **MANIFEST["devDependencies"]}
    root = lock["packages"][""]
    assert {**root["dependencies"], **root["devDependencies"]} == wanted


def test_settings_and_commands_are_declared() -> None:
    settings = MANIFEST["contributes"]["configuration"]["properties"]
    used = set(re.findall(r'affectsConfiguration\("([\w.]+)"\)', SCRIPT))
    used |= {f"trx.{name}" for name in re.findall(r'getConfiguration\("trx"\)\.get\("([\w.]+)"\)', SCRIPT)}
    assert used
    assert used <= settings.keys()
    commands = {command["command"] for command in MANIFEST["contributes"]["commands"]}
    assert commands == set(re.findall(r'registerCommand\("([\w.]+)"', SCRIPT))
    assert settings["trx.server.command"]["default"] == ["trxc", "lsp"]


def test_colours_by_meaning_are_those_that_the_server_has() -> None:
    scopes = MANIFEST["contributes"]["semanticTokenScopes"][0]["scopes"]
    assert scopes.keys() <= set(TYPES)


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")
def test_the_script_is_javascript() -> None:
    subprocess.run(["node", "--check", str(FOLDER / "extension.js")], check=True, capture_output=True)
