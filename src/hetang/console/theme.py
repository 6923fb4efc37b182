"""The brand's accent as six CSS variables, with readable contrast in light and dark. Pure."""

from __future__ import annotations

import re

_HEX = re.compile(r"#[0-9a-fA-F]{6}")
DEFAULT_ACCENT = "#2f7d6b"
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)
_PAPER, _NIGHT = (255, 255, 255), (23, 28, 26)
Colour = tuple[int, int, int]


def stylesheet(accent: str) -> str:
    """CSS of the theme; an accent that is no `#rrggbb` falls back to ours."""
    base = parse(accent if _HEX.fullmatch(accent) else DEFAULT_ACCENT)
    fill = towards_contrast(base, _WHITE, _BLACK, 4.6)
    light = towards_contrast(base, _PAPER, _BLACK, 3.2)
    dark = towards_contrast(base, _NIGHT, _WHITE, 5.5)
    rules = {
        "--accent": _pair(light, dark),
        "--accent-ink": _pair(
            towards_contrast(base, mix(base, _PAPER, 0.12), _BLACK, 5.2),
            towards_contrast(base, mix(base, _NIGHT, 0.22), _WHITE, 5.5),
        ),
        "--accent-soft": _pair(mix(base, _PAPER, 0.12), mix(base, _NIGHT, 0.22)),
        "--accent-line": _pair(mix(base, _PAPER, 0.45), mix(base, _NIGHT, 0.5)),
        "--accent-fill": text(fill),
        "--on-accent": "#ffffff",
    }
    body = "".join(f"{name}:{value};" for name, value in rules.items())
    return f"@layer tokens{{:root{{{body}}}}}"


def parse(accent: str) -> Colour:
    """`#2f7d6b` -> (47, 125, 107)."""
    return int(accent[1:3], 16), int(accent[3:5], 16), int(accent[5:7], 16)


def text(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def mix(colour: Colour, ground: Colour, share: float) -> Colour:
    """`share` of the colour on the ground."""
    red, green, blue = (round(a * share + b * (1 - share)) for a, b in zip(colour, ground, strict=True))
    return red, green, blue


def contrast(one: Colour, other: Colour) -> float:
    """WCAG contrast ratio, 1 to 21."""
    bright, dim = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def towards_contrast(colour: Colour, ground: Colour, end: Colour, ratio: float) -> Colour:
    """The colour, moved towards `end` in small steps until it reads on the ground with this ratio."""
    for step in range(21):
        moved = mix(end, colour, step / 20)
        if contrast(moved, ground) >= ratio:
            return moved
    return end


def _luminance(colour: Colour) -> float:
    red, green, blue = (_linear(part / 255) for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4


def _pair(light: Colour, dark: Colour) -> str:
    return f"light-dark({text(light)},{text(dark)})"
