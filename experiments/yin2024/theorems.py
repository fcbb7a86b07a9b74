"""Every theorem of Yin et al. 2024 as a check on one pair: two numbers found independently each.

What the checks are is said in `simlab.verify`; here is which of them, on what, and what they are shown with.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from simlab.checks import check_count
from simlab.decoders import BatchSpeculative, BiasedSpeculative, Speculative
from simlab.evidence import Verdict
from simlab.experiments.common.jobs import Planned, instance, job
from simlab.experiments.common.judge import judge
from simlab.experiments.common.options import counts_of
from simlab.experiments.common.outcome import Outcome, Presentation
from simlab.experiments.common.settings import Settings, only_point
from simlab.runs import Job, Result
from simlab.theory import Bracket, sequence_total_variation, theorem3_expected_rejections
from simlab.verify import (
    Check,
    algorithm4,
    biased,
    block,
    front,
    theorem1,
    theorem2,
    theorem3,
    theorem4,
    theorem5,
)
from simlab.verify.check import Undecided
from simlab.verify.compare import Claim, simulated, undecided
from simlab.verify.places import places

CAPTION = (
    "Each row is a statement and two numbers found independently of each other: a formula and a linear "
    "program, a recursion, or a simulation. The difference is the largest of all that are compared; up "
    "to the tolerance (rounding, or the half-width of an interval at false alarm {false_alarm}) the "
    "statement stands."
)
UNDECIDED = "Whether it holds on this pair could not be decided"
PATIENCE = 2.0
"""Seconds after which a check that is begun says so."""


@dataclass(frozen=True, eq=False)
class Parts:
    """The jobs of the decoders whose theorems are held against a simulation: batch decoding by its number of
    drafts. places: how many (t, x) are looked at for claims about one position.
    """

    speculative: Job
    batch: dict[int, Job]
    biased: Job
    places: int


def plan(points: list[Settings]) -> Planned[Parts]:
    """One job for each decoder whose theorem is held against a simulation."""
    settings = only_point(points)
    options = settings.options
    places = check_count("experiment.places", options.get("places"))
    one_sided = BiasedSpeculative(options.get("epsilon"), options.get("replacement"))
    batch = {drafts: job(settings, BatchSpeculative(drafts)) for drafts in counts_of(settings, "drafts")}
    parts = Parts(job(settings, Speculative()), batch, job(settings, one_sided), places)
    return Planned(settings, [parts.speculative, *batch.values(), parts.biased], parts)


def present(planned: Planned[Parts], results: Mapping[str, Result]) -> Outcome:
    """The checks and their table, from the results of the planned jobs."""
    settings = planned.settings
    told = Presentation(settings, f"Theorems on {settings.pair_name}", results, settings.pair_name)
    checks = list(_told(_checks(told, planned.parts)))
    level = np.format_float_scientific(settings.judging.false_alarm, trim="-", exp_digits=1)
    rows = [{**dataclasses.asdict(check), "status": str(check.status)} for check in checks]
    table = told.table("verify", CAPTION.format(false_alarm=level), rows)
    return told.outcome(checks=checks, tables=[table], notes=_notes(settings))


def _notes(settings: Settings) -> list[str]:
    """What was left out, and why."""
    states = instance(settings)[0].states
    if states <= front.MOST_STATES:
        return []
    return [
        f"The front of whole sequences is left out: two steps of {states} states are too large a linear "
        f"program over all algorithms; pairs of at most {front.MOST_STATES} states have it."
    ]


def _checks(told: Presentation, parts: Parts) -> Iterator[tuple[str, Callable[[], Check | list[Check]]]]:
    """What is checked, in words, and how, in the order of the paper."""
    settings = told.settings
    pair, seed, judging = instance(settings)[0], settings.seed, settings.judging

    def some(purpose: int):
        return places(pair, parts.places, seed, purpose)

    yield "theorem 1", lambda: theorem1.check_formula(pair)
    yield "theorem 1, simulation", lambda: _simulated_speculative(told, parts.speculative)
    yield "theorem 2, linear programs", lambda: theorem2.check_program(some(1))
    yield "theorem 2, random search", lambda: theorem2.check_search(some(2))
    yield "theorem 2, all histories", lambda: theorem2.check_histories(pair, seed)
    for drafts, one in parts.batch.items():
        yield f"theorem 3, {drafts} drafts", lambda m=drafts: theorem3.check_formula(pair, m)
        yield f"theorem 3, {drafts} drafts, simulation", lambda one=one: _simulated_batch(told, one)
    yield "proposition 1, monotone", lambda: theorem3.check_monotone(pair)
    yield "proposition 1, limit", lambda: theorem3.check_limit(pair, judging)
    yield "proposition 1, formula", lambda: theorem3.check_limit_formula(pair)
    yield "theorem 4, linear programs", lambda: theorem4.check_program(some(3))
    yield "theorem 4, between 0 and A", lambda: theorem4.check_between(some(4))
    yield "theorem 4, random search", lambda: theorem4.check_search(some(5))
    yield "theorem 5, over-acceptance", lambda: theorem5.check_over_acceptance(some(6))
    yield "theorem 5, linear programs", lambda: theorem5.check_between(some(7))
    for drafts in parts.batch:
        yield (
            f"algorithm 4 as proved, {drafts} drafts",
            lambda m=drafts: algorithm4.check_proved(some(8), m),
        )
        yield (
            f"algorithm 4 as printed, {drafts} drafts",
            lambda m=drafts: algorithm4.check_printed(some(8), m),
        )
    if pair.states <= front.MOST_STATES:
        yield "sequence front", lambda: front.check_program(pair, seed, judging=judging)
    yield "block verification", lambda: block.check_joint_law(pair, seed)
    yield "block verification, calls", lambda: block.check_calls(pair, seed)
    yield "block verification, gain", lambda: block.check_never_more_calls(pair)
    decoder = parts.biased.task.decoder
    yield "biased chain, formula", lambda: biased.check_formula(pair, decoder)
    yield "biased chain, simulation", lambda: _simulated_biased(told, parts.biased)
    yield (
        "biased chain, step by step",
        lambda: biased.check_steps(pair, decoder, sequence_total_variation(pair, decoder)),
    )


def _simulated_speculative(told: Presentation, one: Job) -> list[Check]:
    mean, tokens = _verdicts(told, one, expected_rejections=theorem1.printed_rejections(one.pair))
    return [simulated(theorem1.SIMULATED_REJECTIONS, mean), simulated(theorem1.SIMULATED_TOKENS, tokens)]


def _simulated_batch(told: Presentation, one: Job) -> list[Check]:
    drafts = one.task.decoder.drafts
    printed = theorem3_expected_rejections(one.pair, drafts)
    verdicts = _verdicts(told, one, expected_rejections=printed)
    return [*map(simulated, theorem3.simulated_claims(drafts), verdicts)]


def _simulated_biased(told: Presentation, one: Job) -> list[Check]:
    pair, decoder = one.pair, one.task.decoder
    rejections, marginals, _ = biased.walk(pair, decoder)
    loss = sequence_total_variation(pair, decoder)
    mean, tokens, total_variation = _verdicts(
        told, one, loss, expected_rejections=rejections, token_marginals=marginals
    )
    return [
        simulated(biased.SIMULATED_REJECTIONS, mean, biased.spelled(decoder)),
        simulated(biased.SIMULATED_TOKENS, tokens, biased.spelled(decoder)),
        biased.check_simulated_loss(total_variation, decoder, loss),
    ]


def _verdicts(told: Presentation, one: Job, loss: Bracket | None = None, **exact) -> list[Verdict]:
    """The verdicts on mean, tokens and (biased) loss, against the numbers of the formulas that are given.

    The target's own marginals stand for the predicted ones of an unbiased decoder.
    """
    exact.setdefault("token_marginals", theorem1.target_tokens(one.pair))
    prediction = dataclasses.replace(told.prediction(one), **exact)
    mean, _, *others = judge("", one, told.result(one), prediction, loss, told.settings.judging)
    return [mean, *others]


def _told(checks: Iterator[tuple[str, Callable[[], Check | list[Check]]]]) -> Iterator[Check]:
    """The checks one by one; says every few seconds which one is begun.

    What cannot be decided on this pair, or not in this memory, is one check that says so; the others go on.
    Other errors, the user's mistakes among them, are errors.
    """
    told = time.monotonic()
    for words, make in checks:
        if time.monotonic() - told > PATIENCE:
            print(f"simlab: checking {words}", file=sys.stderr, flush=True)
            told = time.monotonic()
        try:
            made = make()
        except (Undecided, MemoryError) as reason:
            made = undecided(Claim(words, "own", UNDECIDED, "not found", "not found"), "", reason)
        yield from made if isinstance(made, list) else [made]
