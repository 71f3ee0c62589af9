"""main_model from gpt.trx: 0 parameters.

Written by trxc. Needs jax.
`python program.py` prints what it is, and lets it run once on random data.
"""

import jax
import jax.numpy as jnp


def spread(x, *, n):
    """spread."""
    return jnp.broadcast_to(x, (n, 4))  # f32[n, c]


def main_model(pairs, other):
    """main_model."""
    m = other.shape[0]
    n = pairs.shape[0] // 2
    first = jnp.mean(pairs, axis=0)  # f32[c]
    return spread(first, n=n) / jnp.float32(m * n + 1), jnp.sum(other) * 2


@jax.jit
def init(key):
    """The weights at the start, from a random key."""
    return {}


def init_state():
    """What training keeps beside the weights, at the start."""
    return {}


def apply(params, state, inputs):
    """Inference: named outputs from named inputs."""
    y, z = main_model(inputs["pairs"], inputs["other"])
    return {"y": y, "z": z}


def main():
    """Prints what the model is, and runs it once on random data."""
    key = jax.random.key(0)
    params, state = init(key), init_state()
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    print(f"main_model: {count:,} parameters")
    inputs = {
        "pairs": jax.random.normal(key, (32, 4), jnp.float32),
        "other": jax.random.normal(key, (2, 4), jnp.float32),
    }
    for name, value in inputs.items():
        print(f"{name}: {value.dtype}{list(value.shape)}")
    for name, value in apply(params, state, inputs).items():
        print(f"{name}: {value.dtype}{list(value.shape)}")


if __name__ == "__main__":
    main()
