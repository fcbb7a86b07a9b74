"""Decoding that drafts a window of tokens before each target call: what it takes, and how long to draft."""

from simlab.theory.windows.best import (
    BestThreshold,
    BestWindow,
    best_threshold,
    best_window,
    mean_acceptance,
    threshold_times,
    window_times,
)
from simlab.theory.windows.memory import calls_by_drafted
from simlab.theory.windows.optimal import optimal_policy, optimal_policy_and_time

__all__ = [
    "BestThreshold",
    "BestWindow",
    "best_threshold",
    "best_window",
    "calls_by_drafted",
    "mean_acceptance",
    "optimal_policy",
    "optimal_policy_and_time",
    "threshold_times",
    "window_times",
]
