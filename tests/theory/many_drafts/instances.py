"""Small instances of many drafts in fractions, for Hypothesis."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import strategies as st


@st.composite
def instances(draw, most_states: int = 5, most_drafts: int = 4):
    """(draft, target, drafts): rows of fractions, with zeros, ties and masses far apart."""
    states = draw(st.integers(1, most_states))

    def row():
        power = draw(st.sampled_from([1, 3, 12, 40]))
        weights = draw(st.lists(st.integers(0, 9), min_size=states, max_size=states).filter(any))
        whole = sum(weight**power for weight in weights)
        return [Fraction(weight**power, whole) for weight in weights]

    return row(), row(), draw(st.integers(1, most_drafts))


def floats(*rows):
    """The rows as lists of floats."""
    return [[float(mass) for mass in row] for row in rows]
