"""Texts for many prompts: in batches of one size, those of like length together, and given in the order asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import RunError
from .generation import Hypothesis, generate_tokens, read_texts
from .generation import hypotheses as hypotheses_of
from .others import Others
from .request import decoder_of, further_inputs, prompts_of, recipe_of, recipe_tokenizer
from .stopping import RowText, stop_texts
from .tokenizer_of import end_of

if TYPE_CHECKING:
    from .model import Model
    from .search import Beam

WINDOW = 4
"""Batches whose prompts are sorted by length together: more wait for each other, fewer differ more in length."""


@dataclass(frozen=True)
class Request:
    """A prompt, "" to begin as the data do; the model's other inputs, each a text or one row's array; where it stands.

    ``place`` is what a message calls it, such as ``prompts.txt:3``.
    """

    prompt: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    place: str = ""


@dataclass(frozen=True)
class Answer:
    """The text that follows, how many tokens it is of, and what a search found, if that was asked for."""

    text: str
    tokens: int
    hypotheses: list[Hypothesis]


@dataclass(frozen=True)
class _Row:
    """A request as the model reads it, and its number."""

    number: int
    request: Request
    ids: list[int]
    inputs: Mapping[str, Any]

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Of its inputs, by name: rows of a batch have the same."""
        return tuple(tuple(np.shape(self.inputs[name])) for name in sorted(self.inputs))


def answers(
    model: Model,
    requests: Iterable[Request],
    *,
    batch: int,
    limit: int | None = None,
    seed: int | None = None,
    hypotheses: int | None = None,
    others: Others | None = None,
) -> Iterator[list[Answer]]:
    """Yield answers in the order of the requests, as many as are known after each batch.

    Where the recipe searches, ``hypotheses`` is how many of the best are given with each. ``others`` are models that
    have a part in it.

    The same requests in batches of the same size get the same texts. Raises :class:`RunError`, which says which request
    is wrong before anything of its window is generated.
    """
    generation = _Generation(model, limit, seed, _search(model, hypotheses), others)
    waiting, number, size = iter(requests), 0, 0
    while window := list(islice(waiting, WINDOW * batch)):
        rows = [generation.read(number + at, request) for at, request in enumerate(window)]
        size = size or min(batch, len(rows))
        found: dict[int, Answer] = {}
        for part in _parts(rows, batch):
            made = generation.answer([*part, *part[:1] * (size - len(part))])
            found |= {row.number: answer for row, answer in zip(part, made, strict=False)}
            ready: list[Answer] = []
            while number in found:
                ready.append(found.pop(number))
                number += 1
            yield ready


def _search(model: Model, hypotheses: int | None) -> Beam | None:
    """The recipe's search, for so many hypotheses; None where they are not asked for."""
    if hypotheses is None:
        return None
    search = decoder_of(model).search
    if search is None:
        raise RunError(
            "the `generate` recipe searches for nothing, so that there are no hypotheses",
            hints=("`search = beam(4)` in it, instead of `sample`, does",),
        )
    return replace(search, hypotheses=hypotheses)


def _parts(rows: Sequence[_Row], batch: int) -> Iterator[list[_Row]]:
    """Batches of rows whose inputs are of the same shapes, and whose prompts differ little in length."""
    part: list[_Row] = []
    for row in sorted(rows, key=lambda row: (row.shapes, len(row.ids))):
        if part and (len(part) == batch or row.shapes != part[0].shapes):
            yield part
            part = []
        part.append(row)
    yield part


class _Generation:
    """What all batches have in common; each has a seed of its own."""

    def __init__(
        self, model: Model, limit: int | None, seed: int | None, search: Beam | None, others: Others | None
    ) -> None:
        self._model, self._limit, self._search, self._others = model, limit, search, others
        self._seed = int(recipe_of(model).get("seed") or 0) if seed is None else seed
        self._tokenizer = recipe_tokenizer(model)
        self._stops = stop_texts(recipe_of(model).get("stop"))

    def read(self, number: int, request: Request) -> _Row:
        """The request as ids and arrays; raises :class:`RunError`, with its place."""
        with _at(request.place):
            inputs = {name: [value] for name, value in request.inputs.items()}
            given = further_inputs(self._model, inputs)
            (ids,) = prompts_of(self._model, self._tokenizer, [request.prompt], given)
        return _Row(number, request, ids, given)

    def answer(self, rows: Sequence[_Row]) -> list[Answer]:
        """The answers of one batch."""
        inputs = {name: np.concatenate([row.inputs[name] for row in rows]) for name in rows[0].inputs}
        if self._search is not None:
            return self._searched(rows, inputs)
        seed, self._seed = self._seed, (self._seed + 1) % (1 << 32)
        steps = generate_tokens(
            self._model, inputs, [row.ids for row in rows],
            limit=self._limit, seed=seed, eos=end_of(self._tokenizer), others=self._others,
        )  # fmt: skip
        texts = [RowText(self._tokenizer, self._stops) for _ in rows]
        return [Answer(text, count, []) for text, count in read_texts(texts, steps)]

    def _searched(self, rows: Sequence[_Row], inputs: Mapping[str, Any]) -> list[Answer]:
        prompts = [row.request.prompt for row in rows]
        found: Any = hypotheses_of(
            self._model, prompts, limit=self._limit, search=self._search, inputs=inputs, others=self._others
        )
        return [Answer(each[0].text, sum(len(one.tokens) for one in each), each) for each in found]


@contextlib.contextmanager
def _at(place: str) -> Generator[None]:
    """Says with an error where what is wrong stands."""
    try:
        yield
    except RunError as error:
        message = f"{place}: {error.message}" if place else error.message
        raise RunError(message, status=error.status, hints=error.hints) from None
