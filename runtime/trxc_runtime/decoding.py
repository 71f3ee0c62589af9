"""The decoding loop on ids: by the program's own `decode` where it has one, else on the whole sequence for each token.

The latter is for causal models: what stands to the right of a position does not change its logits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from .beam import Continuation, best_hypotheses
from .beside import Amateur, Proposer, Reader, draft_of, placement_of, reader_of
from .errors import RunError
from .rows import CachedRows, Rows, WholeRows
from .sample.stage import Stage
from .search import Beam
from .speculation import speculate
from .stages import Stages
from .stepping import ENDED, Ids, step_by_step
from .trees import Tree


@dataclass(frozen=True)
class Decoder:
    """How a model continues a sequence: which input is the prompt, which output holds the next token's logits.

    ``context`` is the longest sequence that the model reads, None where there is no bound. ``fixed`` says that it
    reads that length only. Tokens are drawn after ``stages``, or searched for by ``search`` of those that the stages do
    not exclude. Scores are set against those of an ``amateur``; a ``draft`` proposes what is drawn.
    """

    program: ModuleType
    prompt: str
    logits: str
    stages: tuple[Stage, ...] = ()
    context: int | None = None
    fixed: bool = False
    search: Beam | None = None
    amateur: Amateur | None = None
    draft: Proposer | None = None

    @property
    def rows(self) -> Rows:
        """The program as what reads rows."""
        kind = CachedRows if hasattr(self.program, "decode") and not self.fixed else WholeRows
        return kind(self.program, self.prompt, self.logits, self.context)


def decode(
    decoder: Decoder,
    params: Tree,
    state: Tree,
    prompts: Sequence[Sequence[int]],
    *,
    limit: int,
    seed: int = 0,
    eos: int | None = None,
    constants: Mapping[str, Any] | None = None,
) -> Iterator[Ids]:
    """Yield ``i32[rows]``, one new token for each of the prompts, up to ``limit`` times or until every row has ended.

    A row has ended after ``eos``; from then on it yields :data:`ENDED`. ``constants`` are the model's other inputs,
    with one row a prompt. Raises :class:`RunError` for an empty prompt.
    """
    if decoder.search is not None:
        yield from _best(decoder, params, state, prompts, limit, eos, constants)
        return
    reader = _reader(decoder, params, state, prompts, limit, constants)
    given = reader.rows, reader.given, Stages(decoder.stages), prompts
    if decoder.draft is None:
        steps = step_by_step(*given, limit=limit, seed=seed, eos=eos, fixed=reader.fixed)
    else:
        draft = draft_of(decoder, decoder.draft, constants)
        steps = speculate(*given, draft, limit=limit, seed=seed, eos=eos, fixed=reader.fixed)
    yield from placement_of(decoder.program).steps(steps)


def search(
    decoder: Decoder,
    params: Tree,
    state: Tree,
    prompts: Sequence[Sequence[int]],
    beam: Beam,
    *,
    limit: int,
    eos: int | None = None,
    constants: Mapping[str, Any] | None = None,
) -> list[list[Continuation]]:
    """The best continuations of each prompt, the best first; takes what :func:`decode` takes."""
    if decoder.draft is not None:
        raise RunError("a draft proposes what is drawn, and a search draws nothing", hints=("leave one of them out",))
    reader = _reader(decoder, params, state, prompts, limit, constants)
    with placement_of(decoder.program).context():
        return best_hypotheses(
            reader.rows, reader.given, prompts, beam, Stages(decoder.stages), limit=limit, eos=eos, fixed=reader.fixed
        )


def _best(
    decoder: Decoder,
    params: Tree,
    state: Tree,
    prompts: Sequence[Sequence[int]],
    limit: int,
    eos: int | None,
    constants: Mapping[str, Any] | None,
) -> Iterator[Ids]:
    """The tokens of each prompt's best hypothesis, as if they had been drawn."""
    assert decoder.search is not None
    found = search(decoder, params, state, prompts, decoder.search, limit=limit, eos=eos, constants=constants)
    rows = [hypotheses[0].tokens for hypotheses in found]
    for at in range(max(map(len, rows))):
        yield np.array([row[at] if at < len(row) else ENDED for row in rows], np.int32)


def _reader(
    decoder: Decoder,
    params: Tree,
    state: Tree,
    prompts: Sequence[Sequence[int]],
    limit: int,
    constants: Mapping[str, Any] | None,
) -> Reader:
    """What reads, and what it is given; raises :class:`RunError` for an empty prompt."""
    if limit < 1:
        raise RunError(f"at least one token is generated, and the limit is {limit}")
    if not prompts:
        raise RunError("there is no prompt", hints=("give at least one, or a text to start from",))
    if not all(len(prompt) for prompt in prompts):
        raise RunError("the prompt is empty", hints=("give at least one token to start from",))
    return reader_of(decoder, params, state, constants)
