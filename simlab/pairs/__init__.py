"""WHAT is decoded: chain pairs, their validation, their generators, chains counted from a text."""

from simlab.pairs.pair import ChainPair

__all__ = ["ChainPair"]
