"""How a picture is written: a small PNG, and an SVG that fits light and dark pages."""

import re
from pathlib import Path

__all__ = ["DARK_PAPER", "save", "themed"]

_DPI = 160
_COLOURS = 256  # of a PNG, which takes a third of the room then; the SVG has all of them
DARK_INK, DARK_PAPER = "#e8e8e8", "#161616"  # what black and white become on a dark page
_NEUTRAL = 8  # channels that differ by no more make a grey
_WELL, _LEAST = 4.5, 3.0  # contrasts with a dark page: of a colour that stays, and the lowest


def save(figure, png: Path, svg: Path) -> None:
    """Writes a matplotlib figure to `png` and, without a date and `themed`, to `svg`."""
    import matplotlib as mpl
    from PIL import Image

    with mpl.rc_context({"svg.hashsalt": "aesparse", "svg.fonttype": "none"}):
        figure.savefig(png, format="png", dpi=_DPI)
        with Image.open(png) as drawn:
            few = drawn.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
        few.save(png, format="png", optimize=True)
        figure.savefig(svg, format="svg", metadata={"Date": None})
    svg.write_text(themed(svg.read_text(encoding="utf-8")), encoding="utf-8")


def themed(svg: str) -> str:
    """An SVG of matplotlib's with a style sheet for screens that prefer dark colours.

    Greys are inverted, the background with them. Other colours keep their hue: those whose contrast
    with the dark background (WCAG 2, relative luminance) is below 4.5 get lighter, to 3 or more,
    and keep their order. Pixels, such as those of filters, stay as they are.

    >>> drawn = '<svg> <defs> <style></style> </defs> <path style="stroke: #000000"/> </svg>'
    >>> themed(drawn).split("dark)")[1].split("</style>")[0]
    '{svg{fill:#e8e8e8}[style*="stroke: #000000"]{stroke:#e8e8e8!important}}'
    """
    uses = sorted(set(re.findall(r"(fill|stroke): (#[0-9a-f]{6})", svg)))
    rules = [
        f'[style*="{part}: {colour}"]{{{part}:{_on_dark(colour)}!important}}'
        for part, colour in uses
    ]
    sheet = f"svg{{fill:{DARK_INK}}}{''.join(rules)}"  # text without a fill of its own is black
    dark = f"@media screen and (prefers-color-scheme:dark){{{sheet}}}"
    return svg.replace("</style>", f"{dark}</style>", 1)


def _on_dark(colour: str) -> str:
    channels = _channels(colour)
    if max(channels) - min(channels) <= _NEUTRAL:
        return _mixed(_channels(DARK_INK), _channels(DARK_PAPER), sum(channels) / 3 / 255)
    contrast = _contrast(channels)
    if contrast >= _WELL:
        return colour
    aim = _LEAST + (contrast - 1) * (_WELL - _LEAST) / (_WELL - 1)
    white = (255, 255, 255)
    lighter = (_mixed(channels, white, share / 256) for share in range(257))
    return next(mixed for mixed in lighter if _contrast(_channels(mixed)) >= aim)


def _channels(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))


def _mixed(one: tuple[int, ...], other: tuple[int, ...], share: float) -> str:
    mixed = (round(a + share * (b - a)) for a, b in zip(one, other, strict=True))
    return "#" + bytes(mixed).hex()


def _contrast(channels: tuple[int, ...]) -> float:
    return (_luminance(channels) + 0.05) / (_luminance(_channels(DARK_PAPER)) + 0.05)


def _luminance(channels: tuple[int, ...]) -> float:
    """Of sRGB, relative to white: WCAG 2."""
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (channel / 255 for channel in channels)
    ]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
