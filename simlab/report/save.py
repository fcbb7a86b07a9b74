"""Figures on disk: the picture as PNG, SVG and if asked for PDF, its numbers beside it, the same bytes
every time."""

from __future__ import annotations

import csv
import errno
import io
import os
import secrets
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from simlab.errors import SimlabError
from simlab.report.formulas import fonts_found_once, plain_numbers, titles_stay, typeset_once
from simlab.report.measures import measured_once
from simlab.report.style import style

if TYPE_CHECKING:
    import pandas


FORMATS = ("png", "svg")
"""Of every figure: the page shows the SVG."""
FURTHER = ("pdf",)
"""Formats that are written where they are asked for."""


def save_figure(
    figure,
    folder: str | os.PathLike,
    name: str,
    table: pandas.DataFrame | list[dict],
    metadata: dict[str, str],
    further: Collection[str] = (),
) -> list[Path]:
    """Write `name`.png (200 dpi), `name`.svg and `name`.csv into `folder`; returns the paths.

    further: formats besides, of `FURTHER`; they come last. A PDF has its text as text, in embedded TrueType
    fonts (Type 42, as journals ask for).
    table: the numbers drawn, one row a point, as pandas has them or as plain rows, which are written without
    the time that pandas takes to load; floats are written so that they read back exactly. metadata:
    seed, sample size, task ids and the like, kept in the PNG's text chunks, the SVG's description and the
    PDF's subject. The bytes depend on the arguments and the versions of matplotlib and pandas only: no dates,
    no random ids. Each file appears whole or not at all. The folder is made if need be. Raises SimlabError
    where a file cannot be written.
    """
    folder = Path(folder)
    pictures = _pictures(figure, name, metadata, further)
    contents = {folder / f"{name}.{kind}": pictures.pop(kind) for kind in FORMATS}
    contents[folder / f"{name}.csv"] = to_csv(table)
    contents |= {folder / f"{name}.{kind}": picture for kind, picture in pictures.items()}
    for path, content in contents.items():
        write_whole(path, content)
    return list(contents)


def to_csv(table: pandas.DataFrame | list[dict]) -> bytes:
    """The table as CSV, floats so that they read back exactly.

    Text that a spreadsheet would run as a formula, for it begins with = + @ - or a tab, gets an apostrophe in
    front, as spreadsheets have for text; numbers stay as they are.
    """
    return _csv(table).encode()


def _csv(table: pandas.DataFrame | list[dict]) -> str:
    """The table as text; a cell that a row does not have, or that is nan, is empty."""
    if not isinstance(table, list):
        import pandas

        told = table.rename(columns=_harmless)
        for index, kind in enumerate(table.dtypes):
            if kind.kind not in "biufc":
                cells = [_harmless(cell) for cell in table.iloc[:, index]]
                told.isetitem(index, pandas.Series(cells, table.index, dtype=object))  # 2 stays 2, not 2.0
        return told.to_csv(index=False, lineterminator="\n")
    written = io.StringIO()
    columns = {name: _harmless(name) for row in table for name in row}
    writer = csv.DictWriter(written, columns, lineterminator="\n")
    writer.writerow(columns)
    empty = {column: "" for column in columns}
    writer.writerows(
        empty | {name: _harmless(value) for name, value in row.items() if value == value} for row in table
    )
    return written.getvalue()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under another name, then rename it: a reader sees the old one or the new one, whole.

    Makes the folder if need be. Raises SimlabError, with what to do, where the system refuses.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
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


def _harmless(cell):
    if not isinstance(cell, str) or not cell.startswith(("=", "+", "@", "-", "\t", "\r")):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell


def _pictures(figure, name: str, metadata: dict[str, str], further: Collection[str]) -> dict[str, bytes]:
    """The figure in each format.

    Placing everything takes longer than drawing it, and `Figure.savefig` draws twice more only to place: here
    all is placed once, and each canvas draws once.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    typeset_once()
    svg, pdf = io.StringIO(), io.BytesIO()
    told = "\n".join(f"{key}: {value}" for key, value in metadata.items())
    # In the style too: the salt of the ids and the resolution are looked up when drawing.
    with style(), fonts_found_once(), measured_once(figure):
        plain_numbers(figure)
        titles_stay(figure)
        _place(figure)
        figure.dpi = matplotlib.rcParams["savefig.dpi"]
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        png = _png(canvas, {"Title": name, **metadata, "Software": "simlab"})
        origin = {"Title": name, "Description": told, "Creator": "simlab", "Date": None}
        FigureCanvasSVG(figure).print_svg(svg, metadata=origin)
        if "pdf" in further:
            from matplotlib.backends.backend_pdf import FigureCanvasPdf

            origin = {"Title": name, "Subject": told, "Creator": "simlab", "CreationDate": None}
            FigureCanvasPdf(figure).print_pdf(pdf, metadata=origin)
    pictures = {"png": png, "svg": svg.getvalue().encode()}
    return pictures | ({"pdf": pdf.getvalue()} if "pdf" in further else {})


def _png(canvas, texts: dict[str, str]) -> bytes:
    """The picture that the canvas has drawn, and texts by keyword."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    for keyword, text in texts.items():
        info.add_text(keyword, text)
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]  # on white paper, so that nothing shines through
    png, dpi = io.BytesIO(), canvas.figure.dpi
    Image.fromarray(pixels).save(png, format="PNG", dpi=(dpi, dpi), pnginfo=info, compress_level=3)
    return png.getvalue()


def _place(figure) -> None:
    """Let the layout engine place everything, for good.

    The engine's solver goes by addresses in memory, so that its last digits differ now and then; the id of a
    clip path in the SVG is made of all of them. Rounded, the same figure has the same bytes.
    """
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    figure.set_layout_engine("none")
    for axes in figure.axes:
        for which in ("original", "active"):
            bounds = axes.get_position(original=which == "original").bounds
            axes.set_position([round(bound, 9) for bound in bounds], which=which)
