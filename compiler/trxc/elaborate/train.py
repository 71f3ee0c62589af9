"""Recipes: a train or evaluate record with the model, the data and the mesh that it names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from ..diagnostics import Diagnostics
from ..dims import dim
from ..ir import Module
from ..ir.parameters import parameter_tree
from ..ir.patterns import matches
from ..plan.sharding import names_in, uneven
from ..resolve import ItemRef, nearest
from ..source import Span
from ..syntax import ast
from ..types import Axis
from .body import Requirement, Session
from .contradictions import warn_of_contradictions, warn_of_idle_axes, warn_of_order
from .descent import check_descent
from .faults import Fault
from .mentions import walk
from .mesh import MeshSpec, read_mesh
from .model import Root
from .pipeline import DataFields, data_fields
from .records import Best, RecordValues, read_record, record_body
from .subject import Checked, Elaborated, Roots, Subject, collect, find_subject
from .training import Batch, bind_batch, loss_function, metric_functions
from .values import POISON, CValue, whole


class Recipe:
    """A train record with all that it names."""

    def __init__(self, checked: Checked, ref: ItemRef, models: Mapping[str, Subject]) -> None:
        self.checked, self.ref, self.models = checked, ref, models
        self.session = checked.session()
        assert isinstance(ref.item, ast.Record)
        self.span = ref.item.name.span

    def elaborate(self) -> Elaborated | None:
        """The recipe's module and records; None where something is wrong."""
        steps, total = self._steps()
        variables: dict[str, CValue] = {} if total is None else {"total_steps": total}
        train = read_record(self.session, self.ref, variables)
        self._check_amounts(train)
        self._check_optimizer(train)
        model = find_subject(self.checked, self.ref, self.models)
        data, fields = _read_data(self.session, train)
        roots = model.roots() if model else None
        if data is not None:
            _check_split(self.session, train.nested("evaluate"), data, train.spans.get("evaluate"))
            _check_split(self.session, {"split": "train"}, data, train.spans.get("data"))
        mesh_ref = train.values.get("mesh")
        mesh = read_mesh(self.session, mesh_ref) if isinstance(mesh_ref, ItemRef) else None
        if model is None or roots is None or fields is None:
            return None
        result = self._functions(model, roots, fields, train)
        if result is None:
            return None
        result.data, result.fields, result.total_steps, result.mesh = data, fields, steps, mesh
        self._check_best(train, result)
        self._check_freeze(train, result)
        if mesh is not None:
            used = {axis for axes in mesh.rules.values() for axis in axes}
            _check_mesh(self.session, mesh, result, train)
            if not self.checked.diagnostics.failed:
                warn_of_idle_axes(self.session, mesh, used)
        result.generate = generate_record(self.checked, model)
        _check_requirements(self.session, self.ref.name, result.requirements, result.batch)
        warn_of_contradictions(self.session, self.ref, train, steps)
        return None if self.checked.diagnostics.failed else result

    def _steps(self) -> tuple[int | None, CValue]:
        """How many steps it trains, if the record says so in steps, and what schedules that end with them are told."""
        quiet = Session(self.checked.library, Diagnostics(), overrides=self.checked.overrides)
        record = read_record(quiet, self.ref, {"total_steps": whole(1)})
        steps = record.integer("steps")
        wrong = steps is None and ("steps" in record.spans or "epochs" not in record.spans)
        return steps, POISON if wrong else None if steps is None else whole(steps)

    def _check_amounts(self, train: RecordValues) -> None:
        spans = train.spans
        if "steps" not in spans and "epochs" not in spans:
            message = f"`{self.ref.name}` does not say how long it trains"
            help_ = "`steps = 1_000` or `epochs = 10` says so"
            self.session.report(Fault("TRX0503", message, self.span, helps=[help_]))
        if "steps" in spans and "epochs" in spans:
            labels = [(spans["steps"], "first here")]
            self.session.report(Fault("TRX0502", "both `steps` and `epochs` are given", spans["epochs"], labels=labels))
        batch, parts = train.integer("batch"), train.integer("accumulate")
        if batch is not None and parts is not None and batch % parts:
            message = f"a batch of {batch} cannot be worked through in {parts} equal parts"
            self.session.report(Fault("TRX0506", message, spans["accumulate"]))
        if train.values.get("remat") == "auto" and "memory" not in spans:
            message = f"`{self.ref.name}` has no `memory`, which `remat = auto` is to fit"
            self.session.report(Fault("TRX0503", message, spans["remat"], helps=['`memory = "8 GB"` says it']))

    def _check_optimizer(self, train: RecordValues) -> None:
        """An optimizer is one that goes down."""
        if (optimizer := train.values.get("optimizer")) is None:
            return
        try:
            check_descent(optimizer, train.spans["optimizer"])
        except Fault as fault:
            self.session.report(fault)
            return
        warn_of_order(self.session, optimizer)

    def _functions(self, model: Subject, roots: Roots, fields: DataFields, train: RecordValues) -> Elaborated | None:
        apply, learned, serve, learn = roots
        loss = train.expression("loss")
        body = record_body(self.session, self.ref)
        batch = bind_batch(self.session, apply, fields, self.span)
        if loss is None or batch is None:
            return None
        if fixed := {name: batch.known[name] for name in sorted(model.weight_symbols() & batch.known.keys())}:
            return self._sized(model, fixed, fields, train)
        loss_body = loss_function(learn, learned, batch, loss, body)
        found = metric_functions(serve, apply, batch, loss, train.expressions("metrics"), body, self.span)
        if loss_body is None or found is None:
            return None
        measure, summarize = found
        functions = [apply.function, learned.function, loss_body, measure, summarize]
        roles = {"apply": apply.function.name, "loss": loss_body.name}
        roles |= {"measure": measure.name, "summarize": summarize.name}
        module = Module(self.ref.name, {f.name: f for f in functions}, roles)
        collect(module, serve, learn)
        _warn_of_hidden(self.session, apply, batch)
        metrics = tuple(n for n in summarize.output_names if n != "loss")
        return Elaborated(
            self.ref.name, model.ref.name, module, (apply.function.name, learned.function.name), serve.requirements,
            train, batch=batch, metrics=metrics,
        )  # fmt: skip

    def _sized(
        self, model: Subject, sizes: Mapping[str, int], fields: DataFields, train: RecordValues
    ) -> Elaborated | None:
        """The recipe with a model whose weights have the sizes that the data give them."""
        sized = Subject(self.checked, model.ref, sizes)
        roots = sized.roots()
        return self._functions(sized, roots, fields, train) if roots is not None else None

    def _check_best(self, train: RecordValues, result: Elaborated) -> None:
        """The metric that chooses a checkpoint must be there."""
        if train.values.get("metrics") is None and "metrics" in train.spans:
            return  # they are wrong, and it may be one of them
        best = (train.nested("evaluate") or {}).get("best")
        known = ["loss", *result.metrics]
        if isinstance(best, Best) and best.metric not in known:
            helps = nearest(best.metric, known) or (f"metrics: {', '.join(known)}",)
            self.session.report(Fault("TRX0504", f"there is no metric `{best.metric}`", best.span, helps=helps))

    def _check_freeze(self, train: RecordValues, result: Elaborated) -> None:
        """A pattern of weights that are not trained must name one."""
        patterns = cast("tuple[str, ...]", train.values.get("freeze") or ())
        names = [weight.name for weight in parameter_tree(result.module, result.module.roles["apply"])]
        for pattern in patterns:
            if not any(matches(pattern, name) for name in names):
                stems = {name.partition(".")[0] for name in names} | set(names)
                helps = nearest(pattern, stems) or (f"weights: {', '.join(sorted(names)[:8])}",)
                span = train.spans["freeze"]
                self.session.report(Fault("TRX0504", f"no weight is called `{pattern}`", span, helps=helps))
        if names and all(any(matches(pattern, name) for pattern in patterns) for name in names):
            help_ = "without some of its patterns, the weights that they name are trained"
            self.session.warn(
                "TRX0518", "every weight is frozen: nothing is trained", train.spans["freeze"], helps=(help_,)
            )


def generate_record(checked: Checked, model: Subject) -> RecordValues | None:
    """The generate record for a model, if the file has one."""
    for ref in checked.unit.items.values():
        record = ref.item
        if isinstance(record, ast.Record) and record.kind == "generate":
            subject = record.subject.name if record.subject else model.ref.name
            if subject == model.ref.name:
                return read_record(Session(checked.library, Diagnostics(), overrides=checked.overrides), ref)
    return None


def _warn_of_hidden(session: Session, root: Root, batch: Batch) -> None:
    """Warns of fields of the data that losses cannot speak of: an output of the model has their name."""
    declared = {node.name.name: node.name.span for node in walk(root.item)
                if isinstance(node, ast.Output) and node.name is not None}  # fmt: skip
    taken = {value.name for value in root.function.inputs}
    for name in root.function.output_names:
        if name in batch.data.fields and name not in taken and name in declared:
            message = f"output `{name}` hides the field `{name}` of the data: a loss or metric means the output by it"
            help_ = f"call the output otherwise, or the field: `… >> rename({name}, to = other)`"
            session.warn("TRX0517", message, declared[name], helps=(help_,))


def check_evaluation(checked: Checked, ref: ItemRef, models: Mapping[str, Subject]) -> None:
    """Checks an evaluate record: its data fit the model, and its metrics are numbers of both."""
    session = checked.session()
    record = read_record(session, ref)
    model = find_subject(checked, ref, models)
    data, fields = _read_data(session, record)
    roots = model.roots() if model else None
    if data is not None:
        _check_split(session, record.values, data, record.spans.get("split") or ref.name_span)
    if roots is None or fields is None:
        return
    apply, _, serve, _ = roots
    batch = bind_batch(session, apply, fields, ref.name_span)
    if batch is None:
        return
    metrics = record.expressions("metrics")
    metric_functions(serve, apply, batch, None, metrics, record_body(session, ref), ref.name_span)
    _check_requirements(session, ref.name, serve.requirements, batch)


def _read_data(session: Session, record: RecordValues) -> tuple[RecordValues | None, DataFields | None]:
    """The data record that a recipe names and the fields of its examples, where they are known to be right."""
    ref = record.values.get("data")
    if not isinstance(ref, ItemRef):
        return None, None
    data = read_record(session, ref)
    return data, data_fields(session, data)


def _check_split(session: Session, values: Mapping[str, object] | None, data: RecordValues, span: Span | None) -> None:
    """The split that a recipe names must be there."""
    shares = data.nested("split")
    if values is None or span is None or (shares is None and "split" in data.spans):
        return
    name = values.get("split")
    wanted = name.name if isinstance(name, ast.Ident) else str(name)
    known = list(shares) if shares is not None else ["train"]
    if wanted not in known:
        place = name.span if isinstance(name, ast.Ident) else span
        helps = nearest(wanted, known) or (f"`split {{ train = 0.9, {wanted} = 0.1 }}` in the data makes one",)
        session.report(Fault("TRX0504", f"the data have no split `{wanted}`", place, helps=helps))


def _check_mesh(session: Session, mesh: MeshSpec, result: Elaborated, train: RecordValues) -> None:
    """The rules of a mesh must name dims; what its axes do not divide is left whole, with a warning."""
    values = _all_axes(result.module)
    names = names_in(values)
    for name, span in mesh.rule_spans.items():
        if name not in names:
            fault = Fault("TRX0513", f"no dim of the program is called `{name}`", span, helps=nearest(name, names))
            session.report(fault)
    _warn_of_sizes(session, mesh, values)
    batch, parts = train.integer("batch"), train.integer("accumulate")
    if batch is not None and parts is not None and result.batch is not None:
        values.append((Axis(dim(batch // parts), result.batch.leading.name),))
    for problem in list(uneven(values, tuple(mesh.rules.items()), mesh.axes)):
        over = " × ".join(f"`{a}`" for a in problem.axes)
        message = f"dim `{problem.dim}` is {problem.size}, which {problem.parts} devices of {over} do not divide"
        up = -(-problem.size // problem.parts) * problem.parts
        help_ = f"a size of {up} would be split; the rule is left out, and every device has `{problem.dim}` whole"
        session.warn("TRX0514", message, mesh.rule_spans[problem.dim], helps=(help_,))
        mesh.rules.pop(problem.dim, None)


def _warn_of_sizes(session: Session, mesh: MeshSpec, values: list[tuple[Axis, ...]]) -> None:
    """Warns of a rule whose dim is several sizes in the program: it places all of them."""
    sizes: dict[str, set[str]] = {}
    for axes in values:
        for axis in axes:
            if axis.public_name in mesh.rule_spans and axis.size.value is not None:
                sizes.setdefault(axis.public_name or "", set()).add(str(axis.size))
    for name, found in sizes.items():
        if len(found) > 1:
            listed = " and ".join(sorted(found, key=int))
            message = f"dim `{name}` is {listed} in different places, and this places all of them"
            help_ = "give one of them a name of its own: `dim name = …`, or another parameter's name"
            session.warn("TRX0214", message, mesh.rule_spans[name], helps=(help_,))


def _check_requirements(session: Session, name: str, requirements: list[Requirement], batch: Batch | None) -> None:
    """Conditions on sizes, with the sizes that the data have."""
    if batch is None:
        return
    sizes = {symbol: dim(size) for symbol, size in batch.known.items()}
    for need in requirements:
        left, right = need.left.substitute(sizes), need.right.substitute(sizes)
        difference = (left - right).value
        if difference is not None and not _holds(need.operator, difference):
            known = ", ".join(f"`{n}` is {s}" for n, s in batch.known.items())
            message = f"this does not hold with the data of `{name}`: {need.message}"
            place = need.place or need.span
            labels = [(need.span, "required here")] if place != need.span else []
            label = f"{left} {need.operator} {right} does not hold"
            session.report(Fault("TRX0420", message, place, label=label, labels=labels, notes=[known]))


def _holds(operator: str, difference: int) -> bool:
    """Whether `left operator right` holds, by left - right."""
    match operator:
        case "==":
            return difference == 0
        case "!=":
            return difference != 0
        case "<":
            return difference < 0
        case "<=":
            return difference <= 0
        case ">":
            return difference > 0
        case _:
            return difference >= 0


def _all_axes(module: Module) -> list[tuple[Axis, ...]]:
    found: list[tuple[Axis, ...]] = []
    for function in module.functions.values():
        found.extend(p.type.axes for p in function.parameters.values())
        found.extend(v.type.axes for v in function.inputs)
        for op in function.body.walk():
            found.extend(v.type.axes for v in op.results)
    return found
