"""Auditing a verifier: how many calls it takes to find a bias, and what a PASS costs.

audit: calls until FAIL against the bias, for a mistake that shows everywhere and for one that shows in one
token of one instance, calls until PASS against the resolution, and the mistakes that shipped, one by one; all
with what is foretold of them and the least that any audit needs (`simlab.auditing.power`). The audits have
instances of their own. That each mistake is drawn as it is foretold is a verdict on all its tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from simlab.auditing import make_instances
from simlab.auditing.instances import Instance, completed, sizes_of
from simlab.auditing.known import joint_distribution
from simlab.auditing.mistakes import drafted_rows
from simlab.auditing.power import (
    Effort,
    divergence,
    expected_calls,
    expected_calls_to_pass,
    least_calls,
    play,
)
from simlab.evidence import Interval, Verdict, median_interval, pmf_verdict
from simlab.experiments.auditing.options import (
    EVERYWHERE,
    RIGHT,
    SHIPPED,
    Options,
    Verifier,
    one_instance,
    options_of,
)
from simlab.experiments.common.jobs import Planned
from simlab.experiments.common.outcome import Exhibit, Outcome, Presentation
from simlab.experiments.common.settings import Settings, only_point
from simlab.report import new_figure, shared_legend, style
from simlab.report.auditplot import Curve, draw_curves, draw_mistakes, draw_numbered
from simlab.runs import Result
from simlab.verify import Check
from simlab.verify.compare import Claim, at_least, equal

TITLE = "Auditing a verifier"
FINEST = 0.01
"""The resolution of the audits of wrong verifiers: what they may go on to look for."""
MOST_CALLS = 10**7
JUDGED, CELL = 50_000, 0.03
"""Calls, at most, on which a mistake is held against its exact distribution, and the resolution of a cell."""
FINE = (0.5, 0.25, 0.125, 0.0625)
"""Shares and resolutions, of the largest one, at which a curve is foretold without being simulated."""
CAPTION = (
    "Calls of an audit of {window} drafted tokens, on all its instances together, with a false alarm of "
    "{false_alarm:g}. Left: until FAIL against the bias, for rejected tokens replaced by the target's in a "
    "share of the calls, and for draft tokens accepted unseen at the first position of one instance alone "
    "in a share of the calls; and of a right verifier until PASS against the resolution. The bias is the "
    "total variation of a call's tokens from the target, completed, on the instance where it is largest. "
    "Right: the mistakes that shipped, each in every call, by the numbers that they have on the left. "
    "Markers: medians of {audits} audits, each on instances of its own, with {confidence:.10g}% intervals. "
    "Dark: foretold for the instances of the first, from the exact distribution of what comes out. Dashed: "
    "the least mean number of calls of any audit that plays these instances equally often (none where one "
    "call can refute the verifier)."
)


@dataclass(frozen=True, eq=False)
class Point:
    """A verifier and its audits, none where it is foretold only.

    share: of the calls in which it is wrong. variation: its bias, or the resolution of a PASS. nats: the
    divergences of all instances. wanted: the outcome that audits should have.
    """

    kind: str
    name: str
    share: float
    variation: float
    nats: float
    least: float
    foretold: float
    efforts: list[Effort]
    wanted: str

    def calls(self, confidence: float) -> Interval:
        """Of an audit: the median and its interval."""
        return median_interval([one.calls.sum() for one in self.efforts], confidence)

    @property
    def wrong(self) -> int:
        """Audits with another outcome than they should have."""
        return sum(one.outcome != self.wanted for one in self.efforts)


def plan(points: list[Settings]) -> Planned[Options]:
    """No decoder is simulated: the audits are played where they are presented."""
    settings = only_point(points)
    return Planned(settings, [], options_of(settings))


def present(planned: Planned[Options], results: Mapping[str, Result]) -> Outcome:
    """Verdicts on what comes out of each mistake, checks, the figure and its numbers."""
    settings, options = planned.settings, planned.parts
    told = Presentation(settings, TITLE, results)
    rows = [_instances(options, settings.seed + number) for number in range(options.audits)]
    audits = _Audits(options, settings.seed, rows)
    everywhere = audits.curve("everywhere", EVERYWHERE)
    once = audits.curve("one instance", one_instance())
    passes = [audits.right(*each) for each in _with_fine(options.resolutions)]
    shipped = [audits.wrong("shipped", one, 1.0) for one in SHIPPED]
    shipped.sort(key=lambda one: (one.foretold, one.name))
    found = [one for one in (*everywhere, *once, *passes, *shipped) if one.efforts]
    return told.outcome(
        verdicts=[_judged(settings, rows[0], one) for one in (*SHIPPED, one_instance(), RIGHT)],
        checks=_checks(found, options),
        figures=[_figure(told, options, [everywhere, once, passes], shipped)],
        notes=_notes(settings, once, passes, shipped),
        unused=("decoder", "pair"),
    )


@dataclass(frozen=True, eq=False)
class _Audits:
    """What the audits have in common. instances: of each audit."""

    options: Options
    seed: int
    instances: list[list[Instance]]

    def curve(self, kind: str, verifier: Verifier) -> list[Point]:
        """Audits of a verifier that is wrong in every share of its calls."""
        shares = _with_fine(self.options.shares)
        return [self.wrong(kind, verifier.sometimes(share), share, played) for share, played in shares]

    def wrong(self, kind: str, verifier: Verifier, share: float, played: bool = True) -> Point:
        """Audits of a verifier that must FAIL."""
        first = self.instances[0]
        outputs = [verifier.output(instance) for instance in first]
        nats = np.array([divergence(*each) for each in zip(first, outputs, strict=True)])
        variation = max(
            float(np.abs(output - joint_distribution(instance)).sum() / 2)
            for instance, output in zip(first, outputs, strict=True)
        )
        foretold = expected_calls(first, outputs, self.options.false_alarm, MOST_CALLS)
        least = least_calls(nats, self.options.false_alarm)
        efforts = self._played(verifier, FINEST) if played else []
        return Point(
            kind, verifier.name, share, variation, float(nats.sum()), least, foretold, efforts, "FAIL"
        )

    def right(self, resolution: float, played: bool) -> Point:
        """Audits of the right verifier."""
        foretold = expected_calls_to_pass(self.instances[0], resolution)
        efforts = self._played(RIGHT, resolution) if played else []
        return Point("PASS", RIGHT.name, 0.0, resolution, 0.0, np.inf, foretold, efforts, "PASS")

    def _played(self, verifier: Verifier, resolution: float) -> list[Effort]:
        return [
            play(
                verifier.play,
                instances,
                seed=self.seed + number,
                false_alarm=self.options.false_alarm,
                resolution=resolution,
            )
            for number, instances in enumerate(self.instances)
        ]


def _with_fine(values: tuple[float, ...]) -> list[tuple[float, bool]]:
    """Each value, rising, and whether it is simulated: those given, and others that are foretold only."""
    fine = {max(values) * part for part in FINE} - set(values)
    return sorted([(value, True) for value in values] + [(value, False) for value in fine])


def _instances(options: Options, seed: int) -> list[Instance]:
    return make_instances(options.window, sizes_of(options.states), seed)


def _judged(settings: Settings, instances: list[Instance], verifier: Verifier) -> Verdict:
    """The completed tokens of a call on the instance that shows most, against their exact distribution."""
    outputs = [verifier.output(instance) for instance in instances]
    distances = [
        np.abs(output - joint_distribution(instance)).sum()
        for instance, output in zip(instances, outputs, strict=True)
    ]
    at = int(np.argmax(distances))
    instance, calls = instances[at], min(settings.trajectories, JUDGED)
    rng = np.random.default_rng([settings.seed, 7])
    emitted, _ = verifier.play(instance, *drafted_rows(instance, calls, rng), rng)
    tokens, _ = completed(instance, emitted, rng)
    cells = tokens @ instance.states ** np.arange(instance.window, -1, -1)
    verdict = pmf_verdict(
        f"{TITLE}: {verifier.name}, tokens of a call with {instance.name}",
        np.bincount(cells, minlength=len(outputs[at])),
        outputs[at] / outputs[at].sum(),
        resolution=max(CELL, settings.judging.cell_resolution),
        **settings.judging.errors,
    )
    cell, _, rest = verdict.statistic.partition(",")
    number = int(cell.removeprefix("P(N = ").removesuffix(")"))
    shown = np.unravel_index(number, (instance.states,) * (instance.window + 1))
    return replace(verdict, statistic=f"P(tokens {', '.join(map(str, shown))}),{rest}")


def _checks(points: list[Point], options: Options) -> list[Check]:
    """That every audit had the right outcome, and that none is foretold below what is possible."""
    wrong = [one for one in points if one.wanted == "FAIL"]
    bounded = [one for one in wrong if one.least > 0]
    outcomes = Claim(
        "audit, outcomes",
        "own",
        "every audit of a wrong verifier FAILs, and every one of a right verifier PASSes",
        "audits with another outcome",
        "none",
    )
    least = Claim(
        "audit, least calls",
        "Wald 1945",
        "no audit is foretold fewer calls than log(1/false alarm) nats of divergence need",
        "foretold calls",
        "least calls",
    )
    scope = (
        f"{options.audits} audits each of {len(wrong)} wrong verifiers and {len(points) - len(wrong)} PASSes"
    )
    return [
        equal(outcomes, [one.wrong for one in points], np.zeros(len(points)), tolerance=0.0, scope=scope),
        at_least(
            least,
            [one.foretold for one in bounded],
            [one.least for one in bounded],
            tolerance=0.0,
            scope=f"{len(bounded)} verifiers that no single call refutes",
        ),
    ]


def _figure(told: Presentation, options: Options, curves: list[list[Point]], shipped: list[Point]) -> Exhibit:
    confidence = told.settings.confidence
    labels = (
        "FAIL: replaced from the target, in a share of the calls",
        "FAIL: accepted unseen, in one token of one instance",
        "PASS of a right verifier, against its resolution",
    )
    with style():
        figure = new_figure(9.6, 4.6)
        left, right = figure.subplots(1, 2, width_ratios=[1.15, 1])
        drawn = [_curve(label, points, confidence) for label, points in zip(labels, curves, strict=True)]
        draw_curves(left, drawn)
        draw_numbered(left, [one.variation for one in shipped], _intervals(shipped, confidence), len(drawn))
        left.set_xlabel("bias, total variation")
        left.set_ylabel("calls of the verifier")
        left.set_title("Until the verdict")
        draw_mistakes(
            right,
            [f"{one.name}   {number}" for number, one in enumerate(shipped, 1)],
            np.array([one.foretold for one in shipped]),
            np.array([one.least if one.least > 0 else np.nan for one in shipped]),
            _intervals(shipped, confidence),
            series=len(drawn),
        )
        right.set_xlabel("calls of the verifier")
        right.set_title("Mistakes that shipped, until FAIL")
        shared_legend(figure, [left, right], columns=2)
    caption = CAPTION.format(
        window=options.window,
        false_alarm=options.false_alarm,
        audits=options.audits,
        confidence=100 * confidence,
    )
    table = [_row(one, confidence) for one in (*(one for points in curves for one in points), *shipped)]
    return told.figure("audit", caption, figure, table)


def _curve(label: str, points: list[Point], confidence: float) -> Curve:
    least = np.array([one.least for one in points])
    played = [one for one in points if one.efforts]
    return Curve(
        label,
        np.array([one.variation for one in points]),
        np.array([one.foretold for one in points]),
        least if np.isfinite(least).all() else None,
        np.array([one.variation for one in played]),
        _intervals(played, confidence),
    )


def _intervals(points: list[Point], confidence: float) -> Interval:
    return Interval(*np.array([one.calls(confidence) for one in points]).T)


def _row(one: Point, confidence: float) -> dict:
    median, low, high = one.calls(confidence) if one.efforts else (None, None, None)
    return {
        "kind": one.kind, "verifier": one.name, "share": one.share, "total_variation": one.variation,
        "nats_a_round": one.nats if np.isfinite(one.nats) else None,
        "least_calls": one.least if 0 < one.least < np.inf else None,
        "foretold_calls": one.foretold, "calls": median, "calls_low": low, "calls_high": high,
        "audits": len(one.efforts), "wrong_outcomes": one.wrong if one.efforts else None,
    }  # fmt: skip


def _notes(settings: Settings, once: list[Point], passes: list[Point], shipped: list[Point]) -> list[str]:
    medians = [one.calls(settings.confidence).estimate for one in shipped]
    slowest = shipped[int(np.argmax(medians))]
    hardest = min((one for one in once if one.efforts), key=lambda one: one.variation)
    finest = min((one for one in passes if one.efforts), key=lambda one: one.variation)
    first = min(medians)
    bounded = [
        median / one.least
        for one, median in zip(shipped, medians, strict=True)
        if one.least > 0 and median > first
    ]
    return [
        f"The mistakes that shipped take {min(medians):,.0f} to {max(medians):,.0f} calls of an audit. The "
        f"last is {slowest.name}; those that are not found at the first look take {min(bounded):.1f} to "
        f"{max(bounded):.1f} times the least that any audit needs.",
        f"A total variation of {hardest.variation:.3g} in one token of one instance alone is found after "
        f"{hardest.calls(settings.confidence).estimate:,.0f} calls, foretold {hardest.foretold:,}; a right "
        f"verifier passes at resolution {finest.variation:g} after "
        f"{finest.calls(settings.confidence).estimate:,.0f}, foretold {finest.foretold:,}.",
    ]
