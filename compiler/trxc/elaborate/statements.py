"""The statements of a layer's body, one after another; a wrong one is reported and the rest go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from ..dims import Mod
from ..ir import Attribute
from ..resolve import nearest
from ..source import Span
from ..syntax import ast
from ..types import Axis
from . import evaluate as evaluation
from . import operators, typing, weights
from .body import Body, Requirement
from .faults import Fault, Silent, counted
from .naming import check_free, name_value
from .values import (
    POISON,
    Condition,
    CValue,
    LayerInstance,
    Sequence,
    Size,
    describe,
)


def input_signatures(item: ast.Layer | ast.Extern) -> list[ast.Signature]:
    """What a layer declares as its inputs."""
    return [s for node in item.body or () if isinstance(node, ast.Input) for s in node.signatures]


def run_body(item: ast.Layer, body: Body, values: list[CValue], named: dict[str, CValue], span: Span) -> CValue:
    """A body's statements on input values: its output, or the tuple of its outputs.

    Raises:
        Fault: the inputs do not fit the declaration.
        Silent: a statement failed.
    """
    given = _assign_inputs(item, values, named, span)
    body.parameter_names = frozenset(p.name.name for p in item.parameters)
    failed = run_statements(item.body or (), body, given)
    if failed:
        body.frame.failed = True
        raise Silent
    if not body.outputs:
        raise Fault("TRX0414", f"`{item.name.name}` has no `output`", item.name.span)
    outputs = [value for _, value in body.outputs]
    return outputs[0] if len(outputs) == 1 else Sequence(tuple(outputs))


def _assign_inputs(item: ast.Layer, values: list[CValue], named: dict[str, CValue], span: Span) -> dict[str, CValue]:
    signatures = input_signatures(item)
    name = item.name.name
    if len(values) > len(signatures):
        if len(values) == 1:
            raise Fault("TRX0413", f"`{name}` takes no input", span)
        raise Fault("TRX0413", f"`{name}` takes {counted(len(signatures), 'input')}, and is given {len(values)}", span)
    given: dict[str, CValue] = {s.name.name: v for s, v in zip(signatures, values, strict=False)}
    for key, value in named.items():
        if key not in {s.name.name for s in signatures}:
            near = nearest(key, [s.name.name for s in signatures])
            raise Fault("TRX0409", f"`{name}` has no input `{key}`", span, helps=near)
        given[key] = value
    for signature in signatures:
        if signature.name.name not in given and signature.default is None and not signature.type.optional:
            first = signature.name.name
            raise Fault(
                "TRX0413", f"`{name}` needs an input `{first}`", span, labels=[(signature.span, "declared here")]
            )
    return given


def run_statements(statements: tuple[ast.Statement, ...], body: Body, given: dict[str, CValue]) -> bool:
    """Runs statements in order; whether any failed."""
    failed = False
    for statement in statements:
        try:
            if isinstance(statement, ast.Input):
                _input(statement, body, given)
            elif isinstance(statement, ast.If):
                branch = statement.then if evaluation.evaluate_flag(statement.condition, body) else statement.otherwise
                failed |= run_statements(branch, body, given)
            else:
                cast("Callable[[Any, Body], None]", _STATEMENTS[type(statement)])(statement, body)
            if body.session.observer is not None:
                body.session.observer.declared(statement, body)
        except Fault as fault:
            body.session.report(fault)
            failed = True
            _poison(statement, body)
            if isinstance(statement, ast.Require | ast.Input):
                break  # what rests on it would fail as well: one mistake, one error
        except Silent:
            failed = True
            _poison(statement, body)
            if isinstance(statement, ast.Require):
                break
    return failed


def _poison(statement: ast.Statement, body: Body) -> None:
    for name in _introduced(statement):
        if name not in body.dims:
            body.variables.setdefault(name, POISON)
    if isinstance(statement, ast.Bind):
        body.variables.update(dict.fromkeys((ident.name for ident in statement.names), POISON))
    if isinstance(statement, ast.Next):
        body.variables[f"%next {statement.name.name}"] = POISON


def _dims_of(type_: ast.TypeExpr | None) -> list[str]:
    """The names that an annotation may have bound."""
    dims = type_.dims if type_ is not None else None
    names = [item.name for item in dims or () if isinstance(item, ast.Name | ast.PackDim)]
    return [name.name if isinstance(name, ast.Ident) else name for name in names if name is not None]


def _introduced(statement: ast.Statement) -> list[str]:
    match statement:
        case ast.Bind(names=names, type=type_):
            return [*(n.name for n in names), *_dims_of(type_)]
        case ast.Output(name=name, type=type_):
            return [*([name.name] if name else []), *_dims_of(type_)]
        case ast.Input(signatures=signatures):
            return [s.name.name for s in signatures]
        case ast.If(then=then, otherwise=otherwise):
            return [name for node in (*then, *otherwise) for name in _introduced(node)]
        case ast.Param(name=name) | ast.State(name=name) | ast.Carry(name=name):
            return [name.name]
        case ast.DimDecl(name=name):
            return [name.name]
        case _:
            return []


# ------------------------------------------------------------------- inputs


def _input(node: ast.Input, body: Body, given: dict[str, CValue]) -> None:
    for signature in node.signatures:
        name = signature.name.name
        check_free(name, signature.name.span, body, "an input")
        value = given.get(name)
        if value is None and signature.default is not None:
            value = evaluation.evaluate(signature.default, body)
        if value is None:
            body.variables[name] = None
            continue
        body.variables[name] = _matched_input(signature, value, body)


def _matched_input(signature: ast.Signature, value: CValue, body: Body) -> CValue:
    type_, place = signature.type, body.called or signature.name.span
    labels = [(signature.span, "declared here")] if body.called else []
    if isinstance(value, Sequence):
        if type_.name.name in ("any", "tuple") and type_.dims is None:
            return value
        message = f"input `{signature.name.name}` is one tensor, and this is a tuple of {len(value.items)}"
        raise Fault("TRX0206", message, place, labels=labels)
    tensor = operators.as_tensor(value, body, place)
    if type_.name.name == "tuple":
        message = f"input `{signature.name.name}` is a tuple, and this is a tensor"
        raise Fault("TRX0206", message, place, labels=labels)
    typing.match(type_, tensor, body, place, entering=not body.is_root)
    if tensor.name is None:
        tensor.name, tensor.lent = signature.name.name, True
    return tensor


# ----------------------------------------------------------------- bindings


def _bind(node: ast.Bind, body: Body) -> None:
    value = evaluation.evaluate(node.value, body)
    first, *rest = node.names
    if rest:
        _bind_tuple(node, value, body)
    else:
        bind_name(first, value, node.type, node.value.span, body)


def bind_name(ident: ast.Ident, value: CValue, type_: ast.TypeExpr | None, span: Span, body: Body) -> None:
    """Gives a value a name in the layer."""
    name = ident.name
    if name not in body.variables or name in body.parameter_names:
        check_free(name, ident.span, body, "binding")
    if type_ is not None:
        value = operators.as_tensor(value, body, span)
        typing.match(type_, value, body, span)
    body.variables[name] = name_value(value, name, body, span)


def _bind_tuple(node: ast.Bind, value: CValue, body: Body) -> None:
    if not isinstance(value, Sequence):
        raise Fault("TRX0417", f"{len(node.names)} names want a tuple, and this is {describe(value)}", node.value.span)
    if len(value.items) != len(node.names):
        message = f"{len(node.names)} names want as many values, and this has {len(value.items)}"
        raise Fault("TRX0417", message, node.value.span)
    for ident, item in zip(node.names, value.items, strict=True):
        bind_name(ident, item, None, node.value.span, body)


def _output(node: ast.Output, body: Body) -> None:
    value = evaluation.evaluate(node.value, body)
    if isinstance(value, Sequence) and node.type is None and node.name is None:
        for at, item in enumerate(value.items):
            body.outputs.append((f"output_{at}", operators.as_tensor(item, body, node.value.span)))
        return
    tensor = operators.as_tensor(value, body, node.value.span)
    if node.type is not None:
        typing.match(node.type, tensor, body, node.value.span)
    name = node.name.name if node.name else "output"
    if any(name == known for known, _ in body.outputs):
        raise Fault("TRX0411", f"output `{name}` is given twice", node.span)
    if node.name is not None:
        body.variables[name] = tensor
        tensor.name = tensor.name or name
    body.outputs.append((name, tensor))


def _dim(node: ast.DimDecl, body: Body) -> None:
    name = node.name.name
    if body.origins.get(name) == node.span:
        return  # a root's inputs are made first, and have asked for it
    check_free(name, node.name.span, body, "dim")
    size = typing.evaluate_size(node.size, body)
    body.dims[name] = Axis(size.size, name)
    body.origins[name] = node.span


def declare_leading_dims(item: ast.Layer, body: Body) -> None:
    """The dims that a layer declares above its inputs: their types may speak of them.

    Raises:
        Fault: one of them is wrong.
    """
    for statement in item.body or ():
        if not isinstance(statement, ast.DimDecl):
            return
        _dim(statement, body)


# ------------------------------------------------------------------- require


def require(node: ast.Require, body: Body) -> None:
    """Checks a condition that is known, and takes one on symbolic sizes as given.

    Raises:
        Fault: it does not hold.
    """
    for condition in _conjuncts(node.condition):
        _require_one(node, condition, body)


def _conjuncts(condition: ast.Expr) -> list[ast.Expr]:
    """`a and b` are two conditions, each of which may be symbolic."""
    found: list[ast.Expr] = []
    while isinstance(condition, ast.Binary) and condition.operator == "and":
        found.append(condition.right)
        condition = condition.left
    return [condition, *reversed(found)]


def _require_one(node: ast.Require, condition: ast.Expr, body: Body) -> None:
    value = evaluation.evaluate(condition, body)
    text = node.message.value if node.message else condition.span.text
    if value is True:
        return
    if value is False:
        facts, labels = _facts(condition, body)
        raise Fault("TRX0420", f"this does not hold: {text}", condition.span, labels=labels, notes=facts)
    if not isinstance(value, Condition):
        raise Fault("TRX0406", f"`require` takes a condition on sizes, and this is {describe(value)}", condition.span)
    assume(value, body)
    place = body.session.home(condition.span)
    requirement = Requirement(
        value.operator, value.left, value.right, text, condition.span, body.session.trail(), place
    )
    body.session.requirements.append(requirement)
    attributes: dict[str, Attribute] = {
        "operator": value.operator, "left": (value.left, None), "right": (value.right, None), "message": text,
    }  # fmt: skip
    body.frame.add("require", [], attributes, [], node.span)


def assume(condition: Condition, body: Body) -> None:
    """Takes a condition on sizes as given for what follows."""
    left, right = condition.left, condition.right
    for facts in (body.session.facts, body.session.required):
        if condition.operator == "==" and right.value == 0 and len(left.terms) == 1:
            monomial, _ = left.terms[0]
            if len(monomial) == 1 and isinstance(monomial[0][0], Mod):
                facts.assume_multiple(monomial[0][0].numerator, monomial[0][0].denominator)
        if condition.operator in ("<=", "<"):
            facts.assume_nonnegative(right - left)
        if condition.operator in (">=", ">"):
            facts.assume_nonnegative(left - right)


def _facts(condition: ast.Expr, body: Body) -> tuple[list[str], list[tuple[Span, str]]]:
    """What the names in a condition are: `embed` is 10, `heads` is 3; and where in the program those are written."""
    found: list[str] = []
    written: dict[Span, str] = {}

    def visit(node: ast.Expr) -> None:
        if isinstance(node, ast.Name):
            try:
                value = evaluation.lookup(node.name, body, node.span)
            except (Fault, Silent):
                return
            if isinstance(value, Size | float | bool):
                found.append(f"`{node.name}` is {value}")
            if isinstance(value, Size) and value.origin and not body.session.library.is_standard(value.origin.source):
                written.setdefault(value.origin, f"`{node.name}` is {value}")
        elif isinstance(node, ast.Binary):
            visit(node.left)
            visit(node.right)
        elif isinstance(node, ast.Unary):
            visit(node.operand)

    visit(condition)
    return ([", ".join(dict.fromkeys(found))] if found else []), list(written.items())


_STATEMENTS: dict[type, object] = {
    ast.Output: _output, ast.DimDecl: _dim, ast.Bind: _bind, ast.Require: require, ast.Param: weights.declare_param,
    ast.State: weights.declare_state, ast.Carry: weights.declare_carry, ast.Next: weights.set_next,
}  # fmt: skip


def apply_extern(instance: LayerInstance, item: ast.Extern, values: list[CValue], body: Body, span: Span) -> CValue:
    """A layer implemented in Python: an op that names it, typed by what the declaration says."""
    signatures = input_signatures(item)
    if len(values) != len(signatures):
        raise Fault(
            "TRX0413", f"`{item.name.name}` takes {counted(len(signatures), 'input')}, and is given {len(values)}", span
        )
    inner = body.child(instance.item.unit, body.namer)
    inner.variables = dict(instance.arguments)
    operands = [operators.as_tensor(value, body, span) for value in values]
    for signature, operand in zip(signatures, operands, strict=True):
        typing.match(signature.type, operand, inner, span, entering=True)
    types = [typing.evaluate_type(signature.type, inner) for signature in item.yields]
    if not types:
        raise Fault("TRX0414", f"`{item.name.name}` declares no `output`", item.name.span)
    keywords = tuple((name, _plain(value, span)) for name, value in instance.arguments.items())
    op = body.frame.add("extern", operands, {"target": item.target.value, "keywords": keywords}, types, span)
    return op.results[0] if len(op.results) == 1 else Sequence(tuple(op.results))


def _plain(value: CValue, span: Span) -> int | float | bool | str | None:
    if isinstance(value, Size) and value.known is not None:
        return value.known
    if value is None or isinstance(value, bool | float | str):
        return value
    raise Fault("TRX0405", f"an extern layer's argument is a number or a string, and this is {describe(value)}", span)
