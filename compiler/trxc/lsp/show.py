"""How types, values, sizes and declarations are shown."""

from __future__ import annotations

from fractions import Fraction

from ..dims import Dim, Monomial
from ..elaborate.body import Body
from ..elaborate.values import (
    Chain,
    Composition,
    CValue,
    Declared,
    LayerInstance,
    Poison,
    Recurrent,
    Repeated,
    Sequence,
    Size,
    describe,
)
from ..frozen import Frozen
from ..ir import Value
from ..ops import REQUIRED, OpDefinition, Setting
from ..resolve import ItemRef
from ..source import Span
from ..syntax import ast
from ..types import Axis, DType, TensorType

DEFAULT_BYTES = 4
"""Bytes of a `float` or `int` whose precision the run decides: those of f32."""

MAX_TERMS = 3
"""Terms of a number that depends on sizes that are shown, the largest first."""

MAX_TEXT = 400
"""Characters of a value or declaration that are shown."""


def type_text(type_: TensorType, body: Body | None = None) -> str:
    """`float[batch, seq, embed=384]`; a dim without a name of its own is called as the layer calls it."""
    return f"{type_.dtype}[{', '.join(_axis(axis, body) for axis in type_.axes)}]"


def _axis(axis: Axis, body: Body | None) -> str:
    if axis.public_name is not None or body is None:
        return axis.label
    size = str(axis.size)
    name = next((name for name, dim in body.dims.items() if dim == axis and axis.name is not None), None)
    return size if name is None or name == size else f"{name}={size}"


def value_text(value: CValue, body: Body | None = None) -> str | None:
    """A value in a few words; None where there is nothing to say."""
    if isinstance(value, Value):
        return type_text(value.type, body)
    if isinstance(value, Sequence):
        items = [value_text(item, body) or "…" for item in value.items[:8]]
        more = ", …" if len(value.items) > len(items) else ""
        return _short(f"({', '.join(items)}{more})")
    if value is None or isinstance(value, bool | Size | float | DType):
        return literal_text(value)
    if isinstance(value, str):
        return _short(f'"{value}"')
    return None if isinstance(value, Poison) else _layer_text(value)


def _layer_text(value: CValue) -> str:
    match value:
        case LayerInstance(item=item, arguments=arguments):
            shown = [f"{name} = {text}" for name, a in arguments.items() if (text := _argument(a)) is not None]
            return _short(f"{item.name}({', '.join(shown)})")
        case Composition(parts=parts):
            return _short(" >> ".join(value_text(part) or "…" for part in parts))
        case Repeated(count=count, layer=layer):
            return _short(f"repeat({count}, {value_text(layer) or '…'})")
        case Recurrent(cell=cell, over=over):
            return _short(f"recur({value_text(cell) or '…'}, over = {over.text})")
        case Declared(name=name, given=given):
            shown = [f"{key} = {text}" for key, a in given if (text := _argument(a)) is not None]
            return _short(f"{name}({', '.join(shown)})")
        case Chain(parts=parts):
            return _short(" >> ".join(_layer_text(part) for part in parts))
        case _:
            return describe(value)


def _argument(value: CValue) -> str | None:
    return value_text(value) if isinstance(value, Size | float | bool | str | Sequence | Declared | None) else None


def _short(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"


# ---------------------------------------------------------------------- sizes


def bytes_text(type_: TensorType) -> str:
    """`2.0 KiB`, or `512 bytes × batch × seq`."""
    size = DEFAULT_BYTES if type_.dtype.generic else max(1, type_.dtype.bits // 8)
    return amount_text(type_.elements * size, in_bytes=True)


def amount_text(amount: Dim, *, in_bytes: bool = False) -> str:
    """A number for reading; one that depends on sizes not known as a product with them."""
    if amount.value is not None:
        return memory_text(amount.value) if in_bytes else f"{amount.value:,}"
    terms = sorted(amount.terms, key=lambda term: -abs(term[1]))
    shown = [_term(monomial, coefficient, in_bytes) for monomial, coefficient in terms[:MAX_TERMS]]
    return _short(" + ".join([*shown, *(["…"] if len(terms) > MAX_TERMS else [])]))


def _term(monomial: Monomial, coefficient: Fraction, in_bytes: bool) -> str:
    factors = [str(atom) if power == 1 else f"{atom}^{power}" for atom, power in monomial]
    whole = coefficient.denominator == 1
    number = f"{coefficient.numerator:,}" if whole else str(coefficient)
    if in_bytes and whole:
        number = memory_text(coefficient.numerator)
    return " × ".join(factors if number == "1" and factors else [number, *factors])


def memory_text(count: int) -> str:
    """Bytes in the unit that they fill."""
    size = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} TiB"


# --------------------------------------------------------------- declarations


def flat(span: Span) -> str:
    """The text of a span on one line."""
    return _short(" ".join(span.text.split()))


class Signature(Frozen):
    """How something is called: its head, and each parameter as it is declared."""

    head: str
    parameters: tuple[str, ...]
    names: tuple[str, ...]
    doc: str
    tail: str = ""

    @property
    def text(self) -> str:
        """On one line."""
        return f"{self.head}({', '.join(self.parameters)}){self.tail}" if self.parameters else self.head + self.tail


def signature_of(item: ItemRef) -> Signature:
    """How an item is called."""
    node = item.item
    assert not isinstance(node, ast.Use)
    if isinstance(node, ast.Layer | ast.Fn | ast.Extern):
        head = f"{'extern ' if isinstance(node, ast.Extern) else ''}{item.kind} {item.name}"
        declared = tuple(flat(p.span) for p in node.parameters)
        tail = f" -> {flat(node.result.span)}" if isinstance(node, ast.Fn) and node.result is not None else ""
        return Signature(head, declared, tuple(p.name.name for p in node.parameters), node.doc, tail)
    text = f"const {item.name} = {flat(node.value.span)}" if isinstance(node, ast.Const) else f"{item.kind} {item.name}"
    return Signature(text, (), (), node.doc)


def op_signature(op: OpDefinition) -> Signature:
    """How an op is called."""
    declared: list[str] = []
    for slot in op.slots:
        if isinstance(slot, Setting):
            required = slot.default is REQUIRED
            declared.append(f"{slot.name}: {slot.kind}{'' if required else f' = {_default(slot)}'}")
        else:
            declared.append(f"{'...' if slot.variadic else ''}{slot.name}{'?' if slot.optional else ''}")
    names = tuple(slot.name for slot in op.slots)
    return Signature(f"op {op.name}", tuple(declared), names, op_doc(op))


def op_doc(op: OpDefinition) -> str:
    """The documentation of an op, which one made of a row of a table keeps in `doc`."""
    import inspect

    text = str(getattr(op, "doc", "")) or type(op).__doc__ or ""
    return inspect.cleandoc(text)


def _default(slot: Setting) -> str:
    value = slot.default
    return f"[{', '.join(map(literal_text, value))}]" if isinstance(value, tuple) else literal_text(value)


def literal_text(value: object) -> str:
    """A number, string or truth value as the language writes it."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    return str(value)


def first_paragraph(doc: str) -> str:
    """The first paragraph of a documentation."""
    return doc.split("\n\n", 1)[0]
