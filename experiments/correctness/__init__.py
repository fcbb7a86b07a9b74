"""Why one step of speculative decoding is correct, and what the classical mistakes make of it.

correctness: what is accepted and what is replaced, token by token, sum to the target; the law of the tokens
of the compiled sampler over it. correctness_mistakes: the same where an implementation goes wrong, each with
its exact law, its bias, and how large a sample must be for a verdict to notice it. The experiment has pairs
of its own, one step long: two laws, whatever the last token.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simlab.decoders import Speculative
from simlab.evidence import (
    Interval,
    Status,
    Verdict,
    marginals_verdict,
    pmf_band,
    pmf_verdict,
    trajectories_to_notice,
)
from simlab.experiments.common.estimates import (
    CELL_RESOLUTION,
    FALSE_ALARM,
    figure_metadata,
    judge,
    looks_of,
    without_effect,
)
from simlab.experiments.common.settings import (
    Exhibit,
    Outcome,
    Settings,
    folder_of,
    heading,
    only_point,
    stop_of,
)
from simlab.experiments.correctness.options import Case, cases_of
from simlab.pairs import ChainPair
from simlab.reference.step import simulate_step
from simlab.report import save_figure, style
from simlab.report.stepplot import DrawnStep, draw_mistakes, draw_step
from simlab.runs import Job, Result, Task
from simlab.theory import predict
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


def jobs(points: list[Settings]) -> list[Job]:
    """The compiled sampler on each case: one step of speculative decoding."""
    settings = only_point(points)
    return [_job(settings, case) for case in cases_of(settings)]


def present(points: list[Settings], results: Mapping[str, Result]) -> Outcome:
    """Verdicts, checks, figures and tables, from the results of `jobs`."""
    settings = only_point(points)
    cases = cases_of(settings)
    folder = folder_of(settings)
    verdicts: list[Verdict] = []
    for case in cases:
        one = _job(settings, case)
        verdicts += judge(
            f"{TITLE}, {case.name}", one, results[one.task.id], predict(one.pair, Speculative())
        )
    simulated = {case.name: _simulated(settings, case, index) for index, case in enumerate(cases)}
    verdicts += [_judge_split(case, step) for case in cases for step in simulated[case.name].values()]
    figures = [
        _present_step(settings, cases[0], results, folder),
        _present_mistakes(settings, cases, simulated, results, folder),
    ]
    notes = [f"{case.name}: {_headline(case)}." for case in cases]
    notes += [_told(case, step) for case in cases for step in simulated[case.name].values() if step.mistake]
    return Outcome(
        _title(settings, cases[0]),
        folder,
        verdicts,
        [_check(case) for case in cases],
        figures,
        notes=notes + without_effect(settings, "pair", "decoder"),
    )


@dataclass(frozen=True, eq=False)
class SimulatedStep:
    """Steps with a mistake, or (None) without one. exact: its law; counts: int64 (2, V), what came out."""

    mistake: str | None
    exact: Step
    counts: np.ndarray

    @property
    def tokens(self) -> np.ndarray:
        """int64 (V,), how often each token came out."""
        return self.counts.sum(axis=0)


def step_pair(case: Case) -> ChainPair:
    """The pair with horizon 1 whose rows are the case's two laws, whatever the last token."""
    states = len(case.draft)
    rows = (np.tile(law, (states, 1)) for law in (case.draft, case.target))
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
        laws = case.draft, case.target
        exact = correct_step(*laws) if mistake is None else mistaken_step(mistake, *laws)
        counts = simulate_step(*laws, count, np.random.default_rng(seed), mistake)
        steps[mistake or "right"] = SimulatedStep(mistake, exact, counts)
    return steps


def _judge_split(case: Case, step: SimulatedStep) -> Verdict:
    """Accepted or replaced, and which token: the joint law, against the exact one of the mistake itself."""
    told = f"as by its mistake, {step.mistake}" if step.mistake else "accepted or replaced, and by what"
    states = len(case.target)
    verdict = pmf_verdict(
        f"{TITLE}, {case.name}: {told}",
        step.counts.ravel(),
        np.concatenate(step.exact),
        resolution=CELL_RESOLUTION,
        false_alarm=FALSE_ALARM,
    )
    cell, _, rest = verdict.statistic.partition(",")
    kind, token = divmod(int(cell.removeprefix("P(N = ").removesuffix(")")), states)
    said = f"P({('accepted', 'replaced by')[kind]} {token}),{rest}"
    return dataclasses.replace(verdict, statistic=said)


def caught(case: Case, step: SimulatedStep) -> Verdict:
    """The verdict that the tokens follow the target, which a biased step must not pass."""
    return marginals_verdict(
        f"{TITLE}, {case.name}: {step.mistake}, tokens follow the target",
        step.tokens[None],
        int(step.tokens.sum()),
        case.target[None],
        resolution=CELL_RESOLUTION,
        false_alarm=FALSE_ALARM,
    )


def _present_step(settings: Settings, case: Case, results: Mapping[str, Result], folder: Path) -> Exhibit:
    import pandas as pd

    one = _job(settings, case)
    result = results[one.task.id]
    band = _band(result.counts.tokens[0], settings.confidence, looks_of(one))
    step = correct_step(case.draft, case.target)
    with style():
        figure = draw_step(
            DrawnStep(_headline(case), case.target, *step, band), case.draft, confidence=settings.confidence
        )
    table = pd.DataFrame(
        {
            "token": np.arange(len(case.draft)),
            "draft": case.draft,
            "target": case.target,
            "accepted": step.accepted,
            "replaced": step.replaced,
            **dict(zip(("simulated", "low", "high"), band, strict=True)),
        }
    )
    files = save_figure(
        figure, folder, "correctness", table, figure_metadata(settings.command, [one], [result])
    )
    caption = CAPTION.format(
        acceptance=step.acceptance,
        rejection=step.replaced.sum(),
        trajectories=result.counts.trajectories,
        confidence=100 * settings.confidence,
    )
    return Exhibit("correctness", caption, files)


def _present_mistakes(settings: Settings, cases: list[Case], simulated, results, folder: Path) -> Exhibit:
    import pandas as pd

    rows, table = [], []
    for case in cases:
        drawn = []
        for step in simulated[case.name].values():
            if step.mistake is None:
                continue
            band = _band(step.tokens, settings.confidence)
            title = f"{step.mistake}\nbias {step.exact.bias(case.target):.3g}"
            drawn.append(DrawnStep(title, case.target, *step.exact, band))
            table += _rows(case, step, band)
        rows.append((case.name, drawn))
    with style():
        figure = draw_mistakes(rows, confidence=settings.confidence)
    planned = [_job(settings, case) for case in cases]
    metadata = figure_metadata(settings.command, planned, [results[one.task.id] for one in planned])
    files = save_figure(figure, folder, "correctness_mistakes", pd.DataFrame(table), metadata)
    what = "; ".join(f"{name}: {told}" for name, told in MISTAKES.items())
    caption = MISTAKES_CAPTION.format(
        trajectories=min(settings.trajectories, MOST),
        confidence=100 * settings.confidence,
        what=what[0].upper() + what[1:],
    )
    return Exhibit("correctness_mistakes", caption, files)


def _band(tokens: np.ndarray, confidence: float, looks: int = 1) -> Interval:
    """The simulated law of the tokens, (V,), and a band that holds the whole exact one."""
    if len(tokens) == 1:  # it comes out for certain
        return Interval(*(np.ones(1) for _ in range(3)))
    return pmf_band(tokens, confidence, looks)


def _rows(case: Case, step: SimulatedStep, band: Interval) -> list[dict]:
    shared = {
        "case": case.name,
        "mistake": step.mistake,
        "bias": step.exact.bias(case.target),
        "acceptance": step.exact.acceptance,
        "noticed_at": trajectories_to_notice(case.target, step.exact.law),
        "against_the_target": str(caught(case, step).status),
    }
    columns = (case.draft, case.target, *step.exact, step.exact.law, *band)
    names = ("draft", "target", "accepted", "replaced", "law", "simulated", "low", "high")
    listed = zip(*(np.asarray(column).tolist() for column in columns), strict=True)
    return [
        {**shared, "token": token, **dict(zip(names, row, strict=True))} for token, row in enumerate(listed)
    ]


def _check(case: Case) -> Check:
    """Accepted and replaced against the target, where they are furthest apart."""
    law = correct_step(case.draft, case.target).law
    token = int(np.argmax(np.abs(law - case.target)))
    difference = float(law[token] - case.target[token])
    return Check(
        name=f"one step, {case.name}, accepted and replaced",
        source="Leviathan et al. 2023, Appendix A.1",
        statement="min(draft, target) + [target - draft]_+ = target, token by token",
        left="accepted and replaced",
        left_value=float(law[token]),
        right="target",
        right_value=float(case.target[token]),
        difference=difference,
        tolerance=ROUNDING,
        status=Status.PASS if abs(difference) <= ROUNDING else Status.FAIL,
        scope=f"all {len(law)} tokens; the one that is furthest",
    )


def _title(settings: Settings, case: Case) -> str:
    """The heading, without the laws themselves where they would fill lines."""
    title = heading(settings, TITLE)
    return title if len(title) <= LONGEST_TITLE else f"{TITLE}, two laws of {len(case.draft)} tokens"


def _headline(case: Case) -> str:
    step = correct_step(case.draft, case.target)
    return f"acceptance {step.acceptance:.6g}, total variation {step.replaced.sum():.6g}"


def _told(case: Case, step: SimulatedStep) -> str:
    """A mistake in numbers: its bias, its acceptance, and when it is noticed."""
    noticed = trajectories_to_notice(case.target, step.exact.law)
    if noticed is None:
        return f"{case.name}, {step.mistake}: these two distributions do not show it."
    right = correct_step(case.draft, case.target).acceptance
    same = abs(step.exact.acceptance - right) <= ROUNDING
    rate = "the acceptance rate is as it should be" if same else f"acceptance {step.exact.acceptance:.4g}"
    here = "and here" if caught(case, step).status == "FAIL" else "but not here"
    when = f"about {noticed:,} steps" if noticed > 1 else "the first step"
    return (
        f"{case.name}, {step.mistake}: bias {step.exact.bias(case.target):.4g}; {rate}; a verdict on the "
        f"tokens notices it from {when} on, {here}."
    )
