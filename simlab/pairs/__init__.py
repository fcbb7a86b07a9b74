"""WHAT is decoded: chain pairs, their validation, their generators, chains counted from a text."""

from simlab.pairs.catalogue import GENERATORS, make_pair, pair_identity
from simlab.pairs.corpus import alphabet, corpus, text_of_tokens
from simlab.pairs.generators import bernoulli, dirichlet, file, mixture, paper, softmax, uniform
from simlab.pairs.pair import ChainPair
from simlab.pairs.processing import Processing, Sampling

__all__ = [
    "GENERATORS",
    "ChainPair",
    "Processing",
    "Sampling",
    "alphabet",
    "bernoulli",
    "corpus",
    "dirichlet",
    "file",
    "make_pair",
    "mixture",
    "pair_identity",
    "paper",
    "softmax",
    "text_of_tokens",
    "uniform",
]
