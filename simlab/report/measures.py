"""What matplotlib finds anew whenever a figure is measured or drawn, found once for as long as nothing moved.

A figure is measured twice by the layout, then drawn as PNG and as SVG. Each time every axis is asked some
four times for its ticks and for the boxes of their labels, and every text is laid out each time that its box
is asked for. What is drawn does not change. Where matplotlib has no such methods nothing is done.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

MOST_TEXTS = 4096
"""Layouts that are kept, from one figure to the next: most ticks say what others say."""

_LAID_OUT: dict[tuple, tuple] = {}


@contextmanager
def measured_once(figure) -> Iterator[None]:
    """Within, ticks are found once while the axes keep their position and limits, the boxes of their labels
    once a renderer. Equal texts are laid out once a kind of renderer, and an axis's ticks are copies of its
    first.
    """
    with ExitStack() as stack:
        stack.enter_context(_texts_laid_out_once())
        for axes in figure.axes:
            for axis in (axes.xaxis, axes.yaxis):
                stack.enter_context(_ticks_found_once(figure, axes, axis))
                stack.enter_context(_ticks_copied(axis))
        yield


@contextmanager
def _ticks_found_once(figure, axes, axis) -> Iterator[None]:
    update, boxes = (getattr(axis, name, None) for name in ("_update_ticks", "_get_ticklabel_bboxes"))
    if update is None or boxes is None:
        yield
        return
    found, measured = [None, []], [None, ()]

    def where() -> tuple:
        return (*axes.get_position().bounds, *axes.viewLim.bounds, *figure.get_size_inches())

    def ticks() -> list:
        state = where()
        if state != found[0]:
            found[:] = state, update()
        return found[1]

    def label_boxes(drawn: list, renderer) -> tuple:
        if drawn is not found[1]:
            return boxes(drawn, renderer)
        state = (*where(), figure.dpi, renderer)
        if state != measured[0]:
            measured[:] = state, boxes(drawn, renderer)
        return measured[1]

    axis._update_ticks, axis._get_ticklabel_bboxes = ticks, label_boxes
    try:
        yield
    finally:
        del axis._update_ticks, axis._get_ticklabel_bboxes


@contextmanager
def _ticks_copied(axis) -> Iterator[None]:
    """Within, further ticks are copies of the first. Matplotlib builds each from the settings, three lines
    and two texts, and then gives it what the first one has: a sixth of the time of all figures.
    """
    make, give = (getattr(axis, name, None) for name in ("_get_tick", "_copy_tick_props"))
    if make is None or give is None:
        yield
        return

    def tick(major: bool):
        there = axis.majorTicks if major else axis.minorTicks
        if not there:
            return make(major)
        like = copy.copy(there[0])
        for part in ("tick1line", "tick2line", "gridline", "label1", "label2"):
            setattr(like, part, copy.copy(getattr(like, part)))
        return like

    axis._get_tick, axis._copy_tick_props = tick, lambda first, other: None
    try:
        yield
    finally:
        del axis._get_tick, axis._copy_tick_props


@contextmanager
def _texts_laid_out_once() -> Iterator[None]:
    from matplotlib.text import Text

    own: Callable | None = getattr(Text, "_get_layout", None)
    if own is None:
        yield
        return

    def layout(text, renderer) -> tuple:
        if text.get_wrap():  # goes by where the text is
            return own(text, renderer)
        look = (
            text.get_text(), hash(text.get_fontproperties()), text.get_rotation(), text.get_rotation_mode(),
            text.get_horizontalalignment(), text.get_verticalalignment(), text._multialignment,
            text._linespacing, text.get_usetex(), text.get_parse_math(), text.figure.dpi,
            type(renderer), getattr(renderer, "dpi", None),
        )  # fmt: skip
        if look not in _LAID_OUT:
            if len(_LAID_OUT) >= MOST_TEXTS:
                _LAID_OUT.clear()
            _LAID_OUT[look] = own(text, renderer)
        return _LAID_OUT[look]

    Text._get_layout = layout
    try:
        yield
    finally:
        Text._get_layout = own
