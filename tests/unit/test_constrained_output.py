"""Texts within a form: of what automata allow, by tokens of one byte and of several, and what is refused."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("outlines_core")

from tests.unit.test_beam import exhaustive, program

from trxc_runtime.data.tokenizers import EOS, Bpe, Bytes, Tokenizer
from trxc_runtime.decoding import ENDED, Decoder, decode, search
from trxc_runtime.errors import RunError
from trxc_runtime.sample import JsonSchema, Matching, Setting, Temperature, automaton
from trxc_runtime.sample.automaton import NEVER, byte_automaton, token_table
from trxc_runtime.sample.schema import expression_of
from trxc_runtime.search import Beam
from trxc_runtime.stages import Stages, begin

BYTES = Bytes(special=True)
TEXTS = ["2024-05 and 2023-11, 1999-12", "größer, schöner; naïve café €20", '{"name": "Ada", "born": 1815}'] * 20


@pytest.fixture(scope="module")
def bpe() -> Tokenizer:
    return Bpe(330, special=True).train(TEXTS, None)


def drawn(stages: Sequence[Any], tokenizer: Tokenizer, limit: int, seed: int, rows: int = 16) -> list[str]:
    """Texts of tokens from random scores, without any model."""
    eos = EOS if tokenizer.special else None
    bound = Stages(tuple(stages)).bind(Setting(tokenizer.size + 3, tokenizer, eos)).within(limit)
    carry = begin(bound, [[3]] * rows, limit, tokenizer.size + 3)
    ended, texts = np.zeros(rows, bool), [list[int]() for _ in range(rows)]
    draw = jax.jit(Stages.draw)
    for step in range(limit):
        key = jax.random.fold_in(jax.random.key(seed), step)
        scores = 3 * jax.random.normal(jax.random.fold_in(key, 1), (rows, tokenizer.size + 3))
        tokens, carry = draw(bound, scores, carry, key)
        for row, token in enumerate(np.asarray(tokens).tolist()):
            if not ended[row]:
                texts[row].append(token)
        ended |= (np.asarray(tokens) == eos) | np.asarray(bound.over(carry))
    assert all(token < tokenizer.size for text in texts for token in text)
    return [b"".join(tokenizer.pieces[token] for token in text).decode() for text in texts]


PATTERNS = ["[0-9]{4}-[0-9]{2}", "(é|€|ß|a)+", "[^a]{2,5}", "(yes|no|maybe)( not)?", "x*", "^ab+$", "a|ab*?c?d"]


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("kind", ["bytes", "bpe", "no eos"])
def test_every_text_matches(pattern: str, kind: str, bpe: Tokenizer) -> None:
    tokenizer = {"bytes": BYTES, "bpe": bpe, "no eos": Bytes()}[kind]
    texts = [text for seed in range(4) for text in drawn([Matching(pattern), Temperature(0.9)], tokenizer, 30, seed)]
    assert [text for text in texts if not re.fullmatch(pattern, text)] == []
    assert len(set(texts)) > 2 or (kind == "no eos" and set(texts) <= {"x" * 30, "a" + "b" * 29, "a"})


@pytest.mark.parametrize("limit", [7, 8, 9])
def test_a_text_that_ends_at_the_limit_matches_too(limit: int) -> None:
    """No text begins what cannot be completed: `ab` twice more takes four bytes."""
    texts = drawn([Matching("(ab){2,9}|[cd]{5,7}é*")], BYTES, limit, seed=1, rows=64)
    assert all(re.fullmatch("(ab){2,9}|[cd]{5,7}é*", text) for text in texts)
    assert {"abab", "ababab"} <= set(texts)
    assert "abababab" not in texts or limit > 7


def test_of_the_tokens_that_may_come_each_has_its_share(bpe: Tokenizer) -> None:
    """The softmax over those alone, which are those whose bytes lead somewhere."""
    vocab = bpe.size
    stage = Matching("(20|19)[0-9]{2}-.*").bind(Setting(vocab, bpe, EOS))
    scores = np.random.default_rng(0).normal(0, 2, (1, vocab)).astype(np.float32)
    found = jax.nn.softmax(stage(jnp.asarray(scores), stage.begin(jnp.zeros((1, 1), int), jnp.ones(1, int), vocab)))
    beginnings = re.compile(rb"(20|19|2|1)|(20|19)[0-9]{1,2}|(20|19)[0-9]{2}-.*", re.DOTALL)
    allowed = np.array([bool(beginnings.fullmatch(piece)) for piece in bpe.pieces])
    assert allowed.sum() > 2
    wanted = np.where(allowed, np.exp(scores[0]), 0)
    np.testing.assert_allclose(np.asarray(found[0]), wanted / wanted.sum(), rtol=1e-5)


def test_eos_comes_where_a_match_may_end_and_alone_where_nothing_else_may() -> None:
    table = token_table("a|ab?c", BYTES.pieces, BYTES.size, EOS)
    following = np.asarray(table.following)
    at = following[0][3 + ord("a")]
    assert {token for token in range(259) if following[at][token] >= 0} == {EOS, 3 + ord("b"), 3 + ord("c")}
    whole = following[at][3 + ord("c")]
    assert [token for token in range(259) if following[whole][token] >= 0] == [EOS]
    assert following[0][EOS] == -1


def accepts(pattern: str, text: str) -> bool:
    following, final = byte_automaton(pattern)
    state = 0
    for byte in text.encode():
        state = int(following[state][byte])
        if state < 0:
            return False
    return bool(final[state])


@pytest.mark.parametrize(
    "pattern", ["a|ab?c", "(a|ab)(c|bcd)", "a*?b*?", "(a|b)*?abb", "[^a-c]|a+?", "(a?b??)*c|.", ""]
)
def test_an_automaton_takes_what_the_whole_expression_matches(pattern: str) -> None:
    """Also what a search would not look at, having found something shorter."""
    texts = ["".join(letters) for size in range(6) for letters in itertools.product("abcd", repeat=size)]
    wrong = [text for text in texts if accepts(pattern, text) != bool(re.fullmatch(pattern, text))]
    assert wrong == []


def test_the_distance_to_a_match_is_counted_in_tokens(bpe: Tokenizer) -> None:
    """Against a search through the table, state by state."""
    table = token_table('\\{"name": "[A-Z][a-z]+"\\}', bpe.pieces, bpe.size, EOS)
    following, distance = np.asarray(table.following), np.asarray(table.distance)
    for state, row in enumerate(following[:-1]):
        nearest = min((distance[to] for to in row[row >= 0]), default=NEVER)
        assert distance[state] == (0 if row[EOS] >= 0 else nearest + 1)
    assert 0 < distance[0] < len('{"name": "Aa"}')


class Letters(Tokenizer):
    """Six ids: `a`, `b` and `ab` beside the special ones."""

    special = True
    pieces = (b"", b"", b"", b"a", b"b", b"ab")

    def encode_all(self, texts: Sequence[str]) -> list[Any]:
        raise NotImplementedError


FORM = "(ab|ba)*a?"
RAGGED = [[3, 4, 5], [4], [5, 5, 3, 4, 4]]


def has_form(tokens: Sequence[int]) -> bool:
    """Whether tokens are a text of the form, or one that eos ends."""
    said = tokens[:-1] if tokens[-1] == EOS else tokens
    return all(token > EOS for token in said) and bool(re.fullmatch(FORM, Letters().decode(said)))


def of_form(seed: int, **how: Any) -> Decoder:
    stages = Stages((Matching(FORM),)).bind(Setting(6, Letters(), EOS))
    return Decoder(program(6, seed), "tokens", "logits", stages.parts, **how)


@pytest.mark.parametrize("context", [None, 6])
def test_what_a_model_says_has_the_form_in_ragged_batches_too(context: int | None) -> None:
    said: set[tuple[int, ...]] = set()
    for seed in range(20):
        steps = np.array(list(decode(of_form(0, context=context), {}, {}, RAGGED, limit=7, seed=seed, eos=EOS)))
        said |= {tuple(token for token in row if token != ENDED) for row in steps.T.tolist()}
    assert [row for row in said if not has_form(row)] == []
    assert len(said) > 10


@pytest.mark.parametrize("seed", range(3))
def test_a_wide_beam_finds_the_best_of_all_texts_of_the_form(seed: int) -> None:
    """By the model's own scores, through all sequences of its tokens."""
    found = search(of_form(seed), {}, {}, RAGGED, Beam(60, 0.6, 3), limit=4, eos=EOS)
    for prompt, continuations in zip(RAGGED, found, strict=True):
        every = exhaustive(program(6, seed), 6, prompt, 4, EOS, 0.6)
        wanted = [(score, said) for score, said in every if has_form(said)][:3]
        assert [c.tokens for c in continuations] == [said for _, said in wanted]
        np.testing.assert_allclose([c.score for c in continuations], [score for score, _ in wanted], rtol=1e-5)


SCHEMAS: list[dict[str, Any]] = [
    {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 4},
            "age": {"type": "integer"},
            "tall": {"type": ["boolean", "null"]},
        },
        "required": ["age"],
        "additionalProperties": False,
    },
    {"type": "object", "properties": {name: {"type": "null"} for name in "abc"}},
    {"type": "array", "items": {"enum": ["a b", 1, None, [1, {"x": 2}]]}, "minItems": 1, "maxItems": 3},
    {"type": "array", "prefixItems": [{"type": "number"}, {"type": "boolean"}], "items": {"const": 2}, "minItems": 1},
    {"type": "array", "prefixItems": [{"type": "null"}], "maxItems": 1},
    {"type": "array", "items": {"type": "null"}, "minItems": 2},
    {
        "anyOf": [{"$ref": "#/$defs/code"}, {"type": "null"}],
        "$defs": {"code": {"type": "string", "pattern": "^[a-f\\d]{2}$"}},
    },
    {"type": "string", "enum": ["é\"", 3, "\n"]},
]  # fmt: skip


@pytest.mark.parametrize("schema", SCHEMAS, ids=range(len(SCHEMAS)))
def test_json_is_valid_under_its_schema(schema: dict[str, Any], bpe: Tokenizer) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    texts = [text for seed in range(3) for text in drawn([JsonSchema(schema)], BYTES if seed else bpe, 60, seed)]
    for text in texts:
        jsonschema.validate(json.loads(text), schema)


@pytest.mark.parametrize(
    ("schema", "valid", "invalid"),
    [
        (SCHEMAS[0], ['{"age": 3}', '{"name":"a\\"b","age":-1, "tall":null}'], ["{}", '{"age": 03}', '{"age": 3,}']),
        (SCHEMAS[1], ["{}", '{"a": null}', '{"b": null, "c": null}', '{"c":null}'], ['{"b": null, "a": null}']),
        (SCHEMAS[2], ['["a b", [1, {"x": 2}]]', "[1,null, 1]"], ["[]", "[1, 1, 1, 1]"]),
        (SCHEMAS[3], ["[1.5]", "[0, true]", "[0,true,2,2]"], ["[]", "[0, 2]", "[true]"]),
        (SCHEMAS[7], ['"é\\""', '"\\n"'], ["3"]),
        ({"type": "integer", "const": 4}, ["4"], ["5"]),
    ],
)
def test_a_schema_as_a_regular_expression(schema: Any, valid: list[str], invalid: list[str]) -> None:
    expression = re.compile(expression_of(json.dumps(schema)))
    assert [text for text in valid if not expression.fullmatch(text)] == []
    assert [text for text in invalid if expression.fullmatch(text)] == []


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("{", "is no JSON"),
        ("[]", "the JSON schema is no schema"),
        ({}, "the JSON schema needs a `type`"),
        ({"type": "integer", "minimum": 3}, "`minimum`, which is not understood"),
        ({"type": "array", "items": {"type": "string", "format": "date"}}, "`/items` of the JSON schema has `format`"),
        ({"type": "object", "required": ["x"]}, "requires `x`"),
        ({"$defs": {"n": {"type": "array", "items": {"$ref": "#/$defs/n"}}}, "$ref": "#/$defs/n"}, "stands in"),
        ({"$ref": "#/$defs/n"}, "not there"),
        ({"type": "string", "pattern": "a"}, "`pattern` 'a'"),
        ({"type": "string", "pattern": "^.$"}, "takes quotes"),
        ({"type": "string", "pattern": "^\\s$"}, "has `\\s`"),
        ({"type": "string", "minLength": 3, "maxLength": 2}, "`minLength` of 3"),
        ({"type": "array", "minItems": -1}, "no int from 0"),
        ({"type": "string", "enum": [1]}, "has no value"),
        (
            {"type": "object", "properties": {f"p{at}" * 9: {"type": "number"} for at in range(200)}},
            "more than 262,144",
        ),
    ],
)
def test_schemas_that_are_not_understood_are_refused(schema: Any, message: str) -> None:
    with pytest.raises(RunError, match=re.escape(message)):
        expression_of(schema if isinstance(schema, str) else json.dumps(schema))


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(a", "'(a' is no regular expression: missing )"),
        ("a(?=b)", "no automaton can follow"),
        ("(.)\\1", "no automaton can follow"),
        ("a$|b", "no automaton can follow"),
        ("\\bab", "no automaton can follow"),
        ("[a&&b]", "no text at all matches"),
        ("\ud800", "half a surrogate pair"),
        ("[a-z]{12}", "shortest text that matches '[a-z]{12}' has 12 tokens, and 9 are drawn at most"),
        ("a{300000}", "following the regular expression|has too many|table has"),
    ],
)
def test_expressions_that_cannot_be_followed_are_refused(pattern: str, message: str) -> None:
    with pytest.raises(RunError, match=message if "|" in message else re.escape(message)):
        Matching(pattern).bind(Setting(BYTES.size, BYTES, EOS)).within(9)


def test_what_must_not_be_begun() -> None:
    with pytest.raises(RunError, match="needs a tokenizer"):
        Matching("a").bind(Setting(9))
    with pytest.raises(RunError, match="no text of 1 to"):
        Matching("").bind(Setting(256, Bytes(), None))
    with pytest.raises(RunError, match="no text of this tokenizer's tokens"):
        Matching("é").bind(Setting(100, BYTES, EOS))


def test_a_table_too_large_is_refused_before_it_is_made() -> None:
    message = r"has 801 states; with 1,000,000 tokens its table has 802,000,000 entries, and at most 67,108,864"
    with pytest.raises(RunError, match=message):
        token_table("a{800}", BYTES.pieces, 1_000_000, EOS)


def test_an_expression_that_explodes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(automaton, "MAX_SECONDS", 1)
    byte_automaton.cache_clear()
    with pytest.raises(RunError, match=r"given up after 1 seconds|needs more than 2 GiB"):
        byte_automaton("(a|b)*a(a|b){40}")
