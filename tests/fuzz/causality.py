"""Whether decoding derived from random causal models gives what they give, and whether what looks ahead is refused."""

from __future__ import annotations

import random

import trxc
from trxc.ir import Module
from trxc.passes.decode import RefusedError
from trxc.plan.targets import DEFAULT, TARGETS

from .causal_models import Broken, causal_model
from .chunks import Lengths, derived, looks_ahead, unoptimised, worst_off
from .harmless import EAGER, Divergence, Verdict

EQUAL = 1e-10
"""What logits in float64 may be off by, as a share of the largest."""

TOLD, AT_ITS_LINE, NOT_KNOWN = "refused", "at its line", "only not known"
"""What can become of a model that looks ahead."""


def judge_causal(text: str, seed: int = 0, *, beyond: bool = False) -> Verdict:
    """Derives decoding for a model that is causal, and compares every way of cutting a sequence.

    `refused` is the remark of the pass where it does not know how. It may so only where that is `beyond` it: otherwise
    that is a failure, as is any claim that the model looks ahead.
    """
    try:
        module = unoptimised(text)
    except trxc.CompileError as error:
        return Verdict(refused=_first(error))
    verdict = Verdict(finite=True, kinds=_kinds(module))
    try:
        step = derived(module, EAGER if seed % 2 else TARGETS[DEFAULT])
        verdict.worst, cut = worst_off(step, seed, Lengths(seq=5 + seed % 4, capacity=8 + seed % 4 + seed % 3))
        verdict.stages = 1
        if not verdict.worst <= EQUAL:
            what = f"logits off by {verdict.worst:.2g} in chunks of {', '.join(map(str, cut))}"
            verdict.divergence = Divergence("values", what)
    except RefusedError as error:
        verdict.refused = error.reason
        if error.ahead or not beyond:
            where = f" at `{error.span.text}`" if error.span else ""
            verdict.divergence = Divergence("refused", f"{error.reason}{where}")
    except Exception as error:
        verdict.divergence = Divergence("exception", f"{type(error).__name__}: {str(error)[:300]}")
    return verdict


def judge_ahead(broken: Broken, seed: int = 0) -> Verdict:
    """Whether a model that looks ahead, by its numbers, is refused, and where; `changed` says what became of it."""
    try:
        module = unoptimised(broken.text)
    except trxc.CompileError as error:
        return Verdict(refused=_first(error))
    verdict = Verdict(finite=True, kinds=_kinds(module))
    try:
        if not looks_ahead(module, seed):
            return verdict
        verdict.stages = 1
        verdict.changed = {f"{broken.kind}: all"}
        derived(module, EAGER if seed % 2 else TARGETS[DEFAULT])
        verdict.divergence = Divergence("not refused", f"{broken.kind}: it looks ahead, and is not refused")
    except RefusedError as error:
        verdict.changed |= {f"{broken.kind}: {what}" for what in became(broken, error)}
    except Exception as error:
        verdict.divergence = Divergence("exception", f"{type(error).__name__}: {str(error)[:300]}")
    return verdict


def became(broken: Broken, error: RefusedError) -> list[str]:
    """What is to be said of a refusal: whether it was for looking ahead, and where the model does."""
    if not error.ahead:
        return [NOT_KNOWN]
    return [TOLD, AT_ITS_LINE] if points_at(broken, error) else [TOLD]


def points_at(broken: Broken, error: RefusedError) -> bool:
    """Whether the line that is complained about is one of those that were changed, or the library's for them."""
    if error.span is None:
        return False
    source = error.span.source
    line, _ = source.position(error.span.start)
    if source.text == broken.text:
        return line in broken.lines
    return bool(broken.within) and source.line(line).strip().startswith(broken.within)


def broken_model(seed: int, *, most: int = 4) -> Broken:
    """A model that looks ahead: by a break of one of its layers, or by a statement more; each kind is as likely."""
    rng = random.Random(seed)
    model = causal_model(seed, most=most)
    while model.beyond:
        model = causal_model(rng.randint(10**6, 10**9), most=most)
    found = list(model.broken_layers())
    if not found or rng.random() < 0.4:
        found = list(model.broken_statements())
    kind = rng.choice(sorted({each.kind for each in found}))
    return rng.choice([each for each in found if each.kind == kind])


def _kinds(module: Module) -> set[str]:
    return {op.kind for function in module.functions.values() for op in function.body.walk()}


def _first(error: trxc.CompileError) -> str:
    first = next(each for each in error.diagnostics if each.severity == "error")
    return f"{first.code} {first.message}"
