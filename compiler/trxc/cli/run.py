"""`trxc run`: a trained model on inputs of one's own; any value of its graph out or in."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import click

from .shell.declare import checkpoint_option, declare, extern_option, force_option, values_option
from .shell.output import refuse_existing, say, write, write_file
from .shell.runtime import run_folder, runtime
from .shell.status import USAGE_WRONG, CommandError
from .shell.trained import recompile, recompiled
from .shell.usage import listed
from .shell.values import MOST_PRINTED, Array, as_archive, as_declared, as_json, read_values


@declare(
    "Train and use",
    "trxc run runs/quick --input tokens=[[72,105]]\n"
    "trxc run runs/quick --input tokens=ids.npy --fetch 'blocks[2].self_attention.scores' -o scores.npz",
)
@click.argument("run", metavar="RUN")
@values_option("-i", "--input", "inputs", help="An input: a .npy, .npz or .json file, JSON, or - for stdin.")
@click.option(
    "--fetch", metavar="VALUE", multiple=True, help="A value of the graph instead of the outputs, by its name."
)
@values_option("--feed", "feeds", help="A value of the graph to be replaced; as --input.")
@click.option("--list", "listing", is_flag=True, help="Print every value that can be fetched, with its type, and stop.")
@click.option(
    "-o", "--output", metavar="PATH", help="A .npz or .json file for the results.  [default: stdout, as JSON]"
)
@checkpoint_option
@extern_option
@force_option
def command(
    run: str,
    inputs: tuple[tuple[str, str], ...],
    fetch: tuple[str, ...],
    feeds: tuple[tuple[str, str], ...],
    listing: bool,
    output: str | None,
    checkpoint: str | int,
    allow_extern: bool,
    force: bool,
) -> None:
    """Apply RUN's trained model to inputs, and print its outputs as JSON.

    Values of the graph are named as weights are: `logits`, `blocks[2].self_attention.scores`; of a loop without an
    index, all iterations are given, and the same value is fed to each. `x#1` is what was called `x` before `x` was.
    """
    folder = run_folder(run)
    if listing:
        _list(folder, allow_extern)
        return
    target = _target(output, force)
    with runtime() as trxc_runtime:
        model = trxc_runtime.load(folder, checkpoint=checkpoint, allow_extern=allow_extern)
        arrays = read_values(inputs, {field["name"]: field for field in model.manifest["inputs"]})
        fed = read_values(feeds, {})
        if fetch or fed:
            with recompiled(trxc_runtime, model, allow_extern=allow_extern, fetch=fetch, feed=tuple(fed)) as artifact:
                results = _apply(artifact, model, {**arrays, **fed}, fetch)
        else:
            results = _apply(model.artifact, model, arrays, ())
    _tell(results, target)


def _list(folder: Path, allow_extern: bool) -> None:
    """The names of all values of a run's model, and their types."""
    from ..passes.places import Names

    with runtime() as trxc_runtime:
        manifest = trxc_runtime.load_artifact(folder, allow_extern=allow_extern).manifest
    module = recompile(manifest, allow_extern=allow_extern).unoptimised
    found = list(Names(module, module.role("apply")).listing())
    width = min(max(len(name) for name, _ in found), 60)
    for name, type_ in found:
        write(f"{name:<{width}}  {type_.dtype}{type_.show()}")


def _target(output: str | None, force: bool) -> Path | None:
    if output is None or output == "-":
        return None
    path = Path(output)
    if path.suffix not in (".npz", ".json"):
        raise CommandError(f"results are written as .npz or .json, not as `{path.name}`", status=USAGE_WRONG)
    refuse_existing([path], force)
    return path


def _apply(artifact: Any, model: Any, arrays: dict[str, Array], fetch: tuple[str, ...]) -> dict[str, Array]:
    """What the program gives with the run's weights: the values ``fetch``, or all outputs where there are none."""
    jax: Any = import_module("jax")
    declared = {str(field["name"]): field for field in artifact.manifest["inputs"]}
    if not arrays and declared:
        raise CommandError(f"no input is given; the model's inputs are {listed(declared)}", status=USAGE_WRONG)
    if spare := [name for name in arrays if name not in declared]:
        say(f"note: {listed(spare)} is not needed for this")
    needed = {name: as_declared(array, declared[name], name) for name, array in arrays.items() if name in declared}
    import_module("trxc_runtime.signatures").check_inputs(artifact.manifest["inputs"], needed)

    def asked(params: Any, state: Any, inputs: Any) -> dict[str, Any]:
        outputs = artifact.program.apply(params, state, inputs)
        return {name: outputs[name] for name in fetch or outputs}

    try:
        results = jax.device_get(jax.jit(asked)(model.params, model.state, needed))
    except (TypeError, ValueError) as error:
        explained = import_module("trxc_runtime").explain_exception(error, artifact.manifest)
        if explained is None:
            raise
        raise CommandError(f"the model cannot take these inputs\n{explained}") from error
    return {name: results[name] for name in fetch or results}


def _tell(results: dict[str, Array], target: Path | None) -> None:
    if target is None:
        write(as_json(results))
        if sum(value.size for value in results.values()) > MOST_PRINTED:
            say(f"more than {MOST_PRINTED:,} numbers: these are summaries. `-o results.npz` keeps them all")
        return
    whole = as_archive(results) if target.suffix == ".npz" else as_json(results, whole=True).encode() + b"\n"
    write_file(target, whole)
    say(f"wrote {target}: " + ", ".join(f"{name} {list(value.shape)}" for name, value in results.items()))
