"""The intermediate representation: typed, in single assignment, with regions for loops and branches.

A :class:`Module` holds functions; a function's body is a :class:`Region`: arguments, ops in order, results. Ops
inside a nested region may use values of the regions around it. What an op means, is in the table :mod:`trxc.ops`.

Parameters belong to functions by path relative to the function: a ``call`` hands the subtree at its ``path`` to
its callee, a ``repeat`` hands slice *i* of the stacked subtree at its ``path`` to iteration *i*. So a function that
is called twice with two paths has two sets of weights, and with the same path shares one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from ..dims import Dim
from ..source import Span
from ..types import DType, TensorType

Path: TypeAlias = tuple[str, ...]
Attribute: TypeAlias = "int | float | bool | str | Dim | DType | tuple[Attribute, ...] | None"


@dataclass(eq=False)
class Value:
    """The result of an op or an argument of a region. `name` is what the user called it, if anything.

    `lent`: the name is not one of the layer that the value stands in, but of a layer that is written out in it, whose
    input the value is.
    """

    type: TensorType
    name: str | None = None
    lent: bool = False

    def __repr__(self) -> str:
        return f"<{self.name or 'value'}: {self.type}>"


@dataclass(eq=False)
class Op:
    """One operation. `kind` is its name in the op table; `span` the place in the source that it came from."""

    kind: str
    operands: list[Value]
    attributes: dict[str, Attribute]
    results: list[Value]
    regions: list[Region] = field(default_factory=list["Region"])
    span: Span | None = None

    @property
    def result(self) -> Value:
        """The only result.

        Raises:
            ValueError: it has none or several.
        """
        (value,) = self.results
        return value

    def path(self, name: str = "path") -> Path:
        """The attribute `name` as a parameter path."""
        value = self.attributes[name]
        assert isinstance(value, tuple)
        return tuple(str(part) for part in value)


@dataclass(eq=False)
class Region:
    """Straight-line code with arguments and results."""

    arguments: list[Value]
    ops: list[Op] = field(default_factory=list[Op])
    results: list[Value] = field(default_factory=list[Value])

    def walk(self) -> Iterator[Op]:
        """Every op, those of nested regions after the op that holds them."""
        for op in self.ops:
            yield op
            for region in op.regions:
                yield from region.walk()


@dataclass(frozen=True)
class Initializer:
    """How a parameter starts: `name(arguments)`, and the JAX callable that `target` names ("module:attribute")."""

    name: str
    target: str
    arguments: tuple[tuple[str, Attribute], ...] = ()

    def __str__(self) -> str:
        values = ", ".join(f"{k} = {v}" for k, v in self.arguments)
        return f"{self.name}({values})" if values else self.name


@dataclass(frozen=True)
class Parameter:
    """A weight (or, with ``trainable=False``, a state) that a function owns, by its path relative to the function."""

    path: Path
    type: TensorType
    initializer: Initializer
    trainable: bool = True
    span: Span | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """The path as users write it."""
        return ".".join(self.path)


@dataclass(eq=False)
class Function:
    """A layer instance, a loss, a set of metrics: inputs, a body, and the parameters that it owns itself."""

    name: str
    body: Region
    parameters: dict[Path, Parameter] = field(default_factory=dict[Path, Parameter])
    output_names: list[str] = field(default_factory=list[str])
    doc: str = ""
    title: str = ""
    span: Span | None = None

    @property
    def inputs(self) -> list[Value]:
        """The arguments of its body."""
        return self.body.arguments

    @property
    def results(self) -> list[Value]:
        """The results of its body."""
        return self.body.results


@dataclass
class Module:
    """All functions by name, in order of definition (callees first), and which of them does what.

    ``roles`` maps ``apply`` (inference), and where there is a recipe ``loss``, ``measure`` and ``summarize``, to
    function names.
    """

    name: str
    functions: dict[str, Function] = field(default_factory=dict[str, Function])
    roles: dict[str, str] = field(default_factory=dict[str, str])

    def role(self, name: str) -> Function:
        """The function that plays a role.

        Raises:
            KeyError: no function does.
        """
        return self.functions[self.roles[name]]
