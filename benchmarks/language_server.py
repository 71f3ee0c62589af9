"""Latencies of the language server, through a real client over stdio: hover, and diagnostics after an edit.

    python benchmarks/language_server.py [--rounds 100]

For the two largest examples and a generated file of 2,000 lines: the time from sending a request to its answer, and
from sending a change to the diagnostics of that version, the wait for further changes (`DEBOUNCE`) included. Hovers are
asked for right after edits, too, while the check of the edit is under way. The processor time of the server (Linux) is
that of a round: two hovers, an edit, its check.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

from lsprotocol import types
from pygls.lsp.client import LanguageClient

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
LAYER = """
## Attention number {n}.
layer Attention{n}(heads: int) {{
  input x: float[batch, seq, embed]
  require embed % heads == 0, "embed must be a multiple of heads"
  dim head = embed / heads

  param wq: float[embed, heads, head] = normal(0.02)
  param wk: float[embed, heads, head] = normal(0.02)
  param wv: float[embed, heads, head] = normal(0.02)
  param wo: float[heads, head, embed] = normal(0.01)

  q = einsum("b s d, d h e -> b s h e", x, wq)
  k = einsum("b s d, d h e -> b s h e", x, wk)
  v = einsum("b s d, d h e -> b s h e", x, wv)
  scores = einsum("b s h e, b t h e -> b h s t", q, k) / sqrt(head)
  mixed = einsum("b h s t, b t h e -> b s h e", softmax(scores, over = -1), v)
  output einsum("b s h e, h e d -> b s d", mixed, wo)
}}
"""


def generated(lines: int) -> str:
    """A file of so many lines: layers, each used by a model at the end."""
    count = (lines - 12) // (LAYER.count("\n") - 1)
    layers = "".join(LAYER.format(n=n) for n in range(count))
    steps = "".join(f"\n    |> Attention{n}(heads)" for n in range(0, count, count // 8))
    model = "  input tokens: int[batch, seq]\n  output tokens |> Embedding(256, embed)"
    return f"{layers}\nmodel Large(embed: int = 64, heads: int = 4) {{\n{model}{steps}\n}}\n"


class Editor(LanguageClient):
    """A client that waits for diagnostics of a version."""

    def __init__(self) -> None:
        super().__init__("benchmark", "1")
        self.waiting: dict[int | None, asyncio.Future[float]] = {}

        @self.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def _told(params: types.PublishDiagnosticsParams) -> None:
            future = self.waiting.pop(params.version, None)
            if future is not None and not future.done():
                future.set_result(time.perf_counter())


def processor_seconds(client: Editor) -> float:
    """Processor time of the server so far, in steps of 10 ms: what other programs on the machine disturb less."""
    assert client._server is not None
    fields = Path(f"/proc/{client._server.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(path: Path, text: str, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of every round."""
    client = Editor()
    await client.start_io(sys.executable, "-m", "trxc", "lsp")
    await client.initialize_async(types.InitializeParams(types.ClientCapabilities()))
    client.initialized(types.InitializedParams())
    uri, loop, rng = path.as_uri(), asyncio.get_running_loop(), random.Random(0)
    first = client.waiting[0] = loop.create_future()
    client.text_document_did_open(types.DidOpenTextDocumentParams(types.TextDocumentItem(uri, "trx", 0, text)))
    await first
    found: dict[str, list[float]] = {"hover": [], "hover during a check": [], "diagnostics after an edit": []}
    found["processor time a round"] = []
    names = [(n, line.index(c)) for n, line in enumerate(text.splitlines()) for c in "xqhd" if c in line]
    document = types.TextDocumentIdentifier(uri)
    place = next(n for n, line in enumerate(text.splitlines()) if line.startswith("  input"))
    for version in range(1, rounds + 1):
        hover = types.HoverParams(document, types.Position(*rng.choice(names)))
        busy = processor_seconds(client)
        start = time.perf_counter()
        await client.text_document_hover_async(hover)
        found["hover"].append(time.perf_counter() - start)

        told = client.waiting[version] = loop.create_future()
        column = types.Position(place, 0)
        at = types.Range(column, column if version % 2 else types.Position(place, 1))
        event = types.TextDocumentContentChangePartial(at, " " if version % 2 else "")
        changed = types.VersionedTextDocumentIdentifier(version, uri)
        start = time.perf_counter()
        client.text_document_did_change(types.DidChangeTextDocumentParams(changed, [event]))
        await asyncio.sleep(0.02 + 0.02 * rng.random())
        asked = time.perf_counter()
        await client.text_document_hover_async(hover)
        found["hover during a check"].append(time.perf_counter() - asked)
        found["diagnostics after an edit"].append(await told - start)
        found["processor time a round"].append(processor_seconds(client) - busy)
    await client.shutdown_async(None)
    client.exit(None)
    await client.stop()
    return {name: [1000 * value for value in values] for name, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        texts = {EXAMPLES / name: (EXAMPLES / name).read_text() for name in ("quickstart.trx", "translate.trx")}
        texts[Path(folder) / "generated.trx"] = generated(2_000)
        print("| file | lines | what | p50 ms | p95 ms |\n|---|---|---|---|---|")
        for path, text in texts.items():
            for what, values in asyncio.run(measure(path, text, rounds)).items():
                cuts = statistics.quantiles(values, n=20)
                print(f"| {path.name} | {len(text.splitlines())} | {what} | {cuts[9]:.1f} | {cuts[18]:.1f} |")


if __name__ == "__main__":
    main()
