"""Draft trees: the best one, and what decoding with it takes, exactly."""

from simlab.theory.trees.calls import expected_accepted
from simlab.theory.trees.tree import DraftTree, optimal_tree

__all__ = ["DraftTree", "expected_accepted", "optimal_tree"]
