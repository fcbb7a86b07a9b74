"""Experiments as `collect_results` gives them, made up: what the tests of the page draw."""

from __future__ import annotations

from simlab.report import new_figure, save_figure, style

NASTY = "<b>\"bold\" & 'sly'</b><script>alert(1)</script>"
STUDY = "drafts,rejections,law,note,x\n1,1e-3,PASS,b,inf\n2,20,FAIL,a10,\n4,3.5,PASS,a9,-inf\n8,,PASS,a9,0\n"


def verdict(name: str = "E[N_rej]", status: str = "PASS", **changes) -> dict:
    return {
        "name": name,
        "kind": "equality",
        "status": status,
        "statistic": "mean",
        "estimate": 16.41,
        "exact": 16.4049,
        "low": 16.3,
        "high": 16.5,
        "false_alarm": 1e-6,
        "miss": 1e-6,
        "detectable": 0.2,
        "resolution": 0.5,
        "trajectories": 400_000,
        "method": "fixed size",
        **changes,
    }


def check(name: str = "theorem 2, linear program", status: str = "PASS", **changes) -> dict:
    return {
        "name": name,
        "source": "Yin et al. 2024, Theorem 2",
        "statement": "nobody rejects less",
        "status": status,
        "left": "least rejection",
        "left_value": 0.25,
        "right": "total variation",
        "right_value": 0.25,
        "difference": 1e-17,
        "tolerance": 1e-9,
        "scope": "all 350 (t, x)",
        **changes,
    }


def experiment(**changes) -> dict:
    """A study without figures; `changes` replace or add fields."""
    return {
        "schema": 1,
        "title": "drafts",
        "experiment": "study",
        "folder": "drafts",
        "command": "simlab run experiment=drafts",
        "settings": {
            "pair": "paper",
            "decoder": "batch",
            "decoder.drafts": [1, 2],
            "seed": 0,
            "confidence": 0.95,
            "tier": "smoke",
            "trajectories": 1000,
        },
        "versions": {"python": "3.12.1", "simlab": "0.1.0", "machine": "Linux x86_64"},
        "tasks": [
            {
                "id": digit * 64,
                "pair": {"generator": "paper", "horizon": 50, "digest": "f" * 64},
                "decoder": {"name": "batch", "drafts": drafts},
                "seed": 0,
                "batch_size": 1000,
                "trajectories": 1000,
            }
            for digit, drafts in (("a", 1), ("b", 2))
        ],
        "trajectories": 2000,
        "timing": {
            "simulating": {"trajectories": 2000, "worker_seconds": 1.25},
            "presenting": {"seconds": 0.5},
            "backend": {"name": "serial"},
            "cores": 2,
        },
        "verdicts": [verdict()],
        "checks": [],
        "figures": [],
        "notes": [],
        "tables": [
            {
                "name": "drafts",
                "caption": "A row a point.",
                "files": ["drafts.csv", "drafts.parquet"],
                "csv": STUDY,
            }
        ],
        **changes,
    }


def a_figure(folder, name: str = "fig9", caption: str = "A curve.") -> dict:
    """A real figure, drawn and saved."""
    import pandas as pd

    table = pd.DataFrame({"x": [1, 2, 3], "y": [1.0, 0.5, 0.25]})
    with style():
        figure = new_figure(5, 3)
        axes = figure.add_subplot()
        axes.plot(table.x, table.y, label="$E[N]$")
        axes.errorbar(table.x, table.y, yerr=0.1, markerfacecolor="white", marker="s", linestyle="none")
        axes.fill_between(table.x, table.y, alpha=0.3)
        axes.legend()
        paths = save_figure(figure, folder, name, table, {"Seed": "7"})
    texts = {path.suffix[1:]: path.read_text() for path in paths if path.suffix != ".png"}
    return {"name": name, "caption": caption, "files": [path.name for path in paths], **texts}
