"""Figures are measured and built in fewer steps than matplotlib takes, and come out the same."""

from contextlib import nullcontext

import numpy as np
import pytest
from PIL import Image

from simlab.report import new_figure, residual_axes, save, save_figure, style
from simlab.report.png import png_of

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


def test_a_png_has_the_pixels_the_size_and_the_texts(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    texts = {"Title": "a picture", "Command": "λ ≥ 1, " + "long " * 99}
    (tmp_path / "x.png").write_bytes(png_of(pixels, 200.0, texts))
    with Image.open(tmp_path / "x.png") as image:
        assert image.mode == "RGB" and image.text == texts
        assert image.info["dpi"] == pytest.approx((200, 200), abs=0.02)
        assert np.array_equal(np.asarray(image), pixels)
