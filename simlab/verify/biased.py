"""Biased decoding on a chain (own; Yin et al. 2024 leave whole sequences open): the output chain and its
cost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from simlab.decoders import BiasedSpeculative
from simlab.evidence import Verdict
from simlab.pairs import ChainPair
from simlab.theory import predict
from simlab.verify.acceptance import fair_rule
from simlab.verify.check import Check
from simlab.verify.compare import Claim, at_least, equal, rounding, simulated
from simlab.verify.places import distance, steps_of

SOURCE = "own, after Yin et al. 2024, Section 4"
SIMULATED_REJECTIONS = Claim(
    "biased chain, simulation",
    SOURCE,
    "The sampler of biased decoding rejects as many tokens on average as the formula says",
    "simulated E[N_rej]",
    "formula",
)
SIMULATED_TOKENS = Claim(
    "biased chain, tokens",
    SOURCE,
    "Every token of biased decoding follows its output chain",
    "simulated",
    "output chain",
)


def walk(pair: ChainPair, decoder: BiasedSpeculative) -> tuple[float, np.ndarray, float]:
    """(E[N_rej], token marginals (T, V), sum over steps of the expected loss of a step), from the definition.

    The distribution of the last token is carried through the output chain, output = b draft + P(reject) P
    with b = min(1, (target + epsilon)/draft); a step's loss is TV(output, target) after that token.
    """
    distribution, rejections, loss, tokens = pair.initial, 0.0, 0.0, []
    for draft, target in zip(pair.draft, pair.target, strict=True):
        accepted = fair_rule(draft, target + decoder.epsilon) * draft
        rejected = np.maximum(draft - accepted, 0.0).sum(axis=1)
        output = accepted + rejected[:, None] * _replacement(accepted, draft, target, decoder.replacement)
        rejections += float(distribution @ rejected)
        loss += float(distribution @ distance(output, target))
        distribution = distribution @ output
        tokens.append(distribution)
    return rejections, np.array(tokens), loss


def check_formula(pair: ChainPair, decoder: BiasedSpeculative) -> Check:
    """E[N_rej] along the output chain against the mean of the exact distribution of N_rej."""
    claim = Claim(
        "biased chain, formula",
        SOURCE,
        "Biased decoding rejects sum_t E[P(reject)(x_{t-1})] tokens on average, x ~ its output chain",
        "formula",
        "mean of the exact distribution",
    )
    pmf = predict(pair, decoder).rejections_pmf
    mean = float(pmf @ np.arange(len(pmf)))
    scope = f"{steps_of(pair)}, {spelled(decoder)}"
    return equal(claim, walk(pair, decoder)[0], mean, tolerance=rounding(pair), scope=scope)


def check_steps(pair: ChainPair, decoder: BiasedSpeculative, total_variation) -> Check:
    """The losses of the steps, added up along the output chain, are at least the loss of the sequence.

    total_variation: the bracket `sequence_total_variation` of theory.
    """
    claim = Claim(
        "biased chain, step by step",
        SOURCE,
        "The TV of the whole sequence is at most the sum of E[TV of a step], x ~ the output chain",
        "sum over steps",
        "sequence TV",
    )
    return at_least(
        claim,
        walk(pair, decoder)[2],
        total_variation.low,
        tolerance=rounding(pair),
        scope=f"{steps_of(pair)}, {spelled(decoder)}",
    )


def check_simulated_loss(verdict: Verdict, decoder: BiasedSpeculative, total_variation) -> Check:
    """The simulated loss of the sequence against the exact bracket, as `verdict` judged it.

    verdict: of `total_variation_verdict`. total_variation: the bracket; its half-width adds to the tolerance.
    """
    claim = Claim(
        "biased chain, sequence TV",
        SOURCE,
        "Biased sequences are as far from the target's in total variation as the certified bracket says",
        "simulated TV",
        "exact TV",
    )
    check = simulated(claim, verdict, spelled(decoder))
    low, high = total_variation.low, total_variation.high
    scope = f"{check.scope}, exact within [{low:.6g}, {high:.6g}]" if high > low else check.scope
    return replace(check, tolerance=check.tolerance + (high - low) / 2, scope=scope)


def _replacement(accepted, draft, target, name: str) -> np.ndarray:
    """The distribution that replaces a rejected token, (V, V), by its definition in `BiasedSpeculative`."""
    excess = {
        "optimal": np.maximum(target - accepted, 0.0),
        "residual": np.maximum(target - draft, 0.0),
        "target": target,
        "draft": draft,
    }[name]
    whole = excess.sum(axis=1, keepdims=True)
    return np.where(whole > 0, excess / np.where(whole > 0, whole, 1.0), target)


def spelled(decoder: BiasedSpeculative) -> str:
    """The decoder's settings, as a part of a check's scope."""
    return f"epsilon {decoder.epsilon:g}, replacement {decoder.replacement}"
