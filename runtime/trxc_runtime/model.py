"""A compiled model as plain functions on pytrees, with the weights of a run where there is one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .artifact import Artifact, load_artifact
from .checkpoint import Checkpoints
from .errors import RunError
from .run_folder import RunFolder
from .seal import DamagedError
from .signatures import check_inputs
from .storage import Layout, layout_of
from .trees import Tree
from .untyped import jax, jnp

if TYPE_CHECKING:
    from .generation import Hypothesis
    from .search import Beam
    from .speculation import Drafted


def load(
    folder: str | Path, *, checkpoint: str | int = "best", allow_extern: bool = False, root: str | Path | None = None
) -> Model:
    """The model of an artifact's folder, or of a run's, with its trained weights.

    ``checkpoint`` is ``"best"`` (the newest where none was chosen), ``"latest"`` or a step. Raises :class:`RunError`.
    """
    artifact = load_artifact(folder, allow_extern=allow_extern, root=Path(root) if root else None)
    return Model(artifact, checkpoint)


class Model:
    """What the compiler wrote, ready to call. Nothing is run or read before it is asked for."""

    def __init__(self, artifact: Artifact, checkpoint: str | int = "best") -> None:
        self.artifact = artifact
        self.manifest: dict[str, Any] = artifact.manifest
        self._checkpoint = checkpoint

    def init(self, seed: int = 0) -> Tree:
        """Fresh parameters: a function of the seed and of the weights' names alone."""
        return self.artifact.program.init(jax.random.key(seed))

    def apply(self, params: Tree, **inputs: Any) -> Any:
        """The model's outputs at inference: the one array, or a dict where there are several.

        A plain function: it can be jitted, differentiated in ``params`` and vmapped. ``inputs`` are arrays shaped as
        the model declares them, the batch leading. Raises :class:`RunError` for an input that does not fit.
        """
        arrays = {name: jnp.asarray(value) for name, value in inputs.items()}
        check_inputs(self.manifest["inputs"], arrays)
        outputs: dict[str, Any] = self.artifact.program.apply(params, self.state, arrays)
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs

    @property
    def params(self) -> Tree:
        """The trained parameters; raises :class:`RunError` for an artifact that was never trained."""
        params, _, step = self._weights
        if step is None:
            raise RunError(
                f"`{self.artifact.folder}` holds no trained weights",
                hints=("give a run's folder, or take fresh weights with `model.init(seed)`",),
            )
        return params

    @property
    def state(self) -> Tree:
        """The statistics that training kept, such as batch normalisation's; their initial values without a run."""
        return self._weights[1]

    @property
    def step(self) -> int | None:
        """The training step that the weights are from; None where there are none."""
        return self._weights[2]

    @cached_property
    def _weights(self) -> tuple[Tree, Tree, int | None]:
        return weights_of(self.artifact, self._checkpoint)

    def generate(
        self,
        prompt: str | Sequence[str] | None = None,
        *,
        limit: int | None = None,
        seed: int | None = None,
        params: Tree = None,
        sample: Sequence[Any] | None = None,
        search: Beam | None = None,
        stop: str | Sequence[str] | None = None,
        draft: Model | None = None,
        ahead: int = 4,
        on_draft: Callable[[Drafted], None] | None = None,
        amateur: Model | None = None,
        contrast: float = 0.5,
        plausible: float = 0.1,
        **inputs: Any,
    ) -> str | list[str]:
        """The texts that follow one prompt or several, by the file's ``generate`` recipe.

        ``limit`` bounds the new tokens, ``sample`` or ``search`` replaces how the recipe chooses them, and ``stop`` the
        texts before which a text ends. ``inputs`` are the model's other inputs, one row a prompt or one for all, as
        arrays or, where they are tokenized, as text. Without a prompt there is a text for each of their rows, begun as
        those of the data are. The same seed gives the same text. Raises :class:`RunError`.

        A smaller model as ``draft`` proposes so many tokens ``ahead``, which this one reads at once; what is drawn is
        distributed as without it. ``on_draft`` is told now and then how far it was right. An ``amateur``, a weaker
        model, is what scores are set against (:class:`.contrast.Contrast` says how). Both have this one's tokenizer.
        """
        from .generation import generate
        from .others import Others

        others = Others(draft, ahead, on_draft, amateur, contrast, plausible)
        return generate(
            self, prompt, limit=limit, seed=seed, params=params,
            sample=sample, search=search, stop=stop, others=others, inputs=inputs,
        )  # fmt: skip

    def hypotheses(
        self,
        prompt: str | Sequence[str] | None = None,
        *,
        limit: int | None = None,
        params: Tree = None,
        search: Beam | None = None,
        stop: str | Sequence[str] | None = None,
        amateur: Model | None = None,
        contrast: float = 0.5,
        plausible: float = 0.1,
        **inputs: Any,
    ) -> list[Hypothesis] | list[list[Hypothesis]]:
        """All that the recipe's ``search`` finds after one prompt or several: texts with scores, the best first.

        Takes what :meth:`generate` takes, which gives the text of the first. Raises :class:`RunError`.
        """
        from .generation import hypotheses
        from .others import Others

        others = Others(amateur=amateur, contrast=contrast, plausible=plausible)
        return hypotheses(
            self, prompt, limit=limit, params=params, search=search, stop=stop, others=others, inputs=inputs
        )

    def stream(self, prompt: str | None = None, **options: Any) -> Iterator[str]:
        """The text that follows one prompt, piece by piece; takes what :meth:`generate` takes."""
        from .generation import stream

        return stream(self, prompt, **options)


def weights_of(artifact: Artifact, checkpoint: str | int) -> tuple[Tree, Tree, int | None]:
    """Parameters, state and step of a run's checkpoint; for an artifact that is no run, None, initial state, None."""
    run, program = RunFolder(artifact.folder), artifact.program
    if not run.exists:
        if checkpoint not in ("best", "latest"):
            raise RunError(f"`{artifact.folder}` is no run, so it has no checkpoint {checkpoint}")
        return None, program.init_state(), None
    shapes = jax.eval_shape(lambda: {"params": program.init(jax.random.key(0)), "state": program.init_state()})
    tree, step = _restore(run, checkpoint, shapes, layout_of(artifact.manifest))
    return tree["params"], tree["state"], step


def _restore(run: RunFolder, checkpoint: str | int, shapes: Tree, layout: Layout) -> tuple[Tree, int]:
    """The asked-for checkpoint, or for a name the first that can be read."""
    checkpoints = Checkpoints(run.checkpoints, layout=layout)
    present = checkpoints.steps()
    wanted = [checkpoint] if isinstance(checkpoint, int) else present[::-1]
    if checkpoint == "best" and (best := run.read_best()) in present:
        wanted = [best, *(step for step in wanted if step != best)]
    problem = "" if present else "; none was saved"
    for step in wanted:
        try:
            return checkpoints.restore(int(step), shapes).tree, int(step)
        except DamagedError as error:
            problem += f"; checkpoint {step}: {error}"
    found = ", ".join(map(str, present)) or "none"
    raise RunError(f"`{run.path}` has no checkpoint that can be used{problem}", hints=(f"checkpoints there: {found}",))
