"""Whole runs on two small artifacts: trained, killed, resumed, interrupted, damaged, evaluated, generated from."""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import trxc_runtime
from trxc_runtime import RunError
from trxc_runtime.checkpoint import Checkpoints
from trxc_runtime.metrics import read

ARTIFACTS = Path(__file__).parent.parent / "fixtures" / "artifacts"

CHILD = """
import os, signal, sys, trxc_runtime
from trxc_runtime import seal
artifact, run, root, dies = sys.argv[1:]
if dies != "no":  # dies in the middle of writing that checkpoint
    from trxc_runtime import checkpoint
    whole = checkpoint.write_seal
    def half(folder, facts):
        if facts["step"] == int(dies):
            os.kill(os.getpid(), signal.SIGKILL)
        whole(folder, facts)
    checkpoint.write_seal = half
try:
    sys.exit(trxc_runtime.train(artifact, run, root=root).exit_status)
except trxc_runtime.RunError as error:
    print(error, file=sys.stderr)
    sys.exit(error.status)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    words = random.Random(0).choices(["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog"], k=9000)
    (root / "data").mkdir()
    (root / "data" / "a.txt").write_text(" ".join(words))
    return root


def variant(folder: Path, name: str = "bigram", edit: Callable[[str], str] = str, **train: Any) -> Path:
    """A copy of a fixture with another program or other fields of its `train` recipe."""
    shutil.copytree(ARTIFACTS / name, folder)
    text = edit((folder / "program.py").read_text())
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["recipe"]["train"].update(train)
    manifest["sha256"]["program.py"] = hashlib.sha256(text.encode()).hexdigest()
    (folder / "program.py").write_text(text)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def whole_state(run: Path) -> dict[str, Any]:
    """Everything that the newest checkpoint holds."""
    artifact = trxc_runtime.load_artifact(run).program
    params = artifact.init(jax.random.key(0))
    like = {"params": params, "state": artifact.init_state(), "opt_state": artifact.optimizer().init(params)}
    checkpoints = Checkpoints(run / "checkpoints")
    return checkpoints.restore(checkpoints.steps()[-1], like).tree


def assert_same(run: Path, other: Path) -> None:
    jax.tree.map(np.testing.assert_array_equal, whole_state(run), whole_state(other))
    assert read(run / "metrics.jsonl") == read(other / "metrics.jsonl")


@pytest.fixture(scope="module")
def reference(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "reference"
    trxc_runtime.train(ARTIFACTS / "bigram", run, root=project, quiet=True)
    return run


@pytest.fixture
def copy(reference: Path, tmp_path: Path) -> Iterator[Path]:
    yield Path(shutil.copytree(reference, tmp_path / "copy"))


def start(run: Path, project: Path, artifact: Path = ARTIFACTS / "bigram", dies: str = "no") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, str(artifact), str(run), str(project), dies]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def wait_for_step(run: Path, step: int, child: subprocess.Popen[str]) -> None:
    while child.poll() is None and not any(line["step"] >= step for line in read(run / "metrics.jsonl")):
        time.sleep(0.005)


def test_a_run_leaves_all_it_promises(reference: Path, project: Path) -> None:
    facts = json.loads((reference / "run.json").read_text())
    assert facts["status"] == "finished"
    assert facts["step"] == 60
    assert facts["best"]["step"] == int((reference / "best").read_text())
    lines = read(reference / "metrics.jsonl")
    train = [line for line in lines if line["split"] == "train"]
    assert [line["step"] for line in train] == [10, 20, 30, 40, 50, 60]
    assert train[-1]["loss"] < train[0]["loss"] / 2
    assert train[0]["learning_rate"] == pytest.approx(0.009)
    valid = [line for line in lines if line["split"] == "valid"]
    assert [line["step"] for line in valid] == [20, 40, 60]
    assert valid[0]["perplexity"] == pytest.approx(np.exp(valid[0]["loss"]), rel=1e-5)
    assert any((reference / "events").iterdir())
    assert "<polyline" in (reference / "report.html").read_text()
    assert "finished 60 steps" in (reference / "log.txt").read_text()
    assert f"trxc generate {reference}" in (reference / "log.txt").read_text()


def test_a_trained_model_is_plain_functions(reference: Path) -> None:
    model = trxc_runtime.load(reference)
    tokens = jnp.arange(12, dtype=jnp.int32).reshape(2, 6)
    logits = jax.jit(lambda params, tokens: model.apply(params, tokens=tokens))(model.params, tokens)
    assert logits.shape == (2, 6, 256)
    stacked = jax.vmap(lambda t: model.apply(model.params, tokens=t))(tokens[:, None])
    np.testing.assert_allclose(stacked[:, 0], logits, rtol=1e-4, atol=1e-5)
    grads = jax.grad(lambda params: model.apply(params, tokens=tokens).sum())(model.params)
    assert jax.tree.structure(grads) == jax.tree.structure(model.params)
    fresh = model.init(seed=0)
    assert not np.array_equal(fresh["head"]["w"], model.params["head"]["w"])
    np.testing.assert_array_equal(fresh["head"]["w"], model.init(seed=0)["head"]["w"])
    assert not np.array_equal(fresh["head"]["w"], model.init(seed=1)["head"]["w"])


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({}, "`tokens` is not given"),
        ({"tokens": [[1]], "x": [1]}, "no input `x`"),
        ({"tokens": [1]}, r"`tokens` is i32\[batch, seq\]; it was given \[1\]"),
        ({"tokens": [[1.0]]}, "it was given float32"),
    ],
)
def test_wrong_inputs_are_told(inputs: dict[str, Any], says: str) -> None:
    model = trxc_runtime.load(ARTIFACTS / "bigram")
    with pytest.raises(RunError, match=says):
        model.apply(model.init(), **inputs)


def test_an_untrained_artifact_has_no_weights() -> None:
    with pytest.raises(RunError, match="no trained weights"):
        _ = trxc_runtime.load(ARTIFACTS / "bigram").params


def test_generation_is_seeded_streamed_and_batched(reference: Path) -> None:
    model = trxc_runtime.load(reference)
    text = model.generate("the ", seed=3)
    assert isinstance(text, str)
    assert len(text) == 40
    assert text == "".join(model.stream("the ", seed=3))
    assert text != model.generate("the ", seed=4)
    assert (
        model.generate("the ", limit=5, sample=[trxc_runtime_greedy()])
        == model.generate(["the ", "lazy dog "], limit=5, sample=[trxc_runtime_greedy()])[0]
    )
    with pytest.raises(RunError, match="empty"):
        model.generate("")
    with pytest.raises(RunError, match="no further input `source`"):
        model.generate("a", source=[[1]])


def trxc_runtime_greedy() -> Any:
    from trxc_runtime.sample import Greedy

    return Greedy()


def test_evaluation_agrees_with_the_loop(reference: Path, project: Path) -> None:
    last = [line for line in read(reference / "metrics.jsonl") if line["split"] == "valid"][-1]
    values = trxc_runtime.evaluate(reference, steps=4, checkpoint="latest")
    assert values == pytest.approx({name: last[name] for name in values}, rel=1e-6)
    with pytest.raises(RunError, match="test"):
        trxc_runtime.evaluate(reference, "test")


def test_a_finished_run_does_nothing_until_steps_are_raised(copy: Path, project: Path) -> None:
    before = read(copy / "metrics.jsonl")
    again = trxc_runtime.train(ARTIFACTS / "bigram", copy, root=project, quiet=True)
    assert (again.status, again.exit_status, again.step) == ("finished", 0, 60)
    assert read(copy / "metrics.jsonl") == before
    more = trxc_runtime.train(ARTIFACTS / "bigram", copy, root=project, steps=80, quiet=True)
    assert (more.status, more.step) == ("finished", 80)
    assert read(copy / "metrics.jsonl")[: len(before)] == before


def test_another_program_is_refused_and_force_starts_over(copy: Path, project: Path, tmp_path: Path) -> None:
    other = variant(tmp_path / "other", edit=lambda text: text + "\n", steps=10)
    with pytest.raises(RunError, match="another program") as caught:
        trxc_runtime.train(other, copy, root=project, quiet=True)
    assert "--force" in str(caught.value)
    assert "--run" in str(caught.value)
    with pytest.raises(RunError, match="already holds a run"):
        trxc_runtime.train(ARTIFACTS / "bigram", copy, root=project, quiet=True, resume=False)
    (copy / "notes.txt").write_text("mine")
    assert trxc_runtime.train(other, copy, root=project, quiet=True, force=True).step == 10
    assert max(line["step"] for line in read(copy / "metrics.jsonl")) == 10
    assert (copy / "notes.txt").exists()


@pytest.mark.parametrize("change", [{"batch": 8}, {"seed": 1}])
def test_another_recipe_is_refused(copy: Path, project: Path, tmp_path: Path, change: dict[str, int]) -> None:
    with pytest.raises(RunError, match="batch, seed or precision changed"):
        trxc_runtime.train(variant(tmp_path / "other", **change), copy, root=project, quiet=True)


def test_killed_at_any_step_and_resumed_is_bit_exact(reference: Path, project: Path, tmp_path: Path) -> None:
    step = random.choice([10, 20, 30, 40, 50])
    child = start(tmp_path / "run", project)
    wait_for_step(tmp_path / "run", step, child)
    time.sleep(random.random() * 0.03)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    trxc_runtime.train(ARTIFACTS / "bigram", tmp_path / "run", root=project, quiet=True)
    assert_same(tmp_path / "run", reference)


def test_killed_while_saving_and_resumed_is_bit_exact(reference: Path, project: Path, tmp_path: Path) -> None:
    child = start(tmp_path / "run", project, dies="40")
    assert child.wait() == -signal.SIGKILL
    assert Checkpoints(tmp_path / "run" / "checkpoints").steps() == [20]
    trxc_runtime.train(ARTIFACTS / "bigram", tmp_path / "run", root=project, quiet=True)
    assert_same(tmp_path / "run", reference)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_the_run_goes_on(project: Path, tmp_path: Path, number: int, status: int) -> None:
    long = variant(tmp_path / "long", steps=4000, evaluate=None, checkpoint=None)
    child = start(tmp_path / "run", project, long)
    wait_for_step(tmp_path / "run", 20, child)
    child.send_signal(number)
    _, said = child.communicate()
    assert child.returncode == status, said
    assert "start the same command again and it goes on from there" in said
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["status"] == "interrupted"
    assert 20 <= facts["step"] < 4000
    stopped, total = facts["step"], facts["step"] + 7
    result = trxc_runtime.train(long, tmp_path / "run", root=project, steps=total, quiet=True)
    assert result.step == total
    trxc_runtime.train(long, tmp_path / "whole", root=project, steps=total, quiet=True)
    jax.tree.map(np.testing.assert_array_equal, whole_state(tmp_path / "run"), whole_state(tmp_path / "whole"))
    assert f"going on from step {stopped}" in (tmp_path / "run" / "log.txt").read_text()


def test_a_damaged_checkpoint_is_passed_over(copy: Path, reference: Path, project: Path) -> None:
    victim = max((path for path in (copy / "checkpoints" / "60").rglob("d/*")), key=lambda path: path.stat().st_size)
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 4
    victim.write_bytes(bytes(content))
    (copy / "run.json").write_text((copy / "run.json").read_text().replace('"finished",', '"running",'))
    trxc_runtime.train(ARTIFACTS / "bigram", copy, root=project, quiet=True)
    log = (copy / "log.txt").read_text()
    assert "warning: checkpoint 60 is not used: " in log
    assert "going on from step 40 of 60" in log
    assert_same(copy, reference)


def test_nan_stops_the_run_with_what_to_try(project: Path, tmp_path: Path) -> None:
    hot = variant(tmp_path / "hot", edit=lambda text: text.replace("0.0, 0.01, 10, 200", "0.0, 1e25, 10, 200"))
    with pytest.raises(RunError, match=r"became (nan|inf) at step \d+; the last finite loss was") as caught:
        trxc_runtime.train(hot, tmp_path / "run", root=project, quiet=True)
    assert caught.value.status == 3
    assert "learning rate" in str(caught.value)
    assert not (tmp_path / "run" / "best").exists()
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "failed"
    assert "became" in (tmp_path / "run" / "report.html").read_text()


def test_a_seed_may_be_large(project: Path, tmp_path: Path) -> None:
    big = variant(tmp_path / "big", seed=2**40 + 1, steps=3)
    assert trxc_runtime.train(big, tmp_path / "run", root=project, quiet=True).step == 3


def test_two_trainers_do_not_share_a_run(project: Path, tmp_path: Path) -> None:
    long = variant(tmp_path / "long", steps=100_000, evaluate=None, checkpoint=None)
    child = start(tmp_path / "run", project, long)
    try:
        wait_for_step(tmp_path / "run", 10, child)
        with pytest.raises(RunError, match="another process"):
            trxc_runtime.train(long, tmp_path / "run", root=project, quiet=True)
    finally:
        child.kill()
        child.communicate()


def flowers() -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, 150)
    x = rng.normal(size=(150, 4)) + 2.0 * np.eye(3, 4)[label] + 5.0
    return {"x": x.astype(np.float32), "label": label.astype(np.int32)}


def test_a_classifier_with_state_learns_from_arrays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = trxc_runtime.train(ARTIFACTS / "classifier", tmp_path / "run", data=flowers())
    assert "warning: the mesh (data = 2) needs 2 devices and there is 1: training unsharded" in capsys.readouterr().err
    assert result.steps == 38  # 5 epochs of 120 examples by 16
    assert result.best is not None
    assert result.best["value"] >= 0.8
    model = trxc_runtime.load(tmp_path / "run", checkpoint="latest")
    assert np.all(np.abs(model.state["batch_norm"]["mean"] - 5.0) < 1.5)
    outputs = model.apply(model.params, x=flowers()["x"])
    assert np.mean(outputs["best"] == flowers()["label"]) >= 0.8
    best = trxc_runtime.evaluate(tmp_path / "run", data=flowers())
    assert best["accuracy"] == pytest.approx(result.best["value"])
    with pytest.raises(RunError):
        model.generate("x")


MESH = """
import sys, numpy as np, jax, trxc_runtime
sys.path.insert(0, sys.argv[1])
arrays = dict(np.load(sys.argv[4]))
trxc_runtime.train(sys.argv[2], sys.argv[3], data=arrays, quiet=True, steps=int(sys.argv[5]))
"""


def test_a_mesh_gives_the_same_model_and_resumes(tmp_path: Path) -> None:
    np.savez(tmp_path / "arrays.npz", **flowers())
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    for steps in ("20", "30"):
        command = [sys.executable, "-c", MESH, ".", str(ARTIFACTS / "classifier"), str(tmp_path / "mesh")]
        subprocess.run([*command, str(tmp_path / "arrays.npz"), steps], check=True, env=environment)
    assert "warning" not in (tmp_path / "mesh" / "log.txt").read_text()
    assert "going on from step 20 of 30" in (tmp_path / "mesh" / "log.txt").read_text()
    trxc_runtime.train(ARTIFACTS / "classifier", tmp_path / "one", data=flowers(), steps=30, quiet=True)
    both = whole_state(tmp_path / "mesh"), whole_state(tmp_path / "one")
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-4), *both)


def test_data_that_do_not_fit_are_told_before_training(tmp_path: Path) -> None:
    wrong = {"x": np.zeros((20, 5), np.float32), "label": np.zeros(20, np.int32)}
    with pytest.raises(RunError, match="field `x`") as caught:
        trxc_runtime.train(ARTIFACTS / "classifier", tmp_path / "run", data=wrong, quiet=True)
    assert caught.value.status == 1
    assert not (tmp_path / "run" / "run.json").exists()
