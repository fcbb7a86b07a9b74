"""Yin et al. 2024, Tables 1 and 2: WinRate of the optimal replacement against others, on chains.

Decoding-OPT is BiasedSpeculative with replacement `optimal`; its opponents are Decoding-UNO as the paper's
text has it (a rejected token is replaced by a draw from the target) and as the code of its appendix has it
(by one from the draft). A prompt is its last token, drawn from `initial`; to each prompt both decoders write
so many responses of T tokens, which are compared pair by pair. The judge is the target's own log-likelihood
of the response: the higher wins, a tie is half a win.

Two questions, two intervals. For the prompts that were drawn the matches are independent, and the exact
WinRate, averaged over the same prompts, is held against all of them: that is the verdict. For all prompts the
prompts' own scores are independent draws, and only so many: their interval is much wider, and stands in the
table beside the exact WinRate of all prompts.

The responses do not go through the ledger: what is judged is whole responses, the ledger keeps counts, and it
takes about a second to make them again. Their seeds are those of a task that names prompt and decoder, so
that they are the same in every run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simlab.checks import check_count
from simlab.decoders import BiasedSpeculative
from simlab.errors import SimlabError
from simlab.evidence import Interval, Verdict, mean_interval, share_interval, win_rate_verdict
from simlab.experiments.common.jobs import Planned, instance
from simlab.experiments.common.options import list_of
from simlab.experiments.common.outcome import Outcome, Presentation
from simlab.experiments.common.settings import Settings, only_point
from simlab.pairs import ChainPair
from simlab.report import draw_matches, new_figure, residual_axes, shared_legend, style
from simlab.runs import Result, Task
from simlab.theory import Bracket
from simlab.theory.bias.win_rate import TIE, win_rates_by_start

OPPONENTS = {
    "target": "rejected tokens from the target, the paper's text",
    "draft": "rejected tokens from the draft, the appendix's code",
}
LARGEST = 1e8
"""T V^2 beyond which no exact value is computed: it would take minutes."""
PROMPTS = 4
"""The key of the prompts' random numbers among the draws from one seed."""
MOST_RESPONSES = 10**8

CAPTION = (
    "How often the response of Decoding-OPT beats that of an opponent, which accepts the same tokens and "
    "replaces a rejected one by a draw from the target (the paper's text) or the draft (the code of its "
    "appendix), against the over-acceptance epsilon. Judge: the target's log-likelihood of the response; "
    "a tie is half a win. Markers: the share of all matches to the prompts drawn; grey boxes: the exact "
    "value for the same prompts, as a bracket that certainly holds it; dashed: even. Below: simulated minus "
    "the bracket's middle in half-widths of the interval."
)
TABLE_CAPTION = (
    "The chain analogue of Tables 1 and 2 of Yin et al. 2024, a row a match: WinRate for the prompts drawn "
    "with its interval and the bracket of the exact value, then the same for all prompts, the share of ties, "
    "and the spread (standard deviation) of the prompts' own WinRates."
)
NOTE = (
    "The paper's Tables 1 and 2 compare responses of pythia-70m and pythia-2.8b, scored by reward models; "
    "here the models are Markov chains and the judge is the target's own log-likelihood, so the numbers are "
    "an analogue and not a reproduction. That judge favours likely responses, not responses that follow the "
    "target's distribution: OPT, which is nearest to it, may well win less than half."
)


@dataclass(frozen=True)
class Match:
    """OPT against one opponent at one epsilon: half points, int64 (prompts, pairs): 2 a win, 1 a tie."""

    epsilon: float
    opponent: str
    half_points: np.ndarray


@dataclass(frozen=True)
class Exact:
    """Brackets of the WinRate for the prompts drawn and for all prompts."""

    drawn: Bracket
    all: Bracket


@dataclass(frozen=True)
class Parts:
    """Over-acceptances, rising; prompts, and pairs of responses to each."""

    epsilons: list[float]
    prompts: int
    pairs: int


def plan(points: list[Settings]) -> Planned[Parts]:
    """No jobs: nothing goes through the ledger. Looks at the settings before anything runs."""
    settings = only_point(points)
    return Planned(settings, [], Parts(_epsilons(settings), *_sizes(settings)))


def present(planned: Planned[Parts], results: Mapping[str, Result]) -> Outcome:
    """Verdicts, figure and table: sampled, judged and drawn here."""
    settings, parts = planned.settings, planned.parts
    told = Presentation(settings, f"WinRate on {settings.pair_name}", results, settings.pair_name)
    pair, _ = instance(settings)
    starts = _prompts(pair, settings.seed, parts.prompts)
    matches = _play(settings, parts, starts)
    exact, notes = _exact(pair, matches, starts)
    verdicts = [
        win_rate_verdict(
            f"{told.title}: OPT against {match.opponent}, epsilon = {match.epsilon:g}",
            int(match.half_points.sum()),
            match.half_points.size,
            *known.drawn,
            resolution=settings.judging.win_rate_resolution,
            **settings.judging.errors,
        )
        for match, known in zip(matches, exact, strict=True)
    ]
    table = [_row(settings, *each) for each in zip(matches, exact, verdicts, strict=True)]
    origin = {
        "Seed": str(settings.seed),
        "Prompts": str(parts.prompts),
        "Pairs of responses a prompt": str(parts.pairs),
    }
    figure = _draw(settings, parts.epsilons, matches, exact)
    return told.outcome(
        verdicts=verdicts,
        figures=[told.figure("winrate", CAPTION, figure, table, **origin)],
        tables=[told.table("matches", TABLE_CAPTION, table)],
        notes=[NOTE, *notes],
    )


def _play(settings: Settings, parts: Parts, starts: np.ndarray) -> list[Match]:
    """All matches; OPT's responses at one epsilon meet both opponents."""
    likelihoods = _log_likelihoods(instance(settings)[0])
    matches = []
    for epsilon in parts.epsilons:
        own = _responses(settings, BiasedSpeculative(epsilon, "optimal"), parts.pairs, starts, likelihoods)
        for opponent in OPPONENTS:
            other = _responses(
                settings, BiasedSpeculative(epsilon, opponent), parts.pairs, starts, likelihoods
            )
            matches.append(Match(epsilon, opponent, _half_points(own, other)))
    return matches


def _prompts(pair: ChainPair, seed: int, prompts: int) -> np.ndarray:
    """i.i.d. last tokens, sorted, (prompts,)."""
    random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(PROMPTS,)))
    return np.sort(random.choice(pair.states, size=prompts, p=pair.initial / pair.initial.sum()))


def _responses(
    settings: Settings, decoder, pairs: int, starts: np.ndarray, likelihoods: np.ndarray
) -> np.ndarray:
    """The judge's scores of the responses to each prompt: (prompts, pairs)."""
    from simlab.decoding.simulate import build_tables, record_paths, starting_from

    pair, identity = instance(settings)
    tables = build_tables(pair, decoder)
    scores = []
    for start, times in zip(*np.unique(starts, return_counts=True), strict=True):
        count = int(times) * pairs
        task = Task({**identity, "prompt": int(start)}, decoder, settings.seed, count)
        paths = record_paths(starting_from(tables, int(start)), count, task.seed_sequence(0))
        scores.append(_judge(paths, likelihoods).reshape(times, pairs))
    return np.concatenate(scores)


def _log_likelihoods(pair: ChainPair) -> np.ndarray:
    """log target, the distinct steps: (1 or T, V, V)."""
    with np.errstate(divide="ignore"):
        return np.log(pair.target_rows)


def _judge(paths, likelihoods: np.ndarray) -> np.ndarray:
    """log target(x_1..x_T | x_0) of each trajectory, (N,); -inf for what the target cannot give."""
    last, score = paths.initial, np.zeros(len(paths.initial))
    for t in range(paths.tokens.shape[1]):
        score += likelihoods[t if len(likelihoods) > 1 else 0][last, paths.tokens[:, t]]
        last = paths.tokens[:, t]
    return score


def _half_points(own: np.ndarray, other: np.ndarray) -> np.ndarray:
    """2 for a win, 1 for a tie, 0 for a loss: whole numbers of the shape of the scores.

    Scores within TIE are a tie, since a sum of the same logarithms in another order may differ in its last
    digits; and so are two responses that the target cannot give.
    """
    with np.errstate(invalid="ignore"):
        difference = np.where(own == other, 0.0, own - other)
    return (difference > TIE).astype(np.int64) + (difference >= -TIE)


def _exact(pair: ChainPair, matches: list[Match], starts: np.ndarray) -> tuple[list[Exact], list[str]]:
    """The brackets of each match, and a remark where none could be computed."""
    if pair.horizon * pair.states**2 > LARGEST:
        note = (
            f"With T V^2 = {pair.horizon * pair.states**2:.2g} the exact WinRate would take minutes: it was "
            "left out, and the verdicts know nothing but that it is a probability."
        )
        return [Exact(Bracket(0.0, 1.0), Bracket(0.0, 1.0))] * len(matches), [note]
    decoders = [
        (BiasedSpeculative(match.epsilon, "optimal"), BiasedSpeculative(match.epsilon, match.opponent))
        for match in matches
    ]
    low, high = win_rates_by_start(pair, decoders)
    distributions = (
        np.bincount(starts, minlength=pair.states) / len(starts),
        pair.initial / pair.initial.sum(),
    )
    brackets = [
        [Bracket(*_ends(distribution @ below, distribution @ above)) for distribution in distributions]
        for below, above in zip(low, high, strict=True)
    ]
    return [Exact(*both) for both in brackets], []


def _ends(low: float, high: float) -> tuple[float, float]:
    return float(low), float(min(high, 1.0))


def _drawn(settings: Settings, match: Match) -> Interval:
    """The WinRate for the prompts drawn, with its interval."""
    return share_interval(int(match.half_points.sum()), match.half_points.size, settings.confidence)


def _all(settings: Settings, match: Match) -> Interval:
    """The same mean, with the interval of the WinRate for all prompts."""
    most = 2 * match.half_points.shape[1]
    scores = np.bincount(match.half_points.sum(axis=1), minlength=most + 1)
    return Interval(*(end / most for end in mean_interval(scores, settings.confidence)))


def _row(settings: Settings, match: Match, exact: Exact, verdict: Verdict) -> dict:
    drawn, everywhere = _drawn(settings, match), _all(settings, match)
    prompts, pairs = match.half_points.shape
    spread = np.std(match.half_points.mean(axis=1) / 2, ddof=1) if prompts > 1 else None
    return {
        "epsilon": match.epsilon,
        "opponent": match.opponent,
        "win_rate": drawn.estimate,
        "low": drawn.low,
        "high": drawn.high,
        "exact_low": exact.drawn.low,
        "exact_high": exact.drawn.high,
        "all_prompts_low": everywhere.low,
        "all_prompts_high": everywhere.high,
        "all_prompts_exact_low": exact.all.low,
        "all_prompts_exact_high": exact.all.high,
        "ties": float((match.half_points == 1).mean()),
        "spread_of_prompts": spread,
        "prompts": prompts,
        "pairs": pairs,
        "confidence": settings.confidence,
        "verdict": str(verdict.status),
    }


def _draw(settings: Settings, epsilons: list[float], matches: list[Match], exact: list[Exact]):
    family = []
    for opponent, label in OPPONENTS.items():
        mine = [index for index, match in enumerate(matches) if match.opponent == opponent]
        columns = zip(*(_drawn(settings, matches[index]) for index in mine), strict=True)
        interval = Interval(*(np.array(column) for column in columns))
        family.append((label, interval, np.array([exact[index].drawn for index in mine])))
    with style():
        figure = new_figure(5.6, 4.8)
        upper, lower = residual_axes(figure, figure.add_gridspec(1, 1)[0, 0])
        draw_matches(upper, lower, epsilons, family, confidence=settings.confidence)
        upper.set_title(f"WinRate of OPT against two others, pair={settings.pair_name}")
        lower.set_xlabel("over-acceptance epsilon")
        shared_legend(figure, figure.axes, columns=1)
    return figure


def _epsilons(settings: Settings) -> list[float]:
    values = list_of(settings, "epsilons", "numbers >= 0")
    try:
        return sorted({BiasedSpeculative(value).epsilon for value in values})
    except SimlabError as error:
        raise SimlabError(f"experiment.epsilons: {error}") from error


def _sizes(settings: Settings) -> tuple[int, int]:
    """(prompts, pairs of responses to each)."""
    prompts, pairs = (
        check_count(f"experiment.{name}", settings.options.get(name)) for name in ("prompts", "pairs")
    )
    if prompts * pairs > MOST_RESPONSES:
        raise SimlabError(
            f"experiment.prompts = {prompts} with experiment.pairs = {pairs}: they are held in memory; "
            f"give at most {MOST_RESPONSES:,} pairs in all"
        )
    return prompts, pairs
