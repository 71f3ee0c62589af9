"""`prepare` and `decode`: how a program goes along a sequence in chunks, keeping what later chunks need.

`prepare` gives the state that decoding begins with: all that is kept, empty, then what the model computes once.
`decode` takes it with a chunk, and gives the outputs there and the state after. Where layers are taken apart, both
take weights as `split` gives them: a list of layers in place of a stack.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from ..dims import Dim
from ..ir import Function, Module, Path
from ..ir.parameters import BoundParameter, parameter_tree, state_tree, stored_loops
from ..ir.walk import repeat_count
from ..passes.decode import CAPACITY, PREPARE, STEP, window_of
from ..plan.sharding import Rules, spec_of
from .dtypes import dtype_name
from .errors import EmitError
from .expressions import literal, parse
from .layout import statement
from .lines import Line
from .names import docstring
from .roles import call_text
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


CHUNK = 256
"""How many places a chunk has at most, where `prepare` is not told."""

Apart = Mapping[Path, int]
"""Where trees hold lists of layers, and how many."""


def layers_apart(module: Module) -> Apart:
    """The layers of decoding that have arrays of their own."""
    loops = stored_loops(module, module.roles[STEP])
    return {path: repeat_count(op) for path, op in loops if op.attributes.get("apart", False)}


@dataclass(frozen=True)
class Kept:
    """An array that is kept: the path to it, with 0 for each list of layers on the way, and its sizes."""

    state: BoundParameter
    apart: Apart

    @property
    def path(self) -> tuple[str | int, ...]:
        """The keys and indices of the first layer's."""
        found: list[str | int] = []
        for at, key in enumerate(self.state.path, 1):
            found += [key, 0] if self.state.path[:at] in self.apart else [key]
        return tuple(found)

    @property
    def sizes(self) -> tuple[Dim, ...]:
        """Those of one array: of layers that are apart, one layer's."""
        stacks = zip(self.state.stacks, self.state.sizes, strict=False)
        stacked = [size for stack, size in stacks if self.state.path[: stack.at] not in self.apart]
        return (*stacked, *self.state.parameter.type.sizes)


def write_split(program: ProgramContext) -> list[Line]:
    """`split(params)`, where there is anything to split."""
    module = program.module
    weights = parameter_tree(module, module.roles[STEP])
    apart = {
        path: count
        for path, count in layers_apart(module).items()
        if any(weight.path[: len(path)] == path for weight in weights)
    }
    if not apart:
        return []
    lines = ["def split(params):", *docstring("The weights as decoding reads them: each layer's by itself.", "    ")]
    lines += statement("return ", _split(program, ast.Name("params", ast.Load()), apart, ()), 4)
    return [Line(line) for line in lines]


def _split(program: ProgramContext, tree: ast.expr, apart: Apart, at: Path) -> ast.expr:
    """A tree that stands at a path, with a list for every stack in it that is taken apart."""
    below = {path for path in apart if path[: len(at)] == at and path != at}
    if at in apart:
        layers = ast.Call(parse(program.use("unstacked")), [tree, ast.Constant(apart[at])], [])
        return _each("layer", _keys_split(program, ast.Name("layer"), apart, at), layers) if below else layers
    return _keys_split(program, tree, apart, at)


def _keys_split(program: ProgramContext, tree: ast.expr, apart: Apart, at: Path) -> ast.expr:
    keys = sorted({path[len(at)] for path in apart if path[: len(at)] == at and path != at})
    parts = [_split(program, subscript(tree, [key]), apart, (*at, key)) for key in keys]
    return ast.Dict([None, *map(ast.Constant, keys)], [tree, *parts])


def _each(name: str, value: ast.expr, values: ast.expr) -> ast.expr:
    return ast.ListComp(value, [ast.comprehension(ast.Name(name, ast.Store()), values, [], 0)])


def write_prepare(program: ProgramContext, kept: Sequence[BoundParameter], stateful: bool, rules: Rules) -> list[Line]:
    """`prepare(params, state, inputs, capacity)`, and how long chunks are where not all places are kept.

    What is kept lies over the mesh by its dims, as activations do.
    """
    function = program.module.role(PREPARE)
    in_rings = any(window_of(name) is not None for name in _symbols(kept))
    more = f", chunk={CHUNK}" if in_rings else ""
    lines = [f"def {PREPARE}(params, state, inputs, capacity{more}):"]
    lines += docstring("What decoding begins with: room for `capacity` places, and what is computed once.", "    ")
    apart = layers_apart(program.module)
    held = [Kept(state, apart) for state in kept]
    shapes, known = _shapes(program, function, held)
    lines += shapes
    tree = _empty(held, apart, partial(_zeros, program, known=known, rules=rules))
    cache = ast.Call(parse(program.use("merged")), [parse("state"), tree], []) if stateful else tree
    needs = program.needs.functions[function.name]
    if not needs.changes:
        return _lines([*lines, *statement("return ", cache, 4)], function)
    lines += statement("state = ", cache, 4)
    call = parse(call_text(program, function, "inputs", _missing(program, function, held, known)))
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
    apart = layers_apart(program.module)
    sizes = _missing(program, function, [Kept(state, apart) for state in kept], {})
    call = parse(call_text(program, function, "inputs", sizes))
    names = [name if name not in program.functions.values() else f"{name}_" for name in function.output_names]
    lines += statement(f"{', '.join([*names, *(['state'] if needs.changes else [])])} = ", call, 4)
    pairs = ", ".join(f"{literal(key)}: {name}" for key, name in zip(function.output_names, names, strict=True))
    return _lines([*lines, *statement("return ", parse(f"({{{pairs}}}, state)"), 4)], function)


def _lines(texts: Sequence[str], function: Function) -> list[Line]:
    return [Line(text, function.span) for text in texts]


def _shapes(program: ProgramContext, function: Function, kept: Sequence[Kept]) -> tuple[list[str], dict[str, str]]:
    """A line for every size that is needed and an input's shape tells, and the names of all that are known."""
    known = {CAPACITY: "capacity"}
    wanted = _symbols(each.state for each in kept)
    lines: list[str] = []
    for symbol in sorted(wanted):
        if (window := window_of(symbol)) is not None:
            name = known[symbol] = program.symbols[symbol]
            lines.append(f"    {name} = min(capacity, {window - 1} + chunk)")
    for value in program.module.role("apply").inputs:
        for at, size in enumerate(value.type.sizes):
            if size.symbol is not None and size.symbol.name in wanted - known.keys():
                name = known[size.symbol.name] = program.symbols[size.symbol.name]
                lines.append(f"    {name} = inputs[{literal(value.name or '')}].shape[{at}]")
    if unknown := sorted(wanted - known.keys()):
        raise EmitError(f"the size `{unknown[0]}` of what decoding keeps is in the shape of no input", function.span)
    return lines, known


def _symbols(kept: Iterable[BoundParameter]) -> set[str]:
    return {symbol.name for state in kept for size in state.sizes for symbol in size.symbols}


def _empty(kept: Sequence[Kept], apart: Apart, zeros: Callable[[Kept], ast.expr], at: Path = ()) -> ast.expr:
    """The tree of all that is kept below a path, with what `zeros` makes of each."""
    here = [each for each in kept if each.state.path[: len(at)] == at]
    if [each.state.path for each in here] == [at]:
        return zeros(here[0])
    keys = dict.fromkeys(each.state.path[len(at)] for each in here)
    tree = ast.Dict([*map(ast.Constant, keys)], [_empty(here, apart, zeros, (*at, key)) for key in keys])
    return _each("_", tree, parse(f"range({apart[at]})")) if at in apart else tree


def _zeros(program: ProgramContext, kept: Kept, known: dict[str, str], rules: Rules) -> ast.expr:
    sizes = [size_text(size, known) for size in kept.sizes]
    shape = f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"
    zeros = parse(f"jnp.zeros({shape}, {dtype_name(kept.state.parameter.type.dtype)})")
    axes = kept.state.parameter.type.axes
    split = [None] * (len(kept.sizes) - len(axes)) + list(spec_of(axes, rules))
    if not any(split):
        return zeros
    return ast.Call(parse(program.use("constrain")), [zeros, *(parse(literal(axis)) for axis in split)], [])


def _missing(program: ProgramContext, function: Function, kept: Sequence[Kept], known: dict[str, str]) -> list[str]:
    """The sizes that the function takes by keyword: known already, or those of something that is kept."""
    found: list[str] = []
    for symbol in program.sizes[function.name]:
        text = known.get(symbol) or _of_state(symbol, kept)
        if text is None:
            raise EmitError(f"the size `{symbol}` is in the shape of nothing that is kept", function.span)
        found.append(f"{program.symbols[symbol]}={text}")
    return found


def _of_state(symbol: str, kept: Sequence[Kept]) -> str | None:
    for each in kept:
        for at, size in enumerate(each.sizes):
            if size.symbol is not None and size.symbol.name == symbol:
                return f"{ast.unparse(subscript(parse('state'), each.path))}.shape[{at}]"
    return None
