"""A short text from a model in training, for its report."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import RunError
from .generation import generate_tokens
from .model import Model
from .tokenizer_of import end_of, tokenizer_of

if TYPE_CHECKING:
    from .loop import Training

PROMPT_TOKENS = 16
NEW_TOKENS = 200


def sample_text(training: Training) -> tuple[str, str] | None:
    """(prompt, continuation): the beginning of an example of the last split, and what the model makes of it.

    None where the recipe cannot generate text; a report does without.
    """
    recipe: dict[str, Any] = training.artifact.recipe
    field = str(recipe["generate"]["prompt"])
    model = Model(replace(training.artifact, folder=training.run.path), "latest")
    try:
        tokenizer = tokenizer_of(recipe, training.run.path, field)
        example = _example(training)
        prompt = [int(token) for token in np.asarray(example[field])[0, :PROMPT_TOKENS]]
        others = {f["name"]: example[f["name"]] for f in model.manifest["inputs"] if f["name"] != field}
        limit = min(int(recipe["generate"].get("limit") or NEW_TOKENS), NEW_TOKENS)
        tokens = [
            int(token[0]) for token in generate_tokens(model, others, [prompt], limit=limit, eos=end_of(tokenizer))
        ]
    except (RunError, KeyError):
        return None
    return tokenizer.decode(prompt), tokenizer.decode(tokens)


def _example(training: Training) -> dict[str, Any]:
    """The first example of the split that training did not see, where there is one."""
    splits = training.data.splits
    split = splits.get("valid") or next(reversed(splits.values()))
    batch, _ = next(split.batches(1))
    return batch
