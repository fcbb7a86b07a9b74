"""The optimal adaptive policy itself: how many tokens to draft, by last token and position."""

from __future__ import annotations

import numpy as np

from simlab.decoders import Speculative
from simlab.experiments.common.jobs import instance
from simlab.experiments.common.labels import token_labels
from simlab.experiments.common.outcome import Exhibit, Presentation
from simlab.experiments.windows.expected_work import adaptive, shape_of
from simlab.experiments.windows.options import Options
from simlab.pairs import ChainPair
from simlab.report import new_figure, shared_legend, style
from simlab.report.windowplot import draw_policy, draw_rates, window_legend
from simlab.theory import predict

MOST_TOKENS, MOST_POSITIONS = 32, 120
"""Rows and columns that can be read; the likeliest last tokens and the last positions are shown."""

CAPTION = (
    "The optimal adaptive windows on {name} at cost ratio {ratio:g}: how many tokens a call drafts that "
    "starts after the last token of a row at the position of a column; of at most {longest}. Rows: the "
    "{rows} likeliest last tokens of {states}, the longest windows on top. Left, for the first position "
    "shown: the probability that the next drafted token is accepted, 1 less the total variation between "
    "draft and target, and the draft's confidence, the probability of its likeliest next token, which is all "
    "that a rule of confidence sees of it. Towards the horizon there is no room for long windows."
)


def present_policy(told: Presentation, options: Options) -> tuple[Exhibit, list[str]]:
    """The figure and its headline; nothing of it is simulated."""
    settings = told.settings
    pair, ratio = instance(settings)[0], settings.cost.ratio
    windows = adaptive(pair, ratio, options.longest, shape_of(settings.cost))[0].windows
    likely = last_token_distribution(pair)
    first = max(0, pair.horizon - MOST_POSITIONS)
    shown = windows[first:]
    tokens = np.argsort(-likely, kind="stable")[:MOST_TOKENS]
    accepted = np.minimum(pair.draft[first], pair.target[first]).sum(axis=1)
    confidence = pair.draft[first].max(axis=1)
    tokens = tokens[np.lexsort((-accepted[tokens], -shown.mean(axis=0)[tokens]))]
    labels = [token_labels(settings, pair.states)[token] for token in tokens]
    with style():
        figure = new_figure(7.4, 1.7 + 0.15 * max(len(tokens), 8))
        grid = figure.add_gridspec(1, 2, width_ratios=[1, 2.6])
        left, right = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[0, 1])
        draw_rates(left, accepted[tokens], confidence[tokens], labels)
        left.set_title(f"(a) at t = {first + 1}")
        left.set_xlabel("probability")
        left.set_ylabel("last token")
        drawn = draw_policy(right, shown[:, tokens], first)
        right.set_title("(b) window of a call that starts there")
        right.set_xlabel("position t of the call's first token")
        shared_legend(figure, [left], columns=2)
        window_legend(right, drawn)
    table = (
        {"position": t + 1, "token": int(token), "label": label, "window": int(windows[t, token])}
        for token, label in zip(tokens, labels, strict=True)
        for t in range(first, pair.horizon)
    )
    caption = CAPTION.format(
        name=settings.pair_name, ratio=ratio, longest=options.longest, rows=len(tokens), states=pair.states
    )
    return told.figure("windows_policy", caption, figure, table), [_headline(windows[0], likely)]


def last_token_distribution(pair: ChainPair) -> np.ndarray:
    """How often each token is the last one before a position, averaged over positions, (V,)."""
    before = np.vstack([pair.initial, predict(pair, Speculative()).token_marginals[:-1]])
    return before.mean(axis=0)


def _headline(first: np.ndarray, likely: np.ndarray) -> str:
    """The range of windows at the first position, over tokens that occur."""
    occurring = first[likely > 0]
    mean = float(first @ likely)
    return (
        f"The optimal adaptive windows of the first call run from {occurring.min()} to {occurring.max()} "
        f"tokens, {mean:.2f} on average over last tokens."
    )
