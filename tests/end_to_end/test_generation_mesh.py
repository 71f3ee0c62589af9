"""Generation on a mesh: the same tokens as on one device, with caches split as activations are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import trxc

PROGRAM = """
layer Block(heads: int) {
  input x: float[batch, seq, embed]
  output x |> residual(LayerNorm >> SelfAttention(heads, causal = true))
}

model M(vocab: int = 12, embed: int = 8, heads: int = 2) {
  input tokens: int[batch, seq]
  x = tokens |> Embedding(vocab, embed) |> repeat(2, Block(heads))
  output logits: float[batch, seq, vocab] = x |> Dense(vocab)
}

data d {
  source = arrays()
  fields { tokens = int[6], targets = int[6] }
}

mesh grid {
  data  = 2
  model = 2
  batch -> data
  heads -> model
  vocab -> model
}

train t for M {
  data      = d
  mesh      = grid
  loss      = cross_entropy(logits, targets)
  optimizer = sgd(0.1)
  batch     = 2
  steps     = 2
}

generate g for M {
  prompt = tokens
  from   = logits
}
"""

SCRIPT = """
import sys
import jax, numpy as np
from trxc_runtime.artifact import load_artifact
from trxc_runtime.decoding import Decoder, decode
from trxc_runtime.placement import Placement
from trxc_runtime.rows import Given, compiled
from trxc_runtime.sample import Temperature
from trxc_runtime.search import Beam

program = load_artifact(sys.argv[1]).program
rng = np.random.default_rng(0)
params = program.init(jax.random.key(1))
params = jax.tree.map(lambda x: x + 0.3 * rng.normal(size=x.shape).astype(x.dtype), params)
state = program.init_state()
same, ragged = [[1, 2, 3]] * 2 + [[4, 5, 6]] * 2, [[1, 2, 3], [4, 5], [7, 8, 9, 1, 2]]
for prompts in (same, ragged):
    for search in (None, Beam(3)):
        decoder = Decoder(program, "tokens", "logits", (Temperature(0.8),), 16, search=search)
        print(np.array(list(decode(decoder, params, state, prompts, limit=8, seed=3))).tolist())
placement = Placement.of(program, lambda _: None)
if placement.mesh is not None:
    rows = Decoder(program, "tokens", "logits").rows
    with placement.context():
        params, state = placement.weights(params, state)
        kept = compiled(rows).begin(Given(program.split(params), state, {}), 4, 256)
    print(jax.tree.leaves(kept)[0].sharding.spec, file=sys.stderr)
"""


def run(artifact: Path, devices: int) -> tuple[str, str]:
    environment = {**os.environ, "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
    command = [sys.executable, "-c", SCRIPT, str(artifact)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return done.stdout, done.stderr


def test_a_mesh_draws_the_tokens_of_one_device(tmp_path: Path) -> None:
    trxc.compile(PROGRAM, filename="m.trx", name="t").save(tmp_path / "m")
    alone, _ = run(tmp_path / "m", 1)
    spread, told = run(tmp_path / "m", 4)
    assert len(alone.splitlines()) == 4
    assert spread == alone
    assert "'data', 'model'" in told
