"""`trxc fmt` as a shell runs it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from tests.end_to_end.test_cli import WITHOUT_JAX, start

UGLY = "model M{\n  input x:float[batch,4]\n output y:float[batch,4]=x+1.0 # naïve\n}"
NEAT = "model M {\n  input x: float[batch, 4]\n  output y: float[batch, 4] = x + 1.0  # naïve\n}\n"


@pytest.mark.core
def test_a_file_and_a_pipe(tmp_path: Path):
    (tmp_path / "m.trx").write_text(UGLY, encoding="utf-8")
    piped = start("fmt", "-", cwd=tmp_path, stdin=UGLY, python=("-c", WITHOUT_JAX))
    assert (piped.returncode, piped.stdout, piped.stderr.strip()) == (0, NEAT, "")
    assert start("fmt", "--check", ".", cwd=tmp_path).returncode == 1
    ran = start("fmt", ".", cwd=tmp_path)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "formatted m.trx\n1 file changed, 0 left as they were\n")
    assert (tmp_path / "m.trx").read_text(encoding="utf-8") == NEAT
    assert start("fmt", "--check", "--diff", "m.trx", cwd=tmp_path).returncode == 0


@pytest.mark.skipif(shutil.which("patch") is None, reason="there is no patch")
def test_patch_takes_the_diff(tmp_path: Path):
    (tmp_path / "m.trx").write_text(UGLY, encoding="utf-8")
    diff = start("fmt", "--diff", "m.trx", cwd=tmp_path)
    assert diff.returncode == 1
    subprocess.run(["patch", "m.trx"], cwd=tmp_path, input=diff.stdout, text=True, check=True, capture_output=True)
    assert (tmp_path / "m.trx").read_text(encoding="utf-8") == NEAT


def test_files_of_a_new_project_have_the_layout(tmp_path: Path):
    for template in ("blank", "classifier", "lm"):
        assert start("new", template, "--template", template, cwd=tmp_path).returncode == 0
    ran = start("fmt", "--check", ".", cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (0, "")
