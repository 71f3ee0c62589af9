"""What is asked for of a model's ``generate`` recipe: its prompts and inputs as ids, and how its tokens are chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from .calls import is_call, resolve_call
from .decoding import Decoder
from .errors import RunError
from .recipe_data import data_errors
from .sample.stage import Setting
from .search import Beam
from .signatures import check_inputs, declared_type
from .stages import Stages, stages_of
from .tokenizer_of import end_of, input_ids, prompt_ids, tokenizer_of
from .untyped import jnp

if TYPE_CHECKING:
    from .data.tokenizers import Tokenizer
    from .model import Model


def decoder_of(model: Model, sample: Sequence[Any] | None = None, search: Beam | None = None) -> Decoder:
    """The decoder that a model's ``generate`` recipe describes; raises :class:`RunError` where it cannot work so.

    ``sample`` or ``search`` replaces what the recipe says of how tokens are chosen; what the recipe's stages exclude
    stays excluded from another search.
    """
    recipe = recipe_of(model)
    prompt = _field(model.manifest["inputs"], str(recipe["prompt"]), "input")
    logits = _field(model.manifest["outputs"], str(recipe["from"]), "output")
    if len(prompt["dims"]) != 2 or len(logits["dims"]) != 3 or logits["dims"][1] != prompt["dims"][1]:
        raise RunError(
            f"generation reads `{prompt['name']}` as [batch, position] and `{logits['name']}` as "
            "[batch, position, vocab]; this model's are shaped otherwise",
            hints=(f"they are {declared_type(prompt)} and {declared_type(logits)}",),
        )
    stages = _stages(model, recipe.get("sample") or () if sample is None else sample, logits["shape"][2])
    if sample is None and search is not None:
        stages = Stages(tuple(part for part in stages.parts if part.excludes))
    elif sample is None:
        search = _search(recipe)
    if search is not None and (others := [part for part in stages.parts if not part.excludes]):
        raise RunError(
            "`sample` and `search` are two ways of choosing tokens",
            hints=(f"give one of them; a search goes only by stages that exclude tokens, unlike {others[0]}",),
        )
    fixed = prompt["shape"][1]
    context = fixed or recipe.get("context") or _trained_length(model, prompt["name"])
    return Decoder(
        model.artifact.program, prompt["name"], logits["name"], stages.parts, context, fixed is not None, search
    )


def recipe_of(model: Model) -> Mapping[str, Any]:
    """The ``generate`` recipe; raises :class:`RunError` where there is none."""
    recipe = model.artifact.recipe.get("generate")
    if not recipe:
        raise RunError(
            f"`{model.artifact.name}` has no `generate` recipe",
            hints=("it takes a `train` recipe and `generate NAME for MODEL { prompt = …, from = … }` for its model",),
        )
    return recipe


def _stages(model: Model, sample: Sequence[Any], vocab: int | None) -> Stages:
    with data_errors():
        stages = stages_of(resolve_call(call) if is_call(call) else call for call in sample)
    if not stages.parts:
        return stages
    try:
        tokenizer = recipe_tokenizer(model)
    except RunError:
        tokenizer = None
    eos = end_of(tokenizer) if tokenizer else None
    return stages.bind(Setting(vocab or (tokenizer.size if tokenizer else 1 << 31), tokenizer, eos, model))


def _search(recipe: Mapping[str, Any]) -> Beam | None:
    if not recipe.get("search"):
        return None
    with data_errors():
        return resolve_call(recipe["search"])


def _field(fields: Sequence[Mapping[str, Any]], name: str, what: str) -> Mapping[str, Any]:
    for field in fields:
        if field["name"] == name:
            return field
    raise RunError(f"`generate` names the {what} `{name}`, which the model does not have")


def _trained_length(model: Model, name: str) -> int | None:
    """The length that the model was trained on; beyond it nothing was learnt, and positions may run out."""
    for field in model.manifest.get("batch") or ():
        if field["name"] == name and len(field["shape"]) == 2 and field["shape"][1]:
            return int(field["shape"][1])
    return None


def recipe_tokenizer(model: Model) -> Tokenizer:
    """The tokenizer of the prompt; raises :class:`RunError` where there is none."""
    return tokenizer_of(model.artifact.recipe, model.artifact.folder, str(recipe_of(model)["prompt"]))


def prompts_of(
    model: Model, tokenizer: Tokenizer, prompt: str | Sequence[str] | None, inputs: Mapping[str, Any]
) -> list[list[int]]:
    """The ids of each prompt. Without one there are as many empty ones as the inputs have rows."""
    rows = max((len(value) for value in inputs.values()), default=1)
    texts = [""] * rows if prompt is None else [prompt] if isinstance(prompt, str) else list(prompt)
    if wrong := [text for text in texts if not isinstance(text, str)]:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise RunError(
            f"a prompt is a text, and this is {wrong[0]!r}",
            hints=("`trxc_runtime.generate_tokens` goes on from ids",),
        )
    ids = [prompt_ids(model.artifact.recipe, tokenizer, str(recipe_of(model)["prompt"]), text) for text in texts]
    if not all(ids):
        raise RunError(
            "the prompt is empty, and nothing is known that a text begins with",
            hints=(
                "give at least one character",
                "with `bytes(special = true)` or `bpe(…, special = true)` in the data, a text could begin after eos",
            ),
        )
    return ids


def further_inputs(model: Model, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs beside the prompt as arrays, the rows first; texts become ids, as the data have them.

    Raises :class:`RunError` for one that is missing, foreign, or not what the model declares.
    """
    check_names(model, inputs)
    return {name: _array(model, name, value) for name, value in inputs.items()}


def check_names(model: Model, inputs: Mapping[str, Any]) -> None:
    """Refuses, by a :class:`RunError`, inputs that are missing or foreign."""
    needed = {str(field["name"]) for field in model.manifest["inputs"]} - {str(recipe_of(model)["prompt"])}
    if missing := sorted(needed - inputs.keys()):
        raise RunError(f"generation needs the model's input `{missing[0]}` too", hints=("give it beside the prompt",))
    if foreign := sorted(inputs.keys() - needed):
        raise RunError(f"the model has no further input `{foreign[0]}`")


def aligned(model: Model, inputs: Mapping[str, Any], rows: int) -> dict[str, Any]:
    """The inputs with one row a prompt, each of one row repeated; raises :class:`RunError` where they do not fit."""
    made: dict[str, Any] = {}
    for name, value in inputs.items():
        array = jnp.asarray(value)
        if array.ndim and array.shape[0] not in (1, rows):
            prompts = "is 1 prompt" if rows == 1 else f"are {rows} prompts"
            raise RunError(
                f"`{name}` has {array.shape[0]} rows, and there {prompts}",
                hints=("give one row for each prompt, or one for all",),
            )
        made[name] = jnp.repeat(array, rows, axis=0) if array.ndim and array.shape[0] == 1 else array
    fields = [field for field in model.manifest["inputs"] if field["name"] != recipe_of(model)["prompt"]]
    check_inputs(fields, made)
    return made


def _array(model: Model, name: str, value: Any) -> Any:
    """An array as it is; of a text, or of several, the ids."""
    texts = _texts(value)
    if not texts:
        return _numbers(name, value)
    tokenizer = tokenizer_of(model.artifact.recipe, model.artifact.folder, name)
    rows = [input_ids(model.artifact.recipe, tokenizer, name, text) for text in texts]
    if len({len(row) for row in rows}) > 1:
        raise RunError(
            f"the texts of `{name}` have different numbers of tokens, and the data do not say how they are filled up",
            hints=(f"`pad({name}, LENGTH)` in the data's `transform` does, or give them one by one",),
        )
    return np.array(rows, np.int32)


def _texts(value: Any) -> list[str]:
    """The texts of an input; none where it is no text and no list of texts."""
    items = [value] if isinstance(value, str) else cast("list[Any]", value) if isinstance(value, list) else []
    return [str(item) for item in items] if all(isinstance(item, str) for item in items) else []


def _numbers(name: str, value: Any) -> Any:
    try:
        array: Any = np.asarray(value)
    except ValueError:
        raise RunError(f"the rows of `{name}` differ in length", hints=("fill them up to one length",)) from None
    if array.dtype.kind not in "biuf" or not array.ndim or not array.shape[0]:
        raise RunError(f"`{name}` is an array with one row a prompt, or text; it was given {value!r}")
    return array
