"""`python -m tests.fuzz.injections`: miscompilations made on purpose, and after how many programs each is noticed.

Each is a small error of the kind that passes and emitters are prone to. The table goes to `docs/proof.md`, the seeds
that show each to `caught.json`, which a test goes through.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

from trxc.emit import layers as emitted_layers
from trxc.ir import merge as merging
from trxc.ir.printer import to_text
from trxc.passes import attention_form, folding, pipeline, rewrites, run_passes, simplify
from trxc.passes.decode import pairs, places

from . import breaking, changes, chunks
from .breaking import Injection, after, deriving, dropping, emitting, replaced, setting, swapping, wrapping, written
from .causal_models import causal_model
from .causality import broken_model, judge_ahead, judge_causal
from .harmless import EAGER, RULES, Verdict, judge_module
from .modules import make_module

BOUND = {"ir": 400, "jax": 120, "decoding": 400, "ahead": 400}
"""Within so many programs each must be noticed."""

CAUGHT = Path(__file__).with_name("caught.json")
PAGE = Path(__file__).parents[2] / "docs" / "proof.md"
BEGIN, END = "<!-- injections -->\n", "<!-- end of injections -->"


INJECTIONS: tuple[Injection, ...] = (
    # simplify
    Injection("`1 - x` is x", "simplify", "ir",
              replaced(rewrites._LEFT_NEUTRAL, "subtract", lambda _: 1.0)),
    Injection("x * 0 is x", "simplify", "ir", replaced(rewrites._RIGHT_NEUTRAL, "multiply", lambda _: 0)),
    Injection("transposes composed in the wrong order", "simplify", "ir",
              replaced(rewrites.RULES, "transpose", lambda rules: (changes.wrong_order, *rules))),
    Injection("two `reverse` cancel, whatever their axes", "simplify", "ir",
              replaced(rewrites.RULES, "reverse", lambda _: (changes.undoes,))),
    Injection("a cast to fewer bits and back is nothing", "simplify", "ir",
              replaced(rewrites.RULES, "cast", lambda rules: (changes.narrowed, *rules))),
    Injection("equal subexpressions without a look at attributes", "simplify", "ir",
              replaced(simplify, "_key", changes.key_without_attributes)),
    Injection("dead code includes the writing of states", "simplify", "ir",
              replaced(simplify, "KEPT", lambda _: frozenset({"require"}))),
    Injection("integer division of constants rounds towards 0", "simplify", "ir",
              replaced(folding._INTS, "floor_divide", lambda _: lambda a, b: int(a / b))),
    Injection("constants subtracted the other way round", "simplify", "ir",
              replaced(folding._FLOATS, "subtract", lambda _: lambda a, b: b - a)),
    Injection("values that are replaced stay where they are results", "simplify", "ir",
              replaced(simplify, "replace", lambda _: lambda region, new: None)),
    Injection("operands of a difference swapped", "simplify", "ir", after("simplify", "subtract", swapping(0, 1))),
    Injection("the other branch of `cond`", "precision", "ir",
              after("precision", "cond", changes.branches, every=True)),
    # functions
    Injection("functions that differ in an axis or a number are merged", "merge-functions", "ir",
              replaced(merging, "canonical_text", changes.without_axes)),
    # roll
    Injection("slices in the opposite order", "roll-layers", "ir",
              after("roll-layers", "repeat", changes.names(lambda names: names[::-1]))),
    Injection("slices off by one", "roll-layers", "ir",
              after("roll-layers", "repeat", changes.names(lambda names: (*names[1:], *names[:1])))),
    Injection("the last layer is lost", "roll-layers", "ir", after("roll-layers", "repeat", changes.last_lost)),
    # attention
    Injection("the scale is forgotten", "fuse-attention", "ir",
              after("fuse-attention", "attention", setting(scale=1.0))),
    Injection("the causal mask is dropped", "fuse-attention", "ir",
              after("fuse-attention", "attention", setting(causal=False, window=None))),
    Injection("what is not causal is masked causally", "fuse-attention", "ir",
              after("fuse-attention", "attention", setting(causal=True))),
    Injection("the window is one too wide", "fuse-attention", "ir",
              after("fuse-attention", "attention", changes.window)),
    Injection("a mask that is read is dropped", "fuse-attention", "ir",
              after("fuse-attention", "attention", dropping("masked", 3))),
    Injection("a bias is dropped", "fuse-attention", "ir",
              after("fuse-attention", "attention", dropping("biased", -1))),
    Injection("another number in masked places", "fuse-attention", "ir",
              after("fuse-attention", "attention", setting(fill=-1.0))),
    Injection("keys and values swapped", "fuse-attention", "ir", after("fuse-attention", "attention", swapping(1, 2))),
    Injection("queries and keys swapped", "fuse-attention", "ir", after("fuse-attention", "attention", swapping(0, 1))),
    # loops
    Injection("the loop runs backwards", "hoist-loop-invariants", "ir",
              after("hoist-loop-invariants", "recur", changes.backwards)),
    Injection("what depends on a carry leaves the loop", "hoist-loop-invariants", "ir",
              after("hoist-loop-invariants", "recur", changes.carry_hoisted)),
    Injection("a hoisted weight is another", "hoist-loop-invariants", "ir",
              after("hoist-loop-invariants", "parameter", changes.other_weight)),
    # projections
    Injection("parts of the joint product swapped", "merge-projections", "ir",
              after("merge-projections", "split", changes.parts_turned)),
    Injection("weights joined in the other order", "merge-projections", "ir",
              after("merge-projections", "concat", changes.turned)),
    # losses
    Injection("label smoothing is forgotten", "fuse-loss", "ir",
              after("fuse-loss", "linear_cross_entropy", setting(smoothing=0.0))),
    Injection("the z-loss is forgotten", "fuse-loss", "ir",
              after("fuse-loss", "linear_cross_entropy", setting(z_loss=0.0))),
    Injection("a sum where a mean is wanted, and the reverse", "fuse-loss", "ir",
              after("fuse-loss", "linear_cross_entropy",
                    lambda op, _: op.attributes.update(mean=not op.attributes["mean"]))),
    Injection("another order of the head's weight", "fuse-loss", "ir",
              after("fuse-loss", "linear_cross_entropy",
                    lambda op, _: op.attributes.update(transposed=not op.attributes["transposed"]))),
    # decoding
    Injection("keys and values are put at the first place", "derive-decoding", "decoding",
              deriving("write_at", changes.from_first(2))),
    Injection("later keys are not hidden", "derive-decoding", "decoding",
              deriving("chunk_attention", setting(causal=False))),
    Injection("the window is one too wide", "derive-decoding", "decoding", deriving("chunk_attention", changes.window)),
    Injection("a ring is read as if it were none", "derive-decoding", "decoding",
              deriving("chunk_attention", setting(ring=False))),
    Injection("places are counted from the chunk's first", "derive-decoding", "decoding",
              deriving("add", changes.first_place)),
    Injection("what comes before is that of the chunk's beginning", "derive-decoding", "decoding",
              deriving("read_at", changes.from_first(1))),
    Injection("what is kept is never written", "derive-decoding", "decoding", deriving("set_state", changes.left_out)),
    Injection("a running sum begins with 1", "derive-decoding", "decoding",
              replaced(places.BEGINS, "cumsum", lambda _: ("add", 1.0))),
    Injection("what later keys hold is taken for 0 where it is not known", "derive-decoding", "ahead",
              replaced(pairs, "later", lambda sound: lambda *given: sound(*given) or 0.0)),
    Injection("masks that are off by one pass for causal", "fuse-attention", "ahead",
              replaced(attention_form, "is_causal",
                       lambda sound: lambda gap, query, key, ahead: sound(gap, query, key, ahead + 1))),
    Injection("a softmax over time goes place by place", "derive-decoding", "ahead",
              replaced(type(breaking.OPS["softmax"]), "along", changes.in_place)),
    # emission
    Injection("functions that differ in a number are written once", "emission of functions", "jax",
              replaced(emitted_layers, "_key", changes.without_numbers)),
    Injection("layers in the opposite order", "emission of layers", "jax",
              written("unstacked", "in zip(*slices)", "in reversed(list(zip(*slices)))")),
    Injection("`keepdims` is forgotten", "emission of reductions", "jax", emitting("mean", ", keepdims=True", "")),
    Injection("softmax over the first axis", "emission of softmax", "jax", emitting("softmax", "axis=", "axis=0 *")),
    Injection("letters of an einsum swapped", "emission of einsum", "jax", emitting("einsum", "->bhst", "->bhts")),
    Injection("operands of a difference swapped", "emission of subtract", "jax",
              replaced(type(breaking.OPS["subtract"]), "emit",
                       lambda emit: lambda self, use, operands, scope: emit(
                           self, use, operands[::-1] if self.name == "subtract" else operands, scope))),
    Injection("bf16 where f32 is declared", "emission of tanh", "jax",
              wrapping("tanh", "({}.astype(jnp.bfloat16) * 1.0)")),
    Injection("a gradient is stopped", "emission of sigmoid", "jax", wrapping("sigmoid", "jax.lax.stop_gradient({})")),
    Injection("a gradient is stopped", "emission of matmul", "jax", wrapping("matmul", "jax.lax.stop_gradient({})")),
    # gradients written by hand
    Injection("the weights' own part is missing in backward", "attention", "jax",
              written("attention_backward", " - shift)", ")")),
    Injection("the scale is missing in backward", "attention", "jax",
              written("attention_backward", "(dscores * rules[0])", "(dscores)")),
    Injection("the gradient of values is half of what it is", "attention", "jax",
              written("attention_backward", "add_block(dv, dvs, 0, column)", "add_block(dv, dvs * 0.5, 0, column)")),
    Injection("smoothing is missing in the slopes", "linear_cross_entropy", "jax",
              written("cross_entropy_slopes", "slopes - smoothing / vocab", "slopes")),
    Injection("the gradient is not scaled by what comes after", "linear_cross_entropy", "jax",
              written("summed_cross_entropy", "(slope * x)", "(1.0 * x)")),
    Injection("the gradient of the bias is doubled", "linear_cross_entropy", "jax",
              written("summed_cross_entropy", "jnp.sum(slopes, axis=0)", "2 * jnp.sum(slopes, axis=0)")),
    Injection("the weight is not transposed in backward", "loop_product", "jax",
              written("loop_product", "barrier(w.T)", "barrier(w)")),
    Injection("the gradient of a loop's weight lacks a factor", "loop_product", "jax",
              written("loop_parts", "jnp.matmul(x.T, gradient)", "0.5 * jnp.matmul(x.T, gradient)")),
    Injection("the gradient of a tall weight is doubled", "linear", "jax",
              written("turned_in_backward", "barrier(dw.T).T", "barrier(2 * dw.T).T")),
)  # fmt: skip


def trial(injection: Injection, seed: int) -> Verdict:
    """The verdict on what a seed gives of a compiler that is broken so."""
    if injection.shown_by == "jax":
        from .emitted import judge_emitted_module

        module = make_module(seed, smooth=True)
        with injection.breaks():
            return judge_emitted_module(module)
    if injection.shown_by in ("decoding", "ahead"):
        causal, model, broken = injection.shown_by == "decoding", causal_model(seed), broken_model(seed)
        with injection.breaks():
            return judge_causal(model.text, seed, beyond=model.beyond) if causal else judge_ahead(broken, seed)
    module = make_module(seed)
    with injection.breaks():
        return judge_module(module, read_all=False)


def outcome_text(shown_by: str, seed: int) -> str:
    """What the compiler makes of what a seed gives, as text."""
    try:
        if shown_by == "jax":
            from .emitted import Emitted

            return Emitted(make_module(seed, smooth=True), passes=True).source
        if shown_by in ("decoding", "ahead"):
            text = causal_model(seed).text if shown_by == "decoding" else broken_model(seed).text
            return to_text(chunks.derived(chunks.unoptimised(text)))
        module = make_module(seed)
        root = module.roles["apply"]
        run_passes(module, pipeline(model=(root, f"{root}_train"), rules=RULES, target=EAGER))
        return to_text(module)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


@functools.cache
def sound_text(shown_by: str, seed: int) -> str:
    """The same by a compiler that is not broken."""
    return outcome_text(shown_by, seed)


def noticed(number: int, first: int) -> tuple[int, int, str]:
    """The injection's number, the seed of the first program that shows it (-1: none does), and how."""
    injection = INJECTIONS[number]
    for seed in range(first, first + BOUND[injection.shown_by]):
        sound = sound_text(injection.shown_by, seed)
        with injection.breaks():
            reached = outcome_text(injection.shown_by, seed) != sound
        found = trial(injection, seed).divergence if reached else None
        if found is not None and trial(replace(injection, breaks=contextlib.nullcontext), seed).divergence is None:
            return number, seed, f"{found.stage}: {found.what}"
    return number, -1, "not noticed"


def main() -> int:
    """Tries all, or those that are named by a part of their name; 1 if one is not noticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--write", action="store_true", help="write the table and the seeds")
    options = parser.parse_args()
    chosen = [at for at, item in enumerate(INJECTIONS) if options.only in f"{item.part}: {item.name}"]
    found: dict[int, tuple[int, str]] = {}
    with ProcessPoolExecutor(options.jobs) as pool:
        for number, seed, what in pool.map(noticed, chosen, [options.seed] * len(chosen)):
            found[number] = seed, what
            item = INJECTIONS[number]
            after_so_many = seed - options.seed + 1 if seed >= 0 else "-"
            print(f"{after_so_many:>4}  {item.part}: {item.name}: {what.splitlines()[0][:150]}", flush=True)
    if options.write and len(found) == len(INJECTIONS):
        _write(found, options.seed)
    return int(any(seed < 0 for seed, _ in found.values()))


def _write(found: dict[int, tuple[int, str]], first: int) -> None:
    seeds = {f"{INJECTIONS[number].part}: {INJECTIONS[number].name}": seed for number, (seed, _) in found.items()}
    CAUGHT.write_text(json.dumps(seeds, indent=1) + "\n")
    rows = ["| where | what is wrong | noticed by | after |", "|---|---|---|---|"]
    for number, (seed, what) in found.items():
        item = INJECTIONS[number]
        rows.append(
            f"| {item.part} | {item.name} | {_check(item, what)} | {seed - first + 1 if seed >= 0 else 'never'} |"
        )
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(before + BEGIN + "\n".join(rows) + "\n" + END + rest.partition(END)[2])


def _check(injection: Injection, what: str) -> str:
    """Which check noticed it."""
    stage, _, said = what.partition(": ")
    if "not valid" in what:
        return "the verifier"
    if "differences of the reference" in what:
        return "differences of the interpreter's loss"
    if "declared precision" in what:
        return "where values are rounded"
    if injection.shown_by == "ahead":
        return "models that look ahead"
    if injection.shown_by in ("ir", "decoding"):
        return "values in the interpreter" if " off by " in what else "an error in the interpreter"
    where = "a gradient" if "d " in said[:3] else "values"
    return f"{where} under {stage}" if " off by " in what else f"an error under {stage}"


if __name__ == "__main__":
    sys.exit(main())
