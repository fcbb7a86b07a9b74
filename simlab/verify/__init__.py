"""CHECKS the theorems: each statement of the paper as two numbers that were found independently."""

from simlab.verify.check import Check

__all__ = ["Check"]
