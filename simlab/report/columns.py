"""The columns of a study's table in words; the names in the file stay what programs read."""

from __future__ import annotations

_WORDS = {
    "accepted": "tokens right, E[X]",
    "accepted_at_largest": "tokens right at the largest P",
    "capacity": "capacity P",
    "cost.draft": "cost of a drafted token",
    "cost.target": "cost of a target call",
    "cut_off_at": "cut off at",
    "entropy": "entropy μ",
    "first_order": "log(P)/μ",
    "high": "high end",
    "kl": "KL divergence, nats",
    "largest_capacity": "largest P",
    "left": "first number is",
    "left_value": "first number",
    "lost_by_that": "lost by cutting off",
    "low": "low end",
    "pair.horizon": "horizon T",
    "pair.states": "states V",
    "published_slope": "slope, published bound",
    "rate": "1/μ",
    "rejection_rate": "rejections per token",
    "right": "second number is",
    "right_value": "second number",
    "sd": "sd of rejections",
    "second_moment": "second moment μ₂",
    "spread_of_prompts": "spread over prompts",
    "target_calls": "target calls",
    "ties": "share of ties",
    "total_variation": "total variation",
    "win_rate": "WinRate",
}
"""Names whose words are not the name's own."""

_ENDINGS = {
    "_exact_low": "exact, low end",
    "_exact_high": "exact, high end",
    "_low": "low end",
    "_high": "high end",
    "_exact": "exact",
}


def column_title(name: str) -> str:
    """The heading of the column of that name, as in "rejections (low end)" for rejections_low."""
    if name in _WORDS:
        return _WORDS[name]
    if name.startswith("verdict_"):
        return f"verdict ({_plain(name.removeprefix('verdict_'))})"
    if name.startswith("gap_"):
        return f"gap of {_plain(name.removeprefix('gap_'))}"
    for ending, said in _ENDINGS.items():
        if name.endswith(ending) and name != ending:
            return f"{column_title(name.removesuffix(ending))} ({said})"
    return _plain(name)


def _plain(name: str) -> str:
    words = name.replace("_", " ").replace(".", " ").split()
    return " ".join("distribution" if word == "law" else word for word in words)
