"""The training definition of a model, turned into one that goes along a sequence in chunks.

:func:`derive_decoding` adds two functions to a module. ``prepare`` computes once what no place of the sequence plays a
part in, and what states begin with. ``decode`` takes a chunk of places, and gives what the model gives there: it is
the model itself, op by op, with keys and values, windows, carries and running totals of the places before kept as
states. That every place depends on earlier ones only, is shown on the way, by what each op says of itself; where it
does not, the model is refused at the op's line.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ...ir import Function, Module, Op, Path, Region, Value
from ...ir.clone import Renaming, clone_function, inline_call
from ...ir.walk import attribute_symbols, call_order, callee, captures, count_uses, function_symbols
from ..prune import CHECKS, needed
from . import attend, loops, pairs, places
from .kinds import Fixed, Indexed, Pairs, Prefix, RefusedError, Timed
from .loops import Given, Variant
from .scope import Scope, Target, renamed_symbols

STEP, PREPARE = "decode", "prepare"
EXTRAS = ("start", "count", "slots")


def derive_decoding(module: Module, prompt: str, output: str, *, on_mesh: bool = False) -> None:
    """Adds the roles ``decode`` and ``prepare`` for the model's `output` along the places of its input `prompt`.

    The inputs of ``decode`` are the prompt's chunk, then `start`, `count` and `slots`; those of ``prepare`` are all of
    the model's, the prompt of any length, for its batch.

    Raises:
        RefusedError: a place depends on later ones.
    """
    apply = module.role("apply")
    at = next(at for at, value in enumerate(apply.inputs) if value.name == prompt)
    given: Given = tuple(1 if number == at else "computed" for number in range(len(apply.inputs)))
    deriver = _Deriver(module, only={apply.name: apply.output_names.index(output)}, on_mesh=on_mesh)
    before = dict(module.functions)
    try:
        variant = deriver.derive(apply.name, given, root=True)
    except RefusedError:
        module.functions = before
        raise
    if variant.results != [1]:
        module.functions = before
        raise RefusedError("the places of the output are not those of the prompt", apply.span)
    module.roles[STEP] = variant.step
    assert variant.prepare is not None
    module.roles[PREPARE] = variant.prepare
    module.functions = {name: module.functions[name] for name in call_order(module)}


@dataclass
class _Deriver:
    module: Module
    only: dict[str, int]
    on_mesh: bool = False
    known: dict[tuple[str, Given], Variant] = field(default_factory=dict[tuple[str, Given], Variant])
    sources: dict[str, Function] = field(default_factory=dict[str, Function])
    keeping: dict[str, set[Path]] = field(default_factory=dict[str, set[Path]])
    """By the name of a step: what it is made of, and the paths of layers that keep something under their own names."""

    def derive(self, name: str, given: Given, *, root: bool = False) -> Variant:
        """The variant of a function for arguments of these kinds."""
        key = (name, given)
        if key not in self.known:
            self.known[key] = self._derived(self._source(name), given, root)
        return self.known[key]

    def _source(self, name: str) -> Function:
        """A copy to take apart; sizes of the model's that are called as those of decoding get other names."""
        function = self.module.functions[name]
        return clone_function(function, renaming=Renaming(renamed_symbols(function_symbols(function))))

    def _derived(self, source: Function, given: Given, root: bool) -> Variant:
        at = next(at for at, kind in enumerate(given) if isinstance(kind, int))
        axis = given[at]
        assert isinstance(axis, int)
        symbol = source.inputs[at].type.sizes[axis].symbol
        if symbol is None:
            raise RefusedError("its length is no size of its own", source.span)
        if root:
            self._drop_other_outputs(source)
        target = Target(symbol.name, self._function(source, STEP), self._function(source, PREPARE), self.on_mesh)
        self.sources[target.step.name], self.keeping[target.step.name] = source, set()
        scope = Scope(target, target.step.body, target.prepare.body)
        variant = Variant(target.step.name, target.prepare.name)
        self._arguments(scope, source, given, root)
        self._run(scope, source.body)
        for function in (target.step, target.prepare):
            function.parameters.update(source.parameters)  # some are those of layers that were written out
        self._results(scope, source, variant)
        self._finish(scope, source, variant, given, root)
        return variant

    def _drop_other_outputs(self, source: Function) -> None:
        """What is computed for other outputs may look ahead: it is no part of what is generated from."""
        live = needed(source.body, [source.results[self.only[source.name]]])
        ops = source.body.ops
        ops[:] = [op for op in ops if op.kind in (CHECKS, "set_state") or not live.isdisjoint(op.results)]

    def _function(self, source: Function, suffix: str) -> Function:
        name, number = f"{source.name}_{suffix}", 1
        while name in self.module.functions:
            number += 1
            name = f"{source.name}_{suffix}_{number}"
        function = Function(name, Region([]), doc=source.doc, title=source.title, span=source.span)
        function.parameters.update(source.parameters)
        self.module.functions[name] = function
        return function

    def _arguments(self, scope: Scope, source: Function, given: Given, root: bool) -> None:
        for value, kind in zip(source.inputs, given, strict=True):
            if isinstance(kind, int):
                chunk = Value(scope.chunked(value.type), value.name)
                scope.step.arguments.append(chunk)
                scope.known[value] = Timed(chunk, kind)
                if root:
                    scope.prepare.arguments.append(Value(value.type, value.name))
                continue
            scope.known[value] = Fixed(value, kind == "computed")
            before = Value(value.type, value.name)
            scope.prepare.arguments.append(before)
            scope.made["prepare", value] = before
            if kind == "fixed":
                scope.made["step", value] = Value(value.type, value.name)
                scope.step.arguments.append(scope.made["step", value])
        scope.step.arguments += [getattr(scope.target, name) for name in EXTRAS]

    # --------------------------------------------------------------------------- ops

    def _run(self, scope: Scope, region: Region) -> None:
        at, scope.region = 0, region
        while at < len(region.ops):
            op = region.ops[at]
            if op.kind == "call" and (self._is_of_places(scope, op) or self._keeps_again(scope, op)):
                inline_call(self.module, self.sources[scope.target.step.name], op)
                continue
            scope.makers.update(dict.fromkeys(op.results, op))
            self._op(scope, op)
            at += 1

    def _is_of_places(self, scope: Scope, op: Op) -> bool:
        """Whether a call is given numbers or pairs of places, or gives them: what they become, their use decides."""
        known = [scope.of(value) for value in op.operands]
        if any(isinstance(each, Pairs) for each in known) or any(pairs.is_square(scope, value) for value in op.results):
            return True
        if any(isinstance(each, Timed) for each in known):
            return any(isinstance(each, Indexed) for each in known)
        return any(scope.target.time in _symbols(value) for value in op.results)

    def _keeps_again(self, scope: Scope, op: Op) -> bool:
        """Whether a layer is applied once more that keeps something: written out, it keeps the second apart."""
        place, taken = scope.root + op.path(), self.keeping[scope.target.step.name]
        if not any(isinstance(scope.of(value), Timed) for value in op.operands):
            return False
        if self.derive(callee(op), loops.given_of(scope, op)).step == callee(op):
            return False
        again = any(place[: len(path)] == path for path in taken)
        taken.add(place)
        return again

    def _op(self, scope: Scope, op: Op) -> None:
        if op.kind == "require":
            if scope.target.time not in _op_symbols(op):
                scope.step.ops.append(Op(op.kind, [], dict(op.attributes), [], span=op.span))
            return
        around = [scope.of(value) for value in [*op.operands, *_outside(op)]]
        if any(isinstance(known, Timed | Prefix | Pairs) for known in around):
            self._timed(scope, op)
        elif any(isinstance(known, Indexed) for known in around) or scope.target.time in _op_symbols(op):
            self._indexed(scope, op)
        elif op.kind == "set_state":
            raise RefusedError("the model keeps a state of its own while it is used", op.span)
        else:
            computed = any(isinstance(known, Fixed) and known.computed for known in around)
            scope.known.update({value: Fixed(value, computed) for value in op.results})

    def _timed(self, scope: Scope, op: Op) -> None:
        if op.kind == "call":
            loops.call(scope, op, self.derive)
        elif op.kind == "repeat":
            loops.repeat(scope, op, self._run)
        elif op.kind == "recur":
            loops.recur(scope, op)
        elif op.kind == "attention":
            attend.attend(scope, op)
        elif op.kind in ("cond", "extern", "set_state"):
            raise RefusedError(f"`{op.kind}` is not known in parts of a sequence", op.span)
        elif pairs.is_of_pairs(scope, op):
            pairs.translate(scope, op)
        else:
            places.translate(scope, op)

    def _indexed(self, scope: Scope, op: Op) -> None:
        for index, value in enumerate(op.results):
            sizes = enumerate(value.type.sizes)
            axes = tuple(at for at, size in sizes if scope.target.time in {symbol.name for symbol in size.symbols})
            scope.known[value] = Indexed(op, index, axes)

    # ----------------------------------------------------------------------- the end

    def _results(self, scope: Scope, source: Function, variant: Variant) -> None:
        for at, value in enumerate(source.results):
            if self.only.get(source.name, at) != at:
                continue
            known = scope.of(value)
            if isinstance(known, Timed):
                scope.step.results.append(known.value)
                scope.target.step.output_names.append(source.output_names[at])
                variant.results.append(known.axis)
            elif isinstance(known, Fixed) and source.name not in self.only:
                variant.results.append(None)
            else:
                raise RefusedError(f"`{source.output_names[at]}` has no places of the sequence", source.span)

    def _finish(self, scope: Scope, source: Function, variant: Variant, given: Given, root: bool) -> None:
        """Drops what is not used, and says what is left; a layer that keeps nothing is the original."""
        step, prepare = scope.target.step, scope.target.prepare
        used, needed = count_uses(step.body), count_uses(prepare.body)
        chunks = _chunks(scope)
        step.body.arguments[:] = [value for value in step.body.arguments if used[value] or value in chunks]
        if not root:
            prepare.body.arguments[:] = [value for value in prepare.body.arguments if needed[value]]
        variant.extras = [name for name in EXTRAS if getattr(scope.target, name) in step.body.arguments]
        for at, value in enumerate(source.inputs):
            known = scope.known[value]
            inside = known.value if isinstance(known, Timed) else scope.made.get(("step", value))
            if inside in step.body.arguments:
                variant.step_inputs.append(at)
            if scope.made.get(("prepare", value)) in prepare.body.arguments:
                variant.prepare_inputs.append(at)
        if root:
            return
        if not prepare.body.ops:
            del self.module.functions[prepare.name]
            variant.prepare = None
        if _keeps_nothing(self.module, variant, source):
            del self.module.functions[step.name]
            variant.step = source.name


def _keeps_nothing(module: Module, variant: Variant, source: Function) -> bool:
    """Whether a layer is the same for chunks as for the whole: it is told no places, and neither are those it calls."""
    step = module.functions[variant.step]
    calls = {callee(op) for op in step.body.walk() if op.kind == "call"}
    same = calls <= {callee(op) for op in source.body.walk() if op.kind == "call"}
    everything = len(variant.step_inputs) == len(source.inputs) and len(variant.results) == len(source.results)
    states = step.parameters.keys() != source.parameters.keys()
    return same and everything and not states and not variant.extras and variant.prepare is None


def _chunks(scope: Scope) -> list[Value]:
    return [known.value for known in scope.known.values() if isinstance(known, Timed)]


def _symbols(value: Value) -> set[str]:
    return {symbol.name for size in value.type.sizes for symbol in size.symbols}


def _op_symbols(op: Op) -> set[str]:
    found = {name for value in op.attributes.values() for name in attribute_symbols(value)}
    return found | {name for value in op.results for name in _symbols(value)}


def _outside(op: Op) -> list[Value]:
    return [value for region in op.regions for value in captures(region)]
