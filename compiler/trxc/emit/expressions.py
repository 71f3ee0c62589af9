"""Python expressions on one line: as `ruff format` would write them, with no more parentheses than are needed."""

from __future__ import annotations

import ast
from collections.abc import Mapping

ATOM = 20
UNARY, POWER = 14, 15
LOWEST = 0

_BINARY: dict[type[ast.operator], tuple[str, int]] = {
    ast.BitOr: ("|", 8),
    ast.BitXor: ("^", 9),
    ast.BitAnd: ("&", 10),
    ast.LShift: ("<<", 11),
    ast.RShift: (">>", 11),
    ast.Add: ("+", 12),
    ast.Sub: ("-", 12),
    ast.Mult: ("*", 13),
    ast.Div: ("/", 13),
    ast.FloorDiv: ("//", 13),
    ast.Mod: ("%", 13),
    ast.MatMult: ("@", 13),
    ast.Pow: ("**", POWER),
}
_UNARY: dict[type[ast.unaryop], str] = {ast.USub: "-", ast.UAdd: "+", ast.Invert: "~", ast.Not: "not "}
_COMPARE: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.Is: "is", ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip


def parse(text: str) -> ast.expr:
    """The tree of an expression."""
    return ast.parse(text, mode="eval").body


class _Substitution(ast.NodeTransformer):
    def __init__(self, values: Mapping[str, ast.expr]) -> None:
        self.values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.values.get(node.id, node)


def substitute(expression: ast.expr, values: Mapping[str, ast.expr]) -> ast.expr:
    """The expression with names replaced by expressions."""
    replaced = _Substitution(values).visit(expression)
    assert isinstance(replaced, ast.expr)
    return replaced


def flat(node: ast.expr, above: int = LOWEST) -> str:
    """The expression on one line, in parentheses where it binds no tighter than what it stands in asks for."""
    text, level = _written(node)
    return f"({text})" if level < above else text


def _written(node: ast.expr) -> tuple[str, int]:
    """The text, and how tightly its outermost operator binds."""
    match node:
        case ast.BinOp():
            return _binary(node)
        case ast.UnaryOp():
            level = 5 if isinstance(node.op, ast.Not) else UNARY
            return f"{_UNARY[type(node.op)]}{flat(node.operand, level)}", level
        case ast.Compare():
            parts = [flat(node.left, 8)]
            for op, right in zip(node.ops, node.comparators, strict=True):
                parts += [_COMPARE[type(op)], flat(right, 8)]
            return " ".join(parts), 7
        case ast.BoolOp():
            level, word = (4, " and ") if isinstance(node.op, ast.And) else (3, " or ")
            return word.join(flat(value, level + 1) for value in node.values), level
        case ast.IfExp():
            return f"{flat(node.body, 3)} if {flat(node.test, 3)} else {flat(node.orelse, 2)}", 2
        case ast.Lambda():
            arguments = ast.unparse(node.args)
            return f"lambda {arguments}: {flat(node.body)}" if arguments else f"lambda: {flat(node.body)}", 1
        case ast.Starred():
            return f"*{flat(node.value, 8)}", ATOM
        case _:
            return _atom(node), ATOM


def _binary(node: ast.BinOp) -> tuple[str, int]:
    symbol, level = _BINARY[type(node.op)]
    if isinstance(node.op, ast.Pow):
        space = "" if _simple(node.left) and _simple(node.right) else " "
        return f"{flat(node.left, POWER + 1)}{space}**{space}{flat(node.right, UNARY)}", level
    return f"{flat(node.left, level)} {symbol} {flat(node.right, level + 1)}", level


def _simple(node: ast.expr) -> bool:
    """Whether `**` hugs it: a name, a number, an attribute of a name, or the negative of one."""
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.USub) and _simple(node.operand)
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name) or (isinstance(node, ast.Constant) and isinstance(node.value, int | float))


def _atom(node: ast.expr) -> str:
    match node:
        case ast.Name():
            return node.id
        case ast.Constant():
            return literal(node.value)
        case ast.Attribute():
            number = isinstance(node.value, ast.Constant) and isinstance(node.value.value, int)
            return f"({flat(node.value)}).{node.attr}" if number else f"{flat(node.value, ATOM)}.{node.attr}"
        case ast.Call():
            return f"{flat(node.func, ATOM)}({', '.join(arguments(node))})"
        case ast.Subscript():
            return f"{flat(node.value, ATOM)}[{', '.join(indices(node.slice))}]"
        case ast.Tuple():
            comma = "," if len(node.elts) == 1 else ""
            return f"({', '.join(map(flat, node.elts))}{comma})"
        case ast.List():
            return f"[{', '.join(map(flat, node.elts))}]"
        case ast.ListComp():
            return f"[{' '.join([flat(node.elt), *loops(node)])}]"
        case ast.Dict():
            return "{" + ", ".join(entries(node)) + "}"
        case _:
            raise ValueError(f"no layout for `{ast.unparse(node)}`")


def arguments(node: ast.Call) -> list[str]:
    """The arguments of a call, each on one line."""
    named = (f"{k.arg}={flat(k.value)}" if k.arg else f"**{flat(k.value)}" for k in node.keywords)
    return [*map(flat, node.args), *named]


def entries(node: ast.Dict) -> list[str]:
    """The entries of a dict, each on one line."""
    return [
        f"**{flat(value)}" if key is None else f"{flat(key)}: {flat(value)}"
        for key, value in zip(node.keys, node.values, strict=True)
    ]


def loops(node: ast.ListComp) -> list[str]:
    """The `for … in …` of a list that is made by loops."""
    return [f"for {flat(loop.target)} in {flat(loop.iter)}" for loop in node.generators]


def indices(node: ast.expr) -> list[str]:
    """What stands between the brackets of a subscript."""
    if isinstance(node, ast.Tuple) and len(node.elts) > 1:
        return [_index(item) for item in node.elts]
    return [_index(node)]


def _index(node: ast.expr) -> str:
    if not isinstance(node, ast.Slice):
        return flat(node)
    bounds = [b for b in (node.lower, node.upper, node.step) if b is not None]
    space = "" if all(_simple(b) for b in bounds) else " "
    text = f"{flat(node.lower)}{space}:" if node.lower else ":"
    text += f"{space}{flat(node.upper)}" if node.upper else ""
    return text + (f"{space}:{space}{flat(node.step)}" if node.step else "")


def literal(value: object) -> str:
    """A literal by `repr`, strings in double quotes where that needs no escape."""
    if value is Ellipsis:
        return "..."
    text = repr(value)
    if isinstance(value, str) and text.startswith("'") and '"' not in value:
        return f'"{text[1:-1]}"'
    return text


def number(value: float | int | bool) -> ast.expr:
    """The tree of a number: also of those that are no literals in Python."""
    if value != value:
        return parse("jnp.nan")
    if value in (float("inf"), float("-inf")):
        return parse("jnp.inf" if value > 0 else "-jnp.inf")
    return parse(repr(value))


def is_plain(node: ast.expr) -> bool:
    """Whether it is a name, a literal, or a weight read by its path: nothing that would be computed twice."""
    if isinstance(node, ast.UnaryOp):
        return is_plain(node.operand)
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return isinstance(node, ast.Name | ast.Constant)
