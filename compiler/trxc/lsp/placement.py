"""Where the mesh of a recipe places a value: which of its dims are split over which axes."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..diagnostics import Diagnostics
from ..elaborate.body import Body, Session
from ..elaborate.mesh import MeshSpec, read_mesh
from ..ir import Value
from ..plan.sharding import spec_of
from ..syntax import ast
from ..types import Axis
from .documents import Document
from .index import Seen

PINNED = frozenset({"parameter", "state", "call", "repeat"})
"""Ops whose results the program places: weights where they are stored, and what the pass `shard` constrains."""


def placements(document: Document, seen: Seen) -> Iterator[str]:
    """A line for each mesh that recipes of the file name: how a value lies on it."""
    if isinstance(seen.value, Value):
        for mesh in _meshes(document, seen.body):
            yield f"on mesh `{mesh.name}`: {_placement(seen.value, seen.body, mesh)}"


def _meshes(document: Document, body: Body) -> Iterator[MeshSpec]:
    """The meshes of a file's recipes, each once, as far as they can be read."""
    unit, library = document.reading.unit, body.session.library
    names = [_mesh_of(ref.item) for ref in unit.items.values() if isinstance(ref.item, ast.Record)]
    for name in dict.fromkeys(name for name in names if name is not None):
        ref = unit.own(name)
        if ref is None or ref.kind != "mesh":
            continue
        diagnostics = Diagnostics()
        mesh = read_mesh(Session(library, diagnostics), ref)
        if not diagnostics.failed:
            yield mesh


def _mesh_of(record: ast.Record) -> str | None:
    """The mesh that a record names."""
    fields = (node for node in record.fields if isinstance(node, ast.Field))
    named = (node.value for node in fields if [ident.name for ident in node.path] == ["mesh"])
    return next((value.name for value in named if isinstance(value, ast.Name)), None)


def _placement(value: Value, body: Body, mesh: MeshSpec) -> str:
    """What the program says of where a value lies, and where it says nothing, what XLA goes by."""
    spec = spec_of(value.type.axes, tuple(mesh.rules.items()))
    split = [
        _split(axis, (over,) if isinstance(over, str) else over, mesh)
        for axis, over in zip(value.type.axes, spec, strict=True)
        if over is not None
    ]
    if _is_pinned(value, body):
        return ", ".join(split) or "a copy on every device"
    return f"{', '.join(split) or 'whole'}, unless XLA finds better: it is placed by what it is made of"


def _split(axis: Axis, over: tuple[str, ...], mesh: MeshSpec) -> str:
    """One dim over its axes."""
    axes = " and ".join(f"`{name}`" for name in over)
    parts, size = math.prod(mesh.axes[name] for name in over), axis.size.value
    if size is None:
        return f"`{axis.public_name}` split over {axes} ({parts})"
    if size % parts:
        return f"`{axis.public_name}` whole, as {axes} ({parts}) does not divide {size}"
    return f"`{axis.public_name}` split over {axes} ({parts}), {size // parts} on each"


def _is_pinned(value: Value, body: Body) -> bool:
    """Whether the program places a value itself: an input of a model, a weight, or what a layer gives."""
    function = body.frame.function
    if any(value is given for given in function.body.arguments):
        return body.is_root
    return any(op.kind in PINNED and any(value is made for made in op.results) for op in function.body.walk())
