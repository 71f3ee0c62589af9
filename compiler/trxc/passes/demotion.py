"""Checks that no float lost bits that nobody asked to lose: what `precision` promises, and what every pass keeps.

Faults, from `precision` on:

- a float result with fewer bits than the widest float operand, of anything but a `cast`;
- a `cast` to fewer bits that neither the program nor `precision` made: later passes may move and copy casts, which
  keep the place in the source that they are for, and may make none of their own;
- a sum, a mean, a softmax or another op of :data:`~trxc.passes.precision.FULL` in the 16 bits of the run;
- a weight, a state or a result of a role (outputs, loss, metrics) that is written `float` and is not f32; what decoding
  keeps has the dtype of what it holds.

The optimizer's statistics have the dtypes of the weights, as no optimizer of the library takes another.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..diagnostics.internal import InternalError
from ..ir import Function, Module, Op, Parameter, Value
from ..ir.verify import Problem
from ..ir.walk import call_order
from ..source import Span
from ..types import DTYPES, F32, TensorType
from .decode import KEPT, PREPARE, STEP
from .precision import FULL

Place = tuple[Span | None, str]


class Demotions:
    """Follows one module through the passes.

    Args:
        written: the module before any pass.
        compute: the dtype of the model's maths.
        model: the names of the model's own functions.
    """

    def __init__(self, written: Module, *, compute: str = "f32", model: tuple[str, ...] = ()) -> None:
        self.compute = DTYPES[compute]
        self._model = model
        self._results = {role: [value.type.dtype for value in written.role(role).results] for role in written.roles}
        self._declared = {parameter.type.dtype for parameter in _parameters(written)}
        results = ((op.span, value.type) for op in _ops(written) for value in op.results)
        self._said = {(span, type_.dtype.name) for span, type_ in results if _is_exact_float(type_)}
        self._known: set[Place] | None = None

    def check(self, name: str, module: Module) -> None:
        """To be called after each pass, with its name.

        Raises:
            InternalError: something lost bits; the message names the first few places.
        """
        problems = self.find(name, module)
        if problems:
            text = "\n".join(problem.text for problem in problems[:5])
            raise InternalError(name, text, next((p.span for p in problems if p.span), None))

    def find(self, name: str, module: Module) -> list[Problem]:
        """What lost bits; nothing before `precision`, which is what gives values their bits."""
        if self._known is None and name != "precision":
            return []
        if self._known is None:
            model = [*self._model, *(module.roles.get(role, "") for role in (STEP, PREPARE))]
            inside = set(call_order(module, [name for name in model if name in module.functions]))
            problems = [p for f in module.functions.values() for p in self._casts(f, f.name in inside)]
            self._known = {place for place in map(_place, _ops(module)) if place}
        else:
            problems = [p for f in module.functions.values() for p in self._new_casts(f, self._known)]
        for function in module.functions.values():
            problems += (p for op in function.body.walk() for p in self._op(function, op))
        return [*problems, *self._stored(module), *self._roles(module)]

    def _casts(self, function: Function, inside: bool) -> Iterator[Problem]:
        """Casts of `precision`: to the dtype of the run in the model, elsewhere what the program says."""
        for op in function.body.walk():
            place = _place(op)
            if place and place not in self._said and not (inside and op.result.type.dtype == self.compute):
                yield _problem(function, op, "which the program does not say")

    def _new_casts(self, function: Function, known: set[Place]) -> Iterator[Problem]:
        for op in function.body.walk():
            place = _place(op)
            if place and place not in known:
                yield _problem(function, op, "which was not there after `precision`")

    def _op(self, function: Function, op: Op) -> Iterator[Problem]:
        if op.kind == "cast" or op.regions or op.kind == "call":
            return
        widest = max((value.type.dtype.bits for value in _floats(op.operands)), default=0)
        narrow = [value for value in _floats(op.results) if value.type.dtype.bits < widest]
        if narrow:
            yield _problem(function, op, f"of operands of {widest} bits")
        elif op.kind in FULL and self.compute != F32 and self._in_few_bits(op):
            yield _problem(function, op, f"in {self.compute}, though sums are done in f32")

    def _in_few_bits(self, op: Op) -> bool:
        """Whether an op has operands in the dtype of the run, and the program does not say so itself."""
        said = (op.span, self.compute.name) in self._said
        return not said and self.compute in (value.type.dtype for value in op.operands)

    def _stored(self, module: Module) -> Iterator[Problem]:
        for parameter in _parameters(module):
            dtype = parameter.type.dtype
            narrow = dtype.kind == "float" and dtype != F32 and dtype not in self._declared
            if narrow and parameter.initializer != KEPT:
                what = "weight" if parameter.trainable else "state"
                yield Problem(f"the {what} `{parameter.name}` is {dtype}, and not written so", parameter.span)

    def _roles(self, module: Module) -> Iterator[Problem]:
        for role, dtypes in self._results.items():
            function = module.role(role)
            for at, (said, value) in enumerate(zip(dtypes, function.results, strict=False)):
                wanted = F32 if said.generic else said
                if said.kind == "float" and value.type.dtype.bits < wanted.bits:
                    name = function.output_names[at] if at < len(function.output_names) else f"result {at + 1}"
                    yield Problem(f"`{role}.{name}` is {value.type.dtype} instead of {wanted}", function.span)


def _problem(function: Function, op: Op, why: str) -> Problem:
    return Problem(f"{function.name}: `{op.kind}` gives {op.results[0].type}, {why}", op.span or function.span)


def _place(op: Op) -> Place | None:
    """The place and dtype of a cast to fewer bits; none of anything else. What is generic has its bits to come."""
    if op.kind != "cast":
        return None
    before, after = op.operands[0].type, op.result.type
    fewer = _is_exact_float(after) and before.dtype.kind == "float" and after.dtype.bits < (before.dtype.bits or 32)
    return (op.span, after.dtype.name) if fewer else None


def _is_exact_float(type_: TensorType) -> bool:
    return type_.dtype.kind == "float" and not type_.dtype.generic


def _floats(values: list[Value]) -> list[Value]:
    return [value for value in values if value.type.dtype.kind == "float"]


def _ops(module: Module) -> Iterator[Op]:
    return (op for function in module.functions.values() for op in function.body.walk())


def _parameters(module: Module) -> list[Parameter]:
    return [parameter for function in module.functions.values() for parameter in function.parameters.values()]
