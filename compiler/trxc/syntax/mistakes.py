"""What to say about a token that has no place where it stands."""

from __future__ import annotations

from difflib import get_close_matches

from ..diagnostics.diagnostic import Diagnostic, Edit, Label
from .characters import explain_character
from .expected import EXPRESSION, ITEM, expectation
from .habits import explain_habit
from .layout import CLOSERS, OPENERS
from .situation import Situation
from .tokens import END, NEWLINE, WORD, Token

_CLOSER_TEXT = {"LPAR": ")", "LSQB": "]", "LBRACE": "}"}
_STATEMENT_WORDS = frozenset({"input", "output", "param", "state", "carry", "dim", "require", "next"})
_OPERAND_FOLLOWS = frozenset({"LPAR", "LSQB", "DOT", "PIPE", "COMPOSE", "ADD", "MULTIPLY", "CIRCUMFLEX", "COMPARE"})


def explain(situation: Situation) -> Diagnostic:
    """The one diagnostic for this place."""
    for look in _LOOKS:
        if found := look(situation):
            return found
    return _generic(situation)


# ------------------------------------------------------------------- brackets


def _unclosed(situation: Situation) -> Diagnostic | None:
    """A bracket opened in this statement, or a block open at the end of the text, that nobody closes."""
    begin = 0 if situation.token.type == END else situation.begin
    begin -= begin > 0 and situation.ends_value_block
    for token in reversed(situation.tokens[begin : situation.at]):
        if token.type in CLOSERS and token.start in situation.brackets.unclosed:
            return _never_closed(situation, token)
    return None


def _open_before_else(situation: Situation) -> Diagnostic | None:
    """`if c { … else { … }`: what stands before `else` goes on for the parser."""
    token = situation.token
    if token.text != "else" or NEWLINE not in situation.expected or situation.begin == 0:
        return None
    message = "the block before this `else` is never closed"
    return Diagnostic("TRX0102", message, situation.span(token), helps=("add `}` before it",))


def _never_closed(situation: Situation, opener: Token) -> Diagnostic:
    closer, token = _CLOSER_TEXT[opener.type], situation.token
    if token.type in OPENERS:
        label = Label(situation.span(token), f"`{token.text}` does not close it")
    elif token.type == END:
        label = Label(situation.place, f"the {_whole(opener)} ends here without `{closer}`")
    else:
        label = Label(situation.place, f"expected `{closer}` by here")
    labels = () if label.span == situation.span(opener) else (label,)
    message = f"this `{opener.text}` is never closed"
    return Diagnostic(
        "TRX0102", message, situation.span(opener), label="opened here", labels=labels, helps=(f"add `{closer}`",)
    )


def _whole(opener: Token) -> str:
    return "item" if opener.type == "LBRACE" else "line"


def _stray(situation: Situation) -> Diagnostic | None:
    token = situation.token
    if token.start not in situation.brackets.stray or token.type not in OPENERS:
        return None
    span = situation.span(token)
    message = f"this `{token.text}` closes nothing"
    return Diagnostic("TRX0103", message, span, helps=("remove it",), edits=(Edit(span, ""),))


# ------------------------------------------------------------------ operators


def _chained_comparison(situation: Situation) -> Diagnostic | None:
    """`a < b < c`."""
    if situation.terminal != "COMPARE" or "PIPE" not in situation.expected:
        return None
    first = _previous_comparison(situation)
    if first is None:
        return None
    token = situation.token
    middle = situation.source.text[first.end : token.start].strip()
    return Diagnostic(
        "TRX0108",
        "comparisons do not chain",
        situation.span(token),
        labels=(Label(situation.span(first), "the first comparison"),),
        helps=(f"`… {first.text} {middle} and {middle} {token.text} …`",),
        edits=(Edit(situation.span(token), f"and {middle} {token.text}"),),
    )


def _previous_comparison(situation: Situation) -> Token | None:
    """The comparison that the operand before the token belongs to, brackets skipped."""
    depth = 0
    for token in reversed(situation.tokens[situation.begin : situation.at]):
        if token.type in OPENERS:
            depth += 1
        elif token.type in CLOSERS:
            depth -= 1
        elif token.type == "COMPARE" and not depth:
            return token
        if depth < 0:
            break
    return None


def _glued_number(situation: Situation) -> Diagnostic | None:
    """`2x`."""
    before, token = situation.before, situation.token
    if not (before and before.type == "NUMBER" and token.type == WORD and situation.touches(before, token)):
        return None
    span, product = situation.span(before, token), f"{before.text} * {token.text}"
    helps = (f"a product is written `{product}`",)
    return Diagnostic("TRX0107", "a name cannot begin with a digit", span, helps=helps, edits=(Edit(span, product),))


# ------------------------------------------------------------ items and names


def _not_an_item(situation: Situation) -> Diagnostic | None:
    if not {"LAYER", "CONST"} <= situation.expected:
        return None
    token = situation.token
    if token.text in _STATEMENT_WORDS:
        message = f"`{token.text}` belongs in the body of a layer or model"
        return Diagnostic("TRX0101", message, situation.span(token))
    kinds = [*sorted(name.lower() for name in ITEM - {"FUNCTION"}), "fn"]
    near = get_close_matches(token.text, kinds, 1) if token.type == WORD else []
    helps = (f"did you mean `{near[0]}`?",) if near else ()
    message = "expected an item such as `layer`, `fn` or `use` here"
    return Diagnostic("TRX0101", message, situation.place, label=_found(token), helps=helps)


def _reserved_name(situation: Situation) -> Diagnostic | None:
    token = situation.token
    if token.type != WORD or situation.terminal in ("NAME", *situation.expected) or "NAME" not in situation.expected:
        return None
    if "NUMBER" in situation.expected:
        return None
    return Diagnostic(
        "TRX0101", f"`{token.text}` is a word of the language and cannot be a name", situation.span(token)
    )


# ----------------------------------------------------------------- statements


def _colon_for_equal(situation: Situation) -> Diagnostic | None:
    """`heads: 6` in a record or a call, `x: 3` in a body."""
    token, before = situation.token, situation.before
    if token.type == "COLON" and "EQUAL" in situation.expected:
        span = situation.span(token)
        return Diagnostic("TRX0110", "expected `=` here, not `:`", span, edits=(Edit(span, "="),))
    if before is None or before.type != "COLON" or situation.at != situation.begin + 2 or situation.at_line_end:
        return None
    name = situation.first.text
    return Diagnostic(
        "TRX0110",
        f"expected a type after `{name}:`",
        situation.span(token),
        label=_found(token),
        helps=(f"a value is bound with `=`: `{name} = …`",),
    )


def _compared_for_bound(situation: Situation) -> Diagnostic | None:
    """`x == 3` as a statement."""
    token = situation.token
    if token.text != "==" or "EQUAL" not in situation.expected or "PIPE" in situation.expected:
        return None
    span = situation.span(token)
    return Diagnostic("TRX0110", "expected `=` here, not `==`", span, edits=(Edit(span, "="),))


def _value_alone(situation: Situation) -> Diagnostic | None:
    """`f(x)` as a statement, or an operand where a statement begins."""
    token, first = situation.token, situation.first
    in_body = "INPUT" in situation.expected
    bound = situation.second and {"EQUAL", "COLON"} <= situation.expected
    if in_body and (
        token.type in ("NUMBER", "STRING", "LPAR", "LSQB", "ADD") or token.text in ("not", "true", "false")
    ):
        first = token
    elif not (bound and (token.type in _OPERAND_FOLLOWS or situation.at_line_end or token.type == "RBRACE")):
        return None
    helps = ("bind it to a name (`y = …`), or make it the result (`output …`)",)
    return Diagnostic("TRX0114", "a value alone is not a statement", situation.span(first), helps=helps)


def _missing_equal(situation: Situation) -> Diagnostic | None:
    if "EQUAL" not in situation.expected or "PIPE" in situation.expected or situation.before is None:
        return None
    starts_value = situation.terminal in EXPRESSION | {"NAME"} and situation.token.type not in CLOSERS
    if not (starts_value or situation.at_line_end or situation.token.type in ("RBRACE", "ARROW")):
        return None
    field = "ARROW" in situation.expected
    if situation.expected & {"RPAR", NEWLINE} or ("LBRACE" in situation.expected and not field):
        return None  # a value may follow, but something else is as likely
    before, first = situation.before, situation.first
    helps: tuple[str, ...] = ()
    if first.text == "param" and situation.at_line_end:
        helps = ("a weight needs an initializer: `= zeros`, `= normal(0.02)`",)
    elif first.text in ("state", "carry") and situation.at_line_end:
        helps = (f"a `{first.text}` needs an initial value: `= zeros`",)
    return Diagnostic(
        "TRX0110", f"expected `=` after {_quoted(before)}", situation.place, label=_found(situation.token), helps=helps
    )


def _same_line(situation: Situation) -> Diagnostic | None:
    """Two statements on one line."""
    token = situation.token
    if NEWLINE not in situation.expected or token.type not in (WORD, "STRING") or situation.begin == situation.at:
        return None
    message = f"expected a new line or an operator before {_quoted(token)}"
    return Diagnostic("TRX0101", message, situation.span(token))


def _if_without_else(situation: Situation) -> Diagnostic | None:
    if situation.expected != frozenset({"ELSE"}):
        return None
    helps = ("`if c { a } else { b }`",)
    return Diagnostic("TRX0101", "an `if` that is a value needs an `else`", situation.place, helps=helps)


# -------------------------------------------------------------------- the rest


def _generic(situation: Situation) -> Diagnostic:
    wanted, token, before = expectation(situation), situation.token, situation.before
    found = _found(token)
    if before and before.type == WORD and before.text.upper() in situation.expected:
        return Diagnostic("TRX0101", f"expected a name before `{before.text}`", situation.span(before))
    if not wanted:
        return Diagnostic("TRX0101", f"{_named(token)} has no place here", situation.place)
    after = f" after {_quoted(before)}" if before and before.type not in (NEWLINE, "LBRACE") else " here"
    return Diagnostic("TRX0101", f"expected {wanted}{after}", situation.place, label=found)


def _found(token: Token) -> str:
    return f"found {_named(token)}"


def _named(token: Token) -> str:
    if token.type == NEWLINE:
        return "the end of the line"
    return "the end of the text" if token.type == END else _quoted(token)


def _quoted(token: Token) -> str:
    text = token.text if len(token.text) <= 40 else token.text[:39] + "…"
    return f"`{text}`"


_LOOKS = (
    explain_character,
    _unclosed,
    _open_before_else,
    explain_habit,
    _stray,
    _glued_number,
    _chained_comparison,
    _not_an_item,
    _colon_for_equal,
    _compared_for_bound,
    _value_alone,
    _reserved_name,
    _missing_equal,
    _same_line,
    _if_without_else,
)
