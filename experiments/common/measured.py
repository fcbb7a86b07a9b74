"""Costs that others have measured, and that more than one family of experiments takes."""

VERIFY = {"base": 5.88590713e-3, "per_token": 2.10103129e-5}
"""Seconds of a forward of an 8B model on an H100 over so many tokens, fitted for short contexts (arXiv
2601.11580)."""
