"""Expressions that wait for the statement that they will stand in."""

from __future__ import annotations

import ast
import copy
from dataclasses import dataclass, field

from ..ir import Op, Value
from ..types import DType
from .expressions import flat, is_plain, parse, substitute

MAX_DEPTH = 3
MAX_HEAVY = 2


@dataclass(eq=False)
class Pending:
    """An expression over placeholders, and the expressions that stand for them.

    `weak`: it is a Python number, or computed from such alone, and takes the dtype of what it meets. `temporary`: it is
    a name that stands for an expression of one user only.
    """

    template: ast.expr
    dtype: DType
    operands: dict[str, Pending] = field(default_factory=dict[str, "Pending"])
    value: Value | None = None
    op: Op | None = None
    weak: bool = False
    literal: bool = False
    heavy: bool = False
    temporary: bool = False

    def tree(self) -> ast.expr:
        """The expression with everything in its place."""
        if not self.operands:
            return self.template
        values = {name: item.tree() for name, item in self.operands.items()}
        return substitute(copy.deepcopy(self.template), values)

    @property
    def nested(self) -> dict[str, Pending]:
        """The operands that are computed in place."""
        return {name: item for name, item in self.operands.items() if not item.plain}

    @property
    def plain(self) -> bool:
        """Whether it is a name, a literal or a weight: nothing that is computed."""
        return not self.operands and (self.literal or is_plain(self.template))

    def inner(self) -> list[tuple[Pending, str]]:
        """Everything computed in place, at any depth: what it is an operand of, and as which."""
        found = [(self, name) for name in self.nested]
        return found + [pair for item in self.nested.values() for pair in item.inner()]

    @property
    def depth(self) -> float:
        """How many computations are nested in each other; an operator counts half a call."""
        if self.plain:
            return 0
        own = 0.5 if isinstance(self.template, ast.BinOp | ast.UnaryOp | ast.Compare) else 1
        return own + max((item.depth for item in self.operands.values()), default=0)

    @property
    def weight(self) -> int:
        """How many of its computations are more than elementwise."""
        return self.heavy + sum(item.weight for item in self.operands.values())

    def temporaries(self) -> list[str]:
        """The names in it that nothing else reads."""
        if self.temporary and isinstance(self.template, ast.Name):
            return [self.template.id]
        return [name for item in self.operands.values() for name in item.temporaries()]

    @property
    def text(self) -> str:
        """The expression on one line."""
        return flat(self.tree())


def named(name: str, value: Value, weak: bool = False) -> Pending:
    """A value that has a name."""
    return Pending(ast.Name(name, ast.Load()), value.type.dtype, value=value, weak=weak)


def strong(item: Pending, dtype_text: str) -> Pending:
    """`jnp.float32(…)` of a number without a dtype of its own."""
    if not item.weak:
        return item
    call = ast.Call(parse(dtype_text), [item.template], [])
    return Pending(call, item.dtype, item.operands, item.value, item.op)
