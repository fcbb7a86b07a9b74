"""matplotlib's SVG files as parts of a page: no prolog, no metadata, no unused id, colours by name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from xml.etree import ElementTree

from simlab.errors import SimlabError

_DROPPED = ("metadata", "title", "style")  # the page says it, or says it for all figures at once
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}\b")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_DECIMALS = re.compile(r"(?<=\.\d\d)\d+")
_MEASURES = ("d", "x", "y", "points")


@dataclass(frozen=True)
class Drawing:
    """A figure as it stands in a page. markup: an <svg> element. width: in CSS pixels, at its own size.
    colours: those it draws with, "#rrggbb", each as `colour_name` calls it. view: the <svg>'s viewBox, and
    body: the id of the group that holds all it draws, for a second, smaller showing by <use>; "" for none.
    """

    markup: str
    width: int
    colours: frozenset[str]
    view: str
    body: str


def inline_svg(text: str, prefix: str, label: str) -> Drawing:
    """The SVG file `text` for a page: its ids start with `prefix`, the element with id `label` describes it.

    Lengths are kept to a hundredth of a point. Raises SimlabError if it is not an SVG.
    """
    root = parse_svg(text)
    colours: set[str] = set()
    _drop(root)
    body = next((child for child in root if _local(child.tag) == "g" and "id" in child.attrib), None)
    _drop_unused_ids(root, body)
    for element in root.iter():
        element.tag = _local(element.tag)
        element.tail = None
        if element.text and element.text.isspace():
            element.text = None
        if element.attrib:
            named = [(_local(name), value) for name, value in element.attrib.items()]
            element.attrib = {name: _attribute(name, value, prefix, colours) for name, value in named}
    width = _pixels(root.attrib.pop("width", None))
    root.attrib.pop("height", None)
    root.attrib.pop("version", None)
    root.attrib.update({"role": "img", "aria-labelledby": label})
    return Drawing(
        markup=ElementTree.tostring(root, encoding="unicode"),
        width=width,
        colours=frozenset(colours),
        view=root.attrib["viewBox"],
        body="" if body is None else body.attrib["id"],
    )


def parse_svg(text: str) -> ElementTree.Element:
    """The root of an SVG file. Raises SimlabError if it is not one."""
    try:
        # Comments do not survive this parser: matplotlib leaves one a text.
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise SimlabError(f"not a valid SVG: {error}") from error
    if _local(root.tag) != "svg" or "viewBox" not in root.attrib:
        raise SimlabError("not a valid SVG: there is no <svg> with a viewBox")
    return root


def colour_name(colour: str) -> str:
    """The name of a figure's colour among the page's: "--c0072b2" for "#0072b2"."""
    return "--c" + colour[1:].lower()


def _drop(element) -> None:
    for child in list(element):
        if _local(child.tag) in _DROPPED:
            element.remove(child)
        else:
            _drop(child)


def _drop_unused_ids(root, body) -> None:
    """Ids that nothing inside the figure refers to are a tenth of its bytes; the body's stays."""
    used = set()
    for element in root.iter():
        for name, value in element.attrib.items():
            if "#" in value:
                used.update([value[1:]] if _local(name) == "href" else _REFERENCE.findall(value))
    for element in root.iter():
        if element is not body and element.get("id") not in used:
            element.attrib.pop("id", None)


def _local(name: str) -> str:
    return name.rpartition("}")[2] if name[0] == "{" else name


def _attribute(name: str, value: str, prefix: str, colours: set[str]) -> str:
    if name == "id":
        return prefix + value
    if name == "href":
        return f"#{prefix}{value[1:]}" if value.startswith("#") else value
    if name in _MEASURES:
        return _DECIMALS.sub("", " ".join(value.split()))
    if "#" not in value:
        return value
    value = _REFERENCE.sub(rf"url(#{prefix}\1)", value)
    colours.update(found.lower() for found in _COLOUR.findall(value))
    return _COLOUR.sub(lambda found: f"var({colour_name(found[0])})", value)


def _pixels(width: str | None) -> int:
    """A width in points or pixels, as matplotlib writes it, in CSS pixels; 600 where there is none."""
    found = re.fullmatch(r"([\d.]+)(pt|px)?", width or "")
    if not found:
        return 600
    return round(float(found[1]) * (4 / 3 if found[2] == "pt" else 1))
