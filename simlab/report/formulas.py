"""What matplotlib does again and again with the texts of a figure, once: typesetting, fonts, titles."""

from __future__ import annotations

import functools
from contextlib import contextmanager


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


def plain_numbers(figure) -> None:
    """Let ticks whose numbers need no power of ten be text, which takes a fraction of a formula's time."""
    from matplotlib.ticker import ScalarFormatter

    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            formatter = axis.get_major_formatter()
            if isinstance(formatter, ScalarFormatter) and not _offset(axis):
                formatter.set_useMathText(False)


def titles_stay(figure) -> None:
    """Leave titles on top of their axes where nothing else is: matplotlib looks for that at every draw, which
    was a fifth of its time.
    """
    for axes in figure.axes:
        below = axes.xaxis.get_ticks_position() in ("bottom", "default")
        below = below and axes.xaxis.get_label_position() == "bottom"
        if below and not axes.child_axes and not _offset(axes.yaxis):
            axes._autotitlepos = False


@contextmanager
def fonts_found_once():
    """Within, each font is looked for once, and not whenever a text is measured."""
    from matplotlib.font_manager import fontManager

    own = getattr(fontManager, "_find_fonts_by_props", None)
    if own is None:
        yield
        return
    fontManager._find_fonts_by_props = functools.lru_cache(256)(own)
    try:
        yield
    finally:
        del fontManager._find_fonts_by_props


def _offset(axis) -> str:
    """The power of ten that the numbers at an axis's ticks leave out; "" for none."""
    formatter = axis.get_major_formatter()
    formatter.format_ticks(axis.get_majorticklocs())
    return formatter.get_offset()
