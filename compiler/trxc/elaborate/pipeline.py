"""What data yields: the fields of an example and their types, stage by stage, from the declarations alone."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace

from ..frozen import Frozen
from ..resolve import nearest
from ..source import Span
from ..syntax import ast
from ..types import DTYPES, DType
from .body import Session
from .faults import Fault
from .records import RecordValues
from .values import Chain, Declared, Size, TypeValue


class DataDim(Frozen):
    """A dim of a field. Dims with one `key` have the same size, known or not."""

    key: Hashable
    size: int | None


@dataclass(frozen=True)
class DataField:
    """A field of one example: its dtype (None for text) and dims (None where only the data know)."""

    dtype: DType | None
    dims: tuple[DataDim, ...] | None
    span: Span | None = None


@dataclass
class DataFields:
    """All fields; `open` where the source alone knows what else there is."""

    fields: dict[str, DataField] = field(default_factory=dict[str, DataField])
    open: bool = False

    def tensors(self) -> dict[str, DataField]:
        """The fields that a program can read."""
        return {name: found for name, found in self.fields.items() if found.dtype is not None}

    def missing(self, name: str, span: Span, why: str) -> Fault:
        """The fault for a field that the data do not have."""
        known = ", ".join(f"`{n}`" for n in self.fields) or "none"
        helps = nearest(name, self.fields) or (f"`… >> rename(other, to = {name})` renames one",)
        return Fault(
            "TRX0507", f"the data yield no field `{name}`, {why}", span, helps=helps, notes=[f"fields: {known}"]
        )


def stages(record: RecordValues) -> list[Declared]:
    """The tokenizers and transforms of a data record, in the order of the file."""
    order = sorted(
        (name for name in ("tokens", "transform") if record.values.get(name) is not None),
        key=lambda name: record.spans[name].start,
    )
    return [part for name in order for part in _parts(record.values[name])]


def _parts(value: object) -> tuple[Declared, ...]:
    if isinstance(value, Chain):
        return value.parts
    assert isinstance(value, Declared)
    return (value,)


def data_fields(session: Session, record: RecordValues) -> DataFields | None:
    """The fields of a data record's examples; None where something is wrong with it."""
    result = DataFields()
    if any(record.values.get(name) is None for name in record.spans):
        return None
    source = record.values.get("source")
    if not isinstance(source, Declared | Chain):
        return None  # which has been said
    failed = False
    for at, part in enumerate([*_parts(source), *stages(record)]):
        if part.kind == "source" and not part.yields:
            result.open = True
        try:
            _apply(part, at, result)
        except Fault as fault:
            session.report(fault)
            failed = True
    if failed:
        return None
    for name, type_ in (record.nested("fields") or {}).items():
        assert isinstance(type_, TypeValue)
        dims = tuple(DataDim(("declared", name, i), d.value if d else None) for i, d in enumerate(type_.sizes))
        result.fields[name] = DataField(type_.dtype, dims)
    return result


def _apply(part: Declared, at: int, result: DataFields) -> None:
    """Adds what a stage yields; a field that it takes must be there."""
    given = dict(part.given)
    taken = {name: value for name, value in given.items() if isinstance(value, str)}
    declared = {signature.name.name for signature in part.yields}
    before = dict(result.fields)
    for signature in part.yields:
        name = signature.name.name
        target = taken.get(name, name) if name in given else name
        if name in given and given[name] is None:
            continue
        type_ = _field_type(signature.type, at, given, before, result, part)
        result.fields[target] = replace(type_, span=part.span)
    wanted = taken.get("field")
    if wanted is not None and wanted not in before and not result.open and part.span is not None:
        raise result.missing(wanted, part.span, f"which `{part.name}` takes")
    if part.name == "rename" and wanted in result.fields and "to" in declared:
        del result.fields[wanted]


def _field_type(
    type_: ast.TypeExpr,
    at: int,
    given: Mapping[str, object],
    before: dict[str, DataField],
    result: DataFields,
    part: Declared,
) -> DataField:
    name = type_.name.name
    argument = given.get(name)
    copied = before.get(argument) if isinstance(argument, str) else None
    if isinstance(argument, DType):
        dtype: DType | None = argument
    elif isinstance(argument, str):
        dtype = copied.dtype if copied else None if not result.open else DTYPES["any"]
        if type_.dims is None:
            return copied or DataField(DTYPES["any"], None)
    else:
        dtype = None if name == "string" else DTYPES.get(name)
    dims: list[DataDim] = []
    for index, item in enumerate(type_.dims or ()):
        if isinstance(item, ast.PackDim):
            same = before.get(str(given.get("field")))
            return DataField(dtype, same.dims if same and part.name in ("scale", "cast") else None)
        dims.append(_dim(item, at, index, given))
    return DataField(dtype, tuple(dims))


def _dim(item: ast.Expr, at: int, index: int, given: Mapping[str, object]) -> DataDim:
    if isinstance(item, ast.Number) and isinstance(item.value, int):
        return DataDim((at, "number", index), item.value)
    name = item.name if isinstance(item, ast.Name) else f"dim {index}"
    value = given.get(name)
    return DataDim((at, name), value.known if isinstance(value, Size) else None)
