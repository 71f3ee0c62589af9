"""Odd from gpt.trx: 16 parameters.

Written by trxc. Needs jax.
`python program.py` prints what it is, and lets it run once on random data.
"""

import zlib

import jax
import jax.numpy as jnp


def loss_(params, lambda_):
    """Odd."""
    batch = lambda_.shape[0]
    jnp_ = jnp.sum(lambda_)
    jax_ = jnp_ > 0.0
    key_ = jnp.tanh(lambda_)  # f32[batch, c]

    def then():
        return jnp.matmul(key_, params["then"]["w"])

    def otherwise():
        def loop_step(lambda_2, _):
            return lambda_2 + key_, None

        repeat, _ = jax.lax.scan(loop_step, lambda_, length=2)
        return repeat

    y = jax.lax.cond(jax_, then, otherwise)
    import_ = y * jnp.float32(batch)  # f32[batch, c]
    return import_ + jax_.astype(jnp.float32)  # f32[batch, c]


@jax.jit
def init(key):
    """The weights at the start, from a random key."""
    return {
        "then": {
            "w": jax.nn.initializers.normal(0.02)(
                fold(key, "then.w"), (4, 4), jnp.float32
            ),
        },
    }


def init_state():
    """What training keeps beside the weights, at the start."""
    return {}


def apply(params, state, inputs):
    """Inference: named outputs from named inputs."""
    return {"y": loss_(params, inputs["lambda"])}


def main():
    """Prints what the model is, and runs it once on random data."""
    key = jax.random.key(0)
    params, state = init(key), init_state()
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    print(f"Odd: {count:,} parameters")
    inputs = {"lambda": jax.random.normal(key, (2, 4), jnp.float32)}
    for name, value in inputs.items():
        print(f"{name}: {value.dtype}{list(value.shape)}")
    for name, value in apply(params, state, inputs).items():
        print(f"{name}: {value.dtype}{list(value.shape)}")


if __name__ == "__main__":
    main()
