"""Every theorem of Yin et al. 2024 as a check on one pair: two numbers found independently each.

What the checks are is said in `simlab.verify`; here is which of them, on what, and what they are shown with.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable, Iterator, Mapping

from simlab.checks import check_count
from simlab.decoders import BatchSpeculative, BiasedSpeculative, Speculative
from simlab.errors import SimlabError
from simlab.evidence import Verdict
from simlab.experiments.common.estimates import exact_total_variation, judge, without_effect
from simlab.experiments.common.settings import (
    Exhibit,
    Outcome,
    Settings,
    folder_of,
    heading,
    instance,
    job,
    only_point,
)
from simlab.report.tables import save_table
from simlab.runs import Job, Result
from simlab.theory import predict, theorem3_expected_rejections
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
    "to the tolerance (rounding, or the half-width of an interval at false alarm 1e-6) the statement stands."
)
UNDECIDED = "Whether it holds on this pair could not be decided"
PATIENCE = 2.0
"""Seconds after which a check that is begun says so."""


def jobs(points: list[Settings]) -> list[Job]:
    """One job for each decoder whose theorem is held against a simulation."""
    settings = only_point(points)
    _places(settings)
    return [job(settings, decoder) for decoder in _decoders(settings)]


def present(points: list[Settings], results: Mapping[str, Result]) -> Outcome:
    """The checks and their table, from the results of `jobs`."""
    import pandas as pd

    settings = only_point(points)
    checks = list(_told(_checks(settings, results)))
    folder = folder_of(settings, settings.pair_name)
    rows = pd.DataFrame([{**dataclasses.asdict(check), "status": str(check.status)} for check in checks])
    table = Exhibit("verify", CAPTION, save_table(folder, "verify", rows))
    title = heading(settings, f"Theorems on {settings.pair_name}")
    notes = _notes(settings) + without_effect(settings, "decoder")
    return Outcome(title, folder, checks=checks, tables=[table], notes=notes)


def _notes(settings: Settings) -> list[str]:
    """What was left out, and why."""
    states = instance(settings)[0].states
    if states <= front.MOST_STATES:
        return []
    return [
        f"The front of whole sequences is left out: two steps of {states} states are too large a linear "
        f"program over all algorithms; pairs of at most {front.MOST_STATES} states have it."
    ]


def _checks(
    settings: Settings, results: Mapping[str, Result]
) -> Iterator[tuple[str, Callable[[], Check | list[Check]]]]:
    """What is checked, in words, and how, in the order of the paper."""
    pair = instance(settings)[0]
    seed = settings.seed

    def some(purpose: int):
        return places(pair, _places(settings), seed, purpose)

    yield "theorem 1", lambda: theorem1.check_formula(pair)
    yield "theorem 1, simulation", lambda: _simulated_speculative(settings, results)
    yield "theorem 2, linear programs", lambda: theorem2.check_program(some(1))
    yield "theorem 2, random search", lambda: theorem2.check_search(some(2))
    yield "theorem 2, all histories", lambda: theorem2.check_histories(pair, seed)
    for drafts in _drafts(settings):
        yield f"theorem 3, {drafts} drafts", lambda m=drafts: theorem3.check_formula(pair, m)
        yield (
            f"theorem 3, {drafts} drafts, simulation",
            lambda m=drafts: _simulated_batch(settings, results, m),
        )
    yield "proposition 1, monotone", lambda: theorem3.check_monotone(pair)
    yield "proposition 1, limit", lambda: theorem3.check_limit(pair)
    yield "proposition 1, formula", lambda: theorem3.check_limit_formula(pair)
    yield "theorem 4, linear programs", lambda: theorem4.check_program(some(3))
    yield "theorem 4, between 0 and A", lambda: theorem4.check_between(some(4))
    yield "theorem 4, random search", lambda: theorem4.check_search(some(5))
    yield "theorem 5, over-acceptance", lambda: theorem5.check_over_acceptance(some(6))
    yield "theorem 5, linear programs", lambda: theorem5.check_between(some(7))
    for drafts in _drafts(settings):
        yield (
            f"algorithm 4 as proved, {drafts} drafts",
            lambda m=drafts: algorithm4.check_proved(some(8), m),
        )
        yield (
            f"algorithm 4 as printed, {drafts} drafts",
            lambda m=drafts: algorithm4.check_printed(some(8), m),
        )
    if pair.states <= front.MOST_STATES:
        yield "sequence front", lambda: front.check_program(pair, seed)
    yield "block verification", lambda: block.check_joint_law(pair, seed)
    yield "block verification, calls", lambda: block.check_calls(pair, seed)
    yield "block verification, gain", lambda: block.check_never_more_calls(pair)
    decoder = _biased(settings)
    yield "biased chain, formula", lambda: biased.check_formula(pair, decoder)
    yield "biased chain, simulation", lambda: _simulated_biased(settings, results)
    yield (
        "biased chain, step by step",
        lambda: biased.check_steps(pair, decoder, exact_total_variation(pair, decoder)),
    )


def _simulated_speculative(settings: Settings, results: Mapping[str, Result]) -> list[Check]:
    pair = instance(settings)[0]
    mean, tokens = _verdicts(
        settings, results, Speculative(), expected_rejections=theorem1.printed_rejections(pair)
    )
    return [simulated(theorem1.SIMULATED_REJECTIONS, mean), simulated(theorem1.SIMULATED_TOKENS, tokens)]


def _simulated_batch(settings: Settings, results: Mapping[str, Result], drafts: int) -> list[Check]:
    pair = instance(settings)[0]
    printed = theorem3_expected_rejections(pair, drafts)
    verdicts = _verdicts(settings, results, BatchSpeculative(drafts), expected_rejections=printed)
    return [*map(simulated, theorem3.simulated_claims(drafts), verdicts)]


def _simulated_biased(settings: Settings, results: Mapping[str, Result]) -> list[Check]:
    pair = instance(settings)[0]
    decoder = _biased(settings)
    rejections, marginals, _ = biased.walk(pair, decoder)
    loss = exact_total_variation(pair, decoder)
    mean, tokens, total_variation = _verdicts(
        settings, results, decoder, expected_rejections=rejections, token_marginals=marginals
    )
    return [
        simulated(biased.SIMULATED_REJECTIONS, mean, biased.spelled(decoder)),
        simulated(biased.SIMULATED_TOKENS, tokens, biased.spelled(decoder)),
        biased.check_simulated_loss(total_variation, decoder, loss),
    ]


def _verdicts(settings: Settings, results: Mapping[str, Result], decoder, **exact) -> list[Verdict]:
    """The verdicts on mean, tokens and (biased) loss, against the numbers of the formulas that are given.

    The target's own marginals stand for the predicted ones of an unbiased decoder.
    """
    pair = instance(settings)[0]
    one = job(settings, decoder)
    prediction = predict(pair, decoder)
    exact.setdefault("token_marginals", theorem1.target_tokens(pair))
    mean, _, *others = judge("", one, results[one.task.id], dataclasses.replace(prediction, **exact))
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


def _decoders(settings: Settings) -> list:
    return [Speculative(), *(BatchSpeculative(m) for m in _drafts(settings)), _biased(settings)]


def _biased(settings: Settings) -> BiasedSpeculative:
    return BiasedSpeculative(settings.options.get("epsilon"), settings.options.get("replacement"))


def _places(settings: Settings) -> int:
    return check_count("experiment.places", settings.options.get("places"))


def _drafts(settings: Settings) -> list[int]:
    drafts = settings.options.get("drafts")
    if not isinstance(drafts, list) or not drafts:
        raise SimlabError(f"experiment.drafts = {drafts!r}: give a list of whole numbers, e.g. [2, 4]")
    return list(dict.fromkeys(check_count("experiment.drafts", count) for count in drafts))
