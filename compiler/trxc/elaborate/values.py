"""What expressions evaluate to at compile time.

Floats, bools, strings, None and dtypes are themselves. Integers are :class:`Size`, since any may be the size of a
dim. Tensors are IR values: only described, never computed. The rest are things that can be applied or declared.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from ..dims import Dim, dim
from ..frozen import Frozen
from ..ir import Value
from ..ops import OpDefinition
from ..source import Span
from ..syntax import ast
from ..types import Axis, DType, TensorType

if TYPE_CHECKING:
    from ..resolve import ItemRef
    from .body import Body, Namer


class Size(Frozen):
    """An integer, possibly symbolic; `name` is the dim's name that it goes by, if any.

    `origin` is where it is written, if it is one number somewhere: what does not fit can be said there.
    """

    size: Dim
    name: str | None = field(default=None, compare=False)
    origin: Span | None = field(default=None, compare=False, repr=False)

    @property
    def known(self) -> int | None:
        """The integer, where it is known."""
        return self.size.value

    def __str__(self) -> str:
        return str(self.size)


def whole(number: int) -> Size:
    """An integer without a name."""
    return Size(dim(number))


class Condition(Frozen):
    """A comparison of sizes that is not decided at compile time: `left operator right`."""

    operator: str
    left: Dim
    right: Dim

    def __str__(self) -> str:
        return f"{self.left} {self.operator} {self.right}"


class Sequence(Frozen):
    """A list or a tuple."""

    items: tuple[CValue, ...]

    @cached_property
    def weight(self) -> int:
        """How many items there are in it and in the lists in it: what it costs to look through."""
        return sum(1 + item.weight if isinstance(item, Sequence) else 1 for item in self.items)


class AxesRef(Frozen):
    """Axes named in an argument such as `over = keys`: axes of the layer's dims, bare names, or positions."""

    items: tuple[Axis | str | int, ...]
    text: str


class TypeValue(Frozen):
    """A type written as an expression, in a `data` record: `float[28, 28]`."""

    dtype: DType
    sizes: tuple[Dim | None, ...]


@dataclass(frozen=True)
class Declared:
    """An initializer, optimizer, schedule, source, transform, tokenizer or sampler with its arguments."""

    kind: str
    name: str
    target: str
    arguments: tuple[tuple[str, CValue], ...]
    given: tuple[tuple[str, CValue], ...] = ()
    yields: tuple[ast.Signature, ...] = field(default=(), compare=False)
    span: Span | None = field(default=None, compare=False)


class Chain(Frozen):
    """Declared things one after another: `clip_by_global_norm(1.0) >> adamw(…)`."""

    kind: str
    parts: tuple[Declared, ...]


# ------------------------------------------------------------------ things that can be applied


class LayerRef(Frozen):
    """A layer, model or extern layer by name, before it is given its arguments."""

    item: ItemRef


class FnRef(Frozen):
    """A `fn` by name."""

    item: ItemRef


class DeclaredRef(Frozen):
    """An `extern` initializer, optimizer, … by name, before it is given its arguments."""

    item: ItemRef


class OpRef(Frozen):
    """An op by its name."""

    op: OpDefinition


class BuiltinRef(Frozen):
    """`repeat`, `recur`, `range` and the like: what the elaborator itself knows how to do."""

    name: str


@dataclass(eq=False)
class LayerInstance:
    """A layer with its arguments: it owns weights, under a name that it gets when it is bound or first applied."""

    item: ItemRef
    arguments: dict[str, CValue]
    namer: Namer
    span: Span
    name: str | None = None
    rooted: bool = False
    inputs: list[TensorType] | None = None

    def same_as(self, other: LayerInstance) -> bool:
        """Whether it is the same layer with equal arguments."""
        if self.item != other.item or self.arguments.keys() != other.arguments.keys():
            return False
        return all(same_value(v, other.arguments[k]) for k, v in self.arguments.items())


@dataclass(eq=False)
class Composition:
    """`f >> g >> h`."""

    parts: tuple[CValue, ...]


@dataclass(eq=False)
class Closure:
    """`fn(a) => body`, with the body (of a layer) that it was written in."""

    expression: ast.Lambda
    body: Body


@dataclass(eq=False)
class Partial:
    """A fn or an op given all but its first operand: `mean(over = seq)` in `x |> mean(over = seq)`."""

    function: FnRef | OpRef
    arguments: tuple[ast.Argument, ...]
    body: Body
    span: Span


@dataclass(eq=False)
class Repeated:
    """`repeat(count, layer)`."""

    count: int
    layer: CValue
    namer: Namer
    span: Span
    name: str | None = None


@dataclass(eq=False)
class Recurrent:
    """`recur(cell, over = …)`."""

    cell: CValue
    over: AxesRef
    reverse: bool
    namer: Namer
    span: Span
    name: str | None = None


@dataclass(eq=False)
class Conditional:
    """`cond(predicate, then, otherwise)`: one of two layers, chosen at run time."""

    predicate: Value
    then: CValue
    otherwise: CValue
    span: Span


@dataclass(eq=False)
class Identity:
    """A layer that gives back what it is given: what a `layer` parameter is while its layer is checked by itself."""


class Poison(Frozen):
    """Stands for what could not be evaluated; its error has been reported already."""


POISON = Poison()

Applicable: TypeAlias = (
    LayerRef | FnRef | OpRef | BuiltinRef | LayerInstance | Composition | Closure | Partial | Repeated | Recurrent
    | Conditional | Identity
)  # fmt: skip
CValue: TypeAlias = (
    Size | float | bool | str | DType | Condition | Sequence | AxesRef | TypeValue | Declared | DeclaredRef
    | Chain | Value | Applicable | Poison | None
)  # fmt: skip

LAYER_LIKE = (
    LayerRef, FnRef, OpRef, BuiltinRef, LayerInstance, Composition, Closure, Partial, Repeated, Recurrent, Conditional,
    Identity,
)  # fmt: skip


def same_value(left: CValue, right: CValue) -> bool:
    """Whether two values mean the same layer or number: what decides if copies may be rolled into one loop."""
    if isinstance(left, LayerInstance) and isinstance(right, LayerInstance):
        return left is right or left.same_as(right)
    if isinstance(left, Composition) and isinstance(right, Composition):
        pairs = zip(left.parts, right.parts, strict=False)
        return len(left.parts) == len(right.parts) and all(same_value(a, b) for a, b in pairs)
    if isinstance(left, Sequence) and isinstance(right, Sequence):
        pairs = zip(left.items, right.items, strict=False)
        return len(left.items) == len(right.items) and all(same_value(a, b) for a, b in pairs)
    if isinstance(left, Repeated) and isinstance(right, Repeated):
        return left.count == right.count and same_value(left.layer, right.layer)
    if isinstance(left, Recurrent) and isinstance(right, Recurrent):
        return left.over == right.over and left.reverse == right.reverse and same_value(left.cell, right.cell)
    if isinstance(left, Partial) and isinstance(right, Partial):
        return left.function == right.function and left.arguments == right.arguments and left.body is right.body
    return type(left) is type(right) and left == right


def describe(value: CValue) -> str:
    """What a value is, in a user's words: `an int`, `a tensor [batch, seq]`, `the layer Dense`."""
    if isinstance(value, Value):
        return f"a tensor `{value.type.dtype}{value.type.show()}`"
    if isinstance(value, LayerRef | LayerInstance):
        return f"the layer `{value.item.name}`"
    if isinstance(value, FnRef):
        return f"the fn `{value.item.name}`"
    if isinstance(value, OpRef):
        return f"the op `{value.op.name}`"
    if isinstance(value, Partial):
        name = value.function.op.name if isinstance(value.function, OpRef) else value.function.item.name
        return f"`{name}` with an argument missing"
    if isinstance(value, Declared | DeclaredRef | Chain):
        kind = value.item.kind if isinstance(value, DeclaredRef) else value.kind
        return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
    return _SIMPLE.get(type(value), "a layer" if isinstance(value, LAYER_LIKE) else "a value")


_SIMPLE: dict[type, str] = {
    bool: "a bool", float: "a float", str: "a string", type(None): "`none`", Size: "an int", DType: "a dtype",
    Sequence: "a list", Condition: "a condition on sizes", AxesRef: "a dim's name", TypeValue: "a type",
}  # fmt: skip
