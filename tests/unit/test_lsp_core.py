"""The core of the language server stands alone, and the command says what it needs."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import trxc.lsp
from trxc.cli import lsp as lsp_command
from trxc.cli.shell.application import application

PROTOCOL = {"server", "wire"}
CORE = sorted(found.name for found in pkgutil.iter_modules(trxc.lsp.__path__) if found.name not in PROTOCOL)


def test_the_core_loads_no_protocol() -> None:
    imports = "; ".join(f"import trxc.lsp.{name}" for name in CORE)
    found = "[m for m in sys.modules if m.partition('.')[0] in ('pygls', 'lsprotocol', 'attrs', 'jax')]"
    script = f"import sys; {imports}; print({found})"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_without_pygls_the_command_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lsp_command, "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as left:
        application.main(["lsp"], prog_name="trxc")
    assert left.value.code == 2
    assert 'pip install "trxc[lsp]"' in capsys.readouterr().err
