"""Sources of arrays: NumPy's files, IDX files, and arrays handed over from Python."""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np

from .columns import Array, Column, dense
from .errors import DataError
from .project import MAX_BYTES, Project, read_bytes
from .stage import Source
from .table import Table

_IDX_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MAX_RANK = 8


@dataclass(frozen=True)
class Npy(Source):
    """One array of a ``.npy`` file, its first axis the examples. Yields the field named by ``into``."""

    path: str
    into: str

    def load(self, project: Project) -> Table:
        path = project.file(self.path)
        try:
            # A mapped file is checked against the size that its header claims before anything is allocated.
            values: Any = np.load(path, mmap_mode="r", allow_pickle=False)
        except Exception as error:  # a damaged header raises whatever NumPy's parser of Python literals does
            raise DataError(f'"{self.path}" is no array that can be read: {error}') from None
        if isinstance(values, np.lib.npyio.NpzFile):
            raise DataError(f'"{self.path}" holds several arrays', "read it with `npz`")
        return _checked({self.into: dense(np.asarray(values), f'"{self.path}"')}, self.path)


@dataclass(frozen=True)
class Npz(Source):
    """The arrays of a ``.npz`` file, their first axes the examples. Yields a field an array, by its name."""

    path: str

    def load(self, project: Project) -> Table:
        path = project.file(self.path)
        try:
            with zipfile.ZipFile(path) as archive:
                unpacked = sum(entry.file_size for entry in archive.infolist())
            if unpacked > MAX_BYTES:
                raise DataError(f'"{self.path}" holds more than {MAX_BYTES:,} bytes once unpacked')
            with np.load(path, allow_pickle=False) as arrays:
                found = {name: np.asarray(arrays[name]) for name in arrays.files}
        except DataError:
            raise
        except Exception as error:  # as for `npy`, and whatever a damaged archive raises
            raise DataError(f'"{self.path}" holds no arrays that can be read: {error}') from None
        return from_arrays(found, f'"{self.path}"')


@dataclass(frozen=True)
class Idx(Source):
    """Images and labels in IDX files, packed with gzip or not. Yields ``image`` from 0 to 1, and ``label``.

    Source: LeCun's format for MNIST: two zero bytes, a type, the rank, the sizes, then the numbers, big-endian.
    """

    images: str
    labels: str

    def load(self, project: Project) -> Table:
        images, labels = _idx(project, self.images), _idx(project, self.labels)
        if images.ndim not in (3, 4) or images.dtype != np.uint8:
            raise DataError(f'"{self.images}" holds {images.dtype}{list(images.shape)}, which are no images')
        if labels.ndim != 1 or labels.dtype.kind not in "iu":
            raise DataError(f'"{self.labels}" holds {labels.dtype}{list(labels.shape)}, which are no labels')
        scaled = images.reshape(*images.shape[:3], -1).astype(np.float32) / np.float32(255)
        label = dense(labels.astype(np.int32), f'"{self.labels}"')
        return _checked({"image": dense(scaled, f'"{self.images}"'), "label": label}, self.images)


@dataclass(frozen=True)
class Arrays(Source):
    """The arrays that a Python program hands over with ``arrays = {name: array}``. Yields a field each."""

    def load(self, project: Project) -> Table:
        if not project.arrays:
            hint = 'pass `arrays={"x": …}`, or read them from a file with `npz("data.npz")`'
            raise DataError("the recipe reads `arrays()`, and none were handed over", hint)
        return from_arrays({name: np.asarray(array) for name, array in project.arrays.items()}, "`arrays()`")


def from_arrays(arrays: dict[str, Array], where: str) -> Table:
    """A table of stacked arrays; :class:`DataError` if their numbers of examples differ."""
    if not arrays:
        raise DataError(f"{where} holds no arrays")
    return _checked({name: dense(array, f"array `{name}`") for name, array in arrays.items()}, where)


def _checked(columns: dict[str, Column], where: str) -> Table:
    table = Table(columns)
    if not len(table):
        raise DataError(f"{where} holds no examples")
    return table


def _idx(project: Project, path: str) -> Array:
    content = read_bytes(project.file(path))
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _IDX_DTYPES:
        raise DataError(f'"{path}" is no IDX file', "it begins with two zero bytes and a type, as MNIST's files do")
    dtype, rank = np.dtype(_IDX_DTYPES[content[2]]), content[3]
    start = 4 + 4 * rank
    shape = [int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4)]
    size = math.prod(shape)
    if not 0 < rank <= _MAX_RANK or not size or len(content) != start + size * dtype.itemsize:
        says = f"its header says {shape[:_MAX_RANK]}, and there are {len(content):,} bytes in all"
        raise DataError(f'"{path}" is empty, cut short or damaged: {says}')
    return np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))
