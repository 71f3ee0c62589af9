"""The one table of diagnostic codes.

===== ==================================================
01xx  syntax
02xx  dims and types
03xx  names and resolution
04xx  elaboration: values, calls, ``require``, bounds
05xx  recipes, data, meshes and other records
06xx  weights and generation
07xx  files and environment
09xx  faults of the compiler itself
===== ==================================================

A code is one entry here and one page in ``pages/``; once released, its number keeps its meaning.
"""

from __future__ import annotations

from dataclasses import dataclass

from .diagnostic import Severity


@dataclass(frozen=True)
class Code:
    """A kind of diagnostic: its number, what it says in one line, and how severe it is."""

    code: str
    title: str
    severity: Severity = "error"


_TABLE = (
    Code("TRX0101", "something stands where it cannot"),
    Code("TRX0102", "a bracket or block is never closed"),
    Code("TRX0103", "a closing bracket closes nothing"),
    Code("TRX0104", "a character has no place in a program"),
    Code("TRX0105", "a string is never closed"),
    Code("TRX0106", "a string has an escape that means nothing"),
    Code("TRX0107", "a number is too large to be read"),
    Code("TRX0108", "comparisons do not chain"),
    Code("TRX0109", "something is written otherwise in this language"),
    Code("TRX0110", "an `=` is missing, or something else is in its place"),
    Code("TRX0111", "brackets and blocks are nested too deep"),
    Code("TRX0112", "an expression is too long"),
    Code("TRX0113", "a file is too long"),
    Code("TRX0114", "a value alone is not a statement"),
    Code("TRX0115", "a parameter stands after the one that takes the rest"),
    Code("TRX0116", "there are too many errors to read on"),
    Code("TRX0202", "this is not a size"),
    Code("TRX0203", "a `...` stands where it cannot"),
    Code("TRX0204", "two sizes that must be equal differ"),
    Code("TRX0205", "the number of dims is wrong"),
    Code("TRX0206", "the dtype is wrong"),
    Code("TRX0207", "a pattern of `einsum` or `rearrange` does not fit"),
    Code("TRX0208", "a tensor has no such dim"),
    Code("TRX0209", "an index or slice reaches past the end of a dim"),
    Code("TRX0210", "a size is not a multiple of another"),
    Code("TRX0211", "a `reshape` changes the number of elements"),
    Code("TRX0212", "arithmetic has no value"),
    Code("TRX0213", "dims of one size but two names are lined up", "warning"),
    Code("TRX0214", "one dim's name stands for several sizes", "warning"),
    Code("TRX0301", "a name is not known here"),
    Code("TRX0302", "a name is defined twice"),
    Code("TRX0303", "a library, or a name in it, does not exist"),
    Code("TRX0304", "a name means something else already"),
    Code("TRX0305", "a file that is used cannot be read"),
    Code("TRX0306", "files use each other in a circle"),
    Code("TRX0307", "a binding is never used", "warning"),
    Code("TRX0308", "a parameter is never used", "warning"),
    Code("TRX0401", "layers are nested too deep"),
    Code("TRX0402", "the program expands too far"),
    Code("TRX0403", "a value of this kind has no meaning here"),
    Code("TRX0404", "a name is defined by itself"),
    Code("TRX0405", "an argument is outside the range that it may have"),
    Code("TRX0406", "a condition is not known at compile time"),
    Code("TRX0407", "a size must be known here"),
    Code("TRX0408", "something is used before it is there"),
    Code("TRX0409", "there is no such argument"),
    Code("TRX0410", "there are too many arguments"),
    Code("TRX0411", "something is given twice"),
    Code("TRX0412", "an argument is missing"),
    Code("TRX0413", "a layer is applied to too few or too many values"),
    Code("TRX0414", "a layer has no output, or a model no input"),
    Code("TRX0415", "a carry is not carried"),
    Code("TRX0416", "two weights have one name"),
    Code("TRX0417", "names and values differ in number"),
    Code("TRX0420", "a requirement does not hold"),
    Code("TRX0421", "a branch is never taken", "warning"),
    Code("TRX0501", "a record has no such field"),
    Code("TRX0502", "a field is given twice"),
    Code("TRX0503", "a field is missing"),
    Code("TRX0504", "a record names something that is not there"),
    Code("TRX0505", "a field is of the wrong kind"),
    Code("TRX0506", "a field is out of range"),
    Code("TRX0507", "the data lack a field"),
    Code("TRX0508", "a field does not fit the model"),
    Code("TRX0509", "a loss or metric is not one number"),
    Code("TRX0510", "a mesh has no such axis"),
    Code("TRX0511", "a setting names nothing"),
    Code("TRX0512", "a model has no such input or output"),
    Code("TRX0513", "a mesh places a dim that nothing has"),
    Code("TRX0514", "a dim cannot be split evenly", "warning"),
    Code("TRX0515", "a training step may need more memory than there is", "warning"),
    Code("TRX0516", "a weight map is for a model that is not here", "warning"),
    Code("TRX0517", "an output hides a field of the data", "warning"),
    Code("TRX0518", "two fields do not go together", "warning"),
    Code("TRX0519", "an optimizer would walk up"),
    Code("TRX0601", "a model that is generated from looks ahead"),
    Code("TRX0701", "no program can be written for this"),
    Code("TRX0702", "the program calls Python code of its author"),
    Code("TRX0703", "a file cannot be read"),
    Code("TRX0704", "a file is not UTF-8 text"),
    Code("TRX0707", "a value of the graph is not known by its name"),
)

CODES: dict[str, Code] = {entry.code: entry for entry in _TABLE}
"""Every code, by its number."""
