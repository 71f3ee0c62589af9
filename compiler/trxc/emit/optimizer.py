"""`optimizer()` and `schedule(step)`: a recipe's tree of calls as optax text."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from ..ir.parameters import BoundParameter
from ..ir.patterns import matched, takes
from .errors import EmitError
from .expressions import literal, number, parse
from .initial import nested
from .layout import statement
from .lines import Line
from .recipe import Argument, Declared, EmitRecipe
from .scope import ProgramContext

_TARGET = re.compile(r"(optax|jax\.nn\.initializers):([A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z][A-Za-z0-9_]*)*)")
_POSITIONAL = ("learning_rate", "max_norm")


def schedules(recipe: EmitRecipe) -> list[Declared]:
    """The distinct schedules in the optimizer that are not part of another, in order."""
    found: list[Declared] = []

    def look(call: Declared) -> None:
        if call.is_schedule:
            if call not in found:
                found.append(call)
            return
        for _, value in call.arguments:
            for item in value if isinstance(value, tuple) else (value,):
                if isinstance(item, Declared):
                    look(item)

    look(recipe.optimizer)
    return found


def write_schedule(recipe: EmitRecipe) -> list[Line]:
    """`schedule(step)`, where there is just one."""
    found = schedules(recipe)
    if len(found) != 1:
        return []
    call = ast.Call(_tree(found[0], {}), [parse("step")], [])
    if len(found[0].arguments) > 2:
        first = statement("curve = ", call.func, 4)
        body = [*first, "    return curve(step)"]
    else:
        body = statement("return ", call, 4)
    lines = ("def schedule(step):", '    """The learning rate at a step."""', *body)
    return [Line(text, found[0].span) for text in lines]


def write_optimizer(program: ProgramContext, recipe: EmitRecipe, weights: Sequence[BoundParameter]) -> list[Line]:
    """`optimizer()`."""
    lines = ["def optimizer():", '    """How gradients become updates."""']
    found = schedules(recipe)
    known: dict[Declared, str] = {found[0]: "schedule"} if len(found) == 1 else {}
    if len(found) > 1:
        for at, call in enumerate(found, 1):
            known[call] = f"learning_rate_{at}"
            lines += statement(f"{known[call]} = ", _tree(call, {}), 4)
    tree = _tree(recipe.optimizer, known)
    if any(matched(recipe.freeze, weight) for weight in weights):
        lines += statement("update = ", tree, 4)
        choices = '{"train": update, "freeze": optax.set_to_zero()}'
        tree = parse(f"optax.multi_transform({choices}, labels())")
    tree = _with_l2(recipe, tree, weights)
    if recipe.loss_scale:
        tree = ast.Call(parse(program.use("dynamic_loss_scale")), [tree], [])
    return [Line(text, recipe.optimizer.span) for text in (*lines, *statement("return ", tree, 4))]


def write_labels(recipe: EmitRecipe, weights: Sequence[BoundParameter]) -> list[Line]:
    """`labels()`: which weights are trained; nothing where all are.

    Raises:
        EmitError: a pattern names no weight.
    """
    for pattern in (*recipe.freeze, *(pattern for pattern, _ in recipe.l2)):
        if not any(takes(pattern, weight) for weight in weights):
            raise EmitError(f"no weight is called `{pattern}`")
    if not any(matched(recipe.freeze, weight) for weight in weights):
        return []
    texts = {True: parse('"freeze"'), False: parse('"train"')}
    tree = collapsed([(w.path, texts[matched(recipe.freeze, w)]) for w in weights])
    lines = ["def labels():", '    """Which weights are trained, and which stay as they are."""']
    return [Line(text) for text in (*lines, *statement("return ", tree, 4))]


def collapsed(entries: Sequence[tuple[tuple[str, ...], ast.expr]]) -> ast.expr:
    """A nested dict as :func:`nested` makes it, with one value for a part that is the same all over."""
    return _collapse(nested(entries))


def _collapse(tree: ast.expr) -> ast.expr:
    if not isinstance(tree, ast.Dict):
        return tree
    values = [_collapse(value) for value in tree.values]
    first = values[0]
    if not isinstance(first, ast.Dict) and all(ast.dump(value) == ast.dump(first) for value in values):
        return first
    return ast.Dict(tree.keys, values)


def _with_l2(recipe: EmitRecipe, tree: ast.expr, weights: Sequence[BoundParameter]) -> ast.expr:
    """Adds the gradients of `weight * sum(w²)` before all else."""
    if not recipe.l2:
        return tree
    terms: list[ast.expr] = []
    for pattern, weight in recipe.l2:
        mask = collapsed([(w.path, ast.Constant(takes(pattern, w))) for w in weights])
        keywords = [] if isinstance(mask, ast.Constant) else [ast.keyword("mask", mask)]
        terms.append(ast.Call(parse("optax.add_decayed_weights"), [number(2 * weight)], keywords))
    return ast.Call(parse("optax.chain"), [*terms, tree], [])


def _tree(call: Declared, known: dict[Declared, str]) -> ast.expr:
    """A call of optax.

    Raises:
        EmitError: it is not one.
    """
    if call in known:
        return parse(known[call])
    arguments: list[ast.expr] = []
    keywords: list[ast.keyword] = []
    for at, (name, value) in enumerate(call.arguments):
        if not name or (at == 0 and name in _POSITIONAL):
            arguments.append(_argument(value, known))
        elif name.isidentifier():
            keywords.append(ast.keyword(name, _argument(value, known)))
        else:
            raise EmitError(f"`{name}` is no name of an argument")
    return ast.Call(parse(_function(call)), arguments, keywords)


def _function(call: Declared) -> str:
    if call.name == "chain" and call.target in ("", "optax:chain"):
        return "optax.chain"
    match = _TARGET.fullmatch(call.target)
    if match is None:
        raise EmitError(f"`{call.target}` of `{call.name}` is neither of optax nor of jax.nn.initializers")
    return f"{match[1]}.{match[2]}"


def _argument(value: Argument, known: dict[Declared, str]) -> ast.expr:
    if isinstance(value, Declared):
        return _tree(value, known)
    if isinstance(value, tuple):
        return ast.Tuple([_argument(item, known) for item in value], ast.Load())
    if isinstance(value, int | float):
        return number(value)
    return parse(literal(value))
