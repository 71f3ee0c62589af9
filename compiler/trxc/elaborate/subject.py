"""The models of a program, each elaborated once for inference and once for training when first asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

from ..diagnostics import Diagnostics
from ..dims import dim
from ..ir import Function, Module
from ..resolve import ItemRef, Library, Unit, nearest
from ..syntax import ast
from .body import Overrides, Requirement, Session
from .faults import Fault
from .mesh import MeshSpec
from .model import Root, elaborate_model
from .pipeline import DataFields
from .records import RecordValues
from .training import Batch


@dataclass
class Elaborated:
    """What a recipe or a model elaborates to."""

    name: str
    model: str
    module: Module
    roots: tuple[str, ...]
    requirements: list[Requirement]
    train: RecordValues | None = None
    data: RecordValues | None = None
    fields: DataFields | None = None
    generate: RecordValues | None = None
    mesh: MeshSpec | None = None
    batch: Batch | None = None
    total_steps: int | None = None
    metrics: tuple[str, ...] = ()

    @property
    def generated(self) -> tuple[str, str]:
        """The input and the output along whose places is generated; "" where that is not asked for, or not of these."""
        if self.generate is None or self.module.roles["apply"] not in self.roots[:1]:
            return "", ""
        names = [self.generate.values[name] for name in ("prompt", "from")]
        prompt, output = (name.name if isinstance(name, ast.Ident) else "" for name in names)
        return prompt, output


NO_SIZES: Mapping[str, int] = MappingProxyType({})


@dataclass
class Checked:
    """A program that has been read: its file, and (where nothing is wrong) what its models and recipes are."""

    diagnostics: Diagnostics
    unit: Unit
    library: Library
    overrides: Overrides
    shared: Session
    unchanged: frozenset[str] = frozenset()
    """Items that were not looked at, as nothing would be said about them."""
    elaborated: dict[str, Elaborated] = field(default_factory=dict[str, Elaborated])

    def session(self, *, training: bool = False, sizes: Mapping[str, int] = NO_SIZES) -> Session:
        """A session for one of the program's items: what constants are, and what is known to be wrong, all share.

        `sizes` are those of a model's input dims, where the data fix them.
        """
        return Session(
            self.library, self.diagnostics, overrides=self.overrides, training=training,
            consts=self.shared.consts, circles=self.shared.circles, stand_ins=dict(sizes),
            observer=self.shared.observer,
        )  # fmt: skip


Roots: TypeAlias = tuple[Root, Root, Session, Session]
"""A model's functions in inference and in training, with their sessions."""


class Subject:
    """A model elaborated once for inference and once for training, when first asked.

    Its input dims are symbols, but for those in `sizes`.
    """

    def __init__(self, checked: Checked, ref: ItemRef, sizes: Mapping[str, int] = NO_SIZES) -> None:
        self.checked, self.ref, self.sizes = checked, ref, sizes
        self._roots: Roots | None = None
        self._done = False

    def roots(self) -> Roots | None:
        """The model's functions in inference and in training, with their sessions; None where it is wrong."""
        if not self._done:
            self._done = True
            checked, observer = self.checked, self.checked.shared.observer
            before = observer.checking(self.ref.name) if observer is not None and not self.sizes else None
            serve, learn = checked.session(sizes=self.sizes), checked.session(training=True, sizes=self.sizes)
            apply = elaborate_model(serve, self.ref)
            train = elaborate_model(learn, self.ref) if not serve.exhausted else None
            if apply is not None and train is not None:
                self._roots = apply, train, serve, learn
                self._constrain(serve)
            elif not checked.diagnostics.failed:
                raise AssertionError(f"`{self.ref.name}` is wrong, and nothing says why")
            if observer is not None and before is not None:
                observer.checking(before)
        return self._roots

    @staticmethod
    def _constrain(session: Session) -> None:
        """Divisions that were not shown to be exact become requirements on the sizes that come."""
        for division in session.constraints:
            text = f"{division.numerator} is a multiple of {division.divisor}"
            rest = division.numerator % division.divisor
            session.requirements.append(Requirement("==", rest, dim(0), text, division.span, division.trail))

    def weight_symbols(self) -> set[str]:
        """The symbols that sizes of weights depend on: they must be numbers before there can be weights."""
        roots = self.roots()
        if roots is None:
            return set()
        apply, _, serve, _ = roots
        functions = [apply.function, *(record.function for record in serve.functions.values() if not record.failed)]
        sizes = [size for function in functions for p in function.parameters.values() for size in p.type.sizes]
        return {symbol.name for size in sizes for symbol in size.symbols}

    def alone(self) -> Elaborated | None:
        """The model without a recipe."""
        roots = self.roots()
        if roots is None:
            return None
        apply, _, serve, _ = roots
        module = Module(self.ref.name, {apply.function.name: apply.function}, {"apply": apply.function.name})
        collect(module, serve)
        return Elaborated(self.ref.name, self.ref.name, module, (apply.function.name,), serve.requirements)


def collect(module: Module, *sessions: Session) -> None:
    """Adds every function that the module's reach, callees first."""
    known = {r.function.name: r.function for s in sessions for r in s.functions.values() if not r.failed}
    order: dict[str, Function] = {}

    def visit(function: Function) -> None:
        if function.name in order:
            return
        for op in function.body.walk():
            if op.kind == "call":
                name = str(op.attributes["callee"])
                visit(known[name] if name in known else module.functions[name])
        order[function.name] = function

    for function in list(module.functions.values()):
        visit(function)
    module.functions = order


def find_subject(checked: Checked, ref: ItemRef, models: Mapping[str, Subject]) -> Subject | None:
    """The model that a record is for."""
    record = ref.item
    assert isinstance(record, ast.Record)
    session = checked.session()
    if record.subject is None:
        if len(models) == 1:
            return next(iter(models.values()))
        listed = ", ".join(f"`{name}`" for name in models) or "none"
        fault = Fault("TRX0504", f"`{ref.name}` does not say for which model", record.name.span,
                      helps=[f"`{record.kind} {ref.name} for NAME`; models: {listed}"])  # fmt: skip
        session.report(fault)
        return None
    name = record.subject.name
    if name in models:
        return models[name]
    item = checked.library.lookup(checked.unit, name)
    if item is not None and item.kind == "model":
        return Subject(checked, item)
    session.report(Fault("TRX0504", f"there is no model `{name}`", record.subject.span, helps=nearest(name, models)))
    return None
