"""JUDGES: estimates with honest errors, and verdicts on exact values.

Pure functions on integer counts, and on samples of bounded numbers. Every interval here is valid at every
finite sample size, without a normal approximation, at error probabilities down to 1e-6 and below.
"""

from simlab.evidence.bands import clopper_pearson, marginals_band, pmf_band
from simlab.evidence.conditional import known_flags_verdict, known_sums_verdict
from simlab.evidence.interval import Interval, scaled_residuals
from simlab.evidence.judging import Judging
from simlab.evidence.mean import mean_interval, sample_mean_interval
from simlab.evidence.median import median_interval
from simlab.evidence.power import trajectories_to_notice
from simlab.evidence.ratios import mean_ratio_interval
from simlab.evidence.row_moments import most_second_moment, row_moments, sampled_moments
from simlab.evidence.sample_verdicts import bound_verdict, rate_verdict, sample_mean_verdict
from simlab.evidence.sequence import confidence_sequence
from simlab.evidence.shares import share_interval
from simlab.evidence.sums import ratio_interval, sums_interval, sums_verdict
from simlab.evidence.time import call_time_interval, time_interval, time_verdict
from simlab.evidence.total_variation import total_variation_interval
from simlab.evidence.two_samples import two_sample_verdict
from simlab.evidence.verdict import FALSE_ALARM, MISS, Status, Verdict
from simlab.evidence.verdicts import (
    marginals_verdict,
    mean_verdict,
    pmf_verdict,
    running_mean_verdict,
    total_variation_verdict,
    win_rate_verdict,
)

__all__ = [
    "FALSE_ALARM",
    "MISS",
    "Interval",
    "Judging",
    "Status",
    "Verdict",
    "bound_verdict",
    "call_time_interval",
    "clopper_pearson",
    "confidence_sequence",
    "known_flags_verdict",
    "known_sums_verdict",
    "marginals_band",
    "marginals_verdict",
    "mean_interval",
    "mean_ratio_interval",
    "mean_verdict",
    "median_interval",
    "most_second_moment",
    "pmf_band",
    "pmf_verdict",
    "rate_verdict",
    "ratio_interval",
    "row_moments",
    "running_mean_verdict",
    "sample_mean_interval",
    "sample_mean_verdict",
    "sampled_moments",
    "scaled_residuals",
    "share_interval",
    "sums_interval",
    "sums_verdict",
    "time_interval",
    "time_verdict",
    "total_variation_interval",
    "total_variation_verdict",
    "trajectories_to_notice",
    "two_sample_verdict",
    "win_rate_verdict",
]
