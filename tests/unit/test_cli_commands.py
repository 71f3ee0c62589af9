"""The commands that reach the runtime, with a stand-in for it; `new` and `doctor`."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

import trxc
from trxc.cli import doctor, new
from trxc.cli.shell import allocator, machine, requirements
from trxc.cli.shell import runtime as way
from trxc.cli.shell.application import application
from trxc.cli.shell.machine import Finding
from trxc.cli.shell.requirements import Requirement

RECIPE = """model M {
  input x: float[batch, 2]
  output y: float[batch, 2] = x |> Dense(2)
}
data d {
  source = csv("d.csv")
  transform = stack(["a", "b"], into = x)
}
train NAME for M {
  data = d
  loss = mean((y - x) ^ 2)
  optimizer = sgd(0.1)
  batch = 4
  steps = 5
}
"""


class StandInError(Exception):
    def __init__(self, message: str, status: int, hints: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message, self.status, self.hints = message, status, hints


@dataclasses.dataclass
class Outcome:
    run: Path
    status: str = "finished"
    exit_status: int = 0
    step: int = 5
    steps: int = 5
    metrics: dict[str, float] = dataclasses.field(default_factory=lambda: {"loss": float("nan"), "accuracy": 0.5})
    best: None = None


class Runtime:
    """Remembers what it was asked for; `fails` is raised by everything."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, dict[str, Any]]] = []
        self.fails: Exception | None = None
        self.exit_status = 0

    def train(self, artifact: Path, **options: Any) -> Outcome:
        self.calls.append((json.loads((artifact / "manifest.json").read_text()), options))
        if self.fails:
            raise self.fails
        return Outcome(options["run"], exit_status=self.exit_status)

    def evaluate(self, *given: Any, **options: Any) -> dict[str, float]:
        self.calls.append((given, options))
        if self.fails:
            raise self.fails
        return {"loss": 1.25, "perplexity": float("inf")}

    def load(self, *given: Any, **options: Any) -> Any:
        self.calls.append((given, options))
        if self.fails:
            raise self.fails
        return SimpleNamespace(stream=self.stream, manifest={"inputs": [{"name": "tokens"}, {"name": "source"}]})

    def stream(self, prompt: str, *, on_token: Any, **options: Any) -> Iterator[str]:
        self.calls.append((prompt, options))
        for piece in ("on", "ce\x1b[2J"):
            on_token(1)
            yield piece


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Runtime:
    stand_in = Runtime()
    errors = ModuleType("errors")
    errors.__dict__.update(RunError=StandInError, is_out_of_memory=lambda error: "RESOURCE" in str(error))
    found = {"trxc_runtime": stand_in, "trxc_runtime.errors": errors}
    monkeypatch.setattr(way, "import_module", lambda name: found[name])
    return stand_in


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "one.trx").write_text(RECIPE.replace("NAME", "quick"))
    (folder / "two.trx").write_text(RECIPE.replace("NAME", "quick") + "train slow for M" + RECIPE.split("for M")[1])
    (tmp_path / "runs" / "quick").mkdir(parents=True)
    (tmp_path / "runs" / "quick" / "manifest.json").write_text("{}")
    return tmp_path


def trxc_(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(application, list(arguments), input=stdin, prog_name="trxc")


def test_training_hands_everything_on(runtime: Runtime):
    result = trxc_("train", "project/one.trx", "--steps", "3", "--no-resume", "--quiet", "--set", "quick.batch=8")
    assert (result.exit_code, result.output) == (0, "")
    ((manifest, options),) = runtime.calls
    assert manifest["recipe"]["train"]["batch"] == 8
    assert options == {
        "run": "runs/quick",
        "root": Path("project"),
        "resume": False,
        "steps": 3,
        "quiet": True,
        "force": False,
        "allow_extern": False,
        "xla_options": False,
    }


def test_training_by_name(runtime: Runtime):
    refused = trxc_("train", "project/two.trx")
    assert refused.exit_code == 2
    assert "has several `train` recipes, name one: `quick`, `slow`" in refused.stderr
    assert trxc_("train", "project/two.trx", "slow", "--run", "here").exit_code == 0
    assert [(manifest["name"], options["run"]) for manifest, options in runtime.calls] == [("slow", "here")]


def test_training_as_json(runtime: Runtime):
    told = json.loads(trxc_("train", "project/one.trx", "--format", "json").stdout)
    assert (told["run"], told["status"], told["metrics"]) == ("runs/quick", "finished", {"loss": None, "accuracy": 0.5})


def test_an_interrupted_run_has_its_status(runtime: Runtime):
    runtime.exit_status = 130
    assert trxc_("train", "project/one.trx").exit_code == 130


@pytest.mark.parametrize("status", [1, 3])
def test_a_failed_run(runtime: Runtime, status: int):
    runtime.fails = StandInError("the loss is nan at step 7\n  at x.trx:3", status, ("try a smaller learning rate",))
    result = trxc_("train", "project/one.trx")
    assert (result.exit_code, result.stderr) == (
        status,
        "error: the loss is nan at step 7\n  at x.trx:3\n  = help: try a smaller learning rate\n",
    )


def test_a_fault_of_the_runtime_is_to_be_reported(runtime: Runtime):
    runtime.fails = StandInError("training failed inside the program", 70)
    result = trxc_("train", "project/one.trx")
    assert result.exit_code == 70
    assert "please report it" in result.stderr


def test_memory_runs_out(runtime: Runtime):
    runtime.fails = RuntimeError("RESOURCE_EXHAUSTED: 9 GiB")
    result = trxc_("eval", "runs/quick")
    assert (result.exit_code, result.stderr.split("\n")[0]) == (3, "error: out of memory")


@pytest.mark.parametrize(
    ("name", "install"), [("jax", "pip install jax"), ("sklearn.datasets", 'pip install "trxc[sklearn]"')]
)
def test_a_missing_package_is_named(runtime: Runtime, name: str, install: str):
    runtime.fails = ModuleNotFoundError(f"No module named {name!r}", name=name)
    result = trxc_("eval", "runs/quick")
    assert result.exit_code == 2
    assert f"`trxc eval` needs the package `{name.split('.')[0]}`, which is not installed" in result.stderr
    assert install in result.stderr


def test_metrics_as_text_and_as_json(runtime: Runtime):
    assert trxc_("eval", "runs/quick").stdout == "loss        1.25\nperplexity  inf\n"
    result = trxc_("eval", "runs/quick", "--format", "json", "--checkpoint", "20", "--split", "test")
    assert json.loads(result.stdout) == {"loss": 1.25, "perplexity": None}
    given, options = runtime.calls[-1]
    assert given == (Path("runs/quick"), "test")
    assert options["checkpoint"] == 20


def test_generation_streams(runtime: Runtime):
    result = trxc_("generate", "runs/quick", "--prompt-file", "-", "-n", "5", "-i", "source=ein Hund", stdin="Ein")
    assert result.exit_code == 0
    assert result.stdout == "once\x1b[2J\n"
    assert result.stderr.startswith("2 tokens")
    assert runtime.calls[-1] == ("Ein", {"limit": 5, "seed": None, "source": "ein Hund"})


def test_generation_refuses_other_inputs(runtime: Runtime):
    result = trxc_("generate", "runs/quick", "-p", "x", "-i", "seed=3")
    assert result.exit_code == 2
    assert "the model has no input `seed`" in result.stderr


# -------------------------------------------------------------------------------------------------------- new


@pytest.mark.parametrize("template", new.TEMPLATES)
def test_a_new_project_has_no_mistakes(template: str):
    assert trxc_("new", "hello", "--template", template).exit_code == 0
    assert trxc.check("hello/model.trx") == []
    assert Path("hello/README.md").read_text().startswith("# hello\n")
    assert Path("hello/.gitignore").read_text().endswith("runs/\n")
    assert not any(new.TITLE in path.read_text() for path in Path("hello").rglob("*") if path.is_file())


def test_the_templates():
    assert {"lm", "classifier", "blank"} <= set(new.TEMPLATES)


def test_a_new_project_overwrites_nothing():
    Path("hello").mkdir()
    Path("hello/README.md").write_text("mine")
    refused = trxc_("new", "hello")
    assert refused.exit_code == 2
    assert "README.md` is already there" in refused.stderr
    assert [path.name for path in Path("hello").iterdir()] == ["README.md"]
    assert trxc_("new", "hello", "--force").exit_code == 0
    assert Path("hello/README.md").read_text() != "mine"


def test_a_new_project_needs_a_folder():
    Path("hello").write_text("")
    assert trxc_("new", "hello").exit_code == 2


# ----------------------------------------------------------------------------------------------------- doctor


def test_requirements_are_those_of_the_project():
    found = {item.package: item for item in requirements.requirements()}
    assert {"lark", "click", "jax", "optax"} <= found.keys()
    assert found["scikit-learn"].extra == "sklearn"
    assert "pytest" not in found


@pytest.mark.parametrize(
    ("version", "allowed"),
    [("0.10", True), ("0.10.0", True), ("0.12.9", True), ("0.13", False), ("0.9.2", False), ("0.13.0.dev1", False)],
)
def test_versions(version: str, allowed: bool):
    assert Requirement("jax", ">=0.10,<0.13").allows(version) is allowed


def findings(monkeypatch: pytest.MonkeyPatch, ran: Any) -> list[Finding]:
    def run(*_: Any, **__: Any) -> Any:
        if isinstance(ran, Exception):
            raise ran
        return ran

    monkeypatch.setattr(machine.subprocess, "run", run)
    needed = [Requirement("lark", ">=1"), Requirement("nowhere-at-all", ">=1,<2"), Requirement("jax", ">=0")]
    monkeypatch.setattr(machine, "requirements", lambda: needed)
    monkeypatch.setattr(Requirement, "installed", property(lambda self: None if "nowhere" in self.package else "1.1"))
    return list(machine.examine(5))


def answered(text: str, status: int = 0) -> Any:
    return subprocess.CompletedProcess([], status, stdout=text, stderr="" if status == 0 else "x\nRuntimeError: no TPU")


def named(found: list[Finding], subject: str) -> Finding:
    (only,) = [finding for finding in found if finding.subject == subject]
    return only


def test_doctor_names_devices(monkeypatch: pytest.MonkeyPatch):
    devices = json.dumps([{"platform": "gpu", "kind": "H100", "memory": 80 * 2**30}])
    found = findings(monkeypatch, answered(f"a plugin says hello\n{devices}\n"))
    assert named(found, "device 0").text == "H100 (gpu), 80.0 GiB"
    assert named(found, "lark").state == "ok"
    missing = named(found, "nowhere-at-all")
    assert (missing.state, missing.advice) == ("fault", 'pip install "nowhere-at-all>=1,<2"')


@pytest.mark.parametrize(
    ("library", "environment", "state", "said"),
    [
        (None, {}, "note", "glibc's with settings"),
        ("/usr/lib/libtcmalloc.so.4", {}, "ok", "tcmalloc, /usr/lib/libtcmalloc.so.4"),
        ("/usr/lib/libtcmalloc.so.4", {"TRXC_ALLOCATOR": "glibc"}, "ok", "glibc's with settings, as `TRXC_ALLOCATOR`"),
        (None, {"LD_PRELOAD": "libjemalloc.so.2"}, "ok", "as your environment has it"),
    ],
)
def test_doctor_names_the_allocator(
    monkeypatch: pytest.MonkeyPatch, library: str | None, environment: dict[str, str], state: str, said: str
):
    monkeypatch.setattr(machine, "has_choice", lambda: True)
    monkeypatch.setattr(machine, "tcmalloc", lambda: library and Path(library))
    for name in ("LD_PRELOAD", "TRXC_ALLOCATOR", *allocator.SETTINGS):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    finding = named(findings(monkeypatch, answered("[]")), "allocator")
    assert finding.state == state
    assert finding.text.startswith(said)
    assert ("libtcmalloc-minimal4" in finding.advice) is (state == "note")


@pytest.mark.parametrize(
    ("ran", "said"),
    [
        (subprocess.TimeoutExpired([], 5), "jax gave no answer within 5 s"),
        (answered("", 1), "jax does not start: RuntimeError: no TPU"),
        (answered("nothing of use"), "jax does not start: "),
    ],
)
def test_doctor_survives_accelerators(monkeypatch: pytest.MonkeyPatch, ran: Any, said: str):
    finding = named(findings(monkeypatch, ran), "devices")
    assert (finding.state, finding.text) == ("fault", said)


def test_doctor_tells_of_a_folder_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, here: Path):
    blocked = here / "file"
    blocked.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    finding = named(findings(monkeypatch, answered("[]")), "cache folder")
    assert finding.state == "note"
    assert "cannot be written" in finding.text


@pytest.mark.parametrize(("state", "status"), [("ok", 0), ("note", 0), ("fault", 1)])
def test_doctor_ends_by_what_it_found(monkeypatch: pytest.MonkeyPatch, state: Any, status: int):
    monkeypatch.setattr(doctor, "examine", lambda timeout: iter([Finding("memory", state, "little", "buy some")]))
    result = trxc_("doctor")
    assert (result.exit_code, result.stdout.split()[1:3]) == (status, ["memory", "little"])
    told = json.loads(trxc_("doctor", "--format", "json").stdout)
    assert told == {"findings": [{"subject": "memory", "state": state, "text": "little", "advice": "buy some"}]}
