"""`apply`, `loss`, `measure` and `summarize`: the functions that the runtime calls, over dicts of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..ir import Function
from ..ir.walk import callees
from .errors import EmitError
from .expressions import literal, parse
from .function import Form, write_function
from .layout import statement
from .lines import Line
from .names import docstring, fresh
from .scope import ProgramContext

NO_KEY = "jax.random.key(0)"


@dataclass(frozen=True)
class Role:
    """What the contract with the runtime says of a role."""

    name: str
    doc: str
    parameters: tuple[str, ...]
    source: str
    gives: str
    key: str = NO_KEY


ROLES = {
    role.name: role
    for role in (
        Role("apply", "Inference: named outputs from named inputs.", ("params", "state", "inputs"), "inputs", "dict"),
        Role(
            "loss",
            "The loss of a batch in training, and the new state.",
            ("params", "state", "batch", "key"),
            "batch",
            "scalar",
            "key",
        ),
        Role("measure", "What is averaged over batches in evaluation.", ("params", "state", "batch"), "batch", "dict"),
        Role("summarize", "The metrics, from averages over all batches.", ("means",), "means", "dict"),
    )
}


def is_folded(program: ProgramContext, role: str) -> bool:
    """Whether the function of a role is written as the role itself: nothing else calls it, and it is not the model."""
    module = program.module
    name = module.roles[role]
    alone = list(module.roles.values()).count(name) == 1
    called = any(name in callees(function) for function in module.functions.values())
    changes = program.needs.functions[name].changes and role != "loss"
    return role != "apply" and alone and not called and not changes


def write_role(program: ProgramContext, role: Role) -> list[Line]:
    """A role: its function's body itself, or a call of it."""
    function = program.module.role(role.name)
    if is_folded(program, role.name):
        first = function.doc.strip().split("\n")[0]
        form = Form(role.name, first or role.doc, role.source, role.parameters, role.gives, role.key)
        lines = write_function(program, function, form).lines
    else:
        lines = _calling(program, role, function)
    if missing := program.sizes[function.name]:
        raise EmitError(f"the size `{missing[0]}` is in the shape of no input", function.span)
    return lines


def _calling(program: ProgramContext, role: Role, function: Function) -> list[Line]:
    lines = [f"def {role.name}({', '.join(role.parameters)}):", *docstring(role.doc, "    ")]
    needs = program.needs.functions[function.name]
    call = call_text(program, function, role.source, key=role.key)
    values = _result_names(program, function)
    if len(values) == 1 and not needs.changes:
        values = [call]
    else:
        state = ["state" if role.gives == "scalar" else "_"] * needs.changes
        lines += statement(f"{', '.join([*values, *state])} = ", parse(call), 4)
    if role.gives == "scalar":
        lines += statement("return ", parse(f"({values[0]}, state)"), 4)
    else:
        pairs = zip(function.output_names, values, strict=True)
        text = ", ".join(f"{literal(name)}: {value}" for name, value in pairs)
        lines += statement("return ", parse("{" + text + "}"), 4)
    return [Line(line, function.span) for line in lines]


def _result_names(program: ProgramContext, function: Function) -> list[str]:
    names: list[str] = []
    taken = {*program.functions.values(), "batch", "inputs", "means"}
    for name in function.output_names or ["value"]:
        names.append(fresh(name, {*taken, *names}, program.reserved))
    return names


def call_text(
    program: ProgramContext, function: Function, source: str, sizes: Sequence[str] = (), key: str = NO_KEY
) -> str:
    """A call of a function of the module by a role, whose inputs are in a dict.

    Args:
        program: what is written.
        function: which is called.
        source: the name of the dict.
        sizes: those that the function takes by keyword, as `name=…`.
        key: the random key, for a function that takes one.
    """
    needs = program.needs.functions[function.name]
    arguments = ["params"] * needs.params + ["state"] * needs.state
    arguments += [f"{source}[{literal(value.name or f'x{at}')}]" for at, value in enumerate(function.inputs, 1)]
    arguments += [key] * needs.key
    return f"{program.functions[function.name]}({', '.join([*arguments, *sizes])})"
