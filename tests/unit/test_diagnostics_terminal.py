"""What a person sees."""

from __future__ import annotations

import re

import pytest

from trxc.diagnostics import Diagnostic, Label
from trxc.diagnostics.terminal import render, render_all, summary
from trxc.source import Source, Span


def find(source: Source, text: str, after: str = "") -> Span:
    at = source.text.index(text, source.text.index(after))
    return Span(source, at, at + len(text))


def show(diagnostic: Diagnostic) -> str:
    return render(diagnostic, colour=False)


GPT = Source(
    "gpt.trx",
    "\n" * 23
    + "  input x: float[batch, seq, embed]\n"
    + "\n" * 6
    + "    |> residual(LayerNorm >> Dense(mlp) >> gelu >> Dense(512))\n",
)
CLASH = Diagnostic(
    "TRX0204",
    "dim `embed` is 384 here and 512 there",
    find(GPT, "Dense(512)"),
    label="gives [batch, seq, 512]",
    labels=(
        Label(find(GPT, "embed"), "384, from `Embedding(vocab, 384)` at line 40"),
        Label(find(GPT, "residual"), "adds x: [batch, seq, 384]"),
    ),
    helps=("`Dense(embed)` gives [batch, seq, 384]",),
    trail=("Block(heads = 6), instance 1 of 6, from GPT at line 41",),
)

LOOK = """\
error[TRX0204]: dim `embed` is 384 here and 512 there
  ┌─ gpt.trx:31:52
  │
24│   input x: float[batch, seq, embed]
  │                              ----- 384, from `Embedding(vocab, 384)` at line 40
31│     |> residual(LayerNorm >> Dense(mlp) >> gelu >> Dense(512))
  │        -------- adds x: [batch, seq, 384]          ^^^^^^^^^^ gives [batch, seq, 512]
  │
  = help: `Dense(embed)` gives [batch, seq, 384]
  = in Block(heads = 6), instance 1 of 6, from GPT at line 41"""


def test_it_looks_as_the_language_says():
    assert show(CLASH) == LOOK


def test_colour_adds_nothing_but_colour():
    coloured = render(CLASH, colour=True)
    assert "\x1b[1;31m^^^^^^^^^^" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == LOOK


def test_labels_without_room_hang_below():
    source = Source("a.trx", "y = f(a) + g(b)\n")
    labels = (Label(find(source, "y"), "named here"), Label(find(source, "f(a)"), "a float"))
    item = Diagnostic("TRX0201", "no", find(source, "g(b)"), label="an int", labels=labels)
    assert show(item).splitlines()[3:] == [
        " 1│ y = f(a) + g(b)",
        "  │ -   ----   ^^^^ an int",
        "  │ │   │",
        "  │ │   a float",
        "  │ named here",
    ]


def test_labels_at_the_same_place_are_both_said():
    source = Source("a.trx", "y = x\n")
    span = find(source, "x")
    item = Diagnostic("TRX0201", "no", span, label="first", labels=(Label(span, "second"),))
    assert show(item).splitlines()[4:] == ["  │     ^ first", "  │     │", "  │     second"]


def test_a_mark_inside_another():
    source = Source("a.trx", "y = f(a, b)\n")
    item = Diagnostic("TRX0201", "no", find(source, "a"), label="in", labels=(Label(find(source, "f(a, b)"), "out"),))
    assert show(item).splitlines()[4:] == ["  │     --^---- out", "  │       │", "  │       in"]


def test_wide_characters_and_tabs_keep_the_carets_in_place():
    source = Source("a.trx", '\tx = "漢字" + y\n')
    lines = show(Diagnostic("TRX0201", "no", find(source, "y"))).splitlines()
    assert lines[3] == ' 1│     x = "漢字" + y'
    assert lines[4] == "  │ " + " " * 17 + "^"


def test_a_combining_character_takes_no_column():
    source = Source("a.trx", "e\u0301 = y\n")
    assert show(Diagnostic("TRX0201", "no", find(source, "y"))).splitlines()[4] == "  │     ^"


def test_nothing_of_a_stranger_reaches_the_terminal_as_it_is():
    hostile = "\x1b[2J\x9b31m\u202eevil\x00\x07\r\x7f\u2028\ud800"
    source = Source(f"a{hostile}.trx", f"x {hostile}\n")
    item = Diagnostic(
        "TRX0101",
        hostile,
        Span(source, 0, 1),
        label=hostile,
        labels=(Label(Span(source, 2, 4), hostile),),
        notes=(hostile,),
        helps=(hostile,),
        trail=(hostile,),
    )
    shown = render_all([item], colour=False)
    assert all(char == "\n" or char.isprintable() for char in shown)
    assert "␛[2J" in shown
    assert "\\u{202e}" in shown


def test_a_message_of_any_length_stays_readable():
    assert len(show(Diagnostic("TRX0101", "x" * 100_000, None))) < 3_000


def test_of_a_very_long_line_the_part_around_the_mark_is_shown():
    source = Source("a.trx", "a" * 50_000 + "HERE" + "b" * 50_000)
    lines = show(Diagnostic("TRX0101", "no", find(source, "HERE"))).splitlines()
    assert max(map(len, lines)) < 300
    assert lines[3][lines[4].index("^") :].startswith("HERE")
    assert lines[4].count("^") == len("HERE")


def test_windows_line_endings():
    source = Source("a.trx", "x = 1\r\ny = (\r\n")
    lines = show(Diagnostic("TRX0101", "no", find(source, "(\r\n"), label="opened here")).splitlines()
    assert lines[3:] == [" 2│ y = (", "  │     ^ opened here"]


def test_a_span_over_several_lines():
    source = Source("a.trx", "y = f(a,\n\n      b)\nz\n")
    lines = show(Diagnostic("TRX0101", "no", find(source, "f(a,\n\n      b)"), label="this call")).splitlines()
    assert lines[3:] == [" 1│ y = f(a,", "  │     ^^^^", " 3│       b)", "  │       ^^ this call"]


def test_a_span_over_many_lines_shows_its_ends():
    source = Source("a.trx", "layer F {\n" + "  x\n" * 50 + "}\n")
    lines = show(Diagnostic("TRX0101", "no", Span(source, 0, len(source.text)), label="all of it")).splitlines()
    assert lines[3:] == [" 1│ layer F {", "  │ ^^^^^^^^^", "  ⋮", "52│ }", "  │ ^ all of it"]


@pytest.mark.parametrize("text", ["y = x +\n", "y = x +\n\n\n"])
def test_the_end_of_the_file_is_shown_with_the_line_before_it(text: str):
    source = Source("a.trx", text)
    item = Diagnostic("TRX0101", "no", Span(source, len(text), len(text)), label="expected an expression")
    last = text.count("\n") + 1
    assert show(item).splitlines()[1] == f"  ┌─ a.trx:{last}:1"
    assert show(item).splitlines()[3:] == [" 1│ y = x +", f" {last}│", "  │ ^ expected an expression"]


@pytest.mark.parametrize("text", ["", "\n", "x"])
def test_a_span_past_the_end_does_no_harm(text: str):
    assert "^ here" in show(Diagnostic("TRX0101", "no", Span(Source("a.trx", text), 5, 9), label="here"))


def test_without_a_place():
    item = Diagnostic("TRX0701", "cannot read it", None, helps=("write it\nfirst",), notes=("so",))
    assert show(item).splitlines() == [
        "error[TRX0701]: cannot read it",
        "  = help: write it",
        "          first",
        "  = note: so",
    ]


def test_a_label_in_another_file_has_its_own_place():
    library = Source("std/norm.trx", "layer Norm\n")
    item = Diagnostic("TRX0301", "twice", find(GPT, "residual"), labels=(Label(find(library, "Norm"), "first"),))
    assert show(item).splitlines()[5:] == [
        "  │",
        "  ┌─ std/norm.trx:1:7",
        "  │",
        " 1│ layer Norm",
        "  │       ---- first",
    ]


def test_line_numbers_of_four_digits_move_the_frame():
    source = Source("a.trx", "\n" * 1233 + "x\n")
    assert show(Diagnostic("TRX0101", "no", find(source, "x"))).splitlines()[1:] == [
        "    ┌─ a.trx:1234:1",
        "    │",
        "1234│ x",
        "    │ ^",
    ]


def test_all_of_them_in_source_order_with_a_summary():
    early = Diagnostic("TRX0202", "early", find(GPT, "input"), severity="warning")
    shown = render_all([CLASH, early, Diagnostic("TRX0701", "nowhere", None)], colour=False)
    assert shown.index("nowhere") < shown.index("early") < shown.index("dim `embed`")
    assert shown.endswith("\n\n2 errors, 1 warning in gpt.trx")


def test_the_summary_counts():
    other = Diagnostic("TRX0101", "no", Span(Source("b.trx", "x"), 0, 1))
    assert summary([]) == ""
    assert summary([CLASH, other]) == "2 errors in 2 files"
    assert summary([Diagnostic("TRX0701", "no", None, severity="warning")]) == "1 warning"
    assert render_all([], colour=False) == ""
