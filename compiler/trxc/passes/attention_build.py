"""Writes the op `attention`, and what brings its operands into its order of axes and its result out of it."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence

from ..ir import Attribute, Op, Value
from ..ops import OPS
from ..ops.definition import Attributes, Instance
from ..ops.pattern_text import parse_pattern
from ..source import Span
from ..types import Axis, TensorType
from .attention_form import Form, Part
from .attention_pattern import Found
from .attention_terms import Makers, Term

Groups = Sequence[tuple[str, ...]]
"""The names of the axes that become one axis, for each axis; of an axis of size 1, none."""


class Builder:
    """Collects the new ops, which have the span of the softmax."""

    def __init__(self, span: Span | None, makers: Makers) -> None:
        self.span, self.makers = span, makers
        self.ops: list[Op] = []

    def attention(self, form: Form, found: Found) -> Value:
        """The op and all around it; the result has the axes of the product with the values."""
        lead = [(name,) for name in form.lead]
        q = self.arranged(form.q, [*lead, (form.queries,), form.heads, (form.inner,)])
        k = self.arranged(form.k, [*lead, (form.keys,), form.kv_heads, (form.inner,)])
        v = self.arranged(form.v, [*lead, (form.keys,), form.kv_heads, (form.outer,)])
        scores = [*lead, form.heads, (form.queries,), (form.keys,)]
        mask = self._joined([self._extra(part, scores, form, "logical_not") for part in form.masks], "logical_and")
        bias = self._joined([self._extra(part, scores, form, "negate") for part in form.biases], "add")
        operands = [q, k, v, *([] if mask is None else [mask]), *([] if bias is None else [bias])]
        attributes: dict[str, Attribute] = {
            "scale": form.scale, "causal": form.causal, "window": form.window, "fill": form.fill,
            "masked": mask is not None, "biased": bias is not None,
        }  # fmt: skip
        kind = "attention"
        if found.dropout is not None and found.dropout.attributes["rate"]:
            kind, attributes = "attention_dropout", {**attributes, **found.dropout.attributes}
        mixed = self._op(kind, operands, attributes, q.type.with_axes((*q.type.axes[:-1], v.type.axes[-1])))
        return self._put_back(form, found, mixed)

    def _put_back(self, form: Form, found: Found, mixed: Value) -> Value:
        """The result as the product with the values gave it."""
        groups = [*((name,) for name in form.lead), (form.queries,), form.heads, (form.outer,)]
        wanted = [(name,) for name in found.result]
        result = found.mix.result.type
        sizes = dict(zip(found.result, result.axes, strict=True))
        given = {name: sizes[name] for group in groups if len(group) > 1 for name in group[1:]}
        value = self._rearranged("rearrange", mixed, groups, wanted, given)
        if value.type.dtype != result.dtype:
            value = self._op("cast", [value], {"dtype": result.dtype}, value.type.with_dtype(result.dtype))
        return value

    # ------------------------------------------------------------------- axes

    def arranged(self, term: Term, groups: Groups) -> Value:
        """A value with its axes in another order, joined and parted by axes of size 1 as `groups` say."""
        op = self.makers.get(term.value)
        if op is not None and op.kind == "rearrange" and [(name,) for name in term.names] != list(groups):
            value = self._merged(op, term, groups)
            if value is not None:
                return value
        return self._rearranged("rearrange", term.value, [(name,) for name in term.names], groups, {})

    def _merged(self, op: Op, term: Term, groups: Groups) -> Value | None:
        """The same out of the operand of the `rearrange` that the value comes from, if that only splits and moves."""
        pattern = parse_pattern(Attributes(op.attributes).text("pattern"))
        letters = [group.terms[0].name for group in pattern.right if len(group.terms) == 1 and not group.is_ellipsis]
        if len(letters) != len(pattern.right):
            return None
        names = dict(zip(term.names, letters, strict=True))
        left = pattern.text.partition("->")[0].strip()
        return self._moved("rearrange", op.operands[0], left, groups, names, op.attributes["sizes"], term.value.name)

    def _rearranged(self, kind: str, value: Value, axes: Groups, wanted: Groups, sizes: Mapping[str, Axis]) -> Value:
        if list(axes) == list(wanted):
            return value
        letters = _letters([name for group in (*axes, *wanted) for name in group])
        left = " ".join(_group(group, letters) for group in axes)
        given = tuple((letters[name], (axis.size, axis.name)) for name, axis in sizes.items())
        return self._moved(kind, value, left, wanted, letters, given, None)

    def _moved(
        self, kind: str, value: Value, left: str, groups: Groups, letters: Mapping[str, str],
        sizes: Attribute, name: str | None,
    ) -> Value:  # fmt: skip
        right = " ".join(_group(group, letters) for group in groups)
        attributes: dict[str, Attribute] = {"pattern": f"{left} -> {right}".strip(), "sizes": sizes}
        # with a result, as of one that was typed: what divides what is known to where the value was made
        use = Instance((value.type,), Attributes(attributes), (value.type,))
        result = self._op(kind, [value], attributes, OPS[kind].infer(use)[0])
        result.name = name
        return result

    # ------------------------------------------------------------------ masks

    def _extra(self, part: Part, scores: Groups, form: Form, opposite: str) -> Value:
        """A mask or a bias that broadcasts to the scores as the op has them."""
        value, names = part.term.value, part.term.names
        if part.negated:
            value = self._op(opposite, [value], {}, value.type)
        single = [size.value == 1 for size in value.type.sizes]
        axes = [() if one else (name,) for one, name in zip(single, names, strict=True)]
        if all(not group or group == scores[at - len(axes)] for at, group in enumerate(axes)):
            return value
        there = {name for group in axes for name in group}
        wanted = [group if there.intersection(group) else () for group in scores]
        while wanted and not wanted[0]:
            wanted.pop(0)
        whole = dict(zip(form.q.names, form.q.value.type.axes, strict=True))
        new = {name: whole[name] for group in wanted for name in group if name not in there}
        return self._rearranged("repeat_axis" if new else "rearrange", value, axes, wanted, new)

    def _joined(self, values: list[Value], kind: str) -> Value | None:
        """One value of several, or none of none."""
        while len(values) > 1:
            use = Instance((values[0].type, values[1].type), Attributes())
            values = [self._op(kind, values[:2], {}, OPS[kind].infer(use)[0]), *values[2:]]
        return values[0] if values else None

    def _op(self, kind: str, operands: list[Value], attributes: dict[str, Attribute], type_: TensorType) -> Value:
        self.ops.append(Op(kind, operands, attributes, [Value(type_)], span=self.span))
        return self.ops[-1].result


def _group(names: tuple[str, ...], letters: Mapping[str, str]) -> str:
    text = " ".join(letters[name] for name in names)
    return f"({text})" if len(names) > 1 else text or "1"


def _letters(names: Sequence[str]) -> dict[str, str]:
    """A letter of a pattern for each name: its own where that can be one, else a free one."""
    found: dict[str, str] = {}
    for name in dict.fromkeys(names):
        own = name.removeprefix("v.")
        fits = own.isidentifier() and own.isascii() and own not in found.values()
        found[name] = own if fits else next(c for c in string.ascii_lowercase if c not in {*found.values(), *names})
    return found
