"""`trxc fmt`: what it writes, what it says, and what it leaves alone."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from trxc.cli.shell import rewrite
from trxc.cli.shell.application import application

UGLY = "model M{\n  input x:float[ batch,4]\n output y=x+1.0 # c\n}"
NEAT = "model M {\n  input x: float[batch, 4]\n  output y = x + 1.0  # c\n}\n"
BROKEN = "model M {\n"


def fmt(*arguments: str, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(application, ["fmt", *arguments], input=stdin, prog_name="trxc")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("ugly.trx").write_text(UGLY)
    Path("neat.trx").write_text(NEAT)
    return tmp_path


def test_files_are_written_and_named():
    result = fmt("ugly.trx", "neat.trx")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "formatted ugly.trx\n1 file changed, 1 left as it was\n"
    assert Path("ugly.trx").read_text() == NEAT
    assert fmt("ugly.trx", "neat.trx").stderr == "0 files changed, 2 left as they were\n"


def test_check_lists_and_changes_nothing():
    result = fmt("--check", "ugly.trx", "neat.trx")
    assert (result.exit_code, result.stdout) == (1, "ugly.trx\n")
    assert result.stderr == "1 file would change, 1 would not\n"
    assert Path("ugly.trx").read_text() == UGLY
    assert fmt("--check", "neat.trx").exit_code == 0


def test_diff_is_one_that_patch_takes():
    result = fmt("--diff", "ugly.trx", "neat.trx")
    assert result.exit_code == 1
    assert result.stdout.startswith("--- ugly.trx\n+++ ugly.trx (formatted)\n@@ -1,4 +1,4 @@\n-model M{\n")
    assert "-}\n\\ No newline at end of file\n+model M {\n" in result.stdout
    assert Path("ugly.trx").read_text() == UGLY
    assert (fmt("--diff", "neat.trx").exit_code, fmt("--diff", "neat.trx").stdout) == (0, "")


def test_stdin_goes_to_stdout():
    assert (fmt("-", stdin=UGLY).stdout, fmt("-", stdin=UGLY).stderr) == (NEAT, "")
    assert (fmt("-", "--check", stdin=UGLY).exit_code, fmt("-", "--check", stdin=UGLY).stdout) == (1, "<stdin>\n")
    assert fmt("-", "--check", stdin=NEAT).exit_code == 0
    broken = fmt("-", stdin=BROKEN)
    assert (broken.exit_code, broken.stdout) == (1, "")
    assert "error[TRX0102]" in broken.stderr
    assert fmt("-", "-", stdin=UGLY).exit_code == 2


def test_folders_are_searched():
    for name in ("a/b/deep.trx", "a/.hidden/no.trx", "a/.no.trx", "a/other.txt"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(UGLY)
    assert fmt("--check", "a", "a/b/deep.trx", ".").stdout == f"{Path('a/b/deep.trx')}\nugly.trx\n"
    Path("empty").mkdir()
    assert (fmt("empty").exit_code, fmt("empty").stderr) == (2, "error: there is no .trx file in `empty`\n")


def test_a_broken_file_is_left_alone_and_the_others_are_not():
    Path("broken.trx").write_text(BROKEN)
    result = fmt("broken.trx", "none.trx", "ugly.trx")
    assert result.exit_code == 2
    assert "error[TRX0102]" in result.stderr and "there is no such file" in result.stderr
    assert result.stderr.endswith("formatted ugly.trx\n1 file changed, 0 left as they were\n")
    assert Path("broken.trx").read_text() == BROKEN
    assert fmt("--check", "broken.trx").exit_code == 1


def test_line_endings_and_marks_are_normalised():
    Path("dos.trx").write_bytes(b"\xef\xbb\xbf" + NEAT.replace("\n", "\r\n").encode())
    assert fmt("--check", "dos.trx").exit_code == 1
    assert fmt("dos.trx").exit_code == 0
    assert Path("dos.trx").read_bytes() == NEAT.encode()


def test_permissions_and_links_stay():
    Path("ugly.trx").chmod(0o640)
    Path("link.trx").symlink_to("ugly.trx")
    assert fmt("link.trx").exit_code == 0
    assert Path("link.trx").is_symlink() and Path("ugly.trx").read_text() == NEAT
    assert stat.S_IMODE(Path("ugly.trx").stat().st_mode) == 0o640


def test_a_file_that_cannot_be_written_stays_whole(monkeypatch: pytest.MonkeyPatch):
    """Wherever it stops: nothing of the file is lost, and nothing is left beside it."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for name in ("fsync", "access"):
        with monkeypatch.context() as patched:
            patched.setattr(rewrite.os, name, full)
            result = fmt("ugly.trx")
        assert (result.exit_code, Path("ugly.trx").read_text()) == (1, UGLY)
        assert result.stderr.startswith("error: cannot write `ugly.trx`: no space left on device\n")
        assert sorted(path.name for path in Path().iterdir()) == ["neat.trx", "ugly.trx"]


def test_a_read_only_file_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rewrite.os, "access", lambda *_: False)
    assert fmt("ugly.trx").stderr.startswith("error: cannot write `ugly.trx`: it is read-only\n")


@pytest.mark.skipif(not Path("/dev/stdin").exists(), reason="there are no such files there")
def test_what_is_no_regular_file_is_not_replaced(monkeypatch: pytest.MonkeyPatch):
    from trxc.cli import fmt as module

    monkeypatch.setattr(module, "read_bytes", lambda _: UGLY.encode())
    result = fmt("/dev/null")
    assert (result.exit_code, result.stderr.split("\n")[0]) == (
        2,
        "error: cannot write `/dev/null`: it is no regular file",
    )
