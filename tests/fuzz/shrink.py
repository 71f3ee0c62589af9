"""A program or module that fails, made small: parts of it go as long as it fails in the same way."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from trxc.ir import Function, Module, Op, Value
from trxc.ir.clone import clone_module
from trxc.ir.parameters import READS
from trxc.ir.verify import verify
from trxc.ir.walk import count_uses, placed_ops, reachable, regions, replace

_SMALLER = [
    (re.compile(r"repeat\((\d+), "), lambda m: "repeat(1, "),
    (re.compile(r" >> [A-Za-z]\w*(\([^()]*\))?"), lambda m: ""),
    (re.compile(r"(residual|repeat)\((?:\d+, )?([A-Za-z]\w*(?:\([^()]*\))?)\)"), lambda m: m.group(2)),
    (re.compile(r"= .*\b(v\d+)\b.*"), lambda m: f"= {m.group(1)}"),
    (re.compile(r"\b(?:tanh|sigmoid|abs|exp|relu|gelu|sin|cos)\((\w+)\)"), lambda m: m.group(1)),
    (re.compile(r" [-+*/] [\w.]+"), lambda m: ""),
]  # fmt: skip


def shrink(text: str, fails: Callable[[str], bool], *, attempts: int = 600) -> str:
    """The smallest program found that `fails`, by dropping items and statements and simplifying what is left."""
    changed = True
    while changed and attempts > 0:
        changed = False
        for smaller in _candidates(text):
            attempts -= 1
            if fails(smaller):
                text, changed = smaller, True
                break
            if attempts <= 0:
                break
    return text


def _candidates(text: str) -> Iterator[str]:
    items = re.split(r"\n(?=(?:layer|fn|model|data|train) )", text)
    for at, item in enumerate(items):
        if item.lstrip().startswith(("layer", "fn")):
            yield "\n".join(items[:at] + items[at + 1 :])
    lines = text.split("\n")
    for size in (8, 4, 2, 1):
        for at in range(len(lines) - size, -1, -1):
            if all(line.startswith("  ") and "input" not in line for line in lines[at : at + size]):
                yield "\n".join(lines[:at] + lines[at + size :])
    for at in range(len(lines) - 1, -1, -1):
        for pattern, smaller in _SMALLER:
            for match in pattern.finditer(lines[at]):
                line = lines[at][: match.start()] + smaller(match) + lines[at][match.end() :]
                if line != lines[at]:
                    yield "\n".join([*lines[:at], line, *lines[at + 1 :]])


# ------------------------------------------------------------------------------ modules


def shrink_module(module: Module, fails: Callable[[Module], bool], *, attempts: int = 400) -> Module:
    """The smallest module found that `fails`: roles go, and ops give way to values of their type from before them."""
    changed = True
    while changed and attempts > 0:
        changed = False
        for smaller in _smaller_modules(module):
            attempts -= 1
            if not verify(smaller) and fails(smaller):
                module, changed = smaller, True
                break
            if attempts <= 0:
                break
    return module


def _smaller_modules(module: Module) -> Iterator[Module]:
    copy = clone_module(module)
    if sum(map(_forget_unread, copy.functions.values())):  # all of them
        yield copy
    for role in [role for role in module.roles if role != "apply"]:
        copy = clone_module(module)
        del copy.roles[role]
        yield swept(copy)
    for name in reversed(list(module.functions)):
        for at, op in reversed(list(enumerate(module.functions[name].body.walk()))):
            if op.kind == "set_state":
                yield _without(module, name, at, None)
            if len(op.results) == 1:
                yield from (_without(module, name, at, index) for index in range(_fitting(module, name, op)))


def _forget_unread(function: Function) -> bool:
    """Drops the weights and states that a function does not read itself; whether there were any."""
    read = {placed.path for placed in placed_ops(function) if placed.op.kind in READS}
    unread = [path for path in function.parameters if path not in read]
    for path in unread:
        del function.parameters[path]
    return bool(unread)


def _fitting(module: Module, name: str, op: Op) -> int:
    return len(_earlier(module, name, op))


def _earlier(module: Module, name: str, op: Op) -> list[Value]:
    """Operands of an op, and inputs of its function, that could stand for its result."""
    wanted = op.result.type
    values = [*op.operands, *module.functions[name].inputs]
    return list(dict.fromkeys(v for v in values if (v.type.dtype, v.type.sizes) == (wanted.dtype, wanted.sizes)))


def _without(module: Module, name: str, at: int, index: int | None) -> Module:
    copy = clone_module(module)
    body = copy.functions[name].body
    op = list(body.walk())[at]
    if index is not None:
        replace(body, {op.result: _earlier(copy, name, op)[index]})
    for region in regions(body):
        region.ops[:] = [other for other in region.ops if other is not op]
    return swept(copy)


def swept(module: Module) -> Module:
    """Without ops that nobody uses, but for those that keep something, and without functions that nobody calls."""
    for function in module.functions.values():
        before = -1
        while (count := sum(1 for _ in function.body.walk())) != before:
            before, uses = count, count_uses(function.body)
            for region in regions(function.body):
                region.ops[:] = [op for op in region.ops if any(uses[v] for v in op.results) or _keeps(op)]
    kept = reachable(module)
    module.functions = {name: function for name, function in module.functions.items() if name in kept}
    return module


def _keeps(op: Op) -> bool:
    return op.kind in ("set_state", "call") or any(_keeps(inner) for region in op.regions for inner in region.ops)
