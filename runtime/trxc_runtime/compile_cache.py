"""XLA's compiled programs, kept from one run to the next in the user's own cache folder."""

from __future__ import annotations

import os
from pathlib import Path

from .untyped import jax


def cache_folder() -> Path:
    """The user's cache folder for trxc: ``$XDG_CACHE_HOME/trxc`` or ``~/.cache/trxc``."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "trxc"


def use_compile_cache() -> None:
    """Keep compiled programs, unless the user has set jax's own option; a folder that is not ours alone is not used.

    The cache holds machine code that is run when it is found again, so that nobody else may write to it. What compiles
    in less than a second is kept, too, which jax leaves out: a second `trxc train examples/quickstart.trx --steps 1`
    compiles 63 programs, takes 8.2 to 8.9 s where it took 11.2 to 13.7, and they are a megabyte.
    """
    if jax.config.jax_compilation_cache_dir is not None or "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    folder = private_folder(cache_folder() / "xla")
    if folder is not None:
        jax.config.update("jax_compilation_cache_dir", str(folder))
        if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
            jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def private_folder(folder: Path) -> Path | None:
    """``folder``, made if need be, with permissions 0700; None if it cannot be made ours alone."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.is_symlink() or (hasattr(os, "getuid") and folder.stat().st_uid != os.getuid()):
            return None
        folder.chmod(0o700)
    except OSError:
        return None
    return folder
