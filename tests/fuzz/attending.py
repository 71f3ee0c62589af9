"""Attention and losses by hand: in the forms that passes look for, and in forms that differ in one detail."""

from __future__ import annotations

from math import inf

from trxc.ir import Value

from .building import SEQ, WIDTH, Code, sized

HEADS, HEAD = 2, 2
CLASSES = 4


def attention(c: Code, x: Value) -> Value:
    """A layer of attention over [batch, seq, 4]."""
    return c.rng.choice([_by_einsum, _by_products])(c, x)


def _by_einsum(c: Code, x: Value) -> Value:
    """As the library writes it; heads may share keys and values."""
    rng = c.rng
    groups = rng.choice([HEADS, HEADS, 1])
    wq, wk, wv = (c.weight(f"w{n}", WIDTH, k, HEAD) for n, k in (("q", HEADS), ("k", groups), ("v", groups)))
    other = rng.choice(c.around or [x]) if rng.random() < 0.2 else x
    other = other if other.type == x.type else x
    project = rng.choice(["b s d, d h e -> b s h e", "b s d, d h e -> b h s e"])
    q, k, v = (c("einsum", a, w, pattern=project) for a, w in ((x, wq), (other, wk), (other, wv)))
    if rng.random() < 0.4:
        q = c("add", q, c.weight("bq", *((HEADS, HEAD) if "b s h" in project[15:] else (HEADS, 1, HEAD))))
    inner = "b s h e" if project.endswith("s h e") else "b h s e"
    keys = inner.replace("s", "t")
    if groups < HEADS:
        pattern = f"{inner.replace('h', 'g')} -> {inner.replace('h', '(g r)')}"
        k, v = (c("repeat_axis", a, pattern=pattern, sizes=(("r", sized(HEADS // groups)),)) for a in (k, v))
    q = scaled(c, q) if rng.random() < 0.3 else q
    scores = c("einsum", q, k, pattern=f"{inner}, {keys} -> b h s t")
    p = probabilities(c, scores)
    mixed = c("einsum", p, v, pattern=f"b h s t, {keys} -> {inner}")
    if rng.random() < 0.2:
        mixed = c("einsum", p, v, pattern=f"b h t s, {keys} -> {inner}")  # the transposed mixture: not attention
    wo = c.weight("wo", HEADS, HEAD, WIDTH)
    return c("einsum", mixed, wo, pattern=f"{inner}, h e d -> b s d")


def _by_products(c: Code, x: Value) -> Value:
    """By matrix products, with heads split off by reshape and transpose, or one head."""
    rng = c.rng
    q, k, v = (c("matmul", x, c.weight(f"w{name}", WIDTH, WIDTH)) for name in "qkv")
    single = rng.random() < 0.3
    if not single:
        q, k, v = (_split_heads(c, a) for a in (q, k, v))
    rank = q.type.rank
    turned = c("swap", k, first=rank - 2, second=rank - 1)
    scores = c("matmul", q, turned)
    mixed = c("matmul", probabilities(c, scores), v)
    if not single:
        mixed = c("transpose", mixed, order=(0, 2, 1, 3))
        mixed = c("reshape", mixed, sizes=(*(sized(a) for a in x.type.axes[:2]), sized(WIDTH)))
    return c("matmul", mixed, c.weight("wo", WIDTH, WIDTH))


def _split_heads(c: Code, a: Value) -> Value:
    split = c("reshape", a, sizes=(*(sized(axis) for axis in a.type.axes[:2]), sized(HEADS), sized(HEAD)))
    return c("transpose", split, order=(0, 2, 1, 3))


def scaled(c: Code, a: Value) -> Value:
    """Times or over a number, on either side."""
    by = c.number(c.rng.choice([2**0.5, 2.0, 0.7]))
    return c.rng.choice([lambda: c("divide", a, by), lambda: c("multiply", a, by), lambda: c("multiply", by, a)])()


def probabilities(c: Code, scores: Value) -> Value:
    """Scores [..., queries, keys] scaled, biased, masked and normalised, each in one way of several."""
    rng = c.rng
    scores = scaled(c, scores) if rng.random() < 0.7 else scores
    if rng.random() < 0.3:
        scores = c("add", scores, _distance(c, scores))
    kind = rng.choice(["none", "causal", "causal", "window", "input", "both", "strict", "after"])
    if kind in ("none", "after"):
        p = normalised(c, scores)
        return c("multiply", p, c("cast", ordered(c, "greater_equal"), dtype=p.type.dtype)) if kind == "after" else p
    mask = _mask(c, kind, scores)
    always = kind in ("causal", "window")  # every query sees itself: -inf leaves no row empty
    fill = c.number(rng.choice([-inf, -1e9, -6e4]) if always else rng.choice([-1e9, -6e4, -20.0]))
    if rng.random() < 0.2:
        zero = c.number(0.0)
        return normalised(c, c("add", scores, c("where", mask, zero, fill)))
    return normalised(c, c("where", mask, scores, fill))


def _mask(c: Code, kind: str, scores: Value) -> Value:
    seen = {"strict": lambda: ordered(c, "greater"), "window": lambda: _window(c)}.get(
        kind, lambda: ordered(c, "greater_equal")
    )()
    if kind not in ("input", "both"):
        return seen
    given = next((v for v in c.around if v.type.dtype.name == "bool"), None)
    if given is None:
        return seen
    for at in range(1, scores.type.rank - 1):
        given = c("expand_dims", given, at=at)
    return given if kind == "input" else c("logical_and", given, seen)


def ordered(c: Code, comparison: str, shift: int = 0) -> Value:
    """[seq, seq]: how the place of a query, shifted, compares with that of a key."""
    rows = c("iota", n=sized(SEQ))
    rows = c("add", rows, c.number(shift)) if shift or c.rng.random() < 0.5 else rows
    return c(comparison, c("expand_dims", rows, at=1), c("expand_dims", c("iota", n=sized(SEQ)), at=0))


def _window(c: Code) -> Value:
    return c("logical_and", ordered(c, "greater_equal"), ordered(c, "less", -c.rng.choice([1, 2, 3])))


def _distance(c: Code, scores: Value) -> Value:
    """A bias by distance, one slope a head."""
    rows, columns = c("iota", n=sized(SEQ)), c("iota", n=sized(SEQ))
    apart = c("subtract", c("expand_dims", columns, at=0), c("expand_dims", rows, at=1))
    apart = c("cast", apart, dtype=scores.type.dtype)
    return c("multiply", c.weight("slopes", HEADS, 1, 1), apart) if scores.type.rank == 4 else apart


def normalised(c: Code, scores: Value) -> Value:
    """A softmax, by hand sometimes, and sometimes over the queries."""
    rank, choice = scores.type.rank, c.rng.random()
    over = (rank - 2,) if choice < 0.1 else (rank - 1,)
    if choice < 0.75:
        return c("softmax", scores, over=over)
    top = c("max", scores, over=over, keep=True)
    powers = c("exp", c("subtract", scores, top))
    return c("divide", powers, c("sum", powers, over=over, keep=True))


# ---------------------------------------------------------------------------------- losses


def cross_entropy(c: Code, logits: Value, labels: Value, mask: Value | None) -> Value:
    """Of [batch, seq, classes], in one of several forms."""
    rng = c.rng
    losses = _token_losses(c, logits, labels)
    counted = mask if mask is not None and rng.random() < 0.5 else None
    if rng.random() < 0.4:
        real = c("not_equal", labels, c.number(rng.choice([0, 1])))
        counted = real if counted is None else c("logical_and", counted, real)
    if counted is None:
        return c("mean", losses, over=(0, 1))
    total = c("sum", c("where", counted, losses, c.number(0.0)), over=(0, 1))
    if rng.random() < 0.2:
        return c("mean", c("where", counted, losses, c.number(0.0)), over=(0, 1))  # over the wrong count, as written
    count = c("sum", c("cast", counted, dtype=losses.type.dtype), over=(0, 1))
    return c("divide", total, c("maximum", count, c.number(1.0)))


def _token_losses(c: Code, logits: Value, labels: Value) -> Value:
    rng = c.rng
    logs = c("log_softmax", logits, over=(2,))
    form = rng.choice(["taken", "taken", "hot", "apart", "smooth"])
    if form == "hot":
        hot = c("one_hot", labels, size=sized(logits.type.axes[2]))
        return c("negate", c("sum", c("multiply", hot, logs), over=(2,)))
    if form == "apart":
        return c("subtract", c("logsumexp", logits, over=(2,)), _taken(c, logits, labels))
    if form == "taken":
        return c("negate", _taken(c, logs, labels))
    smoothing = rng.choice([0.1, 0.25])
    main = c("multiply", c.number(smoothing - 1.0), _taken(c, logs, labels))
    losses = c("subtract", main, c("multiply", c.number(smoothing), c("mean", logs, over=(2,))))
    if rng.random() < 0.5:
        square = c("power", c("logsumexp", logits, over=(2,)), c.number(2))
        losses = c("add", losses, c("multiply", c.number(1e-2), square))
    return losses


def _taken(c: Code, values: Value, labels: Value) -> Value:
    found = c("take_along", values, c("expand_dims", labels, at=2), along=2)
    return c("take_index", found, index=sized(0), along=2)
