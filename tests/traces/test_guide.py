"""The guide names every column that a trace may have."""

from __future__ import annotations

from pathlib import Path

import simlab.traces
from simlab.traces import KNOWN


def test_every_column_stands_in_the_guide():
    guide = (Path(simlab.traces.__file__).parent / "README.md").read_text()
    assert [name for name in KNOWN if f"`{name}`" not in guide] == []
