"""Sources: what they yield, and what a user is told about files that are not as they should be."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from data_recipes import call, recipe
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trxc_runtime.data import DataError, load


def loaded(root, source, **others):
    return load(recipe(source, **others), root=root, arrays=others.pop("arrays", None)).split("train")


def refused(root, source) -> DataError:
    with pytest.raises(DataError) as caught:
        loaded(root, source)
    assert "\n" not in caught.value.message
    return caught.value


def idx(shape, code=8, items=b"") -> bytes:
    return bytes([0, 0, code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + items


def test_text_is_one_document_a_file_sorted(tmp_path):
    for name, text in (("b.txt", "second"), ("a.txt", "\ufefffirst")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert loaded(tmp_path, call("Text", path="*.txt")).table.strings("text").values == ["first", "second"]


def test_lines_leave_out_empty_ones(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"one\r\n\n  \ntwo\xc2\x85still two")
    assert loaded(tmp_path, call("Lines", path="a.txt")).table.strings("text").values == ["one", "two\x85still two"]


def test_parallel_pairs_lines_and_refuses_unequal_files(tmp_path):
    (tmp_path / "de").write_text("ein\nzwei\n")
    (tmp_path / "en").write_text("one\ntwo\n")
    (tmp_path / "fr").write_text("un\n")
    table = loaded(tmp_path, call("Parallel", source="de", target="en")).table
    assert (table.strings("source").values[1], table.strings("target").values[1]) == ("zwei", "two")
    assert '"de" has 2 lines, "fr" 1' in refused(tmp_path, call("Parallel", source="de", target="fr")).message


def test_python_source_holds_whole_files_within_the_limit(tmp_path):
    documents = loaded(tmp_path, call("PythonSource", limit_bytes=200_000)).table.strings("text").values
    assert len(documents) > 3
    assert sum(len(document.encode()) for document in documents) <= 200_000
    assert documents[0] == (Path(json.__file__).parents[1] / "__future__.py").read_text(encoding="utf-8")


def test_csv_infers_types_and_cleans_names(tmp_path):
    (tmp_path / "a.csv").write_text('Width (cm),n,name\n1.5,1,"a, b"\n2,-2,c\n')
    split = loaded(tmp_path, call("Csv", path="a.csv"))
    assert {name: str(kind) for name, kind in split.fields.items()} == {
        "Width_cm": "f32[]",
        "n": "i32[]",
        "name": "string",
    }
    batch = split.batch(0, 1, seed=0)
    assert batch.keys() == {"Width_cm", "n"}
    assert split.table.strings("name").values == ["a, b", "c"]


def test_rows_end_at_line_ends_only(tmp_path):
    (tmp_path / "a.csv").write_bytes('a,b\r\n"x\ny",1\r\np\u2028q,2\r\n'.encode())
    (tmp_path / "a.tsv").write_bytes("p\u2028q\t1\r\n".encode())
    assert loaded(tmp_path, call("Csv", path="a.csv")).table.strings("a").values == ["x\ny", "p\u2028q"]
    tsv = loaded(tmp_path, call("Tsv", path="a.tsv", columns=["a", "b"]))
    assert (tsv.table.strings("a").values, str(tsv.fields["b"])) == (["p\u2028q"], "i32[]")


def test_csv_chooses_columns_and_tsv_names_them(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    (tmp_path / "a.tsv").write_text("it's \"fine\t1\n")
    assert list(loaded(tmp_path, call("Csv", path="a.csv", columns=["b"])).fields) == ["b"]
    tsv = loaded(tmp_path, call("Tsv", path="a.tsv", columns=["text", "label"]))
    assert tsv.table.strings("text").values == ["it's \"fine"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n3\n", '"t.csv", line 3: 1 columns where there should be 2'),
        ("", '"t.csv" holds no rows'),
        ("a,b\n", '"t.csv" holds no rows'),
        ("a,a\n1,2\n", "two columns called `a`"),
        ("a,%\n1,2\n", "'%' is no name for a field"),
        ("a,b\n1,2\n,3\n", "column `a` has no number in row 2"),
        ("a,b\n1,2\nNA,3\n", "column `a` has no number in row 2"),
    ],
)
def test_csv_that_is_no_table(tmp_path, content, message):
    (tmp_path / "t.csv").write_text(content)
    assert message in refused(tmp_path, call("Csv", path="t.csv")).message


def test_csv_column_that_is_not_there(tmp_path):
    (tmp_path / "t.csv").write_text("label,b\n1,2\n")
    error = refused(tmp_path, call("Csv", path="t.csv", columns=["lable"]))
    assert "has no column `lable`" in error.message
    assert "did you mean `label`?" in error.hints


def test_jsonl_yields_texts_numbers_and_lists(tmp_path):
    lines = [{"t": "x", "n": 1, "v": [1.0, 2.0], "r": [1]}, {"t": "y", "n": 2, "v": [3, 4.5], "r": [1, 2]}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
    fields = loaded(tmp_path, call("Jsonl", path="a.jsonl")).fields
    assert {name: str(kind) for name, kind in fields.items()} == {
        "t": "string",
        "n": "i32[]",
        "v": "f32[2]",
        "r": "i32[any]",
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": 1}\n{"b": 1}', "line 2: has `b` where the first has `a`"),
        ('{"a": 1}\n{"a":', "line 2: is no JSON"),
        ("[1]", "line 1: is no JSON object"),
        ('{"a": 1}\n{"a": "x"}', "`a` holds"),
        ('{"a": [[1], [2, 3]]}\n{"a": [[1], [2]]}', "lists of different lengths"),
        ('{"a": 1e999}', "no finite 32-bit number, first in example 0"),
        ('{"a": 12345678901}', "do not fit into 32 bits"),
        ("", "holds no records"),
        ("[" * 100_000, "is no JSON"),
    ],
)
def test_jsonl_that_is_no_table(tmp_path, content, message):
    (tmp_path / "a.jsonl").write_text(content)
    assert message in refused(tmp_path, call("Jsonl", path="a.jsonl")).message


def test_npy_and_npz_become_32_bit(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(6.0).reshape(3, 2))
    np.savez(tmp_path / "x.npz", x=np.arange(3), y=np.ones((3, 2), np.uint8))
    assert str(loaded(tmp_path, call("Npy", path="x.npy", into="image")).fields["image"]) == "f32[2]"
    fields = loaded(tmp_path, call("Npz", path="x.npz")).fields
    assert (str(fields["x"]), str(fields["y"])) == ("i32[]", "u8[2]")


def test_npz_with_arrays_of_unequal_length(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.arange(3), y=np.arange(4))
    assert "differ in their number of examples: `x` 3, `y` 4" in refused(tmp_path, call("Npz", path="x.npz")).message


def test_arrays_with_nan_name_the_example():
    x = np.ones((5, 2), np.float32)
    x[3, 1] = np.nan
    with pytest.raises(DataError, match="first in example 3"):
        load(recipe(call("Arrays")), root=Path(), arrays={"x": x})


def test_pickled_arrays_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "x.npz", x=np.array([{"a": 1}], dtype=object))
    assert "no array that can be read" in refused(tmp_path, call("Npy", path="x.npy", into="x")).message
    assert "no arrays that can be read" in refused(tmp_path, call("Npz", path="x.npz")).message


def test_npy_header_that_claims_more_than_there_is(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(8, np.uint8))
    content = (tmp_path / "x.npy").read_bytes()
    for written in (b"(9,)", b"(8, ", b"(-8)", b"1e99"):
        (tmp_path / "x.npy").write_bytes(content.replace(b"(8,)", written))
        assert "no array that can be read" in refused(tmp_path, call("Npy", path="x.npy", into="x")).message


def test_npz_that_unpacks_to_too_much(tmp_path, monkeypatch):
    monkeypatch.setattr("trxc_runtime.data.arrays.MAX_BYTES", 1000)
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", b"\0" * 10_000)
    assert "holds more than 1,000 bytes once unpacked" in refused(tmp_path, call("Npz", path="x.npz")).message


def test_idx_packed_and_plain(tmp_path):
    (tmp_path / "images.gz").write_bytes(gzip.compress(idx((2, 2, 1), items=bytes([0, 51, 255, 0]))))
    (tmp_path / "labels").write_bytes(idx((2,), items=bytes([7, 9])))
    split = loaded(tmp_path, call("Idx", images="images.gz", labels="labels"))
    batch, size = next(split.batches(8))
    assert (size, batch["label"].tolist(), str(split.fields["image"])) == (2, [7, 9], "f32[2, 1, 1]")
    np.testing.assert_allclose(batch["image"].ravel(), [0, 0.2, 1, 0])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"nothing", "is no IDX file"),
        (b"", "is no IDX file"),
        (idx((2, 2, 2), items=b"123"), "cut short or damaged: its header says [2, 2, 2]"),
        (idx((2**32 - 1,) * 3, items=b"1"), "cut short or damaged"),
        (bytes([0, 0, 8, 200]), "cut short or damaged"),
        (bytes([0, 0, 8, 2, 0, 0, 0]), "cut short or damaged"),
        (idx((0, 2**32 - 1, 2**32 - 1)), "empty, cut short or damaged"),
        (idx((1,) * 200, items=b"1"), "empty, cut short or damaged"),
        (bytes([0, 0, 8, 0, 1]), "empty, cut short or damaged"),
        (idx((4,), items=b"1234"), "which are no images"),
    ],
)
def test_idx_that_is_damaged(tmp_path, content, message):
    (tmp_path / "images").write_bytes(content)
    (tmp_path / "labels").write_bytes(idx((2,), items=b"12"))
    assert message in refused(tmp_path, call("Idx", images="images", labels="labels")).message


def test_gzip_that_is_cut_short_or_too_large(tmp_path, monkeypatch):
    packed = gzip.compress(idx((1000,), items=bytes(1000)))
    (tmp_path / "cut.gz").write_bytes(packed[:-12])
    assert "cannot be read" in refused(tmp_path, call("Idx", images="cut.gz", labels="cut.gz")).message
    (tmp_path / "bomb.gz").write_bytes(packed)
    monkeypatch.setattr("trxc_runtime.data.project.read_bytes.__defaults__", (100,))
    assert "holds more than 100 bytes" in refused(tmp_path, call("Idx", images="bomb.gz", labels="bomb.gz")).message


def test_arrays_that_nobody_handed_over(tmp_path):
    assert "none were handed over" in refused(tmp_path, call("Arrays")).message


@pytest.mark.parametrize(
    ("name", "fields", "examples"),
    [
        ("Digits", {"image": "f32[8, 8, 1]", "label": "i32[]"}, 1797),
        ("Iris", {"features": "f32[4]", "label": "i32[]"}, 150),
        ("Wine", {"features": "f32[13]", "label": "i32[]"}, 178),
        ("BreastCancer", {"features": "f32[30]", "label": "i32[]"}, 569),
    ],
)
def test_data_that_come_with_scikit_learn(tmp_path, name, fields, examples):
    pytest.importorskip("sklearn")
    split = loaded(tmp_path, call(name))
    assert ({field: str(kind) for field, kind in split.fields.items()}, len(split)) == (fields, examples)


def test_digits_are_scaled(tmp_path):
    pytest.importorskip("sklearn")
    image = next(loaded(tmp_path, call("Digits")).batches(2000))[0]["image"]
    assert (image.min(), image.max()) == (0, 1)


def test_scikit_learn_that_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn.datasets", None)
    assert 'install it with `pip install "trxc[sklearn]"`' in refused(tmp_path, call("Iris")).hints


def well_formed() -> dict[str, bytes]:
    """A file of each format, to be damaged."""
    npy, npz = io.BytesIO(), io.BytesIO()
    np.save(npy, np.arange(6.0).reshape(3, 2))
    np.savez_compressed(npz, x=np.arange(3), y=np.ones((3, 2)))
    return {
        "a.csv": b'a,b,c\n1,"x, y",2.5\n3,z,4\n',
        "a.jsonl": b'{"a": 1, "b": "x", "c": [1, 2]}\n{"a": 2, "b": "y", "c": [3, 4]}\n',
        "a.npy": npy.getvalue(),
        "a.npz": npz.getvalue(),
        "a.idx": idx((2, 2, 2), items=bytes(8)),
        "a.gz": gzip.compress(idx((2,), items=b"12")),
        "a.txt": "naïve text\n".encode(),
    }


FORMATS = well_formed()
SOURCES = [
    call("Csv", path="a.csv"),
    call("Tsv", path="a.csv", columns=["a"]),
    call("Jsonl", path="a.jsonl"),
    call("Npy", path="a.npy", into="x"),
    call("Npz", path="a.npz"),
    call("Idx", images="a.idx", labels="a.gz"),
    call("Text", path="a.txt"),
    call("Lines", path="a.txt"),
]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source["name"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(choice=st.data())
def test_damage_is_told_and_never_a_traceback(tmp_path, source, choice):
    for name, content in FORMATS.items():
        damaged = bytearray(content)
        for _ in range(choice.draw(st.integers(0, 3))):
            at = choice.draw(st.integers(0, len(damaged) - 1))
            damaged[at : at + choice.draw(st.integers(0, 2))] = choice.draw(st.binary(max_size=3))
            damaged = damaged or bytearray(b"\0")
        (tmp_path / name).write_bytes(damaged)
    try:
        split = loaded(tmp_path, source)
    except DataError as told:
        assert told.message.isprintable()
    else:
        assert all(len(value) == len(split) for value in next(split.batches(99))[0].values())
