"""Fields of a recipe that are each right, and do not go together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..diagnostics import Diagnostic, Label
from ..resolve import ItemRef
from ..source import Span
from ..syntax import ast
from .body import Session
from .descent import LIBRARY, int_of, number_of
from .faults import counted
from .mesh import MeshSpec
from .records import Best, RecordValues, fields_of
from .values import Chain, Declared

IDLE = {"evaluate.every": "evaluated", "checkpoint.every": "saved", "log.every": "reported"}
"""Intervals of a train record, and what happens after each."""

ACCURACIES = frozenset({"accuracy", "top_k_accuracy", "binary_accuracy"})
LOSSES = frozenset({
    "cross_entropy", "soft_cross_entropy", "binary_cross_entropy", "focal_loss", "mse", "mae", "huber_loss",
    "log_cosh_loss", "hinge_loss", "kl_divergence", "gaussian_kl", "contrastive_loss",
})  # fmt: skip
"""Functions of the library that are better the larger, or the smaller, they are."""

FROM_OUTSIDE = "--set "
"""How the source of a setting is called. A run that is made short from outside says nothing of the file."""


def warn_of_contradictions(session: Session, ref: ItemRef, train: RecordValues, total: int | None) -> None:
    """Warns of fields of a train record that cannot have what they ask for beside each other."""
    places = dict(_places(fields_of(session, ref)))
    steps = places.get("steps")
    if total is not None and steps is not None and not steps.source.name.startswith(FROM_OUTSIDE):
        _warn_of_intervals(session, train, total, places)
        for schedule in _schedules(train.values.get("optimizer")):
            _warn_of_schedule(session, schedule, total, steps)
    _warn_of_best(session, train)


def _places(fields: tuple[ast.RecordField, ...], within: str = "") -> Iterator[tuple[str, Span]]:
    """The values of a record's fields, by the fields' full names."""
    for node in fields:
        if isinstance(node, ast.SubRecord):
            yield from _places(node.fields, f"{within}{node.name.name}.")
        elif isinstance(node, ast.Field):
            yield within + ".".join(part.name for part in node.path), node.value.span


def _warn(session: Session, message: str, span: Span, help_: str, *labels: tuple[Span, str]) -> None:
    places = tuple(Label(place, text) for place, text in labels)
    session.diagnostics.add(
        Diagnostic("TRX0518", message, span, severity="warning", labels=places, helps=(help_,), trail=session.trail())
    )


def _warn_of_intervals(session: Session, train: RecordValues, total: int, places: Mapping[str, Span]) -> None:
    for path, happens in IDLE.items():
        record, name = path.split(".")
        every = (train.nested(record) or {}).get(name)
        if isinstance(every, int) and every > total and path in places:
            message = f"`{path}` is {every:,}, and the run has {total:,} steps: nothing is {happens} before its end"
            help_ = f"with an `every` of at most {total:,}, it happens on the way"
            _warn(session, message, places[path], help_, (places["steps"], f"the run ends after {total:,} steps"))


# ---------------------------------------------------------------- schedules


def _schedules(value: object) -> Iterator[Declared]:
    """The library's schedules in an optimizer's arguments."""
    if isinstance(value, Chain):
        for part in value.parts:
            yield from _schedules(part)
    elif isinstance(value, Declared):
        if value.kind == "schedule" and value.target.startswith(LIBRARY):
            yield value
        for _, argument in value.given:
            yield from _schedules(argument)


def _warn_of_schedule(session: Session, schedule: Declared, total: int, steps: Span) -> None:
    given = dict(schedule.given)
    length, warmup = (int_of(given.get(name)) for name in ("steps", "warmup"))
    ending = (steps, f"the run ends after {total:,} steps")
    span = schedule.span or steps
    if warmup is not None and warmup >= total:
        message = f"the warm-up of {warmup:,} steps is as long as the run, or longer: the rate never gets to its peak"
        _warn(session, message, span, f"`warmup` is less than {total:,}", ending)
    elif length is not None and length > total:
        message = f"`{schedule.name}` ends with step {length:,}, and the run with step {total:,}"
        _warn(session, message, span, "without `steps`, the schedule ends with the run", ending)
    elif length is not None and length < total and number_of(given.get("end", given.get("share"))) == 0:
        message = (
            f"the rate is 0 from step {length:,} on: {counted(total - length, 'step')} of the run can change nothing"
        )
        _warn(session, message, span, "without `steps`, the schedule ends with the run", ending)


def warn_of_order(session: Session, optimizer: object) -> None:
    """Warns of stages that are meant for gradients and stand where these have become steps."""
    walked: Declared | None = None
    for stage in optimizer.parts if isinstance(optimizer, Chain) else ():
        if not stage.target.startswith(LIBRARY) or stage.span is None:
            return
        if walked is not None and walked.span is not None and stage.name != "scale":
            message = f"`{stage.name}` stands after `{walked.name}`: it is given steps, and not gradients"
            help_ = f"`{stage.name}(…) >> {walked.name}(…)` gives it gradients"
            _warn(session, message, stage.span, help_, (walked.span, "makes steps of gradients"))
        if "learning_rate" in dict(stage.given):
            walked = stage


# ----------------------------------------------------------------- one field and another


def _warn_of_best(session: Session, train: RecordValues) -> None:
    """Warns where the worst checkpoint would be kept as the best."""
    best = (train.nested("evaluate") or {}).get("best")
    if not isinstance(best, Best):
        return
    measured = train.expressions("metrics").get(best.metric)
    call = measured.function if isinstance(measured, ast.Call) else None
    function = call.name if isinstance(call, ast.Name) else ""
    wanted = "min" if best.metric == "loss" or function in LOSSES else "max" if function in ACCURACIES else best.mode
    if wanted != best.mode:
        kind, other = ("small", "min") if wanted == "min" else ("large", "max")
        message = f"`{best.metric}` is good where it is {kind}, and `{best.mode}` keeps the worst checkpoint"
        _warn(session, message, best.span, f"`{other}({best.metric})` keeps the best one")


def warn_of_idle_axes(session: Session, mesh: MeshSpec, used: set[str]) -> None:
    """Warns of axes of a mesh that no rule uses: all devices along them do the same."""
    for name, size in mesh.axes.items():
        if size > 1 and name not in used and name in mesh.axis_spans:
            message = f"no rule splits anything over `{name}`: {size} devices do the same work"
            _warn(session, message, mesh.axis_spans[name], f"`batch -> {name}` splits every batch")


UNMOVED = ("temperature", "top_k", "top_p", "min_p")
"""Stages that leave the likeliest token the likeliest."""


def warn_of_greedy(session: Session, sample: object) -> None:
    """Warns of stages of `sample` that change nothing, since the likeliest token is taken in any case."""
    parts = sample.parts if isinstance(sample, Chain) else ()
    greedy = next((part for part in parts if _is_greedy(part)), None)
    for part in parts if greedy is not None and greedy.span is not None else ():
        if part.name in UNMOVED and part is not greedy and part.span is not None:
            assert greedy is not None and greedy.span is not None
            message = f"`{part.name}` changes nothing: `{greedy.name}` takes the likeliest token in any case"
            help_ = "without that, tokens are drawn by their probabilities"
            _warn(session, message, part.span, help_, (greedy.span, "always takes the likeliest"))


def _is_greedy(stage: Declared) -> bool:
    return stage.name == "greedy" or (stage.name == "temperature" and number_of(dict(stage.given).get("t")) == 0)
