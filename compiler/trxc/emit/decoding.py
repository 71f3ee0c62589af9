"""`prepare` and `decode`: how a program goes along a sequence in chunks, keeping what later chunks need.

`prepare` gives the state that decoding begins with: all that is kept, empty, then what the model computes once.
`decode` takes it with a chunk, and gives the outputs there and the state after.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from ..ir import Function, Module
from ..ir.parameters import BoundParameter, state_tree
from ..passes.decode import CAPACITY, PREPARE, STEP
from .dtypes import dtype_name
from .errors import EmitError
from .expressions import literal, parse
from .initial import nested
from .layout import statement
from .lines import Line
from .names import docstring
from .scope import ProgramContext
from .sizes import size_text
from .state import subscript


def kept_states(module: Module) -> list[BoundParameter]:
    """What decoding keeps beside the model's own states, each once."""
    if STEP not in module.roles:
        return []
    own = {
        state.path
        for role, name in module.roles.items()
        if role not in (STEP, PREPARE)
        for state in state_tree(module, name)
    }
    found: dict[tuple[str, ...], BoundParameter] = {}
    for role in (STEP, PREPARE):
        for state in state_tree(module, module.roles[role]):
            if state.path not in own:
                found.setdefault(state.path, state)
    return list(found.values())


def write_prepare(program: ProgramContext, kept: Sequence[BoundParameter], stateful: bool) -> list[Line]:
    """`prepare(params, state, inputs, capacity)`."""
    function = program.module.role(PREPARE)
    lines = [f"def {PREPARE}(params, state, inputs, capacity):"]
    lines += docstring("What decoding begins with: room for `capacity` places, and what is computed once.", "    ")
    shapes, known = _shapes(program, function, kept)
    lines += shapes
    tree = nested([(state.path, _zeros(program, state, known)) for state in kept])
    cache = ast.Call(parse(program.use("merged")), [parse("state"), tree], []) if stateful else tree
    needs = program.needs.functions[function.name]
    if not needs.changes:
        return _lines([*lines, *statement("return ", cache, 4)], function)
    lines += statement("state = ", cache, 4)
    arguments = ["params"] * needs.params + ["state"]
    arguments += [f"inputs[{literal(value.name or '')}]" for value in function.inputs]
    arguments += _missing(program, function, kept, known)
    call = parse(f"{program.functions[function.name]}({', '.join(arguments)})")
    return _lines(
        [*lines, *statement("return ", ast.Call(parse(program.use("merged")), [parse("state"), call], []), 4)], function
    )


def write_decode(program: ProgramContext, kept: Sequence[BoundParameter]) -> list[Line]:
    """`decode(params, state, inputs)`."""
    function = program.module.role(STEP)
    needs = program.needs.functions[function.name]
    lines = [f"def {STEP}(params, state, inputs):"]
    lines += docstring(
        "A chunk of places from number `start` on, `count` of them real; and the state after it.", "    "
    )
    arguments = ["params"] * needs.params + ["state"] * needs.state
    arguments += [f"inputs[{literal(value.name or '')}]" for value in function.inputs]
    arguments += _missing(program, function, kept, {})
    call = parse(f"{program.functions[function.name]}({', '.join(arguments)})")
    names = [name if name not in program.functions.values() else f"{name}_" for name in function.output_names]
    lines += statement(f"{', '.join([*names, *(['state'] if needs.changes else [])])} = ", call, 4)
    pairs = ", ".join(f"{literal(key)}: {name}" for key, name in zip(function.output_names, names, strict=True))
    return _lines([*lines, *statement("return ", parse(f"({{{pairs}}}, state)"), 4)], function)


def _lines(texts: Sequence[str], function: Function) -> list[Line]:
    return [Line(text, function.span) for text in texts]


def _shapes(
    program: ProgramContext, function: Function, kept: Sequence[BoundParameter]
) -> tuple[list[str], dict[str, str]]:
    """A line for every size that is needed and an input's shape tells, and the names of all that are known."""
    known = {CAPACITY: "capacity"}
    wanted = {symbol.name for state in kept for size in state.sizes for symbol in size.symbols}
    lines: list[str] = []
    for value in program.module.role("apply").inputs:
        for at, size in enumerate(value.type.sizes):
            if size.symbol is not None and size.symbol.name in wanted - known.keys():
                name = known[size.symbol.name] = program.symbols[size.symbol.name]
                lines.append(f"    {name} = inputs[{literal(value.name or '')}].shape[{at}]")
    if unknown := sorted(wanted - known.keys()):
        raise EmitError(f"the size `{unknown[0]}` of what decoding keeps is in the shape of no input", function.span)
    return lines, known


def _zeros(program: ProgramContext, state: BoundParameter, known: dict[str, str]) -> ast.expr:
    sizes = [size_text(size, known) for size in state.sizes]
    shape = f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"
    return parse(f"jnp.zeros({shape}, {dtype_name(state.parameter.type.dtype)})")


def _missing(
    program: ProgramContext, function: Function, kept: Sequence[BoundParameter], known: dict[str, str]
) -> list[str]:
    """The sizes that the function takes by keyword: known already, or those of something that is kept."""
    found: list[str] = []
    for symbol in program.sizes[function.name]:
        text = known.get(symbol) or _of_state(symbol, kept)
        if text is None:
            raise EmitError(f"the size `{symbol}` is in the shape of nothing that is kept", function.span)
        found.append(f"{program.symbols[symbol]}={text}")
    return found


def _of_state(symbol: str, kept: Sequence[BoundParameter]) -> str | None:
    for state in kept:
        for at, size in enumerate(state.sizes):
            if size.symbol is not None and size.symbol.name == symbol:
                return f"{ast.unparse(subscript(parse('state'), state.path))}.shape[{at}]"
    return None
