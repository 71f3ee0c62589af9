"""A recipe's data, from its plain description in a manifest to splits that give batches."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from ..calls import CallError, is_call, resolve_call
from .agreement import check
from .batches import Split
from .columns import Array, FieldType
from .division import divide
from .errors import DataError, names, nearest
from .fields import Rename
from .project import Project
from .sequences import Encode, Shift, Tokenize, Window
from .stage import Source, Step
from .table import Table
from .tokenizers import Tokenizer, TokenizerRecipe, restore_tokenizer, saved_name, tokenizer_json

T = TypeVar("T")


class Data:
    """The splits of a data recipe, its fields' types, and the tokenizers that made its ids."""

    def __init__(self, name: str, splits: Mapping[str, Split]) -> None:
        self.name = name
        self.splits = dict(splits)

    @property
    def _first(self) -> Split:
        return self.splits[_training(self.splits)]

    @property
    def fields(self) -> dict[str, FieldType]:
        """The type of every field; the same in every split."""
        return self._first.fields

    @property
    def tokenizers(self) -> dict[str, Tokenizer]:
        """The tokenizer of every field that holds ids of text."""
        return dict(self._first.table.tokenizers)

    def split(self, name: str) -> Split:
        """The split called ``name``; :class:`DataError` with the names there are, if there is none."""
        if name not in self.splits:
            near = nearest(name, self.splits)
            raise DataError(f"data `{self.name}` has no split `{name}`", *near, f"it has {names(self.splits)}")
        return self.splits[name]

    def check(self, batch_fields: Sequence[Mapping[str, Any]]) -> None:
        """Raises :class:`DataError` unless the data are what a manifest's ``batch`` entries ask for."""
        check(self.fields, batch_fields)

    def only(self, wanted: Sequence[str]) -> Data:
        """The data with only those fields, so that batches hold nothing that nobody reads."""
        splits = self.splits.items()
        kept = {name: Split(name, split.table.keep(wanted), shuffle=split.shuffle) for name, split in splits}
        return Data(self.name, kept)

    def save(self, folder: Path) -> list[Path]:
        """Writes what the data have learnt and generation needs, and returns the files: ``tokenizer.json``.

        It is the first trained tokenizer's, and loads in the `tokenizers` library too. Where fields have different
        ones, each is written as ``tokenizer.FIELD.json`` as well.
        """
        trained = {field: saved for field, made in self.tokenizers.items() if (saved := tokenizer_json(made))}
        texts = {saved_name(): saved for saved in list(trained.values())[:1]}
        if len(set(trained.values())) > 1:
            texts |= {saved_name(field): saved for field, saved in trained.items()}
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        return [folder / name for name in texts]


def load(
    recipe_data: Mapping[str, Any],
    *,
    root: Path,
    cache: Path | None = None,
    arrays: Mapping[str, Array] | None = None,
) -> Data:
    """The data of a manifest's ``recipe.data``, read, split and transformed.

    ``root`` is the folder that paths are relative to, ``cache`` one for what is slow to make, ``arrays`` what a
    source `arrays()` hands over. Raises :class:`DataError` for whatever a user can mend.
    """
    project = Project(root, cache, arrays or {})
    tables = _divided(recipe_data, project)
    for call in recipe_data.get("stages") or ():
        tables = _through(_stage(call), _shown(call), tables, project)
    _check_splits(tables)
    shuffle = recipe_data.get("shuffle", True) is not False
    data = Data(str(recipe_data["name"]), {name: Split(name, table, shuffle=shuffle) for name, table in tables.items()})
    _check_declared(data, recipe_data.get("fields") or ())
    return data


def load_tokenizer(call: Mapping[str, Any], folder: Path, *, field: str | None = None) -> Tokenizer:
    """The tokenizer that ``call`` names, with what a run in ``folder`` has learnt; ``field`` says whose it is."""
    if field is not None and not re.fullmatch(r"[A-Za-z_]\w*", field, re.ASCII):
        raise DataError(f"{field!r} is no name for a field")
    return restore_tokenizer(_resolved(call, TokenizerRecipe, "a tokenizer"), folder, field)


def recipe_tokenizer(recipe_data: Mapping[str, Any], folder: Path, *, field: str = "tokens") -> Tokenizer | None:
    """The tokenizer of a field, as a run in ``folder`` keeps it, without reading any data; ``None`` if it has none.

    Where the data have no field of that name, it is the only tokenizer there is, or a :class:`DataError`.
    """
    made: dict[str, TokenizerRecipe] = {}
    for call in recipe_data.get("stages") or ():
        _note_tokenizer(resolve_call(call), made)
    if not made:
        return None
    if field not in made and len({id(recipe) for recipe in made.values()}) > 1:
        raise DataError(f"which tokenizer made `{field}`?", f"there are those of {names(made)}: name one in `generate`")
    owner = field if field in made else next(iter(made))
    return restore_tokenizer(made[owner], folder, owner)


def _note_tokenizer(stage: object, made: dict[str, TokenizerRecipe]) -> None:
    """Follows a stage: which fields' ids are made by which tokenizer."""
    match stage:
        case TokenizerRecipe():
            made["tokens"] = stage
        case Encode():
            made[stage.into] = stage.tokenizer
        case Rename() if stage.field in made:
            made[stage.to] = made.pop(stage.field)
        case Shift() if stage.field in made:
            made[stage.into] = made[stage.field]
        case Window() if "tokens" in made:
            recipe = made["tokens"]
            made.clear()
            made.update(tokens=recipe, targets=recipe)
        case _:
            pass


def _training(splits: Mapping[str, object]) -> str:
    return "train" if "train" in splits else next(iter(splits))


def _divided(recipe_data: Mapping[str, Any], project: Project) -> dict[str, Table]:
    """The splits as their sources have them: shares of the one source, or a source each."""
    split: Mapping[str, Any] = recipe_data.get("split") or {}
    own = {name: _load(value, project) for name, value in split.items() if is_call(value)}
    shares = {name: _share(name, value) for name, value in split.items() if name not in own}
    if not recipe_data.get("source"):
        if shares or not own:
            raise DataError(f"data `{recipe_data['name']}` has no source", 'add one: `source = text("data/*.txt")`')
        return own
    table = _load(recipe_data["source"], project)
    shared = divide(table, shares) if shares else {"train": table}
    if "train" in own and "train" in shared:
        raise DataError("`train` has two sources", "leave out `source`, or `train` in `split`")
    whole = shared | own
    return {name: whole[name] for name in (split if shares else whole)}


def _share(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise DataError(f"`split` cannot give {value!r} to `{name}`", "a share is a fraction, a count, or a source")
    return value


def _load(call: object, project: Project) -> Table:
    table = _resolved(call, Source, "a source").load(project)
    if not len(table):
        raise DataError(f"`{_shown(call)}` has no examples")
    return table


def _stage(call: object) -> Step:
    stage: object = resolve_call(call)
    if isinstance(stage, TokenizerRecipe):
        return Tokenize(stage)
    return _expected(stage, Step, "a transform or a tokenizer", call)


def _through(stage: Step, shown: str, tables: Mapping[str, Table], project: Project) -> dict[str, Table]:
    with _place(f"in `{shown}`"):
        apply = stage.fit(tables[_training(tables)], project)
    made: dict[str, Table] = {}
    for name, table in tables.items():
        with _place(f"in `{shown}`, for the split `{name}`"):
            made[name] = apply(table)
            if not len(made[name]):
                raise DataError(f"the split `{name}` has no examples left", "loosen the filter, or add data")
    return made


@contextmanager
def _place(where: str) -> Generator[None]:
    """Says with an error which part of the pipeline it comes from."""
    try:
        yield
    except DataError as error:
        raise DataError(error.message, *error.hints, where) from None


def _check_splits(tables: Mapping[str, Table]) -> None:
    first = _training(tables)
    fields = tables[first].fields
    for name, table in tables.items():
        if table.fields != fields:
            theirs, ours = ({f"`{field}`: {kind}" for field, kind in each.items()} for each in (table.fields, fields))
            differ = ", ".join(sorted(theirs ^ ours))
            raise DataError(f"the splits `{first}` and `{name}` have different fields: {differ}")


def _check_declared(data: Data, declared: Sequence[Mapping[str, Any]]) -> None:
    """Declared fields are per example, so that they are checked as batch entries whose leading dim is the batch."""
    entries = [
        {**entry, "shape": [None, *entry["shape"]], "dims": [None, *(None for _ in entry["shape"])]}
        for entry in declared
        if entry["dtype"] != "string"
    ]
    check(data.fields, entries)


def _resolved(call: object, kind: type[T], what: str) -> T:
    return _expected(resolve_call(call), kind, what, call)


def _expected(made: object, kind: type[T], what: str, call: object) -> T:
    if not isinstance(made, kind):
        raise CallError(f"`{_shown(call)}` stands where {what} should")
    return made


def _shown(call: Any) -> str:
    return str(call.get("name") or call["call"]) if is_call(call) else repr(call)
