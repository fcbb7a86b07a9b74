"""Figure 4 on whole sequences: is the front of rejections and bias still a line? (own)

Three roads to the front over all rejection-based algorithms. A coin that picks the draft (with probability c)
or speculative decoding for a whole sequence attains every point of a straight line: its output has the
distribution c draft + (1 - c) target, so total variation c TV(draft, target), and E[N_rej] is 1 - c times
that of speculative decoding. The dynamic programme of `simlab.theory.sequence_front` has an algorithm on one
side and a bound for all on the other. On a horizon that is short enough the linear program of
`simlab.verify.programs` ranges over all algorithms.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from simlab.decoders import Speculative
from simlab.experiments.common.jobs import instance
from simlab.experiments.common.outcome import Exhibit, Presentation
from simlab.experiments.common.settings import Settings
from simlab.experiments.yin2024.fig4.series import (
    LABELS,
    Options,
    Series,
    curve_rows,
    exact_curve,
    is_small,
    table_rows,
)
from simlab.pairs import ChainPair
from simlab.report import new_figure, shared_legend, style
from simlab.report.style import NEUTRAL_COLOUR, THEORY_COLOUR, look
from simlab.report.tradeoff import draw_rectangles, draw_residual_plane, shade_regions
from simlab.theory import (
    Front,
    chains_total_variation,
    expected_rejections_per_position,
    front_floor,
    sequence_front,
)
from simlab.verify import Check
from simlab.verify.check import Undecided
from simlab.verify.compare import Claim, equal, undecided

SMALL = 40_000
"""Up to this T V^2, about V = 28 at T = 50, the front is asked for: some seconds."""

MOST_VARIABLES = 20_000
"""Up to this many variables the linear programs of all weights take seconds together."""

MOST_PREFIXES = 2**16
"""Up to this many prefixes the total variation of a random algorithm takes milliseconds."""

SOLVED = 1e-7
"""How far a solved linear program may be from its optimum."""

NO_PROGRAMS = np.empty((0, 3))


@dataclass(frozen=True, eq=False)
class Scene:
    """What one horizon has to show.

    coin: (E[N_rej] of speculative decoding, TV of drafting alone), the ends of the straight line. curves:
    exact (epsilon, E[N_rej], TV) by replacement. front: from both sides, if it was asked for. programs:
    (K, 3), weight, E[N_rej] and TV of optimal algorithms by linear programs, or none. undecided: why they
    were not solved, if so. cloud: (K, 2), E[N_rej] and TV of random algorithms, or none.
    """

    pair: ChainPair
    coin: tuple[float, float]
    curves: dict[str, tuple]
    front: Front | None
    programs: np.ndarray
    undecided: Undecided | None
    cloud: np.ndarray

    def coin_loss(self, rejections) -> np.ndarray:
        """The total variation of the coin with that E[N_rej]."""
        all_rejections, whole = self.coin
        return whole * (1 - np.asarray(rejections) / all_rejections) if all_rejections > 0 else 0 * rejections


def present_sequences(
    told: Presentation, options: Options, series: list[Series]
) -> tuple[Exhibit, list[Check], list[str]]:
    """The figure of whole sequences, the checks on its fronts, and what was left out."""
    settings = told.settings
    whole = _scene(instance(settings)[0], options, series)
    cut = min(options.short_horizon, whole.pair.horizon)
    short = _scene(instance(settings, cut)[0], options, seed=settings.seed, all_algorithms=True)
    figure = _draw(settings, series, whole, short)
    table = table_rows(series, f"simulated, T = {whole.pair.horizon}")
    table += [row for scene in (whole, short) for row in _rows(scene)]
    jobs = [job for one in series for job in one.jobs]
    exhibit = told.figure("fig4_sequences", _caption(settings, series, whole, short), figure, table, jobs)
    checks = [_program_check(short)] if len(short.programs) or short.undecided else []
    return exhibit, checks, _notes(whole, short)


def _scene(
    pair: ChainPair,
    options: Options,
    series: list[Series] = (),
    *,
    seed: int = 0,
    all_algorithms: bool = False,
) -> Scene:
    """series: what is simulated on this very pair, of which the exact numbers are known."""
    rejections = float(expected_rejections_per_position(pair, Speculative()).sum())
    alone = chains_total_variation(pair.draft, pair.target, pair.initial).middle
    epsilons, known = np.array(options.epsilons), {one.replacement: one for one in series}
    front = None
    if pair.horizon * pair.states**2 <= SMALL:
        front = sequence_front(pair, options.queries)
    solved, reason = _programs(pair, front) if all_algorithms else (NO_PROGRAMS, None)
    return Scene(
        pair=pair,
        coin=(rejections, alone),
        curves={one: exact_curve(pair, one, epsilons, known.get(one)) for one in options.replacements},
        front=front,
        programs=solved,
        undecided=reason,
        cloud=_cloud(pair, options.algorithms, seed) if all_algorithms else np.empty((0, 2)),
    )


def _programs(pair: ChainPair, front: Front | None) -> tuple[np.ndarray, Undecided | None]:
    """Optimal algorithms by linear programs, at the weights that the front was asked for, or why not."""
    leaves = int((pair.initial > 0).sum()) * pair.states**pair.horizon
    if front is None or 3 * leaves > MOST_VARIABLES:
        return NO_PROGRAMS, None
    from simlab.verify import programs

    weights = np.sort(front.weights)
    try:
        points = programs.front_by_linear_program(pair, weights)
    except Undecided as reason:
        return NO_PROGRAMS, reason
    return np.column_stack([weights, points]), None


def _cloud(pair: ChainPair, algorithms: int, seed: int) -> np.ndarray:
    """Random algorithms: over-acceptance with an epsilon of its own for every step and last token."""
    if pair.states ** (pair.horizon + 1) > MOST_PREFIXES:
        return np.empty((0, 2))
    random = np.random.RandomState(seed % 2**32)
    points = []
    for _ in range(algorithms):
        scale = 10 ** random.uniform(-3, 0)
        epsilon = scale * random.standard_exponential((pair.horizon, 1, 1)) ** random.uniform(0, 4)
        epsilon = epsilon * random.standard_exponential((pair.horizon, pair.states, 1)) ** random.uniform(
            0, 2
        )
        points.append(_point(pair, epsilon))
    return np.array(points).reshape(-1, 2)


def _point(pair: ChainPair, epsilon: np.ndarray) -> tuple[float, float]:
    """(E[N_rej], TV) of over-acceptance with epsilon (T, V, 1) and the optimal replacement."""
    accepted = np.minimum(pair.draft, pair.target + epsilon)
    missing = np.maximum(pair.target - accepted, 0.0)
    whole = missing.sum(axis=-1, keepdims=True)
    rejected = (pair.draft - accepted).sum(axis=-1, keepdims=True)
    output = accepted + rejected * np.divide(missing, whole, out=np.array(pair.target), where=whole > 0)
    distribution, rejections = pair.initial, 0.0
    for step, lost in zip(output, rejected[..., 0], strict=True):
        rejections += float(distribution @ lost)
        distribution = distribution @ step
    return rejections, chains_total_variation(output, pair.target, pair.initial).middle


def _draw(settings: Settings, series: list[Series], whole: Scene, short: Scene):
    with style():
        figure = new_figure(7.4, 7.6)
        grid = figure.add_gridspec(2, 2)
        panels = [figure.add_subplot(grid[i, j]) for i in (0, 1) for j in (0, 1)]
        _draw_scene(panels[0], whole)
        for number, one in enumerate(series):
            draw_rectangles(
                panels[0], one.rejections, one.loss, confidence=settings.confidence, series=number
            )
        panels[0].set_title(f"(a) whole sequences, T = {whole.pair.horizon}")
        _draw_scene(panels[1], short)
        panels[1].set_title(f"(b) T = {short.pair.horizon}")
        _draw_beside_coin(panels[2], short)
        panels[2].set_title(f"(c) T = {short.pair.horizon}, against a coin per sequence")
        draw_residual_plane(panels[3], [one.residuals for one in series])
        panels[3].set_title("(d) simulated less exact in (a), in half-widths")
        panels[3].set_xlabel("of E[$N_{rej}$]")
        panels[3].set_ylabel("of the total variation")
        shared_legend(figure, panels[:3], columns=3)
    return figure


def _draw_scene(axes, scene: Scene) -> None:
    """Total variation against rejections: the front, the coin, over-acceptance, random algorithms."""
    rejections, alone = scene.coin
    across, up = (
        1.08 * rejections or 1.0,
        1.1 * max(alone, *(c[2].max() for c in scene.curves.values())) or 1.0,
    )
    if scene.front is not None:
        x = np.linspace(0, across, 400)
        shade_regions(
            axes, x, front_floor(scene.front, x), above="", below="unattainable", top=up,
            at=((0.5, 0.9), (0.27, 0.13)),
        )  # fmt: skip
        axes.plot(
            scene.front.rejections, scene.front.total_variation, color=THEORY_COLOUR, linewidth=1.6,
            marker="", label="front over all algorithms",
        )  # fmt: skip
    _draw_programs_and_cloud(axes, scene, lambda n, loss: loss)
    axes.plot(
        [0, rejections], [alone, 0], color=THEORY_COLOUR, linewidth=0.9, linestyle=(0, (5, 3)), marker="",
        label="a coin per sequence",
    )  # fmt: skip
    _draw_curves(axes, scene, lambda n, loss: loss)
    axes.set_xlim(0, across)
    axes.set_ylim(0, up)
    axes.set_xlabel("E[$N_{rej}$]")
    axes.set_ylabel("TV(output, target) of the sequence")


def _draw_beside_coin(axes, scene: Scene) -> None:
    """The same, less what a coin pays for as many rejections: its line is flat, and better is below it."""

    def less(n, loss):
        return loss - scene.coin_loss(n)

    axes.axhline(0, color=THEORY_COLOUR, linewidth=0.9, linestyle=(0, (5, 3)))
    lowest, highest = 0.0, 0.0
    if scene.front is not None:
        x = np.linspace(0, scene.coin[0], 400)
        floor = less(x, front_floor(scene.front, x))
        lowest = float(floor.min())
        axes.fill_between(x, floor, -1, color=NEUTRAL_COLOUR, alpha=0.22, linewidth=0)
        axes.plot(
            scene.front.rejections, less(scene.front.rejections, scene.front.total_variation),
            color=THEORY_COLOUR, linewidth=1.6, marker="",
        )  # fmt: skip
    for n, loss in [
        *((n, loss) for name, (_, n, loss) in scene.curves.items() if name == "optimal"),
        scene.cloud.T,
    ]:
        highest = max([highest, *less(n, loss)])
    _draw_programs_and_cloud(axes, scene, less)
    _draw_curves(axes, scene, less)
    reach = max(highest - lowest, 1e-3)
    axes.set_xlim(0, 1.02 * scene.coin[0] or 1.0)
    axes.set_ylim(lowest - 0.15 * reach, highest + 0.25 * reach)
    axes.set_xlabel("E[$N_{rej}$]")
    axes.set_ylabel("TV less the coin's")


def _draw_curves(axes, scene: Scene, height) -> None:
    for number, (name, (_, rejections, loss)) in enumerate(scene.curves.items()):
        axes.plot(
            rejections, height(rejections, loss), color=look(number)[0], linewidth=0.9, marker="",
            label=LABELS[name],
        )  # fmt: skip


def _draw_programs_and_cloud(axes, scene: Scene, height) -> None:
    if len(scene.cloud):
        n, loss = scene.cloud.T
        axes.plot(
            n, height(n, loss), color=look(5)[0], marker=".", markersize=2.5, linestyle="none",
            label="random algorithms", zorder=2.1,
        )  # fmt: skip
    if len(scene.programs):
        _, n, loss = scene.programs.T
        axes.plot(
            n, height(n, loss), color=THEORY_COLOUR, marker="x", markersize=4.5, linestyle="none",
            label="best, by linear program", zorder=3,
        )  # fmt: skip


def _program_check(scene: Scene) -> Check:
    """The linear programs' optima between the dynamic programme's two sides."""
    claim = Claim(
        "figure 4, front by linear program",
        "own",
        "the least E[N_rej] + weight * TV over all algorithms lies between the front's two sides",
        "linear program",
        "middle of the two sides",
    )
    weights, n, loss = scene.programs.T
    scope = f"{len(weights)} weights, T = {scene.pair.horizon}; tolerance: half the distance of the sides"
    if scene.undecided:
        return undecided(claim, f"T = {scene.pair.horizon}", scene.undecided)
    optimum = n + weights * loss
    attained = (scene.front.rejections + weights[:, None] * scene.front.total_variation).min(axis=1)
    least = scene.front.least[np.argsort(scene.front.weights)]
    middle, slack = (attained + least) / 2, (attained - least) / 2 + SOLVED
    worst = int(np.argmax(np.abs(optimum - middle) / slack))
    claim = replace(claim, left=f"{claim.left}, weight {weights[worst]:.4g}")
    return equal(claim, optimum[worst], middle[worst], tolerance=float(slack[worst]), scope=scope)


def _caption(settings: Settings, series: list[Series], whole: Scene, short: Scene) -> str:
    scenes = (whole, short) if whole.pair.horizon != short.pair.horizon else (whole,)
    fronts = any(scene.front is not None for scene in scenes)
    gaps = [*map(_gap, scenes)]
    words = [
        "Rejections against bias on whole sequences: the total variation between the distributions of output "
        "and target, all tokens together. A coin that picks the draft or speculative decoding for a whole "
        "sequence attains every point of the dashed line. Lines are exact, markers simulated, their shaded "
        f"rectangles hold all points at once with {100 * settings.confidence:.10g}% confidence.",
        "Grey is proven to be out of reach of every algorithm; between it and the front that is attained, "
        "where there is room to see, nothing is known." * fronts,
        *gaps,
        "The algorithms on it remember how far the output has strayed from the target; over-acceptance "
        "forgets." * any("not a line" in gap for gap in gaps),
        _over_acceptance(series, whole),
        _what_is_drawn(short),
    ]
    return " ".join(word for word in words if word)


def _gap(scene: Scene) -> str:
    """How far the front is from the coin's line, from both sides."""
    front, horizon = scene.front, scene.pair.horizon
    if front is None or scene.coin[0] == 0:
        return ""
    attained = scene.coin_loss(front.rejections) - front.total_variation
    x = np.linspace(0, scene.coin[0], 2000)
    most = float((scene.coin_loss(x) - front_floor(front, x)).max())
    index = int(np.argmax(attained))
    if attained[index] < 1e-6:
        return f"At T = {horizon} the front is that line, to within {max(most, 1e-12):.1g}."
    return (
        f"At T = {horizon} the front over all algorithms is not a line: at E[N_rej] = "
        f"{front.rejections[index]:.3g} it lies {attained[index]:.4f} below the coin's, and nowhere more "
        f"than {most:.4f}."
    )


def _over_acceptance(series: list[Series], whole: Scene) -> str:
    """Where the optimal replacement of single tokens lies, at the epsilon furthest from the coin's line."""
    for one in series:
        if one.replacement != "optimal":
            continue
        coin = whole.coin_loss(one.exact_rejections)
        index = int(np.argmax(one.exact_loss - coin))
        if one.exact_loss[index] - coin[index] < 1e-9:
            continue
        return (
            f"Over-acceptance, optimal on each token, is above it: epsilon = {one.epsilons[index]:g} has "
            f"E[N_rej] = {one.exact_rejections[index]:.4g} and total variation {one.exact_loss[index]:.4f}, "
            f"the coin {coin[index]:.4f}."
        )
    return ""


def _what_is_drawn(short: Scene) -> str:
    """What the marks on the short horizon are."""
    crosses = "the crosses are linear programs over all algorithms" * bool(len(short.programs))
    dots = "the dots random ones: over-acceptance with an epsilon of its own for every step and last token"
    marks = ", ".join(filter(None, [crosses, dots * bool(len(short.cloud))]))
    return f"(b), (c) On a short horizon {marks}." if marks else ""


def _notes(whole: Scene, short: Scene) -> list[str]:
    notes = []
    if not is_small(whole.pair):
        notes.append("The exact curves of this pair join the simulated epsilons by straight lines.")
    for scene in (whole, short):
        horizon, states = scene.pair.horizon, scene.pair.states
        if scene.front is None:
            notes.append(
                f"The front over all algorithms at T = {horizon} is left out: with {states} tokens it would "
                f"take minutes (T V^2 = {horizon * states**2:,}, drawn up to {SMALL:,})."
            )
    if not len(short.programs) and not short.undecided:
        notes.append(
            f"The linear programs over all algorithms are left out: {short.pair.states}^{short.pair.horizon} "
            "sequences for each x_0 are too many; a smaller experiment.short_horizon may do."
        )
    if not len(short.cloud):
        notes.append(
            "Random algorithms are left out: too many sequences to enumerate for each, or none asked for."
        )
    return notes


def _rows(scene: Scene) -> list[dict]:
    panel = f"T = {scene.pair.horizon}"
    rejections, alone = scene.coin
    rows = curve_rows(panel, "coin", [0.0, rejections], [alone, 0.0])
    for name, (epsilons, n, loss) in scene.curves.items():
        rows += curve_rows(panel, f"exact curve, {name}", n, loss, epsilons)
    if scene.front is not None:
        rows += curve_rows(panel, "front, attained", scene.front.rejections, scene.front.total_variation)
        floor = front_floor(scene.front, scene.front.rejections)
        rows += curve_rows(panel, "front, nothing below", scene.front.rejections, floor)
    rows += curve_rows(panel, "linear program", *scene.programs[:, 1:].T)
    return rows + curve_rows(panel, "random algorithm", *scene.cloud.T)
