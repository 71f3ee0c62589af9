"""Gives `float` and `int` their dtypes: where computation happens in fewer bits, and where it does not.

In `f32` every `float` is f32. In mixed precision, weights, states and their gradients stay f32; products and
elementwise maths in the model are done in the compute dtype; reductions, softmax and statistics in f32; the loss,
the metrics and the model's outputs in f32.

Before, with compute dtype bf16::

    w: float[d] = parameter() {path=("w",)}
    y: float[b, d] = multiply(x, w)

After::

    w: f32[d] = parameter() {path=("w",)}
    %0: bf16[d] = cast(w) {dtype=bf16}
    y: bf16[b, d] = multiply(x, %0)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from ..ir import Attribute, Function, Module, Op, Region, Value
from ..ir.clone import clone_function
from ..ir.walk import call_order, callee, reachable
from ..ops import OPS, Attributes, Instance
from ..types import DTYPES, F32, I32, DType, TensorType
from .base import Pass

FULL = frozenset({
    "softmax", "log_softmax", "logsumexp", "mean", "variance", "sum", "prod", "cumsum", "cumprod", "exp", "log",
    "log1p", "expm1", "avg_pool",
})  # fmt: skip
"""Ops that are done in f32: their results differ too much in fewer bits."""


@dataclass(frozen=True)
class Precision(Pass):
    """Fixes dtypes; `compute` is that of the model's maths. Roles but `apply` compute in f32."""

    name: ClassVar[str] = "precision"
    compute: str = "f32"
    model: tuple[str, ...] = ()

    def run(self, module: Module) -> None:
        """Retypes every function, callees before callers."""
        low = DTYPES[self.compute]
        inside = self._separate(module) if low != F32 else set[str]()
        for name in call_order(module):
            function = module.functions[name]
            _Retyped(module, low if name in inside else F32, outer=name in self.model and low != F32).function(function)

    def _separate(self, module: Module) -> set[str]:
        """The model's functions, made distinct from those that the loss and the metrics call."""
        inside = _reached(module, [n for n in self.model if n in module.functions], frozenset())
        outside = _reached(module, [n for n in module.roles.values() if n not in self.model], frozenset(self.model))
        names: dict[str, str] = {}
        for name in sorted(inside & outside):
            copy = clone_function(module.functions[name], f"{name}_f32")
            module.functions[copy.name] = copy
            names[name] = copy.name
        for name in [*(outside - inside), *names.values()]:
            for op in module.functions[name].body.walk():
                if op.kind == "call":
                    op.attributes["callee"] = names.get(callee(op), callee(op))
        kept = reachable(module)
        for name in [n for n in module.functions if n not in kept]:
            del module.functions[name]
        return inside


def _reached(module: Module, roots: list[str], stop: frozenset[str]) -> set[str]:
    found: set[str] = set()
    queue = [name for name in roots if name not in stop]
    while queue:
        name = queue.pop()
        found.add(name)
        called = [callee(op) for op in module.functions[name].body.walk() if op.kind == "call"]
        queue.extend(c for c in called if c not in found and c not in stop)
    return found


class _Retyped:
    """One function being given its dtypes: types are inferred anew from the inputs on, casts put where they are due."""

    def __init__(self, module: Module, compute: DType, *, outer: bool) -> None:
        self.module, self.compute, self.outer = module, compute, outer
        self._control: dict[str, Callable[[Op, dict[Value, Value]], None]] = {
            "constant": self._constant, "size": self._constant, "call": self._call, "repeat": self._loop,
            "recur": self._loop, "cond": self._branches,
        }  # fmt: skip

    def function(self, function: Function) -> None:
        """Retypes a function."""
        for path, parameter in function.parameters.items():
            function.parameters[path] = type(parameter)(
                parameter.path,
                self._exact(parameter.type, F32),
                parameter.initializer,
                parameter.trainable,
                parameter.span,
            )
        body, casts = function.body, list[Op]()
        new: dict[Value, Value] = {}
        for value in body.arguments:
            value.type = self._exact(value.type, F32 if self.outer else self.compute)
            if self.outer and value.type.dtype == F32:
                casts.append(_cast(value, self.compute, function.span))
                new[value] = casts[-1].result
        self._region(body, new)
        body.ops[:0] = casts
        if self.outer:
            body.results[:] = [
                self._as(value, F32, body.ops) if value.type.dtype == self.compute else value for value in body.results
            ]

    def _exact(self, type_: TensorType, floating: DType) -> TensorType:
        if not type_.dtype.generic:
            return type_
        return type_.with_dtype(floating if type_.dtype.kind == "float" else I32)

    def _as(self, value: Value, dtype: DType, ops: list[Op]) -> Value:
        ops.append(_cast(value, dtype, None))
        ops[-1].result.name, value.name = value.name, None
        return ops[-1].result

    def _region(self, region: Region, new: dict[Value, Value]) -> None:
        ops: list[Op] = []
        for op in region.ops:
            op.operands[:] = [new.get(v, v) for v in op.operands]
            ops.append(op)
            self._op(op, ops, new)
        region.ops[:] = ops
        region.results[:] = [new.get(v, v) for v in region.results]

    def _op(self, op: Op, ops: list[Op], new: dict[Value, Value]) -> None:
        for name, value in op.attributes.items():
            op.attributes[name] = self._attribute(value)
        if op.kind in ("parameter", "state"):
            op.result.type = self._exact(op.result.type, F32)
            if op.result.type.dtype == F32 and self.compute != F32:
                ops.append(_cast(op.result, self.compute, op.span))
                new[op.result] = ops[-1].result
        elif op.kind == "set_state":
            value = op.operands[0]
            if value.type.dtype == self.compute != F32:
                ops.insert(len(ops) - 1, _cast(value, F32, op.span))
                op.operands[0] = ops[-2].result
        elif op.kind in self._control:
            self._control[op.kind](op, new)
        elif op.kind in FULL and self.compute != F32:
            self._in_full(op, ops, new)
        else:
            self._infer(op)

    def _attribute(self, value: Attribute) -> Attribute:
        if isinstance(value, DType) and value.generic:
            return self.compute if value.kind == "float" else I32
        return value

    def _infer(self, op: Op) -> None:
        results = tuple(v.type for v in op.results)
        use = Instance(tuple(v.type for v in op.operands), Attributes(op.attributes), results)
        if op.kind not in OPS:
            for value in op.results:
                value.type = self._exact(value.type, self.compute)
            return
        dtypes = [t.dtype for t in OPS[op.kind].infer(use)]
        for value, dtype in zip(op.results, dtypes, strict=True):
            value.type = self._exact(value.type.with_dtype(dtype), self.compute)

    def _in_full(self, op: Op, ops: list[Op], new: dict[Value, Value]) -> None:
        """The op on f32 operands, its result cast back."""
        for at, value in enumerate(op.operands):
            if value.type.dtype == self.compute:
                ops.insert(len(ops) - 1, _cast(value, F32, op.span))
                op.operands[at] = ops[-2].result
        self._infer(op)
        for value in op.results:
            if value.type.dtype == F32:
                ops.append(_cast(value, self.compute, op.span))
                ops[-1].result.name, value.name = value.name, None
                new[value] = ops[-1].result

    # ------------------------------------------------------------- control

    def _constant(self, op: Op, new: dict[Value, Value]) -> None:
        op.result.type = self._exact(op.result.type, self.compute)

    def _call(self, op: Op, new: dict[Value, Value]) -> None:
        target = self.module.functions[callee(op)]
        for value, result in zip(op.results, target.results, strict=True):
            value.type = value.type.with_dtype(result.type.dtype)

    def _loop(self, op: Op, new: dict[Value, Value]) -> None:
        region = op.regions[0]
        for argument, operand in zip(region.arguments, op.operands, strict=True):
            argument.type = argument.type.with_dtype(operand.type.dtype)
        self._region(region, dict(new))
        for result, inner in zip(op.results, region.results, strict=True):
            result.type = result.type.with_dtype(inner.type.dtype)

    def _branches(self, op: Op, new: dict[Value, Value]) -> None:
        for region in op.regions:
            self._region(region, dict(new))
        for result, inner in zip(op.results, op.regions[0].results, strict=True):
            result.type = result.type.with_dtype(inner.type.dtype)


def _cast(value: Value, dtype: DType, span: object) -> Op:
    from ..source import Span

    result = Value(value.type.with_dtype(dtype))
    return Op("cast", [value], {"dtype": dtype}, [result], span=span if isinstance(span, Span) else None)
