"""Straight-line code: the ops of a region as statements, what is used once nested into what uses it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import replace

from ..dims import Dim, dim
from ..ir import Op, Region, Value
from ..ir.binding import bind_sizes
from ..ir.walk import callee
from ..ops import OPS
from ..ops.definition import Attributes, Instance
from ..ops.movement import Movement
from ..source import Span
from ..types import ANY
from .dtypes import combined, declared, dtype_name, exact, shape_comment
from .errors import EmitError
from .expressions import literal, number, parse
from .extern import extern_call
from .hints import hint
from .layout import WIDTH, fits, statement
from .lines import Line
from .pending import MAX_DEPTH, MAX_HEAVY, Pending, named, strong
from .remat import checkpointed_call
from .scope import FOREVER, Frame, FunctionContext, Names, OpScope, keys_of
from .state import subscript
from .uses import INLINE, Site

Writer = Callable[["RegionWriter", Op], None]


class RegionWriter:
    """Writes one region into the lines of its function."""

    controls: dict[str, Writer] = {}  # noqa: RUF012 - filled by the module that writes loops

    def __init__(self, context: FunctionContext, region: Region, frame: Frame, names: Names, indent: int) -> None:
        self.context, self.region, self.frame = context, region, frame
        self.names, self.indent = names, indent
        self.now = 0
        self._last: dict[Value, float] = {}
        self._plan()

    # What is nested, and how long values are needed

    def _plan(self) -> None:
        """Finds the last position that needs each value; users come before what they use."""
        for op in reversed(self.region.ops):
            for value in op.results:
                self._last[value] = self._last_use(value)
        for value in self.region.arguments:
            self._last[value] = self._last_use(value)

    def _last_use(self, value: Value) -> float:
        sites = self.context.uses.sites.get(value, [])
        return max((self._settled(site) for site in sites), default=-1)

    def _settled(self, site: Site) -> float:
        """The position of the statement that a use ends up in."""
        op = site.op
        if op is not None and op.kind == "set_state" and site.region is self.region:
            return FOREVER
        if op is not None and site.region is self.region and self.nests(op):
            return self._last[op.result]
        return self.context.uses.place(site, self.region)

    def until(self, value: Value) -> float:
        """The last position that needs a value."""
        return self._last[value]

    def nests(self, op: Op) -> bool:
        """Whether the result of an op is written where it is used."""
        if len(op.results) != 1 or op.regions or self.context.program.needs.op(op).changes:
            return False
        sites = self.context.uses.sites.get(op.result, [])
        if len(sites) != 1:
            return False
        if sites[0].region is not self.region:
            return op.kind == "parameter" and self.context.uses.is_loop_weight(sites[0], self.region)
        user = sites[0].op
        if user is None:
            return True
        unnamed = self.context.uses.name(op.result) is None or op.kind in ("parameter", "state")
        return unnamed and not user.regions and user.kind != "set_state"

    # Ops

    def write(self) -> None:
        """All ops of the region."""
        for at, op in enumerate(self.region.ops):
            if id(op) in self.context.uses.live and op.kind != "tag":
                self.now = at
                self._op(op)
        self.now = len(self.region.ops)

    def _op(self, op: Op) -> None:
        if op.kind in INLINE:
            self.context.items[op.result] = self._literal(op)
        elif op.kind in ("parameter", "state"):
            self.settle(op, self._read(op))
        elif op.kind == "set_state":
            self._set_state(op)
        elif op.kind == "require":
            self._require(op)
        elif op.kind == "call":
            self._call(op)
        elif op.kind == "extern":
            self._extern(op)
        elif op.kind in self.controls:
            self.controls[op.kind](self, op)
        else:
            self._compute(op)

    def item(self, value: Value) -> Pending:
        """The expression that stands for a value."""
        return self.context.items[self.context.uses.of(value)]

    def strong_item(self, value: Value) -> Pending:
        """The same with a dtype of its own, as arguments and results need it."""
        return strong(self.item(value), dtype_name(value.type.dtype))

    def _literal(self, op: Op) -> Pending:
        if op.kind == "constant":
            value = op.attributes["value"]
            assert isinstance(value, int | float)
            tree = number(value)
        else:
            tree = parse(self.context.size(Attributes(op.attributes).size("size").size))
        return Pending(tree, op.result.type.dtype, value=op.result, op=op, weak=True, literal=True)

    def _read(self, op: Op) -> Pending:
        path = keys_of(op.path())
        tree = subscript(self.frame.params, path) if op.kind == "parameter" else self.frame.state.old(path)
        return Pending(tree, op.result.type.dtype, value=op.result, op=op)

    def _set_state(self, op: Op) -> None:
        path = keys_of(op.path())
        item = self.strong_item(op.operands[0])
        if not item.plain or item.weak:
            item = self.spill(item, op, path[-1], FOREVER)
        self.frame.state.replace(path, item.tree(), [()])

    def _require(self, op: Op) -> None:
        attributes = Attributes(op.attributes)
        sides = [self.context.size(attributes.size(side).size) for side in ("left", "right")]
        condition = f" {attributes.text('operator')} ".join(sides)
        call = f"{self.context.program.use('require')}({condition}, {literal(attributes.text('message'))})"
        self.context.lines += [Line(line, op.span) for line in statement("", parse(call), self.indent)]

    def _compute(self, op: Op) -> None:
        if op.kind not in OPS:
            raise EmitError(f"the op `{op.kind}` is not in the table of ops", op.span)
        definition = OPS[op.kind]
        items = [self.item(value) for value in op.operands]
        if op.kind == "cast" and items[0].literal:
            call = ast.Call(parse(dtype_name(op.result.type.dtype)), [items[0].template], [])
            self.settle(op, Pending(call, op.result.type.dtype, value=op.result, op=op))
            return
        items = self._adapted(op, items) if definition.elementwise else [self._strong_of(i) for i in items]
        use = Instance(
            tuple(value.type for value in op.operands),
            Attributes(op.attributes),
            tuple(value.type for value in op.results),
        )
        marks = [f"_{at}" for at in range(len(items))]
        scope = OpScope(self.context, lambda: self.frame.key_at(self.context.program, op.path()))
        template = parse(definition.emit(use, marks, scope))
        if (part := self.context.parts.get(id(op))) is not None:
            template = parse(f"{scope.prelude('loop_product')}({', '.join(marks)}, {part})")
        weak = definition.elementwise and bool(items) and all(item.weak for item in items)
        heavy = not definition.elementwise and not isinstance(definition, Movement)
        self.settle(op, self._joined(op, template, dict(zip(marks, items, strict=True)), heavy, weak))

    def _strong_of(self, item: Pending) -> Pending:
        return strong(item, dtype_name(item.dtype))

    def _adapted(self, op: Op, items: list[Pending]) -> list[Pending]:
        """Python numbers stay as they are where JAX then computes in the dtype that the types say."""
        dtypes = [item.dtype for item in items]
        weak = [item.dtype for item in items if item.weak]
        if not weak:
            return items
        own = [item.dtype for item in items if not item.weak]
        as_declared = exact(combined(own, weak)) == declared(dtypes)
        computed = bool(own) or len(items) == 1 or op.kind in ("add", "subtract", "multiply", "minimum", "maximum")
        if as_declared and computed and not (op.kind in ("logical_not", "negate") and not own):
            return items
        return [self._strong_of(item) for item in items]

    def _joined(
        self, op: Op, template: ast.expr, operands: dict[str, Pending], heavy: bool, weak: bool = False
    ) -> Pending:
        """An op's expression, with operands that are too deep, or stand in it twice, put into statements before."""
        counts = dict.fromkeys(operands, 0)
        for node in ast.walk(template):
            if isinstance(node, ast.Name) and node.id in counts:
                counts[node.id] += 1
        until = self._settled_op(op)
        for name, item in operands.items():
            if not item.plain and counts[name] != 1:
                operands[name] = self.spill(item, op, None, until)
            elif item.depth >= MAX_DEPTH:
                self._cut(item, op, until)
        while heavy + sum(item.weight for item in operands.values()) > MAX_HEAVY:
            name = max(operands, key=lambda n: operands[n].weight)
            operands[name] = self.spill(operands[name], op, None, until)
        result = op.results[0] if len(op.results) == 1 else None
        if isinstance(template, ast.Name) and template.id in operands:
            return operands[template.id]
        dtype = op.results[0].type.dtype
        return Pending(template, dtype, operands, result, op, weak=weak, heavy=heavy)

    def _cut(self, item: Pending, op: Op, until: float) -> None:
        """Makes an expression less deep: what is deepest in it goes into statements before."""
        while item.depth >= MAX_DEPTH:
            name = max(item.operands, key=lambda n: item.operands[n].depth)
            item.operands[name] = self.spill(item.operands[name], item.op or op, None, until)

    def _settled_op(self, op: Op) -> float:
        return self._last[op.result] if self.nests(op) else self.now

    # Statements

    def settle(self, op: Op, item: Pending) -> None:
        """Keeps an expression for its only user, or gives it a name (several, for several results)."""
        if len(op.results) == 1 and self.nests(op):
            self.context.items[op.result] = item
            return
        if len(op.results) == 1 and isinstance(item.template, ast.Name) and not item.operands:
            self.names.keep(item.template.id, self.until(op.result))
            self.context.items[op.result] = replace(item, temporary=False)
            return
        self.bind(op, op.results, item)

    def bind(self, op: Op, results: Sequence[Value], item: Pending, extra: Sequence[str] = ()) -> None:
        """`a, b = …`: names for results, and `extra` names after them."""
        if len(results) == 1 and not extra:
            item = self._narrowed(op, results[0], item)
        targets = [*(self.target(op, value, item.weak) for value in results), *extra]
        comment = self._comment(op, results[0], targets[0]) if len(targets) == len(results) == 1 else ""
        self.emit(f"{', '.join(targets)} = ", item, op.span, comment)

    def _narrowed(self, op: Op, result: Value, item: Pending) -> Pending:
        """The expression, cut until it fits a line beside the name that it is likely to get."""
        return self._fitted(f"{hint(self, op, result)} = ", item)

    def target(self, op: Op, value: Value, weak: bool = False) -> str:
        """A name for a result that a statement gives; `_` for one that nobody uses."""
        if value not in self.context.uses.sites:
            return "_"
        name = self.names.take(hint(self, op, value), self.now, self.until(value))
        self.context.items[value] = named(name, value, weak)
        return name

    def spill(self, item: Pending, op: Op, wanted: str | None, until: float) -> Pending:
        """Puts an expression into a statement of its own, before the one that is being made."""
        source, value = item.op or op, item.value
        text = wanted or (hint(self, source, value, reuse=False) if value else "h")
        item = self._fitted(f"{text} = ", item)
        self.names.release(item.temporaries())
        name = self.names.take(text, self.now, until, beside=True)
        self.emit(f"{name} = ", item, source.span, self._comment(source, value, name) if value else "")
        return Pending(ast.Name(name, ast.Load()), item.dtype, value=value, op=item.op, weak=item.weak, temporary=True)

    def _fitted(self, prefix: str, item: Pending) -> Pending:
        """The expression with operands put into statements before, longest first, until it fits on a line."""
        until = self._needed(item)
        while not fits(prefix, item.tree(), self.indent) and item.nested:
            holder, name = self._cut_point(prefix, item)
            part = holder.operands[name]
            owner = part.op or item.op
            assert owner is not None, "only what an op computes is nested"
            holder.operands[name] = self.spill(part, owner, None, until)
        return item

    def _cut_point(self, prefix: str, item: Pending) -> tuple[Pending, str]:
        """The longest part that fits on a line of its own and leaves a line, else the longest operand."""
        excess = self.indent + len(prefix) + len(item.text) + len("x_2") - WIDTH
        room = WIDTH - self.indent - len("product_2 = ")
        lengths = [(len(h.operands[n].text), h, n) for h, n in item.inner()]
        good = [entry for entry in lengths if excess <= entry[0] <= room]
        direct = [(len(part.text), item, name) for name, part in item.nested.items()]
        _, holder, name = max(good or direct, key=lambda entry: entry[0])
        return holder, name

    def _needed(self, item: Pending) -> float:
        """Up to where an expression's operands are needed."""
        if item.op is not None and len(item.op.results) == 1 and item.op.result in self._last and self.nests(item.op):
            return self._last[item.op.result]
        return self.now

    def emit(self, prefix: str, item: Pending, span: Span | None, comment: str = "") -> None:
        """A statement, with a comment where there is room for it."""
        lines = statement(prefix, item.tree(), self.indent)
        room = len(lines) == 1 and len(lines[0]) + len(comment) + 4 <= WIDTH
        self.context.lines += [Line(line, span, comment if room else "") for line in lines]

    def line(self, text: str, span: Span | None = None) -> None:
        """A line of text."""
        self.context.lines.append(Line(" " * self.indent + text if text else "", span))

    def _comment(self, op: Op, value: Value, name: str) -> str:
        """The shape, where it is not the first operand's, or the value is the first of that name."""
        if value.type.rank == 0:
            return ""
        same = bool(op.operands) and op.operands[0].type == value.type
        known = name in self.context.commented
        self.context.commented.add(name)
        if same and (known or self.context.uses.name(value) is None):
            return ""
        return shape_comment(value.type)

    # Calls

    def _call(self, op: Op) -> None:
        program = self.context.program
        name, needs = callee(op), program.needs.functions[callee(op)]
        call, operands = self._call_tree(op)
        item = self._joined(op, call, operands, heavy=True) if op.results else Pending(call, ANY, operands)
        if not needs.changes:
            self.settle(op, item)
            return
        path = keys_of(op.path())
        text = self.names.take(f"{path[-1]}_state" if path else "new_state", self.now, FOREVER, beside=True)
        self.bind(op, op.results, item, [text])
        self.frame.state.replace(path, ast.Name(text, ast.Load()), program.needs.leaves[name])

    def _extern(self, op: Op) -> None:
        operands = {f"_{at}": self.strong_item(value) for at, value in enumerate(op.operands)}
        self.settle(op, self._joined(op, extern_call(op, operands), operands, heavy=True))

    def _call_tree(self, op: Op) -> tuple[ast.Call, dict[str, Pending]]:
        program = self.context.program
        name, needs, path = callee(op), program.needs.functions[callee(op)], keys_of(op.path())
        marks = [f"_{at}" for at in range(len(op.operands))]
        arguments: list[ast.expr] = []
        if needs.params:
            arguments.append(subscript(self.frame.params, path))
        if needs.state:
            arguments.append(self.frame.state.old(path))
        arguments += [ast.Name(mark, ast.Load()) for mark in marks]
        if needs.key:
            arguments.append(self.frame.key_at(program, op.path()))
        call = ast.Call(ast.Name(program.functions[name], ast.Load()), arguments, self._size_keywords(op))
        items = [self.strong_item(value) for value in op.operands]
        if "remat" in op.attributes:
            call = checkpointed_call(program, op, call)
        return call, dict(zip(marks, items, strict=True))

    def _size_keywords(self, op: Op) -> list[ast.keyword]:
        """The sizes that the callee cannot read off its inputs, as this function knows them."""
        program = self.context.program
        wanted = program.sizes[callee(op)]
        if not wanted:
            return []
        target = program.module.functions[callee(op)]
        bound = bind_sizes([v.type for v in target.inputs], [v.type.sizes for v in op.operands])
        return [ast.keyword(program.symbols[s], parse(self._bound_size(bound, s))) for s in wanted]

    def _bound_size(self, bound: dict[str, Dim], symbol: str) -> str:
        return self.context.size(bound.get(symbol, dim(symbol)))

    # Results

    def finish(self, prefix: str, template: ast.expr, operands: dict[str, Pending], comment: str = "") -> None:
        """`return …` over placeholders."""
        item = self._fitted(prefix, Pending(template, ANY, operands))
        self.emit(prefix, item, self._result_span(), comment)

    def _result_span(self) -> Span | None:
        """Where the first result was computed."""
        for value in self.region.results:
            definer = self.context.uses.definer.get(self.context.uses.of(value))
            if definer is not None:
                return definer.span
        return self.context.function.span
