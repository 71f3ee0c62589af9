"""Text, or any sequence of ids, from a trained model, by the file's ``generate`` recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .calls import is_call, resolve_call
from .compile_cache import use_compile_cache
from .decoding import Decoder, decode
from .errors import RunError
from .recipe_data import data_errors
from .stepping import ENDED
from .tokenizer_of import end_of, input_ids, prompt_ids, tokenizer_of

if TYPE_CHECKING:
    from .data.tokenizers import Tokenizer
    from .model import Model


def generate(
    model: Model,
    prompt: str | Sequence[str],
    *,
    limit: int | None = None,
    seed: int = 0,
    params: Any = None,
    sample: Sequence[Any] | None = None,
    inputs: Mapping[str, Any] | None = None,
) -> str | list[str]:
    """The texts that follow the prompts; see :meth:`Model.generate`."""
    prompts = [prompt] if isinstance(prompt, str) else list(prompt)
    tokenizer = _tokenizer(model)
    rows: list[list[int]] = [[] for _ in prompts]
    ids = [_ids(model, tokenizer, text) for text in prompts]
    steps = generate_tokens(
        model,
        _constants(model, inputs or {}, len(prompts)),
        ids,
        limit=limit,
        seed=seed,
        eos=end_of(tokenizer),
        params=params,
        sample=sample,
    )
    for tokens in steps:
        for row, token in zip(rows, tokens, strict=True):
            if token != ENDED:
                row.append(int(token))
    texts = [tokenizer.decode(row) for row in rows]
    return texts[0] if isinstance(prompt, str) else texts


def stream(
    model: Model,
    prompt: str,
    *,
    limit: int | None = None,
    seed: int = 0,
    on_token: Callable[[int], None] | None = None,
    **options: Any,
) -> Iterator[str]:
    """The text that follows one prompt, in pieces of whole characters; ``on_token`` is told every token as it comes."""
    tokenizer = _tokenizer(model)
    known = {name: options.pop(name, None) for name in ("params", "sample")}
    constants = _constants(model, options, 1)
    pieces = tokenizer.stream()
    for tokens in generate_tokens(
        model, constants, [_ids(model, tokenizer, prompt)], limit=limit, seed=seed, eos=end_of(tokenizer), **known
    ):
        if on_token:
            on_token(int(tokens[0]))
        if text := pieces.step(int(tokens[0])):
            yield text
    if rest := pieces.finish():
        yield rest


def generate_tokens(
    model: Model,
    inputs: Mapping[str, Any],
    prompts: Sequence[Sequence[int]],
    *,
    limit: int | None = None,
    seed: int = 0,
    eos: int | None = None,
    params: Any = None,
    sample: Sequence[Any] | None = None,
) -> Iterator[np.ndarray[Any, np.dtype[np.int32]]]:
    """Yield ``i32[rows]`` a new token; -1 where a row ended with ``eos``.

    ``inputs`` are the model's inputs other than the prompt, one row a prompt, held constant. Raises :class:`RunError`.
    """
    use_compile_cache()
    recipe = _recipe(model)
    decoder = decoder_of(model, sample)
    needed = {str(field["name"]) for field in model.manifest["inputs"]} - {decoder.prompt}
    if missing := sorted(needed - inputs.keys()):
        raise RunError(f"generation needs the model's input `{missing[0]}` too", hints=("give it beside the prompt",))
    if foreign := sorted(inputs.keys() - needed):
        raise RunError(f"the model has no further input `{foreign[0]}`")
    return decode(
        decoder,
        model.params if params is None else params,
        model.state,
        prompts,
        limit=int(recipe.get("limit") or 200) if limit is None else limit,
        seed=seed,
        eos=eos,
        constants=inputs,
    )


def decoder_of(model: Model, sample: Sequence[Any] | None = None) -> Decoder:
    """The decoder that a model's ``generate`` recipe describes; raises :class:`RunError` where it cannot work so."""
    recipe = _recipe(model)
    prompt = _field(model.manifest["inputs"], str(recipe["prompt"]), "input")
    logits = _field(model.manifest["outputs"], str(recipe["from"]), "output")
    if len(prompt["dims"]) != 2 or len(logits["dims"]) != 3 or logits["dims"][1] != prompt["dims"][1]:
        raise RunError(
            f"generation reads `{prompt['name']}` as [batch, position] and `{logits['name']}` as "
            "[batch, position, vocab]; this model's are shaped otherwise"
        )
    with data_errors():
        calls: Sequence[Any] = recipe.get("sample") or () if sample is None else sample
        stages = tuple(resolve_call(call) if is_call(call) else call for call in calls)
    fixed = prompt["shape"][1]
    context = fixed or recipe.get("context") or _trained_length(model, prompt["name"])
    return Decoder(model.artifact.program, prompt["name"], logits["name"], stages, context, fixed is not None)


def _recipe(model: Model) -> Mapping[str, Any]:
    recipe = model.artifact.recipe.get("generate")
    if not recipe:
        raise RunError(
            f"`{model.artifact.name}` has no `generate` recipe",
            hints=("add `generate NAME for MODEL { prompt = …, from = … }` to the .trx file",),
        )
    return recipe


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


def _tokenizer(model: Model) -> Tokenizer:
    recipe = _recipe(model)
    return tokenizer_of(model.artifact.recipe, model.artifact.folder, str(recipe["prompt"]))


def _ids(model: Model, tokenizer: Tokenizer, text: str) -> list[int]:
    return prompt_ids(model.artifact.recipe, tokenizer, str(_recipe(model)["prompt"]), text)


def _constants(model: Model, inputs: Mapping[str, Any], rows: int) -> dict[str, Any]:
    """The further inputs as arrays with one row a prompt; a text becomes ids, as the data have them."""
    made: dict[str, Any] = {}
    for name, value in inputs.items():
        if isinstance(value, str):
            tokenizer = tokenizer_of(model.artifact.recipe, model.artifact.folder, name)
            value = [input_ids(model.artifact.recipe, tokenizer, name, value)]
        array = np.asarray(value)
        made[name] = np.repeat(array, rows, axis=0) if array.shape[0] == 1 else array
    return made
