"""Prelude functions for products with a weight in a loop, whose gradient is one product after the loop.

Each entry is its text and the entries that it needs; see :mod:`.prelude`.

A step of backward multiplies by the weight turned over, which XLA for CPUs would do at each step: once before the loop,
w3_lstm takes 0.89 of the time (0.44 to 1.14, 15 rounds by turns, two cores of an x86-64 server, jax 0.10.2). A barrier
keeps it from being put back into the product.
"""

from __future__ import annotations

LOOPS: dict[str, tuple[str, tuple[str, ...]]] = {}

LOOPS["loop_product"] = (
    '''\
@jax.custom_vjp
def loop_product(x, w, part):
    """x @ w in a loop; what it adds to the gradient of w, it leaves with `part`."""
    return jnp.matmul(x, w)


def loop_product_fwd(x, w, part):
    """Keeps both factors; w turned over, which jax does once, before the loop."""
    return jnp.matmul(x, w), (x, jax.lax.optimization_barrier(w.T))


def loop_product_bwd(factors, gradient):
    """The gradient of x; in place of one of `part`, the factors of that of w."""
    x, turned = factors
    return jnp.matmul(gradient, turned), None, (x, gradient)


loop_product.defvjp(loop_product_fwd, loop_product_bwd)
''',
    (),
)

LOOPS["loop_parts"] = (
    '''\
@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def loop_parts(w, rows):
    """Zeros, of which only the gradients matter: those of x and of x @ w, at each step."""
    return tuple(jnp.zeros((*rows, size), w.dtype) for size in w.shape)


def loop_parts_fwd(w, rows):
    """Nothing needs to be kept."""
    return loop_parts(w, rows), None


def loop_parts_bwd(rows, _, parts):
    """The gradient of w, from all steps."""
    x, gradient = (part.reshape(math.prod(rows), part.shape[-1]) for part in parts)
    return (jnp.matmul(x.T, gradient),)


loop_parts.defvjp(loop_parts_fwd, loop_parts_bwd)
''',
    (),
)

LOOPS["loop_weight"] = (
    '''\
def loop_weight(w, rows):
    """w for `loop_product` in a loop, and the parts of its gradient, one a step.

    jax adds up the gradient of a weight step by step. Here each step leaves the two
    factors of its part as the gradients of `parts`, and one product adds them all up.
    `rows` are the steps, and the dims of x before the last.
    """
    return w, loop_parts(w, rows)
''',
    ("loop_parts",),
)
