"""Figures are measured and built in fewer steps than matplotlib takes, and come out the same."""

from contextlib import nullcontext

import numpy as np
import pytest

from simlab.report import new_figure, residual_axes, save, save_figure, style

pytestmark = pytest.mark.figures


def pictures(folder):
    """PNG and SVG of panels of all kinds: logarithmic, shared, turned labels, formulas, a colour bar."""
    with style():
        figure = new_figure(6, 4)
        grid = figure.add_gridspec(1, 3)
        upper, lower = residual_axes(figure, grid[0])
        upper.plot([1e-7, 3e-7], [1, 900], label="$\\sqrt{n}$")
        upper.set_yscale("log")
        lower.set_xlabel("two\nlines")
        turned = figure.add_subplot(grid[1])
        turned.plot([1e5, 2e5], [0, 1], label="another")
        turned.set_xticks([1e5, 2e5], ["first, long", "second"], rotation=60, ha="right")
        turned.minorticks_on()
        turned.annotate("here", (1e5, 0), xytext=(1.5e5, 0.5), arrowprops={"arrowstyle": "-"})
        mesh = figure.add_subplot(grid[2]).pcolormesh(np.arange(6).reshape(2, 3))
        figure.colorbar(mesh, ax=figure.axes[-1])
        figure.legend(loc="outside lower center")
        return [path.read_bytes() for path in save_figure(figure, folder, "x", [{"n": 1}], {})[:2]]


def test_what_is_found_once_is_what_matplotlib_finds_each_time(tmp_path, monkeypatch):
    once = pictures(tmp_path / "once")
    monkeypatch.setattr(save, "measured_once", lambda figure: nullcontext())
    assert once == pictures(tmp_path / "each time")
