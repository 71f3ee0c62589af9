"""The language server: a core that knows documents, positions and answers, and a server that speaks the protocol.

    text ──read──▶ Reading (tree, names) ──┐
      │                                    ├──▶ answers: hover, hints, completion, …
      └────analyse──▶ Analysis (Index) ────┘

Nothing but :mod:`.server` and :mod:`.wire` imports pygls or lsprotocol. A :class:`~.reading.Reading` is made anew for
each version of a text and always fits it. An :class:`~.analysis.Analysis` is of some version that could be elaborated,
and older where the text is broken now: its facts are found through the edits since then.
"""
