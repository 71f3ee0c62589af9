"""trxc_runtime: trains and runs what the compiler wrote.

>>> model = trxc_runtime.load("build/")                    # doctest: +SKIP
>>> logits = model.apply(model.init(seed=0), tokens=ids)   # doctest: +SKIP
>>> trxc_runtime.train("build/", run="runs/quick")         # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from .errors import RunError

if TYPE_CHECKING:
    from .artifact import Artifact, load_artifact
    from .bulk import Answer, Request, answers
    from .evaluation import evaluate
    from .generation import Hypothesis, generate_tokens
    from .model import Model, load
    from .others import Others
    from .search import Beam
    from .speculation import Drafted
    from .speed import Speed, speed_of
    from .text_evaluation import TextScore, evaluate_texts
    from .traceback_map import explain_exception
    from .training import Result, train

__version__ = "0.1.0"

__all__ = [
    "Answer",
    "Artifact",
    "Beam",
    "Drafted",
    "Hypothesis",
    "Model",
    "Others",
    "Request",
    "Result",
    "RunError",
    "Speed",
    "TextScore",
    "answers",
    "evaluate",
    "evaluate_texts",
    "explain_exception",
    "generate_tokens",
    "load",
    "load_artifact",
    "speed_of",
    "train",
]

_HOMES = {
    "Answer": "bulk",
    "Artifact": "artifact",
    "Beam": "search",
    "Drafted": "speculation",
    "Hypothesis": "generation",
    "Model": "model",
    "Others": "others",
    "Request": "bulk",
    "Result": "training",
    "Speed": "speed",
    "TextScore": "text_evaluation",
    "answers": "bulk",
    "evaluate": "evaluation",
    "evaluate_texts": "text_evaluation",
    "explain_exception": "traceback_map",
    "generate_tokens": "generation",
    "load": "model",
    "load_artifact": "artifact",
    "speed_of": "speed",
    "train": "training",
}


def __getattr__(name: str) -> object:
    """Public names, imported when they are asked for: jax takes seconds to load."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
