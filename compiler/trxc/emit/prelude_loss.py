"""A projection and its cross-entropy in blocks of tokens, as text for the prelude: (source, entries that it needs).

The [tokens, vocab] logits of one block exist at a time. As the loss is a scalar, the gradients of a block are found
together with its loss, while its logits are there, and backward only scales them: nothing is kept or computed twice.
The idea is that of Liger Kernel's fused linear cross-entropy (https://arxiv.org/abs/2410.10989).
"""

from __future__ import annotations

LOSSES: dict[str, tuple[str, tuple[str, ...]]] = {}

LOSSES["to_blocks"] = (
    '''\
def to_blocks(count, *arrays):
    """Arrays over tokens as `count` blocks, filled up with zeros: [count, rows, ...].

    Block i has every count-th token from i on. Where devices hold a range of tokens
    each, they have their share of every block, and nothing is moved.
    """

    def split(x):
        x = jnp.pad(x, [(0, -len(x) % count)] + [(0, 0)] * (x.ndim - 1))
        return jnp.moveaxis(x.reshape(-1, count, *x.shape[1:]), 1, 0)

    return [split(x) for x in arrays]
''',
    (),
)

LOSSES["from_blocks"] = (
    '''\
def from_blocks(x, tokens):
    """What `to_blocks` split, in one piece."""
    return jnp.moveaxis(x, 0, 1).reshape(-1, *x.shape[2:])[:tokens]
''',
    (),
)

LOSSES["cross_entropy_slopes"] = (
    '''\
def cross_entropy_slopes(logits, targets, smoothing, z_loss):
    """The cross-entropy of each row of logits[tokens, vocab], and its derivatives."""
    vocab = logits.shape[-1]
    targets = jnp.clip(targets, 0, vocab - 1)[:, None]
    top = jnp.max(logits, axis=-1, keepdims=True)
    powers = jnp.exp(logits - top)
    total = jnp.sum(powers, axis=-1, keepdims=True)
    right = jnp.take_along_axis(logits, targets, axis=-1)
    losses = jnp.log(total) - (1 - smoothing) * (right - top)
    slopes = powers / total
    if smoothing:
        losses -= smoothing * (jnp.mean(logits, axis=-1, keepdims=True) - top)
    if z_loss:
        normaliser = jnp.log(total) + top
        losses += z_loss * normaliser**2
        slopes *= 1 + 2 * z_loss * normaliser
    slopes -= jnp.where(jnp.arange(vocab) == targets, 1 - smoothing, 0)
    return losses[:, 0], slopes - smoothing / vocab
''',
    (),
)

LOSSES["summed_cross_entropy"] = (
    '''\
@functools.partial(jax.custom_vjp, nondiff_argnums=(5, 6, 7, 8))
def summed_cross_entropy(x, w, bias, targets, weights, form, smoothing, z_loss, count):
    """The sum of weight * cross-entropy over tokens, in `count` blocks."""
    dtype = jnp.promote_types(x.dtype, jnp.float32)
    narrow = w.astype(x.dtype)

    def add_block(total, block):
        x, targets, weights = block
        logits = jnp.einsum(f"td,{form}->tv", x, narrow, preferred_element_type=dtype)
        logits = logits if bias is None else logits + bias
        losses, _ = cross_entropy_slopes(logits, targets, smoothing, z_loss)
        return total + jnp.sum(jnp.where(weights == 0, 0, weights * losses)), None

    blocks = to_blocks(count, x, targets, weights)
    return jax.lax.scan(add_block, jnp.zeros((), dtype), blocks)[0]


def summed_cross_entropy_forward(
    x, w, bias, targets, weights, form, smoothing, z_loss, count
):
    """The same, with the gradients that a cotangent of 1 has."""
    dtype = jnp.promote_types(x.dtype, jnp.float32)
    product = functools.partial(jnp.einsum, preferred_element_type=dtype)
    narrow = w.astype(x.dtype)

    def add_block(sums, block):
        x, targets, weights = block
        logits = product(f"td,{form}->tv", x, narrow)
        logits = logits if bias is None else logits + bias
        losses, slopes = cross_entropy_slopes(logits, targets, smoothing, z_loss)
        counted = jnp.where(weights == 0, 0, weights * losses)
        slopes = jnp.where(weights[:, None] == 0, 0, weights[:, None] * slopes)
        low = slopes.astype(x.dtype)
        dx = product(f"tv,{form}->td", low, narrow).astype(x.dtype)
        dw = product(f"td,tv->{form}", x, low)
        db = None if bias is None else jnp.sum(slopes, axis=0)
        return jax.tree.map(jnp.add, sums, (jnp.sum(counted), dw, db)), (dx, losses)

    shapes = (), w.shape, None if bias is None else bias.shape
    zeros = [None if shape is None else jnp.zeros(shape, dtype) for shape in shapes]
    blocks = to_blocks(count, x, targets, weights)
    (total, dw, db), parts = jax.lax.scan(add_block, tuple(zeros), blocks)
    dx, losses = [from_blocks(part, len(x)) for part in parts]
    db = None if bias is None else db.astype(bias.dtype)
    return total, (dx, dw.astype(w.dtype), db, losses)


def summed_cross_entropy_backward(form, smoothing, z_loss, count, kept, slope):
    """The gradients, scaled."""
    dx, dw, db, losses = jax.tree.map(lambda x: (slope * x).astype(x.dtype), kept)
    return dx, dw, db, None, losses


summed_cross_entropy.defvjp(summed_cross_entropy_forward, summed_cross_entropy_backward)
''',
    ("to_blocks", "from_blocks", "cross_entropy_slopes"),
)

LOSSES["linear_cross_entropy"] = (
    '''\
def linear_cross_entropy(
    x,
    w,
    targets,
    weights=None,
    bias=None,
    *,
    form,
    block,
    mean=True,
    smoothing=0.0,
    z_loss=0.0,
    split=(),
):
    """The mean, or sum, of weight * cross-entropy over tokens: logits are x @ w + bias.

    x is [..., d]; w is [d, vocab] in the form "dv", and [vocab, d] in the form "vd".
    Tokens are taken in blocks of about `block` logits, and only those of one block
    exist at a time. A token of weight 0 adds nothing, whatever its loss. Where axes of
    the mesh `split` the first dim, each part adds up its own gradient of w in its own
    blocks: devices exchange their sums once, at the end.
    """
    mesh = jax.sharding.get_abstract_mesh()
    parts = 1 if mesh.empty else math.prod(mesh.shape[axis] for axis in split)
    tokens, lead, vocab = targets.size, targets.ndim, w.shape[form.index("v")]
    dtype = jnp.promote_types(x.dtype, jnp.float32)
    wanted = max(1, min(tokens // parts, round(tokens // parts * vocab / block)))
    even = [n for n in range(wanted, 2 * wanted) if x.shape[-2] % n == 0]
    weights = jnp.ones(targets.shape, dtype) if weights is None else weights

    def part(x, targets, weights):
        settings = form, smoothing, z_loss, even[0] if even else wanted
        return summed_cross_entropy(x, w, bias, targets, weights, *settings)

    rows = parts, tokens // parts
    given = [v.reshape(*rows, *v.shape[lead:]) for v in (x, targets, weights)]
    total = jnp.sum(jax.vmap(part)(*given))
    return total / tokens if mean else total
''',
    ("summed_cross_entropy",),
)
