"""Names and random keys of slices that are stored together, and yet named and drawn as if each stood by itself."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..ir import Op, Path, Region
from ..ir.walk import Loop, slice_names, stack_count
from .expressions import parse
from .scope import Frame, FunctionContext, ProgramContext, fold_steps, plain_tail, turned

_NUMBERED = re.compile(r"(.+)_([1-9][0-9]*)")


def numbers(values: Sequence[int]) -> ast.expr:
    """`range(1, 7, 2)` where that is what they are, else a tuple."""
    step = values[1] - values[0] if len(values) > 1 else 1
    whole = range(values[0], values[0] + (step or 1) * len(values), step or 1)
    return parse(repr(whole if list(whole) == list(values) else tuple(values)))


def name_list(program: ProgramContext, names: Sequence[str], head: str | ast.expr = "", rest: str = "") -> ast.expr:
    """The names, `head` before and `rest` after each; short where they are numbered: `block`, `block_2`, `block_3`."""
    matches = [_NUMBERED.fullmatch(name) for name in names]
    stems = [match[1] if match else name for name, match in zip(names, matches, strict=True)]
    counted = [int(match[2]) if match else 1 for match in matches]
    spelt = [stem if number == 1 else f"{stem}_{number}" for stem, number in zip(stems, counted, strict=True)]
    if len(set(stems)) == 1 and spelt == list(names):
        arguments = [_text(head, stems[0]), numbers(counted), *([ast.Constant(rest)] if rest else [])]
        return ast.Call(parse(program.use("numbered")), arguments, [])
    return ast.List([_text(head, name + rest) for name in names], ast.Load())


def _text(head: str | ast.expr, text: str) -> ast.expr:
    if isinstance(head, str):
        return ast.Constant(head + text)
    return ast.JoinedStr([ast.FormattedValue(head, -1), ast.Constant(text)])


@dataclass(frozen=True)
class SliceKeys:
    """The random keys inside an iteration whose slice has a name of its own, by the path of what draws.

    Each is a name for the key that the loop walks over, and the steps that are still to be folded into it.
    """

    keys: dict[Path, tuple[ast.expr, Sequence[str | int]]]
    root: Path = ()

    def below(self, path: Path) -> SliceKeys:
        """Those of what stands below a path."""
        return SliceKeys(self.keys, self.root + path)

    def at(self, program: ProgramContext, path: Path) -> ast.expr:
        """The key of what stands at a path."""
        key, steps = self.keys[self.root + path]
        return program.folded(key, steps)


def stacked_keys(context: FunctionContext, op: Op, frame: Frame) -> tuple[ast.expr, SliceKeys]:
    """What a loop whose slices have names of their own walks over to draw, and the keys that its iterations take of it.

    Args:
        context: the function that is being written.
        op: a `repeat` with names.
        frame: where the loop stands, outside of any other whose slices have names; notes what is drawn.
    """
    program, loop = context.program, Loop(op.path(), stack_count(op), slice_names(op))
    stacks: dict[str, ast.expr] = {}
    found: dict[Path, tuple[str, Sequence[str | int]]] = {}
    for path, turn in _drawing(context, op.regions[0]):
        drawn = loop.path + path
        label, stack, after = _stack(program, loop, turned(path, frame.drawn[drawn]), frame.key)
        frame.drawn[drawn] += 1
        stacks.setdefault(label, stack)
        found[turned(path, turn)] = label, after
    name = ast.Name("key", ast.Load())
    if len(stacks) == 1:
        (walked,) = stacks.values()
        return walked, SliceKeys({path: (name, after) for path, (_, after) in found.items()})
    walked = ast.Dict([ast.Constant(label) for label in stacks], list(stacks.values()))
    parts = {label: ast.Subscript(name, ast.Constant(label), ast.Load()) for label in stacks}
    return walked, SliceKeys({path: (parts[label], after) for path, (label, after) in found.items()})


def _stack(program: ProgramContext, loop: Loop, path: Path, key: ast.expr) -> tuple[str, ast.expr, Sequence[str | int]]:
    """The keys of what stands at a path in each slice, a label for them, and what is to be folded into each."""
    over, names = loop.renaming(path) or (0, tuple(f"{loop.path[-1]}[{at}]" for at in range(loop.count)))
    prefix, rest = loop.path[:-1], path[over:]
    steps = [fold_steps((*prefix, name, *rest)) for name in names]
    same = next(at for at, step in enumerate(steps[0]) if step != steps[1][at])
    outer, (mine, *after) = program.folded(key, steps[0][:same]), steps[0][same:]
    if isinstance(mine, int):
        counted = numbers([int(step[same]) for step in steps])
        return names[0], ast.Call(parse(program.use("indexed_keys")), [outer, counted], []), after
    head = "".join(f"{segment}." for segment in plain_tail(prefix))
    texts = name_list(program, names, head, mine[len(head + names[0]) :])
    return mine[len(head) :], ast.Call(parse(program.use("folds")), [outer, texts], []), after


def _drawing(context: FunctionContext, region: Region, root: Path = ()) -> Iterator[tuple[Path, int]]:
    """The paths of what takes a key in a region, and how often each did before, as :meth:`Frame.key_at` counts it."""
    turns: Counter[Path] = Counter()
    for op in region.ops:
        if id(op) not in context.uses.live or not context.program.needs.op(op).key:
            continue
        path = root + (op.path() if "path" in op.attributes else ())
        if op.kind == "cond":
            for inner in op.regions:
                yield from _drawing(context, inner, path)
            continue
        yield path, turns[path]
        turns[path] += 1
