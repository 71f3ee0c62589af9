"""Whatever is typed, a check that goes on from the versions before says what a check of the text alone says."""

from __future__ import annotations

import gc
from pathlib import Path
from random import Random

import pytest
from lsp_documents import PROJECT

from trxc.driver import check
from trxc.lsp.analysis import analyse
from trxc.lsp.documents import Document, Workspace
from trxc.lsp.edits import Change
from trxc.lsp.show import value_text
from trxc.lsp.tree import walk
from trxc.source import Source
from trxc.syntax import ast
from trxc.syntax.tables import load_tables
from trxc.syntax.tokens import tokenize

SMALL = """# A file of many items that use one another.
use std.attention (causal_mask)

const width = 8
const deep = 2 * width

fn scaled(x: float[...], by: float = 0.5) = by * x

layer Inner(out: int) {
  input x: float[batch, features]
  spare = x  # allow: TRX0307
  output x |> Dense(out) |> relu
}

## Uses the one above.
layer Outer(out: int) {
  input x: float[batch, features]
  unused = x
  output x |> Inner(out) |> scaled
}

layer Alone(rate: float = 0.1) {
  input x: float[batch, width]
  output if false { sum(x, over = width) } else { x |> Dropout(rate) }
}

model Small(hidden: int = deep) {
  input x: float[batch, 4]
  output y: float[batch, 3] = x |> Outer(hidden) |> Dense(3)
}

model Causal(embed: int = width) {
  input tokens: int[batch, seq]
  x = tokens |> Embedding(16, embed) |> LSTM(embed)
  output logits: float[batch, seq, vocab] = x |> Dense(16)
}

data text {
  source = python_source(limit_bytes = 100_000)
  tokens = bytes() >> window(16)
}

mesh two { data = 2, batch -> data }

train causal for Causal {
  data      = text
  loss      = cross_entropy(logits, targets)
  optimizer = adamw(1e-3)
  batch     = 4
  mesh      = two
  steps     = 10
}

generate some for Causal {
  prompt = tokens
  from   = logits
  sample = temperature(0.7)
  limit  = 10
}
"""
SOURCES = {
    "small": SMALL,
    **{name: (PROJECT / "examples" / f"{name}.trx").read_text(encoding="utf-8") for name in ("mlp", "quickstart")},
}


def tokens(text: str) -> list[tuple[int, int]]:
    found = tokenize(text, 0, len(text), load_tables())
    return [(token.start, token.end) for token in found] or [(0, 0)]


def edit(text: str, rng: Random) -> Change:
    """A few tokens dropped, doubled, put elsewhere or replaced by others, a line more or less, or a character typed."""
    places = tokens(text)
    start, end = rng.choice(places)
    other = text[slice(*rng.choice(places))]
    lines = text.splitlines(keepends=True) or ["\n"]
    line = rng.randrange(len(lines))
    begin = sum(map(len, lines[:line]))
    match rng.randrange(8):
        case 0:
            return Change(start, end, "")
        case 1:
            return Change(start, end, other)
        case 2:
            return Change(start, start, f"{other} ")
        case 3:
            return Change(start, start, rng.choice(("\n", " ", "x", "# note\n", "# allow: TRX0307\n")))
        case 4:
            return Change(begin, begin + len(lines[line]), "")
        case 5:
            return Change(begin, begin, rng.choice(lines))
        case 6:
            return Change(begin, begin, "\n")
        case _:
            item = text.find("\nlayer ", begin)
            at = item + 1 if item >= 0 else begin
            return Change(at, at, f"layer More{rng.randrange(3)} {{\n  input x: float[...]\n  output x\n}}\n\n")


def shown(document: Document) -> list[tuple[int, int, str]]:
    """What is known of every expression of a text that has been checked."""
    found: list[tuple[int, int, str]] = []
    for node in walk(document.reading.file):
        seen = document.value(node.span.start, node.span.end)
        if seen is not None:
            found.append((node.span.start, node.span.end, value_text(seen.value, seen.body) or ""))
    return found


def goes_on(document: Document) -> None:
    """Checks the newest version, and holds what is found to what is found about its text alone."""
    analysis = analyse(document.reading, document.version)
    document.adopt(analysis)
    alone = check(document.text, filename="test.trx")
    assert [_plain(item) for item in analysis.diagnostics] == [_plain(item) for item in alone]
    if not analysis.failed:
        fresh = Workspace().open("test.trx", document.text)
        fresh.adopt(analyse(fresh.reading, 0))
        assert shown(document) == shown(fresh)


def _plain(item: object) -> str:
    return repr(item)


@pytest.mark.parametrize(("name", "edits"), [("small", 150), ("mlp", 40), ("quickstart", 30)])
def test_edits_give_what_a_whole_check_gives(name: str, edits: int):
    rng = Random(name)
    good = text = SOURCES[name]
    document = Workspace().open("test.trx", text)
    goes_on(document)
    for version in range(1, edits + 1):
        if rng.random() < 0.3:
            document.replace(good, version)  # undone
        else:
            document.change([edit(document.text, rng)], version)
        goes_on(document)
        if document.analysis is not None and not document.analysis.failed:
            good = document.text


def checked(before: str, *after: str) -> tuple[Document, frozenset[str]]:
    """A text through its versions, and the items of the last that were not looked at."""
    document = Workspace().open("test.trx", before)
    goes_on(document)
    for version, text in enumerate(after, 1):
        document.replace(text, version)
        goes_on(document)
    memory = document.earlier.memory
    return document, memory.unchanged(document.reading.unit, document.reading.library)


def test_what_does_not_reach_a_change_is_not_checked_again():
    document = Workspace().open("test.trx", SMALL)
    goes_on(document)
    document.replace(SMALL.replace("Dense(out) |> relu", "Dense(out) |> gelu"), 1)
    memory = document.earlier.memory
    assert memory.unchanged(document.reading.unit, document.reading.library) == {
        "width", "deep", "scaled", "Causal", "text", "two", "causal", "some",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("fn scaled(", "fn scaled_(", ),
        ("layer Alone", "layer Dense(out: int) {\n  input x: float[batch, n]\n  output x\n}\n\nlayer Alone"),
        ("const width = 8", "const width = 9"),
        ("  spare = x  # allow: TRX0307\n", "  spare = x\n"),
        ("from   = logits", "from   = tokens"),
        ("x |> Embedding(16, embed) |> LSTM(embed)", "reverse(x |> Embedding(16, embed), along = seq)"),
        ("float[batch, width]\n  output if", "float[batch, wide]\n  output if"),
        ("use std.attention (causal_mask)\n", "use std.attention (causal_mask as Dense)\n"),
        ("generate some for Causal", "generate some"),
        ("mesh two { data = 2", "mesh two { rows = 2"),
    ],
)  # fmt: skip
def test_a_change_is_seen_wherever_it_matters(old: str, new: str):
    assert old in SMALL or old.startswith("x |>")
    checked(SMALL, SMALL.replace(old, new), SMALL, SMALL.replace(old, new) + "\n")


def test_a_used_file_that_changes_is_seen(tmp_path: Path):
    main, used = tmp_path / "main.trx", tmp_path / "used.trx"
    main.write_text('use "used.trx" (Part)\n\nmodel M {\n  input x: float[batch, 4]\n  output x |> Part\n}\n')
    used.write_text("layer Part {\n  input x: float[batch, n]\n  output x\n}\n")
    workspace = Workspace()
    document = workspace.open(main.as_uri(), main.read_text(), 0, main)
    document.adopt(analyse(document.reading, 0))
    assert document.analysis is not None
    assert not document.analysis.failed
    used.write_text("layer Part {\n  input x: float[batch, n, m]\n  output x\n}\n")
    document.refresh()
    document.adopt(analyse(document.reading, 1))
    assert document.analysis.failed


def test_what_is_kept_does_not_grow_with_the_versions():
    document = Workspace().open("test.trx", SMALL)
    places = [at for at in range(len(SMALL)) if SMALL.startswith("  output ", at)]
    for version in range(12):
        at = places[version % len(places)]
        document.change([Change(at, at, " ")], version)
        document.adopt(analyse(document.reading, version))
    gc.collect()
    files = [each for each in gc.get_objects() if isinstance(each, ast.File) and each.span.source.name == "test.trx"]
    assert len(files) <= 2


def test_trees_that_are_moved_are_those_that_are_read():
    from trxc.diagnostics import Diagnostics
    from trxc.syntax import Trees, parse

    trees = Trees()
    parse(Source("a", SMALL), Diagnostics(), trees)
    text = f"# more\n\n{SMALL}".replace("const deep", "const deeper = 1\nconst deep")
    source = Source("a", text)
    assert parse(source, Diagnostics(), trees) == parse(source, Diagnostics())


def test_where_a_model_without_a_recipe_is_generated_from_is_seen():
    text = """model Both(embed: int = 8) {
  input tokens: int[batch, seq]
  x = tokens |> Embedding(16, embed)
  output logits: float[batch, seq, vocab] = x |> LSTM(embed) |> Dense(16)
  output ahead: float[batch, seq, vocab] = x - mean(x, over = seq, keep = true) |> Dense(16)
}

generate some for Both {
  prompt = tokens
  from   = logits
}
"""
    document, _ = checked(text, text.replace("= logits", "= ahead"))
    assert [item.code for item in document.analysis.diagnostics] == ["TRX0601"]
