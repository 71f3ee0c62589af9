"""Programs of a few lines, elaborated: what the tests of the checker ask of them."""

from __future__ import annotations

from trxc.diagnostics import Diagnostic, Diagnostics
from trxc.elaborate.program import Checked, Elaborated, check_program
from trxc.ir import Function, Module, Op
from trxc.ir.parameters import BoundParameter, parameter_tree, state_tree
from trxc.source import Source


def checked(text: str, **settings: str) -> Checked:
    """A program that has been checked, whatever came of it."""
    return check_program(Source("example.trx", text), None, {k.replace("__", "."): v for k, v in settings.items()},
                         Diagnostics())  # fmt: skip


def diagnostics(text: str, **settings: str) -> list[Diagnostic]:
    return list(checked(text, **settings).diagnostics)


def codes(text: str, **settings: str) -> list[str]:
    return [found.code for found in diagnostics(text, **settings)]


def problem(text: str, **settings: str) -> Diagnostic:
    """The only diagnostic of a program, which stands in the program itself."""
    found = diagnostics(text, **settings)
    assert len(found) == 1, [str(item) for item in found]
    assert found[0].span is not None
    assert found[0].span.source.name != "std" and not found[0].span.source.name.startswith("std/")
    return found[0]


def elaborated(text: str, name: str = "M", **settings: str) -> Elaborated:
    """A model or recipe of a program without errors."""
    result = checked(text, **settings)
    assert [str(item) for item in result.diagnostics if item.severity == "error"] == []
    return result.elaborated[name]


def module(text: str, name: str = "M", **settings: str) -> Module:
    return elaborated(text, name, **settings).module


def root(text: str, **settings: str) -> Function:
    return module(text, **settings).role("apply")


def output(text: str, **settings: str) -> str:
    """The type of the model's first output, as diagnostics show it."""
    (first, *_) = root(text, **settings).results
    return f"{first.type.dtype}{first.type.show()}"


def model(body: str, header: str = "") -> str:
    """A model `M` around statements."""
    return f"model M{header} {{\n{body}\n}}\n"


def weights(text: str, **settings: str) -> dict[str, BoundParameter]:
    found = module(text, **settings)
    return {item.name: item for item in parameter_tree(found, found.roles["apply"])}


def states(text: str) -> list[str]:
    found = module(text)
    return [item.name for item in state_tree(found, found.roles["apply"])]


def ops(found: Module, kind: str) -> list[Op]:
    return [op for function in found.functions.values() for op in function.body.walk() if op.kind == kind]
