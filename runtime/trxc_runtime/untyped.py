"""jax, jax.numpy and optax as ``Any``: their annotations are half unknown, which a strict checker asks about."""

from __future__ import annotations

from typing import Any

import jax as _jax
import jax.numpy as _jnp
import optax as _optax  # pyright: ignore[reportMissingTypeStubs] - it has none

jax: Any = _jax
jnp: Any = _jnp
optax: Any = _optax
