"""Block verification against token verification: how many more tokens a call yields, and the time it saves.

Both draft the same tokens and have the bonus token; block verification (Sun et al. 2024) accepts the longest
prefix of the window that it can instead of stopping at the first rejected token.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from simlab.decoders import BlockSpeculative, Decoder
from simlab.evidence import Verdict
from simlab.experiments.common.estimates import all_at_once, calls_of, per_call, stacked
from simlab.experiments.common.jobs import instance, job
from simlab.experiments.common.outcome import Exhibit, Presentation, rows
from simlab.experiments.common.settings import Settings
from simlab.experiments.windows.expected_work import fixed
from simlab.experiments.windows.options import Options
from simlab.report import new_figure, residual_axes, shared_legend, style
from simlab.report.curves import Curve, draw_curves
from simlab.report.windowplot import draw_marked
from simlab.runs import Job

VERIFIED = {"token": "token by token", "block": "as a block"}

JUDGED = ("verdict_tokens", "verdict_target_calls", "verdict_target_calls_law", "verdict_drafted_tokens")

CAPTION = (
    "Block verification against token verification on {name}, T = {horizon}, with the bonus token. (a) "
    "Tokens per target call, T / E[target calls], against the window: lines exact{about}, markers simulated; "
    "below, simulated minus exact in half-widths of the interval. Verified token by token, a call ends at "
    "the first rejected token; as a block, it accepts the longest prefix that can be, and never yields fewer "
    "in the mean; the output is the target's either way. (b) Target calls that the block saves, in per cent "
    "of token verification's; fewer calls draft fewer tokens, so that the time saved is nearly the same part "
    "where drafted tokens are cheap."
)

NOISE = 1e-10
"""Per cent that rounding alone can make."""


def block_jobs(settings: Settings, options: Options) -> dict[str, list[Job]]:
    """A job for each way to verify and each window."""
    return {way: [job(settings, _decoder(way, window)) for window in options.blocks] for way in VERIFIED}


def present_block(
    told: Presentation, options: Options, jobs: dict[str, list[Job]]
) -> tuple[Exhibit, list[Verdict], list[str]]:
    """The figure, the verdicts on its points, and its headline. jobs: as `block_jobs` planned them."""
    settings = told.settings
    pair, windows = instance(settings)[0], np.array(options.blocks)
    confidence = all_at_once(settings.confidence, len(VERIFIED) * len(windows))
    exact = {way: [told.prediction(one) for one in jobs[way]] for way in VERIFIED}
    curves, verdicts, table = [], [], []
    for way, word in VERIFIED.items():
        intervals = [per_call(calls_of(one, told.result(one), confidence), pair.horizon) for one in jobs[way]]
        found, true = stacked(intervals), np.array([one.tokens_per_call for one in exact[way]])
        curves.append(Curve(f"verified {word}", windows, true, windows, found, true))
        table += rows(windows, found, true, verified=way)
        for window, one in zip(options.blocks, jobs[way], strict=True):
            if way == "block" or window not in options.simulated:  # those are judged as windows
                verdicts += told.judge(f"{told.title}, verified {word}, window {window}", one, columns=JUDGED)
    saved = _saved(settings, exact)
    table += [
        {"verified": "block", "x": window, **{name: float(line[i]) for name, line in saved.items()}}
        for i, window in enumerate(options.blocks)
    ]
    figure = _draw(settings, windows, curves, saved)
    accuracy = max(one.error_bound for one in exact["block"])
    caption = CAPTION.format(
        name=settings.pair_name, horizon=pair.horizon,
        about=f" but for {accuracy:.1g} calls" if accuracy else "",
    )  # fmt: skip
    everything = [one for jobs_here in jobs.values() for one in jobs_here]
    exhibit = told.figure("windows_block", caption, figure, table, everything)
    return exhibit, verdicts, [_headline(settings, options, exact, saved)]


def _decoder(way: str, window: int) -> Decoder:
    return BlockSpeculative(window) if way == "block" else fixed(window)


def _saved(settings: Settings, exact: Mapping[str, list]) -> dict[str, np.ndarray]:
    """Per cent of the target calls and of the time of token verification that the block saves, (W,) each."""
    pairs = list(zip(exact["token"], exact["block"], strict=True))
    cost = settings.cost
    return {
        "calls_saved": np.array(
            [_saving(block.expected_target_calls, token.expected_target_calls) for token, block in pairs]
        ),
        "time_saved": np.array(
            [_saving(cost.expected_time(block), cost.expected_time(token)) for token, block in pairs]
        ),
    }


def _saving(block: float, token: float) -> float:
    """In per cent; 0 where rounding alone tells the two apart."""
    saving = 100 * (1 - block / token)
    return saving if abs(saving) > NOISE else 0.0


def _draw(settings: Settings, windows: np.ndarray, curves: list[Curve], saved: Mapping[str, np.ndarray]):
    with style():
        figure = new_figure(7.4, 4.2)
        grid = figure.add_gridspec(1, 2)
        upper, lower = residual_axes(figure, grid[0, 0], share=0.22)
        gains = figure.add_subplot(grid[0, 1])
        draw_curves(upper, lower, curves, confidence=settings.confidence, log=False)
        draw_marked(gains, windows, saved["calls_saved"], "target calls saved", series=len(curves))
        gains.set_ylim(bottom=min(0.0, float(saved["calls_saved"].min())))
        upper.set_title(f"(a) tokens per target call on {settings.pair_name}")
        gains.set_title("(b) target calls saved by block verification")
        upper.set_ylabel("tokens per target call")
        gains.set_ylabel("per cent of token verification's")
        for axes in (lower, gains):
            axes.set_xlabel("window")
            axes.xaxis.get_major_locator().set_params(integer=True)
        shared_legend(figure, [upper, gains])
    return figure


def _headline(settings: Settings, options: Options, exact: Mapping[str, list], saved) -> str:
    """Tokens per call both ways at the longest window, and what the block saves there."""
    token, block = (exact[way][-1].tokens_per_call for way in VERIFIED)
    return (
        f"Block verification at window {options.blocks[-1]}: {block:.4f} tokens per call against "
        f"{token:.4f}, {saved['calls_saved'][-1]:.2f}% of the target calls and "
        f"{saved['time_saved'][-1]:.2f}% of the time saved at cost ratio {settings.cost.ratio:g}."
    )
