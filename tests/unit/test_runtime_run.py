"""The parts of a run: seals, checkpoints, the meter, metrics, signals, failures, the report."""

import errno
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from trxc_runtime import checkpoint as checkpoint_module
from trxc_runtime.artifact import load_artifact
from trxc_runtime.best import Best, better
from trxc_runtime.chart import Series, line_chart, smooth, thin, ticks
from trxc_runtime.checkpoint import Checkpoints
from trxc_runtime.ending import describe_failure
from trxc_runtime.errors import RunError, is_disk_full
from trxc_runtime.meter import Meter
from trxc_runtime.metrics import MetricsLog, read
from trxc_runtime.progress import Pace, Progress, duration, steps_said
from trxc_runtime.report import render_report, shown_value
from trxc_runtime.run_folder import RunFolder
from trxc_runtime.seal import DamagedError, check_seal, write_seal
from trxc_runtime.traceback_map import explain_exception
from trxc_runtime.trees import difference, flatten, signature, unflatten

ARTIFACTS = Path(__file__).parent.parent / "fixtures" / "artifacts"


def tree(scale: float = 1.0) -> dict[str, object]:
    return {
        "params": {"w": jnp.arange(6, dtype=jnp.float32).reshape(2, 3) * scale, "h": jnp.ones(3, jnp.bfloat16)},
        "state": {},
        "opt_state": (jnp.int32(4), {"w": jnp.zeros((2, 3))}),
    }


def saved(folder: Path, *steps: int, keep: int = 9, best: int | None = None) -> Checkpoints:
    checkpoints = Checkpoints(folder, keep, best)
    for step in steps:
        checkpoints.save(step, tree(step), {"seed": 0})
    checkpoints.finish()
    return checkpoints


def test_a_checkpoint_comes_back_bit_for_bit(tmp_path: Path) -> None:
    restored = saved(tmp_path, 5).restore(5, tree())
    assert restored.step == 5
    jax.tree.map(np.testing.assert_array_equal, restored.tree, tree(5))
    assert jax.tree.structure(restored.tree) == jax.tree.structure(tree())
    assert restored.tree["params"]["h"].dtype == jnp.bfloat16


def test_a_part_can_be_restored_alone(tmp_path: Path) -> None:
    restored = saved(tmp_path, 5).restore(5, {"params": tree()["params"]})
    np.testing.assert_array_equal(restored.tree["params"]["w"], tree(5)["params"]["w"])


def test_every_flipped_bit_is_noticed_and_the_step_before_is_used(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, 1, 2)
    files = [path for path in (tmp_path / "2").rglob("*") if path.is_file() and path.stat().st_size]
    rng = np.random.default_rng(0)
    for path in files:
        content = path.read_bytes()
        at = int(rng.integers(len(content)))
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << int(rng.integers(8))]) + content[at + 1 :])
        said: list[str] = []
        if path.name == "checkpoint.json":  # a flip inside of a seal may spell another fact, but never another file
            with pytest.raises((DamagedError, AssertionError)):
                assert check_seal(tmp_path / "2") == json.loads(content)
        else:
            restored = checkpoints.restore_newest(tree(), said.append)
            assert restored is not None
            assert restored.step == 1
            assert len(said) == 1
            assert said[0].startswith("checkpoint 2 is not used: ")
        path.write_bytes(content)
    assert checkpoints.restore_newest(tree(), said.append).step == 2


@pytest.mark.parametrize("harm", ["remove", "add", "seal", "cut"])
def test_a_damaged_folder_is_no_checkpoint(tmp_path: Path, harm: str) -> None:
    (tmp_path / "a").write_text("one")
    (tmp_path / "b").write_text("two")
    write_seal(tmp_path, {"step": 1})
    check_seal(tmp_path)
    if harm == "remove":
        (tmp_path / "a").unlink()
    elif harm == "add":
        (tmp_path / "c").write_text("x")
    elif harm == "seal":
        (tmp_path / "checkpoint.json").unlink()
    else:
        (tmp_path / "b").write_text("tw")
    with pytest.raises(DamagedError):
        check_seal(tmp_path)


def test_the_newest_and_the_best_are_kept(tmp_path: Path) -> None:
    assert saved(tmp_path, 1, 2, 3, 4, keep=2, best=1).steps() == [1, 3, 4]


def test_another_program_is_told_in_one_line(tmp_path: Path) -> None:
    checkpoints = saved(tmp_path, 5)
    other = tree()
    other["params"] = {"w": jnp.zeros((2, 4)), "extra": jnp.zeros(1)}
    with pytest.raises(RunError, match="does not fit") as caught:
        checkpoints.restore(5, other)
    assert "`params.w` is float32[2, 3] there and float32[2, 4] here" in caught.value.message
    assert "`params.extra` is missing" in caught.value.message
    assert "\n" not in caught.value.message


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = saved(tmp_path, 1)

    def full(folder: Path, leaves: object) -> None:
        folder.mkdir()
        (folder / "half").write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint_module, "_write_arrays", full)
    checkpoints.save(2, tree(2), {"seed": 0})
    with pytest.raises(RunError, match="the disk is full; checkpoint 1 is intact") as caught:
        checkpoints.finish()
    assert caught.value.status == 3
    assert [path.name for path in tmp_path.iterdir()] == ["1"]
    assert checkpoints.restore_newest(tree(), lambda text: None).step == 1


def test_trees_flatten_by_name() -> None:
    flat = flatten(tree())
    assert list(flat) == ["opt_state.0", "opt_state.1.w", "params.h", "params.w"]
    assert jax.tree.structure(unflatten(tree(), flat)) == jax.tree.structure(tree())
    assert difference(signature(tree()), signature(tree())) is None


def test_the_meter_names_the_first_step_that_is_not_finite() -> None:
    meter = Meter(every=10)
    for step, loss in enumerate([2.0, 1.5, math.nan, 1.0], 1):
        meter.add(step, {"loss": jnp.float32(loss), "grad_norm": jnp.float32(1)})
    with pytest.raises(RunError, match=r"loss became nan at step 3; the last finite loss was 1\.5") as caught:
        meter.look()
    assert caught.value.status == 3
    assert caught.value.hints


def test_the_meter_waits_for_logging_or_for_time() -> None:
    time = [0.0]
    meter = Meter(every=10, clock=lambda: time[0])
    meter.add(1, {"loss": jnp.float32(1)})
    assert not meter.due
    time[0] = 0.6
    assert meter.due
    assert meter.look() == [(1, {"loss": 1.0})]
    assert not meter.due
    meter.add(10, {"loss": jnp.float32(1)})
    assert meter.due


def test_overflow_is_allowed_where_the_loss_is_scaled() -> None:
    meter = Meter(every=1)
    for step in range(20):
        meter.add(step, {"loss": jnp.float32(math.inf), "loss_scale": jnp.float32(1024)})
    meter.look()
    meter.add(21, {"loss": jnp.float32(math.inf), "loss_scale": jnp.float32(1)})
    with pytest.raises(RunError):
        meter.look()


def test_the_best_is_never_nan() -> None:
    rule = {"metric": "loss", "mode": "min"}
    first = better(None, rule, 1, {"loss": 2.0})
    assert first == Best("loss", "min", 1, 2.0)
    assert better(first, rule, 2, {"loss": math.nan}) is None
    assert better(first, rule, 2, {"loss": 2.0}) is None
    assert better(first, {**rule, "mode": "max"}, 2, {"loss": 3.0}) is not None
    assert Best.read(first.facts()) == first
    assert Best.read(None) is None


def test_metrics_are_cut_to_the_resumed_step(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    log = MetricsLog(path, tmp_path / "events", 0)
    for step in (10, 20, 30):
        log.write(step, "train", {"loss": 1.0, "grad_norm": math.inf})
    log.close()
    with path.open("a") as file:
        file.write('{"step": 40, "split": "tra')
    MetricsLog(path, tmp_path / "events", 20).close()
    assert [line["step"] for line in read(path)] == [10, 20]
    assert read(path)[0]["grad_norm"] is None
    assert list((tmp_path / "events").iterdir())


def test_a_second_signal_leaves_at_once() -> None:
    script = (
        "import signal, time\nfrom trxc_runtime.interrupts import Interrupts\n"
        "with Interrupts() as i:\n    signal.raise_signal(signal.SIGINT)\n"
        "    assert i.received == signal.SIGINT and i.status == 130\n    print('on', flush=True)\n"
        "    signal.raise_signal(signal.SIGINT)\n    print('never')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=os.environ)
    assert done.stdout == "on\n"
    assert done.returncode == -signal.SIGINT


def test_failures_are_told_apart() -> None:
    artifact = load_artifact(ARTIFACTS / "bigram")
    memory = describe_failure(RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes"), artifact)
    assert memory.status == 3
    assert "`accumulate = 2`" in str(memory)
    assert "`batch = 8`" in str(memory)
    fault = describe_failure(TypeError("what"), artifact)
    assert fault.status == 70
    wrapped = ValueError("x")
    wrapped.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert is_disk_full(wrapped)
    assert describe_failure(wrapped, artifact).status == 3


def test_a_traceback_ends_at_the_trx_line() -> None:
    artifact = load_artifact(ARTIFACTS / "bigram")
    params = artifact.program.init(jax.random.key(0))
    params["head"]["w"] = jnp.zeros((7, 256))
    with pytest.raises(TypeError) as caught:
        jax.jit(artifact.program.apply)(params, {}, {"tokens": jnp.zeros((1, 4), jnp.int32)})
    explained = explain_exception(caught.value, artifact.manifest)
    assert explained is not None
    assert "bigram.trx:6" in explained
    assert "6 │   output logits: float[batch, seq, vocab] = x |> Dense(vocab, bias = false)" in explained
    assert explain_exception(ValueError("elsewhere"), artifact.manifest) is None


def test_plain_progress_prints_few_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(tmp_path / "log.txt")
    for step in range(1, 2001):
        if step % 10 == 0:
            progress.pace(Pace(step, 2000, 1.0, 5.0, 1e4, "tokens", 1e-3), 10)
    progress.close()
    lines = capsys.readouterr().err.splitlines()
    assert 40 <= len(lines) <= 51
    assert lines == (tmp_path / "log.txt").read_text().splitlines()
    assert lines[-1] == "step 2,000/2,000 · loss 1.0000 · 5 steps/s · 10 k tokens/s · lr 1.00e-03 · 0 s left"
    assert [duration(5), duration(200), duration(7500)] == ["5 s", "3 min 20 s", "2 h 05 min"]


def test_steps_as_people_say_them() -> None:
    assert [steps_said(number) for number in (0, 1, 2, 1200)] == ["0 steps", "1 step", "2 steps", "1,200 steps"]


def test_the_report_escapes_everything(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    manifest = json.loads((ARTIFACTS / "bigram" / "manifest.json").read_text())
    manifest["sources"] = {"<evil1>": "<script>alert(1)</script>"}
    manifest["parameters"][0]["path"] = "<evil2>"
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    run.update(name="<evil3>", model="m", status='"><evil4>', step=3, failure="<evil5>", versions={"<evil6>": "1"})
    (tmp_path / "metrics.jsonl").write_text(
        '{"step": 1, "split": "train", "loss": 3.0}\n{"step": 2, "split": "<evil7>", "loss": null, "<evil8>": 1}\n'
    )
    page = render_report(run, ("<evil9>", "<evil0>"))
    assert "<evil" not in page
    assert "<script" not in page
    assert all(f"&lt;evil{number}&gt;" in page for number in range(10))
    assert "http" not in page.replace("http-equiv", "")
    assert "default-src 'none'" in page


def test_charts() -> None:
    assert ticks(0, 10) == [0, 2, 4, 6, 8, 10]
    assert len(thin([(x, 1.0) for x in range(5000)])) <= 600
    assert smooth([(0, 1.0), (1, 2.0)]) == [(0, 1.0), (1, 2.0)]
    assert line_chart([Series("a", [], "train")], title="t") == ""
    assert "<polyline" in line_chart([Series("a", [(1, 1.0)], "train")], title="t")


def test_recipes_are_shown_as_the_language_writes_them() -> None:
    text = {"call": "m:Text", "name": "text", "args": {"path": "a.txt"}}
    assert shown_value(text) == 'text(path = "a.txt")'
    assert shown_value([text, {"call": "m:B", "name": "bytes", "args": {}}]).endswith(" >> bytes()")
    assert shown_value({"every": 5, "best": {"mode": "min"}}) == 'every = 5, best = { mode = "min" }'


def test_the_live_line_fits_its_terminal() -> None:
    pace = Pace(1200, 20_000, 1.2345, 12.5, 51_200, "tokens", 3e-4)
    assert "lr 3.00e-04" in pace.fitted(200)
    for width in (80, 66, 52):
        assert len(pace.fitted(width)) <= width
        assert pace.fitted(width).startswith("step 1,200/20,000 · loss 1.2345")
        assert pace.fitted(width).endswith(" left")


def test_a_checkpoint_that_cannot_fit_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = saved(tmp_path, 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1000, 990, 10))
    monkeypatch.setattr(checkpoint_module, "_write_arrays", lambda folder, leaves: pytest.fail("it was begun"))
    checkpoints.save(2, tree(2), {"seed": 0})
    with pytest.raises(RunError, match="the disk is full; checkpoint 1 is intact"):
        checkpoints.finish()


def test_a_run_can_record_what_is_not_finite(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.update(metrics={"perplexity": math.inf, "loss": [1.0, math.nan]})
    assert run.read()["metrics"] == {"perplexity": None, "loss": [1.0, None]}
