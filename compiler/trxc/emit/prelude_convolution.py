"""Convolutions in forms that are fast on CPUs, as text for the prelude: (source, names of the entries that they need).

Winograd's minimal filtering: four places of a result, 2 by 2, come from a window of 4 by 4. Sums of that window and of
the 3 by 3 kernel, taken along one axis and then along the other, meet in 16 products where the definition takes 36;
sums of those are the places. For all windows at once, each of the 16 is a product of two matrices. It is F(2x2, 3x3) of
Lavin and Gray (2016), Fast Algorithms for Convolutional Neural Networks, whose sums are exact but for rounding: the
largest difference from XLA's own convolution in f32 is 1e-6 of the largest value (gradients of kernels 6e-6).

A step forward and its gradients ÷ those of XLA's convolution, batch 32, as many channels out as in (two cores of an
x86-64 server, jax 0.10.2, medians of 9 rounds by turns): 64 channels of 32 by 32 0.65, 128 of 16 by 16 0.56, 256 of 8
by 8 0.47, 512 of 4 by 4 0.52; forward alone 0.74, 0.61, 0.58 and 0.51. With gradients written by hand, 32 channels of
32 by 32 0.87, and 16 1.42. Of fewer than 64 windows, forward alone is up to 1.4 of the time, as the kernel is summed up
for each call.

`jax.checkpoint` has backward compute sums of windows again, which kept are 4 times as large as `x`; outside of loops
XLA for CPUs merges that with the first time. Gradients written by hand take 0.93 to 1.02 of the time. Places at even
and odd numbers are taken apart by a reshape, whose gradient is faster than that of slices at steps of 2 (0.65 where
they have 0.71, at 64 channels). Batched products of all 16 at once make it 1.2 to 1.9 of the time.

In larger steps, XLA computes the gradient of a kernel as a convolution of transposed images, whose copies take longer
than it. Columns of windows, laid side by side, make it one product. Measured as above (11 rounds): 0.71 to 0.90 for 3x3
kernels in steps of 2 with 64 to 256 channels in, 0.75 with 16, 1.0 with 3 and 8. Of w2_resnet, a whole step takes 0.90
of the time (0.76 to 0.99, 9 rounds by turns) with them and with kernels of one place as products.
"""

from __future__ import annotations

CONVOLUTION: dict[str, tuple[str, tuple[str, ...]]] = {}

CONVOLUTION["winograd_windows"] = (
    '''\
def winograd_windows(x, axis):
    """Sums over windows of 4 places, 2 apart, along an axis: what is multiplied."""
    pairs = x.reshape(*x.shape[:axis], -1, 2, *x.shape[axis + 1 :])
    even, odd = (jax.lax.index_in_dim(pairs, at, axis + 1, keepdims=False) for at in (0, 1))
    a, b = (jax.lax.slice_in_dim(half, 0, -1, axis=axis) for half in (even, odd))
    c, d = (jax.lax.slice_in_dim(half, 1, None, axis=axis) for half in (even, odd))
    return a - c, b + c, c - b, b - d
''',
    (),
)

CONVOLUTION["winograd_kernel"] = (
    '''\
def winograd_kernel(w, axis):
    """Sums of three weights along an axis, which those of windows are multiplied with."""
    a, b, c = (jax.lax.index_in_dim(w, at, axis, keepdims=False) for at in range(3))
    return a, (a + b + c) / 2, (a - b + c) / 2, c
''',
    (),
)

CONVOLUTION["winograd_places"] = (
    '''\
def winograd_places(a, b, c, d, axis):
    """The two places of each window from its four products, side by side along an axis."""
    places = jnp.stack([a + b + c, b - c - d], axis + 1)
    return places.reshape(*a.shape[:axis], -1, *a.shape[axis + 1 :])
''',
    (),
)

CONVOLUTION["winograd_even"] = (
    '''\
@functools.partial(jax.checkpoint, static_argnums=2)
def winograd_even(x, w, padding):
    """Of a result with even sides; in a scan, backward sums windows up again."""
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    windows = [v for row in winograd_windows(x, 1) for v in winograd_windows(row, 2)]
    kernels = [u for row in winograd_kernel(w, 0) for u in winograd_kernel(row, 0)]
    products = [linear(v, u) for v, u in zip(windows, kernels)]
    rows = [winograd_places(*products[at : at + 4], axis=2) for at in range(0, 16, 4)]
    return winograd_places(*rows, axis=1)
''',
    ("winograd_windows", "winograd_kernel", "winograd_places", "linear"),
)

CONVOLUTION["winograd_conv"] = (
    '''\
def winograd_conv(x, w, padding):
    """A convolution with 3x3 kernels in steps of 1: 16 products for 4 places, not 36.

    Winograd's minimal filtering (Lavin and Gray 2016); few windows are not worth it.
    """
    height, width = (n + sum(p) - 2 for n, p in zip(x.shape[1:3], padding))
    if x.shape[0] * -(-height // 2) * -(-width // 2) < 64:
        return jax.lax.conv_general_dilated(
            x, w, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
    (top, bottom), (left, right) = padding
    y = winograd_even(x, w, ((top, bottom + height % 2), (left, right + width % 2)))
    return checkpoint_name(y[:, :height, :width], "convolution")
''',
    ("winograd_even",),
)

CONVOLUTION["strided_conv"] = (
    '''\
def plain_strided_conv(x, w, strides, padding):
    """A convolution in larger steps, as XLA has it."""
    space = "DHW"[3 - len(strides) :]
    numbers = (f"N{space}C", f"{space}IO", f"N{space}C")
    return jax.lax.conv_general_dilated(x, w, strides, padding, dimension_numbers=numbers)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def strided_conv(x, w, strides, padding):
    """A convolution in larger steps; the gradient of its kernel is one product."""
    return plain_strided_conv(x, w, strides, padding)


def strided_forward(x, w, strides, padding):
    """Backward needs both."""
    return strided_conv(x, w, strides, padding), (x, w)


def strided_backward(strides, padding, kept, dy):
    """Columns of windows side by side; XLA would turn all of `x` over for the kernel."""
    x, w = kept
    _, transposed = jax.vjp(lambda x: plain_strided_conv(x, w, strides, padding), x)
    (dx,) = transposed(dy)
    kernel, places = w.shape[:-2], dy.shape[1:-1]
    if isinstance(padding, str):
        padding = jax.lax.padtype_to_pads(x.shape[1:-1], kernel, strides, padding)
    x = jnp.pad(jax.lax.optimization_barrier(x), ((0, 0), *padding, (0, 0)))
    columns = []
    for first in np.ndindex(*kernel):
        steps = zip(first, places, strides)
        at = tuple(slice(i, i + step * (count - 1) + 1, step) for i, count, step in steps)
        columns.append(x[(slice(None), *at)])
    columns = jnp.concatenate(columns, axis=-1)
    dw = dy.reshape(-1, dy.shape[-1]).T @ columns.reshape(-1, columns.shape[-1])
    return dx, jax.lax.optimization_barrier(dw).T.reshape(w.shape)


strided_conv.defvjp(strided_forward, strided_backward)
''',
    (),
)
