"""Placement on a mesh: its shape, and how weights and batches are split over it."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence

from ..ir import Value
from ..ir.parameters import BoundParameter
from ..types import Axis
from .expressions import literal, parse
from .initial import nested
from .layout import statement
from .lines import Line, plain
from .recipe import EmitRecipe

Split = list[str | list[str] | None]

_MAKE_MESH = '''\
def make_mesh():
    """The mesh that the program runs on, under `with jax.set_mesh(make_mesh()):`."""
    kinds = (jax.sharding.AxisType.Auto,) * len(MESH_SHAPE)
    return jax.make_mesh(
        tuple(MESH_SHAPE.values()), tuple(MESH_SHAPE), axis_types=kinds
    )
'''


def split_of(axes: Sequence[Axis], rules: Mapping[str, Sequence[str]]) -> Split:
    """The mesh axes of each dim by the rules for its name; a mesh axis splits one dim only, the first."""
    used: set[str] = set()
    split: Split = []
    for axis in axes:
        mine = [a for a in rules.get(axis.public_name or "", ()) if a not in used]
        used.update(mine)
        split.append(mine[0] if len(mine) == 1 else mine or None)
    return split


def spec_tree(split: Split) -> ast.expr:
    """`jax.sharding.PartitionSpec(…)` without what is not split at the end."""
    while split and split[-1] is None:
        split = split[:-1]
    items = [parse(literal(tuple(item) if isinstance(item, list) else item)) for item in split]
    return ast.Call(parse("P"), items, [])


def write_shape(recipe: EmitRecipe) -> list[Line]:
    """`MESH_SHAPE = {…}`."""
    shape = ast.Dict([parse(literal(name)) for name in recipe.mesh], [parse(repr(n)) for n in recipe.mesh.values()])
    return [Line(line) for line in statement("MESH_SHAPE = ", shape, 0)]


def write_placement(recipe: EmitRecipe, weights: Sequence[BoundParameter], batch: Sequence[Value]) -> list[list[Line]]:
    """`make_mesh`, `param_specs` and `batch_specs`."""
    specs = nested([(w.path, spec_tree(stacked_split(w, recipe))) for w in weights])
    fields = [(value, spec_tree(split_of(value.type.axes, recipe.rules))) for value in batch]
    entries = ast.Dict([parse(literal(value.name or "x")) for value, _ in fields], [spec for _, spec in fields])
    param_lines = ["def param_specs():", '    """How the weights are split over the mesh."""']
    batch_lines = ["def batch_specs():", '    """How a batch is split over the mesh."""']
    return [
        plain(_MAKE_MESH),
        [Line(line) for line in (*param_lines, *statement("return ", specs, 4))],
        [Line(line) for line in (*batch_lines, *statement("return ", entries, 4))],
    ]


def stacked_split(weight: BoundParameter, recipe: EmitRecipe) -> Split:
    """The split of a stored weight: the dims of a stack are whole."""
    return [None] * len(weight.stack) + split_of(weight.parameter.type.axes, recipe.rules)
