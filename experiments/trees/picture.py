"""The trees that the first call verifies, by the target and by the draft, drawn."""

from __future__ import annotations

import numpy as np

from simlab.experiments.common.jobs import instance
from simlab.experiments.common.labels import token_labels
from simlab.experiments.common.outcome import Exhibit, Presentation
from simlab.report import style
from simlab.report.treeplot import DrawnTree, draw_trees
from simlab.theory import DraftTree, optimal_tree

CAPTION = (
    "The {nodes} drafted tokens that the first call verifies after token {root}, chosen by the target's "
    "probabilities, the best tree there is, and by the draft's. A node is a drafted token after those on its "
    "way from the left, its area the probability that the target's own path passes it; their sum is E[X], "
    "the drafted tokens that the call yields in the mean. Children stand in the order in which they were "
    "chosen. Blue nodes are in both trees: the draft's tree spends {lost} of its {nodes} elsewhere."
)


def present_tree(told: Presentation, nodes: int) -> Exhibit:
    """The first call's trees after the likeliest prompt, by the target and by the draft."""
    pair = instance(told.settings)[0]
    root = int(np.argmax(pair.initial))
    labels = token_labels(told.settings, pair.states)
    trees = {model: optimal_tree(pair, 0, root, nodes, model) for model in ("target", "draft")}
    shared = shared_nodes(*trees.values())
    drawn, table = [], []
    for (model, tree), both in zip(trees.items(), shared, strict=True):
        signs = [labels[token] for token in tree.tokens]
        title = f"chosen by the {model}: E[X] = {tree.expected_accepted:.4f}"
        drawn.append(DrawnTree(title, labels[root], tree.parents, tree.reach, signs, both))
        table += _rows(model, tree, signs, both)
    with style():
        figure = draw_trees(drawn)
    lost = int((~shared[1]).sum())
    caption = CAPTION.format(nodes=len(trees["draft"]), root=labels[root], lost=lost)
    return told.figure("tree", caption, figure, table, Prompt=str(root))


def shared_nodes(tree: DraftTree, other: DraftTree) -> tuple[np.ndarray, np.ndarray]:
    """Which nodes of each tree, bool (n,) and (m,), are prefixes that the other one has too."""
    nodes_of = {key: node for node, key in enumerate(zip(other.parents, other.tokens, strict=True))}
    mates = np.full(len(tree) + 1, -2)  # the other's node for each of the tree's: -2 for none
    mates[-1] = -1  # the root for the root
    for node, (parent, token) in enumerate(zip(tree.parents, tree.tokens, strict=True)):
        mates[node] = nodes_of.get((mates[parent], token), -2)
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
