"""Why one step of speculative decoding is correct, and what the classical mistakes make of it.

correctness: what is accepted and what is replaced, token by token, sum to the target; the distribution of the
tokens of the compiled sampler over it. correctness_mistakes: the same where an implementation goes wrong,
each with its exact distribution, its bias, and how large a sample must be for a verdict to notice it. The
experiment has pairs of its own, one step long: two distributions, whatever the last token.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simlab.decoders import Speculative
from simlab.evidence import (
    Interval,
    Judging,
    Status,
    Verdict,
    marginals_verdict,
    pmf_band,
    pmf_verdict,
    trajectories_to_notice,
)
from simlab.experiments.common.jobs import Planned, looks_of, stop_of
from simlab.experiments.common.outcome import Exhibit, Outcome, Presentation, heading
from simlab.experiments.common.settings import Settings, only_point
from simlab.experiments.correctness.options import Case, cases_of
from simlab.pairs import ChainPair
from simlab.reference.step import simulate_step
from simlab.report import style
from simlab.report.stepplot import DrawnStep, draw_mistakes, draw_step
from simlab.runs import Job, Result, Task
from simlab.theory.mistakes import MISTAKES, Step, correct_step, mistaken_step
from simlab.verify import Check

TITLE = "One step"
MOST = 1_000_000
"""Steps that are simulated of each mistake, in plain NumPy, at most."""

ROUNDING = 1e-12
LONGEST_TITLE = 160
CAPTION = (
    "One step, from draft (dashes) to target (outline). Left half of each bar, exact: blue, the drafted "
    "token is accepted, with probability min(draft, target), {acceptance:.6g} in all; orange, it was "
    "rejected and replaced by this one, with probability target - draft where that is positive, "
    "{rejection:.6g} in all, the total variation between the two. Stacked they are the target, token by "
    "token. Right half, grey: the tokens of the compiled sampler, {trajectories:,} steps; below, simulated "
    "minus exact in half-widths of a band that holds all tokens at once with {confidence:.10g}% confidence."
)
MISTAKES_CAPTION = (
    "What comes out of one step with a classical mistake, exactly, accepted (blue) and replaced (orange), "
    "where the outline, the target, should come out; grey: {trajectories:,} simulated steps, with a band "
    "that holds all tokens of a panel at once with {confidence:.10g}% confidence. The bias is the total "
    "variation between what comes out and the target. {what}."
)


def plan(points: list[Settings]) -> Planned[list[Case]]:
    """The compiled sampler on each case: one step of speculative decoding."""
    settings = only_point(points)
    cases = cases_of(settings)
    return Planned(settings, [_job(settings, case) for case in cases], cases)


def present(planned: Planned[list[Case]], results: Mapping[str, Result]) -> Outcome:
    """Verdicts, checks, figures and tables, from the results of the planned jobs."""
    settings, cases = planned.settings, planned.parts
    told = Presentation(settings, TITLE, results)
    verdicts: list[Verdict] = []
    for case, one in zip(cases, planned.jobs, strict=True):
        verdicts += told.judge(f"{TITLE}, {case.name}", one)
    simulated = {case.name: _simulated(settings, case, index) for index, case in enumerate(cases)}
    steps = [(case, step) for case in cases for step in simulated[case.name].values()]
    verdicts += [_judge_split(*each, settings.judging) for each in steps]
    notes = [f"{case.name}: {_headline(case)}." for case in cases]
    notes += [_told(*each, settings.judging) for each in steps if each[1].mistake]
    return told.outcome(
        verdicts=verdicts,
        checks=[_check(case) for case in cases],
        figures=[
            _present_step(told, cases[0], planned.jobs[0]),
            _present_mistakes(told, cases, simulated, planned.jobs),
        ],
        notes=notes,
        unused=("pair", "decoder"),
        title=_title(settings, cases[0]),
    )


@dataclass(frozen=True, eq=False)
class SimulatedStep:
    """Steps with a mistake, or (None) without one. exact: its distribution; counts: int64 (2, V), what came
    out."""

    mistake: str | None
    exact: Step
    counts: np.ndarray

    @property
    def tokens(self) -> np.ndarray:
        """int64 (V,), how often each token came out."""
        return self.counts.sum(axis=0)


def step_pair(case: Case) -> ChainPair:
    """The pair with horizon 1 whose rows are the case's two distributions, whatever the last token."""
    states = len(case.draft)
    rows = (np.tile(distribution, (states, 1)) for distribution in (case.draft, case.target))
    return ChainPair.stationary(*rows, np.full(states, 1 / states), 1)


def _job(settings: Settings, case: Case) -> Job:
    pair = step_pair(case)
    identity = {"generator": "one step", "states": pair.states, "digest": pair.digest}
    task = Task(identity, Speculative(), settings.seed, settings.batch_size)
    return Job(task, pair, stop_of(settings))


def _simulated(settings: Settings, case: Case, index: int) -> dict[str, SimulatedStep]:
    """The right step and every mistaken one, by name; each has random numbers of its own."""
    steps = {}
    count = min(settings.trajectories, MOST)
    for number, mistake in enumerate((None, *MISTAKES)):
        seed = np.random.SeedSequence(settings.seed, spawn_key=(index, number))
        distributions = case.draft, case.target
        exact = correct_step(*distributions) if mistake is None else mistaken_step(mistake, *distributions)
        counts = simulate_step(*distributions, count, np.random.default_rng(seed), mistake)
        steps[mistake or "right"] = SimulatedStep(mistake, exact, counts)
    return steps


def _judge_split(case: Case, step: SimulatedStep, judging: Judging) -> Verdict:
    """Accepted or replaced, and which token: the joint distribution, against the exact one of the mistake
    itself."""
    told = f"as by its mistake, {step.mistake}" if step.mistake else "accepted or replaced, and by what"
    states = len(case.target)
    verdict = pmf_verdict(
        f"{TITLE}, {case.name}: {told}",
        step.counts.ravel(),
        np.concatenate(step.exact),
        resolution=judging.cell_resolution,
        **judging.errors,
    )
    cell, _, rest = verdict.statistic.partition(",")
    kind, token = divmod(int(cell.removeprefix("P(N = ").removesuffix(")")), states)
    said = f"P({('accepted', 'replaced by')[kind]} {token}),{rest}"
    return dataclasses.replace(verdict, statistic=said)


def caught(case: Case, step: SimulatedStep, judging: Judging) -> Verdict:
    """The verdict that the tokens follow the target, which a biased step must not pass."""
    return marginals_verdict(
        f"{TITLE}, {case.name}: {step.mistake}, tokens follow the target",
        step.tokens[None],
        int(step.tokens.sum()),
        case.target[None],
        resolution=judging.cell_resolution,
        **judging.errors,
    )


def _present_step(told: Presentation, case: Case, one: Job) -> Exhibit:
    confidence, result = told.settings.confidence, told.result(one)
    band = _band(result.counts.tokens[0], confidence, looks_of(one))
    step = correct_step(case.draft, case.target)
    with style():
        drawn = DrawnStep(_headline(case), case.target, *step, band)
        figure = draw_step(drawn, case.draft, confidence=confidence)
    columns = (case.draft, case.target, *step, *band)
    names = ("draft", "target", "accepted", "replaced", "simulated", "low", "high")
    caption = CAPTION.format(
        acceptance=step.acceptance,
        rejection=step.replaced.sum(),
        trajectories=result.counts.trajectories,
        confidence=100 * confidence,
    )
    return told.figure("correctness", caption, figure, _by_token(names, columns), [one])


def _present_mistakes(told: Presentation, cases: list[Case], simulated, jobs: list[Job]) -> Exhibit:
    settings = told.settings
    rows, table = [], []
    for case in cases:
        drawn = []
        for step in simulated[case.name].values():
            if step.mistake is None:
                continue
            band = _band(step.tokens, settings.confidence)
            title = f"{step.mistake}\nbias {step.exact.bias(case.target):.3g}"
            drawn.append(DrawnStep(title, case.target, *step.exact, band))
            table += _rows(case, step, band, settings.judging)
        rows.append((case.name, drawn))
    with style():
        figure = draw_mistakes(rows, confidence=settings.confidence)
    what = "; ".join(f"{name}: {meaning}" for name, meaning in MISTAKES.items())
    caption = MISTAKES_CAPTION.format(
        trajectories=min(settings.trajectories, MOST),
        confidence=100 * settings.confidence,
        what=what[0].upper() + what[1:],
    )
    return told.figure("correctness_mistakes", caption, figure, table, jobs)


def _band(tokens: np.ndarray, confidence: float, looks: int = 1) -> Interval:
    """The simulated distribution of the tokens, (V,), and a band that holds the whole exact one."""
    if len(tokens) == 1:  # it comes out for certain
        return Interval(*(np.ones(1) for _ in range(3)))
    return pmf_band(tokens, confidence, looks)


def _rows(case: Case, step: SimulatedStep, band: Interval, judging: Judging) -> list[dict]:
    shared = {
        "case": case.name,
        "mistake": step.mistake,
        "bias": step.exact.bias(case.target),
        "acceptance": step.exact.acceptance,
        "noticed_at": trajectories_to_notice(case.target, step.exact.distribution, **judging.errors),
        "against_the_target": str(caught(case, step, judging).status),
    }
    columns = (case.draft, case.target, *step.exact, step.exact.distribution, *band)
    names = ("draft", "target", "accepted", "replaced", "distribution", "simulated", "low", "high")
    return [{**shared, **row} for row in _by_token(names, columns)]


def _by_token(names: tuple[str, ...], columns: tuple) -> list[dict]:
    """A row a token, from columns (V,)."""
    listed = zip(*(np.asarray(column).tolist() for column in columns), strict=True)
    return [{"token": token, **dict(zip(names, row, strict=True))} for token, row in enumerate(listed)]


def _check(case: Case) -> Check:
    """Accepted and replaced against the target, where they are furthest apart."""
    distribution = correct_step(case.draft, case.target).distribution
    token = int(np.argmax(np.abs(distribution - case.target)))
    difference = float(distribution[token] - case.target[token])
    return Check(
        name=f"one step, {case.name}, accepted and replaced",
        source="Leviathan et al. 2023, Appendix A.1",
        statement="min(draft, target) + [target - draft]_+ = target, token by token",
        left="accepted and replaced",
        left_value=float(distribution[token]),
        right="target",
        right_value=float(case.target[token]),
        difference=difference,
        tolerance=ROUNDING,
        status=Status.PASS if abs(difference) <= ROUNDING else Status.FAIL,
        scope=f"all {len(distribution)} tokens; the one that is furthest",
    )


def _title(settings: Settings, case: Case) -> str:
    """The heading, without the distributions themselves where they would fill lines."""
    title = heading(settings, TITLE)
    return title if len(title) <= LONGEST_TITLE else f"{TITLE}, two distributions of {len(case.draft)} tokens"


def _headline(case: Case) -> str:
    step = correct_step(case.draft, case.target)
    return f"acceptance {step.acceptance:.6g}, total variation {step.replaced.sum():.6g}"


def _told(case: Case, step: SimulatedStep, judging: Judging) -> str:
    """A mistake in numbers: its bias, its acceptance, and when it is noticed."""
    noticed = trajectories_to_notice(case.target, step.exact.distribution, **judging.errors)
    if noticed is None:
        return f"{case.name}, {step.mistake}: these two distributions do not show it."
    right = correct_step(case.draft, case.target).acceptance
    same = abs(step.exact.acceptance - right) <= ROUNDING
    rate = "the acceptance rate is as it should be" if same else f"acceptance {step.exact.acceptance:.4g}"
    here = "and here" if caught(case, step, judging).status == "FAIL" else "but not here"
    when = f"about {noticed:,} steps" if noticed > 1 else "the first step"
    return (
        f"{case.name}, {step.mistake}: bias {step.exact.bias(case.target):.4g}; {rate}; a verdict on the "
        f"tokens notices it from {when} on, {here}."
    )
