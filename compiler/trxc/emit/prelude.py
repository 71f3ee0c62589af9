"""Functions that emitted programs bring along: only those that a program uses are written into it.

An entry is a complete piece of Python text that imports nothing itself. It may use ``jax``, ``jnp``, ``np``,
``optax``, ``functools``, ``math`` and ``zlib``, and other entries that it lists in ``needs``. An entry stands in this
table below what it needs, and is written in the order of the table. An op asks for one by ``scope.prelude(name)``.
The text is laid out for 88 columns, and keeps to the constructs that :mod:`.safety` lets through.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .prelude_attention import ATTENTION, ON_GPU
from .prelude_convolution import CONVOLUTION
from .prelude_decoding import DECODING
from .prelude_loops import LOOPS
from .prelude_loss import LOSSES
from .prelude_products import ON_CPU, PRODUCTS


@dataclass(frozen=True)
class PreludeFunction:
    """Source text that defines the function the entry is named after, and the entries that it calls."""

    source: str
    needs: tuple[str, ...] = ()


PRELUDE: dict[str, PreludeFunction] = {}

PRELUDE["fold"] = PreludeFunction('''\
def fold(key, name):
    """The random key of the weight or operation called `name`."""
    return jax.random.fold_in(key, zlib.crc32(name.encode()))
''')

PRELUDE["require"] = PreludeFunction('''\
def require(holds, what):
    """Refuses, while the program is traced, sizes that the model cannot take."""
    if not holds:
        raise ValueError(f"this does not hold: {what}")
''')

PRELUDE["merged"] = PreludeFunction('''\
def merged(tree, other):
    """Two trees of dicts and lists as one; what is in both is the second's."""
    if isinstance(tree, list):
        return [merged(*pair) for pair in zip(tree, other)]
    if not isinstance(tree, dict) or not isinstance(other, dict):
        return other
    return {**tree, **{key: merged(tree.get(key), below) for key, below in other.items()}}
''')

PRELUDE["keys"] = PreludeFunction('''\
def keys(key, count):
    """One random key for each of `count` iterations."""
    return jax.vmap(lambda index: jax.random.fold_in(key, index))(jnp.arange(count))
''')

PRELUDE["indexed_keys"] = PreludeFunction('''\
def indexed_keys(key, numbers):
    """One random key for each of several numbers."""
    fold_number = lambda number: jax.random.fold_in(key, number)
    return jax.vmap(fold_number)(jnp.array(numbers, jnp.uint32))
''')

PRELUDE["numbered"] = PreludeFunction('''\
def numbered(stem, numbers, rest=""):
    """Names of layers alike: `block`, `block_2`, `block_3`, with `rest` after each."""
    return [f"{stem}{'' if n == 1 else f'_{n}'}{rest}" for n in numbers]
''')

PRELUDE["folds"] = PreludeFunction('''\
def folds(key, names):
    """One random key for each of several names, as `fold` gives it."""
    codes = np.array([zlib.crc32(name.encode()) for name in names], np.uint32)
    return jax.vmap(lambda code: jax.random.fold_in(key, code))(codes)
''')

PRELUDE["each"] = PreludeFunction(
    '''\
def each(names, initializer, key, shape, dtype):
    """Stacked weights, each drawn from the key of its own name."""
    if not isinstance(names[0], str):
        rows = [each(row, initializer, key, shape, dtype) for row in names]
        return jnp.stack(rows)
    return jax.vmap(lambda k: initializer(k, shape, dtype))(folds(key, names))
''',
    needs=("folds",),
)

PRELUDE["stacked"] = PreludeFunction(
    '''\
def stacked(count, initializer):
    """An initializer of `count` weights along a new axis, each from its own key."""

    def draw(key, shape, dtype):
        return jax.vmap(lambda k: initializer(k, shape, dtype))(keys(key, count))

    return draw
''',
    needs=("keys",),
)

PRELUDE["stacked_at"] = PreludeFunction(
    '''\
def stacked_at(numbers, initializer):
    """An initializer of stacked weights, each from the key of its own number."""

    def draw(key, shape, dtype):
        own = indexed_keys(key, numbers)
        return jax.vmap(lambda k: initializer(k, shape, dtype))(own)

    return draw
''',
    needs=("indexed_keys",),
)

PRELUDE["element"] = PreludeFunction('''\
def element(index, initializer):
    """An initializer of the weight at `index` of several alike."""

    def draw(key, shape, dtype):
        return initializer(jax.random.fold_in(key, index), shape, dtype)

    return draw
''')

PRELUDE["unstacked"] = PreludeFunction('''\
def unstacked(tree, count):
    """The slices of stacked arrays, by layer; their gradients are stacked again at once."""
    leaves, form = jax.tree.flatten(tree)
    slices = [[jnp.squeeze(s, 0) for s in jnp.split(leaf, count)] for leaf in leaves]
    return [jax.tree.unflatten(form, layer) for layer in zip(*slices)]
''')

PRELUDE["with_layers"] = PreludeFunction('''\
def with_layers(stacks, first, layers):
    """Stacked arrays with those of some layers in their places, from number `first` on."""
    if isinstance(layers, dict):
        below = {key: with_layers(stacks[key], first, layers[key]) for key in layers}
        return {**stacks, **below}
    return jax.lax.dynamic_update_slice_in_dim(stacks, layers, first, 0)
''')

PRELUDE["layer_by_layer"] = PreludeFunction('''\
def layer_by_layer(step, carry, layers):
    """As `jax.lax.scan`, written out; barriers keep XLA from mixing layers.

    What is jitted is traced once for all layers.
    """
    given, step = [], jax.jit(step)
    for layer in layers:
        carry, result = step(jax.lax.optimization_barrier(carry), layer)
        given.append(result)
    return carry, jax.tree.map(lambda *parts: jnp.stack(parts), *given)
''')

PRELUDE["each_layer"] = PreludeFunction('''\
def each_layer(step, carry, layers):
    """One layer after another, and what each gives in a list."""
    given = []
    for layer in layers:
        carry, result = step(carry, layer)
        given.append(result)
    return carry, given
''')

PRELUDE["keep_products"] = PreludeFunction('''\
def keep_products(primitive, *types, **settings):
    """What backward keeps of a layer: products with weights and attention, the dear ones."""
    if primitive is jax.lax.conv_general_dilated_p:
        return True
    products = jax.checkpoint_policies.dots_with_no_batch_dims_saveable
    named = jax.checkpoint_policies.save_only_these_names("attention", "convolution")
    return products(primitive, *types, **settings) or named(primitive, *types, **settings)
''')

PRELUDE["constrain"] = PreludeFunction('''\
def constrain(x, *axes):
    """Splits the dims of `x` over axes of the mesh; on a single device it does nothing."""
    if jax.sharding.get_abstract_mesh().empty:
        return x
    return jax.lax.with_sharding_constraint(x, jax.sharding.PartitionSpec(*axes))
''')

PRELUDE["dynamic_loss_scale"] = PreludeFunction('''\
def dynamic_loss_scale(inner, initial=2.0**15, patience=2000):
    """Takes gradients of `scale * loss`; skips the step and halves the scale on overflow.

    The scale doubles after `patience` steps in a row without one (Micikevicius 2018).
    """

    def init_scale(params):
        return {
            "scale": jnp.float32(initial),
            "good_steps": jnp.int32(0),
            "inner": inner.init(params),
        }

    def apply_scale(grads, opt_state, params=None):
        scale, good = opt_state["scale"], opt_state["good_steps"]
        grads = jax.tree.map(lambda g: g / scale.astype(g.dtype), grads)
        finite = jnp.isfinite(optax.tree.norm(grads))
        safe = jax.tree.map(lambda g: jnp.where(finite, g, 0), grads)
        updates, new_inner = inner.update(safe, opt_state["inner"], params)
        updates = jax.tree.map(lambda u: jnp.where(finite, u, 0), updates)
        new_inner = jax.tree.map(
            lambda new, old: jnp.where(finite, new, old), new_inner, opt_state["inner"]
        )
        grow = finite & (good + 1 >= patience)
        return updates, {
            "scale": jnp.where(finite, jnp.where(grow, 2 * scale, scale), scale / 2),
            "good_steps": jnp.where(finite & ~grow, good + 1, 0),
            "inner": new_inner,
        }

    return optax.GradientTransformation(init_scale, apply_scale)
''')

PRELUDE["max_pool"] = PreludeFunction('''\
def max_pool(x, window, strides, padding):
    """The largest of each window over the dims between the first and the last."""
    sizes, steps = (1, *window, 1), (1, *strides, 1)
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, sizes, steps, padding)
''')

PRELUDE["avg_pool"] = PreludeFunction('''\
def avg_pool(x, window, strides, padding):
    """The mean of each window, in which padding does not count."""

    def totals(values):
        sizes, steps = (1, *window, 1), (1, *strides, 1)
        return jax.lax.reduce_window(values, 0.0, jax.lax.add, sizes, steps, padding)

    return totals(x) / totals(jnp.ones((1, *x.shape[1:-1], 1), x.dtype))
''')

PRELUDE["dropout"] = PreludeFunction('''\
def dropout(key, x, rate):
    """Zeroes a share of the elements, scales the rest: the mean stays the same."""
    kept = jax.random.bernoulli(key, 1 - rate, x.shape)
    return jnp.where(kept, x / (1 - rate), 0)
''')

PRELUDE.update({name: PreludeFunction(source, needs) for name, (source, needs) in PRODUCTS.items()})
PRELUDE.update({name: PreludeFunction(source, needs) for name, (source, needs) in CONVOLUTION.items()})
PRELUDE.update({name: PreludeFunction(source, needs) for name, (source, needs) in ATTENTION.items()})
PRELUDE.update({name: PreludeFunction(source, needs) for name, (source, needs) in DECODING.items()})
PRELUDE.update({name: PreludeFunction(source, needs) for name, (source, needs) in LOSSES.items()})
PRELUDE.update({name: PreludeFunction(source, needs) for name, (source, needs) in LOOPS.items()})

INSTEAD = {
    (target, name): PreludeFunction(source, needs)
    for target, entries in (("gpu", ON_GPU), ("cpu", ON_CPU))
    for name, (source, needs) in entries.items()
}
"""Entries that are written otherwise for a target."""


def entry(name: str, target: str) -> PreludeFunction:
    """An entry as it is written for a target.

    Raises:
        KeyError: the name is not in the table.
    """
    return INSTEAD.get((target, name), PRELUDE[name])


def needed(names: Iterable[str], target: str) -> list[str]:
    """The entries that `names` need on a target, themselves included, in the order of the table.

    Raises:
        KeyError: a name is not in the table.
    """
    wanted: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in wanted:
            wanted.add(name)
            pending.extend(entry(name, target).needs)
    return [name for name in PRELUDE if name in wanted]
