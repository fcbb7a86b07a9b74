"""The speed of light: how many drafted tokens any deterministic scheme gets right, against its capacity.

Random environments: every node's next-token distribution is an independent draw from one distribution
(Pankratov and Alistarh 2026). light: E[X] of the best tree against log P for several distributions, below the
bounds.
light_gap: how far above E[X] each bound is, in tokens. light_entropy: E[X] at one capacity against the
entropy, for many distributions drawn at random. The distributions are the experiment's own, whatever pair and
decoder the settings name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from simlab.errors import SimlabError
from simlab.evidence import Verdict
from simlab.experiments.common.jobs import Planned
from simlab.experiments.common.outcome import Exhibit, Outcome, Presentation
from simlab.experiments.common.settings import Settings, only_point
from simlab.experiments.speed_of_light.figures import GAPS, accepted_figure, entropy_figure, gap_figure
from simlab.experiments.speed_of_light.rows import Options, options_of
from simlab.experiments.speed_of_light.verdicts import (
    TITLE,
    Measured,
    bound_verdicts,
    closest_of,
    environment_jobs,
    fitted,
    measure,
    moment_verdicts,
    near_limit,
    rate_of,
)
from simlab.runs import EnvironmentTask, Job, Result, Trajectories
from simlab.theory import speed_of_light as theory
from simlab.verify import speed_of_light as search

CAPTIONS = {
    "light": (
        "How many of P drafted tokens are right, for the best tree there is: its P most probable prefixes. "
        "Each panel is a distribution of rows, from which every node of an infinite tree of prefixes draws "
        "its next-token distribution, independently; μ is the mean entropy of a row, μ₂ the mean of Σ p log² "
        "p. Markers: the mean over random environments. No scheme passes the sharper bound log(P)/μ + μ₂/μ² "
        "nor the dual bound below it; the published slope (μ + μ₂)/μ² is drawn through 0 at P = 1, as its "
        "constant is not stated. Exponentially more verification buys linearly more tokens: 1/μ for each "
        "factor e. Rows of a pair or of a text are drawn independently here, not along the chain or text, "
        "where the theorem's assumption fails and the bounds are comparisons."
    ),
    "light_gap": (
        "How tight the bounds are: bound less simulated E[X], in tokens, so that a point well below 0 would "
        "be a violation. Dashed: what the gap tends to; for the dual bound that is μ₂/(2μ²), which is what "
        "two moments cannot say of a distribution (half of Lorden's constant). The renewal bound knows all "
        "of it, and its gap tends to 0; there is none for the softmax. Vertical lines are {confidence:.10g}% "
        "intervals: of means of numbers of which only their range is known, so that they say more of the "
        "number of environments than of the scatter."
    ),
    "light_entropy": (
        "Entropy against speed: a marker is a distribution of rows with settings drawn at random, its height "
        "the mean number of right tokens at the capacity named, the tick above it its own dual bound. "
        "Distributions of one entropy differ by their second moment, so that entropy alone does not decide. "
        "Both axes are logarithmic; the dotted line is log(P)/μ."
    ),
}
TABLE_CAPTIONS = {
    "light_bounds": (
        "Each row is a distribution at one capacity: the simulated E[X] in tokens, root and bonus excluded, "
        "with its interval, every bound, how far above E[X] it is, and the verdicts."
    ),
    "light_laws": (
        "Each row is a distribution: its exact moments in nats, the slope of E[X] in log P with its interval "
        "beside 1/μ, and where values were cut off for the intervals."
    ),
}


@dataclass(frozen=True, eq=False)
class Parts:
    """The checked options, and the jobs of each distribution and of each random distribution, in the order of
    the options."""

    options: Options
    laws: list[list[Job]]
    random: dict[str, list[Job]]


def plan(points: list[Settings]) -> Planned[Parts]:
    """Two jobs a distribution, of small trees and of large ones, and one for each random distribution."""
    settings = only_point(points)
    if settings.half_width is not None:
        raise SimlabError(
            f"half_width = {settings.half_width:g}: light simulates as many environments as it is told: give "
            "experiment.environments"
        )
    options = options_of(settings)
    parts = Parts(
        options,
        [
            environment_jobs(law, options.capacities, options.environments, settings.seed)
            for law in options.laws
        ],
        {
            name: [_random_job(settings, options, law) for law in laws]
            for name, laws in options.random.items()
        },
    )
    several = [*parts.laws, *parts.random.values()]
    return Planned(settings, [one for jobs in several for one in jobs], parts)


def present(planned: Planned[Parts], results: Mapping[str, Result]) -> Outcome:
    """Verdicts, checks, figures and tables, from the results of the planned jobs."""
    settings, parts = planned.settings, planned.parts
    told = Presentation(settings, TITLE, results)
    several = [measure(law, jobs, told) for law, jobs in zip(parts.options.laws, parts.laws, strict=True)]
    verdicts, figures, tables = _present_laws(told, several)
    families = {
        name: [measure(one.subject, [one], told) for one in jobs] for name, jobs in parts.random.items()
    }
    if families:
        verdicts += _judge_random(told, families, parts.options)
        figures.append(_present_random(told, parts.options, families))
    return told.outcome(
        verdicts=verdicts,
        checks=[
            *search.random_search(rows=parts.options.search, seed=settings.seed),
            search.check_renewal(seed=settings.seed),
        ],
        figures=figures,
        tables=tables,
        notes=_notes(settings, several),
        unused=("pair", "decoder"),
    )


def _random_job(settings: Settings, options: Options, law) -> Job:
    task = EnvironmentTask(law, options.random_capacities, seed=settings.seed)
    return Job(task, law, Trajectories(options.random_environments))


def _present_laws(
    told: Presentation, several: list[Measured]
) -> tuple[list[Verdict], list[Exhibit], list[Exhibit]]:
    """Verdicts on every distribution, the figures of all of them and the tables behind."""
    settings, judging = told.settings, told.settings.judging
    verdicts, bounds, laws = [], [], []
    for one in several:
        name = f"{TITLE}, {one.law.label}"
        own = {"dual": judging.bound_resolution, "renewal": judging.tight_bound_resolution}
        own = {bound: resolution for bound, resolution in own.items() if bound in one.bounds}
        each = judging.false_alarm / len(one.capacities)
        judged = {
            "sharper": bound_verdicts(one, "sharper", judging, resolution=judging.bound_resolution),
            **{
                bound: bound_verdicts(one, bound, judging, resolution=resolution, false_alarm=each)
                for bound, resolution in own.items()
            },
        }
        rate = rate_of(one, judging)
        verdicts += moment_verdicts(one, settings.seed, judging)
        verdicts += [verdict for verdict in judged["sharper"] if verdict]
        verdicts += [closest_of(f"{name}: {bound} bound at every P", judged[bound]) for bound in own]
        verdicts += [rate] if rate else []
        bounds += _bound_rows(settings, one, judged)
        laws.append(_law_row(settings, one, rate))
    planned = [job for one in several for job in one.jobs]
    pictures = {"light": accepted_figure(settings, several), "light_gap": gap_figure(several)}
    figures = [
        told.figure(
            name, CAPTIONS[name].format(confidence=100 * settings.confidence), figure, bounds, planned
        )
        for name, figure in pictures.items()
    ]
    tables = [
        told.table(name, TABLE_CAPTIONS[name], rows)
        for name, rows in (("light_laws", laws), ("light_bounds", bounds))
    ]
    return verdicts, figures, tables


def _bound_rows(settings: Settings, measured: Measured, judged: Mapping[str, list]) -> list[dict]:
    """A row a capacity: what was simulated, the bounds, the gaps and the verdicts."""
    estimate, low, high = measured.interval
    rows = []
    for index, capacity in enumerate(measured.capacities):
        bounds = {name: float(values[index]) for name, values in measured.bounds.items()}
        rows.append(
            {
                "law": measured.law.label,
                "capacity": int(capacity),
                "environments": len(measured.values[index]),
                "accepted": float(estimate[index]),
                "low": float(low[index]),
                "high": float(high[index]),
                **{f"gap_{bound}": _gap(bounds.get(bound), estimate[index]) for bound in GAPS},
                "first_order": bounds["first_order"],
                "sharper_bound": bounds["sharper"],
                "dual_bound": bounds["dual"],
                "renewal_bound": bounds.get("renewal"),
                "asymptote": bounds["asymptote"],
                "confidence": settings.confidence,
                **{
                    f"verdict_{bound}": _status(judged[bound][index]) if bound in judged else None
                    for bound in GAPS
                },
            }
        )
    return rows


def _gap(bound: float | None, estimate: float) -> float | None:
    return None if bound is None else bound - float(estimate)


def _law_row(settings: Settings, measured: Measured, rate: Verdict | None) -> dict:
    """A row a law: its moments, and its slope against 1/mu."""
    entropy, second = measured.moments
    known = entropy > 0
    return {
        "law": measured.law.label,
        "entropy": entropy,
        "second_moment": second,
        "largest_capacity": int(measured.capacities[-1]),
        "accepted_at_largest": float(measured.interval.estimate[-1]),
        "slope": rate.estimate if rate else None,
        "slope_low": rate.low if rate else None,
        "slope_high": rate.high if rate else None,
        "rate": 1 / entropy if known else None,
        "published_slope": theory.published_slope(measured.moments) if known else None,
        "gap_dual_limit": second / entropy / entropy / 2 if known else None,
        "cut_off_at": int(measured.most[-1]),
        "lost_by_that": float(measured.lost[-1]),
        "verdict_rate": str(rate.status) if rate else None,
    }


def _status(verdict: Verdict | None) -> str | None:
    return str(verdict.status) if verdict else None


def _judge_random(
    told: Presentation, families: Mapping[str, list[Measured]], options: Options
) -> list[Verdict]:
    """The dual bound of every random distribution at every capacity: a verdict a family, which names the
    closest."""
    verdicts, judging = [], told.settings.judging
    for name, several in families.items():
        each = judging.false_alarm / (len(several) * len(options.random_capacities))
        levels = {"resolution": judging.random_bound_resolution, "false_alarm": each}
        judged = [verdict for one in several for verdict in bound_verdicts(one, "dual", judging, **levels)]
        verdicts.append(
            closest_of(f"{TITLE}, {len(several)} random distributions, {name}: dual bound", judged)
        )
    return verdicts


def _present_random(told: Presentation, options: Options, families: Mapping[str, list[Measured]]) -> Exhibit:
    rows = [
        {
            "family": name,
            "law": one.law.label,
            "entropy": one.moments.entropy,
            "second_moment": one.moments.second,
            "capacity": capacity,
            "environments": len(one.values[index]),
            **dict(zip(("accepted", "low", "high"), (float(end[index]) for end in interval), strict=True)),
            **{f"{bound}_bound": float(one.bounds[bound][index]) for bound in ("sharper", "dual")},
        }
        for name, several in families.items()
        for one in several
        for interval in [one.interval]
        for index, capacity in enumerate(options.random_capacities)
    ]
    planned = [job for several in families.values() for one in several for job in one.jobs]
    figure = entropy_figure(families, options.random_capacities)
    return told.figure("light_entropy", CAPTIONS["light_entropy"], figure, rows, planned)


def _notes(settings: Settings, several: list[Measured]) -> list[str]:
    """What has no bound, what was measured far out, and a size without effect."""
    notes = [
        f"{one.law.label}: mu = 0, every node is certain. There E[X] = P: the dual bound says so, the "
        "sharper bound is infinite, and there is no slope in log P."
        for one in several
        if one.moments.entropy <= 0
    ]
    notes += [
        f"{one.law.label}: at these capacities the slope of E[X] in log P is not near its limit 1/mu = "
        f"{1 / one.moments.entropy:.4g}, which is not held against it."
        for one in several
        if one.moments.entropy > 0 and fitted(one) is not None and not near_limit(one)
    ]
    if any(one.moments.entropy > 0 and fitted(one) is None for one in several):
        notes.append(
            "No slope in log P is fitted: that takes two capacities from sqrt(M) to M, M the largest that is "
            "at most a tenth of the last. Give more in experiment.capacities."
        )
    if any(override.key == "trajectories" for override in settings.overrides):
        notes.append(
            "light simulates environments, not trajectories: trajectories made no difference, what does is "
            "experiment.environments."
        )
    return notes
