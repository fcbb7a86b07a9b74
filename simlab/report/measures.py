"""What matplotlib finds anew whenever a figure is measured or drawn, found once for as long as nothing moved.

A figure is measured twice by the layout, then drawn as PNG and as SVG. Each time every axis is asked some
four times for its ticks and for the boxes of their labels, and every text is laid out each time that its box
is asked for. What is drawn does not change. Where matplotlib has no such methods nothing is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager


@contextmanager
def measured_once(figure) -> Iterator[None]:
    """Within, ticks are found once while the axes keep their position and limits, the boxes of their labels
    once a renderer, and equal texts are laid out once a renderer.
    """
    with ExitStack() as stack:
        stack.enter_context(_texts_laid_out_once())
        for axes in figure.axes:
            for axis in (axes.xaxis, axes.yaxis):
                stack.enter_context(_ticks_found_once(axes, axis))
        yield


@contextmanager
def _ticks_found_once(axes, axis) -> Iterator[None]:
    update, boxes = (getattr(axis, name, None) for name in ("_update_ticks", "_get_ticklabel_bboxes"))
    if update is None or boxes is None:
        yield
        return
    figure = axes.get_figure(root=True)
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
def _texts_laid_out_once() -> Iterator[None]:
    from matplotlib.text import Text

    own: Callable | None = getattr(Text, "_get_layout", None)
    if own is None:
        yield
        return
    known: dict[tuple, tuple] = {}

    def layout(text, renderer) -> tuple:
        if text.get_wrap():  # goes by where the text is
            return own(text, renderer)
        look = (
            text.get_text(), hash(text.get_fontproperties()), text.get_rotation(), text.get_rotation_mode(),
            text.get_horizontalalignment(), text.get_verticalalignment(), text._multialignment,
            text._linespacing, text.get_usetex(), text.get_parse_math(), text.get_figure(root=True).dpi,
            renderer,
        )  # fmt: skip
        if look not in known:
            known[look] = own(text, renderer)
        return known[look]

    Text._get_layout = layout
    try:
        yield
    finally:
        Text._get_layout = own
