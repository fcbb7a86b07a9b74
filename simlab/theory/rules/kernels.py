"""One step of a rule as sub-stochastic kernels: what is accepted and what replaces rejected tokens.

With r(y) the distribution that tokens are drawn from, b(y) their acceptance and P(z | y) what replaces a
rejected y, A(z) = r(z) b(z), R(z) = sum_y r(y) (1 - b(y)) P(z | y), and the output's distribution is
K = A + R (Yin et al. 2024, Section 3). The rule is unbiased if and only if K is the target in every row.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simlab.decoders import RuleTables


class Verified(NamedTuple):
    """A rule's kernels, (S, V, V) each, S distinct steps: accepted + rejected = output, token by token."""

    accepted: np.ndarray
    rejected: np.ndarray
    output: np.ndarray

    def at(self, t: int) -> Verified:
        """The kernels of one step, (V, V) each."""
        step = t if len(self.output) > 1 else 0
        return Verified(*(part[step] for part in self))


def verified(tables: RuleTables, target: np.ndarray) -> Verified:
    """The kernels of a rule's tables; target: its distinct rows, (1 or S, V, V).

    A row whose output is the target up to rounding is made the target exactly, so that unbiased rules have no
    bias at all: their accepted part is then at most the target, the rejected one the rest. A token that the
    target excludes is never given up to rounding.
    """
    accepted = tables.proposed * tables.accept
    rejected = tables.replaced
    output = accepted + rejected
    target = np.broadcast_to(target, output.shape)
    rounding = 8 * output.shape[-1] * np.finfo(float).eps
    near = (np.abs(output - target) <= rounding) & ((target > 0) | (output == 0))
    exact = near.all(axis=-1, keepdims=True)
    accepted = np.where(exact, np.minimum(accepted, target), accepted)
    rejected = np.where(exact, target - accepted, rejected)
    return Verified(accepted, rejected, np.where(exact, target, output))
