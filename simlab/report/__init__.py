"""SHOWS: figures from what the evidence hands over. It draws; it neither samples nor judges."""

from simlab.report.draw import (
    draw_curve,
    draw_family,
    draw_pmf,
    draw_residuals,
    draw_running_average,
    shared_legend,
    whole_number_ticks,
)
from simlab.report.matches import draw_matches
from simlab.report.save import save_figure, write_whole
from simlab.report.style import new_figure, residual_axes, style

__all__ = [
    "draw_curve",
    "draw_family",
    "draw_matches",
    "draw_pmf",
    "draw_residuals",
    "draw_running_average",
    "new_figure",
    "residual_axes",
    "save_figure",
    "shared_legend",
    "style",
    "whole_number_ticks",
    "write_whole",
]
