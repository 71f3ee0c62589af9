"""IR written op by op: what a generator of modules stands on. Types are inferred by the table of ops."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from trxc.dims import Dim, dim
from trxc.ir import Attribute, Function, Initializer, Module, Op, Parameter, Path, Region, Value
from trxc.ops import OPS
from trxc.ops.definition import Attributes, Instance, Setting
from trxc.types import BOOL, FLOAT, INT, Axis, DType, TensorType, axis

BATCH, SEQ = axis("batch"), axis("seq")
WIDTH = 4
NORMAL = Initializer("normal", "jax.nn.initializers:normal", (("stddev", 0.5),))
ONES = Initializer("ones", "jax.nn.initializers:ones")


def sized(size: Axis | int) -> tuple[Dim, str | None]:
    """A size as an attribute."""
    return (size.size, size.name) if isinstance(size, Axis) else (dim(size), None)


def sequence_type(width: int = WIDTH) -> TensorType:
    """`float[batch, seq, width]`, which most pieces take and give."""
    return TensorType(FLOAT, (BATCH, SEQ, Axis(dim(width))))


@dataclass
class Code:
    """A function, or a region of it, that is being written; calling it writes an op.

    `prefix` is where the parameter paths of the region begin, relative to the function.
    """

    rng: random.Random
    module: Module
    function: Function
    region: Region
    training: bool = False
    smooth: bool = False
    prefix: Path = ()
    around: list[Value] = field(default_factory=list[Value])

    def __call__(self, kind: str, *operands: Value, **attributes: Attribute) -> Value:
        """Writes an op of the table, with the defaults of its settings: its first result."""
        return self.several(kind, *operands, **attributes)[0]

    def several(self, kind: str, *operands: Value, **attributes: Attribute) -> list[Value]:
        """The same, of an op with several results."""
        given = {s.name: attributes.get(s.name, _default(s)) for s in OPS[kind].slots if isinstance(s, Setting)}
        given |= {name: value for name, value in attributes.items() if name not in given}
        types = OPS[kind].infer(Instance(tuple(value.type for value in operands), Attributes(given)))
        return self.write(kind, operands, given, types)

    def write(
        self, kind: str, operands: Sequence[Value], attributes: dict[str, Attribute], types: Sequence[TensorType],
        regions: Sequence[Region] = (),
    ) -> list[Value]:  # fmt: skip
        """Writes any op, whose results have these types."""
        results = [Value(type_) for type_ in types]
        self.region.ops.append(Op(kind, list(operands), attributes, results, list(regions)))
        return results

    # ------------------------------------------------------------- leaves

    def number(self, value: float | int | bool, dtype: DType | None = None) -> Value:
        """A constant."""
        kind = BOOL if isinstance(value, bool) else INT if isinstance(value, int) else FLOAT
        return self.write("constant", [], {"value": value}, [TensorType(dtype or kind)])[0]

    def weight(self, stem: str, *sizes: int, dtype: DType = FLOAT, initializer: Initializer = NORMAL) -> Value:
        """A new weight of the function, read here."""
        name = self.free(stem)
        self.declare(name, TensorType(dtype, tuple(Axis(dim(size)) for size in sizes)), initializer)
        return self.read(name)

    def declare(self, name: str, type_: TensorType, initializer: Initializer, *, trains: bool = True) -> None:
        """Makes the function own a weight or state by this name."""
        path = (*self.prefix, name)
        self.function.parameters[path] = Parameter(path, type_, initializer, trains)

    def read(self, name: str) -> Value:
        """A weight or state of this name."""
        parameter = self.function.parameters[(*self.prefix, name)]
        kind = "parameter" if parameter.trainable else "state"
        return self.write(kind, [], {"path": (name,)}, [parameter.type])[0]

    def keep(self, name: str, value: Value) -> None:
        """Sets a state."""
        self.write("set_state", [value], {"path": (name,)}, [])

    def free(self, stem: str) -> str:
        """A name, below the prefix, that no weight or call has."""
        taken = {path[len(self.prefix)] for path in self._paths() if path[: len(self.prefix)] == self.prefix}
        names = [stem, *(f"{stem}_{number}" for number in range(2, 99))]
        return next(name for name in names if name not in taken)

    def _paths(self) -> list[Path]:
        calls = [op.path() for op in self.region.walk() if op.attributes.get("path")]
        return [path for path in self.function.parameters if len(path) > len(self.prefix)] + [
            (*self.prefix, *path) for path in calls
        ]

    # ---------------------------------------------------------- structure

    def within(self, region: Region, prefix: Path = ()) -> Code:
        """The code of a nested region."""
        seen = [*self.around, *self.region.arguments]
        return Code(self.rng, self.module, self.function, region, self.training, self.smooth,
                    self.prefix + prefix, seen)  # fmt: skip

    def new_function(self, stem: str, types: Sequence[TensorType], names: Sequence[str | None] = ()) -> Code:
        """The code of a new function; it joins the module when it is `finished`."""
        stem += "_train" * self.training
        taken = set(self.module.functions) | {self.function.name}
        name = next(n for n in (stem, *(f"{stem}_{at}" for at in range(2, 99))) if n not in taken)
        arguments = [Value(type_, label) for type_, label in zip(types, names or [None] * len(types), strict=True)]
        body = Region(arguments)
        return Code(self.rng, self.module, Function(name, body), body, self.training, self.smooth)

    def finish(self, *results: Value) -> Function:
        """Ends a function that gives these values."""
        self.region.results[:] = results
        self.function.output_names = ["output"] if len(results) == 1 else [f"output_{at}" for at in range(len(results))]
        self.module.functions[self.function.name] = self.function
        return self.function

    def call(self, function: Function, *operands: Value, path: Path = ()) -> list[Value]:
        """Calls a function whose sizes are those of the caller."""
        attributes: dict[str, Attribute] = {"callee": function.name, "path": path}
        return self.write("call", operands, attributes, [value.type for value in function.results])


def _default(setting: Setting) -> Attribute:
    default = setting.default
    return default if isinstance(default, int | float | bool | str | Dim | DType | tuple) else None
