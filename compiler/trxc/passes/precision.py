"""Gives `float` and `int` their dtypes: where computation happens in fewer bits, and where it does not.

In `f32` every `float` is f32. In mixed precision, weights, states and their gradients stay f32; products and
elementwise maths in the model are done in the compute dtype; reductions, softmax and statistics in f32; the loss,
the metrics and the model's outputs in f32. What only the next value of a state is computed from is done in f32 as well:
in fewer bits a counter would stop at 256, and a running mean would never take in small differences. A dtype that the
program itself says stays.

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
from ..ops.movement import Movement
from ..source import Span
from ..types import DTYPES, F32, I32, DType, TensorType
from .base import Pass, Remarks
from .decode import KEPT, PREPARE, STEP

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

    def run(self, module: Module, remarks: Remarks) -> None:
        """Retypes every function, callees before callers."""
        low = DTYPES[self.compute]
        model = {*self.model, *(module.roles[role] for role in (STEP, PREPARE) if role in module.roles)}
        inside = self._separate(module, model) if low != F32 else set[str]()
        for name in call_order(module):
            function = module.functions[name]
            _Retyped(module, low if name in inside else F32, outer=name in model and low != F32).function(function)

    def _separate(self, module: Module, model: set[str]) -> set[str]:
        """The model's functions, made distinct from those that the loss and the metrics call."""
        inside = _reached(module, [n for n in module.functions if n in model], frozenset())
        outside = _reached(module, [n for n in module.roles.values() if n not in model], frozenset(model))
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
        self._narrowed: dict[Value, Value] = {}
        """What was in f32 before its cast to the compute dtype."""
        self._constants: set[Value] = set()
        self._for_states: set[int] = set()
        self._generic_states: set[int] = set()
        self._control: dict[str, Callable[[Op, dict[Value, Value]], None]] = {
            "constant": self._constant, "size": self._constant, "call": self._call, "repeat": self._loop,
            "recur": self._loop, "cond": self._branches,
        }  # fmt: skip

    def function(self, function: Function) -> None:
        """Retypes a function."""
        for path, parameter in function.parameters.items():
            function.parameters[path] = type(parameter)(
                parameter.path,
                self._exact(parameter.type, self.compute if parameter.initializer == KEPT else F32),
                parameter.initializer,
                parameter.trainable,
                parameter.span,
            )
        body, casts = function.body, list[Op]()
        new: dict[Value, Value] = {}
        if self.compute != F32:
            self._for_states = _ops_for_states(body)
            writes = [op for op in body.walk() if op.kind == "set_state" and not _is_kept(op)]
            self._generic_states = {id(op) for op in writes if op.operands[0].type.dtype.generic}
        for value in body.arguments:
            said = value.type.dtype
            value.type = self._exact(value.type, F32 if self.outer else self.compute)
            if self.outer and value.type.dtype == F32 != said:
                casts.append(self._narrow(value, self.compute, function.span, new))
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
        floating = F32 if id(op) in self._for_states else self.compute
        for name, value in op.attributes.items():
            op.attributes[name] = self._attribute(value, floating)
        if _is_kept(op) and op.results:
            op.result.type = self._exact(op.result.type, self.compute)
        elif op.kind in ("parameter", "state"):
            said = op.result.type.dtype
            op.result.type = self._exact(op.result.type, F32)
            if op.result.type.dtype == F32 not in (said, self.compute):
                ops.append(self._narrow(op.result, self.compute, op.span, new))
        elif op.kind == "constant" and floating == F32:
            op.result.type = self._exact(op.result.type, F32)
        elif op.kind == "set_state":
            if id(op) in self._generic_states:
                self._widen(op, ops)
        elif op.kind in self._control:
            self._control[op.kind](op, new)
        else:
            self._computed(op, ops, new, floating)

    def _attribute(self, value: Attribute, floating: DType) -> Attribute:
        if isinstance(value, DType) and value.generic:
            return floating if value.kind == "float" else I32
        return value

    def _narrow(self, value: Value, dtype: DType, span: Span | None, new: dict[Value, Value]) -> Op:
        """The cast of a value to another dtype, which stands for it from here on."""
        cast = _cast(value, dtype, span)
        new[value] = cast.result
        if value.type.dtype == F32:
            self._narrowed[cast.result] = value
        return cast

    def _widen(self, op: Op, ops: list[Op]) -> None:
        """Gives the last of `ops` its operands in f32: as they were before they were cast, where they were."""
        for at, value in enumerate(op.operands):
            if value.type.dtype != self.compute or value in self._constants:
                continue
            wide = self._narrowed.get(value)
            if wide is None:
                ops.insert(len(ops) - 1, _cast(value, F32, op.span))
                wide = ops[-2].result
            op.operands[at] = wide

    def _continues(self, op: Op) -> bool:
        """Whether an op is elementwise maths on what is there in f32 alone, as the `rsqrt(variance + eps)` of a norm:
        its derivative may be too large for fewer bits."""
        if op.kind == "cast" or op.kind not in OPS or not OPS[op.kind].elementwise:
            return False
        low = [v for v in op.operands if v.type.dtype == self.compute and v not in self._constants]
        return bool(low) and all(value in self._narrowed for value in low)

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

    def _computed(self, op: Op, ops: list[Op], new: dict[Value, Value], floating: DType) -> None:
        """An op on operands in f32 where it is due; what it gives is cast to what the program says that it is."""
        wanted = [self._exact(value.type, floating).dtype for value in op.results]
        if self.compute != F32 and (op.kind in FULL or floating == F32 or self._continues(op)):
            self._widen(op, ops)
        self._infer(op)
        for value, dtype in zip(op.results, wanted, strict=True):
            if value.type.dtype != dtype:
                ops.append(self._narrow(value, dtype, op.span, new))
                ops[-1].result.name, value.name = value.name, None

    # ------------------------------------------------------------- control

    def _constant(self, op: Op, new: dict[Value, Value]) -> None:
        op.result.type = self._exact(op.result.type, self.compute)
        if op.kind == "constant":
            self._constants.add(op.result)

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


def _is_kept(op: Op) -> bool:
    """Whether a state is one of decoding's: of the same dtype as what it holds."""
    return op.attributes.get("kept") is True


def _ops_for_states(body: Region) -> set[int]:
    """The ops (by id) whose results nothing but the next values of states is computed from, by elementwise maths,
    reductions and moves alone."""
    others: set[Value] = set()
    found: set[int] = set()
    others.update(body.results, *(region.results for op in body.walk() for region in op.regions))
    for op in reversed(list(body.walk())):
        if op.kind == "set_state" and not _is_kept(op):
            continue
        if op.results and _is_plain(op) and others.isdisjoint(op.results):
            found.add(id(op))
        else:
            others.update(op.operands)
    return found


def _is_plain(op: Op) -> bool:
    definition = OPS.get(op.kind)
    if definition is None:
        return op.kind == "constant"
    return op.kind in FULL or definition.elementwise or isinstance(definition, Movement)


def _cast(value: Value, dtype: DType, span: Span | None) -> Op:
    return Op("cast", [value], {"dtype": dtype}, [Value(value.type.with_dtype(dtype))], span=span)
