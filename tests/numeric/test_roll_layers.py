"""Equal layers by `repeat`, by closures and by hand: the same weights by the same names, the same loss and gradients.

A program with the pass is compared with itself without it: first weights bit for bit, by name; what dropout drops; the
loss, new states and gradients in float64 to 1e-9.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

import trxc
from trxc.ir import to_text
from trxc.ir.walk import SLICED
from trxc.storage import by_name, restored
from trxc_runtime.storage import layout_of

HEAD = """
layer Block(heads: int = 2, rate: float = 0.1) {
  input x: float[batch, seq, embed]
  h = x |> residual(LayerNorm >> SelfAttention(heads, causal = true))
  output h |> residual(LayerNorm >> Dense(2 * embed) >> gelu >> Dense(embed) >> Dropout(rate))
}
layer Mixed(out: int) {
  input x: float[batch, seq, embed]
  output x |> Dense(out) >> BatchNorm >> relu >> Dense(embed)
}
"""

RECIPE = """
data random {
  source = arrays()
  fields { tokens = int[6], targets = int[6] }
}
train bench for G {
  data      = random
  loss      = cross_entropy(logits, targets)
  optimizer = adamw(1e-3)
  batch     = 3
  steps     = 10
}
"""

FAST = {"xla_backend_optimization_level": 0}
"""What is compared is compiled once and run once."""

WRITTEN_OUT = " >> ".join(["residual(LayerNorm >> Dense(2 * embed) >> gelu >> Dense(embed) >> Dropout(0.1))"] * 5)
STACKS = {
    "bound": "a >> b >> c >> d",
    "written out": WRITTEN_OUT,
    "with dropout between": " >> ".join(["Block >> Dropout(0.2)"] * 4),
    "two kinds by turns": " >> ".join(["Block >> Mixed(6)"] * 4),
    "in a layer": "Stack >> Stack >> Stack >> Stack",
    "copies by turns": "repeat(8, fn(i) => if i % 2 == 0 { Block(2) } else { Mixed(6) })",
    "copies, the last other": "repeat(6, fn(i) => if i < 5 { Block(2) } else { Mixed(6) })",
    "loops in a row": " >> ".join(["repeat(2, Block)"] * 4),
    "deep copies": "repeat(4, fn(i) => residual(Mixed(6) >> Mixed(6) >> Mixed(6) >> Mixed(6) >> Dropout(0.1)))",
}
INNER = """
layer Stack {
  input x: float[batch, seq, embed]
  output x |> Dense(embed) >> Dense(embed) >> Dropout(0.3) >> Dense(embed) >> Dense(embed)
}
"""


def source(stack: str, recipe: str = RECIPE) -> str:
    """A model of a stack, and how it is trained."""
    bound = "a = Block\n  b = Block\n  c = Block\n  d = Block" if stack.startswith("a >>") else ""
    return f"""{HEAD}{INNER}
model G(vocab: int = 11, embed: int = 8) {{
  input tokens: int[batch, seq]
  {bound}
  x = tokens |> Embedding(vocab, embed) |> {stack}
  output logits: float[batch, seq, vocab] = x |> Dense(vocab)
}}
{recipe}"""


def compiled(text: str, *disable: str) -> trxc.Program:
    """A program, every pass verified."""
    return trxc.compile(text, filename="roll.trx", verify_each=True, disable=disable)


def emitted(program: trxc.Program, *, double: bool = False) -> dict[str, Any]:
    """The functions of a program; in float64, if asked for."""
    text = program.source.replace("float32", "float64").replace("int32", "int64") if double else program.source
    names: dict[str, Any] = {"__name__": "program"}
    exec(compile(text, "program.py", "exec"), names)
    return names


def named(program: trxc.Program, tree: Any) -> dict[str, np.ndarray[Any, Any]]:
    """Arrays of a program by name."""
    return by_name(program.ir, None, jax.tree.map(np.asarray, tree))


def pair(stack: str) -> tuple[trxc.Program, trxc.Program]:
    """With the pass and without."""
    text = source(stack)
    return compiled(text), compiled(text, "roll-layers")


def loops(program: trxc.Program) -> list[int]:
    """How often each loop of a program runs."""
    ops = [op for name in program.ir.functions for op in program.ir.functions[name].body.walk()]
    return [int(str(op.attributes["count"])) for op in ops if op.kind == SLICED]


def assert_equal(one: dict[str, Any], other: dict[str, Any], tolerance: float = 0.0) -> None:
    """The same names, and the same arrays to a share of the largest number of each."""
    assert sorted(one) == sorted(other)
    for name, array in one.items():
        np.testing.assert_allclose(
            other[name], array, rtol=0, atol=tolerance * (1 + np.max(np.abs(array), initial=0)), err_msg=name
        )


@pytest.mark.parametrize("stack", STACKS)
def test_first_weights_losses_and_gradients_are_those_of_layers_one_by_one(stack: str) -> None:
    rolled, plain = pair(STACKS[stack])
    assert len(rolled.source) < len(plain.source)
    starts = [named(program, jax.jit(emitted(program)["init"])(jax.random.key(3))) for program in (rolled, plain)]
    assert_equal(*starts)
    with jax.enable_x64(True):
        one, other = (outcome(program, plain) for program in (rolled, plain))
    assert_equal(one, other, 1e-9)


def outcome(program: trxc.Program, plain: trxc.Program) -> dict[str, Any]:
    """Loss, new states and gradients in float64, by name, with weights that only depend on names."""
    functions = emitted(program, double=True)
    other = emitted(plain, double=True)
    trees = [jax.jit(other["init"])(jax.random.key(5)), jax.jit(other["init_state"])()]
    params, state = (
        restored(plain.ir, program.ir, None, jax.tree.map(lambda x: np.asarray(x, np.float64), tree)) for tree in trees
    )
    rng = np.random.default_rng(1)
    batch = {name: rng.integers(0, 11, (3, 6)) for name in ("tokens", "targets")}

    def run(params: Any) -> Any:
        def loss(params: Any) -> Any:
            return functions["loss"](params, state, batch, jax.random.key(7))

        return jax.value_and_grad(loss, has_aux=True)(params), functions["measure"](params, state, batch)["loss"]

    ((value, after), slopes), measured = jax.jit(run, compiler_options=FAST)(params)
    found = {"loss": value, "measured": measured}
    found |= {f"state {name}": array for name, array in named(program, after).items()}
    return found | {f"slope {name}": array for name, array in named(program, slopes).items()}


def test_the_manifest_names_the_same_weights() -> None:
    rolled, plain = pair(STACKS["two kinds by turns"])
    assert loops(rolled) == [4, 4]
    assert loops(plain) == []
    assert sorted(names_in(rolled)) == sorted(names_in(plain))
    assert {"block_3.self_attention.wq", "mixed_4.dense.w"} <= set(names_in(rolled))


def names_in(program: trxc.Program) -> list[str]:
    """The weights that the runtime reads out of a manifest."""
    layout = layout_of(program.manifest)
    keys = [".".join(entry["key"]) for entry in program.manifest["parameters"]]
    return [name for key in keys for name in (layout[key]["names"] if key in layout else [key])]


@pytest.mark.parametrize("stack", ["Block", "residual(LayerNorm >> Dense(embed) >> Dropout(0.1))"])
def test_a_program_is_as_long_for_many_layers_as_for_few(stack: str) -> None:
    few, many = (compiled(source(" >> ".join([stack] * count)), "unroll-layers") for count in (16, 48))
    assert many.source.count("\n") <= 1.02 * few.source.count("\n")


def test_a_closure_that_gives_equal_layers_is_a_repeat() -> None:
    closure, plain = (compiled(source(stack)) for stack in ("repeat(4, fn(i) => Block(2))", "repeat(4, Block(2))"))
    assert to_text(closure.ir) == to_text(plain.ir)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("batch     = 3", 'batch     = 3\n  freeze    = ["block_2"]'), "`block_2` is said of some of them alone"),
        (("adamw(1e-3)", "lamb(1e-3)"), "`lamb` treats each weight as a whole"),
    ],
)
def test_what_the_recipe_treats_apart_stays_apart(change: tuple[str, str], why: str) -> None:
    program = compiled(source(" >> ".join(["Block"] * 4), RECIPE.replace(*change)))
    assert loops(program) == []
    assert [remark.message for remark in program.remarks if remark.source == "roll-layers" and why in remark.message]


def test_all_of_a_loop_may_be_frozen() -> None:
    recipe = RECIPE.replace("batch     = 3", 'batch     = 3\n  freeze    = ["block*"]')
    program = compiled(source(" >> ".join(["Block"] * 4), recipe))
    assert loops(program) == [4, 4]
    assert '"block": "freeze"' in program.source
