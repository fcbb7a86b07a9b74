"""Colours of figures on a dark page.

matplotlib draws for white paper. On a dark page greys keep their distance from the paper, so that what was
faint stays faint, and colours keep their hue and grow light enough to read.
"""

from __future__ import annotations

import math

DARK_PAPER = 0.22
"""Lightness of the dark page, and of what was white."""
DARK_INK = 0.93
"""Lightness of what was black."""
GREY_CHROMA = 0.02
"""Below this chroma a colour is a grey."""
COLOURS = (0.62, 0.25)
"""Lightness of a colour on the dark page: the first, plus the second times what it was."""


def on_dark(colour: str) -> str:
    """The colour "#rrggbb" of a figure on white paper as it is drawn on a dark page, "#rrggbb".

    Computed in Oklab (Ottosson 2020), whose lightness L runs from 0 to 1 and looks evenly spaced.
    """
    lightness, a, b = _to_oklab([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    if math.hypot(a, b) < GREY_CHROMA:
        lightness, a, b = DARK_INK + (DARK_PAPER - DARK_INK) * lightness, 0.0, 0.0
    else:
        lightness = COLOURS[0] + COLOURS[1] * lightness
    rgb = _to_rgb(lightness, a, b)
    while min(rgb) < -0.001 or max(rgb) > 1.001:  # less colourful, until the screen can show it
        a, b = 0.96 * a, 0.96 * b
        rgb = _to_rgb(lightness, a, b)
    return "#" + "".join(f"{round(255 * min(_encode(part), 1.0)):02x}" for part in rgb)


def _to_oklab(rgb: list[float]) -> tuple[float, float, float]:
    red, green, blue = (_decode(part) for part in rgb)
    long = (0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue) ** (1 / 3)
    medium = (0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue) ** (1 / 3)
    short = (0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )


def _to_rgb(lightness: float, a: float, b: float) -> tuple[float, float, float]:
    """Linear red, green and blue."""
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def _decode(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4


def _encode(part: float) -> float:
    part = max(part, 0.0)
    return 12.92 * part if part <= 0.0031308 else 1.055 * part ** (1 / 2.4) - 0.055
