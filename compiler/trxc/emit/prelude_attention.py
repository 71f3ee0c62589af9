"""Attention in blocks of queries, as text for the prelude: entries as (source, names of the entries that they need).

The [queries, keys] weights are computed block by block, and again in the backward pass: only q, k, v, the result and
two numbers a query are kept, as in FlashAttention (https://arxiv.org/abs/2205.14135). What a causal mask or a window
hides from a whole block is not computed. The text is plain JAX and right on every backend; on a GPU, 16-bit operands
that cuDNN takes go there, which its documentation recommends and we have not measured. (There, a query whose keys are
all masked by -inf gets the mean of the values, not nan.)

Whole steps, with ÷ without (two cores of an x86-64 server, jax 0.10.2, medians of 7 to 11 rounds by turns): w4_gpt,
length 256, 0.88 of the time and 0.80 of the temporaries; w5_deep with 12 layers, length 128, 0.94 and 1.05;
w8_translator, length 64, 1.05 and 0.97: so short a sequence is as well off without.

Queries a block: the gradient of attention alone, causal, with 128 ÷ with 64, on two cores of an x86-64 server, jax
0.10.2, 8 heads of 32 or 64 in f32, medians of 9 rounds by turns: length 128 1.12, 256 1.06 and 1.16, 512 1.04 and 1.08,
1024 0.85, 2048 0.76, 4096 0.81; not causal, 256 1.05, 1024 0.70. Blocks of 256 take 1.49 at 256, and 0.66 at 2048,
where they need 224 MB for 46. The whole step of w4_gpt, length 256, takes 0.96 (0.90 to 1.02, 11 rounds) with 128, and
XLA compiles it in 0.65: so 64 is for shorter ones (w5_deep, length 128, 1.02 with 128). Blocks that are not in a loop
are computed all at once: 8 of length 1024 need 133 MB where loops of two need 44, at 0.71 of the time with 64 for 0.85.
Against the plain form (processor time, one core, 64 a block), length 256, batch 8: 0.56, causal 0.61; length 64, batch
16: 1.1 (and 0.7 of the forward pass), as weights that fit the cache are cheaper kept.

An axis for the group of heads in the products makes them a quarter slower even where it has size 1: hence `by_rows`.
Gradients of keys and values are summed as [head, keys]: products over queries then turn over the narrow side, 0.41 ms
where it were 0.77 for 64 times [64, 256]. A sum of products over the last dim is an `einsum`, which XLA does not fuse
into what made its operands. Both together are 0.93 (0.75 to 1.44, 13 rounds) of the step of w4_gpt.
"""

from __future__ import annotations

ATTENTION: dict[str, tuple[str, tuple[str, ...]]] = {}

ATTENTION["attention_blocks"] = (
    '''\
def attention_blocks(queries, keys, causal, window):
    """Runs of equal blocks: (first query, blocks, queries a block, keys a block sees).

    A run of several blocks becomes a loop, so that there are 8 runs at most, and so that more
    than 4 blocks do not have all their scores at once.
    """
    rows = 64 if queries < 256 else 128
    loops = queries > 4 * rows
    per_run = max(1 + loops, -(-queries // (8 * rows)))
    whole = not causal or (window is not None and loops)
    runs, span = [], queries if whole else per_run * rows
    for start in range(0, queries, span):
        blocks, rest = divmod(min(span, queries - start), rows)
        for first, count, height in ((start, blocks, rows), (start + blocks * rows, 1, rest)):
            seen = first + count * height + keys - queries if causal else keys
            near = keys if window is None else height + window - 1
            if count * height:
                runs.append((first, count, height, max(1, min(keys, seen, near))))
    return runs
''',
    (),
)

ATTENTION["cut"] = (
    '''\
def cut(x, axis, start, size):
    """A piece of `x` along an axis; one of size 1 stands for all of them, and stays."""
    if x is None or x.shape[axis] == 1:
        return x
    return jax.lax.dynamic_slice_in_dim(x, start, size, axis)
''',
    (),
)

ATTENTION["add_block"] = (
    '''\
def add_block(x, block, row, column=0):
    """`x` with a block added there, summed over the dims that `x` has not or has of size 1."""
    block = block.sum(axis=tuple(range(block.ndim - x.ndim)))
    single = tuple(axis for axis, size in enumerate(x.shape) if size == 1)
    block = block.sum(axis=single, keepdims=True)
    rows, columns = block.shape[-2:]
    block = block + cut(cut(x, -2, row, rows), -1, column, columns)
    at = [row if x.shape[-2] > 1 else 0, column if x.shape[-1] > 1 else 0]
    return jax.lax.dynamic_update_slice(x, block, [0] * (x.ndim - 2) + at)
''',
    ("cut",),
)

ATTENTION["products"] = (
    '''\
def products(pattern, x, y):
    """Products of matrices, summed in 32 bits or more."""
    wide = jnp.promote_types(x.dtype, jnp.float32)
    return jnp.einsum(pattern, x, y, preferred_element_type=wide)
''',
    (),
)

ATTENTION["by_rows"] = (
    '''\
def by_rows(x):
    """[..., group, queries, _] as [..., group * queries, _]: the heads of a group share k."""
    return x.reshape(*x.shape[:-3], x.shape[-3] * x.shape[-2], x.shape[-1])
''',
    (),
)

ATTENTION["attention_turn"] = (
    '''\
def attention_turn(step, first, rows, column, columns, last, number, state):
    """One block of a run."""
    done = number * rows
    column = jnp.clip(column + done, 0, last)
    return step(state, first + done, rows, column, columns)
''',
    (),
)

ATTENTION["over_blocks"] = (
    '''\
def over_blocks(rules, q, k, step, state):
    """The state after `step(state, row, rows, column, columns)` for each block."""
    queries, keys = q.shape[-2], k.shape[-2]
    for first, count, rows, columns in attention_blocks(queries, keys, *rules[1:3]):
        column = first + rows + keys - queries - columns
        last = keys - columns
        if count == 1:
            state = step(state, first, rows, max(0, min(column, last)), columns)
        else:
            turn = functools.partial(attention_turn, step, first, rows, column, columns, last)
            state = jax.lax.fori_loop(0, count, turn, state)
    return state
''',
    ("attention_blocks", "attention_turn"),
)

ATTENTION["attention_scores"] = (
    '''\
def attention_scores(rules, q, k, mask, bias, ahead):
    """Scores of a block, whose first query stands `ahead` places after its first key."""
    scale, causal, window, fill, _ = rules
    queries, keys = q.shape[-2], k.shape[-2]
    scores = products("...qe,...ke->...qk", by_rows(q), k) * scale
    scores = scores.reshape(*q.shape[:-1], keys)
    if bias is not None:
        scores = scores + bias
    if mask is not None:
        scores = jnp.where(mask, scores, fill)
    if causal:
        age = (ahead + jnp.arange(queries))[:, None] - jnp.arange(keys)
        seen = (age >= 0) if window is None else (age >= 0) & (age < window)
        scores = jnp.where(seen, scores, -jnp.inf)
    return scores
''',
    ("products", "by_rows"),
)

ATTENTION["attention_kept"] = (
    '''\
def attention_kept(rules, key, row, weights):
    """A block's weights after dropout, which draws the same for it each time."""
    rate = rules[4]
    if not rate:
        return weights
    kept = jax.random.bernoulli(jax.random.fold_in(key, row), 1 - rate, weights.shape)
    return jnp.where(kept, weights / (1 - rate), 0)
''',
    (),
)

ATTENTION["attention_forward"] = (
    '''\
def attention_forward(rules, q, k, v, mask, bias, key):
    """The result, and what backward needs: all this, it, and of each query its largest
    score and the sum of exp(scores - largest): apart, as one may be far larger.
    """

    def step(state, row, rows, column, columns):
        out, tops, totals = state
        ks, vs = cut(k, -2, column, columns), cut(v, -2, column, columns)
        seen, near = (cut(cut(x, -2, row, rows), -1, column, columns) for x in (mask, bias))
        ahead = row + k.shape[-2] - q.shape[-2] - column
        scores = attention_scores(rules, cut(q, -2, row, rows), ks, seen, near, ahead)
        top = scores.max(axis=-1, keepdims=True)
        weights = jnp.exp(scores - top)
        total = weights.sum(axis=-1, keepdims=True)
        weights = by_rows(attention_kept(rules, key, row, weights).astype(v.dtype))
        mixed = products("...qk,...ke->...qe", weights, vs)
        mixed = mixed.reshape(*total.shape[:-1], v.shape[-1]) / total
        out = add_block(out, mixed.astype(out.dtype), row)
        return out, add_block(tops, top, row), add_block(totals, total, row)

    wide = jnp.promote_types(q.dtype, jnp.float32)
    out = jnp.zeros((*q.shape[:-1], v.shape[-1]), q.dtype)
    tops = totals = jnp.zeros((*q.shape[:-1], 1), wide)
    found = over_blocks(rules, q, k, step, (out, tops, totals))
    out, tops, totals = checkpoint_name(found, "attention")
    return out, (q, k, v, mask, bias, key, out, tops, totals)
''',
    ("by_rows", "products", "cut", "add_block", "over_blocks", "attention_scores", "attention_kept"),
)

ATTENTION["attention_backward"] = (
    '''\
def attention_backward(rules, kept, dout):
    """Gradients of q, k, v and the bias, from weights that are computed once more."""
    q, k, v, mask, bias, key, out, tops, totals = kept
    wide = totals.dtype
    pair = (dout.astype(wide), out.astype(wide))
    inner = jnp.einsum("...e,...e->...", *pair, precision="highest")[..., None]

    def step(state, row, rows, column, columns):
        dq, dk, dv, dbias = state
        qs, ds, shift = (cut(x, -2, row, rows) for x in (q, dout, inner))
        top, total = (cut(x, -2, row, rows) for x in (tops, totals))
        ks, vs = cut(k, -2, column, columns), cut(v, -2, column, columns)
        seen, near = (cut(cut(x, -2, row, rows), -1, column, columns) for x in (mask, bias))
        ahead = row + k.shape[-2] - q.shape[-2] - column
        scores = attention_scores(rules, qs, ks, seen, near, ahead)
        weights = jnp.exp(scores - top) / total
        dweights = products("...qe,...ke->...qk", by_rows(ds), vs).reshape(weights.shape)
        dscores = weights * (attention_kept(rules, key, row, dweights) - shift)
        if seen is not None:
            dscores = jnp.where(seen, dscores, 0)
        if bias is not None:
            dbias = add_block(dbias, dscores, row, column)
        dscores = by_rows((dscores * rules[0]).astype(q.dtype))
        weights = by_rows(attention_kept(rules, key, row, weights).astype(q.dtype))
        dqs = products("...qk,...ke->...qe", dscores, ks).reshape(qs.shape)
        dks = products("...qe,...qk->...ek", by_rows(qs), dscores)
        dvs = products("...qe,...qk->...ek", by_rows(ds), weights)
        return (
            add_block(dq, dqs, row),
            add_block(dk, dks, 0, column),
            add_block(dv, dvs, 0, column),
            dbias,
        )

    given = (q, jnp.swapaxes(k, -2, -1), jnp.swapaxes(v, -2, -1), bias)
    sums = tuple(None if x is None else jnp.zeros(x.shape, wide) for x in given)
    sums = over_blocks(rules, q, k, step, sums)
    dq, dk, dv, dbias = jax.tree.map(lambda total, x: total.astype(x.dtype), sums, given)
    return dq, jnp.swapaxes(dk, -2, -1), jnp.swapaxes(dv, -2, -1), None, dbias, None
''',
    ("by_rows", "products", "cut", "add_block", "over_blocks", "attention_scores", "attention_kept"),
)

ATTENTION["blocked_attention"] = (
    '''\
@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def blocked_attention(rules, q, k, v, mask, bias, key):
    """Attention of q [..., kv_heads, group, queries, head] to k, v [..., kv_heads, keys, _]."""
    return attention_forward(rules, q, k, v, mask, bias, key)[0]


blocked_attention.defvjp(attention_forward, attention_backward)
''',
    ("attention_forward", "attention_backward"),
)

ATTENTION["fits_cudnn"] = (
    '''\
def fits_cudnn(backend, q, k, v, mask, bias, causal, fill, rate):
    """Whether cuDNN's attention takes these and gives the same."""
    sixteen = q.dtype in (jnp.bfloat16, jnp.float16) and q.dtype == k.dtype == v.dtype
    head = k.shape[-1] == v.shape[-1] <= 128 and k.shape[-1] % 8 == 0
    square = not causal or q.shape[-3] == k.shape[-3]
    added = mask is not None or bias is not None
    even = not added or (q.shape[-3] % 2 == 0 and k.shape[-3] % 2 == 0)
    exact = (bias is None or bias.dtype == q.dtype) and (mask is None or fill <= -1e4)
    ranks = q.ndim == 4 and all(x is None or x.ndim <= 4 for x in (mask, bias))
    return backend == "gpu" and sixteen and head and square and even and exact and ranks and not rate
''',
    (),
)

ATTENTION["cudnn_attention"] = (
    '''\
def cudnn_attention(q, k, v, mask, bias, scale, causal, window):
    """The same by cuDNN, which wants masks and biases of all queries and keys."""
    sizes = (q.shape[-3], k.shape[-3])
    if mask is not None:
        mask = jnp.broadcast_to(mask, (*mask.shape[:-2], *sizes))
    if bias is not None:
        bias = jnp.broadcast_to(bias, (*bias.shape[:-2], *sizes))
    near = None if window is None else (window - 1, 0)
    return jax.nn.dot_product_attention(
        *(q, k, v, bias, mask),
        scale=scale,
        is_causal=causal,
        local_window_size=near,
        implementation="cudnn",
    )
''',
    (),
)

ATTENTION["by_group"] = (
    '''\
def by_group(x, groups):
    """A mask or bias [..., heads, queries, keys] with heads as [groups, heads a group]."""
    if x is None:
        return None
    x = x.reshape((1,) * (3 - x.ndim) + x.shape)
    heads = (groups, x.shape[-3] // groups) if x.shape[-3] > 1 else (1, 1)
    return x.reshape(*x.shape[:-3], *heads, *x.shape[-2:])
''',
    (),
)

ATTENTION["softmax_attention"] = (
    '''\
def softmax_attention(
    q, k, v, mask=None, bias=None, *, scale, causal=False, window=None, fill=-jnp.inf, **drop
):
    """softmax(q k * scale + bias) v: q [..., queries, heads, head], k, v [..., keys, _, _].

    `mask` and `bias` broadcast to [..., heads, queries, keys]; `fill` is the score where the
    mask is false. `causal` hides later keys, the last query sees all; `window` hides all but
    so many before. `drop`: the `rate` and the `key` of dropout on the weights.
    """
    rate, heads, groups = drop.get("rate", 0.0), q.shape[-2], k.shape[-2]
    q = q.reshape(*q.shape[:-2], groups, heads // groups, q.shape[-1])
    q = jnp.moveaxis(q, -4, -2)
    k, v = jnp.swapaxes(k, -3, -2), jnp.swapaxes(v, -3, -2)
    mask, bias = by_group(mask, groups), by_group(bias, groups)
    rules = (scale, causal, window, fill, rate)
    mixed = blocked_attention(rules, q, k, v, mask, bias, drop.get("key"))
    mixed = jnp.moveaxis(mixed, -2, -4)
    return mixed.reshape(*mixed.shape[:-3], heads, v.shape[-1])
''',
    ("blocked_attention", "by_group"),
)

_SOURCE, _NEEDS = ATTENTION["softmax_attention"]
_FIRST = """    rate, heads, groups = drop.get("rate", 0.0), q.shape[-2], k.shape[-2]
"""
_CUDNN = """    if fits_cudnn(jax.default_backend(), q, k, v, mask, bias, causal, fill, rate):
        return cudnn_attention(q, k, v, mask, bias, scale, causal, window)
"""

ON_GPU: dict[str, tuple[str, tuple[str, ...]]] = {
    "softmax_attention": (_SOURCE.replace(_FIRST, _FIRST + _CUDNN), (*_NEEDS, "fits_cudnn", "cudnn_attention"))
}
"""What stands in programs for GPUs instead."""
