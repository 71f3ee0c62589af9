"""The data side of a run: sources, tokenizers, transforms, splits and batches.

:func:`load` makes a :class:`Data` of a recipe; :meth:`Split.batch` is the batch of any step. A source or transform
is one class here and one declaration line in the standard library's ``data.trx``.
"""

from .batches import Batch, Split, Stream
from .columns import FieldType
from .errors import DataError
from .pipeline import Data, load, load_tokenizer, recipe_tokenizer
from .tokenizers import Tokenizer

__all__ = [
    "Batch",
    "Data",
    "DataError",
    "FieldType",
    "Split",
    "Stream",
    "Tokenizer",
    "load",
    "load_tokenizer",
    "recipe_tokenizer",
]
