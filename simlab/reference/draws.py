"""What every algorithm needs: the pair's chains, a draw from a distribution, and the residual of two."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, eq=False)
class Chains:
    """draft, target: (T, V, V) as nested lists."""

    draft: list[list[list[float]]]
    target: list[list[list[float]]]


def draw(distribution: list[float], rng) -> int:
    """A token from `distribution`, a list of V weights, by inverting the distribution function.

    Where rounding leaves the sum below the uniform, the last token with positive weight is returned, never
    one past the end and never one of weight 0. Raises ValueError where no weight is positive.
    """
    level = rng.random() * sum(distribution)
    last = None
    for token, weight in enumerate(distribution):
        if weight > 0:
            last = token
            if level < weight:
                return token
            level -= weight
    if last is None:
        raise ValueError("no token has positive weight")
    return last


def residual(target: list[float], draft: list[float]) -> list[float]:
    """[target - draft]_+, normalised to sum 1. Raises ZeroDivisionError where target <= draft everywhere."""
    excess = [max(goal - drafted, 0.0) for goal, drafted in zip(target, draft, strict=True)]
    whole = sum(excess)
    return [value / whole for value in excess]
