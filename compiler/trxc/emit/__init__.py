"""From the IR to an artifact: the text of `program.py`, the map of its lines, and `manifest.json`."""

from .errors import EmitError
from .manifest import build_manifest, manifest_bytes
from .program import Program, emit_program
from .recipe import Declared, EmitRecipe

__all__ = ["Declared", "EmitError", "EmitRecipe", "Program", "build_manifest", "emit_program", "manifest_bytes"]
