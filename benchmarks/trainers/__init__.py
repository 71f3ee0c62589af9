"""Training steps of the models in `benchmarks/workloads`, in trxc and in other people's tools. See :mod:`.base`."""

OTHERS = {
    "cpu": (
        "jax_plain",
        "flax_nnx",
        "flax_nnx_scan",
        "equinox_models",
        "equinox_scan",
        "keras_jax",
        "trax_layers",
        "torch_eager",
        "torch_compiled",
    ),
    "gpu": ("jax_plain", "torch_eager", "torch_compiled"),
}
"""The modules of trainers beside that of trxc, by device: those that have models for it."""
