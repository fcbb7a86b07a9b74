"""JUDGES: estimates with honest errors, and verdicts on exact values.

Pure functions on integer counts. Every interval here is valid at every finite sample size, without a normal
approximation, at error probabilities down to 1e-6 and below.
"""

from simlab.evidence.bands import clopper_pearson, marginals_band, pmf_band
from simlab.evidence.interval import Interval, scaled_residuals
from simlab.evidence.mean import mean_interval
from simlab.evidence.sequence import confidence_sequence
from simlab.evidence.shares import share_interval
from simlab.evidence.total_variation import total_variation_interval
from simlab.evidence.verdicts import (
    MISS,
    Status,
    Verdict,
    marginals_verdict,
    mean_verdict,
    pmf_verdict,
    running_mean_verdict,
    total_variation_verdict,
    win_rate_verdict,
)

__all__ = [
    "MISS",
    "Interval",
    "Status",
    "Verdict",
    "clopper_pearson",
    "confidence_sequence",
    "marginals_band",
    "marginals_verdict",
    "mean_interval",
    "mean_verdict",
    "pmf_band",
    "pmf_verdict",
    "running_mean_verdict",
    "scaled_residuals",
    "share_interval",
    "total_variation_interval",
    "total_variation_verdict",
    "win_rate_verdict",
]
