"""The settings of experiment=audit, checked, and the verifiers that it audits."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from simlab.auditing import expected, mistakes
from simlab.auditing.instances import Instance
from simlab.auditing.known import joint_distribution
from simlab.checks import check_count, check_number
from simlab.errors import SimlabError
from simlab.experiments.common.options import listed_numbers
from simlab.experiments.common.settings import Settings, whole

NAMES = ("window", "states", "audits", "shares", "resolutions", "false_alarm")
WINDOWS, MOST_STATES = (2, 3), 8
"""One uniform is wrong from two positions on; every draft is enumerated, once with every other draft."""

FLATTENED, WARMED, FILTERED = 0.2, 0.8, 0.2
"""How much raw rows differ: a share of the even distribution, a power, and the least share of the likeliest
token that a filter keeps."""

ONE_INSTANCE = "constant rows"
"""The instance that alone shows the bias of the second curve."""


@dataclass(frozen=True)
class Options:
    """The options of the experiment; see conf/experiment/audit.yaml."""

    window: int
    states: int
    audits: int
    shares: tuple[float, ...]
    resolutions: tuple[float, ...]
    false_alarm: float


@dataclass(frozen=True)
class Verifier:
    """A verifier that makes a mistake. play: of arrays, as `simlab.auditing.power.play` takes it; output: of
    an instance, the exact distribution of a call's completed tokens, by other code."""

    name: str
    play: Callable
    output: Callable[[Instance], np.ndarray]

    def sometimes(self, share: float) -> Verifier:
        """The same in a share of the calls, and right in the others."""

        def play(instance, tokens, draft, target, rng):
            emitted, accepted = mistakes.right(tokens, draft, target, rng)
            wrong_emitted, wrong_accepted = self.play(instance, tokens, draft, target, rng)
            wrong = rng.random(len(tokens)) < share
            return (
                np.where(wrong[:, None], wrong_emitted, emitted),
                np.where(wrong, wrong_accepted, accepted),
            )

        def output(instance):
            return (1 - share) * joint_distribution(instance) + share * self.output(instance)

        return Verifier(self.name, play, output)


RIGHT = Verifier("right", lambda _, *rows: mistakes.right(*rows), joint_distribution)


def _known(name: str, play: Callable, exact: Callable) -> Verifier:
    def output(instance):
        return expected.completed_distribution(instance, exact)

    return Verifier(name, lambda _, *rows: play(*rows), output)


def _changed(name: str, play: Callable, exact: Callable, change: str, size: float) -> Verifier:
    """A mistake with other rows: by the change of that name in `mistakes`, and by that in `expected`."""
    play = partial(play, change=partial(getattr(mistakes, change), **{_PARAMETERS[change]: size}))
    return _known(name, play, partial(exact, change=getattr(expected, change)(size)))


_PARAMETERS = {"flattened": "share", "warmed": "power", "filtered": "least"}

SHIPPED = (
    _known("every draft token accepted", mistakes.all_accepted, expected.all_accepted),
    _known("a greedy draft verified as if sampled", mistakes.greedy_as_sampled, expected.greedy_as_sampled),
    _known(
        "a third sequence's rows of the second",
        mistakes.rows_of_another_sequence,
        expected.rows_of_another_sequence,
    ),
    _known("replacement from the target", mistakes.target_replacement, expected.replacement_from_the_target),
    _known("one uniform for all positions", mistakes.shared_uniform, expected.one_uniform),
    _changed(
        "a filter at the bonus token only",
        mistakes.other_bonus_row,
        expected.other_row_of_the_bonus,
        "filtered",
        FILTERED,
    ),
    _changed(
        "the target's temperature missing in the test",
        mistakes.other_verified_rows,
        expected.other_rows_in_the_test,
        "warmed",
        WARMED,
    ),
    _changed("raw draft rows", mistakes.other_draft_rows, expected.other_draft_rows, "flattened", FLATTENED),
    _known("noise of the draft reused", mistakes.reused_noise, expected.reused_noise),
)
"""Mistakes that shipped in engines, about as fast as they are found."""

EVERYWHERE = next(one for one in SHIPPED if one.name == "replacement from the target")


def one_instance() -> Verifier:
    """All drafted tokens are accepted at the first position of one instance; elsewhere it is right."""

    def play(instance, tokens, draft, target, rng):
        emitted, accepted = mistakes.right(tokens, draft, target, rng)
        if instance.name == ONE_INSTANCE:
            rejected = accepted == 0
            emitted[rejected, 0] = tokens[rejected, 0]
        return emitted, accepted

    def output(instance):
        joint = joint_distribution(instance)
        if instance.name != ONE_INSTANCE:
            return joint
        draft, target = instance.true_draft[0, 0], instance.true_target[0, 0]
        after = joint.reshape(instance.states, -1) / target[:, None]
        return (draft[:, None] * after).ravel()

    return Verifier("accepted unseen, at the first position of one instance", play, output)


def options_of(settings: Settings) -> Options:
    """The experiment's options; SimlabError, in one line, for those that make no sense."""
    given = settings.options
    if unknown := [key for key in given if key not in NAMES]:
        raise SimlabError(f"no setting experiment.{unknown[0]}: audit has {', '.join(NAMES)}")
    needed = math.ceil(1 - math.log2(1 - settings.confidence))
    audits = check_count("experiment.audits", whole(given.get("audits")))
    if audits < needed:
        raise SimlabError(
            f"experiment.audits = {audits}: a median's interval with confidence {settings.confidence:g} "
            f"needs {needed} or more"
        )
    false_alarm = check_number("experiment.false_alarm", given.get("false_alarm"), above=0.0)
    if false_alarm >= 1:
        raise SimlabError(f"experiment.false_alarm = {false_alarm:g}: expected a probability below 1")
    return Options(
        check_count("experiment.window", whole(given.get("window")), *WINDOWS),
        check_count("experiment.states", whole(given.get("states")), least=2, most=MOST_STATES),
        audits,
        listed_numbers(settings, "shares", above=0.0, most=1.0),
        listed_numbers(settings, "resolutions", least=0.001, most=0.5),
        false_alarm,
    )
