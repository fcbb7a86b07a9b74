"""The legend of `simlab plan`'s figure names all that is drawn."""

import numpy as np

from simlab.report.planplot import Planned, draw_plans
from simlab.report.style import new_figure, style


def test_the_band_below_the_best_is_in_the_legend():
    near = np.array([False, True, True])
    plan = Planned("acceptance 0.5", np.arange(3), np.array([1.0, 1.3, 1.31]), near, best=2)
    with style():
        figure = new_figure(7.0, 4.2)
        draw_plans(figure, [plan], near=0.02)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "acceptance 0.5",
        "windows within 2% of the best",
        "best window",
        "speed-ups within 2% of the best",
        "target alone",
    ]
