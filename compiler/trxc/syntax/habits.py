"""What to say where Python, or another language, is written."""

from __future__ import annotations

from ..diagnostics.diagnostic import Diagnostic, Edit
from ..source import Span
from .situation import Situation
from .tokens import END, NEWLINE, WORD, Token

CODE = "TRX0109"

_STATEMENTS = {
    "def": ("functions are written with `fn`", "`fn name(x) = …`, or `layer Name { … }` for what has weights"),
    "class": ("layers are written with `layer`", "`layer Name(size: int) { … }`"),
    "return": ("results are written with `output`", "`output value`"),
    "import": ("other files are brought in with `use`", "`use std.attention (causal_mask)`"),
    "from": ("other files are brought in with `use`", "`use std.attention (causal_mask)`"),
    "for": ("there is no loop over statements", "`repeat(n, f)` composes layers, `[f(x) for x in xs]` makes a list"),
    "while": ("there is no loop over statements", "`repeat(n, f)` composes layers, `recur` carries values along a dim"),
    "elif": ("`elif` is written `else if`", "`if a { … } else if b { … } else { … }`"),
    "pass": ("an empty block is written `{ }`", "leave `pass` out"),
    "let": ("names are bound without `let`", "`name = value`"),
    "var": ("names are bound without `var`", "`name = value`"),
}


def explain_habit(situation: Situation) -> Diagnostic | None:
    """The diagnostic for a habit from elsewhere, if it is one."""
    for look in (_statement, _lambda, _power, _block, _compound, _walrus, _is, _bare_float, _record):
        if found := look(situation):
            return found
    return None


def _statement(situation: Situation) -> Diagnostic | None:
    """`def f(x):`, `return x`, `for x in xs:` …"""
    first = situation.first
    if situation.at > situation.begin + 1 or first.text not in _STATEMENTS or first.type != WORD:
        return None
    message, example = _STATEMENTS[first.text]
    inside = situation.begin > 0
    edits = (Edit(situation.span(first), "output"),) if first.text == "return" and inside else ()
    return Diagnostic(CODE, message, situation.span(first), helps=(example,), edits=edits)


def _lambda(situation: Situation) -> Diagnostic | None:
    for word in (situation.before, situation.token):
        if word and word.text == "lambda" and word.type == WORD:
            return Diagnostic(
                CODE,
                "functions without a name are written with `fn`",
                situation.span(word),
                helps=("`fn(x) => x + 1`",),
            )
    return None


def _power(situation: Situation) -> Diagnostic | None:
    before, token = situation.before, situation.token
    if not (before and before.text == token.text == "*" and situation.touches(before, token)):
        return None
    span = situation.span(before, token)
    return Diagnostic(CODE, "power is written `^`", span, edits=(Edit(span, "^"),))


def _block(situation: Situation) -> Diagnostic | None:
    """`if c:` and the like."""
    if situation.token.type != "COLON" or "LBRACE" not in situation.expected:
        return None
    if "EQUAL" in situation.expected and situation.following().type not in (NEWLINE, END):
        return None
    return Diagnostic(CODE, "blocks are written `{ … }`, not with `:`", situation.span(situation.token))


def _compound(situation: Situation) -> Diagnostic | None:
    """`x += 1`."""
    token, after = situation.token, situation.following()
    if not (situation.second and token.type in ("ADD", "MULTIPLY") and _is_equal(after, token)):
        return None
    name = situation.first.text
    message = f"there is no `{token.text}=`"
    return Diagnostic(
        CODE,
        message,
        situation.span(token, after),
        helps=(f"a name may be bound again: `{name} = {name} {token.text} …`",),
    )


def _is_equal(after: Token, before: Token) -> bool:
    return after.type == "EQUAL" and after.start == before.end


def _walrus(situation: Situation) -> Diagnostic | None:
    """`x := 1`."""
    before, token = situation.before, situation.token
    if not (before and before.type == "COLON" and _is_equal(token, before)):
        return None
    span = situation.span(before, token)
    return Diagnostic(CODE, "names are bound with `=`", span, edits=(Edit(span, "="),))


def _is(situation: Situation) -> Diagnostic | None:
    token, after = situation.token, situation.following()
    if token.text != "is" or "COMPARE" not in situation.expected or after.type in (NEWLINE, END):
        return None
    negated = after.text == "not"
    span = situation.span(token, after if negated else None)
    operator = "!=" if negated else "=="
    return Diagnostic(CODE, f"`{span.text}` is written `{operator}`", span, edits=(Edit(span, operator),))


def _record(situation: Situation) -> Diagnostic | None:
    """`split = { train = 0.9 }`."""
    before, token = situation.before, situation.token
    if token.type != "LBRACE" or before is None or before.type != "EQUAL" or situation.following(2).type != "EQUAL":
        return None
    edits = (Edit(Span(situation.source, before.start, token.start), ""),)
    name = situation.first.text
    help_ = f"`{name} {{ … }}`"
    return Diagnostic(CODE, "a record has no `=` before its `{`", situation.span(before), helps=(help_,), edits=edits)


def _bare_float(situation: Situation) -> Diagnostic | None:
    """`.5` and `1.`."""
    token, before = situation.token, situation.before
    after = situation.following()
    if token.type == "DOT" and after.type == "NUMBER" and situation.touches(token, after):
        span = situation.span(token, after)
        return Diagnostic("TRX0107", "a number begins with a digit", span, edits=(Edit(span, f"0{span.text}"),))
    if before is None or situation.at < 2 or before.type != "DOT":
        return None
    number = situation.tokens[situation.at - 2]
    if number.type != "NUMBER" or not situation.touches(number, before):
        return None
    span = situation.span(number, before)
    return Diagnostic("TRX0107", "a number ends with a digit", span, edits=(Edit(span, f"{span.text}0"),))
