"""A program as jax lowers it: StableHLO, and what XLA makes of that on this machine."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .output import note

DEFAULT_SIZE = 8
"""The size of a dim that neither the program nor the recipe fixes."""

DTYPES = {
    "f64": "float64", "f32": "float32", "bf16": "bfloat16", "f16": "float16", "bool": "bool",
    "i8": "int8", "i16": "int16", "i32": "int32", "i64": "int64", "u8": "uint8", "u16": "uint16", "u32": "uint32",
}  # fmt: skip
"""What jax calls the language's dtypes."""


def lower(artifact: Any, stage: str) -> str:
    """The text of one training step, or of inference where there is no recipe; ``stage`` is "stablehlo" or "hlo".

    Sizes are the program's own; the batch is the recipe's, and any other free dim is :data:`DEFAULT_SIZE`.
    """
    found: Any = import_module("trxc_runtime.placement")
    placement = found.Placement.of(artifact.program, note)
    with placement.context():
        lowered = _step(artifact) if artifact.recipe.get("train") else _inference(artifact)
        return str(lowered.as_text() if stage == "stablehlo" else lowered.compile().as_text())


def _step(artifact: Any) -> Any:
    jax: Any = import_module("jax")
    program = artifact.program
    params, state = _weights(program)
    opt_state = jax.eval_shape(program.optimizer().init, params)
    batch = _arrays(artifact.manifest["batch"], {"batch": int(artifact.train["batch"])})
    return program.train_step.lower(params, state, opt_state, batch, jax.random.key(0))


def _inference(artifact: Any) -> Any:
    jax: Any = import_module("jax")
    params, state = _weights(artifact.program)
    return jax.jit(artifact.program.apply).lower(params, state, _arrays(artifact.manifest["inputs"], {}))


def _weights(program: Any) -> tuple[Any, Any]:
    """Shapes and dtypes alone: a model that is too large for this machine can be lowered on it."""
    jax: Any = import_module("jax")
    params = jax.eval_shape(lambda: program.init(jax.random.key(0)))
    return params, jax.eval_shape(program.init_state)


def _arrays(fields: list[dict[str, Any]], sizes: dict[str, int]) -> dict[str, Any]:
    jax: Any = import_module("jax")
    named = {
        field["name"]: [
            size if size is not None else sizes.get(str(dim), DEFAULT_SIZE)
            for dim, size in zip(field["dims"], field["shape"], strict=True)
        ]
        for field in fields
    }
    return {field["name"]: jax.ShapeDtypeStruct(named[field["name"]], DTYPES[field["dtype"]]) for field in fields}
