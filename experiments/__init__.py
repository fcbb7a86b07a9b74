"""One module per published figure or table: which tasks, which verdicts, which picture.

A family of figures is a folder; what families share is in `common`, and no family imports another. An
experiment is a module with two functions: `plan(points)` returns what it will simulate and all that it wants
to know again (`common.jobs.Planned`), `present(planned, results)` judges and draws it (`common.outcome`).
"""

import importlib

from simlab.errors import SimlabError

EXPERIMENTS = {
    "study": "study",
    "fig2": "yin2024.fig2",
    "fig3": "yin2024.fig3",
    "fig4": "yin2024.fig4",
    "fig5": "yin2024.fig5",
    "verify": "yin2024.theorems",
    "winrate": "yin2024.winrate",
    "trees": "trees",
    "light": "speed_of_light",
    "windows": "windows",
    "field": "field",
    "rules": "rules",
    "audit": "auditing",
    "correctness": "correctness",
    "models": "models",
    "ceiling": "ceiling",
}
"""The experiments by the names that users give: each the module here that plans and presents it."""


def experiment_module(name: str):
    """The module that plans and presents an experiment. Raises SimlabError for an unknown name."""
    if name not in EXPERIMENTS:
        raise SimlabError(f"no experiment {name!r}: known are {', '.join(EXPERIMENTS)}")
    return importlib.import_module(f"simlab.experiments.{EXPERIMENTS[name]}")
