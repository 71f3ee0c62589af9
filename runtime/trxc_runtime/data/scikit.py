"""Small data sets that come with scikit-learn, for a first model (extra ``trxc[sklearn]``)."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import numpy as np

from .columns import Array, Dense
from .errors import DataError
from .project import Project
from .stage import Source
from .table import Table


class _Bundled(Source):
    loader: ClassVar[str]

    def load(self, project: Project) -> Table:
        del project
        bunch: Any = _loader(self.loader)()
        label = np.asarray(bunch.target, np.int32)
        return Table({**self.features(np.asarray(bunch.data, np.float32)), "label": Dense(label)})

    @abstractmethod
    def features(self, data: Array) -> dict[str, Dense]:
        """The fields besides ``label``, of ``data``: ``[examples, features]``."""


class _Features(_Bundled):
    def features(self, data: Array) -> dict[str, Dense]:
        return {"features": Dense(data)}


@dataclass(frozen=True)
class Digits(_Bundled):
    """1,797 handwritten digits. Yields ``image``: ``f32[8, 8, 1]`` from 0 to 1, and ``label``, 10 classes."""

    loader = "load_digits"

    def features(self, data: Array) -> dict[str, Dense]:
        return {"image": Dense(data.reshape(-1, 8, 8, 1) / np.float32(16))}


@dataclass(frozen=True)
class Iris(_Features):
    """150 irises (Fisher 1936). Yields ``features``: ``f32[4]`` in cm, and ``label``, 3 classes."""

    loader = "load_iris"


@dataclass(frozen=True)
class Wine(_Features):
    """178 wines and their chemistry. Yields ``features``: ``f32[13]``, and ``label``, 3 classes."""

    loader = "load_wine"


@dataclass(frozen=True)
class BreastCancer(_Features):
    """569 tumours (Wisconsin, 1995). Yields ``features``: ``f32[30]``, and ``label``: 0 malignant, 1 benign."""

    loader = "load_breast_cancer"


def _loader(name: str) -> Any:
    try:
        return getattr(import_module("sklearn.datasets"), name)
    except ImportError:
        hint = 'install it with `pip install "trxc[sklearn]"`'
        raise DataError("this data set comes with scikit-learn, which is not installed", hint) from None
