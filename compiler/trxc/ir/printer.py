"""The intermediate representation as text, the same text for the same module every time.

::

    module gpt

    role apply = gpt

    function dense(x: float[batch, embed=4]) -> (y)
      title "Dense(2)"
      weight w: float[embed=4, 2] = normal(stddev=0.02) from "jax.nn.initializers:normal"
    {
      w: float[embed=4, 2] = parameter() {path=("w",)}
      y: float[batch, 2] = matmul(x, w)
      yield y
    }

Values have their users' names, made unique; those without one are `%0`, `%1`, …. An axis is `name=size`, or just its
size where that says both; `_=batch` is an axis of size `batch` without a name. A size as an attribute stands in
brackets. What is not an identifier is written as a JSON string. Spans are not written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

from ..dims import Dim
from ..types import Axis, DType, TensorType
from .ir import Attribute, Function, Initializer, Module, Op, Parameter, Region, Value

RESERVED = frozenset({"do", "yield"})
"""Words that cannot stand bare for a value or an op."""

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LOCAL = re.compile(r"%[A-Za-z0-9_.]+")


def to_text(item: Module | Function) -> str:
    """The text of a module, which :func:`trxc.ir.reader.from_text` reads back, or of one function of it."""
    lines = _module(item) if isinstance(item, Module) else _Printer().function(item)
    return "\n".join(lines) + "\n"


def type_text(type_: TensorType) -> str:
    """A type with the names and sizes of its axes."""
    return f"{type_.dtype}[{', '.join(map(_axis, type_.axes))}]"


def attribute_text(value: Attribute) -> str:
    """An attribute as it stands in braces."""
    match value:
        case None | bool():
            return str(value).lower()
        case str():
            return json.dumps(value)
        case Dim():
            return f"[{value}]"
        case DType() | int():
            return str(value)
        case float():
            return repr(value)
        case tuple():
            parts = ", ".join(map(attribute_text, value))
            return f"({parts},)" if len(value) == 1 else f"({parts})"


def initializer_text(initializer: Initializer) -> str:
    """An initializer, its arguments, and the callable that it names."""
    return f"{_word(initializer.name)}({_pairs(initializer.arguments)}) from {json.dumps(initializer.target)}"


def _module(module: Module) -> Iterator[str]:
    yield f"module {_word(module.name)}"
    if module.roles:
        yield ""
    for role, function in module.roles.items():
        yield f"role {_word(role)} = {_word(function)}"
    for function in module.functions.values():
        yield ""
        yield from _Printer().function(function)


def _word(text: str) -> str:
    return text if _IDENTIFIER.fullmatch(text) and text not in RESERVED else json.dumps(text)


def _axis(axis: Axis) -> str:
    size = str(axis.size)
    if axis.name is None:
        return f"_={size}" if axis.size.symbol else size
    if axis.size.symbol and axis.name == size:
        return size
    bare = axis.name != "_" and (_IDENTIFIER.fullmatch(axis.name) or _LOCAL.fullmatch(axis.name))
    return f"{axis.name if bare else json.dumps(axis.name)}={size}"


def _pairs(pairs: Iterable[tuple[str, Attribute]]) -> str:
    return ", ".join(f"{_word(name)}={attribute_text(value)}" for name, value in pairs)


class _Printer:
    """Writes one function; knows the names that its values have got so far."""

    def __init__(self) -> None:
        self.names: dict[Value, str] = {}
        self.taken: set[str] = set()
        self.unnamed = 0
        self.counts: dict[str, int] = {}

    def name(self, value: Value) -> str:
        """The name of a value, given when the value is first met."""
        if value not in self.names:
            self.names[value] = self._next_unnamed() if value.name is None else _word(self._unique(value.name))
        return self.names[value]

    def _next_unnamed(self) -> str:
        self.unnamed += 1
        return f"%{self.unnamed - 1}"

    def _unique(self, wanted: str) -> str:
        name = wanted
        while name in self.taken:
            self.counts[wanted] = self.counts.get(wanted, 1) + 1
            name = f"{wanted}_{self.counts[wanted]}"
        self.taken.add(name)
        return name

    def function(self, function: Function) -> Iterator[str]:
        """The lines of a function."""
        outputs = f" -> ({', '.join(map(_word, function.output_names))})" if function.output_names else ""
        head = f"function {_word(function.name)}({self._typed(function.inputs)}){outputs}"
        notes = [*self._notes(function), *map(self._declaration, function.parameters.values())]
        if notes:
            yield head
            yield from (f"  {note}" for note in notes)
            yield "{"
        else:
            yield head + " {"
        yield from self._block(function.body, "  ")
        yield "}"

    def _notes(self, function: Function) -> Iterator[str]:
        if function.title:
            yield f"title {json.dumps(function.title)}"
        if function.doc:
            yield f"doc {json.dumps(function.doc)}"

    def _declaration(self, parameter: Parameter) -> str:
        path = ".".join(map(_word, parameter.path))
        what = "weight" if parameter.trainable else "state"
        return f"{what} {path}: {type_text(parameter.type)} = {initializer_text(parameter.initializer)}"

    def _typed(self, values: Iterable[Value]) -> str:
        return ", ".join(f"{self.name(value)}: {type_text(value.type)}" for value in values)

    def _block(self, region: Region, indent: str) -> Iterator[str]:
        for op in region.ops:
            yield from self._op(op, indent)
        yield f"{indent}yield {', '.join(map(self.name, region.results))}".rstrip()

    def _op(self, op: Op, indent: str) -> Iterator[str]:
        head = f"{_word(op.kind)}({', '.join(map(self.name, op.operands))})"
        if op.results:
            head = f"{self._typed(op.results)} = {head}"
        line = f"{indent}{head}" + (f" {{{_pairs(op.attributes.items())}}}" if op.attributes else "")
        for region in op.regions:
            yield f"{line} do ({self._typed(region.arguments)}) {{"
            yield from self._block(region, indent + "  ")
            line = indent + "}"
        yield line
