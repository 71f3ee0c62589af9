"""The command line as it is used wrongly, and what every command has in common."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

import trxc
import trxc.cli
from trxc.cli.shell import faults, output
from trxc.cli.shell.application import application
from trxc.cli.shell.declare import SECTIONS
from trxc.diagnostics.internal import InternalError
from trxc.source import Source, Span

COMMANDS = application.list_commands(click.Context(application))
GOOD = "model M {\n  input x: float[batch, 4]\n  output y: float[batch, 4] = x + 1.0\n}\n"
BAD = "model M {\n  input x: float[batch, 4]\n  output y: float[batch, 4] = z\n}\n"


def trxc_(*arguments: str | Path, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(application, list(map(str, arguments)), input=stdin, prog_name="trxc")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("good.trx").write_text(GOOD)
    Path("bad.trx").write_text(BAD)
    return tmp_path


def test_the_commands_are_the_files_of_the_folder():
    files = {path.stem for path in Path(trxc.cli.__file__).parent.glob("*.py")} - {"__init__"}
    assert set(COMMANDS) == files
    assert {"new", "check", "compile", "train", "eval", "run", "generate", "explain", "doctor"} <= files


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str, flag: str):
    result = trxc_(command, flag)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(f"Usage: trxc {command}")
    assert f"\nExample:\n  trxc {command}" in result.stdout


def test_the_overview_has_every_command_once():
    result = trxc_("--help")
    assert result.exit_code == 0
    first = [line.split()[0] for line in result.stdout.splitlines() if line.startswith("  ") and line.strip()]
    assert [first.count(command) for command in COMMANDS] == [1] * len(COMMANDS)
    assert all(f"\n{section}:\n" in result.stdout for section in SECTIONS)
    assert "\nExample:\n  trxc new" in result.stdout


def test_the_version():
    assert trxc_("--version").stdout == f"trxc {trxc.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["chekc"], "trxc: there is no command `chekc`; did you mean `check`? See `trxc --help`"),
        (["zzz"], "trxc: there is no command `zzz`. See `trxc --help`"),
        (["--versoin"], "trxc: there is no option `--versoin`; did you mean `--version`? See `trxc --help`"),
        (["check"], "trxc check: missing argument `FILE...`. See `trxc check --help`"),
        (
            ["check", "good.trx", "--formt", "json"],
            "trxc check: there is no option `--formt`; did you mean `--format`? See `trxc check --help`",
        ),
        (
            ["check", "good.trx", "--format", "jsn"],
            "trxc check: invalid value for `--format`: `jsn` is not one of `text`, `json`, `sarif`. "
            "See `trxc check --help`",
        ),
        (
            ["check", "good.trx", "--set", "M.x"],
            "trxc check: invalid value for `--set`: `M.x` is not PATH=VALUE, such as GPT.embed=512. "
            "See `trxc check --help`",
        ),
        (["check", "-", "-"], "trxc check: stdin can be checked only once. See `trxc check --help`"),
        (
            ["compile", "good.trx"],
            "trxc compile: say where the artifact goes with `-o DIR`, or which stage to print with `--emit`. "
            "See `trxc compile --help`",
        ),
        (
            ["compile", "good.trx", "m", "-o", "build"],
            "trxc compile: there is no `m` in good.trx; did you mean `M`? See `trxc compile --help`",
        ),
        (
            ["compile", "good.trx", "-o", "build", "--disable-pass", "simplfy"],
            "trxc compile: there is no pass `simplfy`; did you mean `simplify`? See `trxc compile --help`",
        ),
        (["train", "good.trx"], "trxc train: good.trx has no `train` recipe. See `trxc train --help`"),
        (
            ["train", "good.trx", "M"],
            "trxc train: `M` is a model, not a `train` recipe, in good.trx. See `trxc train --help`",
        ),
        (["explain", "TRX0204x"], "trxc explain: no diagnostic has the code `TRX0204x`; did you mean TRX0204? "
         "See `trxc explain --help`"),
        (["eval", "runs/x"], "trxc eval: the run `runs/x` does not exist. See `trxc eval --help`"),
        (["eval", "."], "trxc eval: `.` is not a run: it holds no manifest.json. See `trxc eval --help`"),
        (["run", "good.trx"], "trxc run: the run `good.trx` is a file, not a run's folder. See `trxc run --help`"),
        (
            ["generate", "runs/x", "--prompt", "a", "--prompts", "b.txt"],
            "trxc generate: give one of `--prompt`, `--prompt-file` and `--prompts`, or none. "
            "See `trxc generate --help`",
        ),
        (
            ["generate", "runs/x", "--regex", "a", "--json-schema", "a.json"],
            "trxc generate: `--regex` and `--json-schema` are two forms; give one. See `trxc generate --help`",
        ),
        (
            ["eval", "runs/x", "--limit", "3"],
            "trxc eval: `--limit` goes with `--metric`; `--steps` bounds the batches. See `trxc eval --help`",
        ),
        (
            ["eval", "runs/x", "--checkpoint", "newest"],
            "trxc eval: invalid value for `--checkpoint`: `newest` is neither `best`, `latest` nor a step. "
            "See `trxc eval --help`",
        ),
    ],
)  # fmt: skip
def test_wrong_usage_is_told_in_one_line(arguments: list[str], said: str):
    result = trxc_(*arguments)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", said + "\n")


def test_a_misspelt_run_is_found_in_runs(here: Path):
    (here / "runs" / "quick").mkdir(parents=True)
    (here / "runs" / "quick" / "manifest.json").write_text("{}")
    assert f"did you mean `{Path('runs/quick')}`?" in trxc_("eval", "quik").stderr


def test_what_the_user_types_cannot_drive_the_terminal():
    assert "\x1b" not in trxc_("check\x1b[2J").stderr
    assert "\x1b" not in trxc_("check", "no\x1b[2J.trx").stderr


# ------------------------------------------------------------------------------------------------------ check


def test_a_right_program_says_nothing():
    result = trxc_("check", "good.trx")
    assert (result.exit_code, result.output) == (0, "")


def test_a_wrong_program_is_told_on_stderr():
    result = trxc_("check", "good.trx", "bad.trx")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "error[TRX0301]" in result.stderr
    assert "┌─ bad.trx:3:31" in result.stderr


def test_a_program_on_stdin():
    result = trxc_("check", "-", stdin=BAD)
    assert result.exit_code == 1
    assert "<stdin>:3:31" in result.stderr


def test_json_is_on_stdout():
    result = trxc_("check", "bad.trx", "--format", "json")
    told = json.loads(result.stdout)
    assert (result.exit_code, result.stderr) == (1, "")
    assert told["version"] == trxc.__version__
    assert [(item["code"], item["file"], item["line"], item["column"]) for item in told["diagnostics"]] == [
        ("TRX0301", "bad.trx", 3, 31)
    ]


def test_sarif_is_on_stdout():
    result = trxc_("check", "bad.trx", "--format", "sarif")
    assert json.loads(result.stdout)["runs"][0]["results"][0]["ruleId"] == "TRX0301"


def test_settings_are_checked_as_the_file_is():
    Path("sized.trx").write_text(
        "model M(n: int = 4) {\n  input x: float[batch, n]\n  require n < 9\n  output y: float[batch, n] = x\n}\n"
    )
    assert trxc_("check", "sized.trx", "--set", "M.n=8").exit_code == 0
    assert trxc_("check", "sized.trx", "--set", "M.n=9").exit_code == 1


# ------------------------------------------------------------------------------------------------------ files


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("god.trx", "cannot read `god.trx`: there is no such file\n  = help: did you mean `good.trx`?"),
        (".", "cannot read `.`: it is a folder\n  = help: did you mean `bad.trx`?"),
        ("good.trx/x", "cannot read `good.trx/x`: not a directory"),
        ("a\0b", "cannot read `a␀b`: no file can have this name"),
    ],
)
def test_a_file_that_cannot_be_read(name: str, said: str):
    result = trxc_("check", name)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error[TRX0703]: {said}\n")


@pytest.mark.parametrize("command", [("compile", "-o", "build"), ("train",)])
def test_every_command_tells_of_a_missing_file_so(command: tuple[str, ...]):
    result = trxc_(command[0], "none.trx", *command[1:])
    assert (result.exit_code, result.stderr.split("\n")[0]) == (
        2,
        "error[TRX0703]: cannot read `none.trx`: there is no such file",
    )


def test_a_file_that_is_not_text():
    Path("latin.trx").write_bytes("# caf\xe9\n".encode("latin-1"))
    result = trxc_("check", "latin.trx", "good.trx", "--format", "json")
    (found,) = json.loads(result.stdout)["diagnostics"]
    assert (result.exit_code, found["code"]) == (1, "TRX0704")
    assert found["message"] == "`latin.trx` is not UTF-8 text: byte 6 is 0xe9"


def test_an_endless_file_is_refused():
    result = trxc_("check", "-", stdin=b"# " + b"x" * 9_000_000)
    assert result.exit_code == 1
    assert "error[TRX0113]" in result.stderr


# ------------------------------------------------------------------------------------------------------ faults


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> Result:
    def check(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(trxc, "check", check)
    return trxc_("check", "good.trx")


def test_a_fault_of_ours_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(faults.tempfile, "tempdir", str(tmp_path))
    source = Source("good.trx", GOOD)
    result = failing(monkeypatch, InternalError("elaborate", "no shape", Span(source, 12, 13)))
    assert result.exit_code == 70
    assert result.stderr.startswith("internal error in phase `elaborate`, near good.trx:2:3: no shape\n")
    assert "fault of trxc" in result.stderr
    assert "report it" in result.stderr
    assert "Traceback" not in result.stderr
    (kept,) = tmp_path.glob("trxc-fault-*.txt")
    assert str(kept) in result.stderr
    assert f"trxc {trxc.__version__}, Python" in kept.read_text()
    assert "raise error" in kept.read_text()


def test_any_exception_is_a_fault_with_its_phase(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(faults.tempfile, "tempdir", str(tmp_path))
    result = failing(monkeypatch, ZeroDivisionError("division\nby zero"))
    assert result.exit_code == 70
    assert result.stderr.startswith("internal error in phase `cli`: ZeroDivisionError: division\n")


def test_a_fault_is_told_though_its_traceback_cannot_be_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(faults.tempfile, "tempdir", str(tmp_path / "gone"))
    result = failing(monkeypatch, ZeroDivisionError())
    assert result.exit_code == 70
    assert "could not be written" in result.stderr


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt(), 130), (MemoryError(), 3)])
def test_other_ends(monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int):
    result = failing(monkeypatch, error)
    assert result.exit_code == status
    assert "Traceback" not in result.output


class Screen:
    """A stream that is a terminal, or whose reader is gone."""

    def __init__(self, *, broken: bool = False) -> None:
        self.broken, self.text = broken, ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self.broken:
            raise BrokenPipeError
        self.text += text
        return len(text)

    def flush(self) -> None:
        pass

    def fileno(self) -> int:
        raise OSError


def test_a_reader_that_went_away_is_no_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(output.sys, "stdout", Screen(broken=True))
    assert output.write("anything") is False


@pytest.mark.parametrize(
    ("variables", "colour"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], colour: bool):
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    screen = Screen()
    monkeypatch.setattr(output.sys, "stderr", screen)
    output.say_diagnostics(trxc.check(BAD, filename="bad.trx"))
    assert ("\x1b[1;31merror" in screen.text) == colour
    assert "TRX0301" in screen.text
