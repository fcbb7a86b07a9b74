"""Every theorem of Yin et al. 2024 as a check on one pair: two numbers found independently each.

What the checks are is said in `simlab.verify`; here is which of them, on what, and what they are shown with.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

import numpy as np

from simlab.checks import check_count
from simlab.decoders import BatchSpeculative, BiasedSpeculative, Speculative
from simlab.errors import SimlabError
from simlab.evidence import Verdict
from simlab.experiments.common.jobs import Planned, instance, job
from simlab.experiments.common.judge import judge, judges_of
from simlab.experiments.common.options import counts_of
from simlab.experiments.common.outcome import Outcome, Presentation
from simlab.experiments.common.settings import Settings, only_point
from simlab.pairs import ChainPair
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
    drafts. places: how many (t, x) are looked at for claims about one position. names: of the
    checks that are made.
    """

    speculative: Job
    batch: dict[int, Job]
    biased: Job
    places: int
    names: frozenset[str] = frozenset()


def plan(points: list[Settings]) -> Planned[Parts]:
    """One job for each decoder whose theorem is held against a simulation by a check that is asked for."""
    settings = only_point(points)
    options = settings.options
    places = check_count("experiment.places", options.get("places"))
    one_sided = BiasedSpeculative(options.get("epsilon"), options.get("replacement"))
    batch = {drafts: job(settings, BatchSpeculative(drafts)) for drafts in counts_of(settings, "drafts")}
    parts = Parts(job(settings, Speculative()), batch, job(settings, one_sided), places)
    listed = list(_listed(settings, parts))
    names = _chosen(options.get("only"), [name for one in listed for name in one.names])
    needed = [one.job for one in listed if one.job is not None and names.intersection(one.names)]
    return Planned(settings, needed, replace(parts, names=names))


def present(planned: Planned[Parts], results: Mapping[str, Result]) -> Outcome:
    """The checks and their table, from the results of the planned jobs."""
    settings = planned.settings
    told = Presentation(settings, f"Theorems on {settings.pair_name}", results, settings.pair_name)
    chosen = [one for one in _listed(settings, planned.parts) if planned.parts.names.intersection(one.names)]
    unwanted = {name for one in chosen for name in one.names} - planned.parts.names
    checks = [check for check in _told(told, chosen) if check.name not in unwanted]
    level = np.format_float_scientific(settings.judging.false_alarm, trim="-", exp_digits=1)
    rows = [{**dataclasses.asdict(check), "status": str(check.status)} for check in checks]
    table = told.table("verify", CAPTION.format(false_alarm=level), rows)
    return told.outcome(checks=checks, tables=[table], notes=_notes(settings))


def _notes(settings: Settings) -> list[str]:
    """What was left out unasked, and why."""
    states = instance(settings)[0].states
    if states <= front.MOST_STATES or settings.options.get("only") is not None:
        return []
    return [
        f"The front of whole sequences is left out: two steps of {states} states are too large a linear "
        f"program over all algorithms; pairs of at most {front.MOST_STATES} states have it."
    ]


@dataclass(frozen=True)
class Listed:
    """A statement that can be checked. words: of progress. names: of the checks that `make` returns, told the
    results. job: whose result it is held against.
    """

    words: str
    names: tuple[str, ...]
    make: Callable[[Presentation], Check | list[Check]]
    job: Job | None = None


def _listed(settings: Settings, parts: Parts) -> Iterator[Listed]:
    """What can be checked on the pair, in the order of the paper."""
    pair, seed, judging = instance(settings)[0], settings.seed, settings.judging

    def one(words: str, make: Callable[[], Check], name: str | None = None) -> Listed:
        return Listed(words, (name or words,), lambda _: make())

    def some(purpose: int):
        return places(pair, parts.places, seed, purpose)

    yield one("theorem 1", lambda: theorem1.check_formula(pair), "theorem 1, formula")
    claims = theorem1.SIMULATED_REJECTIONS, theorem1.SIMULATED_TOKENS
    yield _simulated(claims[0].name, claims, _simulated_speculative, parts.speculative)
    yield one(
        "theorem 2, linear programs", lambda: theorem2.check_program(some(1)), "theorem 2, linear program"
    )
    yield one("theorem 2, random search", lambda: theorem2.check_search(some(2)))
    yield one("theorem 2, all histories", lambda: theorem2.check_histories(pair, seed))
    for drafts, simulated_job in parts.batch.items():
        name = f"theorem 3, formula, {drafts} drafts"
        yield one(f"theorem 3, {drafts} drafts", lambda m=drafts: theorem3.check_formula(pair, m), name)
        words, claims = f"theorem 3, {drafts} drafts, simulation", theorem3.simulated_claims(drafts)
        yield _simulated(words, claims, _simulated_batch, simulated_job)
    yield one("proposition 1, monotone", lambda: theorem3.check_monotone(pair))
    yield one("proposition 1, limit", lambda: theorem3.check_limit(pair, judging))
    yield one("proposition 1, formula", lambda: theorem3.check_limit_formula(pair))
    yield one(
        "theorem 4, linear programs", lambda: theorem4.check_program(some(3)), "theorem 4, linear program"
    )
    yield one("theorem 4, between 0 and A", lambda: theorem4.check_between(some(4)))
    yield one("theorem 4, random search", lambda: theorem4.check_search(some(5)))
    yield one("theorem 5, over-acceptance", lambda: theorem5.check_over_acceptance(some(6)))
    yield one(
        "theorem 5, linear programs", lambda: theorem5.check_between(some(7)), "theorem 5, any b between"
    )
    for drafts in parts.batch:
        proved, printed = (f"algorithm 4 as {how}, {drafts} drafts" for how in ("proved", "printed"))
        yield one(proved, lambda m=drafts: algorithm4.check_proved(some(8), m))
        yield one(printed, lambda m=drafts: algorithm4.check_printed(some(8), m))
    if pair.states <= front.MOST_STATES:
        name = "sequence front, linear program"
        yield one("sequence front", lambda: front.check_program(pair, seed, judging=judging), name)
    yield from _beyond_the_paper(pair, seed, parts.biased)


def _beyond_the_paper(pair: ChainPair, seed: int, biased_job: Job) -> Iterator[Listed]:
    """Of block verification and of biased decoding on a chain."""

    def one(words: str, make: Callable[[], Check], name: str | None = None) -> Listed:
        return Listed(words, (name or words,), lambda _: make())

    name = "block verification, window 2"
    yield one("block verification", lambda: block.check_joint_distribution(pair, seed), name)
    name = "block verification, calls at window 2"
    yield one("block verification, calls", lambda: block.check_calls(pair, seed), name)
    yield one("block verification, gain", lambda: block.check_never_more_calls(pair))
    decoder = biased_job.task.decoder
    yield one("biased chain, formula", lambda: biased.check_formula(pair, decoder))
    names = (biased.SIMULATED_REJECTIONS.name, biased.SIMULATED_TOKENS.name, "biased chain, sequence TV")
    yield Listed(
        "biased chain, simulation", names, lambda told: _simulated_biased(told, biased_job), biased_job
    )
    yield one(
        "biased chain, step by step",
        lambda: biased.check_steps(pair, decoder, sequence_total_variation(pair, decoder)),
    )


def _simulated(words: str, claims: Iterable[Claim], make: Callable, one: Job) -> Listed:
    return Listed(words, tuple(claim.name for claim in claims), lambda told: make(told, one), one)


def _chosen(only: str | list | None, names: list[str]) -> frozenset[str]:
    """The names that `experiment.only` chooses: all for null. Raises SimlabError where one chooses none.

    only: parts of names, in a list or with commas between them; case and the names' own commas do not matter,
    and * stands for anything. Example: "theorem 1, theorem 3" is the checks of both.
    """
    if only is None:
        return frozenset(names)
    listed = only if isinstance(only, list) else [only]
    if not listed or not all(isinstance(part, str) for part in listed):
        raise SimlabError(f"experiment.only = {only!r}: expected parts of names, e.g. 'theorem 1'")
    plain = {name: _without_commas(name) for name in names}

    def matching(part: str) -> set[str]:
        pattern = f"*{_without_commas(part)}*"
        return {name for name in names if pattern.strip("*") and fnmatchcase(plain[name], pattern)}

    chosen: set[str] = set()
    for given in listed:
        whole = matching(given)
        for part in [given] if whole else given.split(","):
            found = whole or matching(part)
            if not found:
                known = "; ".join(dict.fromkeys(names))
                raise SimlabError(f"no check {part.strip()!r}: known are {known}")
            chosen |= found
    return frozenset(chosen)


def _without_commas(name: str) -> str:
    return " ".join(name.lower().replace(",", " ").split())


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
    columns = [column for column in judges_of(one.task.decoder) if column != "verdict_law"]
    return judge("", one, told.result(one), prediction, loss, told.settings.judging, columns)


def _told(told: Presentation, chosen: Iterable[Listed]) -> Iterator[Check]:
    """The checks one by one; says every few seconds which one is begun.

    What cannot be decided on this pair, or not in this memory, is one check that says so; the others go on.
    Other errors, the user's mistakes among them, are errors.
    """
    last = time.monotonic()
    for one in chosen:
        if time.monotonic() - last > PATIENCE:
            print(f"simlab: checking {one.words}", file=sys.stderr, flush=True)
            last = time.monotonic()
        try:
            made = one.make(told)
        except (Undecided, MemoryError) as reason:
            made = undecided(Claim(one.words, "own", UNDECIDED, "not found", "not found"), "", reason)
        yield from made if isinstance(made, list) else [made]
