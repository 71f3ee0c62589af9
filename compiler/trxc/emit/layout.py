"""Statements in lines of at most 88 columns, broken at their outermost brackets as `ruff format` breaks them."""

from __future__ import annotations

import ast

from .expressions import arguments, entries, flat, indices, loops

WIDTH = 88
STEP = 4


def statement(prefix: str, expression: ast.expr, indent: int) -> list[str]:
    """The lines of `prefix` and an expression: `x = …`, `return …`."""
    pad = " " * indent
    text = f"{prefix}{_bare(expression, prefix)}"
    if indent + len(text) <= WIDTH:
        return [pad + text]
    if not _brackets(expression):
        return [f"{pad}{prefix}(", *_lines(expression, "", indent + STEP, ""), f"{pad})"]
    first, *rest = broken(expression, indent)
    return [f"{pad}{prefix}{first}", *rest]


def fits(prefix: str, expression: ast.expr, indent: int) -> bool:
    """Whether the statement takes one line."""
    return indent + len(prefix) + len(_bare(expression, prefix)) <= WIDTH


def _bare(expression: ast.expr, prefix: str) -> str:
    """A returned or assigned tuple of several needs no parentheses."""
    text = flat(expression)
    loose = isinstance(expression, ast.Tuple) and len(expression.elts) > 1 and prefix
    return text[1:-1] if loose else text


def _brackets(node: ast.expr) -> bool:
    match node:
        case ast.Call():
            return bool(node.args or node.keywords)
        case ast.Tuple() | ast.List() | ast.ListComp() | ast.Dict() | ast.Subscript():
            return True
        case _:
            return False


def _lines(node: ast.expr, lead: str, indent: int, tail: str) -> list[str]:
    """An expression inside brackets, after `lead` and before `tail`, on lines of its own."""
    pad = " " * indent
    text = f"{lead}{flat(node)}{tail}"
    if indent + len(text) <= WIDTH:
        return [pad + text]
    if _brackets(node):
        first, *rest = broken(node, indent)
        return [f"{pad}{lead}{first}", *rest[:-1], rest[-1] + tail]
    if isinstance(node, ast.BinOp):
        return _operators(node, lead, indent, tail)
    return [pad + text]


def _operators(node: ast.BinOp, lead: str, indent: int, tail: str) -> list[str]:
    """A chain of operators of one level, an operand a line, each after its operator."""
    pad = " " * indent
    whole, right = flat(node), flat(node.right)
    symbol = flat(ast.BinOp(ast.Name("a"), node.op, ast.Name("b")))[1:-1].strip()
    grouped = whole.endswith(f"({right})")
    return [
        *_lines(node.left, lead, indent, ""),
        f"{pad}{symbol} {f'({right})' if grouped else right}{tail}",
    ]


def broken(node: ast.expr, indent: int) -> list[str]:
    """An expression over several lines: what is before its last bracket, the inside, and the closing bracket."""
    pad = " " * indent
    match node:
        case ast.Call():
            return [f"{flat(node.func, 20)}(", *_call_inside(node, indent + STEP), f"{pad})"]
        case ast.Subscript():
            return [f"{flat(node.value, 20)}[", f"{pad}    {', '.join(indices(node.slice))}", f"{pad}]"]
        case ast.Dict():
            return ["{", *_dict_inside(node, indent + STEP), pad + "}"]
        case ast.ListComp():
            inside = [*_lines(node.elt, "", indent + STEP, ""), *(f"{pad}    {loop}" for loop in loops(node))]
            return ["[", *inside, f"{pad}]"]
        case ast.Tuple() | ast.List():
            opening, closing = ("(", ")") if isinstance(node, ast.Tuple) else ("[", "]")
            inside = [line for item in node.elts for line in _lines(item, "", indent + STEP, ",")]
            return [opening, *inside, f"{pad}{closing}"]
        case _:
            return [flat(node)]


def _call_inside(node: ast.Call, indent: int) -> list[str]:
    row = " " * indent + ", ".join(arguments(node))
    if len(row) <= WIDTH:
        return [row]
    tail = "," if len(node.args) + len(node.keywords) > 0 else ""
    lines = [line for item in node.args for line in _lines(item, "", indent, tail)]
    for item in node.keywords:
        lines += _lines(item.value, f"{item.arg}=" if item.arg else "**", indent, tail)
    return lines


def _dict_inside(node: ast.Dict, indent: int) -> list[str]:
    lines: list[str] = []
    for text, key, value in zip(entries(node), node.keys, node.values, strict=True):
        if key is None:
            lines.append(f"{' ' * indent}{text},")
        else:
            lines += _lines(value, f"{flat(key)}: ", indent, ",")
    return lines
