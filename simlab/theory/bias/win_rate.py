"""WinRate: whose response does the target itself think more likely? (Yin et al. 2024, Tables 1 and 2; own.)

Given x_0 two decoders each write T tokens, independently. The judge is S(x) = log target(x_1..x_T | x_0): the
larger S wins, a tie is half a win. With D the difference of the two scores the first one's WinRate is

    W = 1/2 + E[sign(D)] / 2.

Small instances are enumerated. Otherwise (own) W comes from the characteristic function of D, at frequencies
2 pi n / P alone. With psi(x) = x - floor(x) - 1/2, and 0 at whole x, sign(D)/2 = D/P - psi(D/P) wherever
|D| < P, ties included. Vaaler (1985, Theorem 18) approximates psi by an odd trigonometric polynomial psi* of
degree N with |psi - psi*| <= F/(2N + 2), F the Fejer kernel; so W is certainly within E[F(D/P)]/(2N + 2) of

    1/2 + E[D]/P - E[psi*(D/P)],

and all of this is a sum over the characteristic function, which a backward recursion gives exactly for each
x_0. Where both responses are the same the error is 0, since psi* is odd: their probability, known exactly, is
taken out. P is large enough that |D| never reaches it, or hardly ever, by an exact exponential moment.

Scores within TIE are a tie too, as if D were 0, and P is at least 16 N TIE. So x = |D|/P <= 1/(16 N) there,
and the bracket holds the tie as well as the win: psi* has coefficients of at most 1/(pi n), so that |x -
psi*(x)| <= (2N + 1) x <= 3/16, while F(x)/(2N + 2) >= (1 - pi^2 x^2 N (N + 2)/3)/2 >= 0.48.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simlab.checks import check_count
from simlab.decoders import Decoder
from simlab.pairs.pair import ChainPair
from simlab.progress import stepping
from simlab.theory.bias.total_variation import Bracket
from simlab.theory.dispatch import output_chain

TIE = 1e-9
"""Two scores this close are a tie: a sum of logarithms in another order is not another likelihood."""

ENUMERATED = 2**16
"""Up to this many sequences are looked at one by one."""

WORK = 4e9
"""About how many products the characteristic functions take: tens of seconds at most."""

LEAST_FREQUENCIES, MOST_FREQUENCIES = 64, 2048
TAIL = 1e-9
"""What leaving out the differences beyond P may cost."""
ROUNDING = 1e-10


def win_rates(
    pair: ChainPair, matches: Sequence[tuple[Decoder, Decoder]], *, frequencies: int | None = None
) -> list[Bracket]:
    """The WinRate of the first decoder of each match against the second, averaged over x_0 ~ initial.

    Returns a certified Bracket for each match. For all else see `win_rates_by_start`.
    """
    low, high = win_rates_by_start(pair, matches, frequencies=frequencies)
    initial = pair.initial / pair.initial.sum()
    return [
        Bracket(*(float(min(initial @ end, 1.0)) for end in ends)) for ends in zip(low, high, strict=True)
    ]


def win_rates_by_start(
    pair: ChainPair, matches: Sequence[tuple[Decoder, Decoder]], *, frequencies: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The WinRate of each match given x_0: (low, high), (matches, V) each, that certainly hold it.

    A response that the target cannot give scores -inf and loses to every other; two such tie. Two scores
    that differ by TIE or less tie. Responses follow rows divided by their sums, the judge takes the target's
    as they are. low = high, exact to rounding, where V^T is at most ENUMERATED, unless scores differ by TIE
    itself but for their rounding: then low to high has both answers. frequencies: N of the module's head, by
    default what WORK allows. Decoders that several matches share are computed once. Time O(T V^2 N) for each
    decoder. Raises SimlabError for anything but a pair and decoders, and for frequencies that are not a whole
    number >= 1.
    """
    if frequencies is not None:
        frequencies = check_count("frequencies", frequencies)
    decoders = list(dict.fromkeys(decoder for match in matches for decoder in match))
    chains = [_distributions(output_chain(pair, decoder)) for decoder in decoders]
    indices = [tuple(decoders.index(decoder) for decoder in match) for match in matches]
    if frequencies is None and pair.horizon * np.log(pair.states) <= np.log(ENUMERATED):
        return _enumerated(pair, chains, indices)
    if frequencies is None:
        work = pair.horizon * pair.states**2 * len(chains)
        frequencies = int(np.clip(WORK / work, LEAST_FREQUENCIES, MOST_FREQUENCIES))
    return _by_frequencies(pair, chains, indices, frequencies)


def _distributions(chain: np.ndarray) -> np.ndarray:
    """The chain with rows divided by their sums, which T steps would carry to T times 1e-9 off 1."""
    distinct = chain[:1] if chain.strides[0] == 0 else chain
    return np.broadcast_to(distinct / distinct.sum(axis=-1, keepdims=True), chain.shape)


def _enumerated(pair: ChainPair, chains, indices) -> tuple[np.ndarray, np.ndarray]:
    """W = (P(D > TIE) + P(D >= -TIE)) / 2, with TIE a rounding of the scores larger and smaller."""
    low, high = np.empty((2, len(indices), pair.states))
    for start in range(pair.states):
        last, score = np.array([start]), np.zeros(1)
        shares = np.ones((len(chains), 1))
        for t, target in enumerate(pair.target):
            with np.errstate(divide="ignore"):
                score = (score[:, None] + np.log(target)[last]).ravel()
            rows = np.array([chain[t][last] for chain in chains])
            shares = (shares[:, :, None] * rows).reshape(len(chains), -1)
            last = np.tile(np.arange(pair.states), len(last))
        order = np.argsort(score)
        score, shares = score[order], shares[:, order]
        lowest = score[np.isfinite(score)].min(initial=0.0)
        score = np.maximum(score, lowest - 1.0)  # of what the target cannot give: below all others
        rounding = 4 * np.finfo(float).eps * pair.horizon * (1.0 - lowest)
        near, far = TIE - rounding, TIE + rounding
        reached = [np.searchsorted(score, score - ahead, side="right") for ahead in (far, -near, near, -far)]
        for match, (first, second) in enumerate(indices):
            below = np.concatenate([[0.0], np.cumsum(shares[second])])
            won = [shares[first] @ below[ranks] for ranks in reached]
            low[match, start], high[match, start] = (won[0] + won[1]) / 2, (won[2] + won[3]) / 2
    return np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0)


def _by_frequencies(pair: ChainPair, chains, indices, frequencies: int) -> tuple[np.ndarray, np.ndarray]:
    """Vaaler's approximation of each match, less and more its error."""
    shares, means = _moments(pair, chains)
    period, tail = _period(pair, chains, indices)
    period = max(period, 16 * frequencies * TIE)
    values = _characteristic(pair, chains, 2 * np.pi / period * np.arange(1, frequencies + 1))
    orders = np.arange(1, frequencies + 1)
    part = orders / (frequencies + 1)
    weights = (np.pi * part * (1 - part) / np.tan(np.pi * part) + part) / (np.pi * orders)
    centres, widths = np.empty((2, len(indices), pair.states))
    for match, (first, second) in enumerate(indices):
        both = shares[first] * shares[second]
        product = values[first] * values[second].conj()  # (V, N)
        centres[match] = both / 2 + product.imag @ weights
        centres[match] += (means[first] * shares[second] - means[second] * shares[first]) / period
        centres[match] += (
            shares[first] * (1 - shares[second]) + (1 - shares[first]) * (1 - shares[second]) / 2
        )
        kernel = both + 2 * product.real @ (1 - part)
        error = kernel / (2 * frequencies + 2) - _same(pair, chains[first], chains[second]) / 2
        widths[match] = np.maximum(error, 0.0) + tail + ROUNDING
    return np.clip(centres - widths, 0.0, 1.0), np.clip(centres + widths, 0.0, 1.0)


def _scores(target: np.ndarray) -> np.ndarray:
    """log target, and 0 where the target is 0: there the kernels below are 0."""
    return np.log(np.where(target > 0, target, 1.0))


def _moments(pair: ChainPair, chains) -> tuple[np.ndarray, np.ndarray]:
    """P(the score is finite) and E[score; finite] given x_0, (C, V) each."""
    shares = np.ones((len(chains), pair.states))
    means = np.zeros_like(shares)
    for t in stepping(range(pair.horizon)[::-1], "the win rate"):
        score = _scores(pair.target[t])
        for c, chain in enumerate(chains):
            live = np.where(pair.target[t] > 0, chain[t], 0.0)
            means[c] = (live * score) @ shares[c] + live @ means[c]
            shares[c] = live @ shares[c]
    return np.minimum(shares, 1.0), means


def _same(pair: ChainPair, first, second) -> np.ndarray:
    """P(both responses are one and the same, with a finite score) given x_0, (V,)."""
    same = np.ones(pair.states)
    for t in stepping(range(pair.horizon)[::-1], "the win rate"):
        same = np.where(pair.target[t] > 0, first[t] * second[t], 0.0) @ same
    return same


def _period(pair: ChainPair, chains, indices) -> tuple[float, float]:
    """(P, at most what differences of P and beyond change in W), for all matches and all x_0.

    Beyond P sign(D)/2 is off by at most |D|/P, and for theta >= 1/P u/P <= exp(theta (u - P)) at u >= P; so
    by at most exp(-theta P) (M(theta) + M(-theta)) on average, M the moment generating function of D.
    """
    reach = 1.0001 * _range(pair, chains)
    if reach == 0:
        return 1.0, 0.0
    needed = np.full((len(indices), pair.states), np.inf)
    for theta in np.geomspace(1e-3, 4.0, 24):
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            up, down = (_characteristic(pair, chains, [sign * theta])[:, :, 0] for sign in (-1j, 1j))
            for match, (first, second) in enumerate(indices):
                moments = up[first] * down[second] + down[first] * up[second]
                bounds = np.maximum(np.log(moments / TAIL), 1.0) / theta
                needed[match] = np.fmin(needed[match], bounds)  # not where it overflowed
    period = float(needed.max())
    return (period, TAIL) if period < reach else (reach, 0.0)


def _range(pair: ChainPair, chains) -> float:
    """The largest difference of two finite scores after any x_0."""
    least, largest = np.zeros(pair.states), np.zeros(pair.states)
    for t in stepping(range(pair.horizon)[::-1], "the win rate"):
        live = (pair.target[t] > 0) & np.any([chain[t] > 0 for chain in chains], axis=0)
        score = _scores(pair.target[t])
        least = np.min(score + least, axis=1, where=live, initial=np.inf)
        largest = np.max(score + largest, axis=1, where=live, initial=-np.inf)
    return float((largest - least)[largest >= least].max(initial=0.0))


def _characteristic(pair: ChainPair, chains, frequencies) -> np.ndarray:
    """E[exp(i w S); S finite] for each chain, x_0 and frequency w: (C, V, F). w = -i theta: real moments."""
    frequencies = np.asarray(frequencies)
    kind = float if frequencies.dtype.kind == "c" else complex
    found = np.empty((len(chains), pair.states, len(frequencies)), kind)
    block = max(2**15 // (len(chains) * pair.states**2), 1)  # well within a core's cache
    stationary = all(chain.strides[0] == 0 for chain in (pair.target, *chains))
    for start in range(0, len(frequencies), block):
        some = frequencies[start : start + block]
        value = np.ones((len(chains), len(some), pair.states), kind)
        kernels = None
        for t in stepping(range(pair.horizon)[::-1], "the win rate"):
            if kernels is None or not stationary:
                live = np.array([np.where(pair.target[t] > 0, chain[t], 0.0) for chain in chains])
                kernels = _powers(_scores(pair.target[t]), some) * live[:, None]
            value = _applied(kernels, value)
        found[:, :, start : start + block] = value.transpose(0, 2, 1)
    return found


def _applied(kernels: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Each kernel (.., V, V) times its vector (.., V).

    In blocks of rows so small that the linear algebra library does not share one out between threads: for
    that they are far too many, and where cores are busy the threads would wait for each other all the time.
    """
    states = vectors.shape[-1]
    rows = max(4000 // states, 1)
    parts = [kernels[..., row : row + rows, :] @ vectors[..., None] for row in range(0, states, rows)]
    return np.concatenate(parts, axis=-2)[..., 0]


def _powers(scores: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """exp(i w s) for each frequency w and score s, (F, V, V); real where w is imaginary."""
    angles = frequencies[:, None, None] * scores
    return np.exp(-angles.imag) if angles.dtype.kind == "c" else np.cos(angles) + 1j * np.sin(angles)
