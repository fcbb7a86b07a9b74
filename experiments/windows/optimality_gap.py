"""What it costs to know only the mean acceptance, and what confidence recovers, as the draft gets better.

Along the dial of the draft's quality (`dial`), at the settings' own cost ratio, all exact: the policies of
`windows_policies`, the time that each loses against the optimal adaptive windows, and the part of the
optimum's gain over the best fixed window that confident drafting has.
"""

from __future__ import annotations

import numpy as np

from simlab.experiments.common.draft_quality import dial_name, dial_pair
from simlab.experiments.common.jobs import instance
from simlab.experiments.common.outcome import Exhibit, Presentation
from simlab.experiments.common.settings import Settings
from simlab.experiments.windows.expected_work import memoryless_window, shape_of, window_work
from simlab.experiments.windows.options import Options
from simlab.experiments.windows.policies import CHOICES, SOLID, kept, times_of
from simlab.report import new_figure, shared_legend, style
from simlab.report.curves import Curve, draw_comparison, draw_curves
from simlab.report.windowplot import draw_dashes, draw_edges, draw_marked, plain_ratio_ticks
from simlab.theory import mean_acceptance, memoryless

DRAWN = ("adaptive", "confident", "fixed")

CAPTION = (
    "What it costs to know only the mean acceptance, and what confidence recovers, as the draft gets "
    "{better} from left to right; at cost ratio {ratio:g}, at most {longest} tokens a call, T = {horizon}, "
    "all exact. (a) Speed-up over autoregressive decoding of the policies of the figure before; grey what "
    "the memoryless formula promises for the window that it chooses. (b) Time beyond that of the optimal "
    "adaptive windows, in per cent; where the formula's line lies on that of the best fixed window, it has "
    "found that one, and what is lost is lost to any single window. (c) Of the time that the optimal "
    "adaptive windows gain over the best fixed window, the part that confident drafting gains, in per cent; "
    "no point where there is nothing to gain. It may exceed 100, as confidence is looked at after every "
    "drafted token, while an adaptive window is decided before the first."
)


def present_gap(told: Presentation, options: Options) -> tuple[Exhibit, list[str]]:
    """The figure and its headline; nothing of it is simulated."""
    settings = told.settings
    ratio, shape = settings.cost.ratio, shape_of(settings.cost)
    pairs = [dial_pair(settings, value) for value in options.dial]
    times = [times_of(pair, ratio, options.longest, shape) for pair in pairs]
    windows = [memoryless_window(pair, ratio, options.longest, shape) for pair in pairs]
    promised = [
        float(memoryless.speedup(mean_acceptance(pair), window, settings.cost))
        for pair, window in zip(pairs, windows, strict=True)
    ]
    horizon = instance(settings)[0].horizon
    speedups = {choice: np.array([horizon / time[choice] for time in times]) for choice in CHOICES}
    beyond = {choice: 100 * (speedups["adaptive"] / line - 1) for choice, line in speedups.items()}
    share = 100 * np.array([kept(time) for time in times])
    figure = _draw(settings, options, speedups, np.array(promised), beyond, share)
    table = {
        "dial": options.dial,
        "acceptance": [mean_acceptance(pair) for pair in pairs],
        **{f"speedup_{choice}": line for choice, line in speedups.items()},
        "speedup_promised": promised,
        "window_fixed": [window_work(pair, options.longest, shape).best(ratio) for pair in pairs],
        "window_memoryless": windows,
        **{f"beyond_{choice}": line for choice, line in beyond.items()},
        "kept_by_confident": share,
    }
    caption = CAPTION.format(
        better="better" if settings.pair_name == "corpus" else "worse",
        ratio=ratio, longest=options.longest, horizon=horizon,
    )  # fmt: skip
    exhibit = told.figure("windows_gap", caption, figure, table)
    return exhibit, [_headline(settings, options, speedups, share)]


def _draw(settings: Settings, options: Options, speedups: dict, promised, beyond: dict, share: np.ndarray):
    log, dial = settings.pair_name == "corpus", np.array(options.dial)
    with style():
        figure = new_figure(8.2, 3.7)
        grid = figure.add_gridspec(1, 3)
        above, losses, gains = (figure.add_subplot(grid[0, column]) for column in range(3))
        for axes, lines in ((above, speedups), (losses, beyond)):
            curves = [Curve(CHOICES[choice], dial, lines[choice], width=SOLID[choice]) for choice in DRAWN]
            draw_curves(axes, None, curves, confidence=settings.confidence, log=log)
            draw_dashes(axes, dial, lines["memoryless"], CHOICES["memoryless"], series=len(DRAWN) + 1)
        draw_comparison(above, dial, promised, "what the formula promises", dashes=(1.5, 1.5))
        _draw_share(gains, dial, share, log)
        for axes, title, label in (
            (above, "(a) speed-up", "over autoregressive decoding"),
            (losses, "(b) time beyond the optimum's", "per cent"),
            (gains, "(c) gain kept by confidence", "per cent of the optimum's gain"),
        ):
            axes.set_title(title)
            axes.set_ylabel(label)
            axes.set_xlabel(dial_name(settings).replace(" that ", "\nthat "))
            if log:
                plain_ratio_ticks(axes)
        shared_legend(figure, [above])
    return figure


def _draw_share(axes, dial: np.ndarray, share: np.ndarray, log: bool) -> None:
    """The part of the gain kept, with the lines of nothing and of all of it."""
    draw_marked(axes, dial, share, "the optimum's gain kept", series=DRAWN.index("confident"))
    draw_edges(axes, (0, 100))
    if log:
        axes.set_xscale("log")
        axes.set_xlim(dial[0] / 1.4, dial[-1] * 1.4)
    else:
        axes.set_xlim(dial[0] - 0.04, dial[-1] + 0.04)


def _headline(settings: Settings, options: Options, speedups: dict, share: np.ndarray) -> str:
    """Where the formula's choice costs the most, and how much of the optimum's gain confidence keeps."""
    beyond, mistake = (
        100 * np.maximum(speedups[best] / speedups["memoryless"] - 1, 0.0) for best in ("adaptive", "fixed")
    )
    worst = int(beyond.argmax())
    told = (
        f"Along the dial ({dial_name(settings)}) the formula's window takes at most {beyond[worst]:.2f}% "
        f"more time than the optimal adaptive windows, at {options.dial[worst]:g}, and at most "
        f"{mistake.max():.2f}% more than the best fixed window."
    )
    if not np.isfinite(share).any():
        return told
    ends = f"{round(np.nanmin(share))}% to {round(np.nanmax(share))}%"
    return f"{told} Confident drafting has {ends} of the optimum's gain over the best fixed window."
