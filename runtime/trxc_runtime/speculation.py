"""Tokens drawn with a draft: a smaller model proposes some, and the model reads them at once; see :mod:`.drafting`.

What is drawn is distributed as :func:`.stepping.step_by_step` draws it, and with `greedy()` it is the same: only how
many readings of the model it takes depends on the draft. As there, a full context loses its older half; the draft has a
context of its own, which loses its half by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .drafting import Bounds, Held, Side, compiled_rounds
from .prompts import Reading, read_prompts
from .rows import CHUNK, Given, Rows
from .said import Said
from .sample.stage import Carry, require
from .stages import Stages, begin
from .stepping import BURST, ENDED, MEMORY, Begun, Ids, step_by_step
from .untyped import jax, jnp


@dataclass(frozen=True)
class Drafted:
    """How far a draft was right: of ``proposed`` tokens ``accepted`` were said, in ``rounds`` readings of a row.

    Each round says one token more than it accepts.
    """

    rounds: int = 0
    proposed: int = 0
    accepted: int = 0

    @property
    def mean(self) -> float:
        """Tokens of the draft that a reading accepts, on average."""
        return self.accepted / self.rounds if self.rounds else 0.0

    def __str__(self) -> str:
        share = 100 * self.accepted / self.proposed if self.proposed else 0.0
        return f"{self.mean:.2f} tokens of the draft accepted a reading, {share:.0f} % of them"


@dataclass(frozen=True)
class Draft:
    """What proposes: a program with its weights, how many tokens ``ahead``, and who is told how far it was right."""

    rows: Rows
    given: Given
    ahead: int
    fixed: bool = False
    told: Callable[[Drafted], None] | None = None

    def __post_init__(self) -> None:
        require(1 <= self.ahead < CHUNK, f"a draft goes from 1 to {CHUNK - 1} tokens ahead, and this is {self.ahead}")
        context = self.rows.context
        fits = context is None or 2 * (self.ahead + 1) <= context
        require(fits, f"a draft that reads {context} places goes less than half as many ahead, and not {self.ahead}")


class _State(NamedTuple):
    """What outlives a reading: what stages remember, and of the rounds so far their number and :attr:`Held.counts`."""

    carry: Carry
    round: Any
    counts: Any


def speculate(
    rows: Rows,
    given: Given,
    stages: Stages,
    prompts: Sequence[Sequence[int]],
    draft: Draft,
    *,
    limit: int,
    seed: int,
    eos: int | None,
    fixed: bool = False,
) -> Iterator[Ids]:
    """Yield ``i32[rows]``, one new token for each prompt, up to ``limit`` times or until every row has ended."""
    said, stages = Said(prompts), stages.within(limit)
    key, step_key = jax.random.split(jax.random.key(seed))
    keep, state = rows.context, None
    while True:
        tails = [text[-keep:] if keep is not None else text for text in said.texts]
        follow = limit - said.least + draft.ahead
        reading = read_prompts(rows, given, tails, follow=follow, fixed=fixed, beyond=draft.ahead)
        if state is None:
            carry = begin(stages, said.texts, min(limit, MEMORY), reading.logits.shape[-1])
            state = _State(carry, jnp.int32(0), jnp.zeros(3, jnp.int32))
        room = limit if rows.context is None else rows.context - reading.reached + 1
        bounds = Bounds(0, min(limit, said.least + room), ENDED if eos is None else eos)
        state = yield from _Phase(reading, stages, draft, said, key, bounds).steps(state)
        if said.over(limit):
            return
        if rows.slides:
            break
        keep = max((rows.context or 0) // 2, 1)
    begun = Begun(said.least, state.carry, jnp.asarray(said.ended), step_key)
    yield from step_by_step(rows, given, stages, said.texts, limit=limit, seed=seed, eos=eos, fixed=fixed, begun=begun)


@dataclass
class _Phase:
    """From one reading of the texts until the context is full, or until all is said."""

    reading: Reading
    stages: Stages
    draft: Draft
    said: Said
    key: Any
    bounds: Bounds

    def steps(self, state: _State) -> Generator[Ids, None, _State]:
        """Yield what all rows have said, and give the state after it."""
        said, most = self.said, self.bounds.most
        state, last = self._first(state)
        place, proposer = jnp.broadcast_to(self.reading.start, last.shape), None
        yield from said.ready()
        while not said.over(most):
            if proposer is None or not self._fits(proposer):
                proposer = self._read_draft()
            sides = Side(self.reading.kept, place), Side(proposer.kept, proposer.start)
            said_before = (jnp.asarray(said.numbers), jnp.asarray(said.ended))
            held = self._burst(Held(*sides, state.carry, last, *said_before, *state[1:]), proposer)
            (self.reading.kept, place), (proposer.kept, proposer.start) = held.target, held.draft
            state, last = _State(held.carry, held.round, held.counts), held.last
            self._tell(held.counts)
            yield from said.ready()
        return state

    def _first(self, state: _State) -> tuple[_State, Any]:
        """Draws the token of which the texts' own scores tell, and gives it: it has not been read yet."""
        key = jax.random.fold_in(self.key, state.round)
        last, carry = _draw(self.stages, self.reading.logits, state.carry, key)
        open_ = ~self.said.ended
        ended = ~open_ | np.asarray((last == self.bounds.eos) | self.stages.over(carry))
        self.said.add(last[:, None], open_.astype(int), ended)
        return state._replace(carry=carry, round=state.round + 1), last

    def _burst(self, held: Held, proposer: Reading) -> Held:
        """Some rounds, until each row that goes on has said as much as one call may yield."""
        said, ahead = self.said, self.draft.ahead
        goal = min(said.least + BURST, self.bounds.most)
        for side, reading in ((held.target, self.reading), (held.draft, proposer)):
            reading.make_room(int(np.max(np.where(said.ended, 0, side.place))) + BURST + 2 * ahead + 1)
        held = self.reading.given.beside(
            held._replace(
                target=held.target._replace(kept=self.reading.kept), draft=held.draft._replace(kept=proposer.kept)
            )
        )
        self.reading.kept = proposer.kept = None
        rounds = compiled_rounds(self.reading.rows, self.draft.rows, ahead, BURST + ahead)
        given, capacities = (self.reading.given, self.draft.given), (self.reading.capacity, proposer.capacity)
        before = said.numbers
        tokens, held = rounds(
            given, self.stages, held, self.key, self.bounds._replace(goal=goal), capacities=capacities
        )
        said.add(tokens, np.asarray(held.said) - before, held.ended)
        return held

    def _read_draft(self) -> Reading:
        """The draft reads all but the last token; of texts that leave it no room, the younger half of its context."""
        rows, ahead = self.draft.rows, self.draft.ahead
        texts = [text[:-1] for text in self.said.texts]
        if rows.context is not None:
            room, half = rows.context - ahead - 1, rows.context // 2
            texts = [text if len(text) <= room else text[-half:] for text in texts]
        follow = self.bounds.most - self.said.least + 2 * ahead
        reading = read_prompts(rows, self.draft.given, texts, follow=follow, fixed=self.draft.fixed, beyond=ahead)
        reading.start = jnp.asarray([len(text) for text in texts], jnp.int32)
        return reading

    def _fits(self, proposer: Reading) -> bool:
        """Whether each row that goes on has room for a round, within the draft's context."""
        said, context = self.said, proposer.rows.context
        places = np.asarray(proposer.start)[~said.ended & (said.numbers < self.bounds.most)]
        return context is None or int(places.max()) + self.draft.ahead + 1 <= context

    def _tell(self, counts: Any) -> None:
        if self.draft.told:
            self.draft.told(Drafted(*map(int, counts)))


@jax.jit
def _draw(stages: Stages, logits: Any, carry: Carry, key: Any) -> tuple[Any, Carry]:
    return stages.draw(logits, carry, key)
