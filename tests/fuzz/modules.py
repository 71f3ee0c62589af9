"""Random modules: IR written directly, so that a program costs no parsing and no elaboration.

A module has a model and, for it, a loss and a measure. Most pieces are in the forms that passes look for, or differ
from them in one detail; sizes are small.
"""

from __future__ import annotations

import random

from trxc.ir import Function, Module, Value
from trxc.ir.ir import Region
from trxc.types import BOOL, INT, TensorType

from . import pieces
from .attending import CLASSES, cross_entropy
from .building import BATCH, SEQ, WIDTH, Code, sequence_type
from .looping import INNER, STRUCTURE, Piece

PIECES: list[tuple[float, Piece]] = [*INNER, *STRUCTURE, (0.5, pieces.twice), (0.3, pieces.steps)]


def make_module(seed: int, *, smooth: bool = False) -> Module:
    """The module of a seed; with `smooth`, its values do not jump by rounding."""
    module = Module(f"seed_{seed}")
    head, tied = random.Random(seed).choice([("plain", False), ("plain", False), ("logits", False), ("logits", True)])
    model = _model(module, seed, head, tied, smooth, training=False)
    trained = model
    if any(not parameter.trainable for f in module.functions.values() for parameter in f.parameters.values()):
        trained = _model(module, seed, head, tied, smooth, training=True)
    module.roles["apply"] = model.name
    _loss(module, seed, trained, head)
    if seed % 4 == 0:
        _measure(module, model)
    return module


def _code(module: Module, seed: int, name: str) -> Code:
    ids, mask = TensorType(INT, (BATCH, SEQ)), TensorType(BOOL, (BATCH, SEQ))
    inputs = [("x", sequence_type()), ("ids", ids), ("mask", mask)]
    arguments = [Value(type_, label) for label, type_ in inputs]
    body = Region(arguments)
    return Code(random.Random(seed), module, Function(name, body), body, around=list(arguments))


def _model(module: Module, seed: int, head: str, tied: bool, smooth: bool, *, training: bool) -> Function:
    c = _code(module, seed, "m_train" if training else "m")
    c.training, c.smooth = training, smooth
    x, ids, _ = c.region.arguments
    if tied:
        table = c.weight("table", CLASSES, WIDTH)
        x = c("add", x, c("gather", table, ids, along=0))
    y = x
    for _ in range(c.rng.randint(1, 3 if smooth else 4)):  # XLA takes longest, by far
        (piece,) = c.rng.choices([p for _, p in PIECES], [weight for weight, _ in PIECES])
        y = piece(c, y)
        c.around.append(y)
    y = _logits(c, y, tied) if head == "logits" else c("tanh", y)
    function = c.finish(y)
    function.output_names = ["y"]
    return function


def _logits(c: Code, x: Value, tied: bool) -> Value:
    if not tied:
        form = c.rng.choice(["product", "biased", "einsum"])
        if form == "einsum":
            return c("einsum", x, c.weight("head", CLASSES, WIDTH), pattern="b s d, v d -> b s v")
        logits = c("matmul", x, c.weight("head", WIDTH, CLASSES))
        return c("add", logits, c.weight("bias", CLASSES)) if form == "biased" else logits
    table = c.read("table")
    if c.rng.random() < 0.5:
        return c("einsum", x, table, pattern="b s d, v d -> b s v")
    return c("matmul", x, c("transpose", table, order=(1, 0)))


def _loss(module: Module, seed: int, model: Function, head: str) -> None:
    c = _code(module, seed + 1, "loss")
    y = c.call(model, *c.region.arguments)[0]
    _, ids, mask = c.region.arguments
    loss = cross_entropy(c, y, ids, mask) if head == "logits" else c("mean", c("multiply", y, y), over=(0, 1, 2))
    function = c.finish(loss)
    function.output_names = ["loss"]
    module.roles["loss"] = function.name


def _measure(module: Module, model: Function) -> None:
    c = _code(module, 0, "measure")
    y = c.call(model, *c.region.arguments)[0]
    function = c.finish(c("mean", y, over=(0, 1, 2)), c("max", y, over=(0, 1, 2)))
    function.output_names = ["first", "second"]
    module.roles["measure"] = function.name
