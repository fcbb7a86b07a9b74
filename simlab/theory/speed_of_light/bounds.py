"""How many drafted tokens any deterministic scheme can get right: bounds on E[X], root and bonus excluded.

Before a call of the target a tree of at most P drafted tokens is fixed; X is the number of them on the
target's own path, E[X | environment] = sum of pi(v) over the tree, pi(v) the target's probability of the path
to v. The environment is random: each node's next-token row is an independent draw from one distribution,
whose step (`steps`) has mean mu and second moment mu2; S_n is the walk with such steps, and U(t) = E #{n >=
1: S_n <= t}. Everything rests on

    *the threshold*: for any tree of <= P nodes and any theta = e^-t, t >= 0,
    sum of pi over the tree <= P theta + sum over v != root of (pi(v) - theta)_+,

(own; linear programming duality: at the best theta it is an equality for the best tree) and on many-to-one:

    E[sum over v != root of (pi(v) - theta)_+] = E[sum over n >= 1 of (1 - e^{S_n - t})_+]
                                               = integral from 0 to t of e^{r - t} U(r) dr.

So E[X] <= min over t of P e^-t + integral of e^{r-t} U(r) dr, whatever the scheme knows of the environment.
`sharper_bound` and `dual_bound` put Lorden's bound in the place of U, `renewal_bound`
(`renewal`) U itself, and `asymptote` its limit.

A capacity is a number >= 1, or an array of such; bounds come as float64 of its shape. Where mu = 0 every row
is certain: then the chain of P certain tokens is right, E[X] = P.

On a Markov chain the rows of neighbours are not independent: there these are comparisons, not theorems
(`chain_moments`).
"""

from __future__ import annotations

import math

import numpy as np

from simlab.errors import SimlabError
from simlab.theory.speed_of_light.steps import Moments


def first_order(moments: Moments, capacity) -> np.ndarray:
    """log(P) / mu, what E[X] is asymptotically equivalent to; no bound. Infinite where mu = 0 and P > 1.

    Source: Pankratov and Alistarh 2026, by the walk's law of large numbers.
    """
    (entropy, _), capacity = _checked(moments, capacity)
    if entropy == 0:
        return np.where(capacity > 1, math.inf, 0.0)
    with np.errstate(over="ignore"):
        return np.log(capacity) / entropy


def published_slope(moments: Moments) -> float:
    """(mu + mu2) / mu^2: the published bound is E[X] <= this log(P) + O(1), its constant not stated.

    Infinite where mu = 0. Source: Pankratov and Alistarh 2026.
    """
    entropy, second = _check_moments(moments)
    return 1 / entropy + _ratio(entropy, second) if entropy > 0 else math.inf


def sharper_bound(moments: Moments, capacity) -> np.ndarray:
    """E[X] <= log(P) / mu + mu2 / mu^2 (own). Infinite where mu = 0.

    Proof. Of the tree's nodes those with pi < 1/P add at most P (1/P) = 1, so the sum over the tree is at
    most 1 + sum over pi(v) >= 1/P, v != root, of pi(v). By many-to-one the last sum has mean E[N(log P)] - 1
    with N(t) = min{n: S_n > t}. Wald: mu E[N(t)] = E[S_N(t)] = t + the mean overshoot, and Lorden (1970):
    that is at most mu2 / mu, steps being >= 0. Hence E[X] <= 1 + log(P) / mu + mu2 / mu^2 - 1.
    """
    (entropy, second), capacity = _checked(moments, capacity)
    if entropy == 0:
        return np.full(capacity.shape, math.inf)
    with np.errstate(over="ignore"):
        return np.log(capacity) / entropy + _ratio(entropy, second)


def dual_bound(moments: Moments, capacity) -> np.ndarray:
    """E[X] <= log(1 + mu (P + 1) - mu2 / mu) / mu + mu2 / mu^2 - 1 where P >= mu2 / mu^2 - 1, else P (own).

    The formula is not a bound for smaller P, where its logarithm is negative or none.

    Proof. Write c = mu2 / mu^2 - 1 >= 0. In the bound at the head of this module U(r) = E[N(r)] - 1 <=
    r / mu + c (Wald and Lorden, as for `sharper_bound`), so for every t >= 0

        E[X] <= g(t) = P e^-t + (t - 1 + e^-t) / mu + c (1 - e^-t).

    g'(t) = e^-t (e^t / mu - (P + 1 / mu - c)) has its zero at e^t = A = 1 + mu (P - c), which is at least 1
    if and only if c <= P; there g = log(A) / mu + c. For c > P, g grows from g(0) = P, so the least is P. As
    g(0) = P, the bound never exceeds P; as mu -> 0 it tends to P, which it is at mu = 0.

    It is never above `sharper_bound`: for c <= P that says 1 + mu (P - c) <= P e^mu, which follows from
    e^mu >= 1 + mu, P >= 1 and c >= 0; for c > P, P < c + 1 <= log(P) / mu + c + 1. It is smaller by
    1 + log(P / A) / mu, which for large P tends to 1 - log(mu) / mu >= 1 - 1/e tokens.
    """
    (entropy, second), capacity = _checked(moments, capacity)
    if entropy == 0:
        return capacity.copy()
    constant = max(_ratio(entropy, second) - 1, 0.0)
    above = np.maximum(capacity - constant, 0.0)
    with np.errstate(over="ignore"):
        return np.where(above > 0, np.log1p(entropy * above) / entropy + constant, capacity)


def asymptote(moments: Moments, capacity) -> np.ndarray:
    """log(mu P) / mu + mu2 / (2 mu^2) - 1: E[X] of the best tree differs from it by o(1) as P grows (own).

    For distributions with mu > 0 and finite mu2 whose step is not lattice (not all in multiples of one
    number, as those of uniform rows are: there E[X] oscillates around it). No number where mu = 0.

    *Above*, proved: by the renewal theorem U(r) = r / mu + c' + o(1), c' = mu2 / (2 mu^2) - 1, in the bound
    at the head of this module, minimised as in the proof of `dual_bound`. So Lorden's constant costs
    mu2 / (2 mu^2) tokens for large P.

    *Below*, proved but for routine: given the environment, X's mean is min over theta of f(theta) =
    P theta + sum of (pi - theta)_+ (duality), f is convex with slope P - N(theta), N(theta) = #{pi > theta}.
    As the tokens' probabilities sum to 1 in every row, theta N(theta) -> 1 / mu (Nerman 1981, Theorem 3.1,
    whose martingale limit is the constant 1 here), and its second moment stays bounded, by C / (1 - E[sum
    p^2]): decompose pairs of nodes by their last common ancestor. At theta_0 = 1 / (mu P) therefore
    E[f(theta_0) - min f] <= E[integral over theta > theta_0 of (N(theta) - P)_+ + integral over theta <
    theta_0 of (P - N(theta))_+] -> 0, by dominated convergence after theta = x theta_0.
    """
    (entropy, second), capacity = _checked(moments, capacity)
    if entropy == 0:
        return np.full(capacity.shape, np.nan)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.log(entropy * capacity) / entropy + _ratio(entropy, second) / 2 - 1


def _ratio(entropy: float, second: float) -> float:
    """mu2 / mu^2 where mu > 0; infinite where it is too large for a float. mu^2 alone may be too small."""
    return second / entropy / entropy


def _checked(moments: Moments, capacity) -> tuple[Moments, np.ndarray]:
    return _check_moments(moments), check_capacity(capacity)


def _check_moments(moments) -> Moments:
    entropy, second = (float(one) for one in moments)
    # By Jensen mu2 >= mu^2, but for rounding.
    if not (0 <= entropy < math.inf and entropy**2 * (1 - 1e-9) <= second < math.inf):
        raise SimlabError(
            f"entropy = {entropy!r}, second moment = {second!r} are not valid; "
            "expected finite numbers, 0 <= entropy^2 <= second"
        )
    return Moments(entropy, second)


def check_capacity(capacity) -> np.ndarray:
    """`capacity` as float64; raises SimlabError unless all entries are finite numbers >= 1."""
    numbers = np.asarray(capacity)
    if numbers.dtype.kind not in "iuf":
        raise SimlabError(
            f"capacity = {capacity!r} is not valid; expected numbers of drafted tokens, at least 1"
        )
    numbers = numbers.astype(float)
    wrong = ~((numbers >= 1) & np.isfinite(numbers))
    if wrong.any():
        raise SimlabError(
            f"capacity = {float(numbers[wrong][0])!r} is not valid; expected a finite number of at least 1"
        )
    return numbers
