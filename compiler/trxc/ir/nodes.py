"""The parts of a module's text before names are resolved, and their resolution to values.

The grammar's rules are built from the leaves up, so that a use is read before it is known where it stands. A function
is resolved when all of it has been read.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..types import TensorType
from .ir import Attribute, Op, Region, Value

MAX_DEPTH = 64
"""How deep regions may nest."""


class IRSyntaxError(Exception):
    """A text is not that of a module: `reason`, at `line` (from 1)."""

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(f"line {line}: {reason}")
        self.reason, self.line = reason, line


@dataclass(frozen=True)
class NameNode:
    """A value's name where it stands; `%0` and its like have no text for the value to keep."""

    key: tuple[str, str]
    text: str | None
    line: int


@dataclass(frozen=True)
class Word:
    """The name of something that is not a value, and its line."""

    text: str
    line: int


@dataclass(frozen=True)
class TypedNode:
    """A value that is defined."""

    name: NameNode
    type: TensorType


@dataclass(frozen=True)
class OperandsNode:
    """The operands of an op."""

    names: list[NameNode]


@dataclass(frozen=True)
class ArgumentsNode:
    """The arguments of a function or region."""

    values: list[TypedNode]


@dataclass(frozen=True)
class OutputsNode:
    """The names of a function's results."""

    names: list[str]


@dataclass(frozen=True)
class Note:
    """A function's title or documentation."""

    kind: str
    text: str


@dataclass(frozen=True)
class BlockNode:
    """Ops, then the names of the results."""

    ops: list[OpNode]
    results: list[NameNode]


@dataclass(frozen=True)
class AttributesNode:
    """The attributes of an op, in order."""

    values: dict[str, Attribute]


@dataclass(frozen=True)
class RegionNode:
    """A region of an op."""

    arguments: ArgumentsNode
    block: BlockNode


@dataclass(frozen=True)
class OpNode:
    """An op."""

    results: list[TypedNode]
    kind: Word
    operands: OperandsNode
    attributes: AttributesNode
    regions: list[RegionNode]


@dataclass(frozen=True)
class Role:
    """Which function plays a role."""

    name: str
    function: str


class Resolver:
    """Makes the values of one function, and finds them again by name."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], Value] = {}

    def region(self, arguments: ArgumentsNode, block: BlockNode, depth: int) -> Region:
        """A region, its values known from here on."""
        region = Region([self.define(value) for value in arguments.values])
        region.ops.extend(self.op(op, depth) for op in block.ops)
        region.results.extend(map(self.find, block.results))
        return region

    def op(self, op: OpNode, depth: int) -> Op:
        """An op; its results are known only after it."""
        if op.regions and depth >= MAX_DEPTH:
            raise IRSyntaxError("regions are nested too deep", op.kind.line)
        operands = [self.find(name) for name in op.operands.names]
        regions = [self.region(region.arguments, region.block, depth + 1) for region in op.regions]
        return Op(op.kind.text, operands, op.attributes.values, [self.define(value) for value in op.results], regions)

    def define(self, typed: TypedNode) -> Value:
        """A new value."""
        if typed.name.key in self.values:
            raise IRSyntaxError(f"`{typed.name.key[1]}` is defined twice", typed.name.line)
        value = self.values[typed.name.key] = Value(typed.type, typed.name.text)
        return value

    def find(self, name: NameNode) -> Value:
        """The value of a name."""
        if name.key not in self.values:
            raise IRSyntaxError(f"`{name.key[1]}` is not defined above", name.line)
        return self.values[name.key]
