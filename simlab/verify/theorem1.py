"""Theorem 1 of Yin et al. 2024: what speculative decoding rejects, and that its output is the target's."""

from __future__ import annotations

import numpy as np

from simlab.decoders import Speculative
from simlab.pairs import ChainPair
from simlab.theory import predict
from simlab.verify.check import Check
from simlab.verify.compare import Claim, equal, rounding
from simlab.verify.places import distance, steps_of

SOURCE = "Yin et al. 2024, Theorem 1"
SIMULATED_REJECTIONS = Claim(
    "theorem 1, simulation",
    SOURCE,
    "The sampler of speculative decoding rejects as many tokens on average as the formula says",
    "simulated E[N_rej]",
    "printed formula",
)
SIMULATED_TOKENS = Claim(
    "theorem 1, tokens",
    SOURCE,
    "Speculative decoding is unbiased: every token follows the target",
    "simulated",
    "target alone",
)


def printed_rejections(pair: ChainPair) -> float:
    """sum_t E_{x_{t-1} ~ target}[TV(draft_t, target_t)(x_{t-1})], as Theorem 1 prints it."""
    distribution, total = pair.initial, 0.0
    for draft, target in zip(pair.draft, pair.target, strict=True):
        total += float(distribution @ distance(draft, target))
        distribution = distribution @ target
    return total


def target_tokens(pair: ChainPair) -> np.ndarray:
    """P(token t = y) when the target decodes alone, (T, V): the initial distribution carried through its
    chain."""
    distributions = [pair.initial]
    for target in pair.target:
        distributions.append(distributions[-1] @ target)
    return np.array(distributions[1:])


def check_formula(pair: ChainPair) -> Check:
    """The printed formula against the mean of the exact distribution of N_rej."""
    claim = Claim(
        "theorem 1, formula",
        SOURCE,
        "Speculative decoding rejects sum_t E[TV(draft_t, target_t)(x_{t-1})] tokens on average, x ~ target",
        "printed formula",
        "mean of the exact distribution",
    )
    pmf = predict(pair, Speculative()).rejections_pmf
    mean = float(pmf @ np.arange(len(pmf)))
    return equal(claim, printed_rejections(pair), mean, tolerance=rounding(pair), scope=steps_of(pair))
