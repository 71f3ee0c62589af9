"""A module and what is known of its recipe as the text of `program.py`."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..ir import Module, Value
from ..ir.parameters import BoundParameter, parameter_tree, state_tree
from ..ir.patterns import matched
from ..ir.walk import call_order, symbols
from ..passes.decode import PREPARE, STEP
from ..plan.targets import DEFAULT, TARGETS
from ..plan.xla_options import xla_flags, xla_options
from . import entries
from .decoding import kept_states, write_decode, write_prepare, write_split
from .example import write_main
from .extern import extern_modules, top_levels
from .initial import sizes_of, write_init, write_init_state
from .layers import write_layers
from .lines import Line, plain
from .mesh import write_placement, write_shape
from .names import CONTRACT, comment_text, fresh, reserved_names
from .needs import ModuleNeeds
from .optimizer import write_labels, write_optimizer, write_schedule
from .prelude import entry, needed
from .recipe import EmitRecipe
from .roles import ROLES, is_folded, write_role
from .safety import check_source
from .scope import ProgramContext
from .training import write_train_step

_IMPORTS = (
    ("functools", "import functools"),
    ("math", "import math"),
    ("zlib", "import zlib"),
    ("", ""),
    ("jax", "import jax"),
    ("jnp", "import jax.numpy as jnp"),
    ("np", "import numpy as np"),
    ("optax", "import optax"),
    ("checkpoint_name", "from jax.ad_checkpoint import checkpoint_name"),
    ("P", "from jax.sharding import PartitionSpec as P"),
)

Entry = dict[str, Any]


@dataclass(frozen=True)
class Program:
    """An emitted program: its text, where its lines come from, and what the manifest says of its parts."""

    source: str
    lines: list[tuple[int, str, int]]
    parameters: list[Entry] = field(default_factory=list[Entry])
    state: list[Entry] = field(default_factory=list[Entry])
    inputs: list[Entry] = field(default_factory=list[Entry])
    outputs: list[Entry] = field(default_factory=list[Entry])
    batch: list[Entry] = field(default_factory=list[Entry])
    extern: list[str] = field(default_factory=list[str])
    xla_options: list[str] = field(default_factory=list[str])


def emit_program(module: Module, recipe: EmitRecipe | None = None, target: str = DEFAULT) -> Program:
    """The program of a module with exact dtypes, for a target; with a recipe, one that trains.

    Raises:
        EmitError: the module cannot be written: a size or an op is not known, a name or call is not allowed.
    """
    order = call_order(module, module.roles.values())
    context = _context(module, order)
    every = list(dict.fromkeys(module.roles.values()))
    weights = _union([parameter_tree(module, name) for name in every])
    decoding = {module.roles[role] for role in (STEP, PREPARE) if role in module.roles}
    states = _union([state_tree(module, name) for name in every if name not in decoding])
    blocks = _blocks(context, order, recipe, weights, states)
    options = xla_options(module, target) if recipe else []
    environment = {**dict(TARGETS[target].environment), **xla_flags(options)} if recipe else {}
    source, lines = _assembled(context, blocks, weights, recipe, target, environment)
    check_source(source, extern_modules(module))
    return _described(module, recipe, weights, states, source, lines, options)


def batch_fields(module: Module) -> list[Value]:
    """The fields that `loss` and `measure` read, each once."""
    found: dict[str, Value] = {}
    for role in ("loss", "measure"):
        if role in module.roles:
            for value in module.role(role).inputs:
                found.setdefault(value.name or "x", value)
    return list(found.values())


def _context(module: Module, order: list[str]) -> ProgramContext:
    reserved = reserved_names() | {*top_levels(extern_modules(module))}
    taken: set[str] = set()
    functions: dict[str, str] = {}
    for name in order:
        functions[name] = fresh(name, taken, reserved | frozenset(CONTRACT))
        taken.add(functions[name])
    sizes: dict[str, str] = {}
    for symbol in sorted(symbols(module)):
        sizes[symbol] = fresh(symbol, taken, reserved)
        taken.add(sizes[symbol])
    return ProgramContext(module, ModuleNeeds(module, order), reserved, functions, sizes)


def _union(trees: Sequence[list[BoundParameter]]) -> list[BoundParameter]:
    found: dict[tuple[str, ...], BoundParameter] = {}
    for tree in trees:
        for weight in tree:
            found.setdefault(weight.path, weight)
    return list(found.values())


def _blocks(
    context: ProgramContext,
    order: list[str],
    recipe: EmitRecipe | None,
    weights: list[BoundParameter],
    states: list[BoundParameter],
) -> list[list[Line]]:
    module = context.module
    folded = {module.roles[role] for role in ROLES if role in module.roles and is_folded(context, role)}
    blocks = write_layers(context, [module.functions[name] for name in order if name not in folded])
    blocks += [write_init(context, weights), write_init_state(context, states)]
    blocks += [write_role(context, role) for name, role in ROLES.items() if name in module.roles]
    if STEP in module.roles:
        kept = kept_states(module)
        rules = tuple(recipe.rules.items()) if recipe and recipe.mesh else ()
        blocks += [write_split(context), write_prepare(context, kept, bool(states), rules), write_decode(context, kept)]
    if recipe is not None:
        blocks += _training(context, recipe, weights)
    if recipe is not None and recipe.mesh:
        blocks += write_placement(recipe, weights, batch_fields(module))
    fields = batch_fields(module) if recipe else list(module.role("apply").inputs)
    return [*(block for block in blocks if block), write_main(_title(module), fields, recipe)]


def _training(context: ProgramContext, recipe: EmitRecipe, weights: list[BoundParameter]) -> list[list[Line]]:
    if recipe.accumulate > 1:
        context.use("keys")
    frozen = any(matched(recipe.freeze, weight) for weight in weights)
    return [
        write_schedule(recipe),
        write_labels(recipe, weights),
        write_optimizer(context, recipe, weights),
        write_train_step(recipe, frozen),
    ]


def _title(module: Module) -> str:
    function = module.role("apply")
    return comment_text(function.title or function.name)


def _assembled(
    context: ProgramContext,
    blocks: list[list[Line]],
    weights: list[BoundParameter],
    recipe: EmitRecipe | None,
    target: str,
    environment: Mapping[str, str],
) -> tuple[str, list[tuple[int, str, int]]]:
    prelude = [plain(entry(name, target).source) for name in needed(context.prelude, target)]
    body = [*prelude, *blocks]
    shape = [write_shape(recipe)] if recipe and recipe.mesh else [[Line("MESH_SHAPE = {}")]] if recipe else []
    head = [*_docstring(context.module, weights, recipe, environment), *_imports(body, extern_modules(context.module))]
    lines = list(head)
    for block in [*shape, *body]:
        gap = 1 if shape and block is shape[0] else 2
        lines += [Line("")] * gap + block
    places = [(at, line.span.source.key, line.span.line) for at, line in enumerate(lines, 1) if line.span]
    return "\n".join(line.text for line in lines) + "\n", places


def _docstring(
    module: Module, weights: list[BoundParameter], recipe: EmitRecipe | None, environment: Mapping[str, str]
) -> list[Line]:
    function = module.role("apply")
    count = sum(_elements(weight) for weight in weights)
    doc = comment_text(function.doc.strip().split("\n")[0])
    origin = f" from {comment_text(function.span.source.key)}" if function.span else ""
    lines = [f'"""{_title(module)}{origin}: {count:,} parameters.']
    if doc:
        lines += ["", *_wrapped(doc)]
    needs = " and ".join(["jax", "optax"] if recipe else ["jax"])
    externs = ", ".join(extern_modules(module))
    lines += ["", f"Written by trxc. Needs {needs}{f', and Python code of its own: {externs}' if externs else ''}."]
    does = "take one step" if recipe else "run once"
    lines += [f"`python program.py` prints what it is, and lets it {does} on random data."]
    if environment:
        wanted = " ".join(f"{name}={value}" for name, value in environment.items())
        lines += ["", "It trains faster on Linux in the environment that `trxc train` arranges:"]
        lines += textwrap.wrap(wanted, 88, break_long_words=False, break_on_hyphens=False)
    lines += ['"""', ""]
    return [Line(line) for line in lines]


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 88)


def _elements(weight: BoundParameter) -> int:
    total = 1
    for size in sizes_of(weight):
        total *= size
    return total


def _imports(blocks: list[list[Line]], externs: Sequence[str]) -> list[Line]:
    text = "\n".join(line.text for block in blocks for line in block)
    used = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    lines = [line for name, line in _IMPORTS if name in used or not name]
    lines += ["", *(f"import {name}" for name in externs)] if externs else []
    return [Line(line) for line in (lines[1:] if lines[0] == "" else lines)]


def _described(
    module: Module,
    recipe: EmitRecipe | None,
    weights: list[BoundParameter],
    states: list[BoundParameter],
    source: str,
    lines: list[tuple[int, str, int]],
    options: list[str],
) -> Program:
    function = module.role("apply")
    return Program(
        source,
        lines,
        parameters=[entries.weight(w, recipe) for w in weights],
        state=[entries.weight(s, recipe) for s in states],
        inputs=[entries.value(v, v.name or f"x{at}") for at, v in enumerate(function.inputs, 1)],
        outputs=[entries.value(v, name) for v, name in zip(function.results, function.output_names, strict=True)],
        batch=[entries.value(v, v.name or "x") for v in batch_fields(module)],
        extern=top_levels(extern_modules(module)),
        xla_options=options,
    )
