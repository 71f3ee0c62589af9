"""Products with weights, as text for the prelude: entries as (source, names of the entries that they need).

Leading dims are collapsed, so that a weight's gradient is a product of two matrices, too: with three dims XLA for CPUs
runs it at a third of the speed.

That gradient is `x.T @ dy`, and XLA for CPUs turns the left matrix over before the product, which takes the longer the
wider it is: 2,048 tokens, 1,024 by 256 features on two cores, 5.7 to 6.8 ms; as `(dy.T @ x).T`, 3.3 to 3.5. A barrier
keeps XLA from writing the second as the first. With it w4_gpt takes 0.96 of the time a step (0.44 to 1.00, 9 rounds by
turns, two cores of an x86-64 server, jax 0.10.2). Other targets turn matrices over while they read them.
"""

from __future__ import annotations

PRODUCTS: dict[str, tuple[str, tuple[str, ...]]] = {}
ON_CPU: dict[str, tuple[str, tuple[str, ...]]] = {}
"""Entries that are written otherwise on CPUs."""

_LINEAR = '''\
def linear(x, w):
    """x @ w over collapsed leading dims: w's gradient is then one product, too."""
    y = {product}(x.reshape(math.prod(x.shape[:-1]), x.shape[-1]), w)
    return y.reshape(*x.shape[:-1], w.shape[-1])
'''

_CONTRACT = '''\
def contract(x, w, axes=1):
    """The last `axes` dims of x with the first of w: one product of two matrices."""
    rows, inner, columns = x.shape[: x.ndim - axes], w.shape[:axes], w.shape[axes:]
    x = x.reshape(math.prod(rows), math.prod(inner))
    w = w.reshape(math.prod(inner), math.prod(columns))
    return {product}(x, w).reshape(*rows, *columns)
'''

PRODUCTS["turned_in_backward"] = (
    '''\
@jax.custom_vjp
def turned_in_backward(w):
    """w, whose gradient is computed as its transpose, and then turned back."""
    return w


def turned_forward(w):
    """Backward needs nothing."""
    return w, None


def turned_backward(_, dw):
    """XLA makes the transpose of a product a product; a barrier keeps it from undoing that."""
    return (jax.lax.optimization_barrier(dw.T).T,)


turned_in_backward.defvjp(turned_forward, turned_backward)
''',
    (),
)

PRODUCTS["matrix_product"] = (
    '''\
def matrix_product(x, w):
    """x @ w of two matrices, with a gradient of w that is fast for tall ones, too."""
    return jnp.matmul(x, turned_in_backward(w) if w.shape[0] > w.shape[1] else w)
''',
    ("turned_in_backward",),
)

for _name, _source in (("linear", _LINEAR), ("contract", _CONTRACT)):
    PRODUCTS[_name] = (_source.format(product="jnp.matmul"), ())
    ON_CPU[_name] = (_source.format(product="matrix_product"), ("matrix_product",))
