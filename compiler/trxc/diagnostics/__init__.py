"""What the compiler says to its users, as data, and how it is shown.

:mod:`.diagnostic` is the data, :mod:`.codes` the table of codes with a page for each in ``pages/``
(:mod:`.explain`); :mod:`.terminal`, :mod:`.json_format` and :mod:`.sarif` are the renderers.
"""

from .diagnostic import Diagnostic, Diagnostics, Edit, Label

__all__ = ["Diagnostic", "Diagnostics", "Edit", "Label"]
