"""The dial of a pair: how good its draft is, from useless to the target itself or to the pair's own draft.

pair=corpus: the part of the text that the draft has read. pair=mixture: its blur. Any other pair: so much of
the pair's own draft, blended with the target.
"""

from __future__ import annotations

import dataclasses

from simlab.decoders import Decoder
from simlab.experiments.common.jobs import instance, job
from simlab.experiments.common.options import listed_numbers
from simlab.experiments.common.settings import Settings
from simlab.pairs import ChainPair
from simlab.runs import Job

DIALS = {"corpus": "draft_fraction", "mixture": "blur"}
"""The option of a pair that says how good its draft is."""


def dial_values(settings: Settings) -> tuple[float, ...]:
    """experiment.fractions for pair=corpus, else experiment.blurs, rising; both are checked."""
    fractions = listed_numbers(settings, "fractions", above=0.0, most=1.0)
    blurs = listed_numbers(settings, "blurs", least=0.0, most=1.0)
    return fractions if settings.pair_name == "corpus" else blurs


def dial_name(settings: Settings) -> str:
    """What the dial turns, as axes have it."""
    names = {
        "corpus": "part of the text that the draft has read",
        "mixture": "blur of the draft",
    }
    return names.get(settings.pair_name, "share of the pair's own draft")


def better(settings: Settings) -> str:
    """How the draft gets as the dial rises, in a word."""
    return "better" if settings.pair_name == "corpus" else "worse"


def dial_pair(settings: Settings, value: float) -> ChainPair:
    """The pair with its draft as good as the dial says."""
    if settings.pair_name in DIALS:
        return instance(_turned(settings, value))[0]
    return _blended(instance(settings)[0], value)


def dial_job(settings: Settings, value: float, decoder: Decoder) -> Job:
    """The job of a decoder on the pair of `dial_pair`."""
    if settings.pair_name in DIALS:
        return job(_turned(settings, value), decoder)
    plain, blended = job(settings, decoder), dial_pair(settings, value)
    if value == 1:
        return plain
    identity = {**plain.task.pair, "blend": value, "digest": blended.digest}
    return Job(dataclasses.replace(plain.task, pair=identity), blended, plain.stop)


def _turned(settings: Settings, value: float) -> Settings:
    options = {**settings.pair_options, DIALS[settings.pair_name]: value}
    return dataclasses.replace(settings, pair_options=options)


def _blended(pair: ChainPair, value: float) -> ChainPair:
    """draft = (1 - value) target + value draft; the pair itself at 1."""
    if value == 1:
        return pair
    if pair.is_stationary:
        draft = (1 - value) * pair.target_rows[0] + value * pair.draft_rows[0]
        return ChainPair.stationary(draft, pair.target_rows[0], pair.initial, pair.horizon)
    return ChainPair((1 - value) * pair.target + value * pair.draft, pair.target, pair.initial)
