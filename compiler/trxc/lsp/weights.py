"""How many weights a layer has where it is applied, and how much arithmetic a function is."""

from __future__ import annotations

from ..dims import Dim, dim
from ..elaborate.body import Body, path_of
from ..elaborate.calls import stem_of
from ..elaborate.values import LayerInstance, Repeated
from ..frozen import Frozen
from ..ir import Module
from ..ir.binding import BindingError
from ..ir.parameters import BoundParameter, parameter_tree
from ..plan.flops import flops
from .index import Application


class Weights(Frozen):
    """The weights below a place: how many numbers in all (of every copy under `repeat`), and their bytes."""

    count: Dim
    stored: Dim


def module_of(body: Body) -> Module:
    """The functions that a body's own may call."""
    records = [record for record in body.session.functions.values() if not record.failed]
    functions = {record.function.name: record.function for record in records}
    functions[body.frame.function.name] = body.frame.function
    return Module("", functions)


def weights_of(body: Body) -> Weights | None:
    """The weights of the function that a body is elaborated into; None where some of it failed."""
    tree = _tree(body)
    return None if tree is None else _sum(tree)


def weights_at(application: Application) -> Weights | None:
    """The weights of an applied layer; None where its place is not known."""
    layer, body = application.layer, application.body
    if isinstance(layer, LayerInstance):
        if layer.namer.frame is not body.frame:
            return None
        below = path_of(layer, stem_of(layer))
    elif isinstance(layer, Repeated) and layer.name is not None:
        below = (*layer.namer.prefix, layer.name)
    else:
        return None
    tree = _tree(body)
    path = (*application.base, *below)
    return None if tree is None else _sum([bound for bound in tree if bound.segments[: len(path)] == path])


def _tree(body: Body) -> list[BoundParameter] | None:
    try:
        return parameter_tree(module_of(body), body.frame.function.name)
    except (KeyError, ValueError):  # it calls what failed, or the same weight was found in two shapes
        return None


def _sum(tree: list[BoundParameter]) -> Weights:
    count = stored = dim(0)
    for bound in tree:
        elements = bound.parameter.type.elements
        for copies in bound.stack:
            elements = elements * copies
        dtype = bound.parameter.type.dtype
        count, stored = count + elements, stored + elements * (4 if dtype.generic else max(1, dtype.bits // 8))
    return Weights(count, stored)


# ---------------------------------------------------------------- arithmetic


def flops_of(body: Body) -> Dim | None:
    """Floating point operations of one run of a body's function, by the table of ops; None where some of it failed."""
    try:
        return flops(module_of(body), body.frame.function.name)
    except (KeyError, BindingError):  # it calls what failed
        return None
