"""Names in a layer: which are free, and what a binding makes of what it names."""

from __future__ import annotations

from ..ir import Value
from ..source import Span
from . import calls
from .body import Body, Namer
from .faults import Fault
from .loops import rehome
from .values import Composition, CValue, LayerInstance, Recurrent, Repeated, Sequence


def check_free(name: str, span: Span, body: Body, what: str) -> None:
    """Refuses a name that already means something else: an argument, a dim, a library name."""
    if name in body.parameter_names:
        raise Fault("TRX0304", f"{what} `{name}` has the name of an argument of the layer", span)
    if name in body.dims:
        origin = body.origins.get(name)
        labels = [(origin, f"dim `{name}` is bound here")] if origin else []
        raise Fault("TRX0304", f"{what} `{name}` has the name of a dim", span, labels=labels)
    if name in body.session.library.prelude and body.unit.own(name) is None and not body.unit.library:
        module = body.session.library.prelude[name]
        raise Fault("TRX0304", f"{what} `{name}` has the name of something in `std.{module}`", span,
                    helps=["give it another name"])  # fmt: skip


def name_value(value: CValue, name: str, body: Body, span: Span) -> CValue:
    """What a binding makes of a value: layers get the name for their weights, tensors for the program's text."""
    if isinstance(value, Value):
        if value.name is None or value.lent:
            value.name, value.lent = name, False
        return value
    value = calls.settle(value, body, span)
    if isinstance(value, LayerInstance | Repeated) and value.name is None and value.namer is body.namer:
        value.name = body.namer.claim(name)
    elif isinstance(value, Composition | Recurrent):
        inner = Namer((*body.namer.prefix, body.namer.claim(name)), body.frame, body.frame.depth)
        return rehome(value, inner)
    elif isinstance(value, Sequence):
        return Sequence(tuple(_name_item(item, f"{name}[{at}]", body) for at, item in enumerate(value.items)))
    return value


def _name_item(value: CValue, name: str, body: Body) -> CValue:
    if isinstance(value, LayerInstance) and value.name is None and value.namer is body.namer:
        value.name = body.namer.claim(name)
    return value
