"""What a layer keeps: weights, states that training updates, carries that `recur` hands on."""

from __future__ import annotations

from ..ir import Op, Parameter, Value
from ..resolve import nearest
from ..syntax import ast
from ..types import TensorType, accepts
from . import evaluate as evaluation
from . import operators, typing
from .body import Body, Carried
from .declared import initializer
from .faults import Fault, Silent
from .functions import add_carry, declare_parameter, set_carry
from .naming import check_free
from .values import POISON


def declare_param(node: ast.Param, body: Body) -> None:
    """`param w: float[in, out] = init when condition`."""
    name = node.name.name
    check_free(name, node.name.span, body, "param")
    if node.condition is not None and not evaluation.evaluate_flag(node.condition, body):
        body.variables[name] = None
        return
    type_ = typing.evaluate_type(node.type, body)
    start = initializer(evaluation.evaluate(node.initializer, body), body, node.initializer.span)
    path = (*body.namer.prefix, name)
    if path in body.frame.function.parameters and name in body.variables:
        first = body.frame.function.parameters[path].span
        labels = [(first, "first here")] if first is not None else []
        raise Fault("TRX0416", f"param `{name}` is declared twice", node.name.span, labels=labels)
    declare_parameter(body.frame, Parameter(path, type_, start, True, node.span), node.span)
    value = body.frame.add("parameter", [], {"path": path}, [type_], node.span).result
    value.name = name
    body.variables[name] = value


def declare_state(node: ast.State, body: Body) -> None:
    """`state running_mean: float[c] = zeros`."""
    name = node.name.name
    check_free(name, node.name.span, body, "state")
    type_ = typing.evaluate_type(node.type, body)
    start = initializer(evaluation.evaluate(node.initializer, body), body, node.initializer.span)
    path = (*body.namer.prefix, name)
    declare_parameter(body.frame, Parameter(path, type_, start, False, node.span), node.span)
    value = body.frame.add("state", [], {"path": path}, [type_], node.span).result
    value.name = name
    body.states[name] = (path, type_)
    body.variables[name] = value


def declare_carry(node: ast.Carry, body: Body) -> None:
    """`carry h: float[batch, hidden] = zeros`."""
    name = node.name.name
    check_free(name, node.name.span, body, "carry")
    type_ = typing.evaluate_type(node.type, body)
    carried = Carried(name, type_, evaluation.evaluate(node.initial, body), node.span)
    body.carried[name] = carried
    body.variables[name] = add_carry(body.frame, carried)


def set_next(node: ast.Next, body: Body) -> None:
    """`next h = …`: the following value of a carry, or of a state while training."""
    name = node.name.name
    if name not in body.states and name not in body.carried:
        if body.variables.get(name) is POISON:
            raise Silent
        near = nearest(name, [*body.states, *body.carried])
        for known in (*body.states, *body.carried):  # one of them is meant, and is not set: that is not said again
            body.variables.setdefault(f"%next {known}", POISON)
        raise Fault("TRX0301", f"no carry or state is called `{name}`", node.name.span, helps=near)
    value = operators.as_tensor(evaluation.evaluate(node.value, body), body, node.value.span)
    wanted = body.states[name][1] if name in body.states else body.carried[name].type
    if value.type.sizes != wanted.sizes:
        message = f"`next {name}` is {value.type.show()}, and `{name}` is {wanted.show()}"
        raise Fault("TRX0204", message, node.value.span)
    value = _as_declared(value, wanted, node, body)
    if name in body.next_states or name in body.next_carries:
        raise Fault("TRX0411", f"`next {name}` is set twice", node.span)
    if name in body.carried:
        body.next_carries[name] = value
        set_carry(body.frame, name, value)
        return
    body.next_states[name] = value
    if body.session.training:
        body.frame.regions[-1].ops.append(Op("set_state", [value], {"path": body.states[name][0]}, [], span=node.span))


def _as_declared(value: Value, wanted: TensorType, node: ast.Next, body: Body) -> Value:
    """The value in the dtype of what it is the next value of: a loop hands on what it was given.

    Raises:
        Fault: it is a number of another kind.
    """
    given = value.type.dtype
    if not accepts(wanted.dtype, given):
        message = f"`next {node.name.name}` is `{given}`, and `{node.name.name}` is `{wanted.dtype}`"
        helps = [f"`cast(x, {wanted.dtype})` converts it"]
        raise Fault("TRX0206", message, node.value.span, helps=helps)
    if given == wanted.dtype:
        return value
    return operators.apply_op("cast", [value], {"dtype": wanted.dtype}, body, node.value.span, [node.value.span])[0]
