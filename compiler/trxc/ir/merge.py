"""Functions that are the same become one."""

from __future__ import annotations

from ..dims import dim
from .clone import Renaming, clone_function
from .ir import Function, Module
from .printer import to_text
from .walk import call_order, callee, definitions


def merge_equal_functions(module: Module) -> int:
    """Makes one of functions that differ only in the names of values, in local axis labels, or in input symbols.

    The first of equal functions stays, by its name; callees are merged before their callers. Functions with different
    parameters are never equal, as parameters are part of the text that is compared.

    Returns:
        The number of functions that are gone.
    """
    firsts: dict[str, str] = {}
    merged: dict[str, str] = {}
    for name in call_order(module):
        function = module.functions[name]
        _retarget(function, merged)
        first = firsts.setdefault(canonical_text(function), name)
        if first != name:
            merged[name] = first
    for name in merged:
        del module.functions[name]
    module.roles = {role: merged.get(name, name) for role, name in module.roles.items()}
    return len(merged)


def _retarget(function: Function, merged: dict[str, str]) -> None:
    for op in function.body.walk():
        if op.kind == "call":
            op.attributes["callee"] = merged.get(callee(op), callee(op))


def canonical_text(function: Function) -> str:
    """The text of a function without what does not matter: equal for functions that can stand for each other.

    Its name, title and documentation are left out, values are numbered, local axis labels and the symbols that its
    inputs determine (with the axis names that they lend) are numbered in order.
    """
    copy = clone_function(function, "", _canonical(function))
    copy.title = copy.doc = ""
    for value in definitions(copy.body):
        value.name = None
    return to_text(copy)


def _canonical(function: Function) -> Renaming:
    axes = [axis for value in function.inputs for axis in value.type.axes]
    free = dict.fromkeys(axis.size.symbol.name for axis in axes if axis.size.symbol)
    symbols = {name: f"%size{number}" for number, name in enumerate(free)}
    all_axes = (axis for value in definitions(function.body) for axis in value.type.axes)
    labels = dict.fromkeys(axis.name for axis in all_axes if axis.name and axis.public_name is None)
    names = {name: f"%axis{number}" for number, name in enumerate(labels)}
    return Renaming({name: dim(new) for name, new in symbols.items()}, symbols | names)
