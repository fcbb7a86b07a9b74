"""Total variation between two chains' whole sequences, as a bracket that certainly holds it (own).

    TV = E_{x_0} sum over x_1..x_T of [k - q]_+,  k = output(x_1..x_T | x_0),  q = target(x_1..x_T | x_0).

A prefix matters through its last token and the pair (k, q) alone, and the sum is convex and homogeneous in
that pair: two prefixes with one last token and one ratio k/q may be added. Where few prefixes are left they
are kept one by one, and the answer is exact. Otherwise ratios are rounded to a grid of log k/q, in two ways:

- *Splitting* a prefix into parts at the two grid ratios around its own, keeping total k and total q, makes
  the pair more informative: total variation can only grow (it is convex). An upper bound.
- *Merging* prefixes of one last token and nearby ratios, adding their k and their q, makes it less so: total
  variation can only shrink (it is subadditive). A lower bound.

Each transition shifts the log ratio by log output/target, whatever the prefix: on the grid a shift by a
whole number of cells and, for the split, two weights. The gap closes with the square of the grid's step.

Beyond the grid's ends nothing can cross the ratio 1 any more, unless the grid had to end sooner. What gets
there is *settled*: all its leaves have k >= q, so that they sum to k - q, or all have k <= q and sum to 0.
For the upper bound that is exact, as a part's ratio is that of its cell. For the lower bound, where it is
that of its cell but for rounding, it holds in any case: sum [k - q]_+ >= [sum k - sum q]_+. (To merge it
into the last cell would not do: from both ends prefixes come to the ratio 1 by the same steps, and meet
there.) Where the grid had to end sooner it is merged into the last cell, or split between the last cell and
an infinite ratio, which loses less than exp(-end).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simlab.checks import check_count
from simlab.decoders import Decoder, RuleSpeculative
from simlab.pairs.pair import ChainPair
from simlab.progress import stepping
from simlab.theory.dispatch import output_chain
from simlab.theory.products import NEGLIGIBLE

ENUMERATED = 2**20
"""Up to this many prefixes of one length are looked at one by one."""

WORK = 2e8
"""About how many cells all transitions of all steps together move, for a second's work."""

LEAST_CELLS, MOST_CELLS = 32, 20_000

KEPT = 2**16
"""Up to about so many pairs of tokens the rows of steps are kept: some megabytes."""

WHAT = "total variation"


class Bracket(NamedTuple):
    """low <= exact <= high, for certain."""

    low: float
    high: float

    @property
    def middle(self) -> float:
        """The centre of the bracket."""
        return (self.low + self.high) / 2


def sequence_total_variation(pair: ChainPair, decoder: Decoder, *, cells: int | None = None) -> Bracket:
    """Total variation of the decoder's and the target's distribution of x_1..x_T given x_0, averaged over
    x_0.

    Returns a Bracket: 0 and 0 for an unbiased decoder; equal ends, exact to rounding, where no more than
    ENUMERATED prefixes of one length can still matter; else a certified bracket by splitting and merging on
    a grid of `cells` log ratios (own, see the module's head), rounding allowed for. By default as many cells
    as take about a second for V up to 100, T = 50: the bracket is about 1e-6 wide for V = 7 and 3e-3 for
    V = 100 there. Where `cells` is given the grid is used even if enumeration is possible. Rows are divided
    by their sums. Time O(T V^2 cells), memory O(T V + V cells) beyond the chains. Raises SimlabError for
    anything but a pair and a decoder, and for cells that are not a whole number >= 2.
    """
    if cells is not None:
        check_count("cells", cells, least=2)
    chain = output_chain(pair, decoder)
    if not decoder.is_biased or chain is pair.target:
        return Bracket(0.0, 0.0)
    if isinstance(decoder, RuleSpeculative) and decoder.bonus:  # no chain: a bonus token hides among others
        from simlab.theory.rules.windows import sequence_bracket

        bracket = sequence_bracket(pair, decoder, cells)
        if bracket is not None:
            return bracket
    return chains_total_variation(chain, pair.target, pair.initial, cells=cells)


def chains_total_variation(output, target, initial, *, cells: int | None = None) -> Bracket:
    """The same for any two chains: output, target (T, V, V), and the distribution of x_0, (V,)."""
    steps = _Steps(output, target)
    initial = np.asarray(initial, float) / np.sum(initial)
    future = _future(steps)
    if cells is None:
        exact = _enumerated(steps, initial, future)
        if exact is not None:
            return Bracket(exact, exact)
        cells = cells_for(len(steps), steps.states)
    grid = _grid(steps, initial, future, cells)
    # Each step sums V masses and at its ends all cells; logarithms and weights are right to a few ulps.
    allowance = len(steps) * (steps.states + len(grid.ratios) + 100) * np.finfo(float).eps
    low = _merged(steps, initial, grid, future) - allowance
    high = _split(steps, initial, grid, future) + allowance
    return Bracket(float(max(low, 0.0)), float(min(high, 1.0)))


def cells_for(horizon: int, states: int) -> int:
    """How many cells of the ratio take about WORK."""
    return int(np.clip(WORK / (horizon * states**2), LEAST_CELLS, MOST_CELLS))


class _Step(NamedTuple):
    """One step's rows, (V, V), and log output/target where both are positive (`live`), 0 elsewhere."""

    output: np.ndarray
    target: np.ndarray
    live: np.ndarray
    shift: np.ndarray


class _Steps:
    """The steps of two chains, with rows that sum to 1, made when they are asked for.

    Two stationary chains have one step, made once. Others are gone through five times: their steps are kept
    where that takes little memory, else the last one is.
    """

    def __init__(self, output, target) -> None:
        self._output, self._target = output, target
        self._same = len(output) > 0 and all(rows.strides[0] == 0 for rows in (output, target))
        self._made: dict[int, _Step] = {}
        self.states = output.shape[-1]
        self._kept = max(KEPT // self.states**2, 1)

    def __len__(self) -> int:
        return len(self._output)

    def __getitem__(self, t: int) -> _Step:
        t = 0 if self._same else t
        if t not in self._made:
            if len(self._made) >= self._kept:
                self._made.clear()
            self._made[t] = self._make(t)
        return self._made[t]

    def _make(self, t: int) -> _Step:
        output, target = (
            rows / rows.sum(axis=-1, keepdims=True) for rows in (self._output[t], self._target[t])
        )
        live = (output > 0) & (target > 0)
        shift = np.log(np.where(live, output, 1.0)) - np.log(np.where(live, target, 1.0))
        return _Step(output, target, live, shift)


class _Future(NamedTuple):
    """Bounds on the log ratio of all that follows a prefix, (T+1, V): by length and last token."""

    least: np.ndarray
    largest: np.ndarray


def _future(steps: _Steps) -> _Future:
    least = np.zeros((len(steps) + 1, steps.states))
    largest = np.zeros_like(least)
    for t in stepping(range(len(steps))[::-1], WHAT):
        output, target, live, shift = steps[t]
        down = np.where(live, shift + least[t + 1], -np.inf)  # where only the target can go on
        up = np.where(live, shift + largest[t + 1], np.inf)
        least[t] = np.min(down, axis=1, where=target > 0, initial=np.inf)
        largest[t] = np.max(up, axis=1, where=output > 0, initial=-np.inf)
    return _Future(least, largest)


def _enumerated(steps: _Steps, initial: np.ndarray, future: _Future) -> float | None:
    """The exact value from all prefixes that still matter, None where they are too many."""
    last = np.flatnonzero(initial)
    k = q = initial[last]
    total = 0.0
    for t in stepping(range(len(steps)), WHAT):
        ratio = np.log(k) - np.log(q)
        above = ratio + future.least[t, last] >= 0  # k >= q whatever follows: [k - q]_+ is k - q for good
        open_ = ~above & (ratio + future.largest[t, last] > 0)
        total += float((k[above] - q[above]).sum())
        last, k, q = last[open_], k[open_], q[open_]
        if len(last) * steps.states > ENUMERATED:
            return None
        step = steps[t]
        k, q = k[:, None] * step.output[last], q[:, None] * step.target[last]
        total += float(k[q == 0].sum())
        live = (k > 0) & (q > 0)
        last = np.nonzero(live)[1]
        k, q = k[live], q[live]
    return min(total + float(np.maximum(k - q, 0.0).sum()), 1.0)


class _Grid(NamedTuple):
    """Log ratios (G,), evenly spaced by `step`, 0 at the index `zero`."""

    ratios: np.ndarray
    step: float
    zero: int


def _grid(steps: _Steps, initial: np.ndarray, future: _Future, cells: int) -> _Grid:
    """A grid over the log ratios that can be reached and can still cross 0, within +-2 log(cells).

    Beyond that end the mass that could yet matter is below cells^-2, as the error of the grid is.
    """
    end = 2 * np.log(cells)
    least = np.where(initial > 0, 0.0, np.inf)
    largest = -least
    bottom = top = 0.0
    for t in stepping(range(len(steps) - 1), WHAT):
        _, _, live, shift = steps[t]
        least = np.where(live, least[:, None] + shift, np.inf).min(axis=0)
        largest = np.where(live, largest[:, None] + shift, -np.inf).max(axis=0)
        bottom = min(bottom, np.maximum(least, -future.largest[t + 1]).min())
        top = max(top, np.minimum(largest, -future.least[t + 1]).max())
    bottom, top = max(bottom, -end), min(top, end)
    # Where nothing can cross 0 at all, so fine that whatever is not 0 lies beyond the ends.
    step = (top - bottom) / (cells - 1) if top > bottom else np.finfo(float).eps
    zero, above = (int(np.ceil(end / step)) + 1 for end in (-bottom, top))
    return _Grid(np.arange(-zero, above + 1) * step, step, zero)


def _settled(grid: _Grid, future: _Future, length: int) -> tuple[np.ndarray, np.ndarray]:
    """For which last tokens no prefix of that length beyond the top, or the bottom, can still cross 0."""
    return grid.ratios[-1] + future.least[length] >= 0, grid.ratios[0] + future.largest[length] <= 0


def _split(steps: _Steps, initial: np.ndarray, grid: _Grid, future: _Future) -> float:
    """The upper bound. A cell at log ratio r with mass m holds k = m exp(r/2) and q = m exp(-r/2)."""
    from simlab.theory.bias.moving import add_moved  # it brings a compiler along

    cells, half = len(grid.ratios), np.exp(grid.ratios / 2)
    mass, later = np.zeros((2, steps.states, cells))
    mass[:, grid.zero] = initial
    total, seen = 0.0, None
    for t in stepping(range(len(steps) - 1), WHAT):
        step = steps[t]
        output, target, live, shift = step
        if step is not seen:
            indices = np.clip(shift / grid.step, -cells, cells)
            whole = np.floor(indices).astype(np.int64)
            part = indices - whole
            weight = np.where(live, np.sqrt(output) * np.sqrt(target), 0.0) / np.sinh(grid.step / 2)
            lower, upper = (weight * np.sinh(share * grid.step / 2) for share in (1 - part, part))
            beside = np.where(live, 0.0, output).sum(axis=1)
            reached_k, reached_q = np.where(live, output, 0.0), np.where(live, target, 0.0)
            up, down = np.clip(whole + 1, 0, cells), np.clip(-whole, 0, cells)
            seen = step
        good, lost = _settled(grid, future, t + 1)
        total += float((mass @ half) @ beside)
        top, bottom = slice(cells - up.max(), None), slice(0, down.max())
        k_over = (reached_k * _last(mass[:, top] * half[top], up)).sum(axis=0)  # leaves at the top
        q_over = (reached_q * _last(mass[:, top] / half[top], up)).sum(axis=0)
        kept = np.where(good, 1.0, half[-1] ** 2)  # what is not at an infinite ratio, or settled
        total += float(np.maximum(k_over - q_over * kept, 0.0).sum())
        k_under = (reached_k * _last((mass[:, bottom] * half[bottom])[:, ::-1], down)).sum(axis=0)
        later[:] = 0.0
        add_moved(mass, whole, lower, cells - 1, 0, later)
        add_moved(mass, whole, upper, cells - 1, 1, later)
        later[:, -1] += np.where(good, 0.0, q_over * half[-1])
        later[:, 0] += np.where(lost, 0.0, k_under / half[0])
        np.copyto(later, 0.0, where=later < NEGLIGIBLE)
        mass, later = later, mass
    return total + _last_step(steps[len(steps) - 1], mass * half, mass / half)


def _merged(steps: _Steps, initial: np.ndarray, grid: _Grid, future: _Future) -> float:
    """The lower bound. A cell holds the k and the q of all its prefixes.

    A prefix's cell is the sum of its rounded shifts: which prefixes share one decides how tight the bound
    is, never whether it holds.
    """
    from simlab.theory.bias.moving import add_moved

    cells = len(grid.ratios)
    masses, later = np.zeros((2, 2, steps.states, cells))  # k and q
    masses[:, :, grid.zero] = initial
    total, seen = 0.0, None
    for t in stepping(range(len(steps) - 1), WHAT):
        step = steps[t]
        output, target, live, shift = step
        if step is not seen:
            whole = np.rint(np.clip(shift / grid.step, -cells, cells)).astype(np.int64)
            weights = np.where(live, np.stack([output, target]), 0.0)
            beside = np.where(live, 0.0, output).sum(axis=1)
            up, down = np.clip(whole, 0, cells), np.clip(-whole, 0, cells)
            seen = step
        good, lost = _settled(grid, future, t + 1)
        total += float(masses[0].sum(axis=1) @ beside)
        beyond = (weights * _last(masses[..., cells - up.max() :], up)).sum(axis=1)
        below = (weights * _last(masses[..., : down.max()][..., ::-1], down)).sum(axis=1)
        later[:] = 0.0
        for mass, weight, moved in zip(masses, weights, later, strict=True):
            add_moved(mass, whole, weight, cells, 0, moved)
        later[..., -1] += np.where(good, 0.0, beyond)
        later[..., 0] += np.where(lost, 0.0, below)
        np.copyto(later, 0.0, where=later < NEGLIGIBLE)
        total += float(np.maximum(beyond[0] - beyond[1], 0.0) @ good)
        masses, later = later, masses
    return total + _last_step(steps[len(steps) - 1], *masses)


def _last_step(step: _Step, k: np.ndarray, q: np.ndarray) -> float:
    """The sum of [k - q]_+ after one more step from the masses (V, G), which needs no grid any more."""
    total = 0.0
    for output, target in zip(step.output.T, step.target.T, strict=True):
        total += float(np.maximum(k * output[:, None] - q * target[:, None], 0.0).sum())
    return total


def _last(masses: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The sum of the last lengths[x, y] cells of row x, (.., V, V), of masses (.., V, N)."""
    sums = np.zeros((*masses.shape[:-1], masses.shape[-1] + 1))
    np.cumsum(masses[..., ::-1], axis=-1, out=sums[..., 1:])
    return sums[..., np.arange(len(lengths))[:, None], lengths]
