"""Takes a model's head off: the projection that gives its logits, through calls, for what wants its input instead.

Before::

    function gpt(tokens) { …; w = parameter() {path=("table", "w")}; logits = einsum(x, w) {…}; yield logits }
    logits = call(tokens) {callee="gpt", path=()}

After, in the caller; `gpt` itself stays as it is::

    function gpt_hidden(tokens) { …; yield x }
    x = call(tokens) {callee="gpt_hidden", path=()}
    w = parameter() {path=("table", "w")}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ..ir import Function, Module, Op, Region, Value
from ..ir.clone import Renaming, call_renaming, clone_function
from ..ir.parameters import READS, Trees, storage_key
from ..ir.walk import callee, count_uses, placed_ops
from ..ops.contraction import expand_pattern, parse_pattern
from .dependence import Dependence
from .loss_terms import below_casts, definers_of, is_float
from .merge import TRAINING

SUFFIX = "_hidden"
HEADLESS = ", without its last projection"


@dataclass(frozen=True)
class Head:
    """The operands of a projection to `logits`[lead…, vocab] in a function: `x`[lead…, d], `w`, and `bias`[vocab].

    `w` is [d, vocab], or [vocab, d] where `transposed`. Weights are as they are stored, before casts.
    """

    logits: Value
    x: Value
    w: Value
    transposed: bool
    bias: Value | None = None


@dataclass
class Heads:
    """Takes heads off copies of a module's functions; the module itself stays as it is until :meth:`settle`."""

    module: Module
    plain: Dependence
    variants: dict[str, tuple[str, Function]] = field(default_factory=dict[str, "tuple[str, Function]"])
    """New functions by name, each with the one that it is a variant of; callees first."""

    def take_off(self, function: Function, logits: Value) -> Head | None:
        """The head of logits in a function that may be changed; None where they are no projection by weights."""
        definers = definers_of(function.body)
        value = below_casts(logits, definers)
        op = definers.get(value)
        if op is None:
            return None
        if op.kind == "call":
            return self._called(function, op, op.results.index(value))
        if op.kind == "add":
            return self._biased(function, op, definers)
        return _projection(op, definers)

    def _biased(self, function: Function, op: Op, definers: Mapping[Value, Op]) -> Head | None:
        for product, bias in (op.operands, op.operands[::-1]):
            if bias.type.rank == 1 and bias.type.sizes == op.result.type.sizes[-1:] and product.type.rank > 1:
                head = self.take_off(function, product)
                if head is not None and head.bias is None:
                    return replace(head, bias=below_casts(bias, definers))
        return None

    def _called(self, function: Function, op: Op, index: int) -> Head | None:
        """The head of what a call gives; the call is replaced by one of a variant, unless its operands are enough."""
        target = self.module.functions[callee(op)]
        variant = clone_function(target, self._name(target.name))
        head = self.take_off(variant, variant.results[index])
        if head is None:
            return None
        renaming = call_renaming(target, op.operands)
        reads = _reads(variant, head, op, renaming)
        if reads is None:
            return None
        at = function.body.ops.index(op)
        function.body.ops[at + 1 : at + 1] = reads
        if head.x in variant.inputs:
            x = op.operands[variant.inputs.index(head.x)]
        elif not self._cut(variant, index, head):
            return None
        else:
            self.variants[variant.name] = (target.name, variant)
            x = Value(renaming.type(head.x.type), head.x.name)
            results = [*op.results[:index], x, *op.results[index + 1 :]]
            attributes = {**op.attributes, "callee": variant.name}
            function.body.ops[at] = Op("call", op.operands, attributes, results, span=op.span)
        w, *bias = (read.result for read in reads)
        return Head(op.results[index], x, w, head.transposed, bias[0] if bias else None)

    def _cut(self, variant: Function, index: int, head: Head) -> bool:
        """Makes a variant give the head's input; whether that leaves it without the logits."""
        variant.body.results[index] = head.x
        if variant.output_names:
            variant.output_names[index] = head.x.name or "hidden"
        if variant.title and not variant.title.endswith(HEADLESS):
            variant.title += HEADLESS
        sweep(variant.body, self.plain)
        return not count_uses(variant.body)[head.logits]

    def _name(self, name: str) -> str:
        """The name of a variant; that of another variant, if nothing else calls that."""
        base = name.removesuffix(TRAINING)
        suffix = name[len(base) :]
        if base.endswith(SUFFIX) and self._calls(name) == 1:
            return name
        base += SUFFIX
        number, found = 1, base + suffix
        while found in self.module.functions or found in self.variants:
            number += 1
            found = f"{base}_{number}{suffix}"
        return found

    def _calls(self, name: str) -> int:
        ops = (op for function in self.module.functions.values() for op in function.body.walk())
        return sum(op.kind == "call" and callee(op) == name for op in ops)

    def settle(self, function: Function) -> None:
        """Puts the variants into the module, and `function` in place of the one of its name.

        What a function reads and no longer reaches through its calls, it owns itself from here on.
        """
        before = Trees(self.module)
        origins = {name: origin for name, (origin, _) in self.variants.items()} | {function.name: function.name}
        reached = {name: before.of(origin)[0] for name, origin in origins.items()}
        made = {name: variant for name, (_, variant) in self.variants.items()}
        functions = dict(self.module.functions)
        self.module.functions.clear()
        for name, known in functions.items():
            if name == function.name:
                self.module.functions.update(made)
            if name not in made:
                self.module.functions[name] = function if name == function.name else known
        for name, tree in reached.items():
            owner = self.module.functions[name]
            now = Trees(self.module).of(name)[0]
            for placed in placed_ops(owner):
                key = tuple(map(storage_key, placed.path)) if placed.op.kind in READS else ()
                if key and key not in now:
                    owner.parameters[placed.path] = replace(tree[key].parameter, path=placed.path)


def sweep(body: Region, dependence: Dependence) -> None:
    """Removes what nobody uses from a function's body, if it does nothing else."""
    uses = count_uses(body)
    for op in reversed(list(body.ops)):
        if dependence.is_plain(op) and not op.regions and not any(uses[value] for value in op.results):
            body.ops.remove(op)
            uses.subtract(op.operands)


def _projection(op: Op, definers: Mapping[Value, Op]) -> Head | None:
    """The head that a product of a value with a matrix is."""
    if op.kind == "matmul":
        x, w = op.operands
        plain = x.type.rank > 1 and w.type.rank == 2
        return _head(op, x, w, False, definers) if plain else None
    if op.kind != "einsum" or len(op.operands) != 2:
        return None
    types = [value.type for value in op.operands]
    pattern = expand_pattern(parse_pattern(str(op.attributes["pattern"]), 2), types)
    for at in (0, 1):
        rows, columns = pattern.terms[at], pattern.terms[1 - at]
        inner, vocab = rows[-1:], pattern.result[-1:]
        plain = len(rows) > 1 and len(set(rows)) == len(rows) and pattern.result == rows[:-1] + vocab != rows
        if plain and columns in (inner + vocab, vocab + inner) and inner != vocab:
            return _head(op, op.operands[at], op.operands[1 - at], columns == vocab + inner, definers)
    return None


def _head(op: Op, x: Value, w: Value, transposed: bool, definers: Mapping[Value, Op]) -> Head | None:
    if x.type.dtype != w.type.dtype or not is_float(x) or x.type.sizes[:-1] != op.result.type.sizes[:-1]:
        return None
    w = below_casts(w, definers)
    while (made := definers.get(w)) is not None and _turns(made):
        w, transposed = below_casts(made.operands[0], definers), not transposed
    return Head(op.result, x, w, transposed)


def _turns(op: Op) -> bool:
    """Whether an op transposes a matrix."""
    if op.kind == "transpose":
        return op.attributes["order"] == (1, 0)
    exchanged = op.kind == "swap" and {op.attributes["first"], op.attributes["second"]} == {0, 1}
    return exchanged and op.result.type.rank == 2


def _reads(variant: Function, head: Head, call: Op, renaming: Renaming) -> list[Op] | None:
    """Reads, in its caller, the weights that the head in a function has; None where they are no weights as stored."""
    definers, reads = definers_of(variant.body), list[Op]()
    for value in (head.w, head.bias) if head.bias is not None else (head.w,):
        made = definers.get(value)
        if made is None or made.kind != "parameter":
            return None
        path = call.path() + made.path()
        read = Value(renaming.type(value.type), path[-1])
        reads.append(Op("parameter", [], {"path": path}, [read], span=made.span))
    return reads
