"""The figure: each rule's curve on a token and on sequences, how far from the front, what time it saves."""

from __future__ import annotations

import numpy as np

from simlab.decoders import RuleSpeculative
from simlab.experiments.common.outcome import Exhibit, Presentation
from simlab.experiments.rules.curves import Points
from simlab.experiments.rules.options import UNBIASED, Options
from simlab.experiments.rules.scenes import Scene
from simlab.report import new_figure, shared_legend, style
from simlab.report.style import NEUTRAL_COLOUR, THEORY_COLOUR, look
from simlab.report.tradeoff import draw_rectangles, shade_regions
from simlab.theory import predict

CAPTION = (
    "Rules of acceptance on {name}. (a) One token, averaged over the prompt: below the line no rule that "
    "draws from the draft can be. Lenience and over-acceptance lie on it. (b) Whole sequences, T = {horizon}:"
    " total variation between the distributions of all tokens of output and target{front}. {coin} Lines are "
    "exact, markers simulated, their shaded rectangles hold all points at once with {confidence:.10g}% "
    "confidence. (c) The same, less {less}: lower is nearer. (d) Speed-up over the target alone with window "
    "{window} and the bonus token at cost ratio {ratio:g}, against the mean bias of a token: what a rule's "
    "bias buys. Unbiased rules stand at bias 0{far}."
)


def present_figure(
    told: Presentation, options: Options, token: Scene, whole: Scene, points: list[Points]
) -> Exhibit:
    """The figure with its table. points: of whole sequences, simulated."""
    settings = told.settings
    gains = {family.label: _gains(settings.cost, whole, options, family) for family in options.families}
    at_zero = {
        name: settings.cost.speedup(predict(whole.pair, RuleSpeculative(rule, options.window, True)))
        for name, rule in UNBIASED.items()
    }
    figure = _draw(told, token, whole, points, gains, at_zero)
    far = [f"{name} at {value:.4g}" for name, value in whole.unbiased.items() if value > _reach(whole)]
    caption = CAPTION.format(
        name=settings.pair_name,
        horizon=whole.pair.horizon,
        front=", over the front of all algorithms" if whole.front is not None else "",
        coin="A coin that picks the draft or speculative decoding for a whole sequence is the dashed line.",
        confidence=100 * settings.confidence,
        less="what the front attains" if whole.front is not None else "the coin's",
        window=options.window,
        ratio=settings.cost.ratio,
        far=f"; of E[N_rej] in (b) {' and '.join(far)} lie to the right of what is shown" if far else "",
    )
    jobs = [job for one in points for job in one.jobs]
    return told.figure("rules", caption, figure, _rows(token, whole, points, gains, at_zero), jobs)


def _gains(cost, whole: Scene, options: Options, family) -> np.ndarray:
    """(mean bias of a token, speed-up) along a family, (K, 2)."""
    found = []
    for value in family.values:
        exact = predict(whole.pair, RuleSpeculative(family.make(value), options.window, True))
        found.append((float(exact.bias_per_position.mean()), cost.speedup(exact)))
    return np.array(sorted(found))


def _draw(told: Presentation, token: Scene, whole: Scene, points: list[Points], gains, at_zero):
    confidence = told.settings.confidence
    with style():
        figure = new_figure(7.4, 7.4)
        grid = figure.add_gridspec(2, 2)
        first, second, third, fourth = (figure.add_subplot(grid[i, j]) for i in (0, 1) for j in (0, 1))
        _draw_scene(first, token)
        first.set_title("(a) one token")
        first.set_xlabel("P(reject)")
        first.set_ylabel("loss, TV(output, target)")
        _draw_scene(second, whole)
        for number, one in enumerate(points):
            rejections, loss = one.within(_reach(whole))
            if len(rejections.estimate):
                draw_rectangles(second, rejections, loss, confidence=confidence, series=number)
        second.set_title(f"(b) whole sequences, T = {whole.pair.horizon}")
        second.set_xlabel("E[$N_{rej}$]")
        second.set_ylabel("TV(output, target) of the sequence")
        _draw_gaps(third, whole, points)
        _draw_gains(fourth, gains, at_zero)
        shared_legend(figure, [first, second, fourth], columns=3)
    return figure


def _reach(scene: Scene) -> float:
    """How far the rejections are shown."""
    return 1.5 * scene.rejections or 1.0


def _draw_scene(axes, scene: Scene) -> None:
    across, up = _reach(scene), min(1.0, 1.6 * scene.alone) or 1.0
    x = np.linspace(0, across, 400)
    if scene.front is not None or scene.pair.horizon == 1:
        shade_regions(
            axes, x, np.minimum(scene.floor(x), up), above="", below="unattainable", top=up,
            at=((0.5, 0.9), (0.2, 0.13)),
        )  # fmt: skip
    if scene.front is not None:
        axes.plot(
            scene.front.rejections, scene.front.total_variation, color=THEORY_COLOUR, linewidth=1.6,
            marker="", label="front over all algorithms",
        )  # fmt: skip
    dashes = (0, (5, 3))
    axes.plot(
        [0, scene.rejections], [scene.alone, 0], color=THEORY_COLOUR, linewidth=0.9, linestyle=dashes,
        marker="", label="a coin per sequence",
    )  # fmt: skip
    for number, one in enumerate(scene.curves):
        width = 2.6 if number == 0 else 1.1  # on one token the second lies on the first
        axes.plot(
            one.rejections, one.loss, color=look(number)[0], linewidth=width, marker="",
            label=one.family.label,
        )  # fmt: skip
    _draw_unbiased(axes, {name: (value, 0.0) for name, value in scene.unbiased.items() if value <= across})
    axes.set_xlim(0, across)
    axes.set_ylim(0, 1.04 * up)


def _draw_unbiased(axes, places: dict[str, tuple[float, float]]) -> None:
    for name, (x, y) in places.items():
        number = 5 + list(UNBIASED).index(name)
        colour, _ = look(number)
        axes.plot(
            [x], [y], color=colour, marker="sDP"[number - 5], markersize=6, linestyle="none",
            clip_on=False, zorder=4, label=name,
        )  # fmt: skip


def _draw_gaps(axes, scene: Scene, points: list[Points]) -> None:
    for number, one in enumerate(scene.curves):
        axes.plot(
            one.rejections,
            scene.gap(one.rejections, one.loss),
            color=look(number)[0],
            linewidth=1.1,
            marker="",
        )
    for number, one in enumerate(points):
        rejections, loss = (part.estimate for part in one.within(1.02 * scene.rejections))
        colour, marker = look(number)
        axes.plot(
            rejections, scene.gap(rejections, loss),
            color=colour, marker=marker, markerfacecolor="white", linestyle="none",
        )  # fmt: skip
    axes.axhline(0, color=THEORY_COLOUR, linewidth=0.9)
    if scene.front is not None:
        x = np.linspace(0, scene.rejections, 200)
        dashes = (0, (5, 3))
        gap = scene.gap(x, scene.coin(x))
        axes.plot(x, gap, color=THEORY_COLOUR, linewidth=0.9, linestyle=dashes, marker="")
    axes.set_xlim(0, 1.02 * scene.rejections or 1.0)
    above = "the front" if scene.front is not None else "the coin's line"
    axes.set_title(f"(c) above {above}")
    axes.set_xlabel("E[$N_{rej}$]")
    axes.set_ylabel("total variation above it")


def _draw_gains(axes, gains: dict[str, np.ndarray], at_zero: dict[str, float]) -> None:
    for number, line in enumerate(gains.values()):
        colour, marker = look(number)
        axes.plot(
            line[:, 0], line[:, 1], color=colour, marker=marker, markersize=4, linewidth=1.1,
            markerfacecolor="white",
        )  # fmt: skip
    _draw_unbiased(axes, {name: (0.0, value) for name, value in at_zero.items()})
    axes.axhline(1.0, color=NEUTRAL_COLOUR, linewidth=0.8)
    axes.set_xlim(left=0)
    axes.set_title("(d) speed-up against bias")
    axes.set_xlabel("mean bias of a token")
    axes.set_ylabel("speed-up")


def _rows(token: Scene, whole: Scene, points: list[Points], gains, at_zero) -> list[dict]:
    rows = []
    for panel, scene in (("one token", token), (f"T = {whole.pair.horizon}", whole)):
        for one in scene.curves:
            rows += [
                {"panel": panel, "series": one.family.label, "rejections_exact": n, "loss_exact": loss}
                for n, loss in zip(one.rejections.tolist(), one.loss.tolist(), strict=True)
            ]
        rows += [
            {"panel": panel, "series": name, "rejections_exact": value, "loss_exact": 0.0}
            for name, value in scene.unbiased.items()
        ]
        if scene.front is not None:
            floor = scene.floor(scene.front.rejections)
            for series, line in (("front", scene.front.total_variation), ("nothing below", floor)):
                rows += [
                    {"panel": panel, "series": series, "rejections_exact": n, "loss_exact": loss}
                    for n, loss in zip(scene.front.rejections.tolist(), line.tolist(), strict=True)
                ]
    for one in points:
        for i, value in enumerate(one.family.values):
            row = {"panel": "simulated", "series": one.family.label, one.family.parameter: value}
            for name, interval in (("rejections", one.rejections), ("loss", one.loss)):
                ends = (name, f"{name}_low", f"{name}_high")
                row |= {key: float(end[i]) for key, end in zip(ends, interval, strict=True)}
            rows.append({**row, "rejections_exact": float(one.exact_rejections[i])})
    for label, line in gains.items():
        rows += [
            {"panel": "speed-up", "series": label, "bias_per_token": bias, "speedup": gain}
            for bias, gain in line.tolist()
        ]
    return rows + [
        {"panel": "speed-up", "series": name, "bias_per_token": 0.0, "speedup": gain}
        for name, gain in at_zero.items()
    ]
