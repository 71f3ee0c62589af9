"""What the language server's core answers: hover, hints, names, completion, mends."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from lsp_documents import at, checked, largest, marked, opened, pieces, whole

from trxc.lsp.answers import Refusal
from trxc.lsp.callees import signature_help
from trxc.lsp.colours import TYPES, semantic_tokens
from trxc.lsp.complete import complete
from trxc.lsp.documents import Workspace
from trxc.lsp.edits import Change
from trxc.lsp.folding import folds, selection_ranges
from trxc.lsp.formatting import format_edits
from trxc.lsp.hints import inlay_hints
from trxc.lsp.hover import hover
from trxc.lsp.navigate import definition, highlights, references
from trxc.lsp.outline import document_symbols, workspace_symbols
from trxc.lsp.problems import actions, problems
from trxc.lsp.rename import prepare_rename, rename

MODEL = """layer Double(width: int = 3) {
  input x: float[batch, f]
  dim wide = 2 * f
  both = concat([x, x], along = -1)
  output y: float[batch, wide] = both
}

model M(n: int = 4) {
  input x: float[batch, 5]
  dense = Dense(n)
  h = x |> dense
  output h |> Double
}
"""


def shown(text: str) -> str:
    document, position = marked(text)
    found = hover(document, position)
    return found.text if found is not None else ""


def test_hover_tells_the_shape_with_the_sizes_of_the_first_use() -> None:
    document = opened(MODEL)
    found = hover(document, at(document, "both ="))
    assert found is not None
    assert "binding both: float[batch, wide=8]" in found.text
    assert "8 × batch numbers" in found.text


def test_hover_in_a_layer_that_nobody_uses_tells_symbols() -> None:
    document = opened(MODEL.partition("\nmodel")[0])
    found = hover(document, at(document, "both ="))
    assert found is not None
    assert "binding both: float[batch, wide]" in found.text
    assert "2 × batch × f numbers" in found.text


def test_hover_tells_weights_flops_and_documentation() -> None:
    document = largest()
    model = hover(document, at(document, "GPT(vocab", 1))
    assert model is not None
    assert "642,688 parameters, 2.5 MiB" in model.text
    assert "FLOPs forward" in model.text
    dense = hover(document, at(document, "Dense(mlp)", 1))
    assert dense is not None
    assert "A product with a weight matrix" in dense.text
    assert "float[batch, seq, embed=128] -> float[batch, seq, mlp=512]" in dense.text
    assert "66,048 parameters" in dense.text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (MODEL.replace("2 * f\n", "2 * ‸f\n"), "dim f = 4"),
        (MODEL.replace("Dense(n)", "Dense(‸n)"), "here 4"),
        (MODEL.replace("concat(", "con‸cat("), "op concat("),
        (MODEL.replace("along", "al‸ong", 1), ""),
        ("train t for M {\n  rem‸at = dots\n}\n", "one of `none`, `dots`, `full`, `auto`"),
        ("train t for M {\n  evaluate { ev‸ery = 3 }\n}\n", "steps between evaluations"),
        ("fn f(x: float[a]) = x * p‸i\n", "3.14159"),
    ],
)
def test_hover_on(text: str, says: str) -> None:
    assert says in shown(text)


def test_hints_tell_every_binding_and_the_steps_of_long_pipes() -> None:
    document = opened(MODEL.replace("output h |> Double", "output h\n    |> Double\n    |> Dense(2)"))
    lines = document.text.splitlines()
    hints = {lines[hint.position.line].strip(): hint.text for hint in inlay_hints(document, whole(document))}
    assert hints["both = concat([x, x], along = -1)"] == ": float[batch, wide=8]"
    assert hints["dim wide = 2 * f"] == " is 8"
    assert hints["output y: float[batch, wide] = both"] == " = float[batch, wide=8]"
    assert hints["h = x |> dense"] == ": float[batch, n=4]"
    assert hints["|> Double"] == ": float[batch, wide=8]"


def test_facts_outlive_a_broken_text_and_follow_edits() -> None:
    document = opened(MODEL)
    document.change([Change(0, 0, "# 🦊 a comment\n")], 2)
    start = document.text.index("dense = Dense(n)")
    document.change([Change(start, start + len("dense = Dense(n)"), "dense = Dense((")], 3)
    checked(document)
    assert problems(document)[0].code == "TRX0102"
    hints = [hint.text for hint in inlay_hints(document, whole(document))]
    assert ": float[batch, wide=8]" in hints
    found = hover(document, at(document, "both ="))
    assert found is not None
    assert "float[batch, wide=8]" in found.text


# ---------------------------------------------------------------------- names


def test_a_name_leads_to_the_binding_above_it() -> None:
    text = "model M {\n  input x: float[b, 4]\n  x = relu(x)\n  x = tanh(x)\n  output ‸x\n}\n"
    document, position = marked(text)
    (place,) = definition(document, position)
    assert place.range.start.line == 3
    (inside,) = definition(document, at(document, "tanh(x", len("tanh(")))
    assert inside.range.start.line == 2


@pytest.mark.parametrize(
    ("piece", "file", "text"),
    [("Dense(mlp)", "layers.trx", "layer Dense("), ("table.attend", "layers.trx", "layer Embedding"),
     ("causal_mask(seq", "attention.trx", "fn causal_mask"), ("std.attention", "attention.trx", "")],
)  # fmt: skip
def test_a_library_name_leads_into_the_library(piece: str, file: str, text: str) -> None:
    document = largest()
    further = len("table.") if piece == "table.attend" else 0
    (place,) = definition(document, at(document, piece, further))
    assert place.document.endswith(f"/stdlib/{file}")
    if piece == "table.attend":
        text = "fn attend("
    home = document.workspace.at(f"std/{file}")
    assert home is not None
    line = home.text.splitlines()[place.range.start.line]
    assert text in line


def test_references_are_of_the_symbol_and_not_of_the_word() -> None:
    document = opened(MODEL)
    found = references(document, at(document, "x: float[batch, f]"))
    assert len(found) == 3
    assert {place.range.start.line for place in found} == {1, 3}
    assert len(highlights(document, at(document, "x: float[batch, 5]"))) == 2


def test_a_keyword_argument_and_a_recipe_refer_to_the_declaration() -> None:
    text = MODEL.replace("|> Double", "|> Double(width = 2)") + (
        "\ngenerate g for M {\n  prompt = x\n  from = output\n}\nmesh pod {\n  d = 2\n  wide -> d\n}\n"
    )
    document = opened(text)
    assert len(references(document, at(document, "width: int"))) == 2
    assert len(references(document, at(document, "wide ="))) == 3
    assert len(references(document, at(document, "x: float[batch, 5]"))) == 3


def test_files_that_use_each_other(tmp_path: Path) -> None:
    (tmp_path / "parts.trx").write_text("layer Twice(n: int = 2) {\n  input x: float[b, f]\n  output x * n\n}\n")
    main = 'use "parts.trx" (Twice)\nmodel M {\n  input x: float[b, 4]\n  output x |> Twice(n = 3)\n}\n'
    (tmp_path / "main.trx").write_text(main)
    workspace = Workspace([tmp_path])
    document = opened(main, workspace=workspace, path=tmp_path / "main.trx")
    (place,) = definition(document, at(document, "Twice(n"))
    assert place.document.endswith("parts.trx")
    parts = workspace.at(str((tmp_path / "parts.trx").resolve()))
    assert parts is not None
    assert len(references(document, at(document, "Twice(n"))) == 3
    edits = rename(document, at(document, "n = 3"), "times")
    assert sorted(name.rpartition("/")[2] for name in edits) == ["main.trx", "parts.trx"]
    assert sum(map(len, edits.values())) == 3
    open_parts = opened(parts.text.replace("x * n", "x * n * n"), workspace=workspace, path=tmp_path / "parts.trx")
    assert len(references(open_parts, at(open_parts, "n: int"))) == 4
    assert {found.name for found in workspace_symbols(workspace, "tw")} == {"Twice"}


def test_rename_changes_every_place() -> None:
    document = opened(MODEL)
    (edits,) = rename(document, at(document, "dense ="), "first").values()
    assert pieces(document, [edit.range for edit in edits]) == ["dense", "dense"]
    assert prepare_rename(document, at(document, "wide ="))[1] == "wide"


@pytest.mark.parametrize(
    ("piece", "new", "reason"),
    [
        ("dense =", "h", "means something else already"),
        ("dense =", "x", "means something else already"),
        ("Dense(n)", "Thick", "a name of std/layers.trx"),
        ("concat", "join", "the language itself"),
        ("dense =", "3d", "is no name"),
        ("dense =", "none", "is no name"),
        ("dense =", "gelu", "would be wrong"),
        ("Double(", "M", "means something else already"),
    ],
)
def test_rename_is_refused_with_a_reason(piece: str, new: str, reason: str) -> None:
    document = opened(MODEL)
    with pytest.raises(Refusal, match=reason):
        rename(document, at(document, piece), new)


# ------------------------------------------------------------------ completion


@pytest.mark.parametrize(
    ("text", "first", "never"),
    [
        ("use std.‸", {"attention", "optim"}, {"Dense"}),
        ("use std.attention (‸", {"causal_mask"}, {"Dense"}),
        (MODEL.replace("Dense(n)", "Dense(‸"), {"out", "bias", "init", "n", "x"}, {"wide", "input"}),
        (MODEL.replace("Dense(n)", "Dense(n, bias = ‸"), {"true", "false"}, {"out"}),
        (MODEL.replace("  h = ", "  ‸\n  h = "), {"input", "output", "dense", "Dense", "relu"}, {"batch = "}),
        (MODEL.replace("  h = x |> dense", "  h = dense.‸"), {"attend", "w", "b"} - {"attend"}, {"Dense"}),
        (MODEL.replace("  h = x |> dense", "  h = x |> dense\n  s = h.‸"), {"shape", "rank"}, {"Dense"}),
        (MODEL + "\ntrain t for M {\n  ‸\n}\n", {"data", "loss", "optimizer", "batch", "remat"}, {"relu"}),
        (MODEL + "\ntrain t for M {\n  remat = ‸\n}\n", {"none", "dots", "full", "auto"}, {"relu", "loss"}),
        (MODEL + "\ntrain t for M {\n  evaluate { ‸ }\n}\n", {"every", "best"}, {"optimizer"}),
        (MODEL + "\ntrain t for M {\n  optimizer = ‸\n}\n", {"adamw"}, {"temperature"}),
        (MODEL + "\ntrain t for ‸", {"M"}, {"Double"}),
        (MODEL.replace("x: float[batch, 5]", "x: ‸"), {"float", "int"}, {"relu"}),
        ("‸", {"layer", "model", "train"}, {"relu"}),
        ("# a comm‸ent", set(), {"layer", "relu"}),
        ('use "‸', set(), {"layer", "relu"}),
    ],
)
def test_completion(text: str, first: set[str], never: set[str]) -> None:
    whole_text = text.replace("‸", "")
    document = opened(MODEL)  # what was good before, is what the core knows of the text that is being written
    position = text.index("‸")
    document.replace(whole_text, 2)
    words = {entry.label for entry in complete(document, document.lines.position(position))}
    assert first <= words
    assert not never & words


def test_completions_carry_documentation_and_defaults() -> None:
    document, position = marked(MODEL.replace("Dense(n)", "Dense(‸n)"))
    words = {entry.label: entry for entry in complete(document, position)}
    assert words["bias"].detail == "bias: bool = true"
    assert words["bias"].insert == "bias = "
    assert "weight matrix" in words["Dense"].doc
    field, place = marked("train t for M {\n  ‸\n}\n")
    entry = next(entry for entry in complete(field, place) if entry.label == "remat")
    assert "default none" in entry.detail
    assert "backward" in entry.doc


@pytest.mark.parametrize(
    ("call", "label", "active"),
    [("Dense(‸", "layer Dense(out: int", 0), ("Dense(4, ‸", "layer Dense(out: int", 1),
     ("Dense(init = ‸", "layer Dense(out: int", 2), ("relu(Dense(4)(‸", None, None),
     ('einsum("a b", ‸', "op einsum(pattern: string, ...operands)", 1),
     ("repeat(3, ‸", "repeat(count, layer)", 1)],
)  # fmt: skip
def test_signature_help(call: str, label: str | None, active: int | None) -> None:
    document, position = marked(f"model M {{\n  input x: float[b, 4]\n  y = {call}\n  output y\n}}\n")
    found = signature_help(document, position)
    assert (found is None) == (label is None)
    if found is not None and label is not None:
        assert found.label.startswith(label)
        assert found.active == active


# --------------------------------------------------------------------- outlines


def test_symbols_of_a_document() -> None:
    document = opened(MODEL)
    outline = document_symbols(document)
    assert [(symbol.name, symbol.kind) for symbol in outline] == [("Double", "layer"), ("M", "model")]
    assert [child.name for child in outline[0].children] == ["width", "x", "wide", "both", "y"]


def test_colours_are_in_order_and_of_their_kind() -> None:
    document = opened(MODEL.replace("both", "b🦊th"[:1] + "oth"))
    colours = semantic_tokens(document)
    places = [(colour.line, colour.character) for colour in colours]
    assert places == sorted(places)
    kinds = {document.text.splitlines()[c.line][c.character : c.character + c.length]: TYPES[c.type] for c in colours}
    assert kinds["Dense"] == "class"
    assert kinds["concat"] == "function"
    assert kinds["wide"] == "typeParameter"
    assert kinds["float"] == "type"
    assert kinds["n"] == "parameter"
    half = document.lines.range(0, document.text.index("model"))
    assert semantic_tokens(document, half) == [c for c in colours if c.line < half.end.line]


def test_folds_and_selections() -> None:
    document = opened("# one\n# two\n" + MODEL)
    assert {(fold.first, fold.kind) for fold in folds(document)} == {(0, "comment"), (2, "region"), (9, "region")}
    ranges = selection_ranges(document, at(document, "f\n"))
    texts = pieces(document, ranges)
    assert texts[0] == "f"
    assert all(inner in outer for inner, outer in pairwise(texts))


def test_formatting_changes_the_lines_that_differ_only() -> None:
    document = opened(MODEL.replace("dim wide = 2 * f", "dim   wide=2*f"))
    (edit,) = format_edits(document)
    assert edit.text == "  dim wide = 2 * f\n"
    assert format_edits(opened(MODEL)) == []
    assert format_edits(opened("layer (", check=False)) == []


# ----------------------------------------------------------------------- mends


def test_a_problem_has_its_places_and_a_mend() -> None:
    document = opened(MODEL.replace("Dense(n)", "Dens(n)"))
    problem = problems(document)[0]
    assert (problem.code, problem.severity) == ("TRX0301", "error")
    assert "help: did you mean `Dense`?" in problem.message
    (action,) = actions(document, problem.range)
    assert action.title == "replace `Dens` with `Dense`"
    assert [edit.text for edit in action.edits[document.name]] == ["Dense"]
    document.change([Change(0, 0, " ")], 2)
    assert actions(document, problem.range) == []


def test_related_places_lead_into_the_library() -> None:
    text = "model M {\n  input x: float[b, 6]\n  output x |> SelfAttention(4)\n}\n"
    problem = problems(opened(text))[0]
    assert problem.range.start.line == 2 or problem.range.start.line == 0
    assert any(related.location.document.endswith(".trx") for related in problem.related)


def test_what_is_never_used_is_told_so() -> None:
    found = problems(opened(MODEL))
    assert [(problem.code, problem.unused) for problem in found] == [("TRX0308", True)]


def test_an_older_analysis_does_not_replace_a_newer_one() -> None:
    from trxc.lsp.analysis import analyse

    document = opened(MODEL, check=False)
    old = analyse(document.reading, 1)
    document.change([Change(0, 0, "# more\n")], 2)
    checked(document)
    assert document.adopt(old) is False
    assert document.analysis is not None
    assert document.analysis.version == 2
