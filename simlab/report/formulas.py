"""Formulas in figures, such as 10^-3 at a tick: each is typeset once a process."""

from __future__ import annotations

import functools


@functools.cache
def typeset_once() -> None:
    """Let matplotlib's renderers share the formulas that one of them has typeset.

    Each renderer has a parser with a memory of its own, of 50 formulas, and a figure has three renderers: for
    the layout, the PNG and the SVG. Typesetting the same ticks again was a third of the time of all figures.
    What is drawn does not change. Where matplotlib has no such memory nothing is done.
    """
    from matplotlib.mathtext import MathTextParser

    own = getattr(MathTextParser, "_parse_cached", None)
    if not hasattr(own, "__wrapped__"):
        return
    typeset, parsers = functools.lru_cache(4096)(own.__wrapped__), {}

    def shared(parser, *formula):
        return typeset(parsers.setdefault(parser._output_type, parser), *formula)

    MathTextParser._parse_cached = shared
