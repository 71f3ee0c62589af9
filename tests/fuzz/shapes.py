"""Statements that change shapes, look things up, and multiply."""

from __future__ import annotations

from dataclasses import replace

from .scope import Body, Dims, Size, Val

LETTERS = "abcdefghij"


def product(body: Body) -> Val | None:
    """`x @ w` with a new weight."""
    x = body.floats(rank=1)
    if x is None or not body.weights or not _sized(body, x.dims[-1]):
        return None
    w = body.param([x.dims[-1], Size(body.rng.choice([2, 3, 4]))])
    return body.say(f"{x.name} @ {w.name}", x, dims=(*x.dims[:-1], w.dims[-1]), reach=x.reach * 3)


def _sized(body: Body, size: Size) -> bool:
    """Whether a weight may have this size."""
    return size.symbol not in ("batch", "seq", "rows")


def bias(body: Body) -> Val | None:
    """A weight that is added or multiplied."""
    x = body.floats(rank=1)
    if x is None or not body.weights or not _sized(body, x.dims[-1]):
        return None
    w = body.param([x.dims[-1]], body.rng.choice(["ones", "zeros", "0.5", "normal(0.3)"]))
    return body.say(f"{x.name} {body.rng.choice('+*-')} {w.name}", x, reach=x.reach * 2)


def einsum(body: Body) -> Val | None:
    """Products of two values, summed over what the result leaves out."""
    x, y = body.floats(rank=1), body.floats(rank=1)
    if x is None or y is None or x.rank + y.rank > 6:
        return None
    left, sizes = list(LETTERS[: x.rank]), dict(zip(LETTERS, x.dims, strict=False))
    right: list[str] = []
    for at, size in enumerate(y.dims):
        same = [letter for letter in left if sizes[letter] == size and letter not in right]
        letter = body.rng.choice(same) if same and body.rng.random() < 0.8 else LETTERS[x.rank + at]
        right.append(letter)
        sizes[letter] = size
    letters = sorted(set(left + right))
    kept = body.rng.sample(letters, body.rng.randint(1, min(3, len(letters))))
    pattern = f"{' '.join(left)}, {' '.join(right)} -> {' '.join(kept)}"
    dims = tuple(sizes[letter] for letter in kept)
    reach = x.reach * y.reach * 4
    return body.say(f'einsum("{pattern}", {x.name}, {y.name})', x, dims=dims, reach=reach, exact=x.exact or y.exact)


def patterns(body: Body) -> Val | None:
    """rearrange, reduce, repeat_axis."""
    x = body.floats(rank=2)
    if x is None or x.rank > 3:
        return None
    letters = list(LETTERS[: x.rank])
    sizes = dict(zip(letters, x.dims, strict=True))
    turned = body.rng.sample(letters, len(letters))
    dims = tuple(sizes[letter] for letter in turned)
    left = " ".join(letters)
    choice = body.rng.randrange(5)
    if choice == 0:
        return body.say(f'rearrange({x.name}, "{left} -> {" ".join(turned)}")', x, dims=dims)
    if choice == 1:
        op = body.rng.choice(["mean", "sum", "max"])
        made = f'reduce({x.name}, "{left} -> {" ".join(turned[1:])}", "{op}")'
        return body.say(made, x, dims=dims[1:], reach=x.reach * 4)
    if choice == 2:
        return body.say(f'repeat_axis({x.name}, "{left} -> {" ".join(turned)} n", n = 2)', x, dims=(*dims, Size(2)))
    if choice == 3 and dims[0].known and dims[1].known:
        merged = Size(dims[0].known * dims[1].known)
        text = f"({turned[0]} {turned[1]}) {' '.join(turned[2:])}".strip()
        return body.say(f'rearrange({x.name}, "{left} -> {text}")', x, dims=(merged, *dims[2:]))
    if x.dims[-1].known % 2 == 0 and x.dims[-1].known:
        half = Size(x.dims[-1].known // 2)
        parts = f'"{" ".join(letters[:-1])} (p q) -> p {" ".join(letters[:-1])} q"'
        return body.say(f"rearrange({x.name}, {parts}, p = 2)", x, dims=(Size(2), *x.dims[:-1], half))
    return None


def join(body: Body) -> Val | None:
    """concat or stack."""
    x = body.floats(rank=1)
    if x is None:
        return None
    at = body.rng.randrange(x.rank)
    y = body.pick(lambda v: v.kind == "float" and v.rank == x.rank and _but(v.dims, at) == _but(x.dims, at)) or x
    exact, reach = x.exact or y.exact, max(x.reach, y.reach)
    if y.dims == x.dims and body.rng.random() < 0.4:
        at = body.rng.randrange(x.rank + 1)
        dims = (*x.dims[:at], Size(2), *x.dims[at:])
        return body.say(f"stack([{x.name}, {y.name}], along = {at})", x, dims=dims, reach=reach, exact=exact)
    total = x.dims[at].plus_size(y.dims[at])
    if total is None or x.exact != y.exact:
        return None
    dims = (*x.dims[:at], total, *x.dims[at + 1 :])
    return body.say(f"concat([{x.name}, {y.name}], along = {at})", x, dims=dims, reach=reach)


def _but(dims: Dims, at: int) -> Dims:
    return (*dims[:at], *dims[at + 1 :])


def halves(body: Body) -> Val | None:
    """split, into two or three."""
    x = body.floats(rank=1)
    if x is None:
        return None
    at = body.rng.randrange(x.rank)
    size = x.dims[at]
    counts = [n for n in (2, 3) if size.known and size.known % n == 0]
    if not counts:
        return None
    count = body.rng.choice(counts)
    names = [body.name() for _ in range(count)]
    body.lines.append(f"{', '.join(names)} = split({x.name}, {count}, along = {at})")
    dims = (*x.dims[:at], Size(size.known // count), *x.dims[at + 1 :])
    body.values += [replace(x, name=name, dims=dims) for name in names]
    return body.values[-1]


def cut(body: Body) -> Val | None:
    """An index or a slice of one dim."""
    x = body.pick(lambda value: value.rank >= 1)
    if x is None:
        return None
    at = body.rng.randrange(x.rank)
    colons, size = [":"] * x.rank, x.dims[at]
    if body.rng.random() < 0.4:
        ends = range(-size.known, size.known) if size.known else (0, -1)
        colons[at] = str(body.rng.choice(ends))
        if size.symbol and (size.plus < 0 or size.symbol not in ("batch", "seq")):
            return None
        return body.say(f"{x.name}[{', '.join(colons)}]", x, dims=_but(x.dims, at))
    if body.rng.random() < 0.3:
        colons.insert(at, "none")
        return body.say(f"{x.name}[{', '.join(colons)}]", x, dims=(*x.dims[:at], Size(1), *x.dims[at:]))
    if size.known >= 2:
        colons[at], left = body.rng.choice([("1:", size.known - 1), (":-1", size.known - 1), (":1", 1), (":2", 2)])
        return body.say(f"{x.name}[{', '.join(colons)}]", x, dims=(*x.dims[:at], Size(left), *x.dims[at + 1 :]))
    if size == Size(0, "seq"):
        colons[at] = body.rng.choice(["1:", ":-1"])
        less = Size(-1, "seq")
        return body.say(f"{x.name}[{', '.join(colons)}]", x, dims=(*x.dims[:at], less, *x.dims[at + 1 :]))
    return None


def widen(body: Body) -> Val | None:
    """pad, expand_dims, broadcast, flatten, reshape, transpose, swap, squeeze."""
    x = body.floats(rank=1)
    if x is None:
        return None
    choice = body.rng.randrange(7)
    at = body.rng.randrange(x.rank)
    if choice == 0:
        before, after = [0] * x.rank, [0] * x.rank
        before[at], after[at] = body.rng.randint(0, 1), body.rng.randint(0, 2)
        size = x.dims[at].plus_size(Size(before[at] + after[at]))
        dims = (*x.dims[:at], size or x.dims[at], *x.dims[at + 1 :])
        return body.say(f"pad({x.name}, {before}, {after}, value = 0.25)", x, dims=dims)
    if choice == 1:
        text = ", ".join(map(str, x.dims))
        return body.say(f"broadcast({x.name}, [2, {text}])", x, dims=(Size(2), *x.dims))
    if choice == 2 and x.rank >= 2 and x.dims[-1].known:
        last = x.dims[-2].scaled(x.dims[-1].known)
        return body.say(f"flatten({x.name}, first = -2)", x, dims=(*x.dims[:-2], last))
    if choice == 3 and x.dims[-1].known % 2 == 0 and x.dims[-1].known:
        sizes = [*map(str, x.dims[:-1]), "2", "-1"]
        dims = (*x.dims[:-1], Size(2), Size(x.dims[-1].known // 2))
        return body.say(f"reshape({x.name}, [{', '.join(sizes)}])", x, dims=dims)
    if choice == 4 and x.rank >= 2:
        order = body.rng.sample(range(x.rank), x.rank)
        return body.say(f"transpose({x.name}, {order})", x, dims=tuple(x.dims[a] for a in order))
    if choice == 5 and x.rank >= 2:
        dims = (*x.dims[:-2], x.dims[-1], x.dims[-2])
        return body.say(f"swap({x.name}, -1, -2)", x, dims=dims)
    if Size(1) in x.dims:
        at = x.dims.index(Size(1))
        return body.say(f"squeeze({x.name}, {at})", x, dims=_but(x.dims, at))
    return None


def look_up(body: Body) -> Val | None:
    """gather, one_hot, iota, take_along, full."""
    ids = body.pick(lambda value: value.kind == "int" and value.rank <= 2)
    choice = body.rng.randrange(5)
    if choice == 0 and ids:
        size = body.rng.choice([2, 3, 4])
        return body.say(f"one_hot({ids.name}, {size})", ids, kind="float", dims=(*ids.dims, Size(size)), reach=1.0)
    x = body.floats(rank=1)
    if x is None:
        return None
    if choice == 1 and ids:
        return body.say(f"{x.name}[{ids.name}]", x, dims=(*ids.dims, *x.dims[1:]))
    if choice == 2:
        size = body.rng.choice(x.dims)
        return body.say(f"iota({size})", x, kind="int", dims=(size,), exact=False)
    if choice == 3:
        size = body.rng.choice(x.dims)
        value = body.rng.choice(["0.0", "1.0", "0.5"])
        return body.say(f"full([{size}, 2], {value})", x, dims=(size, Size(2)), reach=1.0, exact=False)
    at = body.rng.randrange(x.rank)
    other = body.pick(lambda v: v.kind == "int" and v.rank == x.rank and _but(v.dims, at) == _but(x.dims, at))
    if other is None:
        return None
    return body.say(f"take_along({x.name}, {other.name}, along = {at})", x, dims=other.dims)
