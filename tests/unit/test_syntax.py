"""Right text: what the tree says."""

import subprocess
import sys
from pathlib import Path

import pytest

from trxc.diagnostics.diagnostic import Diagnostics
from trxc.resources import grammar_file, stdlib_folder
from trxc.source import Source
from trxc.syntax import ast, parse, parse_expression, parse_item, scan_items

PROGRAMS = sorted((Path(__file__).parent.parent / "cases" / "language").glob("*.trx"))


def read(text: str) -> ast.File:
    diagnostics = Diagnostics()
    file = parse(Source("case.trx", text), diagnostics)
    assert [str(found) for found in diagnostics] == []
    return file


def expression(text: str) -> ast.Expr:
    diagnostics = Diagnostics()
    tree = parse_expression(Source("value", text), diagnostics)
    assert [str(found) for found in diagnostics] == []
    assert tree is not None
    return tree


def body(*lines: str) -> tuple[ast.Statement, ...]:
    (layer,) = read("layer A {\n" + "\n".join(lines) + "\n}\n").items
    assert isinstance(layer, ast.Layer) and layer.body is not None
    return layer.body


def show(tree: ast.Expr) -> str:
    """An expression with all its parentheses."""
    match tree:
        case ast.Name(name=name):
            return name
        case ast.Number(value=value):
            return str(value)
        case ast.NextValue(name=name):
            return f"next:{name.name}"
        case ast.Unary(operator=operator, operand=operand):
            return f"({operator} {show(operand)})"
        case ast.Call(function=function, arguments=arguments):
            return f"{show(function)}({', '.join(show(one.value) for one in arguments)})"
        case ast.Attribute(value=value, name=name):
            return f"{show(value)}.{name.name}"
        case _:
            return f"({show_wide(tree)})"


def show_wide(tree: ast.Expr) -> str:
    """Operators between operands, lambdas and conditions."""
    match tree:
        case ast.Binary(operator=operator, left=left, right=right):
            return f"{show(left)} {operator} {show(right)}"
        case ast.Pipe(value=value, function=function):
            return f"{show(value)} |> {show(function)}"
        case ast.Compose(first=first, second=second):
            return f"{show(first)} >> {show(second)}"
        case ast.Lambda(parameters=parameters, body=inner):
            return f"fn({', '.join(one.name for one in parameters)}) => {show(inner)}"
        case ast.IfExpr(condition=condition, then=then, otherwise=otherwise):
            return f"if {show(condition)} {show(then)} {show(otherwise)}"
        case _:
            raise AssertionError(tree)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_the_programs_of_the_language_page_parse(program: Path) -> None:
    assert read(program.read_text(encoding="utf-8")).items


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a |> f >> g |> h", "((a |> (f >> g)) |> h)"),
        ("a + b * c - d", "((a + (b * c)) - d)"),
        ("a @ b / c // d % e", "((((a @ b) / c) // d) % e)"),
        ("-a ^ b ^ -c", "(- (a ^ (b ^ (- c))))"),
        ("not a == b and c or d", "(((not (a == b)) and c) or d)"),
        ("a + b < c or d", "(((a + b) < c) or d)"),
        ("a.b(c).d ^ 2", "(a.b(c).d ^ 2)"),
        ("a >> b or c", "(a >> (b or c))"),
        ("fn(i) => i + 1 |> f", "(fn(i) => ((i + 1) |> f))"),
        ("a |> fn(x) => x |> b", "(a |> (fn(x) => (x |> b)))"),
        ("a |> f >> fn() => b", "(a |> (f >> (fn() => b)))"),
        ("if a { b } else if c { d } else { e } + 1", "((if a b (if c d e)) + 1)"),
        ("2 * if a { b } else { c }", "(2 * (if a b c))"),
        ("(a |> f) + b", "((a |> f) + b)"),
        ("1_000 + 2.5e-1", "(1000 + 0.25)"),
        ("next h + next", "(next:h + next)"),
        ("fn + 1", "(fn + 1)"),
    ],
)
def test_precedence(text: str, shown: str) -> None:
    assert show(expression(text)) == shown


def test_spans_and_operator_spans() -> None:
    tree = expression("(a + bc) * d")
    assert isinstance(tree, ast.Binary)
    assert tree.span.text == "(a + bc) * d"
    assert (tree.operator_span.text, tree.operator_span.start) == ("*", 9)
    assert tree.left.span.text == "a + bc"


def test_names_that_are_keywords_elsewhere() -> None:
    words = ("data", "train", "input", "model", "state", "next", "fn", "param", "output", "in", "for", "use", "when")
    for word in words:
        (bound,) = body(f"{word} = {word} + {word}({word} = {word}, over = {word}.{word})")
        assert isinstance(bound, ast.Bind) and bound.names[0].name == word
        (layer,) = read(f"layer A({word}: float[..., {word}] = {word}) = f({word})").items
        assert isinstance(layer, ast.Layer) and layer.parameters[0].name.name == word
        (record,) = read(
            f"mesh {word} {{\n {word} = 2, {word}.{word} = 3\n {word} {{ }}\n {word}, x -> {word} }}"
        ).items
        assert isinstance(record, ast.Record) and len(record.fields) == 4


def test_statement_keywords() -> None:
    lines = [
        "input = 3",
        "input x: int, y: any = none",
        "output, b = f",
        "output (a) + b",
        "output a: int = 3",
        "next h = next h",
        "state, next = a",
        "dim n = 3",
        'require a <= b, "why"',
        "param w: f32[a]? = zeros when c",
        "dim: int = 3",
        "output [a]",
    ]
    kinds = "Bind Input Bind Output Output Next Bind DimDecl Require Param Bind Output"
    assert " ".join(type(statement).__name__ for statement in body(*lines)) == kinds


def test_layout() -> None:
    statements = body("a = b +  # why", "  c", "", "# x", "d = e", "  |> f  # y", "  # z", "  >> g", "h = [", "  1,",
                         "  2", "]", "if a { b = 1 }", "else if c {", "}", "else { d = 1 }", "i = f(if a {", "  b",
                         "} else { c })")  # fmt: skip
    assert [type(statement).__name__ for statement in statements] == ["Bind", "Bind", "Bind", "If", "Bind"]


def test_windows_line_ends_and_a_byte_order_mark() -> None:
    text = "\ufeff## About A.\nlayer A {\n  input x: any\n\n  output x\n}\nlayer B = A\n"
    plain, windows = read(text.removeprefix("\ufeff")), read(text.replace("\n", "\r\n"))
    assert plain == windows
    assert len(windows.items) == 2


def test_types() -> None:
    (statement,) = body("input x: float[...spatial, 4 * embed, ...]?, y: layer?, z: float[]")
    assert isinstance(statement, ast.Input)
    x, y, z = (signature.type for signature in statement.signatures)
    assert x.optional and x.dims is not None and len(x.dims) == 3
    assert isinstance(x.dims[0], ast.PackDim) and x.dims[0].name is not None and x.dims[0].name.name == "spatial"
    assert isinstance(x.dims[1], ast.Binary)
    assert isinstance(x.dims[2], ast.PackDim) and x.dims[2].name is None
    assert y.optional and y.dims is None
    assert not z.optional and z.dims == ()


def test_indices() -> None:
    tree = expression("x[..., 0:3, :, :2, 1:, -1]")
    assert isinstance(tree, ast.Index)
    assert [type(item).__name__ for item in tree.items] == ["EllipsisValue", *["Slice"] * 4, "Unary"]
    starts = [(item.start is None, item.stop is None) for item in tree.items if isinstance(item, ast.Slice)]
    assert starts == [(False, False), (True, True), (True, False), (False, True)]


def test_comprehensions_tuples_and_lists() -> None:
    tree = expression("[f(x) for x in xs if x != none]")
    assert isinstance(tree, ast.Comprehension) and tree.name.name == "x" and tree.condition is not None
    for text, count in (("()", 0), ("(a,)", 1), ("(a, b,)", 2)):
        tree = expression(text)
        assert isinstance(tree, ast.TupleExpr) and len(tree.items) == count
    tree = expression("[a, (b), [c],]")
    assert isinstance(tree, ast.ListExpr) and len(tree.items) == 3


def test_strings() -> None:
    assert expression(r'"a\n\t\r\\\"\u{1F600}é # no comment"') == ast.String(
        expression('""').span, 'a\n\t\r\\"\U0001f600é # no comment'
    )


def test_use() -> None:
    items = read('use std.attention (causal_mask, b,)\nuse "lib/blocks.trx" (Block)\nuse a.b as c\n').items
    assert [(item.path, len(item.names), item.alias) for item in items if isinstance(item, ast.Use)][:2] == [
        (("std", "attention"), 2, None),
        ("lib/blocks.trx", 1, None),
    ]
    assert isinstance(items[2], ast.Use) and items[2].alias is not None and items[2].alias.name == "c"


def test_extern() -> None:
    optimizer, transform, layer = read(
        'extern optimizer adamw(rate: schedule = 1e-3, ...rest: any) from "optax:adamw" (lr = rate, rate)\n'
        'extern transform window(length: int) -> tokens: int[length], targets: int[length] from "data:window"\n'
        'extern layer Flash from "kernels:flash" {\n  input q: float[a], k: float[a]\n  output y: float[a], z: int\n}\n'
    ).items
    assert isinstance(optimizer, ast.Extern) and optimizer.arguments is not None
    assert [one.name.name if one.name else None for one in optimizer.arguments] == ["lr", None]
    assert [one.variadic for one in optimizer.parameters] == [False, True]
    assert isinstance(transform, ast.Extern) and transform.arguments is None
    assert [one.name.name for one in transform.yields] == ["tokens", "targets"]
    assert isinstance(layer, ast.Extern) and layer.kind.name == "layer" and layer.target.value == "kernels:flash"
    assert [type(one).__name__ for one in layer.body] == ["Input"]
    assert [one.name.name for one in layer.yields] == ["y", "z"]


def test_records() -> None:
    (record,) = read(
        'weights w for GPT {\n  format = safetensors, "a.{i}" -> blocks[i].attention.{wq, wk}\n'
        "  split { train = 0.9\n valid = 0.1, }\n  a.b = float[28, 28]\n  heads, mlp -> model,\n}\n"
    ).items
    assert isinstance(record, ast.Record) and record.subject is not None and record.subject.name == "GPT"
    field, rule, split, path, mesh = record.fields
    assert isinstance(field, ast.Field) and isinstance(field.value, ast.Name)
    assert isinstance(rule, ast.Rule) and isinstance(rule.keys[0], ast.String) and isinstance(rule.target, ast.Names)
    assert isinstance(split, ast.SubRecord) and len(split.fields) == 2
    assert isinstance(path, ast.Field) and [part.name for part in path.path] == ["a", "b"]
    assert isinstance(path.value, ast.Index)
    assert isinstance(mesh, ast.Rule) and len(mesh.keys) == 2


def test_documentation() -> None:
    text = "# The heading.\n# Of two lines.\n\n## First line.\n##\n##   indented\nlayer A = B\n# plain\nfn b() = 1\n"
    file = read(text)
    assert file.doc == "The heading.\nOf two lines."
    layer, function = file.items
    assert isinstance(layer, ast.Layer) and layer.doc == "First line.\n\n  indented"
    assert isinstance(function, ast.Fn) and function.doc == ""
    assert read("## About A.\nlayer A = B\n").doc == ""


LIBRARY = """# A library.
use std.attention (mask)

## First.
layer First(a: int) {
  input x: any
  data = f(
    x,
  )
  output data
}
fn second(x) = "layer Fake {" + x  # layer Comment {
extern schedule third(peak: float) from "m:f"
train first for First { }
layer First = other
"""


def test_items_are_found_without_parsing() -> None:
    chunks = scan_items(Source("library.trx", LIBRARY))
    assert list(chunks) == ["First", "second", "third", "first"]
    assert LIBRARY[chunks["First"].start :].startswith("## First.\nlayer First(a: int)")


def test_an_item_is_parsed_by_itself_as_in_its_file() -> None:
    source = Source("library.trx", LIBRARY)
    whole = {item.name.name: item for item in reversed(read(LIBRARY).items) if not isinstance(item, ast.Use)}
    for name, chunk in scan_items(source).items():
        diagnostics = Diagnostics()
        item = parse_item(source, chunk, diagnostics)
        assert item is not None and not diagnostics.items
        assert item == whole[name]
        assert (item.span.start, item.span.text) == (whole[name].span.start, whole[name].span.text)
        assert not isinstance(item, ast.Use) and LIBRARY[item.name.span.start :].startswith(name)


def test_the_resource_folders_are_the_checkouts() -> None:
    root = Path(__file__).parent.parent.parent
    assert grammar_file("trx.lark") == root / "grammar" / "trx.lark"
    assert stdlib_folder().name == "stdlib"


def test_parsing_needs_no_lark_once_the_tables_are_cached() -> None:
    code = (
        "import sys; from trxc.syntax import parse; from trxc.source import Source;"
        "from trxc.diagnostics.diagnostic import Diagnostics; d = Diagnostics();"
        "parse(Source('a', 'layer A = B'), d); assert not d.items; print('lark' in sys.modules, 'jax' in sys.modules)"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(2)]
    assert runs[1].stdout == "False False\n"
