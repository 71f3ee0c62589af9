"""Emitted programs pass; what a stranger might put into one is refused before it runs."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from trxc_runtime.artifact import load_artifact
from trxc_runtime.errors import RunError
from trxc_runtime.safety import check_program

ARTIFACTS = Path(__file__).parent.parent / "fixtures" / "artifacts"

HOSTILE = {
    "import": "import os",
    "import of a part": "import jax.experimental.host_callback",
    "from import": "from os import system",
    "relative import": "from . import x",
    "module through typing": "import typing\nx = typing.sys",
    "module by from": "from typing import sys",
    "get_type_hints evaluates text": "import typing\ntyping.get_type_hints(f)",
    "singledispatch evaluates text": "import functools\nfunctools.singledispatch(f)",
    "exec": 'exec("1")',
    "eval": 'x = eval("1")',
    "open": 'x = open("a")',
    "getattr": 'x = getattr(1, "real")',
    "builtin as a value": "f = map(open, [])",
    "builtin in a nested function": "def f():\n    def g():\n        return open\n    return g",
    "builtin shadowed too late": "x = open\nopen = 1",
    "builtins": "x = __builtins__",
    "dunder": "x = ().__class__",
    "frame": "g = (i for i in ())\nx = g.gi_frame",
    "globals of a function": "def f():\n    pass\nx = f.func_globals",
    "format reaches attributes": 'x = "{0.real}".format(1)',
    "numpy reads pickles": 'import numpy as np\nnp.load("a", allow_pickle=True)',
    "numpy writes files": 'import numpy as np\nnp.ones(3).tofile("a")',
    "numpy's own modules": "import numpy as np\nx = np.ctypeslib",
    "private member": "import jax\nx = jax._src",
    "module not in the table": 'import jax\njax.profiler.start_trace("a")',
    "configuration": 'import jax\njax.config.update("jax_compilation_cache_dir", "/")',
    "callback": "import jax\njax.pure_callback(f, 1)",
    "callback by from": "from jax import debug\ndebug.callback(print)",
    "module as a value": "import numpy as np\nx = [np][0]",
    "module rebound": "import numpy as np\nnp = 1",
    "module as a parameter": "import numpy as np\ndef f(np):\n    return np.load",
    "class": "class A:\n    pass",
    "try": "try:\n    pass\nexcept ValueError:\n    pass",
    "global": "def f():\n    global x\n    x = 1",
    "async": "async def f():\n    pass",
    "while": "while True:\n    pass",
    "yield": "def f():\n    yield 1",
    "not Python": "def",
    "too deep": "x = " + "(" * 500 + ")" * 500,
    "null": "x = '\0'",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_program_is_refused(name: str) -> None:
    with pytest.raises(RunError, match="refused") as caught:
        check_program(HOSTILE[name])
    assert caught.value.status == 1


FINE = {
    "local named as a builtin": "def f(open, input):\n    return open + input",
    "chains": "import jax\nimport jax.numpy as jnp\nx = jax.nn.relu(jnp.ones(3)).at[0].set(1.0)",
    "modules by from": "from jax import numpy as jnp, lax\nx = lax.rsqrt(jnp.float32(1))",
    "future": "from __future__ import annotations\nimport functools\nf = functools.partial(max, 1)",
    "main": 'if __name__ == "__main__":\n    print("hello")',
    "closures": "def f(x):\n    hash = x\n    def g():\n        return hash\n    return g",
    "policies": "import jax\np = jax.checkpoint_policies.save_only_these_names('a')",
    "custom gradients": "import jax\n@jax.custom_vjp\ndef f(x):\n    return x\nf.defvjp(f, f)",
    "mesh": "import jax\nm = jax.make_mesh((1,), ('a',), axis_types=(jax.sharding.AxisType.Auto,) * 1)",
}


@pytest.mark.parametrize("name", FINE)
def test_an_ordinary_program_passes(name: str) -> None:
    check_program(FINE[name])


@pytest.mark.parametrize("name", ["bigram", "classifier"])
def test_the_fixtures_pass(name: str) -> None:
    check_program((ARTIFACTS / name / "program.py").read_text())


def test_nothing_runs_unless_the_hash_agrees(tmp_path: Path) -> None:
    shutil.copytree(ARTIFACTS / "bigram", tmp_path / "a")
    program = tmp_path / "a" / "program.py"
    program.write_text(program.read_text() + "\nraise ValueError\n")
    with pytest.raises(RunError, match="SHA-256"):
        load_artifact(tmp_path / "a")


def extern_artifact(folder: Path) -> Path:
    folder.mkdir()
    text = "import mykernels_of_this_test\n\n\ndef init(key):\n    return mykernels_of_this_test.add(1, 2)\n"
    manifest = json.loads((ARTIFACTS / "bigram" / "manifest.json").read_text())
    manifest["sha256"]["program.py"] = hashlib.sha256(text.encode()).hexdigest()
    manifest["extern"] = ["mykernels_of_this_test"]
    (folder / "program.py").write_text(text)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_extern_modules_need_the_users_word(tmp_path: Path) -> None:
    artifact = extern_artifact(tmp_path / "a")
    (tmp_path / "mykernels_of_this_test.py").write_text("def add(a, b):\n    return a + b\n")
    with pytest.raises(RunError, match="mykernels_of_this_test") as caught:
        load_artifact(artifact)
    assert "--allow-extern" in str(caught.value)
    assert load_artifact(artifact, allow_extern=True, root=tmp_path).program.init(None) == 3


@pytest.mark.parametrize(
    ("text", "says"),
    [("{", "not JSON"), ("[]", "not a manifest"), ('{"format": 9}', "format 9"), ('{"format": 1}', "damaged")],
)
def test_a_damaged_manifest_is_named(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(RunError, match=says):
        load_artifact(tmp_path)
