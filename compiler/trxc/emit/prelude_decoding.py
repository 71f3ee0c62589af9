"""What decoding keeps, written and looked at, as text for the prelude: see :mod:`.prelude_attention` for its form.

Keys and values lie heads first, `[batch, heads, places, head]`: with heads behind places XLA's CPU compiler copies all
that is kept for each product. One attention of one query to 256 places with 6 heads of 64, and the writes before it, on
two cores of an x86-64 server, jax 0.10.2: 151 us for 168 with one row, 361 for 4,857 with eight. With more than three
dims it copies what a loop keeps as well, even where one of them is 1: so batch and heads are one, but on a mesh, which
splits them. 512 places, 8 heads of 32, one row: 22 us for 127.

Sequences of different lengths are rows under `vmap`, each with a `start` of its own. Left to `vmap`, a write becomes a
scatter, and products have an axis for the row and one of size 1 for its batch; both make XLA copy what is kept: 656 us
for eight rows. So both say themselves what they are for rows: the rows are the batch, and are written one after the
other: 128 us, as eight rows at one place take (134).
"""

from __future__ import annotations

DECODING: dict[str, tuple[str, tuple[str, ...]]] = {}

DECODING["write_at"] = (
    '''\
def write_at(x, y, start, axis):
    """`x` with `y` in its places from `start` on; under `vmap`, row by row."""

    @jax.custom_batching.custom_vmap
    def write(x, y, start):
        return jax.lax.dynamic_update_slice_in_dim(x, y, start, axis)

    @write.def_vmap
    def write_rows(rows, mapped, x, y, start):
        x, y = with_rows(x, rows, mapped[0]), with_rows(y, rows, mapped[1])
        if axis == 0:
            form = functools.partial(jax.lax.dynamic_update_slice_in_dim, axis=0)
            return jax.vmap(form, (0, 0, 0 if mapped[2] else None))(x, y, start), True
        shape, each = x.shape, x.shape[1]
        x, y = x.reshape(-1, *shape[2:]), y.reshape(-1, *y.shape[2:])
        if not mapped[2]:
            x = jax.lax.dynamic_update_slice_in_dim(x, y, start, axis)
            return x.reshape(shape), True

        def write_row(row, x):
            piece = jax.lax.dynamic_slice_in_dim(y, row * each, each)
            at = [row * each, *[0] * (x.ndim - 1)]
            at[axis] = start[row]
            return jax.lax.dynamic_update_slice(x, piece, at)

        return jax.lax.fori_loop(0, rows, write_row, x).reshape(shape), True

    return write(x, y, start)
''',
    ("with_rows",),
)

DECODING["with_rows"] = (
    '''\
def with_rows(x, rows, mapped):
    """What all rows share, once for each of them."""
    return x if mapped else jnp.broadcast_to(x, (rows, *x.shape))
''',
    (),
)

DECODING["write_ring"] = (
    '''\
def write_ring(ring, x, start, axis):
    """`ring` with `x` from place `start` on; a place is kept at its number modulo their number."""
    places, count = ring.shape[axis], x.shape[axis]
    if count == 1:
        return write_at(ring, x, start % places, axis)
    offset = (jnp.arange(places) - start) % places
    taken = jnp.take(x, jnp.minimum(offset, count - 1), axis)
    inside = (offset < count).reshape(-1, *(1,) * (ring.ndim - axis - 1))
    return jnp.where(inside, taken, ring)
''',
    ("write_at",),
)

DECODING["chunk_attention"] = (
    '''\
def chunk_attention(q, k, v, *, scale, mask=None, bias=None, start=None, **rules):
    """Attention of a few queries to all that is kept: see `softmax_attention`.

    q [..., queries, heads, head], k, v [..., kv_heads, places, _]. `start`: the place of the
    first query, which hides later keys. `rules`: `window`; `ring`, whether a place is kept at
    its number modulo that of all places; `fill`. Under `vmap` rows are part of the batch.
    """
    attend = functools.partial(attention_to_kept, scale, rules)
    attend = jax.custom_batching.custom_vmap(attend)

    @attend.def_vmap
    def attend_rows(rows, mapped, *given):
        *x, start = given
        each = with_rows(x[0], rows, mapped[0])
        q, mask, bias = (
            rows_as_batch(x[at], rows, mapped[at], each.ndim - 1) for at in (0, 3, 4)
        )
        k, v = (with_rows(x[at], rows, mapped[at]) for at in (1, 2))
        k, v = (kept.reshape(-1, *kept.shape[-2:]) for kept in (k, v))
        if mapped[-1]:
            start = jnp.repeat(start, q.shape[0] // rows).reshape(-1, *(1,) * (q.ndim - 3))
        mixed = attention_to_kept(scale, rules, q, k, v, mask, bias, start)
        return mixed.reshape(*each.shape[:-1], mixed.shape[-1]), True

    return attend(q, k, v, mask, bias, start)
''',
    ("attention_to_kept", "rows_as_batch"),
)

DECODING["rows_as_batch"] = (
    '''\
def rows_as_batch(x, rows, mapped, rank):
    """Rows of an operand of attention, which has so many dims, as part of its first."""
    if x is None:
        return None
    x = with_rows(x, rows, mapped)
    x = x.reshape(rows, *(1,) * (rank + 1 - x.ndim), *x.shape[1:])
    return x.reshape(-1, *x.shape[2:]) if rank > 3 else x
''',
    ("with_rows",),
)

DECODING["attention_to_kept"] = (
    '''\
def attention_to_kept(scale, rules, q, k, v, mask, bias, start):
    """`chunk_attention`; `start` is one number, or has the dims of the scores but the last two."""
    k, v = (x.reshape(-1, *x.shape[-2:]) for x in (k, v))  # [batch * kv_heads, places, _]
    *lead, queries, heads, size = q.shape
    groups = k.shape[0] // math.prod(lead)
    by_group = (*lead, groups, heads // groups, queries)
    q = q.reshape(*lead, queries, groups, heads // groups, size)
    q = jnp.moveaxis(q, -4, -2).reshape(k.shape[0], -1, size)
    wide = jnp.promote_types(q.dtype, jnp.float32)
    scores = jnp.einsum("bqe,bke->bqk", q, k, preferred_element_type=wide)
    scores = scores.reshape(*lead, heads, queries, -1) * scale
    if bias is not None:
        scores = scores + bias
    if mask is not None:
        scores = jnp.where(mask, scores, rules.get("fill", -jnp.inf))
    if start is not None:
        seen = places_seen(start, *scores.shape[-2:], rules.get("window"), rules.get("ring"))
        scores = jnp.where(seen, scores, -jnp.inf)
    weights = jax.nn.softmax(scores, axis=-1).astype(v.dtype)
    weights = weights.reshape(k.shape[0], -1, k.shape[1])
    mixed = jnp.einsum("bqk,bke->bqe", weights, v).reshape(*by_group, v.shape[-1])
    return jnp.moveaxis(mixed, -2, -4).reshape(*lead, queries, heads, v.shape[-1])
''',
    ("places_seen",),
)

DECODING["places_seen"] = (
    '''\
def places_seen(start, queries, keys, window, ring):
    """Which queries, the first at place `start`, see which of the keys that are kept."""
    query, key = jnp.expand_dims(start, (-2, -1)) + jnp.arange(queries)[:, None], jnp.arange(keys)
    if ring:
        last = query[..., -1:, :]
        key = last - (last - key) % keys
    age = query - key
    seen = age >= 0 if window is None else (age >= 0) & (age < window)
    return seen & (key >= 0) if ring else seen
''',
    (),
)
