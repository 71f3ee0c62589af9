"""Computes the projection to classes and its cross-entropy together, in blocks of tokens: no logits in memory.

Before::

    logits: f32[batch, seq, vocab=50257] = call(tokens) {callee="gpt", path=()}
    %0: f32[batch, seq] = call(logits, targets) {callee="token_losses", path=()}
    loss: f32[] = mean(%0) {over=(0, 1), keep=false}

After::

    x: f32[batch, seq, embed=768] = call(tokens) {callee="gpt_hidden", path=()}
    w: f32[vocab=50257, embed=768] = parameter() {path=("table", "w")}
    loss: f32[] = linear_cross_entropy(x, w, targets) {transposed=true, …}

The loss may be written as the library writes it or by hand, see :mod:`.loss_terms`; the projection may stand at the end
of the model, see :mod:`.heads`. Both are looked for through calls, in a copy of the function that becomes the function
itself only if the two could be put together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from ..ir import Function, Module, Op, Value
from ..ir.clone import clone_function, inline_call
from ..ir.walk import call_order, callee, count_uses, reachable, replace
from ..plan.sharding import Rules, spec_of
from ..plan.targets import DEFAULT, TARGETS, Target
from ..source import Span
from .base import Pass, Remarks
from .blockwise_loss import write_loss
from .dependence import Dependence
from .heads import Head, Heads, sweep
from .loss_terms import OTHERWISE, CrossEntropy, UnlikeError, below_casts, definers_of, dependents, read_cross_entropy

SCORES = frozenset({"log_softmax", "logsumexp"})
"""What a cross-entropy is recognised by."""

LIBRARY = "std/"
"""What the keys of the library's sources begin with: their lines are none of the user's."""

SPLIT = "the mesh splits the weight that gives the logits: each block of tokens would have to collect it anew"
MOVED = "the mesh splits more than the first dim of the tokens: each block would have to collect its own"
NO_HEAD = "the logits do not come straight from a product with a weight"


@dataclass(frozen=True)
class FuseLoss(Pass):
    """Makes `linear_cross_entropy` of heads with as many classes as pay on the target, where no rule splits them."""

    name: ClassVar[str] = "fuse-loss"
    rules: Rules = ()
    target: Target = TARGETS[DEFAULT]

    def run(self, module: Module, remarks: Remarks) -> None:
        """Looks through every function; then drops those that nothing reaches any more."""
        fused = False
        for name in call_order(module):
            while any(self._fused(trial, remarks) for trial in _trials(module, name)):
                fused = True
        if fused:
            kept = reachable(module)
            for name in [n for n in module.functions if n not in kept]:
                del module.functions[name]

    def _fused(self, trial: _Trial, remarks: Remarks) -> bool:
        """Whether a loss could be fused; says so, or why not where it matters."""
        vocab, span = trial.logits.type.axes[-1], trial.span()
        size = vocab.size.value
        if size is None:
            return False
        many = size >= self.target.fused_classes
        try:
            self._fuse(trial, many, span)
        except UnlikeError as reason:
            if many or reason.near:
                remarks.missed(self.name, str(reason), span)
            return False
        what = f"the cross-entropy over {vocab.label} is computed together with its logits"
        remarks.done(self.name, f"{what}, in blocks of tokens: there are never all of them at once", span)
        return True

    def _fuse(self, trial: _Trial, many: bool, span: Span | None) -> None:
        """Puts a projection and its loss together in the trial's copy, which then becomes the function itself.

        Raises:
            UnlikeError: that cannot be, or is not worth it.
        """
        trial.write_out()
        body = trial.function.body
        loss = read_cross_entropy(body, trial.logits)
        heads = Heads(trial.module, trial.plain)
        head = heads.take_off(trial.function, trial.logits)
        if head is None:
            raise UnlikeError(NO_HEAD)
        self._refuse(trial.logits, head, many)
        first = spec_of(loss.targets.type.axes, self.rules)[0] or ()
        split = (first,) if isinstance(first, str) else first
        _replace(trial, loss, write_loss(loss, head, self.target.loss_block, split, span))
        if count_uses(body)[head.logits]:
            raise UnlikeError(OTHERWISE)
        heads.settle(trial.function)

    def _refuse(self, logits: Value, head: Head, many: bool) -> None:
        if not many:
            label = logits.type.axes[-1].label
            raise UnlikeError(f"blocks of tokens do not pay for as few logits as {label}", near=True)
        if any(spec_of(head.w.type.axes, self.rules)):
            raise UnlikeError(SPLIT)
        if any(spec_of(logits.type.axes[:-1], self.rules)[1:]):
            raise UnlikeError(MOVED)


@dataclass(frozen=True)
class _Trial:
    """A copy of a function in which some logits are turned into log-probabilities by `site`, written out."""

    module: Module
    plain: Dependence
    function: Function
    logits: Value
    site: Op

    def span(self) -> Span | None:
        """A place of the user's that speaks of the loss; of the library's, if there is none."""
        body = self.function.body
        made = definers_of(body).get(self.logits)
        users = [op for op in body.ops if any(not value.type.rank for value in op.results)]
        inside = dependents(body, self.logits)
        reductions = [op for op in users if any(value in inside for value in op.operands)]
        spans = [op.span for op in (*reductions[:1], self.site, made) if op is not None and op.span is not None]
        own = [span for span in spans if not span.source.key.startswith(LIBRARY)]
        return next(iter([*own, *spans]), None)

    def write_out(self) -> None:
        """Puts functions that take what depends on the logits, and give more than scalars, in place of their calls."""
        body = self.function.body
        inside = dependents(body, self.logits)
        for op in body.ops:
            taken = any(value in inside and value.type.rank for value in op.operands)
            if taken and op.kind == "call" and _is_open(callee(op), self.plain):
                inline_call(self.module, self.function, op)
                return self.write_out()
        return None


def _trials(module: Module, name: str) -> Iterator[_Trial]:
    """A copy of a function for all logits that it turns into log-probabilities, and did not get as an input."""
    plain = Dependence(module)
    scoring, function = _scoring(module, plain), module.functions[name]
    for at, op in enumerate(function.body.ops):
        number = 0
        while op.kind in SCORES or _calls(op, scoring):
            copy = clone_function(function)
            found = _scored(module, copy, copy.body.ops[at], scoring)
            if number == len(found):
                break
            yield _Trial(module, plain, copy, found[number], op)
            number += 1


def _scored(module: Module, function: Function, site: Op, scoring: set[str]) -> list[Value]:
    """The logits that an op turns into log-probabilities, itself or in the functions that it calls: written out."""
    ops = [site]
    while calls := [op for op in ops if _calls(op, scoring)]:
        ops.remove(calls[0])
        ops += inline_call(module, function, calls[0])
    definers = definers_of(function.body)
    values = [below_casts(op.operands[0], definers) for op in ops if op.kind in SCORES]
    return [value for value in dict.fromkeys(values) if value in definers]


def _calls(op: Op, names: set[str]) -> bool:
    return op.kind == "call" and callee(op) in names


def _is_open(name: str, plain: Dependence) -> bool:
    """Whether a function may be written out: it has no weights, states or draws."""
    return name in plain.plain and name in plain.weightless


def _scoring(module: Module, plain: Dependence) -> set[str]:
    """The functions without weights that turn logits into log-probabilities, or call one that does."""
    found: set[str] = set()
    for name in call_order(module):
        ops = module.functions[name].body.walk()
        if _is_open(name, plain) and any(op.kind in SCORES or _calls(op, found) for op in ops):
            found.add(name)
    return found


def _replace(trial: _Trial, loss: CrossEntropy, made: tuple[list[Op], Value]) -> None:
    """Puts new ops in place of a loss, and drops what it was computed from."""
    body, (ops, result) = trial.function.body, made
    place = body.ops.index(loss.reduction)
    same = {later.result: op.result for op in ops for later in body.ops[place:] if _same_cast(op, later)}
    body.ops[place:place] = ops
    result.name = loss.result.name
    replace(body, {**same, loss.result: result})
    sweep(body, trial.plain)


def _same_cast(op: Op, other: Op) -> bool:
    """Whether both are the same cast of one value: masks are cast for the sum and for the count."""
    return op.kind == other.kind == "cast" and (op.operands, op.attributes) == (other.operands, other.attributes)
