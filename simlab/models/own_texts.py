"""The truth test without the spread of texts: what a run counted, given the very texts that it wrote.

A run keeps its texts' acceptances min(1, draft / target). Given a text, theory has the whole distribution of
its rejections and calls (`simlab.theory.paths`), so what is judged is the algorithm alone: whether drafted
tokens are accepted as often as they should be. That the texts themselves follow the target is judged apart,
by the rank masses of their tokens.
"""

from __future__ import annotations

import numpy as np

from simlab.evidence import Judging, Verdict, known_flags_verdict, known_sums_verdict
from simlab.models.algorithms import ACCEPTED, UNDRAFTED
from simlab.models.run_names import RunName, run_name
from simlab.models.runs import PARTS, Run


def own_text_verdicts(run: Run, judging: Judging | None = None, resolution: float = 0.1) -> list[Verdict]:
    """What a run counted against the theory given its own texts, each number a verdict; [] for a file of
    before texts' acceptances were kept, and for a biased decoder.

    On target calls and rejections, whose sums over all texts have exactly known distributions, and on the
    acceptance of drafted tokens, at each position of a window. judging, resolution: as for `truth_verdicts`.
    """
    name = run_name(run.name)
    if run.acceptances is None or name.kind == "biased":
        return []
    errors, horizon = (judging or Judging()).errors, run.provenance["tokens"]
    rounding = horizon / (2 * PARTS)  # of the acceptances as they are kept
    given = dict(resolution=resolution * horizon, allowance=rounding, **errors)
    calls, rejections = (_pmfs(run, name, horizon, of_calls) for of_calls in (True, False))
    return [
        known_sums_verdict(f"{run.name}: target calls given the texts", run.target_calls, calls, **given),
        known_sums_verdict(f"{run.name}: rejections given the texts", run.rejections, rejections, **given),
        *(
            known_flags_verdict(
                f"{run.name}: acceptance{where} given the texts",
                *drafted,
                len(run.tokens),
                horizon // (position + 1),
                **given,
            )
            for position, drafted in enumerate(_by_position(run, name))
            for where in [f" at position {position + 1}" if name.has_windows else ""]
        ),
    ]


def _pmfs(run: Run, name: RunName, horizon: int, of_calls: bool) -> np.ndarray:
    """(n, T + 1): the distribution of the calls, or rejections, of each text given the text."""
    from simlab.theory.paths import count_pmf, run_rule

    found = np.zeros((len(run.tokens), horizon + 1))
    for row, tokens in enumerate(run.tokens):
        accept = np.nan_to_num(run.acceptances[row, :tokens], nan=1.0)  # the last, which no call drafts
        first = run.fresh_acceptances[row, :tokens] if name.kind == "batch" else accept
        offsets, window = np.array([0, tokens]), int(name.number) if name.has_windows else None
        rule = run_rule(offsets, window, name.has_windows, horizon)
        pmf = count_pmf(first, accept, rule, offsets, np.ones(1), of_calls=of_calls)
        found[row, : len(pmf)] = pmf / pmf.sum()
    return found


def _by_position(run: Run, name: RunName) -> list[tuple[np.ndarray, np.ndarray]]:
    """At each position of the window: whether the tokens verified there were accepted, and how probable.

    All positions are one for decoders that draft to the horizon; batch decoding verifies the first token of a
    call against all of its drafts.
    """
    found: list[list[tuple[int, float]]] = [[] for _ in range(name.positions)]
    for row, tokens in enumerate(run.tokens):
        position = 0
        for t, outcome in enumerate(run.outcomes[row, :tokens]):
            told = run.fresh_acceptances if name.kind == "batch" and not position else run.acceptances
            if outcome != UNDRAFTED:
                found[position % name.positions].append((int(outcome == ACCEPTED), told[row, t]))
            position = position + 1 if outcome == ACCEPTED else 0
    return [(np.array([flag for flag, _ in one]), np.array([a for _, a in one])) for one in found]
