"""What may stand behind a dot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from ..elaborate.values import LayerInstance
from ..ir import Value
from .answers import Completion
from .declared import methods_of, names_of
from .documents import Document
from .show import signature_of, value_text
from .situation import Situation

TENSOR = {"shape": "the sizes of its dims", "rank": "the number of its dims", "dtype": "its dtype"}


class Entry(Protocol):
    """Makes a completion."""

    def __call__(self, label: str, kind: str, detail: str, doc: str, order: int) -> Completion:
        """A word, what it is, and more about it."""
        ...


def members(document: Document, here: Situation, entry: Entry) -> Iterator[Completion]:
    """The members of the name before the dot."""
    owner = here.inner.tokens[-2].text if len(here.inner.tokens) > 1 else ""
    space = document.reading.unit.spaces.get(owner)
    if space is not None:
        for name in space.public_names() or list(space.names()):
            item = space.own(name)
            if item is not None:
                signature = signature_of(item)
                yield entry(name, item.kind, signature.text, signature.doc, 0)
        return
    body = document.body(here.name)
    value = body.variables.get(owner) if body is not None else None
    if isinstance(value, LayerInstance):
        for name, method in methods_of(value.item).items():
            signature = signature_of(method)
            yield entry(name, "fn", signature.text, signature.doc, 0)
        for name, kind in names_of(value.item.item).items():
            if kind in ("weight", "state"):
                yield entry(name, kind, f"{kind} of {value.item.name}", "", 0)
    elif isinstance(value, Value):
        for name, doc in TENSOR.items():
            yield entry(name, "field", value_text(value, body) or "", doc, 0)
