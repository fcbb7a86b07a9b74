"""The truth test: what a trace predicts of a decoder against that decoder run with the same models.

Both sides are estimates from independent texts: the trace's from the texts of its seed, exact given each of
them; the run's from its own, counted. Verdicts are on the difference of the two means.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from simlab.decoders import BatchSpeculative, BiasedSpeculative, Decoder, Speculative
from simlab.errors import SimlabError
from simlab.evidence import Judging, Verdict, pmf_verdict, two_sample_verdict
from simlab.models.own_texts import own_text_verdicts
from simlab.models.run_names import run_name
from simlab.models.runs import Run

COMPARED = ("target", "target_digest", "draft", "draft_digest", "processing", "prompts_digest")
"""What trace and run must agree in."""

GRID = 4
"""Cells each way of the first two tokens' ranks."""


def decoder_of(run: str) -> Decoder:
    """The decoder that a run's name stands for (`simlab.models.run_names`)."""
    name = run_name(run)
    if name.kind == "biased":
        return BiasedSpeculative(name.number, name.replacement)
    if name.has_windows:
        return Speculative(window=int(name.number), bonus=True)
    return BatchSpeculative(name.drafts) if name.kind == "batch" else Speculative()


def cut(trace, tokens: int):
    """The first `tokens` tokens of every sequence, as a trace: the same texts with a shorter horizon."""
    from simlab.traces import Trace

    rows = np.concatenate([np.arange(length) for length in trace.lengths]) < tokens
    columns = {name: values[rows] for name, values in trace.columns.items()}
    return Trace(**columns, provenance={**trace.provenance, "tokens": tokens})


def truth_verdicts(trace, run: Run, judging: Judging | None = None, resolution: float = 0.1) -> list[Verdict]:
    """What the trace says of the decoder that was run, each number a verdict.

    On rejections and target calls of a text; on how often each position of the window is accepted; on the
    same given the texts that the run wrote, which is sharper (`simlab.models.own_texts`); and on whether
    emitted tokens follow the target: their rank masses (`simlab.models.draws.rank_mass`) are uniform if they
    do, of all tokens and jointly of the first two.
    judging: the two error probabilities, of each verdict. resolution: a difference that a PASS could have
    seen, as a part of the tokens of a text (for means) and as a probability (for cells). The trace is cut to
    the run's number of tokens. Raises SimlabError where models, processing or prompts differ, for a run with
    more tokens than the trace has, and for a biased decoder, whose texts do not follow the target.
    """
    from simlab.traces import predict_trace

    _check_alike(trace, run)
    errors = (judging or Judging()).errors
    horizon = run.provenance["tokens"]
    prediction = predict_trace(cut(trace, horizon), decoder_of(run.name))
    told = prediction.per_sequence
    compared = [
        ("E[target calls]", told["calls"], run.target_calls),
        ("E[rejections]", told["rejections"], run.rejections),
    ]
    if run_name(run.name).has_windows:
        accepted = accepted_by_sequence(prediction)
        compared += [
            (f"E[accepted at position {position + 1}]", accepted[:, position], counted)
            for position, counted in enumerate(run.accepted_by_position.T[: accepted.shape[1]])
        ]
    verdicts = [
        two_sample_verdict(
            f"{run.name}: {name}",
            values,
            counted,
            most=float(horizon),
            resolution=resolution * horizon,
            allowance=0.0
            if name == "E[target calls]"
            else _unforeseen(run, horizon, errors["false_alarm"] / 2),
            false_alarm=errors["false_alarm"] / 2,
            miss=errors["miss"] / 2,
        )
        for name, values, counted in compared
    ]
    return [*verdicts, *own_text_verdicts(run, judging, resolution), *_ranks(run, resolution, errors)]


def _unforeseen(run: Run, horizon: int, error: float) -> float:
    """How far a count of a decoder with windows may be from the trace's for the ends of texts alone.

    A trace knows where its texts end; a decoder drafts the end token like any other, where the trace's
    prediction has it as the bonus token: at most one rejection or acceptance more, in a text that ended
    early. Their probability is at most the share seen and Hoeffding's half-width at `error`. Decoders that
    draft to the horizon draft every token either way.
    """
    if not run_name(run.name).has_windows:
        return 0.0
    share = float((run.tokens < horizon).mean())
    return min(1.0, share + math.sqrt(math.log(1 / error) / (2 * len(run.tokens)))) if share else 0.0


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
    if run_name(run.name).kind == "biased":
        raise SimlabError(f"{run.name} is biased: its texts do not follow the target, as those of a trace do")
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
