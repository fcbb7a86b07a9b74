"""Speculative decoding with block verification, compiled."""
