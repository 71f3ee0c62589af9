"""`train_step`: gradients, accumulation, scaling and the update, as one jitted function."""

from __future__ import annotations

from .lines import Line, plain
from .recipe import EmitRecipe

_HEAD = '''\
@functools.partial(jax.jit, donate_argnums=(0, 1, 2))
def train_step(params, state, opt_state, batch, key):
    """{doc}"""
'''

_OBJECTIVE = """\
    scale = opt_state["scale"]

    def scaled_loss(params, state, batch, key):
        value, state = loss(params, state, batch, key)
        return value.astype(jnp.float32) * scale, state

"""

_SINGLE = """\
    (value, state), grads = jax.value_and_grad({objective}, has_aux=True)(
        params, state, batch, key
    )
"""

_ACCUMULATED = """\
    micro_batches = jax.tree.map(
        lambda x: x.reshape(-1, {count}, *x.shape[1:]).swapaxes(0, 1), batch
    )

    def micro_step(carry, element):
        total, state = carry
        micro_batch, micro_key = element
        (value, state), grads = jax.value_and_grad({objective}, has_aux=True)(
            params, state, micro_batch, micro_key
        )
        return (jax.tree.map(jnp.add, total, (value, grads)), state), None

    zero = (jnp.float32(0), jax.tree.map(jnp.zeros_like, params))
    (total, state), _ = jax.lax.scan(
        micro_step, (zero, state), (micro_batches, keys(key, {count}))
    )
    value, grads = jax.tree.map(lambda x: x / {count}, total)
"""

_TRAINED = """\
    trained = jax.tree.map(
        lambda label, part: part if label == "train" else None, labels(), grads
    )
"""

_TAIL = """\
    updates, opt_state = optimizer().update(grads, opt_state, params)
    params = optax.apply_updates(params, updates)
"""


def write_train_step(recipe: EmitRecipe, frozen: bool) -> list[Line]:
    """The function as the runtime calls it."""
    doc = "One update of the weights; gives the new ones, and what to log of it."
    if recipe.accumulate > 1:
        doc = f"One update of the weights, from the mean gradient of {recipe.accumulate} micro-batches."
    objective = "scaled_loss" if recipe.loss_scale else "loss"
    text = _HEAD.format(doc=doc) + (_OBJECTIVE if recipe.loss_scale else "")
    body = _ACCUMULATED if recipe.accumulate > 1 else _SINGLE
    text += body.format(objective=objective, count=recipe.accumulate)
    text += (_TRAINED if frozen else "") + _TAIL + _metrics(recipe, "trained" if frozen else "grads")
    return plain(text)


def _metrics(recipe: EmitRecipe, grads: str) -> str:
    if not recipe.loss_scale:
        return (
            f'    metrics = {{"loss": value, "grad_norm": optax.tree.norm({grads})}}\n'
            "    return params, state, opt_state, metrics\n"
        )
    return (
        "    metrics = {\n"
        '        "loss": value / scale,\n'
        f'        "grad_norm": optax.tree.norm({grads}) / scale,\n'
        '        "loss_scale": scale,\n'
        "    }\n"
        "    return params, state, opt_state, metrics\n"
    )
