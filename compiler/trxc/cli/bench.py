"""`trxc bench`: how fast a recipe's steps are on this machine."""

from __future__ import annotations

import dataclasses
import json
import time
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from ..dims import DimError
from ..ir.binding import BindingError
from ..plan.memory import in_units
from .shell.declare import (
    declare,
    extern_option,
    format_option,
    is_whole_process,
    pairs,
    settings_option,
    target_option,
)
from .shell.lowering import DTYPES
from .shell.output import note, write
from .shell.programs import choose, compile_program, open_program, saved
from .shell.runtime import runtime
from .shell.usage import listed

if TYPE_CHECKING:
    from .. import Program
    from .shell.values import Array

FORWARD_PASSES = 3
"""What a step's arithmetic is counted as: backward has two products for each of forward's."""


DIGITS = 6
"""Of a size that is given."""


@declare("Train and use", "trxc bench gpt.trx --set GPT.layers=2")
@click.argument("file", metavar="FILE")
@click.argument("name", metavar="[NAME]", required=False)
@click.option(
    "--seconds", type=click.FloatRange(min=0), default=10.0, show_default=True, metavar="S", help="How long it steps."
)
@click.option(
    "--size",
    "sizes",
    metavar="NAME=N",
    multiple=True,
    callback=pairs("source_len=32"),
    help="The length of a dim that only the data know; may be repeated.",
)
@settings_option
@target_option
@extern_option
@format_option("text", "json")
def command(
    file: str,
    name: str | None,
    seconds: float,
    sizes: tuple[tuple[str, str], ...],
    settings: tuple[tuple[str, str], ...],
    target: str,
    allow_extern: bool,
    form: str,
) -> None:
    """Time the training steps of the recipe NAME of FILE, on random data of its sizes.

    Reading data is not measured, nor evaluation. Arithmetic is three times that of the forward pass, whatever is
    computed again; it is set against a product of matrices, which is measured here too.
    """
    given = open_program(file)
    chosen = choose(given, name, ("train",))
    began = time.perf_counter()
    program = compile_program(given, name=chosen, set=dict(settings) or None, target=target, allow_extern=allow_extern)
    written = time.perf_counter() - began
    known = _sizes(program, sizes)
    batch, arithmetic = _batch(program, known), _arithmetic(program, known)
    with saved(program) as folder, runtime() as trxc_runtime:
        speed = trxc_runtime.speed_of(
            folder,
            batch,
            seconds=seconds,
            root=given.folder,
            allow_extern=allow_extern,
            xla_options=is_whole_process(),
            warn=note,
        )
    rows = int(program.manifest["recipe"]["train"]["batch"])
    if form == "json":
        facts = {"name": program.name, "batch": rows, "sizes": known, "written": written, "flops": arithmetic}
        write(json.dumps({**facts, **dataclasses.asdict(speed), "median": speed.median}, indent=2))
        return
    write("\n".join(_lines(program, speed, rows, written, arithmetic)))


def _sizes(program: Program, given: tuple[tuple[str, str], ...]) -> dict[str, int]:
    """The size of every symbol of a batch: from the recipe's `batch` and fields, and those that are given."""
    inputs = program.unoptimised.role("loss").inputs
    wanted = dict.fromkeys(symbol.name for value in inputs for size in value.type.sizes for symbol in size.symbols)
    known = {**program.sizes, **{name: _whole(name, text) for name, text in given}}
    for name, _ in given:
        if name not in wanted:
            raise _wrong(f"`--size {name}`: the sizes of a batch are {listed(wanted) or 'all fixed'}")
    if unknown := [name for name in wanted if name not in known]:
        raise _wrong(f"the data alone know how long {listed(unknown)} will be: say `--size {unknown[0]}=64`")
    return {name: known[name] for name in wanted}


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= DIGITS and int(text)):
        raise _wrong(f"`--size {name}={text[:20]}`: a size is a whole number, from 1, of at most {DIGITS} digits")
    return int(text)


def _wrong(message: str) -> click.UsageError:
    return click.UsageError(message, click.get_current_context())


def _batch(program: Program, sizes: dict[str, int]) -> dict[str, Array]:
    """Random values for the fields of a batch."""
    from ..verification.samples import draw_inputs

    drawn = draw_inputs(program.unoptimised, "loss", sizes, np.random.default_rng(0))
    dtypes = {field["name"]: DTYPES[field["dtype"]] for field in program.manifest["batch"]}
    return {name: np.asarray(array, _numpy(dtypes[name])) for name, array in drawn.items()}


def _numpy(dtype: str) -> str:
    """What NumPy has of a dtype; jax makes 16 bits of it where a step wants them."""
    return "float32" if dtype in ("bfloat16", "float16") else dtype


def _arithmetic(program: Program, sizes: dict[str, int]) -> int | None:
    """Floating point operations of a step; None where the table of ops cannot tell."""
    from ..plan.flops import flops

    module = program.unoptimised
    try:
        return FORWARD_PASSES * flops(module, module.roles["loss"]).evaluate(sizes)
    except (KeyError, DimError, BindingError):
        return None


def _lines(program: Program, speed: Any, rows: int, written: float, arithmetic: int | None) -> list[str]:
    """What a person is told."""
    median, steps = speed.median, sorted(speed.steps)
    device = speed.device if speed.devices == 1 else f"{speed.devices} times {speed.device}"
    parts = (f"{written:.2g} s by trxc", f"{speed.traced:.2g} s traced by jax", f"{speed.compiled:.2g} s by XLA")
    lines = [
        f"{program.name}: batch {rows:,}, on {device}",
        f"  compiles     {', '.join(parts)}; the first step {speed.first:.2g} s",
        f"  step         {_time(median)}, of {len(steps):,} from {_time(steps[0])} to {_time(steps[-1])}",
        f"  examples     {rows / median:,.4g} a second",
    ]
    if arithmetic:
        share = arithmetic / median / (speed.products * speed.devices)
        lines.append(f"  arithmetic   {arithmetic / 1e9:,.4g} GFLOP a step, {arithmetic / median / 1e9:,.4g} GFLOP/s")
        product = f"{speed.products / 1e9:,.4g} GFLOP/s, a product of matrices in {speed.dtype}"
        lines.append(f"               {share:.0%} of {product}{'' if speed.devices == 1 else ' on each'}")
    lines.append(f"  memory       {in_units(speed.weights)} weights, {in_units(speed.temporaries)} temporaries; "
                 f"the process {in_units(speed.peak)} at most")  # fmt: skip
    return [*lines, f"  copies here  {speed.copies / 1e9:,.3g} GB/s read and written"]


def _time(seconds: float) -> str:
    """Seconds with a unit that fits."""
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"
