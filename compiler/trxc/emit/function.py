"""Functions of the IR as Python functions: signature, docstring, sizes read off the inputs, body."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from ..ir import Function
from ..source import Span
from ..types import ANY
from . import loops as loops  # registers how loops and branches are written
from .dtypes import shape_comment
from .expressions import literal, parse
from .layout import WIDTH
from .lines import Line
from .names import docstring
from .pending import Pending, named
from .region import RegionWriter
from .scope import Frame, FunctionContext, Names, ProgramContext
from .sizes import Bindings, bind_symbols
from .state import StateView
from .uses import Uses


@dataclass
class Form:
    """How a function stands in the program.

    A layer takes its inputs as arguments. A role takes them in a dict (`source`), and gives what the contract with
    the runtime asks for: `scalar` with the new state, or a `dict` of named results.
    """

    name: str
    doc: str
    source: str = ""
    parameters: tuple[str, ...] = ()
    gives: str = "values"
    key: str = "key"


@dataclass
class Definition:
    """A Python function as it is written: its name, parameters and docstring, and the lines of its body."""

    name: str
    parameters: list[str]
    doc: str
    body: list[Line]
    span: Span | None

    @property
    def lines(self) -> list[Line]:
        """All lines of the definition."""
        head = [Line(line, self.span) for line in definition(self.name, self.parameters)]
        return [*head, *(Line(line) for line in docstring(self.doc, "    ")), *self.body]


def layer_form(program: ProgramContext, function: Function) -> Form:
    """The form of a layer instance."""
    first = function.doc.strip().split("\n")[0]
    return Form(program.functions[function.name], first or f"{function.title or function.name}.")


def write_function(program: ProgramContext, function: Function, form: Form) -> Definition:
    """A function as Python writes it; notes which sizes it takes by keyword."""
    needs = program.needs.functions[function.name]
    context = FunctionContext(program, function, Uses(function, lambda op: program.needs.op(op).changes))
    names = Names(program.reserved, {*program.functions.values(), *program.symbols.values(), form.source})
    frame = Frame(parse("params"), StateView(parse("state")), parse(form.key))
    writer = RegionWriter(context, function.body, frame, names, 4)
    inputs = _bind_inputs(writer, function)
    writer.write()
    _return(writer, function, form, needs.changes)
    bound = bind_symbols(context.symbols, function.inputs, inputs, program.symbols)
    program.sizes[function.name] = tuple(bound.missing)
    head = _from_dict(function, form, inputs, writer, bound) if form.source else []
    head += _size_lines(program, function, inputs, bound)
    gap = [Line("")] if context.lines and context.lines[0].code.lstrip().startswith("def ") else []
    parameters = _parameters(program, function, form, inputs, bound)
    return Definition(form.name, parameters, form.doc, head + gap + context.lines, function.span)


def _bind_inputs(writer: RegionWriter, function: Function) -> list[str]:
    names: list[str] = []
    for at, value in enumerate(function.inputs):
        name = writer.names.take(
            value.name or ("x" if len(function.inputs) == 1 else f"x{at + 1}"), -1, writer.until(value), beside=True
        )
        writer.context.items[value] = named(name, value)
        writer.context.commented.add(name)
        names.append(name)
    return names


def _parameters(
    program: ProgramContext, function: Function, form: Form, inputs: Sequence[str], bound: Bindings
) -> list[str]:
    needs = program.needs.functions[function.name]
    parameters = list(form.parameters)
    if not form.source:
        parameters = ["params"] * needs.params + ["state"] * needs.state + list(inputs) + ["key"] * needs.key
        sizes = [program.symbols[symbol] for symbol in bound.missing]
        parameters += ["*", *sizes] if sizes else []
    return parameters


def definition(name: str, parameters: Sequence[str], indent: int = 0) -> list[str]:
    """The lines of `def name(parameters):`."""
    pad = " " * indent
    line = f"{pad}def {name}({', '.join(parameters)}):"
    if len(line) <= 88:
        return [line]
    row = f"{pad}    {', '.join(parameters)}"
    inside = [row] if len(row) <= 88 else [f"{pad}    {parameter}," for parameter in parameters]
    return [f"{pad}def {name}(", *inside, f"{pad}):"]


def _from_dict(
    function: Function, form: Form, inputs: Sequence[str], writer: RegionWriter, bound: Bindings
) -> list[Line]:
    """A line for each input that is read: `tokens = batch["tokens"]`."""
    lines: list[Line] = []
    solved = " ".join(text for _, text in bound.solved)
    for at, (value, name) in enumerate(zip(function.inputs, inputs, strict=True)):
        if value not in writer.context.uses.sites and at not in bound.axes and f"{name}.shape" not in solved:
            continue
        line = f"    {name} = {form.source}[{literal(value.name or name)}]"
        comment = shape_comment(value.type) if value.type.rank else ""
        lines.append(Line(line, function.span, comment if len(line) + len(comment) + 4 <= WIDTH else ""))
    return lines


def _size_lines(program: ProgramContext, function: Function, inputs: Sequence[str], bound: Bindings) -> list[Line]:
    """`batch, seq = tokens.shape`, of the sizes that are needed."""
    texts: list[tuple[str, Span | None]] = []
    for at, axes in sorted(bound.axes.items()):
        rank = function.inputs[at].type.rank
        if len(axes) == 1:
            ((axis, symbol),) = axes.items()
            texts.append((f"{program.symbols[symbol]} = {inputs[at]}.shape[{axis}]", function.span))
        else:
            targets = [program.symbols[axes[axis]] if axis in axes else "_" for axis in range(rank)]
            texts.append((f"{', '.join(targets)} = {inputs[at]}.shape", function.span))
    for symbol, text in bound.solved:
        tidy = Pending(parse(text), ANY).text
        texts.append((f"{program.symbols[symbol]} = {tidy}", function.span))
    return [Line(f"    {text}", span) for text, span in texts]


def _return(writer: RegionWriter, function: Function, form: Form, changes: bool) -> None:
    marks = [f"_{at}" for at in range(len(function.results))]
    operands = {mark: writer.strong_item(v) for mark, v in zip(marks, function.results, strict=True)}
    parts: list[ast.expr] = [parse(mark) for mark in marks]
    if form.gives == "dict":
        keys = [parse(literal(name)) for name in function.output_names]
        writer.finish("return ", ast.Dict(list(keys), parts), operands)
        return
    if changes or form.gives == "scalar":
        parts.append(_changed_state(writer, function) if changes else parse("state"))
    comment = ""
    if len(parts) == len(function.results) == 1 and function.results[0].type.rank and not operands["_0"].plain:
        comment = shape_comment(function.results[0].type)
    writer.finish("return ", parts[0] if len(parts) == 1 else ast.Tuple(parts, ast.Load()), operands, comment)


def _changed_state(writer: RegionWriter, function: Function) -> ast.expr:
    tree = writer.frame.state.new((), writer.context.program.needs.leaves[function.name])
    if not isinstance(tree, ast.Dict):
        return tree
    name = writer.names.take("new_state", writer.now, float("inf"), beside=True)
    writer.emit(f"{name} = ", Pending(tree, ANY), function.span)
    return ast.Name(name, ast.Load())
