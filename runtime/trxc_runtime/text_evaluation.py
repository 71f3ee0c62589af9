"""Metrics of what a model says: texts that its `generate` recipe makes of a split, against those of the data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from .artifact import Artifact, load_artifact
from .errors import RunError
from .model import Model
from .recipe_data import data_errors, evaluation_batch, load_data
from .request import recipe_of
from .tokenizer_of import said_field, text_of, tokenizer_of

if TYPE_CHECKING:
    from .data import Batch


@dataclass(frozen=True)
class TextScore:
    """A score over so many examples; ``signature`` says, where there are several ways, how it was reckoned."""

    value: float
    examples: int
    signature: str | None = None


Measure = Callable[[Sequence[str], Sequence[str]], tuple[float, str | None]]
"""The score of texts by their references, one each, and its signature."""


def _exact_match(texts: Sequence[str], references: Sequence[str]) -> tuple[float, str | None]:
    """The share of texts that are their reference to the last character."""
    equal = sum(text == reference for text, reference in zip(texts, references, strict=True))
    return equal / len(texts), None


def _sacrebleu(name: str) -> Measure:
    """A metric of sacrebleu (Post 2018), from 0 to 100."""

    def measure(texts: Sequence[str], references: Sequence[str]) -> tuple[float, str | None]:
        metric: Any = getattr(import_module("sacrebleu.metrics"), name)()
        score: Any = metric.corpus_score(list(texts), [list(references)])
        return float(score.score), str(metric.get_signature())

    return measure


MEASURES: Mapping[str, Measure] = {
    "bleu": _sacrebleu("BLEU"),
    "chrf": _sacrebleu("CHRF"),
    "exact_match": _exact_match,
}


def evaluate_texts(
    artifact: str | Path | Artifact,
    metrics: Sequence[str],
    split: str = "valid",
    *,
    root: str | Path | None = None,
    data: Mapping[str, Any] | None = None,
    limit: int | None = None,
    steps: int | None = None,
    checkpoint: str | int = "best",
    allow_extern: bool = False,
    on_batch: Callable[[int], None] | None = None,
) -> dict[str, TextScore]:
    """The scores by name, each of ``bleu``, ``chrf`` and ``exact_match``, of what is generated for a split.

    The model is given the split's inputs and an empty prompt; the reference is the field that `shift` makes the
    prompt's of. ``limit`` bounds the examples, ``steps`` the batches; ``on_batch`` is told how many are done. Raises
    :class:`RunError`.
    """
    _check(metrics)
    if not isinstance(artifact, Artifact):
        artifact = load_artifact(artifact, allow_extern=allow_extern, root=Path(root) if root else None)
    model = Model(artifact, checkpoint)
    with data_errors():
        texts, references = _texts(model, _batches(model, split, root, data, limit, steps), on_batch)
    if not texts:
        raise RunError("there is nothing to evaluate on: the split is empty")
    scores = {name: MEASURES[name](texts, references) for name in metrics}
    return {name: TextScore(value, len(texts), signature) for name, (value, signature) in scores.items()}


def _check(metrics: Sequence[str]) -> None:
    """Before anything is generated: whether all metrics are known, and can be reckoned."""
    for name in metrics:
        if name not in MEASURES:
            raise RunError(f"there is no metric of texts `{name}`", hints=(f"there are {', '.join(MEASURES)}",))
        if name != "exact_match":
            try:
                import_module("sacrebleu")
            except ModuleNotFoundError:
                raise RunError(
                    f"`{name}` needs the package `sacrebleu`, which is not installed",
                    hints=('`pip install "trxc[bleu]"`',),
                ) from None


def _target(model: Model) -> str:
    """The field that is to come out, of the data's ids."""
    prompt = str(recipe_of(model)["prompt"])
    field = said_field(model.artifact.recipe, prompt)
    if field is None:
        raise RunError(
            f"the data do not say which texts are to come out after an empty `{prompt}`",
            hints=(f"they do where `shift(FIELD, into = {prompt})` makes the prompt of what is to be said",),
        )
    return field


def _batches(
    model: Model,
    split: str,
    root: str | Path | None,
    data: Mapping[str, Any] | None,
    limit: int | None,
    steps: int | None,
) -> Iterator[tuple[Batch, int]]:
    """Batches of the model's other inputs and of what is to come out."""
    inputs = [str(each["name"]) for each in model.manifest["inputs"] if each["name"] != recipe_of(model)["prompt"]]
    wanted = [*inputs, _target(model)]
    loaded = load_data(model.artifact, root=root, arrays=data)
    if missing := [name for name in wanted if name not in loaded.fields]:
        raise RunError(f"the data have no field `{missing[0]}`, which generation reads")
    left = len(loaded.split(split)) if limit is None else limit
    batches = loaded.only(wanted).split(split).batches(evaluation_batch(model.artifact.train))
    for batch, size in islice(batches, steps):
        if left > 0:
            yield batch, min(size, left)
        left -= size


def _texts(
    model: Model, batches: Iterator[tuple[Batch, int]], on_batch: Callable[[int], None] | None
) -> tuple[list[str], list[str]]:
    """What is generated for each example, and what was to come out."""
    target, recipe = _target(model), model.artifact.recipe
    tokenizer = tokenizer_of(recipe, model.artifact.folder, target)
    texts: list[str] = []
    references: list[str] = []
    rows, seed = 0, int(recipe_of(model).get("seed") or 0)
    for batch, size in batches:
        said = np.asarray(batch.pop(target))[:size]
        rows = rows or size
        inputs = {name: _filled(values[:size], rows) for name, values in batch.items()}
        found = model.generate([""] * rows, seed=(seed + len(texts)) % (1 << 32), **inputs)
        texts += cast("list[str]", found)[:size]
        references += [text_of(recipe, tokenizer, target, ids) for ids in said]
        if on_batch:
            on_batch(len(texts))
    return texts, references


def _filled(values: Any, rows: int) -> Any:
    """So many rows, the first one repeated: one compiled program serves the last batch, too."""
    return np.concatenate([values, np.repeat(values[:1], rows - len(values), axis=0)])
