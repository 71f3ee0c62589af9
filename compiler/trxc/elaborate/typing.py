"""Types as written, against types as they are: matching binds dim names, evaluating makes axes of them."""

from __future__ import annotations

from ..dims import Dim, dim
from ..ir import Value
from ..resolve import nearest
from ..source import Span
from ..syntax import ast
from ..types import DTYPES, Axis, DType, TensorType, accepts, axis
from . import evaluate as evaluation
from .body import Body
from .faults import Fault, Silent, as_float
from .values import LAYER_LIKE, CValue, DeclaredRef, Poison, Sequence, Size, describe

DimValue = Axis | tuple[Axis, ...]

COMPILE_TIME = {
    "int": "an int", "float": "a float", "bool": "a bool", "string": "a string", "layer": "a layer", "list": "a list",
    "dtype": "a dtype", "initializer": "an initializer", "schedule": "a schedule", "optimizer": "an optimizer",
    "tokenizer": "a tokenizer", "sampler": "a sampler", "search": "a search", "source": "a source",
    "transform": "a transform", "axis": "a dim's name", "axes": "dims' names", "field": "a field's name",
    "number": "a number", "any": "a value", "tuple": "a tuple",
}  # fmt: skip


def dtype_of(type_: ast.TypeExpr, body: Body) -> DType:
    """The dtype that a type expression names; a `dtype` parameter counts."""
    name = type_.name.name
    value = body.variables.get(name)
    if isinstance(value, DType):
        return value
    if name in DTYPES:
        return DTYPES[name]
    raise Fault("TRX0301", f"there is no dtype `{name}`", type_.name.span, helps=nearest(name, DTYPES))


def is_tensor_type(type_: ast.TypeExpr | None) -> bool:
    """Whether a parameter's type is that of a tensor: it has brackets."""
    return type_ is not None and type_.dims is not None


def evaluate_type(type_: ast.TypeExpr, body: Body) -> TensorType:
    """The type of a weight, state or carry: every dim must be known by name or value here."""
    axes: list[Axis] = []
    for item in type_.dims or ():
        found = _evaluate_dim(item, body)
        axes.extend(found if isinstance(found, tuple) else (found,))
    return TensorType(dtype_of(type_, body), tuple(axes))


def _evaluate_dim(item: ast.Dim, body: Body) -> DimValue:
    if isinstance(item, ast.PackDim):
        if item.name is None:
            raise Fault("TRX0203", "`...` is known only where a value is matched, in an input", item.span)
        found = body.dims.get(item.name.name) or _listed_axes(item.name.name, body)
        if isinstance(body.variables.get(item.name.name), Poison):
            raise Silent
        if not isinstance(found, tuple):
            raise Fault("TRX0203", f"no dims are called `...{item.name.name}` here", item.span)
        return found
    if isinstance(item, ast.Name) and item.name in body.dims:
        return body.dims[item.name]
    size = evaluate_size(item, body)
    return Axis(size.size, size.name)


def _listed_axes(name: str, body: Body) -> tuple[Axis, ...] | None:
    """The dims that a list of sizes stands for: `...kernel` where `kernel = [3, 3]`."""
    value = body.variables.get(name)
    if not isinstance(value, Sequence) or not all(isinstance(size, Size) for size in value.items):
        return None
    return tuple(Axis(size.size, size.name) for size in value.items if isinstance(size, Size))


def evaluate_size(expression: ast.Expr, body: Body) -> Size:
    """The value of an expression that must be a size.

    Raises:
        Fault: it is something else, or no number above 0 where it is known... sizes may be 0.
    """
    value = evaluation.evaluate(expression, body)
    if not isinstance(value, Size):
        raise Fault("TRX0202", f"a size is a whole number, and this is {describe(value)}", expression.span)
    if not value.size.integral and not body.session.facts.is_whole(value.size):
        raise Fault("TRX0210", f"`{value}` is not known to be a whole number", expression.span)
    if value.known is not None and value.known < 0:
        raise _negative(value, expression, body)
    return value


def _negative(value: Size, expression: ast.Expr, body: Body) -> Fault:
    """A size below 0, said where the number is written: wherever it is used as a size, it is one mistake."""
    origin = value.origin or _negative_origin(expression, body)
    span = expression.span
    if origin is None or body.session.library.is_standard(origin.source):
        return Fault("TRX0202", f"a size cannot be negative, and this is {value}", span)
    labels = [(span, f"is a size, {value}")] if span != origin else []
    return Fault("TRX0202", f"a size cannot be negative, and this is {origin.text}", origin, labels=labels)


def _negative_origin(expression: ast.Expr, body: Body) -> Span | None:
    """Where the first number below 0 that an expression names is written."""
    if isinstance(expression, ast.Binary):
        return _negative_origin(expression.left, body) or _negative_origin(expression.right, body)
    value = body.variables.get(expression.name) if isinstance(expression, ast.Name) else None
    below = isinstance(value, Size) and value.known is not None and value.known < 0
    return value.origin if isinstance(value, Size) and below else None


# ------------------------------------------------------------------ matching


def match(type_: ast.TypeExpr, value: Value, body: Body, span: Span, *, entering: bool = False) -> None:
    """Checks a value against a declared type, binds the dim names that are new, and names the value's axes.

    `entering`: the value comes into a layer, whose names for unnamed axes stay inside it.

    Raises:
        Fault: the dtype, the rank or a size does not fit.
    """
    wanted = dtype_of(type_, body)
    if not accepts(wanted, value.type.dtype):
        given = value.type.dtype
        helps = [f"`cast(x, {wanted})` converts it"] if given.kind != "float" or wanted.kind == "int" else []
        message = f"`{wanted}` is wanted here, and this is `{given}`"
        raise Fault(
            "TRX0206",
            message,
            span,
            label=f"is {given}{value.type.show()}",
            labels=[(type_.span, "declared here")],
            helps=helps,
        )
    if type_.dims is None:
        return
    pairs = _pair(type_, value.type, span)
    axes = [_match_dim(item, found, value.type, body, span, entering) for item, found in pairs]
    flat = [a for entry in axes for a in (entry if isinstance(entry, tuple) else (entry,))]
    value.type = value.type.with_axes(tuple(flat))


def _pair(type_: ast.TypeExpr, given: TensorType, span: Span) -> list[tuple[ast.Dim, tuple[Axis, ...]]]:
    """Each declared dim with the axes that it stands for."""
    dims = type_.dims or ()
    packs = [at for at, item in enumerate(dims) if isinstance(item, ast.PackDim)]
    if len(packs) > 1:
        raise Fault("TRX0203", "a type has one `...` at most", dims[packs[1]].span)
    least = len(dims) - len(packs)
    if given.rank < least or (not packs and given.rank != least):
        wanted = f"at least {least}" if packs else str(least)
        noun = "dim" if wanted == "1" else "dims"
        message = f"{wanted} {noun} wanted here, and this has {given.rank}"
        raise Fault("TRX0205", message, span, label=f"is {given.show()}", labels=[(type_.span, "declared here")])
    if not packs:
        return [(item, (given.axes[at],)) for at, item in enumerate(dims)]
    at, extra = packs[0], given.rank - least
    pairs: list[tuple[ast.Dim, tuple[Axis, ...]]] = [(item, (given.axes[i],)) for i, item in enumerate(dims[:at])]
    pairs.append((dims[at], given.axes[at : at + extra]))
    pairs += [(item, (given.axes[at + extra + i],)) for i, item in enumerate(dims[at + 1 :])]
    return pairs


def _match_dim(
    item: ast.Dim, found: tuple[Axis, ...], given: TensorType, body: Body, span: Span, entering: bool
) -> DimValue:
    if isinstance(item, ast.PackDim):
        return _match_pack(item, found, given, body, span, entering)
    (here,) = found
    if isinstance(item, ast.Name) and item.name not in body.dims and not _is_size(item.name, body):
        _check_new_name(item.name, item.span, body)
        bound = _bind(item.name, here, given, body, entering)
        body.dims[item.name] = bound
        body.origins.setdefault(item.name, item.span)
        return bound
    wanted = _wanted(item, body)
    if wanted.size != here.size:
        raise _mismatch(item, wanted, here, given, body, span)
    unique = [a.name for a in given.axes].count(here.name) == 1
    return here if here.name is not None and unique else Axis(here.size, wanted.name or here.name)


def _is_size(name: str, body: Body) -> bool:
    if name in body.variables:
        return isinstance(body.variables[name], Size)
    item = body.session.library.lookup(body.unit, name)
    return item is not None and isinstance(item.item, ast.Const)


def _check_new_name(name: str, span: Span, body: Body) -> None:
    if isinstance(body.variables.get(name), Poison):
        raise Silent
    if name in body.variables:
        message = f"`{name}` is a size here, and {describe(body.variables[name])} elsewhere in the layer"
        raise Fault("TRX0304", message, span)


def _wanted(item: ast.Expr, body: Body) -> Axis:
    if isinstance(item, ast.Name) and item.name in body.dims:
        found = body.dims[item.name]
        if isinstance(found, tuple):
            raise Fault("TRX0203", f"`{item.name}` stands for several dims: write `...{item.name}`", item.span)
        return found
    size = evaluate_size(item, body)
    return Axis(size.size, size.name)


def _mismatch(item: ast.Expr, wanted: Axis, here: Axis, given: TensorType, body: Body, span: Span) -> Fault:
    text = item.span.text
    message = f"dim `{text}` is {wanted.size} here and {here.size} there"
    if text == str(wanted.size):
        message = f"a dim of {text} is wanted here, and this has {here.label}"
    labels: list[tuple[Span, str]] = [(item.span, f"is {wanted.size}")]
    if text in body.origins and body.origins[text] != span:
        labels.append((body.origins[text], f"`{text}` is {wanted.size} from here"))
    return Fault("TRX0204", message, span, label=f"is {given.show()}", labels=labels)


def _bind(name: str, here: Axis, given: TensorType, body: Body, entering: bool) -> Axis:
    """The axis under a new name: it keeps the name it was born with, if that tells it apart in its tensor."""
    unique = [a.name for a in given.axes].count(here.name) == 1
    if here.name is not None and unique:
        return here
    if not entering:
        return Axis(here.size, name)
    return Axis(here.size, local_label(name, body))


def local_label(name: str, body: Body) -> str:
    """A name that stays inside the layer, free in its frame."""
    label, number = f"%{name}", 2
    while label in body.frame.labels:
        label, number = f"%{name}.{number}", number + 1
    body.frame.labels[label] = None
    return label


def _match_pack(
    item: ast.PackDim, found: tuple[Axis, ...], given: TensorType, body: Body, span: Span, entering: bool
) -> tuple[Axis, ...]:
    if item.name is None:  # labelled, so that the caller knows its axes again in the results
        labels = [a if a.name is not None or not entering else Axis(a.size, local_label("dim", body)) for a in found]
        return tuple(labels)
    name = item.name.name
    known = body.dims.get(name)
    if known is None:
        _check_new_name(name, item.span, body)
        bound = tuple(_bind(f"{name}.{at}", a, given, body, entering) for at, a in enumerate(found))
        body.dims[name] = bound
        body.origins.setdefault(name, item.span)
        return bound
    if not isinstance(known, tuple) or [a.size for a in known] != [a.size for a in found]:
        shown = [a.label for a in (known if isinstance(known, tuple) else (known,))]
        message = f"dims `...{name}` are [{', '.join(shown)}] here and [{', '.join(a.label for a in found)}] there"
        raise Fault("TRX0204", message, span, label=f"is {given.show()}")
    return tuple(Axis(a.size, a.name or k.name) for a, k in zip(found, known, strict=True))


def symbolic_type(type_: ast.TypeExpr, body: Body) -> TensorType:
    """The type of an input that nothing is given to: names that are new become symbols (packs: two of them)."""
    axes: list[Axis] = []
    for item in type_.dims or ():
        if isinstance(item, ast.PackDim):
            stem = item.name.name if item.name else "lead"
            known = body.dims.get(stem) if item.name else None
            axes.extend(known if isinstance(known, tuple) else (axis(_symbol(f"{stem}_{n}", body)) for n in (1, 2)))
        elif isinstance(item, ast.Name) and item.name not in body.dims and not _is_size(item.name, body):
            axes.append(Axis(_symbol(item.name, body), item.name))
        else:
            axes.append(_wanted(item, body))
    return TensorType(dtype_of(type_, body), tuple(axes))


def _symbol(name: str, body: Body) -> Dim:
    return dim(body.session.stand_ins.get(name, name))


# -------------------------------------------------------- compile-time arguments


def check_argument(parameter: ast.Parameter, value: CValue, owner: str, span: Span, *, at: int = 0) -> CValue:
    """A compile-time argument, the one at place `at`, checked against its parameter's type and converted where that
    is certain.

    Raises:
        Fault: it does not fit.
    """
    type_ = parameter.type
    if type_ is None or type_.dims is not None:
        return value
    name = type_.name.name
    if value is None and (type_.optional or isinstance(parameter.default, ast.NoneValue)):
        return None
    if name == "float" and isinstance(value, Size) and value.known is not None:
        return as_float(value.known, span)
    if _fits(name, value):
        return value
    wanted = COMPILE_TIME.get(name)
    if wanted is None:
        raise Fault("TRX0301", f"there is no type `{name}`", type_.name.span, helps=nearest(name, COMPILE_TIME))
    message = f"argument `{parameter.name.name}` of `{owner}` is {wanted}, and this is {describe(value)}"
    helps = (
        [f"`{owner}` is given its arguments first: `{owner}()(x)` or `x |> {owner}`"]
        if isinstance(value, Value) and at == 0
        else []
    )
    raise Fault("TRX0405", message, span, labels=[(parameter.span, "declared here")], helps=helps)


def _fits(name: str, value: CValue) -> bool:
    from .declared import is_declared, kind_of
    from .values import AxesRef

    if name in ("any", "number"):
        return name == "any" or isinstance(value, Size | float)
    checks: dict[str, bool] = {
        "int": isinstance(value, Size),
        "float": isinstance(value, float),
        "bool": isinstance(value, bool),
        "string": isinstance(value, str),
        "field": isinstance(value, str),
        "layer": isinstance(value, LAYER_LIKE),
        "list": isinstance(value, Sequence),
        "tuple": isinstance(value, Sequence),
        "dtype": isinstance(value, DType),
        "axis": isinstance(value, AxesRef),
        "axes": isinstance(value, AxesRef),
    }
    if name in checks:
        return checks[name]
    if name == "schedule" and isinstance(value, float | Size):
        return True
    if name == "initializer" and isinstance(value, float | Size):
        return True
    return (is_declared(value) or isinstance(value, DeclaredRef)) and kind_of(value) == name
