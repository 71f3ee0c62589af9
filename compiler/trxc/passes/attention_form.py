"""Reads what was found around a softmax as the attributes and operands of the op `attention`, where it can be that."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ..dims import Dim
from ..types import DTYPES
from .attention_masks import Condition, conditions, is_causal, nonnegative, window_of
from .attention_pattern import Found, Step, UnfitError
from .attention_terms import Makers, Term, peeled, repeated

MINUS_INFINITY = float("-inf")


@dataclass(frozen=True)
class Part:
    """An operand of a mask or a bias with the names of its axes; `negated` for its opposite."""

    term: Term
    negated: bool = False


@dataclass
class Form:
    """The op: its operands with the names of their axes, and its attributes.

    `heads` are the names of the axes of q that become one, [kv_heads, group], as far as there are such axes.
    """

    q: Term
    k: Term
    v: Term
    lead: tuple[str, ...]
    queries: str
    keys: str
    heads: tuple[str, ...]
    kv_heads: tuple[str, ...]
    inner: str
    outer: str
    scale: float
    causal: bool = False
    window: int | None = None
    fill: float = MINUS_INFINITY
    windows: list[tuple[int, Part]] = field(default_factory=list[tuple[int, Part]])
    masks: list[Part] = field(default_factory=list[Part])
    biases: list[Part] = field(default_factory=list[Part])
    notes: list[str] = field(default_factory=list[str])


def form_of(found: Found, makers: Makers) -> Form | None:
    """The op that computes the same; None where this is no attention after all.

    Raises:
        UnfitError: it is nearly that.
    """
    form = _axes(found, makers)
    if form is None:
        return None
    for step in found.steps:
        _take_step(form, found, step, makers)
    _take_windows(form, found)
    _share_heads(form, makers)
    dtypes = {term.value.type.dtype for term in (form.q, form.k, form.v)}
    if len(dtypes) > 1 or dtypes == {DTYPES["f64"]}:
        raise UnfitError("q, k and v are not of one dtype", found.softmax)
    return form


# ------------------------------------------------------------------------ axes


def _axes(found: Found, makers: Makers) -> Form | None:
    """Which axis plays which part."""
    keys, scores = found.keys, found.scores
    k, q = (scores.left, scores.right) if keys in scores.left.names else (scores.right, scores.left)
    if keys in q.names:
        raise UnfitError("the softmax is over a dim that both factors of the scores have", found.softmax)
    batch = tuple(name for name in q.names if name in k.names and name in scores.result)
    inner = [name for name in q.names if name in k.names and name not in scores.result]
    own = tuple(name for name in q.names if name not in k.names and name in scores.result)
    if not own:
        return None  # one query: nothing is kept that could be spared
    if len(inner) != 1 or {*batch, *inner, keys} != set(k.names) or {*batch, *inner, *own} != set(q.names):
        raise UnfitError("the scores are not one sum over a dim of q and k for each query and key", found.softmax)
    v, outer = _values(found, batch, own)
    queries = _queries(found, own, makers)
    group = tuple(name for name in own if name != queries)
    if len(group) > 1:
        raise UnfitError(f"q has {len(own)} dims that k has not: queries, a group of heads, and more", found.softmax)
    shared = _head_axis(q.names, batch, queries, group)
    (q, left), (k, right) = peeled(q, makers), peeled(k, makers)
    v = _peeled_order(v, makers)
    lead = tuple(name for name in batch if name not in shared)
    scale = found.scale * left * right
    return Form(q, k, v, lead, queries, keys, (*shared, *group), shared, inner[0], outer, scale)


def _values(found: Found, batch: tuple[str, ...], own: tuple[str, ...]) -> tuple[Term, str]:
    """The values by the names of the scores, and the name of their last axis."""
    v, result = found.values, set(found.result)
    summed = {name for name in v.names if name not in result}
    if summed != {found.keys}:
        raise UnfitError("the product with the values does not sum over the dim of the softmax alone", found.mix)
    outer = [name for name in v.names if name not in found.names]
    if len(outer) != 1 or set(v.names) != {*batch, *outer, found.keys} or result != {*batch, *own, *outer}:
        raise UnfitError("the values have other dims than the keys", found.mix)
    return v, outer[0]


def _queries(found: Found, own: tuple[str, ...], makers: Makers) -> str:
    """The axis of positions among those that only q has: the one that a causal mask speaks of, or the last one."""
    for step in found.steps if len(own) > 1 else []:
        for part in conditions(step.value, makers, step.negated):
            gap = nonnegative(part, makers) if step.kind == "mask" else None
            for axis in gap.along if gap is not None else ():
                name = found.names[step.order[-axis]]
                if name in own:
                    return name
    return next(name for name in reversed(found.names) if name in own)


def _head_axis(names: tuple[str, ...], batch: tuple[str, ...], queries: str, group: tuple[str, ...]) -> tuple[str, ...]:
    """The axis of heads among those that q and k share, if one is taken as that; which, changes nothing."""
    before = names.index(group[0]) - 1 if group else -1
    if len(batch) > 1:
        return (names[before],) if before >= 0 and names[before] in batch else batch[-1:]
    late = bool(batch) and not group and names.index(batch[0]) > names.index(queries)
    return batch if late else ()


def _peeled_order(term: Term, makers: Makers) -> Term:
    """A term without what only puts its axes into order: values keep their factors."""
    while (bare := peeled(term, makers))[1] == 1.0 and bare[0].value is not term.value:
        term = bare[0]
    return term


def _share_heads(form: Form, makers: Makers) -> None:
    """Takes k and v as they are before each head of theirs is repeated for a group of heads of q."""
    if len(form.heads) != 1:
        return
    k, v = (repeated(term, form.heads[0], makers) for term in (form.k, form.v))
    if k is not None and v is not None and k[1] == v[1]:
        form.k, form.v = k[0], v[0]


# ----------------------------------------------------------------------- steps


def _take_step(form: Form, found: Found, step: Step, makers: Makers) -> None:
    names = tuple(found.names[at] for at in step.order)
    if step.kind == "bias":
        if form.masks and form.fill != MINUS_INFINITY:
            raise UnfitError("a bias is added to scores that are masked already; add it before", step.op)
        form.biases.append(_part(Condition(step.value, step.negated), names))
        return
    if step.fill == MINUS_INFINITY:
        _hide(form, step, names, makers)
    else:
        _fill(form, step, names, makers)


def _hide(form: Form, step: Step, names: tuple[str, ...], makers: Makers) -> None:
    """A mask of -inf: causal, a window, or one that has to be read."""
    parts = conditions(step.value, makers, step.negated)
    rest = [part for part in parts if not _by_position(form, part, names, makers)]
    if rest and form.masks and form.fill != MINUS_INFINITY:
        raise UnfitError(f"a mask of -inf after one of {form.fill!r}: join them, or swap them", step.op)
    whole = [Condition(step.value, step.negated)] if len(rest) == len(parts) else rest
    form.masks += [_part(part, names) for part in whole]


def _by_position(form: Form, part: Condition, names: tuple[str, ...], makers: Makers) -> bool:
    """Takes a mask that compares positions as an attribute, if it is causal or a window."""
    gap = nonnegative(part, makers)
    if gap is None or not all(axis <= len(names) for axis in gap.along):
        return False
    axes = {name: len(names) - at for at, name in enumerate(names)}
    query, key = axes[form.queries], axes[form.keys]
    ahead = _size(form, form.keys) - _size(form, form.queries)
    if is_causal(gap, query, key, ahead):
        form.causal = True
        form.notes.append("blocks of keys that come after all queries of a block are skipped")
        return True
    window = window_of(gap, query, key, ahead)
    if window is None:
        return False
    form.windows.append((window, _part(part, names)))
    return True


def _take_windows(form: Form, found: Found) -> None:
    """Windows are the op's where the mask is causal as well, and masks to be read elsewhere."""
    if form.causal:
        form.window = min((window for window, _ in form.windows), default=None)
    elif form.windows and form.masks and form.fill != MINUS_INFINITY:
        raise UnfitError(f"a mask of -inf after one of {form.fill!r}: join them, or swap them", found.softmax)
    else:
        form.masks += [part for _, part in form.windows]


def _size(form: Form, name: str) -> Dim:
    term = form.q if name in form.q.names else form.k
    return term.value.type.sizes[term.names.index(name)]


def _fill(form: Form, step: Step, names: tuple[str, ...], makers: Makers) -> None:
    """A mask of a finite number."""
    if form.causal or form.windows:
        reason = f"a mask of {step.fill!r} after one of -inf, which may hide all of a row: put this one first"
        raise UnfitError(reason, step.op)
    if form.masks and form.fill != step.fill:
        raise UnfitError(f"masks of {form.fill!r} and of {step.fill!r} cannot be one", step.op)
    parts = conditions(step.value, makers, step.negated)
    if any(_by_position(replace(form, notes=[], windows=[]), part, names, makers) for part in parts):
        form.notes.append(f"a causal mask is filled with {step.fill!r}, not -inf: it is read, and no block is skipped")
    form.masks.append(_part(Condition(step.value, step.negated), names))
    form.fill = step.fill


def _part(part: Condition, names: tuple[str, ...]) -> Part:
    """A mask or a bias with the names of its axes."""
    return Part(Term(part.value, names[len(names) - part.value.type.rank :]), part.negated)
