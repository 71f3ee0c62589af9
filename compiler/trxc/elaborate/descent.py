"""Optimizers: stages that prepare gradients, and the one that walks down them."""

from __future__ import annotations

from ..source import Span
from .faults import Fault
from .values import Chain, Declared, Size

LIBRARY = "optax:"
"""Where the targets of the library's optimizers begin: of others, nobody knows what their arguments mean."""


def check_descent(optimizer: object, span: Span) -> None:
    """One stage of an optimizer walks down the gradients that those before it have prepared.

    Raises:
        Fault: no stage does, or two do, so that the second walks up; or a rate is negative.
    """
    parts = optimizer.parts if isinstance(optimizer, Chain) else (optimizer,)
    stages = [part for part in parts if isinstance(part, Declared) and part.target.startswith(LIBRARY)]
    if len(stages) < len(parts) or any(_turns(stage) for stage in stages):
        return
    walking = [stage for stage in stages if "learning_rate" in dict(stage.given)]
    if not walking:
        message = f"`{stages[-1].name}` prepares gradients, and nothing takes a step down them: the weights would go up"
        help_ = f"an optimizer comes after it: `{stages[-1].name}(…) >> adamw(1e-3)`"
        raise Fault("TRX0519", message, stages[-1].span or span, helps=[help_])
    if len(walking) > 1:
        first, second = walking[:2]
        labels = [(first.span, f"`{first.name}` has taken a step down already")] if first.span else []
        message = f"`{second.name}` goes against the steps of `{first.name}`, which is up: one of them is enough"
        raise Fault("TRX0519", message, second.span or span, labels=labels)
    for name, value in dict(walking[0].given).items():
        if name == "learning_rate" and (number_of(_peak(value)) or 0.0) < 0:
            message = "a negative learning rate walks up the loss instead of down"
            help_ = "what is to become large can be a loss with a minus sign: `loss = -…`"
            raise Fault("TRX0519", message, _place(value) or walking[0].span or span, helps=[help_])


def _turns(stage: Declared) -> bool:
    """Whether it is a `scale` by a negative number, which somebody thought about."""
    return stage.name == "scale" and (number_of(dict(stage.given).get("by")) or 0.0) < 0


def _peak(rate: object) -> object:
    """The highest rate of a schedule; of a number, itself."""
    given = dict(rate.given) if isinstance(rate, Declared) else {}
    return next((given[name] for name in ("peak", "start", "rate") if name in given), rate)


def _place(rate: object) -> Span | None:
    return rate.span if isinstance(rate, Declared) else rate.origin if isinstance(rate, Size) else None


def int_of(value: object) -> int | None:
    """An int that is known; None for anything else."""
    return value.known if isinstance(value, Size) else None


def number_of(value: object) -> float | None:
    """A number that is known; None for anything else."""
    known = int_of(value)
    return float(known) if known is not None else value if isinstance(value, float) else None
