"""Random texts for the formatter: every form of the grammar, and layouts that nobody would write."""

from __future__ import annotations

import random
from collections.abc import Callable

from trxc.source import Source
from trxc.syntax.index import split_items
from trxc.syntax.layout import CLOSERS, OPENERS, lay_out, match_brackets
from trxc.syntax.tables import load_tables
from trxc.syntax.tokens import END, NEWLINE, Token, tokenize

NAMES = ("x", "y", "heads", "batch", "data", "train", "input", "state", "next_value", "for_all", "a_rather_long_name",
         "source", "model", "mesh", "use", "Dense", "LayerNorm")  # fmt: skip
ATOMS = ("0", "1_000", "2.5e-3", '"text"', '"# no comment"', r'"\" \u{1F600} 文"', "true", "none", "next h", "()", "[]")
OPERATORS = ("+", "-", "*", "/", "//", "%", "@", "^", "==", "!=", "<", "<=", ">", ">=", "and", "or")
JOINS = frozenset({"PIPE", "COMPOSE", "ADD", "MULTIPLY", "COMPARE", "CIRCUMFLEX", "EQUAL", "COMMA", "ARROW",
                   "FAT_ARROW", "LBRACE"})  # fmt: skip
JOINED = frozenset({"PIPE", "COMPOSE", "RBRACE"})


class Writer:
    """Writes random programs that are well-formed, and mean nothing."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def file(self) -> str:
        forms = [self.use, self.const, self.function, self.layer, self.layer, self.extern, self.record, self.record]
        return "\n".join(self.rng.choice(forms)() for _ in range(self.rng.randint(0, 5))) + "\n"

    def name(self) -> str:
        return self.rng.choice(NAMES)

    def some(self, form: Callable[[], str], least: int = 0, most: int = 3) -> str:
        return ", ".join(form() for _ in range(self.rng.randint(least, most)))

    def maybe(self, text: str) -> str:
        return self.rng.choice(["", text])

    # ------------------------------------------------------------ expressions

    def expression(self, depth: int = 3) -> str:
        if depth == 0 or self.rng.random() < 0.15:
            return self.rng.choice([self.name(), self.name(), *ATOMS])
        forms = [self.chain, self.binary, self.unary, self.choice, self.call, self.call, self.attribute, self.index]
        forms += [self.parenthesised, self.tuple, self.list, self.comprehension, self.composition_with_lambda]
        return self.rng.choice(forms)(depth - 1)

    def operand(self, depth: int) -> str:
        return f"({self.expression(depth)})" if self.rng.random() < 0.3 else self.atom(depth)

    def atom(self, depth: int) -> str:
        forms = [self.call, self.attribute, self.index, self.parenthesised, self.list]
        return self.rng.choice(forms)(depth - 1) if depth > 0 else self.name()

    def chain(self, depth: int) -> str:
        parts = [self.operand(depth)]
        for _ in range(self.rng.randint(1, 5)):
            parts += [self.rng.choice(["|>", ">>"]), self.operand(depth)]
        return " ".join(parts)

    def composition_with_lambda(self, depth: int) -> str:
        return f"({self.operand(depth)} >> fn({self.some(self.name)}) => {self.expression(depth)})"

    def binary(self, depth: int) -> str:
        parts = [self.operand(depth)]
        for _ in range(self.rng.randint(1, 4)):
            operator = self.rng.choice(OPERATORS)
            parts = ["(", *parts, ")"] if operator in ("==", "!=", "<", "<=", ">", ">=", "^") else parts
            parts += [operator, self.operand(depth)]
        return f"({' '.join(parts)})"

    def unary(self, depth: int) -> str:
        return f"({self.rng.choice(['-', '+', 'not', '- -'])} {self.operand(depth)})"

    def choice(self, depth: int) -> str:
        more = self.rng.randint(0, 2)
        start = "".join(f"if {self.operand(depth)} {{ {self.expression(depth)} }} else " for _ in range(more + 1))
        return f"({start}{{ {self.expression(depth)} }})"

    def argument(self, depth: int) -> str:
        return self.rng.choice(["", f"{self.name()} = "]) + self.expression(depth)

    def call(self, depth: int) -> str:
        return f"{self.atom(depth)}({self.some(lambda: self.argument(depth), 0, 4)})"

    def attribute(self, depth: int) -> str:
        return f"{self.atom(depth)}.{self.rng.choice([self.name(), '{' + self.some(self.name, 1) + '}'])}"

    def index(self, depth: int) -> str:
        items = [lambda: self.expression(depth), lambda: f"{self.maybe('x')}:{self.maybe('-1')}", lambda: "..."]
        return f"{self.atom(depth)}[{self.some(self.rng.choice(items), 1)}]"

    def parenthesised(self, depth: int) -> str:
        return f"({self.expression(depth)})"

    def tuple(self, depth: int) -> str:
        one = self.expression(depth)
        return self.rng.choice(
            [f"({one},)", f"({one}, {self.some(lambda: self.expression(depth), 1)}{self.maybe(',')})"]
        )

    def list(self, depth: int) -> str:
        return f"[{self.some(lambda: self.expression(depth), 1, 6)}{self.maybe(',')}]"

    def comprehension(self, depth: int) -> str:
        condition = self.maybe(f" if {self.operand(depth)}")
        return f"[{self.expression(depth)} for {self.name()} in {self.operand(depth)}{condition}]"

    # ------------------------------------------------------------------ types

    def type(self) -> str:
        dims = self.some(lambda: self.rng.choice(["...", "...rest", "4 * x", self.name()]))
        return self.name() + self.rng.choice(["", f"[{dims}]"]) + self.maybe("?")

    def parameter(self) -> str:
        return self.name() + self.maybe(f": {self.type()}") + self.maybe(f" = {self.expression(1)}")

    def parameters(self) -> str:
        return f"({self.some(self.parameter, 0, 8)})"

    def signature(self) -> str:
        return f"{self.name()}: {self.type()}" + self.maybe(f" = {self.expression(1)}")

    # ------------------------------------------------------------------ items

    def use(self) -> str:
        path = self.rng.choice(['"other.trx"', "std.attention"])
        return f"use {path} {self.maybe(f'({self.some(self.name, 1, 9)})')} {self.maybe('as y')}"

    def const(self) -> str:
        return f"const {self.name()} {self.maybe(f': {self.type()}')} = {self.expression()}"

    def function(self) -> str:
        return f"fn {self.name()}{self.parameters()} {self.maybe(f'-> {self.type()}')} = {self.expression()}"

    def layer(self) -> str:
        head = f"{self.rng.choice(['layer', 'model'])} {self.name()}{self.maybe(self.parameters())}"
        return f"{head} = {self.expression()}" if self.rng.random() < 0.3 else f"{head} {self.body()}"

    def extern(self) -> str:
        yields = self.maybe(f"-> {self.some(self.signature, 1, 4)}")
        body = self.maybe(f"{{\ninput {self.some(self.signature, 1)}\noutput {self.some(self.signature, 1)}\n}}")
        arguments = self.maybe(f"({self.some(lambda: self.argument(1), 0, 5)})")
        return f'extern layer {self.name()}{self.maybe(self.parameters())} {yields} from "m:f" {arguments} {body}'

    def body(self, depth: int = 2) -> str:
        return "{\n" + "\n".join(self.statement(depth) for _ in range(self.rng.randint(0, 4))) + "\n}"

    def statement(self, depth: int) -> str:
        name, value, kind = self.name(), self.expression(), f"{self.name()}: {self.type()}"
        forms = [f"input {self.some(self.signature, 1, 5)}", f"output {value}", f"output {kind} = {value}",
                 f"param {kind} = {value}{self.maybe(' when x')}", f"state {kind} = {value}", f"carry {kind} = {value}",
                 f"dim {name} = {value}", f"{kind} = {value}", f"x{self.maybe(', y')} = {value}",
                 f"next {name} = {value}",
                 f"require {value}", f'require {value}, "why"']  # fmt: skip
        if depth and self.rng.random() < 0.2:
            more = self.rng.choice(["", f" else {self.body(depth - 1)}", f" else if y {self.body(depth - 1)}"])
            return f"if {self.operand(1)} {self.body(depth - 1)}{more}"
        return self.rng.choice(forms)

    def record(self) -> str:
        kind = self.rng.choice(["data", "train", "generate", "weights", "evaluate", "mesh"])
        return f"{kind} {self.name()} {self.maybe('for M')} {self.fields()}"

    def fields(self, depth: int = 2) -> str:
        separator = self.rng.choice([", ", "\n"])
        return "{" + separator.join(self.field(depth) for _ in range(self.rng.randint(0, 5))) + "}"

    def field(self, depth: int) -> str:
        key = self.rng.choice([self.name(), "a.b", self.name()])
        keys = self.some(lambda: self.rng.choice([self.name(), '"w.{i}"']), 1)
        forms = [f"{key} = {self.expression()}", f"{key} = {self.expression(1)}", f"{keys} -> {self.expression(1)}"]
        return (
            f"{self.name()} {self.fields(depth - 1)}" if depth and self.rng.random() < 0.3 else self.rng.choice(forms)
        )


def shaken(text: str, rng: random.Random, often: float = 0.3) -> str:
    """The text in another layout: newlines, comments and blanks wherever the language allows them."""
    pieces: list[str] = []
    for tokens in _tokens(text):
        pieces.append(_shaken_item(tokens, rng, often) + rng.choice(["\n", "\n\n\n", "  # last\n"]))
    return _with_longer_comments("".join(pieces), rng, often)


def _with_longer_comments(text: str, rng: random.Random, often: float) -> str:
    """Some comments go on in the line below, in their column or one further."""
    lines: list[str] = []
    for line in text.split("\n"):
        lines.append(line)
        if "#" in line and rng.random() < often / 3:
            lines.append(" " * (line.index("#") + rng.choice([0, 0, 1])) + "# and so on")
    return "\n".join(lines)


def _tokens(text: str) -> list[list[Token]]:
    tables, found = load_tables(), list[list[Token]]()
    for chunk in split_items(Source("", text)):
        tokens = tokenize(text, chunk.start, chunk.end, tables)
        found.append(lay_out(tokens, match_brackets(tokens)))
    return found


def _shaken_item(tokens: list[Token], rng: random.Random, often: float) -> str:
    pieces: list[str] = []
    inside: list[str] = []
    before: Token | None = None
    for token in tokens:
        if token.type == END:
            break
        if token.type == NEWLINE:
            pieces.append(_trivia(rng, newlines=True) if rng.random() < often else "\n")
            before = None
            continue
        free = inside[-1:] in (["LPAR"], ["LSQB"]) or token.type in JOINED or token.text == "else"
        free = free or (before is not None and (before.type in JOINS or before.text in ("and", "or", "not")))
        if before is not None:
            bound = before.text in ("fn", "next", "->")  # to what follows on their line
            shaken_here = free and not bound and rng.random() < often
            pieces.append(_trivia(rng, newlines=rng.random() < 0.9) if shaken_here else _blank(before, token, rng))
        if token.type in CLOSERS:
            inside.append(token.type)
        elif token.type in OPENERS:
            inside.pop()
        pieces.append(token.text)
        before = token
    return "".join(pieces)


def _blank(left: Token, right: Token, rng: random.Random) -> str:
    """Blanks between two tokens; none only where these cannot run into each other."""
    needed = left.text[-1:] not in "()[],:" and right.text[:1] not in "()[],:"
    keyword = left.text in ("input", "output", "param", "state", "carry", "dim", "require", "next", "fn")
    return rng.choice([" ", "  ", "\t"]) if needed or keyword else rng.choice(["", " "])


def _trivia(rng: random.Random, *, newlines: bool) -> str:
    if not newlines:
        return " "
    comment = rng.choice(["", "", "# a comment", "#", "## (documents) `x = [`", "# " + "long " * rng.randint(1, 25)])
    own = [" " * rng.randint(0, 3) + rng.choice(["", "", "# alone", "## alone"]) for _ in range(rng.randint(0, 3))]
    indent = " " * rng.choice([1, 4])  # at column 0 some names would begin an item
    return " " + "\n".join([comment, *own]) + "\n" + indent
