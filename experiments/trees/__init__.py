"""Draft trees (Pankratov and Alistarh 2026) on the pair given: their yield, their look, what errors cost.

trees_calls: tokens per target call against the capacity, for trees by the target and by the draft and for the
single chain. tree: the trees of the first call, drawn. trees_knowledge: the tree chosen by a draft that is
better or worse, scored by the target. The first and the last are modules of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from simlab.experiments.common.estimates import without_effect
from simlab.experiments.common.labels import token_labels
from simlab.experiments.common.settings import (
    Exhibit,
    Outcome,
    Settings,
    folder_of,
    heading,
    instance,
    only_point,
)
from simlab.experiments.trees.draft_knowledge import knowledge_jobs, present_knowledge
from simlab.experiments.trees.options import options_of
from simlab.experiments.trees.tokens_per_call import calls_jobs, present_calls
from simlab.report import save_figure, style
from simlab.report.treeplot import DrawnTree, draw_trees
from simlab.runs import Job, Result
from simlab.theory import DraftTree, optimal_tree

CAPTION = (
    "The {nodes} drafted tokens that the first call verifies after token {root}, chosen by the target's "
    "probabilities, the best tree there is, and by the draft's. A node is a drafted token after those on its "
    "way from the left, its area the probability that the target's own path passes it; their sum is E[X], "
    "the drafted tokens that the call yields in the mean. Children stand in the order in which they were "
    "chosen. Blue nodes are in both trees: the draft's tree spends {lost} of its {nodes} elsewhere."
)


def jobs(points: list[Settings]) -> list[Job]:
    """The jobs of both figures with simulated points; what they share runs once."""
    settings = only_point(points)
    options = options_of(settings)
    return calls_jobs(settings, options) + knowledge_jobs(settings, options)


def present(points: list[Settings], results: Mapping[str, Result]) -> Outcome:
    """Verdicts, figures and headline numbers, from the results of `jobs`."""
    settings = only_point(points)
    options = options_of(settings)
    title = f"Draft trees on {settings.pair_name}"
    folder = folder_of(settings, settings.pair_name)
    calls, verdicts, notes = present_calls(settings, options, results, title, folder)
    knowledge, judged, told = present_knowledge(settings, options, results, title, folder)
    return Outcome(
        heading(settings, title),
        folder,
        verdicts + judged,
        figures=[calls, present_tree(settings, options.nodes, folder), knowledge],
        notes=notes + told + without_effect(settings, "decoder"),
    )


def present_tree(settings: Settings, nodes: int, folder: Path) -> Exhibit:
    """The first call's trees after the likeliest prompt, by the target and by the draft."""
    import pandas as pd

    pair = instance(settings)[0]
    root = int(np.argmax(pair.initial))
    labels = token_labels(settings, pair.states)
    trees = {model: optimal_tree(pair, 0, root, nodes, model) for model in ("target", "draft")}
    shared = shared_nodes(*trees.values())
    drawn, table = [], []
    for (model, tree), both in zip(trees.items(), shared, strict=True):
        told = [labels[token] for token in tree.tokens]
        title = f"chosen by the {model}: E[X] = {tree.expected_accepted:.4f}"
        drawn.append(DrawnTree(title, labels[root], tree.parents, tree.reach, told, both))
        table += _rows(model, tree, told, both)
    with style():
        figure = draw_trees(drawn)
    metadata = {"Command": settings.command, "Prompt": str(root)}
    files = save_figure(figure, folder, "tree", pd.DataFrame(table), metadata)
    lost = int((~shared[1]).sum())
    return Exhibit("tree", CAPTION.format(nodes=len(trees["draft"]), root=labels[root], lost=lost), files)


def shared_nodes(tree: DraftTree, other: DraftTree) -> tuple[np.ndarray, np.ndarray]:
    """Which nodes of each tree, bool (n,) and (m,), are prefixes that the other one has too."""
    places = {key: node for node, key in enumerate(zip(other.parents, other.tokens, strict=True))}
    mates = np.full(len(tree) + 1, -2)  # the other's node for each of the tree's: -2 for none
    mates[-1] = -1  # the root for the root
    for node, (parent, token) in enumerate(zip(tree.parents, tree.tokens, strict=True)):
        mates[node] = places.get((mates[parent], token), -2)
    found = mates[:-1] >= 0
    theirs = np.zeros(len(other), bool)
    theirs[mates[:-1][found]] = True
    return found, theirs


def _rows(model: str, tree: DraftTree, labels: list[str], both: np.ndarray) -> list[dict]:
    columns = (tree.parents, tree.tokens, labels, tree.depth, tree.probability, tree.reach, both)
    names = ("parent", "token", "label", "depth", "probability", "reach", "in_both")
    listed = zip(*(np.asarray(column).tolist() for column in columns), strict=True)
    return [
        {"chosen_by": model, "node": node, **dict(zip(names, row, strict=True))}
        for node, row in enumerate(listed)
    ]
