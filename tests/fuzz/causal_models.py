"""Random causal models as text, and what is left of them when one of their parts looks ahead.

Embeddings with one way or another of telling places, one to four layers that mix them, and a head; some have an
encoder's side, some more outputs than the one that is generated from.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from .causal_layers import ACROSS, BEYOND, LOCAL, MIXERS, draw, normalised
from .causal_parts import EMBED, Break, Layer

BEYOND_SHARE = 0.04
"""So many models have a layer that decoding cannot be derived for today."""

STATEMENTS: list[tuple[str, str]] = [
    ("a mean over time", "x = x - mean(x, over = 1, keep = true)"),
    ("a mean over time", "x = x + mean(x, over = seq)[:, none, :]"),
    ("a softmax over time", "x = x + softmax(x, over = 1)"),
    ("a norm over time", "x = (x - mean(x, over = 1, keep = true)) * rsqrt(variance(x, over = 1, keep = true) + 0.1)"),
    ("a norm over time", "x = x |> InstanceNorm"),
    ("the last place", "x = x + x[:, -1:]"),
    ("the last place", "x = x + x[:, -1][:, none, :]"),
    ("a reversed sequence", "x = x + reverse(x, over = 1)"),
    ("a sorted sequence", "x = sort(x, over = 1)"),
    ("a total from the end", "x = x + 0.1 * reverse(cumsum(reverse(x, over = 1), over = 1), over = 1)"),
    ("a place moved up", "x = x + pad(x[:, 1:], [0, 0, 0], [0, 1, 0])"),
    ("a roll", "x = x + roll(x, -1, over = 1)"),
    ("a pool over neighbours", 'x = x + max_pool(x, 3, 1, "same")'),
    ("a pool over neighbours", 'x = x + (x |> AvgPool(3, stride = 1, padding = "same"))'),
    ("a convolution both ways", "x = x + (x |> Conv(8, 3))"),
    ("a recurrence backwards", "x = x |> GRU(8, reverse = true)"),
    ("no mask", "x = x |> residual(SelfAttention(2))"),
    ("the length", "x = x / cast(seq, float)"),
    ("all with all", 'x = x + einsum("b s d, b t d, b t e -> b s e", x, tanh(x), tanh(x))'),
    ("a sum over time", 'x = x + einsum("b s d, b t e, d e -> b s e", x, tanh(x), full([8, 8], 0.1))'),
]  # fmt: skip
"""Statements that look ahead, to stand anywhere among a model's own; and their kinds."""

WITHIN = {"InstanceNorm": "mu = ", "AvgPool": "output avg_pool(", "Conv(8": "y = conv(", "GRU": "output x |> recur(",
          "SelfAttention": "mixed = "}  # fmt: skip
"""How the line of a library's layer begins that is complained about."""


@dataclass(frozen=True)
class Broken:
    """A model that looks ahead: how, in which lines that is written, and how a library's own line for it begins."""

    kind: str
    text: str
    lines: frozenset[int]
    within: str


@dataclass
class CausalModel:
    """A model by its parts. `beyond` names what decoding cannot be derived for today, if there is such a layer."""

    seed: int
    layers: list[Layer]
    statements: list[str]
    source: bool

    @property
    def text(self) -> str:
        """The program."""
        return self._written([layer.text for layer in self.layers], self.statements)

    @property
    def kinds(self) -> list[str]:
        """The kinds of its layers."""
        return sorted({layer.kind for layer in self.layers})

    @property
    def beyond(self) -> bool:
        """Whether it is more than can be asked for today."""
        return any(layer.beyond for layer in self.layers)

    def _written(self, texts: list[str], statements: list[str]) -> str:
        uses = sorted({use for layer in self.layers for use in layer.uses})
        head = [f"use std.attention ({', '.join(uses)})\n"] if uses else []
        inputs = "tokens: int[batch, seq]" + (", source: int[batch, source_len]" if self.source else "")
        body = "\n  ".join([f"input {inputs}", *self._needs(statements), *statements])
        return "".join(
            [*head, *dict.fromkeys(texts), f"model M(vocab: int = 11, embed: int = {EMBED}) {{\n  {body}\n}}\n"]
        )

    def _needs(self, statements: list[str]) -> list[str]:
        shortest = max([layer.shortest for layer in self.layers] + [2 * any("[:, 1:]" in line for line in statements)])
        return [f"require seq >= {shortest}"] if shortest > 1 else []

    def broken_layers(self) -> Iterator[Broken]:
        """The model with one of its layers looking ahead, for every layer and every way that there is."""
        for at, layer in enumerate(self.layers):
            for change in layer.breaks:
                if broken := self._with(at, layer, change):
                    yield broken

    def broken_statements(self) -> Iterator[Broken]:
        """The model with a statement that looks ahead, somewhere among its own."""
        places = [at for at, line in enumerate(self.statements) if line.startswith("x = ")]
        for number, (kind, line) in enumerate(STATEMENTS):
            at = places[(self.seed + number) % len(places)] + 1
            statements = [*self.statements[:at], line, *self.statements[at:]]
            within = next((begins for used, begins in WITHIN.items() if used in line), "")
            yield self._compared(kind, [layer.text for layer in self.layers], statements, within, line)

    def _with(self, at: int, layer: Layer, change: Break) -> Broken | None:
        texts, statements = [each.text for each in self.layers], list(self.statements)
        if change.old in layer.text:
            texts = [text.replace(change.old, change.new) if text == layer.text else text for text in texts]
        else:
            found = [number for number, line in enumerate(statements) if layer.applied in line and change.old in line]
            if not found:
                return None
            statements[found[0]] = statements[found[0]].replace(change.old, change.new)
        return self._compared(change.kind, texts, statements, change.within, change.new)

    def _compared(self, kind: str, texts: list[str], statements: list[str], within: str, new: str) -> Broken:
        text, known = self._written(texts, statements), set(self.text.splitlines())
        lines = [number for number, line in enumerate(text.splitlines(), 1) if line not in known]
        lines = [number for number in lines if new in text.splitlines()[number - 1]] or lines
        return Broken(kind, text, frozenset(lines), within)


def causal_model(seed: int, *, most: int = 4) -> CausalModel:
    """The model of a seed, with so many mixing layers at most."""
    rng = random.Random(seed)
    source = rng.random() < 0.15
    begin, tied = _begin(rng)
    statements, layers = [*_source_side(rng, source), begin], list[Layer]()
    for number in range(rng.randint(1, most)):
        _mix(rng, number, layers, statements, source)
    if rng.random() < BEYOND_SHARE:
        layer = draw(rng, BEYOND, "Beyond")
        layers.append(layer)
        statements.append(f"x = x |> residual({layer.applied})")
    statements += _end(rng, tied)
    return CausalModel(seed, layers, statements, source)


def _begin(rng: random.Random) -> tuple[str, bool]:
    """Embeddings, and whether the head shares them."""
    places = rng.choice(["", "", " >> Positions(16)", " >> Positions(16)", " >> Sinusoids", " >> Sinusoids(100.0)"])
    tied = rng.random() < 0.25
    if tied:
        return f"table = Embedding(vocab, embed)\n  x = tokens |> table{places}", True
    return f"x = tokens |> Embedding(vocab, embed){places}", False


def _source_side(rng: random.Random, source: bool) -> list[str]:
    if not source:
        return []
    layers = rng.choice([" |> EncoderBlock(2, ratio = 2)",
                         " |> repeat(2, EncoderBlock(2, ratio = 2, mask = source != 0))",
                         " |> bidirectional(LSTM(4), LSTM(4))", ""])  # fmt: skip
    return [f"memory = source |> Embedding(vocab, embed){rng.choice(['', ' |> Sinusoids'])}{layers}"]


def _mix(rng: random.Random, number: int, layers: list[Layer], statements: list[str], source: bool) -> None:
    """One or several layers, in one of the ways that layers are put together."""
    across = source and not any(layer.source for layer in layers)
    layer = draw(rng, ACROSS if across else MIXERS, f"Mix{number}")
    kind = layer.kind
    local = draw(rng, LOCAL, f"Local{number}")
    layers += [layer, local]
    one, other = normalised(rng, layer).applied, normalised(rng, local).applied
    form = rng.choice(["one", "one", "pair", "pair", "stack", "stack", "written", "branch", "joined", "shared"])
    if form == "shared" and " >> " in layer.applied:
        form = "one"
    turns = rng.choice([2, 2, 3])
    if kind == "library block" or kind == "cross-attention":
        one = layer.applied
    applied = {
        "one": one,
        "pair": f"{one} >> {other}",
        "stack": f"repeat({turns}, {one} >> {other})",
        "written": " >> ".join([f"{one} >> {other}"] * rng.choice([2, 4])),
        "branch": f"branch({layer.applied}, {local.applied}) >> add",
        "joined": f"branch({one}, {other}) >> concat >> Dense(embed)",
        "shared": f"f{number} >> tanh >> f{number}",
    }[form]
    if form == "shared":
        statements.append(f"f{number} = {layer.applied}")
    if form in ("one", "shared"):
        layers.remove(local)
    if rng.random() < 0.15:
        applied = f"{applied} >> BatchNorm"
    statements.append(f"x = x |> {applied}")


def _end(rng: random.Random, tied: bool) -> list[str]:
    """The head, and other outputs beside it."""
    statements = [f"x = x |> {rng.choice(['LayerNorm', 'RMSNorm'])}"] if rng.random() < 0.7 else []
    head = "table.attend(x)" if tied else rng.choice(["x |> Dense(vocab)", "x |> Dense(vocab, bias = false)"])
    outputs = [f"output logits: float[batch, seq, vocab] = {head}"]
    if rng.random() < 0.25:
        extra = rng.choice(["output features = x", "output score = mean(x, over = seq) |> Dense(1)",
                            "output chances = softmax(x |> Dense(vocab), over = -1)",
                            "output last = x[:, -1]"])  # fmt: skip
        outputs.insert(rng.randint(0, 1), extra)
    return statements + outputs
