"""The step of the walk behind a random environment: its mean, second moment and Laplace transform.

Let each node of an infinite tree draw its next-token row from one distribution (Pankratov and Alistarh 2026).
By many-to-one, E[sum over |v| = n of pi(v) g(-log pi(v))] = E[g(S_n)], S a random walk whose step has the
distribution of
-log p_i with i drawn from the row p: E[f(step)] = E[sum_i p_i f(-log p_i)]. So

    mu = E[sum p log 1/p], the expected entropy,  mu2 = E[sum p log^2 p],  E[e^{-s step}] = E[sum p^{1+s}].

*Finitely many rows*: sums. *Dirichlet(a, .., a) on V tokens*: e^{-step} is Beta(a + 1, (V - 1) a), so with
d = (V - 1) a

    mu = psi(a + 1 + d) - psi(a + 1),  mu2 = psi'(a + 1) - psi'(a + 1 + d) + mu^2

(theory of the Beta distribution; both differences are summed here term by term, all of one sign, so that no
digit is lost where a is tiny). *Softmax of Gaussian logits*: integrals, in `softmax` beside this file (own).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simlab.errors import SimlabError
from simlab.laws import Dirichlet, Law, Rows, Softmax, Zipf
from simlab.theory.speed_of_light import softmax

SHIFT = 16
"""From here on the asymptotic series of psi and psi' below are exact to 1e-16."""

BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730)
"""B_2, B_4, .., B_12."""

NODES = 32
"""Of the Gauss-Legendre rule for the transform of a Dirichlet law: its integrand is smooth."""


class Moments(NamedTuple):
    """The mean and second moment of a step: entropy mu in nats, second mu2 in nats^2."""

    entropy: float
    second: float


def moments(law: Law) -> Moments:
    """mu = E[sum p log 1/p] and mu2 = E[sum p log^2 p] of a distribution of `simlab.laws`.

    Exact to about 1e-12, relatively; for a softmax to about 1e-13 absolutely as well. Rows that are certain
    give (0, 0). Raises SimlabError if it is not a distribution, and for a softmax of a scale above 10,000.
    Source: the module's docstring.
    """
    if isinstance(law, Dirichlet):
        first, spread = law.concentration + 1, (law.states - 1) * law.concentration
        entropy = float(digamma_rise(first, spread))
        return Moments(entropy, trigamma_fall(first, spread) + entropy**2)
    if isinstance(law, Softmax):
        return Moments(*softmax.moments(law.states, law.scale))
    steps, masses = atoms(law)
    return Moments(float(masses @ steps), float(masses @ steps**2))


def transform(law: Law, s) -> np.ndarray:
    """E[e^{-s step}] = E[sum p^{1+s}], for s >= 0 of any shape: 1 at s = 0, falling.

    Exact to about 1e-13, absolutely. Raises SimlabError as `moments` does. Source: the module's docstring;
    for Dirichlet log E = - integral from 0 to s of psi(a + 1 + d + u) - psi(a + 1 + u) du.
    """
    return 1 - transform_gap(law, s)


def transform_gap(law: Law, s) -> np.ndarray:
    """1 - E[e^{-s step}], which keeps its digits where the rows are nearly certain."""
    s = np.asarray(s, float)
    if not (s >= 0).all():
        raise SimlabError(f"s = {float(s.min())!r}: the transform is taken at s >= 0")
    if isinstance(law, Dirichlet):
        return _dirichlet_gap(law, s)
    if isinstance(law, Softmax):
        gaps = [softmax.transform_gap(law.states, law.scale, float(one)) for one in s.ravel()]
        return np.array(gaps).reshape(s.shape)
    steps, masses = atoms(law)
    gaps = [-float(masses @ np.expm1(-one * steps)) for one in s.ravel()]
    return np.array(gaps).reshape(s.shape)


def atoms(law: Rows | Zipf) -> tuple[np.ndarray, np.ndarray]:
    """The step's values, >= 0, and their probabilities, two arrays (K V,) at most, of a distribution of
    finitely many rows; each row is divided by its sum. Raises SimlabError if it is not a distribution.
    """
    if not isinstance(law, Rows | Zipf):
        known = "a Dirichlet, Softmax, Zipf or Rows of simlab.laws"
        raise SimlabError(f"{law!r} is not a distribution of rows; expected {known}")
    rows = law.rows / law.rows.sum(axis=1, keepdims=True)
    masses = (rows * (law.weights / law.weights.sum())[:, None])[rows > 0]
    return np.maximum(-np.log(rows[rows > 0]), 0.0), masses


def digamma_rise(x, d: float) -> np.ndarray:
    """psi(x + d) - psi(x) for x >= 1 of any shape and d >= 0: a sum of terms that are not negative."""
    x = np.asarray(x, float)
    shifted = np.add.outer(np.arange(SHIFT), x)
    y = x + SHIFT
    rise = (d / shifted / (shifted + d)).sum(axis=0) + np.log1p(d / y) + _power_fall(y, d, 1) / 2
    for n, number in enumerate(BERNOULLI, start=1):
        rise += number / (2 * n) * _power_fall(y, d, 2 * n)
    return rise


def trigamma_fall(x: float, d: float) -> float:
    """psi'(x) - psi'(x + d) for x >= 1 and d >= 0."""
    y = x + SHIFT
    fall = _power_fall(x + np.arange(SHIFT), d, 2).sum() + _power_fall(y, d, 1) + _power_fall(y, d, 2) / 2
    for n, number in enumerate(BERNOULLI, start=1):
        fall += number * _power_fall(y, d, 2 * n + 1)
    return float(fall)


def _power_fall(y, d: float, power: int):
    """y^-power - (y + d)^-power, without loss where d is small beside y."""
    return -(y ** -float(power)) * np.expm1(-power * np.log1p(d / y))


def _dirichlet_gap(law: Dirichlet, s: np.ndarray) -> np.ndarray:
    """1 - E[B^s] for B ~ Beta(a + 1, (V - 1) a); the integral over u = e^v - 1, whose integrand is smooth."""
    first, spread = law.concentration + 1, (law.states - 1) * law.concentration
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    length = np.log1p(s)[..., None]
    growth = np.exp(length * (nodes + 1) / 2)
    integrand = digamma_rise(first + growth - 1, spread) * growth
    return -np.expm1(-(integrand * weights * length / 2).sum(axis=-1))
