"""Tower from gpt.trx: 64 parameters.

Written by trxc. Needs jax and optax.
`python program.py` prints what it is, and lets it take one step on random data.

It trains faster on Linux in the environment that `trxc train` arranges:
MALLOC_ARENA_MAX=1 MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184
GLIBC_TUNABLES=glibc.malloc.hugetlb=1
XLA_FLAGS=--xla_backend_extra_options=xla_cpu_disable_loop_unrolling,xla_cpu_use_multi_output_fusion
"""

import functools
import zlib

import jax
import jax.numpy as jnp
import optax
from jax.sharding import PartitionSpec as P

MESH_SHAPE = {"data": 2}


def batch_norm(params, state, x):
    """Batch normalisation."""
    h = jax.lax.rsqrt(state["running_var"] + 1e-05)
    return (x - state["running_mean"]) * h * params["scale"]  # f32[batch, c]


def tower(params, state, x):
    """Tower."""

    def layers_step(x, layer):
        params, state = layer
        product = jnp.matmul(x, params["w"])
        return jnp.tanh(batch_norm(params["norm"], state["norm"], product)), None

    x, _ = jax.lax.scan(layers_step, x, (params["layers"], state["layers"]))
    return batch_norm(params["head"]["norm"], state["head"]["norm"], x)  # f32[batch, c]


def batch_norm_train(params, state, x):
    """Batch normalisation."""
    mu = jnp.mean(x, axis=0)  # f32[c]
    sigma2 = jnp.var(x, axis=0)  # f32[c]
    running_mean = 0.9 * state["running_mean"] + 0.1 * mu
    running_var = 0.9 * state["running_var"] + 0.1 * sigma2
    new_state = {"running_mean": running_mean, "running_var": running_var}
    return (x - mu) * jax.lax.rsqrt(sigma2 + 1e-05) * params["scale"], new_state


def tower_train(params, state, x):
    """Tower."""

    def layers_step(x, layer):
        params, state = layer
        y, norm_state = batch_norm_train(
            params["norm"], state["norm"], jnp.matmul(x, params["w"])
        )
        new_state = {"norm": norm_state}
        return jnp.tanh(y), new_state

    x, layers_state = jax.lax.scan(layers_step, x, (params["layers"], state["layers"]))
    x, norm_state = batch_norm_train(params["head"]["norm"], state["head"]["norm"], x)
    new_state = {"layers": layers_state, "head": {"norm": norm_state}}
    return x, new_state


@jax.jit
def init(key):
    """The weights at the start, from a random key."""
    return {
        "layers": {
            "w": stacked(3, jax.nn.initializers.normal(0.02))(
                fold(key, "layers.w"), (4, 4), jnp.float32
            ),
            "norm": {"scale": jnp.ones((3, 4), jnp.float32)},
        },
        "head": {"norm": {"scale": jnp.ones((4,), jnp.float32)}},
    }


def init_state():
    """What training keeps beside the weights, at the start."""
    return {
        "layers": {
            "norm": {
                "running_mean": jnp.zeros((3, 4), jnp.float32),
                "running_var": jnp.ones((3, 4), jnp.float32),
            },
        },
        "head": {
            "norm": {
                "running_mean": jnp.zeros((4,), jnp.float32),
                "running_var": jnp.ones((4,), jnp.float32),
            },
        },
    }


def apply(params, state, inputs):
    """Inference: named outputs from named inputs."""
    return {"y": tower(params, state, inputs["x"])}


def loss(params, state, batch, key):
    """The loss of a batch in training, and the new state."""
    x = batch["x"]  # f32[batch, c]
    target = batch["target"]  # f32[batch, c]
    y, new_state = tower_train(params, state, x)
    y = y - target
    return jnp.mean(y * y), new_state


def measure(params, state, batch):
    """What is averaged over batches in evaluation."""
    x = batch["x"]  # f32[batch, c]
    target = batch["target"]  # f32[batch, c]
    y = tower(params, state, x)  # f32[batch, c]
    return {"loss": jnp.mean(jnp.abs(y - target))}


def labels():
    """Which weights are trained, and which stay as they are."""
    return {"layers": "train", "head": "freeze"}


def optimizer():
    """How gradients become updates."""
    update = optax.sgd(0.1)
    return dynamic_loss_scale(
        optax.chain(
            optax.add_decayed_weights(
                0.0002, mask={"layers": {"w": True, "norm": False}, "head": False}
            ),
            optax.multi_transform(
                {"train": update, "freeze": optax.set_to_zero()}, labels()
            ),
        ),
    )


@functools.partial(jax.jit, donate_argnums=(0, 1, 2))
def train_step(params, state, opt_state, batch, key):
    """One update of the weights; gives the new ones, and what to log of it."""
    scale = opt_state["scale"]

    def scaled_loss(params, state, batch, key):
        value, state = loss(params, state, batch, key)
        return value.astype(jnp.float32) * scale, state

    (value, state), grads = jax.value_and_grad(scaled_loss, has_aux=True)(
        params, state, batch, key
    )
    trained = jax.tree.map(
        lambda label, part: part if label == "train" else None, labels(), grads
    )
    updates, opt_state = optimizer().update(grads, opt_state, params)
    params = optax.apply_updates(params, updates)
    metrics = {
        "loss": value / scale,
        "grad_norm": optax.tree.norm(trained) / scale,
        "loss_scale": scale,
    }
    return params, state, opt_state, metrics


def make_mesh():
    """The mesh that the program runs on, under `with jax.set_mesh(make_mesh()):`."""
    kinds = (jax.sharding.AxisType.Auto,) * len(MESH_SHAPE)
    return jax.make_mesh(
        tuple(MESH_SHAPE.values()), tuple(MESH_SHAPE), axis_types=kinds
    )


def param_specs():
    """How the weights are split over the mesh."""
    return {
        "layers": {"w": P(None, "data"), "norm": {"scale": P(None, "data")}},
        "head": {"norm": {"scale": P("data")}},
    }


def batch_specs():
    """How a batch is split over the mesh."""
    return {"x": P("data"), "target": P("data")}


def main():
    """Prints what the model is, and runs it once on random data."""
    key = jax.random.key(0)
    params, state = init(key), init_state()
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    print(f"Tower: {count:,} parameters")
    batch = {
        "x": jax.random.normal(key, (2, 4), jnp.float32),
        "target": jax.random.normal(key, (2, 4), jnp.float32),
    }
    for name, value in batch.items():
        print(f"{name}: {value.dtype}{list(value.shape)}")
    opt_state = optimizer().init(params)
    params, state, opt_state, metrics = train_step(params, state, opt_state, batch, key)
    for name, value in metrics.items():
        print(f"{name}: {value:.4f}")


if __name__ == "__main__":
    main()
