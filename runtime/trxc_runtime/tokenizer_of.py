"""The tokenizer that a recipe's data were made with, and the ids that a prompt becomes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .artifact import part
from .calls import resolve_call
from .errors import RunError
from .recipe_data import data_errors

if TYPE_CHECKING:
    from .data import Tokenizer


def tokenizer_of(recipe: dict[str, Any], folder: Path, field: str) -> Tokenizer:
    """The tokenizer of ``field``: the ``generate`` recipe's own, else the data's; raises :class:`RunError`.

    ``folder`` is the run's, which keeps what the tokenizer learnt.
    """
    from . import data

    own = part(recipe, "generate").get("tokenizer")
    with data_errors():
        if own:
            return data.load_tokenizer(own, folder, field=field)
        found = data.recipe_tokenizer(part(recipe, "data"), folder, field=field)
    if found is None:
        raise RunError(
            "this recipe has no tokenizer, so that text cannot be read or written",
            hints=("generate from ids with `trxc_runtime.generate_tokens`",),
        )
    return found


def prompt_ids(recipe: dict[str, Any], tokenizer: Tokenizer, field: str, text: str) -> list[int]:
    """A prompt's ids, begun as training began it: after what `shift` put first, or, if it is empty, after an end."""
    from .data.tokenizers import EOS

    ids = [int(token) for token in tokenizer.encode(text)]
    start = _start(recipe, tokenizer, field)
    if start is not None:
        return [start, *ids]
    return ids or ([EOS] if tokenizer.special else [])


def input_ids(recipe: dict[str, Any], tokenizer: Tokenizer, field: str, text: str) -> list[int]:
    """A further input's ids, as the data have them: ended by eos where there is one, then cut or filled up by `pad`.

    Of one length for every text, they need one compiled program only.
    """
    from .data.sequences import Pad

    end = end_of(tokenizer)
    ids = [*(int(token) for token in tokenizer.encode(text)), *([] if end is None else [end])]
    for stage in _stages(recipe):
        if isinstance(stage, Pad) and stage.field == field:
            ids = (ids + [stage.value] * stage.length)[: stage.length]
    return ids


def said_field(recipe: dict[str, Any], field: str) -> str | None:
    """The field that a text of ``field`` goes on to be: what `shift` made it of; None where nothing did."""
    from .data.sequences import Shift

    return next((stage.field for stage in _stages(recipe) if isinstance(stage, Shift) and stage.into == field), None)


def text_of(recipe: dict[str, Any], tokenizer: Tokenizer, field: str, ids: Iterable[int]) -> str:
    """The text of a field's ids, as it was tokenized: up to eos where there is one, without what `pad` filled up."""
    from .data.sequences import Pad

    tokens, end = [int(token) for token in ids], end_of(tokenizer)
    if end is not None:
        return tokenizer.decode(tokens[: tokens.index(end)] if end in tokens else tokens)
    fill = [stage.value for stage in _stages(recipe) if isinstance(stage, Pad) and stage.field == field]
    while fill and tokens and tokens[-1] == fill[-1]:
        tokens.pop()
    return tokenizer.decode(tokens)


def end_of(tokenizer: Tokenizer) -> int | None:
    """The id that ends a text, if the tokenizer has one."""
    from .data.tokenizers import EOS

    return EOS if tokenizer.special else None


def _start(recipe: dict[str, Any], tokenizer: Tokenizer, field: str) -> int | None:
    from .data.sequences import Shift
    from .data.tokenizers import BOS

    for stage in _stages(recipe):
        if isinstance(stage, Shift) and stage.into == field:
            return stage.start if stage.start is not None else BOS if tokenizer.special else 0
    return None


def _stages(recipe: dict[str, Any]) -> Iterator[object]:
    for call in part(recipe, "data").get("stages") or ():
        with data_errors():
            stage: object = resolve_call(call)
        yield stage
