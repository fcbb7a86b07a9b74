"""The names of decoders that are run with real models, and what they stand for."""

from __future__ import annotations

import re
from typing import NamedTuple

from simlab.checks import shortened
from simlab.errors import SimlabError

_NAME = re.compile(
    r"(?P<kind>horizon|window|batch|assisted|biased)(?P<number>\d{1,4}(?:\.\d{1,6})?)?"
    r"(?:-(?P<replacement>optimal|target|draft|residual))?"
)


class RunName(NamedTuple):
    """kind: horizon, window, batch, assisted or biased. number: K, M or epsilon; None of the horizon.

    replacement: of `biased` alone, what a rejected token is replaced by.
    """

    kind: str
    number: float | None
    replacement: str | None

    @property
    def has_windows(self) -> bool:
        """Whether calls draft a window and have the bonus token."""
        return self.kind in ("window", "assisted")

    @property
    def positions(self) -> int:
        """How many positions a window has; 1 for those that draft to the horizon."""
        return int(self.number) if self.has_windows else 1

    @property
    def drafts(self) -> int:
        """How many drafts start a call."""
        return int(self.number) if self.kind == "batch" else 1


def run_name(name: str) -> RunName:
    """What a run is called, taken apart: horizon, window4, batch2, assisted4, biased0.1-optimal.

    windowK, assistedK: K >= 1 drafted tokens and the bonus token. batchM: M >= 2 drafts. biasedE-R:
    over-acceptance by E >= 0, rejected tokens replaced by R = optimal, target, draft or residual. Raises
    SimlabError for other names.
    """
    found = _NAME.fullmatch(name) if isinstance(name, str) else None
    kind, number, replacement = found.group("kind", "number", "replacement") if found else (None,) * 3
    whole = number is not None and number.isdigit() and int(number) >= 1
    fits = {
        "horizon": number is None,
        "biased": number is not None,
        None: False,
    }.get(kind, whole) and (replacement is not None) == (kind == "biased")
    if not fits:
        raise SimlabError(
            f"run = {shortened(name)} is not a decoder that is run; expected horizon, windowK, "
            "batchM, assistedK or biasedE-optimal, e.g. window4"
        )
    if name == "batch1":
        raise SimlabError("run = batch1: give batchM with M >= 2; one draft is run=horizon")
    return RunName(kind, None if number is None else float(number), replacement)
