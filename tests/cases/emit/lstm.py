"""LSTM from gpt.trx: 160 parameters.

Long short-term memory.

Written by trxc. Needs jax.
`python program.py` prints what it is, and lets it run once on random data.
"""

import zlib

import jax
import jax.numpy as jnp


def lstm(params, x, key):
    """Long short-term memory."""
    batch, seq, _ = x.shape
    h = jnp.zeros((batch, 5), jnp.float32)  # f32[batch, hidden]
    c = jnp.zeros((batch, 5), jnp.float32)  # f32[batch, hidden]

    def cell_step(carry, inputs):
        h, c = carry
        x, key = inputs
        gates = jnp.matmul(jnp.concatenate([x, h], axis=-1), params["cell"]["w"])
        i, f, g, o = jnp.split(gates, 4, axis=-1)
        c = jax.nn.sigmoid(f + 1.0) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), dropout(fold(key, "dropout"), h, 0.5)

    (last, _), y = jax.lax.scan(
        cell_step,
        (h, c),
        (jnp.moveaxis(x, 1, 0), keys(fold(key, "cell"), seq)),
        reverse=True,
    )
    y = jnp.moveaxis(y, 0, 1)  # f32[batch, seq, hidden]
    return y, last


@jax.jit
def init(key):
    """The weights at the start, from a random key."""
    return {
        "cell": {
            "w": jax.nn.initializers.normal(0.02)(
                fold(key, "cell.w"), (8, 20), jnp.float32
            ),
        },
    }


def init_state():
    """What training keeps beside the weights, at the start."""
    return {}


def apply(params, state, inputs):
    """Inference: named outputs from named inputs."""
    y, last = lstm(params, inputs["x"], jax.random.key(0))
    return {"y": y, "last": last}


def main():
    """Prints what the model is, and runs it once on random data."""
    key = jax.random.key(0)
    params, state = init(key), init_state()
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    print(f"LSTM: {count:,} parameters")
    inputs = {"x": jax.random.normal(key, (2, 16, 3), jnp.float32)}
    for name, value in inputs.items():
        print(f"{name}: {value.dtype}{list(value.shape)}")
    for name, value in apply(params, state, inputs).items():
        print(f"{name}: {value.dtype}{list(value.shape)}")


if __name__ == "__main__":
    main()
