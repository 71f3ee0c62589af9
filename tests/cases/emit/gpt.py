"""GPT from gpt.trx: 2,800 parameters.

A small GPT.

Written by trxc. Needs jax and optax.
`python program.py` prints what it is, and lets it take one step on random data.

It trains faster on Linux in the environment that `trxc train` arranges:
MALLOC_ARENA_MAX=1 MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184
GLIBC_TUNABLES=glibc.malloc.hugetlb=1
XLA_FLAGS=--xla_backend_extra_options=xla_cpu_disable_loop_unrolling,xla_cpu_use_multi_output_fusion
"""

import functools
import math
import zlib

import jax
import jax.numpy as jnp
import optax

MESH_SHAPE = {}


def layer_norm(params, x):
    """Normalises each position to mean 0 and variance 1."""
    mu = jnp.mean(x, axis=-1, keepdims=True)  # f32[batch, seq, 1]
    sigma2 = jnp.var(x, axis=-1, keepdims=True)  # f32[batch, seq, 1]
    return (x - mu) * jax.lax.rsqrt(sigma2 + 1e-05) * params["scale"] + params["shift"]


def self_attention(params, x):
    """Multi-head causal self-attention."""
    seq = x.shape[1]
    q = contract(x, params["wq"])  # f32[batch, seq, heads, head]
    k = contract(x, params["wk"])  # f32[batch, seq, heads, head]
    v = contract(x, params["wv"])  # f32[batch, seq, heads, head]
    scores = jnp.einsum("bshe,bthe->bhst", q, k) / jnp.sqrt(jnp.float32(4))
    positions = jnp.arange(seq, dtype=jnp.int32)  # i32[seq]
    chosen = jnp.where(positions[None] <= positions[:, None], scores, -jnp.inf)
    attend = jax.nn.softmax(chosen, axis=-1)  # f32[batch, heads, seq, seq]
    mixed = jnp.einsum("bhst,bthe->bshe", attend, v)  # f32[batch, seq, heads, head]
    return contract(mixed, params["wo"], axes=2)  # f32[batch, seq, embed]


def block(params, x):
    """Attention, then a perceptron at each position."""
    x = x + self_attention(params["attention"], layer_norm(params["layer_norm"], x))
    product = linear(layer_norm(params["layer_norm_2"], x), params["up"])
    return x + linear(jnp.tanh(product), params["down"])  # f32[batch, seq, embed]


def gpt(params, tokens):
    """A small GPT."""
    seq = tokens.shape[1]
    w = params["table"]["w"]  # f32[vocab, embed]
    x = jnp.take(w, tokens, axis=0, mode="clip")  # f32[batch, seq, embed]
    x = x + params["positions"]["w"][:seq]

    def blocks_step(x, params):
        return block(params, x), None

    x, _ = jax.lax.scan(blocks_step, x, params["blocks"])
    return linear(layer_norm(params["layer_norm"], x), w.T)  # f32[batch, seq, vocab]


def self_attention_train(params, x, key):
    """Multi-head causal self-attention."""
    seq = x.shape[1]
    q = contract(x, params["wq"])  # f32[batch, seq, heads, head]
    k = contract(x, params["wk"])  # f32[batch, seq, heads, head]
    v = contract(x, params["wv"])  # f32[batch, seq, heads, head]
    scores = jnp.einsum("bshe,bthe->bhst", q, k) / jnp.sqrt(jnp.float32(4))
    positions = jnp.arange(seq, dtype=jnp.int32)  # i32[seq]
    chosen = jnp.where(positions[None] <= positions[:, None], scores, -jnp.inf)
    attend = jax.nn.softmax(chosen, axis=-1)  # f32[batch, heads, seq, seq]
    mixed = jnp.einsum("bhst,bthe->bshe", dropout(fold(key, "dropout"), attend, 0.1), v)
    return contract(mixed, params["wo"], axes=2)  # f32[batch, seq, embed]


def block_train(params, x, key):
    """Attention, then a perceptron at each position."""
    y = layer_norm(params["layer_norm"], x)
    y = self_attention_train(params["attention"], y, fold(key, "attention"))
    x = x + dropout(fold(key, "dropout"), y, 0.1)
    product = linear(layer_norm(params["layer_norm_2"], x), params["up"])
    return x + linear(jnp.tanh(product), params["down"])  # f32[batch, seq, embed]


def gpt_train(params, tokens, key):
    """A small GPT."""
    seq = tokens.shape[1]
    w = params["table"]["w"]  # f32[vocab, embed]
    x = jnp.take(w, tokens, axis=0, mode="clip")  # f32[batch, seq, embed]
    x = x + params["positions"]["w"][:seq]

    def blocks_step(x, layer):
        params, key = layer
        return block_train(params, x, key), None

    x, _ = jax.lax.scan(
        blocks_step, x, (params["blocks"], keys(fold(key, "blocks"), 3))
    )
    return linear(layer_norm(params["layer_norm"], x), w.T)  # f32[batch, seq, vocab]


@jax.jit
def init(key):
    """The weights at the start, from a random key."""
    return {
        "table": {
            "w": jax.nn.initializers.normal(0.02)(
                fold(key, "table.w"), (16, 8), jnp.float32
            ),
        },
        "positions": {
            "w": jax.nn.initializers.normal(0.02)(
                fold(key, "positions.w"), (32, 8), jnp.float32
            ),
        },
        "blocks": {
            "up": stacked(3, jax.nn.initializers.normal(0.02))(
                fold(key, "blocks.up"), (8, 32), jnp.float32
            ),
            "down": stacked(3, jax.nn.initializers.normal(0.02))(
                fold(key, "blocks.down"), (32, 8), jnp.float32
            ),
            "layer_norm": {
                "scale": jnp.ones((3, 8), jnp.float32),
                "shift": jnp.zeros((3, 8), jnp.float32),
            },
            "attention": {
                "wq": stacked(3, jax.nn.initializers.normal(0.02))(
                    fold(key, "blocks.attention.wq"), (8, 2, 4), jnp.float32
                ),
                "wk": stacked(3, jax.nn.initializers.normal(0.02))(
                    fold(key, "blocks.attention.wk"), (8, 2, 4), jnp.float32
                ),
                "wv": stacked(3, jax.nn.initializers.normal(0.02))(
                    fold(key, "blocks.attention.wv"), (8, 2, 4), jnp.float32
                ),
                "wo": stacked(3, jax.nn.initializers.normal(0.02))(
                    fold(key, "blocks.attention.wo"), (2, 4, 8), jnp.float32
                ),
            },
            "layer_norm_2": {
                "scale": jnp.ones((3, 8), jnp.float32),
                "shift": jnp.zeros((3, 8), jnp.float32),
            },
        },
        "layer_norm": {
            "scale": jnp.ones((8,), jnp.float32),
            "shift": jnp.zeros((8,), jnp.float32),
        },
    }


def init_state():
    """What training keeps beside the weights, at the start."""
    return {}


def apply(params, state, inputs):
    """Inference: named outputs from named inputs."""
    return {"logits": gpt(params, inputs["tokens"])}


def loss(params, state, batch, key):
    """The loss of a batch in training, and the new state."""
    tokens = batch["tokens"]  # i32[batch, seq]
    targets = batch["targets"]  # i32[batch, seq]
    logits = gpt_train(params, tokens, key)  # f32[batch, seq, vocab]
    log_probs = jax.nn.log_softmax(logits, axis=-1)  # f32[batch, seq, vocab]
    targets_2 = targets[..., None]  # i32[batch, seq, 1]
    picked = jnp.take_along_axis(
        log_probs, jnp.maximum(targets_2, 0), axis=-1, mode="clip"
    )
    return -jnp.mean(picked), state


def measure(params, state, batch):
    """What is averaged over batches in evaluation."""
    tokens = batch["tokens"]  # i32[batch, seq]
    targets = batch["targets"]  # i32[batch, seq]
    logits = gpt(params, tokens)  # f32[batch, seq, vocab]
    log_probs = jax.nn.log_softmax(logits, axis=-1)  # f32[batch, seq, vocab]
    targets_2 = targets[..., None]  # i32[batch, seq, 1]
    picked = jnp.take_along_axis(
        log_probs, jnp.maximum(targets_2, 0), axis=-1, mode="clip"
    )
    accuracy = jnp.mean((jnp.argmax(logits, axis=-1) == targets).astype(jnp.float32))
    return {"loss": -jnp.mean(picked), "accuracy": accuracy}


def summarize(means):
    """The metrics, from averages over all batches."""
    loss = means["loss"]
    accuracy = means["accuracy"]
    return {"loss": loss, "perplexity": jnp.exp(loss), "accuracy": accuracy}


def schedule(step):
    """The learning rate at a step."""
    curve = optax.warmup_cosine_decay_schedule(
        init_value=0.0, peak_value=0.001, warmup_steps=100, decay_steps=2000
    )
    return curve(step)


def optimizer():
    """How gradients become updates."""
    return optax.chain(
        optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=0.1)
    )


@functools.partial(jax.jit, donate_argnums=(0, 1, 2))
def train_step(params, state, opt_state, batch, key):
    """One update of the weights, from the mean gradient of 2 micro-batches."""
    micro_batches = jax.tree.map(
        lambda x: x.reshape(-1, 2, *x.shape[1:]).swapaxes(0, 1), batch
    )

    def micro_step(carry, element):
        total, state = carry
        micro_batch, micro_key = element
        (value, state), grads = jax.value_and_grad(loss, has_aux=True)(
            params, state, micro_batch, micro_key
        )
        return (jax.tree.map(jnp.add, total, (value, grads)), state), None

    zero = (jnp.float32(0), jax.tree.map(jnp.zeros_like, params))
    (total, state), _ = jax.lax.scan(
        micro_step, (zero, state), (micro_batches, keys(key, 2))
    )
    value, grads = jax.tree.map(lambda x: x / 2, total)
    updates, opt_state = optimizer().update(grads, opt_state, params)
    params = optax.apply_updates(params, updates)
    metrics = {"loss": value, "grad_norm": optax.tree.norm(grads)}
    return params, state, opt_state, metrics


def main():
    """Prints what the model is, and runs it once on random data."""
    key = jax.random.key(0)
    params, state = init(key), init_state()
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    print(f"GPT: {count:,} parameters")
    batch = {
        "tokens": jax.random.randint(key, (4, 16), 0, 2, jnp.int32),
        "targets": jax.random.randint(key, (4, 16), 0, 2, jnp.int32),
    }
    for name, value in batch.items():
        print(f"{name}: {value.dtype}{list(value.shape)}")
    opt_state = optimizer().init(params)
    params, state, opt_state, metrics = train_step(params, state, opt_state, batch, key)
    for name, value in metrics.items():
        print(f"{name}: {value:.4f}")


if __name__ == "__main__":
    main()
