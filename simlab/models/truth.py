"""The truth test: what a trace predicts of a decoder against that decoder run with the same models.

Both sides are estimates from independent texts: the trace's from the texts of its seed, exact given each of
them; the run's from its own, counted. Verdicts are on the difference of the two means.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from simlab.decoders import BatchSpeculative, Decoder, Speculative
from simlab.errors import SimlabError
from simlab.evidence import Judging, Verdict, pmf_verdict, two_sample_verdict
from simlab.models.runs import Run

COMPARED = ("target", "target_digest", "draft", "draft_digest", "processing", "prompts_digest")
"""What trace and run must agree in."""

GRID = 4
"""Cells each way of the first two tokens' ranks."""


def decoder_of(run: str) -> Decoder:
    """The decoder that a run's name stands for: horizon, windowK, batchM or assistedK."""
    kind, number = run.rstrip("0123456789"), run.lstrip("abcdefghijklmnopqrstuvwxyz")
    if kind == "horizon":
        return Speculative()
    return BatchSpeculative(int(number)) if kind == "batch" else Speculative(window=int(number), bonus=True)


def cut(trace, tokens: int):
    """The first `tokens` tokens of every sequence, as a trace: the same texts with a shorter horizon."""
    from simlab.traces import Trace

    rows = np.concatenate([np.arange(length) for length in trace.lengths]) < tokens
    columns = {name: values[rows] for name, values in trace.columns.items()}
    return Trace(**columns, provenance={**trace.provenance, "tokens": tokens})


def truth_verdicts(trace, run: Run, judging: Judging | None = None, resolution: float = 0.1) -> list[Verdict]:
    """What the trace says of the decoder that was run, each number a verdict.

    On rejections and target calls of a text; on how often each position of the window is accepted; and on
    whether emitted tokens follow the target: their rank masses (`simlab.models.draws.rank_mass`) are uniform
    if they do, of all tokens and jointly of the first two.
    judging: the two error probabilities, of each verdict. resolution: a difference that a PASS could have
    seen, as a part of the tokens of a text (for means) and as a probability (for cells). The trace is cut to
    the run's number of tokens. Raises SimlabError where models, processing or prompts differ, for a run with
    more tokens than the trace has, or if both have one seed and purpose.
    """
    from simlab.traces import predict

    _check_alike(trace, run)
    errors = (judging or Judging()).errors
    horizon = run.provenance["tokens"]
    prediction = predict(cut(trace, horizon), decoder_of(run.name))
    told, most = prediction.per_sequence, float(horizon)
    verdicts = [
        two_sample_verdict(
            f"{run.name}: {name}", told[key], counted, most=most, resolution=resolution * most, **errors
        )
        for name, key, counted in (
            ("E[rejections]", "rejections", run.rejections),
            ("E[target calls]", "calls", run.target_calls),
            ("E[accepted tokens]", "accepted", run.accepted_by_position.sum(axis=1)),
        )
    ]
    if run.name.startswith(("window", "assisted")):
        verdicts += _positions(prediction, run, most, resolution, errors)
    return verdicts + _ranks(run, resolution, errors)


def _positions(prediction, run: Run, most: float, resolution: float, errors: dict) -> list[Verdict]:
    """Accepted tokens at each position of the window, calls of a text; the errors are shared by all."""
    window = run.accepted_by_position.shape[1]
    shared = {name: error / window for name, error in errors.items()}
    accepted = accepted_by_sequence(prediction)
    return [
        two_sample_verdict(
            f"{run.name}: E[accepted at position {position + 1}]",
            accepted[:, position] if position < accepted.shape[1] else np.zeros(len(accepted)),
            run.accepted_by_position[:, position],
            most=most,
            resolution=resolution * most,
            **shared,
        )
        for position in range(window)
    ]


def accepted_by_sequence(prediction) -> np.ndarray:
    """(sequences, K): expected accepted tokens of each text by position in the window."""
    from simlab.theory.paths import path_means

    n = prediction.sequences
    return path_means(*prediction.paths[:4], np.ones(n), groups=np.arange(n)).accepted_by_position


def _ranks(run: Run, resolution: float, errors: dict) -> list[Verdict]:
    """Texts that ended early are filled up with uniform numbers: how many tokens came then tells nothing."""
    rng = np.random.default_rng(0)
    cells, horizon = run.rank_cells.sum(axis=0), run.provenance["tokens"]
    uniform = np.full(len(cells), 1 / len(cells))
    missing = len(run.tokens) * horizon - int(run.tokens.sum())
    first = np.where(np.isnan(run.first_ranks), rng.random(run.first_ranks.shape), run.first_ranks)
    place = (first * GRID).astype(int).clip(0, GRID - 1)
    joint = np.bincount(place @ [GRID, 1], minlength=GRID**2)
    return [
        pmf_verdict(
            f"{run.name}: {claim}",
            counts,
            np.full(len(counts), 1 / len(counts)),
            resolution=resolution,
            **errors,
        )
        for claim, counts in (
            ("every token follows the target", cells + rng.multinomial(missing, uniform)),
            ("the first two tokens follow the target", joint),
        )
    ]


def _check_alike(trace, run: Run) -> None:
    for name in COMPARED:
        ours, theirs = trace.provenance.get(name), run.provenance.get(name)
        if ours != theirs:
            raise SimlabError(f"{name} of the trace is {ours}, of the run {theirs}: expected the same")
    if run.provenance["tokens"] > trace.provenance["tokens"]:
        raise SimlabError(
            f"the run has tokens = {run.provenance['tokens']}, more than the trace's "
            f"{trace.provenance['tokens']}; run fewer"
        )


def with_errors(judging: Judging, verdicts: int) -> Judging:
    """The same levels for all of so many verdicts together (Bonferroni)."""
    return dataclasses.replace(
        judging, false_alarm=judging.false_alarm / verdicts, miss=judging.miss / verdicts
    )
