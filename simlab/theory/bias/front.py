"""The front of rejections and bias on whole sequences, over all rejection-based algorithms (own).

Yin et al. 2024, Theorem 5, draws it for one token, where it is a line, and leaves sequences open. Here: which
E[N_rej] and which total variation TV between the distributions of x_1..x_T (given x_0, averaged) can be had
together, by whatever rules of acceptance and replacement, which may depend on the whole prefix, on what was
rejected before and on coins?

*A dynamic programme.* Let a prefix w have mass k = P(output starts with w) and q = P(target does), ending in
x at step t. The algorithm chooses the masses k_y of its continuations, sum_y k_y = k. As k draft(y | x) is
proposed, [k_y - k draft(y | x)]_+ at least must come from replacements, and this much is enough; and
TV = sum over leaves of [q - k]_+. So the least of (replacements below w) + weight * (loss below w) depends
on w through (t, x, k, q) alone, is convex and homogeneous of degree 1 in (k, q), and is q v_t(x, k/q) with

    v_T(x, r) = weight [1 - r]_+
    v_t(x, r) = min over k_y >= 0 of sum_y [k_y - r draft(y)]_+ + target(y) v_{t+1}(y, k_y / target(y)),
                sum_y k_y = r.

The answer is v_0(x_0, 1). A step with multiplier m takes k_y = the median of a_y(m - 1), r draft(y) and
a_y(m), where target(y) v_{t+1} has slope m at k_y = a_y(m): more than is proposed only where a replacement
pays, less only where what is proposed is worth less than elsewhere.

*An upper bound, attained.* v is kept at nodes r_i. In between, the straight line: a coin that sends the
prefix to one of the two nodes, with k and q preserved on average, is an algorithm too. The masses k_y need
not be the best ones, so any multiplier will do. E[N_rej] and TV of this algorithm follow along.

*A lower bound.* Let h(mu) = max_r mu r - v(r). For any mu_y that lie within an interval [m - 1, m], m <= 0,

    v_t(x, r) >= r sum_y draft(y) mu_y - sum_y target(y) h_{t+1, y}(mu_y):

add target(y) v >= mu_y k_y - target(y) h(mu_y) and [k_y - r draft(y)]_+ >= (m - mu_y)(k_y - r draft(y)) over
y. It is a line in r. Of v no more is kept than lines below it, one a node and step, as points (slope mu,
height h). Then h is at most the lower convex hull of these points: as v is above each line, mu r - v(r) <=
h_i at mu = mu_i for all r, and so are means of such. Any m will do: the upper bound's multiplier is taken.
Given m the terms of the sum do not depend on each other, and the best mu_y is where r draft(y) mu -
target(y) h(mu), concave in mu, is largest: at the point of the hull between whose two slopes r draft(y) /
target(y) lies, or at the end of [m - 1, m] next to it. (The slopes of the upper bound's v would not do:
where v is flat but not at its least, they say 0, and h(0) = 0 says nothing of v.)
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from simlab.checks import check_count, check_number
from simlab.decoders import Speculative
from simlab.pairs.pair import ChainPair, check_pair
from simlab.progress import stepping
from simlab.theory.bias.total_variation import chains_total_variation
from simlab.theory.horizon.forward import rejections_per_position

LEVELS = 1024
"""About how many multipliers are looked at."""

REACH = 1000.0
"""Nodes lie between 1/REACH and REACH, with 0 below: whatever the mass, that is certified all the same."""

WORK = 1e6
"""About T V^2 times the number of nodes, for a time of half a second."""

LEAST_NODES, MOST_NODES = 40, 600

HEAVIEST = 4096.0
"""The largest weight: multipliers go in steps of a whole part of 1 from there to 0."""


class FrontPoint(NamedTuple):
    """An algorithm that exists, and a line below which none does.

    rejections: E[N_rej] of the algorithm. total_variation: at least its TV. least: every algorithm has
    E[N_rej] + weight * TV >= least, which is <= rejections + weight * total_variation.
    """

    weight: float
    rejections: float
    total_variation: float
    least: float


def sequence_tradeoff(pair: ChainPair, weights: Iterable[float], *, nodes: int | None = None):
    """The algorithm with about the least E[N_rej] + weight * TV, and a bound for all: a list of FrontPoint.

    weights: numbers in [0, 4096], what a unit of total variation is worth in rejections. nodes: of the grid
    of k/q, at least 3; by default as many as take half a second a weight. Time O(T V^2 nodes). Rows are
    divided by their sums. Raises SimlabError if it is not a pair, and weights or nodes out of range. Source:
    own, see the module's head.
    """
    check_pair(pair)
    if nodes is None:
        nodes = int(np.clip(WORK / (pair.horizon * pair.states**2), LEAST_NODES, MOST_NODES))
    ratios = _nodes(pair, check_count("nodes", nodes, least=3))
    weights = [check_number("weight", weight, least=0.0, most=HEAVIEST) for weight in weights]
    return [_point(pair, weight, ratios) for weight in weights]


class Front(NamedTuple):
    """What is possible and what is not. rejections, total_variation: (K,) points that algorithms attain, the
    first by rising, the second by falling, on a convex curve whose first point is drafting alone and whose
    last is speculative decoding; a coin attains the straight lines between them. weights, least: (L,), no
    algorithm has rejections + weight * total_variation < least.
    """

    rejections: np.ndarray
    total_variation: np.ndarray
    weights: np.ndarray
    least: np.ndarray

    def __repr__(self) -> str:
        return (
            f"Front({len(self.rejections)} points from (0, {self.total_variation[0]:.6g}) to "
            f"({self.rejections[-1]:.6g}, 0), {len(self.weights)} lower bounds)"
        )


def sequence_front(pair: ChainPair, queries: int = 16, *, nodes: int | None = None) -> Front:
    """The front of E[N_rej] and the sequence's total variation, from both sides, by `queries` weights.

    Starts from the straight line between drafting alone and speculative decoding and asks `sequence_tradeoff`
    for the weight at which the longest piece of the curve so far could be bettered. One more line comes for
    nothing: outputs differ from the draft's only where something was rejected, so that TV(output, draft) <=
    P(N_rej >= 1) <= E[N_rej] and E[N_rej] + TV >= TV(draft, target). Raises SimlabError as
    `sequence_tradeoff` does.
    """
    queries = check_count("queries", queries)
    alone = chains_total_variation(pair.draft, pair.target, pair.initial)
    unbiased = float(rejections_per_position(pair, Speculative()).sum())
    corners = [(0.0, alone.high), (unbiased, 0.0)]
    lines = [(1.0, alone.low)]
    settled: set[float] = set()
    for _ in range(queries):
        weight = _most_open(corners, settled)
        if weight is None:
            break
        settled.add(weight)
        (point,) = sequence_tradeoff(pair, [weight], nodes=nodes)
        corners = _convex([*corners, (point.rejections, point.total_variation)])
        lines.append((weight, point.least))
    return Front(*np.array(corners).T, *np.array(lines).T)


def front_floor(front: Front, rejections) -> np.ndarray:
    """A total variation below which no algorithm with that E[N_rej] comes; shape of `rejections`."""
    rejections = np.asarray(rejections, float)
    return np.maximum((front.least - rejections[..., None]) / front.weights, 0.0).max(axis=-1)


def _most_open(corners: list[tuple[float, float]], settled: set[float]) -> float | None:
    """The weight of the longest piece that was not asked for yet, lengths as parts of the whole."""
    (_, high), (far, _) = corners[0], corners[-1]
    best, found = 1e-3, None
    for (n, loss), (more, less) in itertools.pairwise(corners):
        if loss - less <= 1e-6 * high:  # straight down or nearly so: no finite weight
            continue
        weight = (more - n) / (loss - less)
        length = (more - n) / far + (loss - less) / high if far > 0 else 0.0
        if length > best and weight not in settled and weight <= HEAVIEST:
            best, found = length, weight
    return found


def _convex(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The lower convex hull of points, between the first and the last of them by their rejections."""
    hull: list[tuple[float, float]] = []
    for x, y in sorted(points):
        while len(hull) > 1:
            (a, b), (c, d) = hull[-2:]
            if (c - a) * (y - b) - (d - b) * (x - a) > 0:
                break
            hull.pop()
        hull.append((x, y))
    return hull


def _nodes(pair: ChainPair, nodes: int) -> np.ndarray:
    """0 and ratios k/q around 1, evenly spaced in log, as far as the draft can carry them or to REACH."""
    both = (pair.draft_rows > 0) & (pair.target_rows > 0)
    farthest = np.abs(
        np.log(np.where(both, pair.draft_rows, 1.0)) - np.log(np.where(both, pair.target_rows, 1))
    )
    reach = np.clip(pair.horizon * farthest.max(), math.log(2.0), math.log(REACH))
    half = nodes // 2
    return np.concatenate([[0.0], np.exp(reach * np.arange(-half, half + 1) / half)])


def _point(pair: ChainPair, weight: float, ratios: np.ndarray) -> FrontPoint:
    units = max(math.ceil(weight), 1)
    steps = max(LEVELS // units, 1)  # multipliers a unit, so that m - 1 is on the grid where m is
    multipliers = np.arange(-units * steps, 1) / steps
    states = pair.states
    loss = np.tile(np.maximum(1.0 - ratios, 0.0), (states, 1))
    replaced = np.zeros_like(loss)
    heights = [_hull(_ends(weight))] * states  # slopes, and h there, of the lines kept
    for t in stepping(range(pair.horizon)[::-1], "the front of sequences"):
        draft = pair.draft[t] / pair.draft[t].sum(axis=1, keepdims=True)
        target = pair.target[t] / pair.target[t].sum(axis=1, keepdims=True)
        slopes = np.diff(replaced + weight * loss, axis=1) / np.diff(ratios)
        slopes = np.maximum.accumulate(np.clip(slopes, -weight, 0.0), axis=1)
        proposed = ratios[:, None] * draft[:, None, :]  # of a prefix with k/q at that node, (V, G, V)
        masses, index = _masses(slopes, ratios, target, proposed, multipliers, steps)
        heights = _lines(draft, target, proposed, multipliers[index], heights, weight)
        replaced, loss = _costs(masses, proposed, target, ratios, replaced, loss)
    initial = pair.initial / pair.initial.sum()
    one = int(np.searchsorted(ratios, 1.0))
    least = sum(part * (lines[0] - lines[1]).max() for part, lines in zip(initial, heights, strict=True))
    allowance = 4 * np.finfo(float).eps * pair.horizon * (states + 10) * (pair.horizon + weight)
    return FrontPoint(
        weight,
        float(initial @ replaced[:, one]),
        float(initial @ loss[:, one]),
        float(least) - allowance,
    )


def _masses(slopes, ratios, target, proposed, multipliers, steps) -> tuple[np.ndarray, np.ndarray]:
    """(k_y (V, G, V), the index of a multiplier (V, G)): masses of the right sum, about the best ones."""
    states = len(slopes)
    wanted = np.stack([ratios[np.searchsorted(row, multipliers)] for row in slopes])  # a_y / target(y)
    below = np.concatenate([np.zeros((states, steps)), wanted[:, : len(multipliers) - steps]], axis=1)
    wanted[:, -1] = np.inf  # from multiplier 0 on any mass is welcome
    below, wanted = below.T.copy(), wanted.T.copy()  # a multiplier's are looked up together
    goal, everywhere = target[:, None, :], bool((target > 0).all())

    def at(index: np.ndarray) -> np.ndarray:
        least = np.take(below, index, axis=0)
        least *= goal
        most = np.take(wanted, index, axis=0)
        np.multiply(most, goal, out=most, where=True if everywhere else most < np.inf)
        return np.minimum(most, np.maximum(least, proposed, out=least), out=most)

    low = np.zeros(proposed.shape[:2], np.int64)
    high = np.full_like(low, len(multipliers) - 1)
    while (high - low > 1).any():
        middle = (low + high) // 2
        few = at(middle).sum(axis=-1) < ratios
        low, high = np.where(few, middle, low), np.where(few, high, middle)
    fewer, more = at(low), at(high)
    short, gap = ratios - fewer.sum(axis=-1), (more - fewer).sum(axis=-1)
    part = np.clip(short / np.where(gap > 0, gap, 1.0), 0.0, 1.0)
    return fewer + part[..., None] * (more - fewer), high


def _costs(masses, proposed, target, ratios, replaced, loss) -> tuple[np.ndarray, np.ndarray]:
    """(E[replacements], loss) of a prefix at each node, (V, G) each, for the masses chosen there."""
    ratio = np.minimum(_divided(masses, target, 0.0), ratios[-1])
    index = np.clip(np.searchsorted(ratios, ratio, side="right") - 1, 0, len(ratios) - 2)
    part = (ratio - ratios.take(index)) / np.diff(ratios).take(index)
    node = index + len(ratios) * np.arange(len(target))  # of the token y, among all of a table
    later = []
    for table in (replaced, loss):
        value = table.take(node)
        value += part * (table.take(node + 1) - value)
        later.append((target[:, None, :] * value).sum(axis=-1))
    return np.maximum(masses - proposed, 0.0).sum(axis=-1) + later[0], later[1]


def _lines(draft, target, proposed, multiplier, heights, weight) -> list[np.ndarray]:
    """For each token the lines below v_t, as slopes and h there, (2, L), from those of the next step."""
    ratio = _divided(proposed, target, np.inf)
    most = np.maximum(multiplier, -weight)
    slope, height = np.zeros((2, *multiplier.shape))
    for y, (at, value) in enumerate(heights):
        with np.errstate(over="ignore"):  # of lines that differ by next to nothing
            turns = np.diff(value) / np.diff(at)
        prices = np.clip(at[np.searchsorted(turns, ratio[..., y])], most - 1.0, most)
        slope += draft[:, y, None] * prices
        height += target[:, y, None] * np.interp(prices, at, value)
    rows = np.stack([slope, height], axis=1)
    return [_hull(np.concatenate([_ends(weight), row], axis=1)) for row in rows]


def _ends(weight: float) -> np.ndarray:
    """The lines weight (1 - r) and 0, which are always below v, as slopes and h there, (2, 2)."""
    return np.array([[-weight, 0.0], [-weight, 0.0]])


def _divided(masses: np.ndarray, target: np.ndarray, without: float) -> np.ndarray:
    """masses (V, G, V) over target, and `without` where the target is 0; inf where it is next to nothing."""
    has_target = np.broadcast_to((target > 0)[:, None, :], masses.shape)
    with np.errstate(over="ignore"):
        return np.divide(masses, target[:, None, :], out=np.full_like(masses, without), where=has_target)


def _hull(lines: np.ndarray) -> np.ndarray:
    """The lower hull of the points slope and h, by rising slope: the lines that are the highest somewhere."""
    slopes, where = np.unique(lines[0], return_inverse=True)
    least = np.full(len(slopes), np.inf)
    np.minimum.at(least, where, lines[1])
    points = np.array([slopes, least])
    while True:  # what is not below the line between its neighbours is no corner: all such leave at once
        (x, y), (across, up) = points, points[:, 1:] - points[:, :-1]
        turns = across[:-1] * (y[2:] - y[:-2]) - up[:-1] * (x[2:] - x[:-2])
        corners = np.concatenate([[True], turns > 0, [True]])[: len(x)]
        if corners.all():
            return points
        points = points[:, corners]
