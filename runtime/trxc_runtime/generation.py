"""Text, or any sequence of ids, from a trained model, by the file's ``generate`` recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from .compile_cache import use_compile_cache
from .decoding import decode
from .decoding import search as search_best
from .errors import RunError
from .others import Others
from .request import aligned, check_names, decoder_of, further_inputs, prompts_of, recipe_of, recipe_tokenizer
from .search import Beam
from .stepping import ENDED, Ids
from .stopping import RowText, stop_texts
from .tokenizer_of import end_of

if TYPE_CHECKING:
    from .model import Model

Prompt = str | Sequence[str] | None
"""One text, several, or none: then generation starts as a text of the data does, once for each row of the inputs."""


@dataclass(frozen=True)
class Hypothesis:
    """A text that a search found: its tokens, eos included where it ended so, and its score, higher the better."""

    text: str
    tokens: list[int]
    score: float


def generate(
    model: Model,
    prompt: Prompt = None,
    *,
    limit: int | None = None,
    seed: int | None = None,
    params: Any = None,
    sample: Sequence[Any] | None = None,
    search: Beam | None = None,
    stop: str | Sequence[str] | None = None,
    others: Others | None = None,
    inputs: Mapping[str, Any] | None = None,
) -> str | list[str]:
    """The texts that follow the prompts; see :meth:`Model.generate`."""
    tokenizer, stops = recipe_tokenizer(model), _stops(model, stop)
    given = further_inputs(model, inputs or {})
    prompts = prompts_of(model, tokenizer, prompt, given)
    rows = [RowText(tokenizer, stops) for _ in prompts]
    steps = generate_tokens(
        model, given, prompts,
        limit=limit, seed=seed, eos=end_of(tokenizer), params=params, sample=sample, search=search, others=others,
    )  # fmt: skip
    texts = [text for text, _ in read_texts(rows, steps)]
    return texts[0] if _is_one(prompt, texts) else texts


def read_texts(rows: Sequence[RowText], steps: Iterator[Ids]) -> list[tuple[str, int]]:
    """Of each row its text and how many tokens it is of, as they come, step by step, until all have stopped."""
    texts, counts = [""] * len(rows), [0] * len(rows)
    for tokens in steps:
        for at, (row, token) in enumerate(zip(rows, tokens, strict=True)):
            if token != ENDED and not row.stopped:
                texts[at] += row.step(int(token))
                counts[at] += 1
        if all(row.stopped for row in rows):
            break
    return [(text + row.finish(), count) for text, row, count in zip(texts, rows, counts, strict=True)]


def _is_one(prompt: Prompt, texts: Sequence[Any]) -> bool:
    """Whether one text was asked for, and not a list."""
    return isinstance(prompt, str) or (prompt is None and len(texts) == 1)


def _stops(model: Model, stop: str | Sequence[str] | None) -> tuple[str, ...]:
    return stop_texts(recipe_of(model).get("stop") if stop is None else stop)


def stream(
    model: Model,
    prompt: str | None = None,
    *,
    limit: int | None = None,
    seed: int | None = None,
    on_token: Callable[[int], None] | None = None,
    stop: str | Sequence[str] | None = None,
    **options: Any,
) -> Iterator[str]:
    """The text that follows one prompt, in pieces of whole characters; ``on_token`` is told every token as it comes."""
    tokenizer = recipe_tokenizer(model)
    row = RowText(tokenizer, _stops(model, stop))
    known = {name: options.pop(name, None) for name in ("params", "sample", "search")}
    others = Others(**{each.name: options.pop(each.name) for each in fields(Others) if each.name in options})
    given = further_inputs(model, options)
    prompts = prompts_of(model, tokenizer, prompt, given)
    if len(prompts) != 1:
        raise RunError(f"one text is streamed, and there are {len(prompts)}", hints=("`generate` takes several",))
    known |= {"limit": limit, "seed": seed, "eos": end_of(tokenizer), "others": others}
    for tokens in generate_tokens(model, given, prompts, **known):
        if on_token:
            on_token(int(tokens[0]))
        if text := row.step(int(tokens[0])):
            yield text
        if row.stopped:
            return
    if rest := row.finish():
        yield rest


def hypotheses(
    model: Model,
    prompt: Prompt = None,
    *,
    limit: int | None = None,
    params: Any = None,
    search: Beam | None = None,
    stop: str | Sequence[str] | None = None,
    others: Others | None = None,
    inputs: Mapping[str, Any] | None = None,
) -> list[Hypothesis] | list[list[Hypothesis]]:
    """All that a search finds, the best first; see :meth:`Model.hypotheses`."""
    use_compile_cache()
    tokenizer, stops = recipe_tokenizer(model), _stops(model, stop)
    decoder = (others or Others()).join(model, decoder_of(model, search=search))
    if decoder.search is None:
        raise RunError("the `generate` recipe searches for nothing", hints=("`search = beam(4)` there, or here",))
    given = further_inputs(model, inputs or {})
    prompts = prompts_of(model, tokenizer, prompt, given)
    found = search_best(
        decoder, _params(model, params), model.state, prompts, decoder.search,
        limit=_limit(model, limit), eos=end_of(tokenizer), constants=aligned(model, given, len(prompts)),
    )  # fmt: skip
    texts = [[Hypothesis(_text(RowText(tokenizer, stops), c.tokens), c.tokens, c.score) for c in row] for row in found]
    return texts[0] if _is_one(prompt, texts) else texts


def _text(row: RowText, tokens: Sequence[int]) -> str:
    return "".join("" if row.stopped else row.step(token) for token in tokens) + row.finish()


def generate_tokens(
    model: Model,
    inputs: Mapping[str, Any],
    prompts: Sequence[Sequence[int]],
    *,
    limit: int | None = None,
    seed: int | None = None,
    eos: int | None = None,
    params: Any = None,
    sample: Sequence[Any] | None = None,
    search: Beam | None = None,
    others: Others | None = None,
) -> Iterator[Ids]:
    """Yield ``i32[rows]`` a new token; -1 where a row ended with ``eos``.

    ``inputs`` are the model's inputs other than the prompt, one row a prompt or one for all, held constant.
    ``limit`` and ``seed`` are the recipe's if they are not given; ``others`` are models that have a part in it. Raises
    :class:`RunError`.
    """
    use_compile_cache()
    check_names(model, inputs)
    return decode(
        (others or Others()).join(model, decoder_of(model, sample, search)),
        _params(model, params),
        model.state,
        _checked(prompts),
        limit=_limit(model, limit),
        seed=_seed(model, seed),
        eos=eos,
        constants=aligned(model, inputs, len(prompts)),
    )


def _params(model: Model, params: Any) -> Any:
    return model.params if params is None else params


def _limit(model: Model, limit: int | None) -> int:
    return int(recipe_of(model).get("limit") or 200) if limit is None else limit


def _seed(model: Model, seed: int | None) -> int:
    chosen = int(recipe_of(model).get("seed") or 0) if seed is None else seed
    if not 0 <= chosen < 1 << 32:
        raise RunError(f"a seed is an int from 0 to 4294967295, and this is {chosen}")
    return chosen


def _checked(prompts: Sequence[Sequence[int]]) -> list[list[int]]:
    """Prompts as lists of ids; raises :class:`RunError` for what is none."""
    for prompt in prompts:
        array = np.asarray(prompt)
        if array.size and (array.ndim != 1 or array.dtype.kind not in "iu" or array.min() < 0):
            raise RunError(f"a prompt is a list of ids from 0 on, and this is {str(prompt)[:60]}")
    return [list(map(int, prompt)) for prompt in prompts]
