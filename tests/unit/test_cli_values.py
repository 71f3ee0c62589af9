"""Arrays from the command line and back, and the sources of a run laid out again."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trxc.cli.shell import trained
from trxc.cli.shell.status import CommandError
from trxc.cli.shell.values import MOST_PRINTED, as_archive, as_declared, as_json, read_values

TOKENS = {"tokens": {"name": "tokens", "dtype": "i32", "dims": ["batch"], "shape": [None]}}
FLOATS = {"x": {"name": "x", "dtype": "f32", "dims": ["batch"], "shape": [None]}}


def test_json_takes_the_declared_dtype():
    assert read_values((("tokens", "[1, 2]"),), TOKENS)["tokens"].dtype == np.int32
    assert read_values((("x", "[1, 2]"),), FLOATS)["x"].dtype == np.float32
    assert read_values((("anything", "[[1.5]]"),), {})["anything"].tolist() == [[1.5]]


def test_files(tmp_path: Path):
    array = np.arange(6, dtype=np.int64).reshape(2, 3)
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "one.npz", other=array)
    np.savez(tmp_path / "two.npz", tokens=array, other=array + 1)
    (tmp_path / "a.json").write_text(json.dumps(array.tolist()))
    for name in ("a.npy", "one.npz", "two.npz", "a.json"):
        found = read_values((("tokens", str(tmp_path / name)),), TOKENS)["tokens"]
        np.testing.assert_array_equal(found, array)


def test_no_pickle_is_loaded(tmp_path: Path):
    path = tmp_path / "objects.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(CommandError, match="not a NumPy file of plain numbers"):
        read_values((("x", str(path)),), {})


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("tokens", "hello", "neither JSON nor numbers"),
        ("tokens", "[[1], [2, 3]]", "neither JSON nor numbers"),
        ("tokens", '["a"]', "not numbers"),
        ("tokens", "[3000000000]", "do not fit i32"),
        ("tokens", "none.npy", "cannot read `none.npy`: no such file"),
        ("tokns", "[1]", "no input `tokns`; did you mean `tokens`?"),
    ],
)
def test_wrong_values(name: str, text: str, said: str):
    with pytest.raises(CommandError, match=said.replace("?", r"\?")):
        read_values(((name, text),), TOKENS)


def test_a_damaged_file(tmp_path: Path):
    for name in ("x.npy", "x.npz"):
        (tmp_path / name).write_bytes(b"\x93NUMPY nonsense" if name == "x.npy" else b"PK\x03\x04nonsense")
        with pytest.raises(CommandError, match="not a NumPy file"):
            read_values((("x", str(tmp_path / name)),), {})


def test_a_value_is_given_once():
    with pytest.raises(CommandError, match="twice"):
        read_values((("x", "[1]"), ("x", "[2]")), FLOATS)


def test_floats_are_not_made_integers():
    assert as_declared(np.array([1.5]), TOKENS["tokens"], "tokens").dtype == np.float64


def test_json_has_short_floats_and_no_words_that_json_lacks():
    values = {"y": np.array([[0.1, math.inf]], np.float32), "n": np.array(3), "bad": np.array(math.nan)}
    assert as_json(values) == '{"y": [[0.1, "inf"]], "n": 3, "bad": "nan"}'


def test_much_is_summarised():
    many = np.arange(MOST_PRINTED + 1, dtype=np.float32)
    assert json.loads(as_json({"y": many}))["y"] == {
        "shape": [MOST_PRINTED + 1],
        "dtype": "float32",
        "min": 0.0,
        "mean": MOST_PRINTED / 2,
        "max": float(MOST_PRINTED),
    }
    assert len(json.loads(as_json({"y": many}, whole=True))["y"]) == MOST_PRINTED + 1


def test_an_archive_comes_back():
    with np.load(io.BytesIO(as_archive({"y": np.eye(2)})), allow_pickle=False) as loaded:
        np.testing.assert_array_equal(loaded["y"], np.eye(2))


def recompile(monkeypatch: pytest.MonkeyPatch, manifest: dict[str, Any], **options: Any) -> dict[str, Any]:
    seen: dict[str, Any] = {}

    def compile_program(file: Any, **given: Any) -> Any:
        folder = file.path.parent
        files = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.trx")}
        seen.update(given, files=files, main=file.path.name)

    monkeypatch.setattr(trained, "compile_program", compile_program)
    trained.recompile(manifest, **options)
    return seen


def test_a_run_is_compiled_again_as_it_was(monkeypatch: pytest.MonkeyPatch):
    manifest = {
        "name": "quick",
        "main": "../models/gpt.trx",
        "sources": {"../models/gpt.trx": "main", "parts/blocks.trx": "used"},
        "settings": {"GPT.embed": "32", "quick.steps": "5"},
    }
    seen = recompile(monkeypatch, manifest, set={"quick.steps": "9"}, fetch=("scores",))
    assert seen == {
        "name": "quick",
        "set": {"GPT.embed": "32", "quick.steps": "9"},
        "fetch": ("scores",),
        "files": {"gpt.trx": "main", "parts/blocks.trx": "used"},
        "main": "gpt.trx",
    }


def test_a_run_from_stdin_is_compiled_again(monkeypatch: pytest.MonkeyPatch):
    seen = recompile(monkeypatch, {"name": "M", "main": "<stdin>", "sources": {"<stdin>": "text"}})
    assert (seen["files"], seen["set"]) == ({"main.trx": "text"}, None)


@pytest.mark.parametrize("name", ["../evil.trx", "/etc/evil.trx", "a\\..\\evil.trx", "C:evil.trx", "a\0.trx"])
def test_sources_stay_in_their_folder(monkeypatch: pytest.MonkeyPatch, name: str):
    with pytest.raises(CommandError, match="outside its project"):
        recompile(monkeypatch, {"name": "M", "main": "m.trx", "sources": {"m.trx": "", name: "evil"}})


def test_a_run_without_its_source(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(CommandError, match="does not have the file"):
        recompile(monkeypatch, {"name": "M", "main": "m.trx", "sources": {}})
