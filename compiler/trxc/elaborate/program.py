"""A whole program: every model and layer checked, every record read, and the recipe that is to be compiled."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ..diagnostics import Diagnostics
from ..ir import Function, Module
from ..plan.sharding import names_in, uneven
from ..resolve import ItemRef, Library, Unit, nearest
from ..source import Source, Span
from ..syntax import ast, parse_expression
from ..types import Axis
from . import calls
from .body import Overrides, Requirement, Session
from .faults import Fault
from .fields import RECORDS
from .model import Root, check_layer, elaborate_model
from .pipeline import DataFields, data_fields, stages
from .records import Best, MeshSpec, RecordValues, read_mesh, read_record, record_body
from .training import Batch, bind_batch, loss_function, metric_functions
from .values import CValue, whole


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


@dataclass
class Checked:
    """A program that has been read: its file, and (where nothing is wrong) what its models and recipes are."""

    diagnostics: Diagnostics
    unit: Unit
    library: Library
    overrides: Overrides
    elaborated: dict[str, Elaborated] = field(default_factory=dict[str, Elaborated])


def check_program(
    source: Source, path: Path | None, settings: dict[str, str], diagnostics: Diagnostics
) -> Checked:
    """Checks everything in a file. Syntax errors end it early: what stands beside them is not known for certain."""
    library = Library(diagnostics, path.resolve().parent if path else None)
    unit = library.program(source, path.resolve() if path else None)
    checked = Checked(diagnostics, unit, library, {})
    if diagnostics.failed:
        return checked
    checked.overrides = read_settings(settings, unit, diagnostics)
    if diagnostics.failed:
        return checked
    items = [ref for ref in unit.items.values()]
    models = {ref.name: _Model(checked, ref) for ref in items if ref.kind == "model"}
    for ref in items:
        _check_item(checked, ref, models)
    return checked


def _check_item(checked: Checked, ref: ItemRef, models: dict[str, _Model]) -> None:
    session = Session(checked.library, checked.diagnostics, overrides=checked.overrides)
    if ref.kind == "model":
        elaborated = models[ref.name].alone()
        if elaborated is not None:
            checked.elaborated[ref.name] = elaborated
    elif isinstance(ref.item, ast.Layer):
        check_layer(session, ref)
    elif ref.kind == "train":
        elaborated = _Recipe(checked, ref, models).elaborate()
        if elaborated is not None:
            checked.elaborated[ref.name] = elaborated
    elif ref.kind == "mesh":
        read_mesh(session, ref)
    elif ref.kind == "generate":
        _check_generate(session, ref, models)
    elif ref.kind in RECORDS:
        record = read_record(session, ref)
        if ref.kind == "data":
            data_fields(session, record)
        if ref.kind == "weights":
            _check_weights_subject(checked, ref, session)
        if ref.kind == "evaluate":
            _subject(checked, ref, models)
    elif isinstance(ref.item, ast.Const):
        _check_const(session, ref)


def _check_weights_subject(checked: Checked, ref: ItemRef, session: Session) -> None:
    """A weight map may stand in a file without its model, as a library of maps does: then nothing is checked by it."""
    record = ref.item
    assert isinstance(record, ast.Record)
    if record.subject is not None and checked.library.lookup(checked.unit, record.subject.name) is None:
        name = record.subject.name
        message = f"nothing here is called `{name}`: the names of its weights cannot be checked"
        session.warn("TRX0516", message, record.subject.span)


def _check_const(session: Session, ref: ItemRef) -> None:
    from .evaluate import item_value
    from .faults import Silent

    body = record_body(session, ref)
    try:
        item_value(ref, body, ref.name_span)
    except Fault as fault:
        session.report(fault)
    except Silent:
        pass


# ----------------------------------------------------------------- settings


def read_settings(settings: dict[str, str], unit: Unit, diagnostics: Diagnostics) -> Overrides:
    """`--set GPT.embed=512` as expressions by item and path; each must name something that is there."""
    overrides: Overrides = {}
    session = Session(Library(diagnostics), diagnostics)
    for path, text in settings.items():
        source = Source(f"--set {path}", text)
        expression = parse_expression(source, diagnostics)
        head, *rest = path.split(".")
        span = Span(source, 0, len(text))
        try:
            _check_setting(head, rest, unit, span)
        except Fault as fault:
            session.report(fault)
            continue
        if expression is not None:
            overrides.setdefault(head, {})[tuple(rest)] = expression
    return overrides


def _check_setting(head: str, rest: list[str], unit: Unit, span: Span) -> None:
    item = unit.own(head)
    settable = [n for n in unit.names() if (i := unit.own(n)) and (i.kind == "model" or isinstance(i.item, ast.Record))]
    if item is None or head not in settable:
        raise Fault("TRX0511", f"there is no model or record `{head}`", span, helps=nearest(head, settable))
    if not rest:
        raise Fault("TRX0511", f"`{head}` is set field by field, as in `{head}.NAME=VALUE`", span)
    if item.kind == "model":
        names = [p.name.name for p in calls.parameters_of(item)]
        if len(rest) != 1 or rest[0] not in names:
            dotted = ".".join(rest)
            raise Fault("TRX0511", f"`{head}` has no parameter `{dotted}`", span, helps=nearest(dotted, names))


# ------------------------------------------------------------------- models


class _Model:
    """A model elaborated once for inference and once for training, when first asked."""

    def __init__(self, checked: Checked, ref: ItemRef) -> None:
        self.checked, self.ref = checked, ref
        self._roots: tuple[Root, Root, Session, Session] | None = None
        self._done = False

    def roots(self) -> tuple[Root, Root, Session, Session] | None:
        """The model's functions in inference and in training, with their sessions; None where it is wrong."""
        if not self._done:
            self._done = True
            checked = self.checked
            serve = Session(checked.library, checked.diagnostics, overrides=checked.overrides)
            learn = Session(checked.library, checked.diagnostics, overrides=checked.overrides, training=True)
            apply, train = elaborate_model(serve, self.ref), elaborate_model(learn, self.ref)
            if apply is not None and train is not None:
                self._roots = apply, train, serve, learn
                self._constrain(serve)
        return self._roots

    @staticmethod
    def _constrain(session: Session) -> None:
        """Divisions that were not shown to be exact become requirements on the sizes that come."""
        for numerator, divisor, span, trail in session.constraints:
            text = f"{numerator} is a multiple of {divisor}"
            from ..dims import dim

            session.requirements.append(Requirement("==", numerator % divisor, dim(0), text, span, trail))

    def alone(self) -> Elaborated | None:
        """The model without a recipe."""
        roots = self.roots()
        if roots is None:
            return None
        apply, _, serve, _ = roots
        module = Module(self.ref.name, {apply.function.name: apply.function}, {"apply": apply.function.name})
        _collect(module, serve)
        return Elaborated(self.ref.name, self.ref.name, module, (apply.function.name,), serve.requirements)


def _collect(module: Module, *sessions: Session) -> None:
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


def _subject(checked: Checked, ref: ItemRef, models: dict[str, _Model]) -> _Model | None:
    """The model that a record is for."""
    record = ref.item
    assert isinstance(record, ast.Record)
    session = Session(checked.library, checked.diagnostics)
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
        return _Model(checked, item)
    session.report(Fault("TRX0504", f"there is no model `{name}`", record.subject.span, helps=nearest(name, models)))
    return None


def _check_generate(session: Session, ref: ItemRef, models: dict[str, _Model]) -> RecordValues:
    record = read_record(session, ref)
    checked = next(iter(models.values())).checked if models else None
    model = _subject(checked, ref, models) if checked else None
    roots = model.roots() if model else None
    if roots is not None:
        apply = roots[0]
        inputs = [v.name or "" for v in apply.function.inputs]
        for name, known, what in (("prompt", inputs, "input"), ("from", apply.function.output_names, "output")):
            ident = record.values.get(name)
            if isinstance(ident, ast.Ident) and ident.name not in known:
                helps = nearest(ident.name, known) or (f"{what}s: {', '.join(known)}",)
                session.report(Fault("TRX0512", f"the model has no {what} `{ident.name}`", ident.span, helps=helps))
    return record


# ------------------------------------------------------------------ recipes


class _Recipe:
    """A train record with all that it names."""

    def __init__(self, checked: Checked, ref: ItemRef, models: dict[str, _Model]) -> None:
        self.checked, self.ref, self.models = checked, ref, models
        self.session = Session(checked.library, checked.diagnostics, overrides=checked.overrides)
        assert isinstance(ref.item, ast.Record)
        self.span = ref.item.name.span

    def elaborate(self) -> Elaborated | None:
        """The recipe's module and records; None where something is wrong."""
        steps = self._steps()
        variables: dict[str, CValue] = {} if steps is None else {"total_steps": whole(steps)}
        train = read_record(self.session, self.ref, variables)
        self._check_amounts(train)
        model = _subject(self.checked, self.ref, self.models)
        data_ref, mesh_ref = train.values.get("data"), train.values.get("mesh")
        data = read_record(self.session, data_ref) if isinstance(data_ref, ItemRef) else None
        fields = data_fields(self.session, data) if data else None
        roots = model.roots() if model else None
        loss = train.values.get("loss")
        if model is None or roots is None or data is None or fields is None or not isinstance(loss, ast.Expr.__args__):
            return None
        result = self._functions(model, roots, fields, loss, train)
        if result is None:
            return None
        result.data, result.fields, result.total_steps = data, fields, steps
        self._check_metrics(train, result)
        self._check_splits(train, data)
        if isinstance(mesh_ref, ItemRef):
            result.mesh = read_mesh(self.session, mesh_ref)
            self._check_mesh(result)
        result.generate = self._generate(model)
        self._check_requirements(result)
        return None if self.checked.diagnostics.failed else result

    def _steps(self) -> int | None:
        """How many steps it trains, if the record says so in steps: schedules end with them."""
        quiet = Session(self.checked.library, Diagnostics(), overrides=self.checked.overrides)
        steps = read_record(quiet, self.ref, {"total_steps": whole(1)}).values.get("steps")
        return steps if isinstance(steps, int) else None

    def _check_amounts(self, train: RecordValues) -> None:
        values = train.values
        if values.get("steps") is None and values.get("epochs") is None and "steps" not in train.spans:
            fault = Fault("TRX0503", f"`{self.ref.name}` does not say how long it trains", self.span,
                          helps=["`steps = 1_000` or `epochs = 10` says so"])  # fmt: skip
            self.session.report(fault)
        if values.get("steps") is not None and values.get("epochs") is not None:
            first = train.spans["steps"]
            self.session.report(Fault("TRX0502", "both `steps` and `epochs` are given", train.spans["epochs"],
                                      labels=[(first, "first here")]))  # fmt: skip
        batch, parts = values.get("batch"), values.get("accumulate")
        if isinstance(batch, int) and isinstance(parts, int) and batch % parts:
            message = f"a batch of {batch} cannot be worked through in {parts} equal parts"
            self.session.report(Fault("TRX0506", message, train.spans["accumulate"]))

    def _functions(
        self, model: _Model, roots: tuple[Root, Root, Session, Session], fields: DataFields, loss: ast.Expr, train: RecordValues
    ) -> Elaborated | None:
        apply, learned, serve, learn = roots
        body = record_body(self.session, self.ref)
        batch = bind_batch(self.session, apply, fields, self.span)
        loss_body = loss_function(learn, learned, batch, loss, body)
        metrics = train.values.get("metrics")
        found = metric_functions(serve, apply, batch, loss, metrics if isinstance(metrics, dict) else {}, body, self.span)
        if loss_body is None or found is None:
            return None
        measure, summarize = found
        functions = [apply.function, learned.function, loss_body, measure, summarize]
        roles = {"apply": apply.function.name, "loss": loss_body.name, "measure": measure.name, "summarize": summarize.name}
        module = Module(self.ref.name, {f.name: f for f in functions}, roles)
        _collect(module, serve, learn)
        names = (apply.function.name, learned.function.name)
        names_of = tuple(n for n in summarize.output_names if n != "loss")
        return Elaborated(self.ref.name, model.ref.name, module, names, serve.requirements, train, batch=batch, metrics=names_of)

    def _check_metrics(self, train: RecordValues, result: Elaborated) -> None:
        evaluate = train.values.get("evaluate")
        best = evaluate.get("best") if isinstance(evaluate, dict) else None
        known = ["loss", *result.metrics]
        if isinstance(best, Best) and best.metric not in known:
            helps = nearest(best.metric, known) or (f"metrics: {', '.join(known)}",)
            self.session.report(Fault("TRX0504", f"there is no metric `{best.metric}`", best.span, helps=helps))

    def _check_splits(self, train: RecordValues, data: RecordValues) -> None:
        """The splits that the recipe names must be there."""
        splits = data.values.get("split")
        evaluate = train.values.get("evaluate")
        if not isinstance(evaluate, dict):
            return
        name = evaluate.get("split")
        wanted = name.name if isinstance(name, ast.Ident) else str(name)
        known = list(splits) if isinstance(splits, dict) else ["train"]
        if wanted not in known:
            span = name.span if isinstance(name, ast.Ident) else train.spans["evaluate"]
            helps = nearest(wanted, known) or (f"`split {{ train = 0.9, {wanted} = 0.1 }}` in the data makes one",)
            self.session.report(Fault("TRX0504", f"the data have no split `{wanted}`", span, helps=helps))

    def _check_mesh(self, result: Elaborated) -> None:
        mesh = result.mesh
        assert mesh is not None
        values = list(_all_axes(result.module))
        rules = tuple(mesh.rules.items())
        names = names_in(values)
        for name, span in mesh.rule_spans.items():
            if name not in names:
                fault = Fault("TRX0513", f"no dim of the program is called `{name}`", span, helps=nearest(name, names))
                self.session.report(fault)
        batch = result.train.values.get("batch") if result.train else None
        parts = result.train.values.get("accumulate") if result.train else None
        if isinstance(batch, int) and isinstance(parts, int) and result.batch is not None:
            from ..dims import dim

            values.append((Axis(dim(batch // parts), result.batch.leading.name),))
        for problem in list(uneven(values, rules, mesh.axes)):
            over = " × ".join(f"`{a}`" for a in problem.axes)
            message = f"dim `{problem.dim}` is {problem.size}, which {problem.parts} devices of {over} do not divide"
            up = -(-problem.size // problem.parts) * problem.parts
            helps = (f"a size of {up} would be split; the rule is left out, and every device has `{problem.dim}` whole",)
            self.session.warn("TRX0514", message, mesh.rule_spans[problem.dim], helps=helps)
            mesh.rules.pop(problem.dim, None)

    def _generate(self, model: _Model) -> RecordValues | None:
        """The generate record for the same model, if the file has one."""
        for ref in self.checked.unit.items.values():
            record = ref.item
            if isinstance(record, ast.Record) and record.kind == "generate":
                subject = record.subject.name if record.subject else model.ref.name
                if subject == model.ref.name:
                    quiet = Session(self.checked.library, Diagnostics(), overrides=self.checked.overrides)
                    return read_record(quiet, ref)
        return None

    def _check_requirements(self, result: Elaborated) -> None:
        """Conditions on sizes, with the sizes that the data have."""
        from ..dims import dim

        if result.batch is None:
            return
        sizes = {name: dim(size) for name, size in result.batch.known.items()}
        for need in result.requirements:
            difference = (need.left.substitute(sizes) - need.right.substitute(sizes)).value
            holds = {"==": 0, "!=": 0}.get(need.operator)
            if difference is None:
                continue
            satisfied = (
                (difference == 0) if need.operator == "==" else (difference != 0) if holds is not None
                else _ORDER[need.operator](difference)
            )  # fmt: skip
            if not satisfied:
                known = ", ".join(f"`{n}` is {s}" for n, s in result.batch.known.items())
                self.session.report(Fault("TRX0420", f"this does not hold with the data of `{self.ref.name}`: {need.message}",
                                          need.span, notes=[known]))  # fmt: skip


_ORDER = {
    "<": lambda d: d < 0, "<=": lambda d: d <= 0, ">": lambda d: d > 0, ">=": lambda d: d >= 0,
}  # fmt: skip


def _all_axes(module: Module) -> list[tuple[Axis, ...]]:
    found: list[tuple[Axis, ...]] = []
    for function in module.functions.values():
        found.extend(p.type.axes for p in function.parameters.values())
        found.extend(v.type.axes for v in function.inputs)
        for op in function.body.walk():
            found.extend(v.type.axes for v in op.results)
    return found


__all__ = ["Checked", "Elaborated", "check_program", "stages"]
