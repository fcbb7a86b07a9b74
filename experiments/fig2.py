"""Yin et al. 2024, Figure 2: the rejections of one decoder on one pair, simulated against the theory.

Left, the running average of N_rej after 100, 200, 300, ... runs over E[N_rej]; right, the histogram of N_rej
over its exact law. The paper draws speculative decoding on its own instance; any pair and decoder will do.
"""

from __future__ import annotations

from collections.abc import Mapping

from simlab.experiments.settings import (
    Outcome,
    Settings,
    job,
    only_point,
    running_average_job,
)

from simlab.runs import Job, Result

PRINTED = 16.41
"""What the paper's Figure 2 prints for E[N_rej] at T = 50."""


def jobs(points: list[Settings]) -> list[Job]:
    """The job of the histogram and the job of the running average."""
    settings = only_point(points)
    return [job(settings), running_average_job(settings)]


def present(points: list[Settings], results: Mapping[str, Result]) -> Outcome:
    """Verdicts, figure and tables, from the results of `jobs`."""
