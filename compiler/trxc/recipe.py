"""A recipe as plain data: for the emitter, and for the manifest that the runtime reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from .elaborate.pipeline import stages
from .elaborate.program import Checked, Elaborated
from .elaborate.records import Best, RecordValues
from .elaborate.values import Chain, CValue, Declared, Sequence, Size, TypeValue
from .emit import Declared as EmitDeclared
from .emit import EmitRecipe
from .emit.recipe import Argument
from .plan.memory import Step
from .plan.optimizers import copies
from .syntax import ast
from .types import DType


def emit_recipe(chosen: Elaborated, checked: Checked) -> EmitRecipe:
    """What the emitter needs to know of a recipe."""
    assert chosen.train is not None
    values = chosen.train.values
    l2 = values.get("l2")
    freeze = cast("tuple[str, ...] | None", values.get("freeze"))
    return EmitRecipe(
        optimizer=_optimizer(values["optimizer"]),
        accumulate=_int(values["accumulate"]),
        loss_scale=values["precision"] == "f16",
        mesh=dict(chosen.mesh.axes) if chosen.mesh else {},
        rules=dict(chosen.mesh.rules) if chosen.mesh else {},
        freeze=freeze or (),
        l2=(("*", l2),) if isinstance(l2, float) else (),
        steps=chosen.total_steps,
        metrics=chosen.metrics,
    )


def recomputation(chosen: Elaborated, recipe: EmitRecipe | None) -> tuple[str, Step | None]:
    """What the recipe says of values that backward computes again, and what the memory of a step depends on."""
    train = chosen.train
    if train is None or recipe is None or chosen.batch is None:
        return "none", None
    sizes = batch_sizes(chosen, recipe.accumulate)
    moments = sum(copies(call.target, dict(call.arguments)) for call in _optimizers(recipe.optimizer))
    gradients = 2 if recipe.accumulate > 1 else 1
    step = Step(sizes, moments, gradients, train.integer("memory"), train.spans.get("memory"))
    return str(train.values["remat"]), step


def batch_sizes(chosen: Elaborated, parts: int = 1) -> dict[str, int]:
    """The sizes of a batch's dims, by symbol, as far as the recipe fixes them; of one of several parts of the batch."""
    if chosen.train is None or chosen.batch is None:
        return {}
    sizes = dict(chosen.batch.known)
    if (symbol := chosen.batch.leading.size.symbol) is not None:
        sizes[symbol.name] = _int(chosen.train.values["batch"]) // parts
    return sizes


def _optimizers(call: EmitDeclared) -> Iterator[EmitDeclared]:
    """A call that transforms gradients, or the calls of a chain."""
    if call.name != "chain":
        yield call
        return
    for _, part in call.arguments:
        if isinstance(part, EmitDeclared):
            yield from _optimizers(part)


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value


def _optimizer(value: object) -> EmitDeclared:
    if isinstance(value, Chain):
        parts = tuple(("", _optimizer(part)) for part in value.parts)
        return EmitDeclared("chain", "", parts, value.parts[0].span)
    assert isinstance(value, Declared)
    arguments = tuple((name, _argument(item)) for name, item in value.arguments)
    return EmitDeclared(value.name, value.target, arguments, value.span)


def _argument(value: CValue) -> Argument:
    if isinstance(value, Declared | Chain):
        return _optimizer(value)
    if isinstance(value, Sequence):
        return tuple(_argument(item) for item in value.items)
    plain = _plain(value)
    assert plain is None or isinstance(plain, bool | int | float | str)
    return plain


def _plain(value: object) -> Any:
    """A value as JSON."""
    if isinstance(value, Size):
        return value.known
    if isinstance(value, DType):
        return value.name
    if isinstance(value, Sequence):
        return [_plain(item) for item in value.items]
    if isinstance(value, Declared):
        arguments = {name: _plain(item) for name, item in value.arguments}
        return {"call": value.target, "name": value.name, "args": arguments}
    if isinstance(value, Chain):
        return [_plain(part) for part in value.parts]
    if isinstance(value, TypeValue):
        return {"dtype": value.dtype.name, "shape": [d.value if d else None for d in value.sizes]}
    if isinstance(value, ast.Ident):
        return value.name
    if isinstance(value, Best):
        return {"mode": value.mode, "metric": value.metric}
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in cast("dict[str, object]", value).items()}
    assert value is None or isinstance(value, bool | int | float | str), type(value)
    return value


def recipe_json(chosen: Elaborated) -> dict[str, Any]:
    """`train`, `data` and `generate` as the manifest holds them; empty for a model alone."""
    if chosen.train is None or chosen.data is None:
        return {}
    generate = _generate(chosen.generate, chosen) if chosen.generate else None
    return {"train": _train(chosen), "data": _data(chosen.data), "generate": generate}


_PLAIN = ("seed", "batch", "accumulate", "steps", "epochs")


def _train(chosen: Elaborated) -> dict[str, Any]:
    assert chosen.train is not None
    values = chosen.train.values
    plain = {name: _plain(values[name]) for name in (*_PLAIN, "precision", "remat")}
    plain["metrics"] = list(chosen.metrics)
    for name in ("evaluate", "checkpoint"):
        plain[name] = _plain(values[name]) if values[name] is not None else None
    plain["log"] = _plain(values["log"]) if values["log"] is not None else {"every": 10}
    plain["mesh"] = dict(chosen.mesh.axes) if chosen.mesh else None
    return plain


def _data(record: RecordValues) -> dict[str, Any]:
    values, item = record.values, record.item
    assert item is not None
    declared = [{"name": name, **_plain(type_)} for name, type_ in (record.nested("fields") or {}).items()]
    split = values["split"]
    return {
        "name": item.name,
        "source": _plain(values["source"]),
        "stages": [_plain(stage) for stage in stages(record)],
        "split": _plain(split) if split is not None else None,
        "shuffle": values["shuffle"],
        "fields": declared,
    }


def _context(chosen: Elaborated, prompt: str) -> int | None:
    """The longest prompt that the model takes, where it requires one: `seq <= context`."""
    inputs = {value.name: value for value in chosen.module.role("apply").inputs}
    if prompt not in inputs or inputs[prompt].type.rank < 2:
        return None
    length = inputs[prompt].type.axes[1].size
    bounds = [
        need.right.value - (need.operator == "<")
        for need in chosen.requirements
        if need.operator in ("<=", "<") and need.left == length and need.right.value is not None
    ]
    return min(bounds, default=None)


def _generate(record: RecordValues, chosen: Elaborated) -> dict[str, Any]:
    values, item = record.values, record.item
    assert item is not None
    sample, search = values["sample"], values["search"]
    stages_: Any = _plain(sample) if sample is not None else []
    return {
        "name": item.name,
        "prompt": _plain(values["prompt"]),
        "from": _plain(values["from"]),
        "sample": stages_ if isinstance(stages_, list) else [stages_],
        "search": _plain(search) if search is not None else None,
        "stop": list(cast("tuple[str, ...]", values["stop"] or ())),
        "limit": values["limit"],
        "seed": values["seed"],
        "context": _context(chosen, str(_plain(values["prompt"]))),
        "tokenizer": _plain(values["tokenizer"]) if values["tokenizer"] is not None else None,
    }


__all__ = ["emit_recipe", "recipe_json", "recomputation"]
