"""What must hold of the numbers of a log, whether it does, and what it means where it does not."""

from __future__ import annotations

import dataclasses

from simlab.planning.logs.positions import Sums
from simlab.planning.logs.reading import Reading

FULL = 0.97
"""Where at least so many of N k tokens are drafted, drafts count as full: responses end, windows do not."""


def identities(reading: Reading, lines: Sums | None = None) -> Reading:
    """The reading with what was checked of it. lines: where its counts come from rounded rates."""
    checked = [_of_sum(reading, lines)]
    if lines is not None:
        checked.append(_of_length(lines))
    if reading.drafted is not None and reading.window:
        checked.append(_of_full_drafts(reading))
    return dataclasses.replace(reading, identities=(*reading.identities, *checked))


def is_ragged(reading: Reading) -> bool:
    """Whether the engine drafted less than its window by more than the ends of responses explain."""
    return reading.drafted is not None and reading.drafted < FULL * reading.calls * reading.window


def _of_sum(reading: Reading, lines: Sums | None) -> str:
    accepted, summed = reading.accepted, int(reading.by_position.sum())
    if lines is None:
        if accepted is None or accepted == summed:
            return f"A = sum of A_i holds: {summed}"
        return f"A = sum of A_i fails: {accepted} and {summed}: " + (
            "positions beyond those listed were drafted" if accepted > summed else "lines are missing or torn"
        )
    if not lines.broken_sums:
        return f"A = sum of A_i holds to rounding: {accepted}"
    low, high = int(reading.low.sum()), int(reading.high.sum())
    return (
        f"A = sum of A_i fails in {lines.broken_sums} of {lines.lines} lines: {accepted}, the rates say "
        f"{low} to {high}: rates that are conditional or of another era, or positions that are not listed"
    )


def _of_length(lines: Sums) -> str:
    if not lines.broken_lengths:
        return "length = 1 + sum of rates holds to rounding"
    return (
        f"length = 1 + sum of rates fails in {lines.broken_lengths} of {lines.lines} lines: no number of "
        "calls fits all they say, so that counts are rounded"
    )


def _of_full_drafts(reading: Reading) -> str:
    full = reading.calls * reading.window
    if reading.drafted == full:
        return f"D = N k holds: {full}"
    if reading.drafted > full:
        return f"D = N k fails: {reading.drafted} drafted, N k = {full}: draft trees, or lines are missing"
    few = "responses end within a draft" if not is_ragged(reading) else "the engine stops drafting early"
    return (
        f"D = N k fails: {reading.drafted} drafted, N k = {full}: ragged drafts ({few}), so that rates of "
        "all calls count what was not drafted as not accepted"
    )
