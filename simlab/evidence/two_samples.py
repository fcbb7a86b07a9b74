"""Two independent samples of bounded numbers: do they have one mean?

Neither mean is known; what is judged is their difference. The values of the larger sample are averaged in
groups of equal size, as many as the smaller one has values, and the groups paired with these in order. The
differences are independent numbers in [-most, most] with the difference of the means as their mean, whatever
the two distributions are, so that the interval for one sample holds for them (own; the pairing costs nothing
where both samples are equally large, and takes the variances together instead of adding two half-widths).
"""

from __future__ import annotations

import numpy as np

from simlab.checks import check_number
from simlab.errors import SimlabError
from simlab.evidence.mean import signed_mean_interval_at
from simlab.evidence.verdict import FALSE_ALARM, MISS, Verdict, at_each, error_shares, judge_mean, method_of


def two_sample_verdict(
    name: str,
    values,
    others,
    *,
    most: float,
    resolution: float,
    false_alarm: float = FALSE_ALARM,
    miss: float = MISS,
    statistic: str = "difference of means",
    allowance: float = 0.0,
) -> Verdict:
    """Do two independent samples of numbers in [0, most] have the same mean? For sizes fixed beforehand.

    values, others: floats (n,) and (m,), each independent and identically distributed. resolution: of the
    difference, in their unit. allowance: how far apart the means may be for reasons known beforehand; it is
    part of what is claimed, and resolution is to be larger. `estimate`, `low` and `high` are of
    mean(values) - mean(others), `exact` is 0; trajectories: the pairs, min(n, m). Raises SimlabError for
    values outside [0, most] or none, or an error outside [1e-100, 1). Source: the module's docstring.
    """
    values, others = _checked(values, most), _checked(others, most)
    pairs = min(len(values), len(others))
    differences = _grouped(values, pairs) - _grouped(others, pairs)
    return judge_mean(
        name,
        *at_each(
            error_shares(false_alarm, miss), lambda error: signed_mean_interval_at(differences, most, error)
        ),
        0.0,
        trajectories=pairs,
        method=method_of(1),
        resolution=resolution,
        false_alarm=false_alarm,
        miss=miss,
        statistic=statistic,
        allowance=check_number("allowance", allowance, least=0.0),
    )


def _checked(values, most: float) -> np.ndarray:
    most = check_number("most", most, above=0.0)
    values = np.asarray(values, float)
    if values.ndim != 1 or not values.size:
        raise SimlabError(f"values of shape {values.shape}; expected numbers (n,), at least one")
    wrong = ~((values >= -1e-9 * most) & (values <= most * (1 + 1e-9)))
    if wrong.any():
        place = int(wrong.argmax())
        raise SimlabError(
            f"values[{place}] = {float(values[place])!r} is not valid; expected numbers in [0, {most:g}]"
        )
    return np.clip(values, 0.0, most)


def _grouped(values: np.ndarray, groups: int) -> np.ndarray:
    """Means (groups,) of as many values each; what is left over at the end is not used."""
    size = len(values) // groups
    return values[: size * groups].reshape(groups, size).mean(axis=1)
