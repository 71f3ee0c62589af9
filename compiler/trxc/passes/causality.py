"""Whether a model can be generated from: the part of the pipeline that a check runs, on the model alone."""

from __future__ import annotations

from ..ir import Module
from ..ir.clone import clone_function
from ..ir.walk import call_order
from .base import Remarks
from .decode import DeriveDecoding, RefusedError
from .fuse_attention import FuseAttention
from .inline import InlineSmall
from .simplify import Simplify


def looks_ahead(module: Module, prompt: str, output: str) -> RefusedError | None:
    """Why a place of the model's `output` depends on later places of its input `prompt`; None if none does.

    As a compilation finds it: what comes before decoding in the pipeline is run on a copy of the model. Rolled layers
    are the same as layers one by one, so that rolling them is left out.
    """
    apply = module.roles["apply"]
    functions = {name: clone_function(module.functions[name]) for name in call_order(module, [apply])}
    alone = Module(module.name, functions, {"apply": apply})
    try:
        for item in (Simplify(), InlineSmall(), Simplify(), FuseAttention(), DeriveDecoding(prompt, output)):
            item.run(alone, Remarks())
    except RefusedError as error:
        return error
    return None
