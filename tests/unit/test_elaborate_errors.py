"""Wrong programs as people write them: one error for one mistake, in the program, in words that help.

Each file of `cases/errors` holds programs, one after another under `# === name`, and beside it what the compiler
says of them. `TRXC_UPDATE_CASES=1 python -m pytest tests/unit/test_elaborate_errors.py` writes that anew; read the
difference before you keep it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

import trxc
from trxc.diagnostics import Diagnostic
from trxc.diagnostics.terminal import render

FOLDER = Path(__file__).parents[1] / "cases" / "errors"
FILES = sorted(FOLDER.glob("*.trx"))
SEVERAL = {"two mistakes": 2}


def programs(file: Path) -> dict[str, str]:
    _, *parts = re.split(r"^# === (.+)\n\n", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


ALL = [(file.stem, name, text) for file in FILES for name, text in programs(file).items()]


def said(text: str) -> list[Diagnostic]:
    return trxc.check(text, filename="example.trx")


@pytest.mark.parametrize(("name", "text"), [entry[1:] for entry in ALL], ids=[f"{f}-{n}" for f, n, _ in ALL])
def test_one_mistake_is_one_error_in_the_program(name: str, text: str):
    found = said(text)
    assert len(found) == SEVERAL.get(name, 1), [str(item) for item in found]
    for item in found:
        assert item.span is not None
        assert item.span.source.name == "example.trx"
        assert item.span.start < item.span.end
        assert item.message[0].islower() or item.message[0] in "`@0123456789"
        assert not item.message.endswith(".")


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_errors_read_as_expected(file: Path):
    parts = [f"# === {name}\n\n" + "\n\n".join(render(item, colour=False) for item in said(text))
             for name, text in programs(file).items()]  # fmt: skip
    output = "\n\n".join(parts) + "\n"
    expected = file.with_suffix(".expected")
    if os.environ.get("TRXC_UPDATE_CASES") == "1":
        expected.write_text(output, encoding="utf-8")
    assert output == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("value", "help_"),
    [
        ("x |> Conv(8, kernel_size = 3)", "did you mean `kernel`?"),
        ("x |> Conv(8, sizes = 3)", "arguments: `bias`, `dilation`"),
        ("x |> mean(axis = 1)", "arguments: "),
        ("x |> repeat(Conv(3), 2)", "the count comes first: `repeat(n, f)`"),
        ("x + mean(x, over = [1, 2])", "`[:, none, none, :]` behind the one with 2 dims lines it up"),
        ("x + mean(x, over = [1, 2, 3])", "`[:, none, none, none]` behind the one with 1 dim lines it up"),
    ],
)
def test_a_mistake_of_newcomers_gets_a_mend(value: str, help_: str):
    (found,) = said(f"model M {{\n  input x: float[batch, 8, 8, 3]\n  y = {value}\n  output y\n}}\n")
    assert any(text.startswith(help_) for text in found.helps), found.helps


def test_a_tensor_among_later_arguments_is_not_taken_for_an_application():
    body = "model M {{\n  input x: float[batch, seq, 3]\n  y = {value}\n  output y\n}}\n"
    (found,) = said(body.format(value="x |> LSTM(4, x)"))
    assert (found.code, found.helps) == ("TRX0405", ())
    (found,) = said(body.format(value="LSTM(x)"))
    assert found.helps == ("`LSTM` is given its arguments first: `LSTM()(x)` or `x |> LSTM`",)


def test_a_requirement_of_the_library_is_told_where_the_program_leads_to_it():
    (found,) = said(LONG)
    assert found.span is not None
    assert (found.code, found.span.source.name, found.span.text) == ("TRX0420", "example.trx", "Positions(context)")
    assert found.label == "128 <= 64 does not hold"
    assert [label.text for label in found.labels] == ["required here"]


LONG = """
model LM(context: int = 64) {
  input tokens: int[batch, seq]
  output logits: float[batch, seq, 256] = tokens |> Embedding(256, 8) |> Positions(context) |> Dense(256)
}
data corpus {
  source = text("a.txt")
  tokens = bytes() >> window(128)
}
train lm for LM {
  data = corpus
  loss = cross_entropy(logits, targets)
  optimizer = adam(1e-3)
  batch = 2
  steps = 5
}
"""


def test_a_record_with_an_equals_sign_is_mended():
    text = "data d {\n  source = digits()\n  split = { train = 0.9, valid = 0.1 }\n}\n"
    (found,) = said(text)
    assert (found.code, found.helps) == ("TRX0109", ("`split { … }`",))
    (edit,) = found.edits
    mended = text[: edit.span.start] + edit.replacement + text[edit.span.end :]
    assert "  split { train = 0.9" in mended
    assert said(mended) == []


def test_a_field_by_a_longer_name_is_one_error():
    (found,) = said(LONG.replace("batch = 2", "batch_size = 2").replace("window(128)", "window(64)"))
    assert (found.code, found.helps) == ("TRX0501", ("did you mean `batch`?",))
