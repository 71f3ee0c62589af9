"""Every field of every record: its kind, its default and what it is for. The one table that says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

FieldKind: TypeAlias = Literal[
    "int", "float", "flag", "word", "text", "record", "tensor", "tensors", "optimizer", "source", "pipeline", "sampler",
    "search", "tokenizer", "bytes", "shares", "types", "fields", "best", "patterns", "texts", "paths", "name",
]  # fmt: skip


@dataclass(frozen=True)
class FieldSpec:
    """One field of a record.

    `choices` are the words of a `word` and the record kind of a `record`; `fields` those of a nested record.
    """

    name: str
    kind: FieldKind
    doc: str
    default: int | float | bool | str | None = None
    required: bool = False
    least: int = 1
    choices: tuple[str, ...] = ()
    fields: tuple[FieldSpec, ...] = ()


EVALUATE = (
    FieldSpec("every", "int", "steps between evaluations", required=True),
    FieldSpec("steps", "int", "batches of an evaluation; the whole split without it"),
    FieldSpec("split", "name", "the split that is evaluated", default="valid"),
    FieldSpec("best", "best", "`min(metric)` or `max(metric)`: whose checkpoint is kept beside the latest"),
)
CHECKPOINT = (
    FieldSpec("every", "int", "steps between checkpoints", required=True),
    FieldSpec("keep", "int", "how many of the latest are kept", default=3),
)
LOG = (FieldSpec("every", "int", "steps between lines of the log", default=10),)

RECORDS: dict[str, tuple[FieldSpec, ...]] = {
    "train": (
        FieldSpec("data", "record", "the data that it learns from", required=True, choices=("data",)),
        FieldSpec(
            "loss", "tensor", "one number to make small, of the model's outputs and the data's fields", required=True
        ),
        FieldSpec("metrics", "tensors", "numbers to report beside the loss, by name"),
        FieldSpec("optimizer", "optimizer", "how weights follow their gradients", required=True),
        FieldSpec("batch", "int", "examples of a step", required=True),
        FieldSpec("accumulate", "int", "parts that a batch is worked through in, to save memory", default=1),
        FieldSpec("steps", "int", "how many steps it trains"),
        FieldSpec("epochs", "int", "how many times it sees the training split, instead of `steps`"),
        FieldSpec("seed", "int", "what all randomness is derived from", default=0, least=0),
        FieldSpec("precision", "word", "the dtype of `float`", default="f32", choices=("f32", "mixed_bf16", "f16")),
        FieldSpec(
            "remat",
            "word",
            "what of each layer backward computes again, to save memory: all but products and attention (`dots`), all "
            "(`full`), or as little as fits `memory` (`auto`)",
            default="none",
            choices=("none", "dots", "full", "auto"),
        ),
        FieldSpec("memory", "bytes", 'the memory of a device that a step may take, as `"8 GB"`'),
        FieldSpec("evaluate", "fields", "when and on what it is evaluated", fields=EVALUATE),
        FieldSpec("checkpoint", "fields", "when it is saved", fields=CHECKPOINT),
        FieldSpec("log", "fields", "when it reports", fields=LOG),
        FieldSpec("mesh", "record", "the devices that it is placed on", choices=("mesh",)),
        FieldSpec("freeze", "patterns", "weights that are not trained, by name; `*` stands for anything"),
        FieldSpec("l2", "float", "the weight of the weights' squared norm in the loss"),
    ),
    "data": (
        FieldSpec("source", "source", "where examples come from", required=True),
        FieldSpec("tokens", "pipeline", "how text becomes tokens"),
        FieldSpec("transform", "pipeline", "what is done to every example"),
        FieldSpec("split", "shares", "shares (0.9) or numbers (1_000) of examples, by split"),
        FieldSpec("shuffle", "flag", "whether examples are drawn in a random order, anew each epoch", default=True),
        FieldSpec("fields", "types", "the types of fields that the source does not tell, for one example"),
    ),
    "generate": (
        FieldSpec("prompt", "name", "the input that holds the sequence so far", required=True),
        FieldSpec("from", "name", "the output with a score for each next token", required=True),
        FieldSpec("sample", "sampler", "how a token is chosen by its scores"),
        FieldSpec("search", "search", "how the best of many continuations is looked for, instead of `sample`"),
        FieldSpec("stop", "texts", "texts before which what is generated ends"),
        FieldSpec("limit", "int", "the most tokens that are generated", default=200),
        FieldSpec("tokenizer", "tokenizer", "what makes tokens of a prompt; the data's own without it"),
        FieldSpec("seed", "int", "what sampling is derived from", default=0, least=0),
    ),
    "evaluate": (
        FieldSpec("data", "record", "the data that it is evaluated on", required=True, choices=("data",)),
        FieldSpec("metrics", "tensors", "what is measured, by name", required=True),
        FieldSpec("split", "name", "the split", default="test"),
        FieldSpec("batch", "int", "examples of a batch", default=64),
    ),
    "weights": (
        FieldSpec("format", "word", "the format of the file", default="safetensors", choices=("safetensors",)),
    ),
}
"""Fields by kind of record. A `mesh` has no fixed ones: its fields are axes and their sizes, its rules place dims."""


def field_of(kind: str, name: str) -> FieldSpec | None:
    """The field of a record kind, by name."""
    return next((spec for spec in RECORDS.get(kind, ()) if spec.name == name), None)
