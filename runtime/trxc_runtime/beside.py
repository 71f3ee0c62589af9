"""Other models that have a part in decoding, and what each of them reads and is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .contrast import Contrast, contrasted, one_length, paired
from .errors import RunError
from .placement import Placement
from .rows import CachedRows, Given, Rows
from .speculation import Draft, Drafted
from .trees import Tree
from .untyped import jax

if TYPE_CHECKING:
    from .decoding import Decoder

Constants = Mapping[str, Any] | None
"""The further inputs of the model that generates; another takes those of its own from them."""


@dataclass(frozen=True)
class Weighted:
    """Another model: a decoder, of which stages and search play no part, with its weights."""

    decoder: Decoder
    params: Tree
    state: Tree


@dataclass(frozen=True)
class Amateur:
    """A weaker model, and how the model's scores are set against its own."""

    model: Weighted
    scores: Contrast


@dataclass(frozen=True)
class Proposer:
    """A smaller model that proposes tokens, how many ``ahead``, and who is told how far it was right."""

    model: Weighted
    ahead: int = 4
    told: Callable[[Drafted], None] | None = None


@dataclass(frozen=True)
class Reader:
    """What reads, alone or with an amateur, what it is given, and whether it reads one length only."""

    rows: Rows
    given: Given
    fixed: bool


def reader_of(decoder: Decoder, params: Tree, state: Tree, constants: Constants) -> Reader:
    """What a decoder reads with, on its devices; raises :class:`RunError` where two models cannot be read together."""
    placement = placement_of(decoder.program)
    if decoder.amateur is None:
        given = _given(decoder.rows, placement, params, state, placement.put(constants or {}))
        return Reader(decoder.rows, given, decoder.fixed)
    other = decoder.amateur.model
    pair = decoder, other.decoder
    contexts = decoder.context, other.decoder.context
    fixed = one_length((contexts[0] if pair[0].fixed else None, contexts[1] if pair[1].fixed else None), contexts)
    rows = contrasted(decoder.rows, other.decoder.rows, decoder.amateur.scores)
    given = _given(rows.expert, placement, params, state, placement.put(constants or {}))
    return Reader(rows, paired(given, _beside(rows.amateur, decoder, other, constants)), fixed)


def draft_of(decoder: Decoder, draft: Proposer, constants: Constants) -> Draft:
    """What proposes for a decoder; raises :class:`RunError` where it cannot be on the same devices."""
    rows = draft.model.decoder.rows
    given = _beside(rows, decoder, draft.model, constants)
    return Draft(rows, given, draft.ahead, draft.model.decoder.fixed, draft.told)


def _beside(rows: Rows, decoder: Decoder, other: Weighted, constants: Constants) -> Given:
    """What another model is given, on the devices of the one that it stands beside."""
    placement, own = placement_of(decoder.program), placement_of(other.decoder.program)
    if own.mesh is not None and own.mesh != placement.mesh:
        raise RunError("the two models have different meshes, and they are on one set of devices")
    inputs = placement.put(constants or {})
    if own.mesh is not None or placement.mesh is None:
        return _given(rows, own, other.params, other.state, inputs)
    everywhere = jax.sharding.NamedSharding(placement.mesh, jax.sharding.PartitionSpec())
    params, state = jax.device_put((other.params, other.state), everywhere)
    return _given(rows, own, params, state, inputs)


def _given(rows: Rows, placement: Placement, params: Tree, state: Tree, inputs: Mapping[str, Any]) -> Given:
    """What stays as it is while tokens are drawn, with the weights as decoding wants them."""
    params, state = placement.weights(params, state)
    if isinstance(rows, CachedRows) and hasattr(rows.program, "split"):
        params = _split(rows.program)(params)
    return Given(params, state, inputs)


@lru_cache(maxsize=8)
def placement_of(program: ModuleType) -> Placement:
    """Where weights and caches live; on fewer devices than the mesh has, generation is that of one."""
    return Placement.of(program, lambda _: None)


@lru_cache(maxsize=8)
def _split(program: ModuleType) -> Any:
    """What takes weights apart, layer by layer, jitted: one pass over them instead of a slice for each token."""
    return jax.jit(program.split)
