"""What the syntax front end says about wrong text."""

from pathlib import Path

import pytest

from trxc.diagnostics.diagnostic import Diagnostic, Diagnostics
from trxc.source import Source
from trxc.syntax import ast, parse, parse_expression

CASES = sorted((Path(__file__).parent.parent / "cases" / "syntax").glob("*.trx"))


def read(text: str) -> tuple[ast.File, list[Diagnostic]]:
    diagnostics = Diagnostics()
    return parse(Source("case.trx", text), diagnostics), list(diagnostics)


def report(text: str) -> str:
    """One line a diagnostic: place, code, message; then its help and its mend."""
    lines: list[str] = []
    for found in read(text)[1]:
        assert found.span is not None
        lines.append(f"{found.span.line}:{found.span.column} {found.code} {found.message}")
        lines.extend(f"    = help: {help_}" for help_ in found.helps)
        lines.extend(f"    = mend: `{edit.span.text}` -> `{edit.replacement}`" for edit in found.edits)
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_errors_are_as_expected(case: Path) -> None:
    assert report(case.read_text(encoding="utf-8")) == case.with_suffix(".expected").read_text(encoding="utf-8")


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_no_name_of_the_parser_is_shown(case: Path) -> None:
    for found in read(case.read_text(encoding="utf-8"))[1]:
        assert not any(word in found.message for word in ("LPAR", "RBRACE", "_NL", "WORD", "$END", "__", "star"))


def test_what_can_be_read_is_in_the_tree() -> None:
    file, found = read(
        "layer A {\n  input x: any\n  y = \n  z = f(a b)\n  w = 3\n  output w\n}\nlayer B = A\nfn c( = 3\n"
    )
    assert len(found) == 3
    first, second = file.items
    assert isinstance(first, ast.Layer) and first.body is not None
    assert [type(statement).__name__ for statement in first.body] == ["Input", "Bind", "Bind", "Bind", "Output"]
    assert isinstance(second, ast.Layer) and second.name.name == "B"
    assert isinstance(first.body[1], ast.Bind) and isinstance(first.body[1].value, ast.Malformed)


def test_the_block_of_a_bad_condition_is_read() -> None:
    file, found = read("layer A {\n  if a + {\n    y = 3\n    z 4\n  }\n  output y\n}\n")
    assert [one.code for one in found] == ["TRX0101", "TRX0110"]
    (layer,) = file.items
    assert isinstance(layer, ast.Layer) and layer.body is not None
    branch = layer.body[0]
    assert isinstance(branch, ast.If) and isinstance(branch.condition, ast.Malformed) and len(branch.then) == 1


def test_a_missing_brace_costs_one_item() -> None:
    file, found = read("layer A {\n  output x\n\n## About B.\nlayer B {\n  output x\n}\n")
    assert [one.code for one in found] == ["TRX0102"]
    assert [item.name.name for item in file.items if isinstance(item, ast.Layer)] == ["A", "B"]
    assert found[0].span is not None and found[0].span.line == 1


def test_an_unclosed_bracket_is_shown_where_it_opens_and_where_it_is_missed() -> None:
    _, (found,) = read("layer A {\n  y = f(a]\n  output y\n}\n")
    assert found.span is not None and found.span.text == "("
    assert [(label.span.text, label.text) for label in found.labels] == [("]", "`]` does not close it")]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("(" * 101 + "a" + ")" * 101, "TRX0111"),
        ("(" * 100_000, "TRX0111"),
        ("a" + " + a" * 3000, "TRX0112"),
        ("a" + " |> f" * 3000, "TRX0112"),
        ("a" + " ^ b" * 3000, "TRX0112"),
        ("f" + "(a)" * 3000, "TRX0112"),
        ("-" * 3000 + "a", "TRX0112"),
        ("9" * 401, "TRX0107"),
        ("a" + " " * 2_000_000, "TRX0113"),
    ],
    ids=["nested", "open", "sum", "pipe", "power", "calls", "signs", "digits", "file"],
)
def test_bounds(value: str, code: str) -> None:
    diagnostics = Diagnostics()
    parse_expression(Source("value", value), diagnostics)
    assert [found.code for found in diagnostics] == [code]


@pytest.mark.parametrize("operator", ["+", "|>", ">>", "@"])
def test_long_chains_below_the_bound_parse(operator: str) -> None:
    diagnostics = Diagnostics()
    tree = parse_expression(Source("value", f" {operator} ".join("a" for _ in range(2000))), diagnostics)
    assert not diagnostics.items
    depth = 0
    while not isinstance(tree, ast.Name):
        tree = tree.left if isinstance(tree, ast.Binary) else tree.value if isinstance(tree, ast.Pipe) else tree.first
        depth += 1
    assert depth == 1999


def test_else_if_chains_are_bounded() -> None:
    text = "layer A {\n  if a { b = 1 }" + " else if a { b = 1 }" * 3000 + "\n}\n"
    assert [found.code for found in read(text)[1]] == ["TRX0112"]


def test_errors_are_not_endless() -> None:
    text = "layer A {\n" + "  x = = 3\n" * 500 + "}\n"
    assert len(read(text * 3)[1]) < 110


def test_a_mend_mends() -> None:
    text = "layer A {\n  y = a ** 2\n  output y\n}\n"
    _, (found,) = read(text)
    (edit,) = found.edits
    mended = text[: edit.span.start] + edit.replacement + text[edit.span.end :]
    assert read(mended)[1] == []


@pytest.mark.parametrize(
    ("value", "message"), [("", "expected an expression here"), ("1 2", "expected the end of the text after `1`")]
)
def test_a_value_is_one_expression(value: str, message: str) -> None:
    diagnostics = Diagnostics()
    parse_expression(Source("--set", value), diagnostics)
    assert [found.message for found in diagnostics] == [message]
