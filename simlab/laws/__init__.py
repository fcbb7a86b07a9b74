"""WHAT surrounds a tree: distributions of next-token distributions, from which a random environment is drawn.

A random environment is an infinite tree of prefixes in which the next-token distribution of each node is an
independent draw from one distribution (Pankratov and Alistarh 2026). Which token has which probability makes
no difference to how many drafted tokens are right: only the numbers of a row count, in any order.
"""

from simlab.laws.catalogue import LAWS, Law, law_identity, make_law
from simlab.laws.counted import rows_of_pair, rows_of_text
from simlab.laws.families import Dirichlet, Softmax, Zipf
from simlab.laws.rows import Rows

__all__ = [
    "LAWS",
    "Dirichlet",
    "Law",
    "Rows",
    "Softmax",
    "Zipf",
    "law_identity",
    "make_law",
    "rows_of_pair",
    "rows_of_text",
]
