"""Traces of the same models under other seeds, as one."""

from __future__ import annotations

import numpy as np

from simlab.checks import shortened
from simlab.errors import SimlabError
from simlab.traces.trace import Trace

JOINED = ("seed", "sequences", "command")
"""What traces of one provenance may differ in: seeds are listed, sequences added up, commands left out."""

HOW = ("batch", "threads")
"""What changes no number: left out where it differs."""


def concatenate(traces: list) -> Trace:
    """As `Trace.concatenate` says."""
    if not traces or not all(isinstance(trace, Trace) for trace in traces):
        raise SimlabError("nothing to concatenate; expected a list of simlab.Trace, at least one")
    first = traces[0]
    for number, trace in enumerate(traces[1:], start=2):
        _check_alike(first, trace, f"trace {number}")
    numbers = _numbered(traces)
    columns = {
        name: np.concatenate([trace.column(name) for trace in traces])
        for name in first.names
        if name != "sequence"
    }
    return Trace(sequence=numbers, **columns, provenance=_joined(traces))


def _check_alike(first: Trace, other: Trace, called: str) -> None:
    if apart := set(first.names) ^ set(other.names):
        raise SimlabError(f"{called}: column {min(apart)} is not in all traces; expected the same columns")
    kept, others = ({**trace.provenance} for trace in (first, other))
    for key in sorted(kept.keys() | others.keys()):
        if key not in (*JOINED, *HOW) and kept.get(key) != others.get(key):
            values = " and ".join(shortened(one[key]) if key in one else "nothing" for one in (kept, others))
            raise SimlabError(
                f"{called}: its provenance differs in {key} ({values}); expected the same models and settings"
            )


def _joined(traces: list[Trace]) -> dict:
    """Their provenance with all seeds and sequences. SimlabError for a seed that comes twice."""
    joined = dict(traces[0].provenance)
    seeds = [seed for trace in traces for seed in _seeds(trace)]
    for number, seed in enumerate(seeds):
        if seed in seeds[:number]:
            raise SimlabError(
                f"two traces of seed {seed}: their sequences are the same and would count twice; "
                "record with another seed"
            )
    for key in HOW:
        if any(trace.provenance.get(key) != joined.get(key) for trace in traces):
            joined.pop(key, None)
    if any("seed" in trace.provenance for trace in traces):
        joined["seed"] = seeds
    if all(isinstance(trace.provenance.get("sequences"), int) for trace in traces):
        joined["sequences"] = sum(trace.provenance["sequences"] for trace in traces)
    else:
        joined.pop("sequences", None)
    joined.pop("command", None)
    return joined if len(traces) > 1 else dict(traces[0].provenance)


def _seeds(trace: Trace) -> list:
    seed = trace.provenance.get("seed", [])
    return seed if isinstance(seed, list) else [seed]


def _numbered(traces: list[Trace]) -> np.ndarray:
    """The numbers of all sequences by row, those of a trace shifted where they overlap with earlier ones."""
    taken, parts = traces[0].ids, [traces[0].column("sequence")]
    for trace in traces[1:]:
        overlap = np.isin(trace.ids, taken).any()
        shift = int(taken.max()) + 1 - int(trace.ids.min()) if overlap else 0
        taken = np.concatenate([taken, trace.ids + shift])
        parts.append(trace.column("sequence") + shift)
    return np.concatenate(parts)
