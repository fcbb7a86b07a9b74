"""Figures on disk: the picture twice, its numbers beside it, the same bytes every time."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

from simlab.errors import SimlabError
from simlab.report.formulas import typeset_once
from simlab.report.style import style

if TYPE_CHECKING:
    import pandas


def save_figure(
    figure, folder: str | os.PathLike, name: str, table: pandas.DataFrame, metadata: dict[str, str]
):
    """Write `name`.png (200 dpi), `name`.svg and `name`.csv into `folder`; returns the three paths.

    table: the numbers drawn, one row a point; floats are written so that they read back exactly. metadata:
    seed, sample size, task ids and the like, kept in the PNG's text chunks and the SVG's description. The
    bytes depend on the arguments and the versions of matplotlib and pandas only: no dates, no random ids.
    Each file appears whole or not at all. The folder is made if need be. Raises SimlabError where a file
    cannot be written.
    """
    folder = Path(folder)
    png, svg = _pictures(
        figure, {"Title": name, **metadata, "Software": "simlab"}, _dublin_core(name, metadata)
    )
    contents = {
        folder / f"{name}.png": png,
        folder / f"{name}.svg": svg,
        folder / f"{name}.csv": table.to_csv(index=False, lineterminator="\n").encode(),
    }
    for path, content in contents.items():
        write_whole(path, content)
    return list(contents)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under another name, then rename it: a reader sees the old one or the new one, whole.

    Makes the folder if need be. Raises SimlabError, with what to do, where the system refuses.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(part, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        mend = "make room on the disk" if full else "give a folder that can be written to"
        raise SimlabError(f"cannot write {path}: {error.strerror or error}; {mend}") from error


def _pictures(figure, png_metadata: dict, svg_metadata: dict) -> tuple[bytes, bytes]:
    """The figure as PNG and as SVG.

    Placing everything takes longer than drawing it, and `Figure.savefig` draws twice more only to place: here
    all is placed once, and each canvas draws once.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    typeset_once()
    png, svg = io.BytesIO(), io.BytesIO()
    with style():  # the salt of the SVG's ids and the resolution are looked up when drawing
        _place(figure)
        figure.dpi = matplotlib.rcParams["savefig.dpi"]
        FigureCanvasAgg(figure).print_png(png, metadata=png_metadata)
        FigureCanvasSVG(figure).print_svg(svg, metadata=svg_metadata)
    return png.getvalue(), svg.getvalue()


def _place(figure) -> None:
    """Let the layout engine place everything, for good."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    figure.set_layout_engine("none")


def _dublin_core(name: str, metadata: dict[str, str]) -> dict:
    """The SVG's metadata: it knows a fixed set of fields, of which the description takes ours."""
    description = "\n".join(f"{key}: {value}" for key, value in metadata.items())
    return {"Title": name, "Description": description, "Creator": "simlab", "Date": None}
