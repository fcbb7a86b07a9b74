"""Positions on the page that a link can name, and keep naming when other experiments come or go."""

from __future__ import annotations

import re

_OF_THE_PAGE = ("top", "figures", "summary", "glossary", "verdicts", "checks", "alarm", "missing")


def anchor(name: str, taken: set[str], within: str = "") -> str:
    """An id made of `name`: its words with "-" between, after the id of what it lies within and "--", and
    numbered where that is taken. No word has "--": the parts of two positions never meet. Added to `taken`.
    """
    wanted = re.sub(r"[^0-9a-z_]+", "-", name.lower()).strip("-_") or "x"
    if within:
        wanted = f"{within}--{wanted}"
    found, count = wanted, 1
    while found in taken or found in _OF_THE_PAGE:
        count += 1
        found = f"{wanted}-{count}"
    taken.add(found)
    return found
