"""How a picture is written: a small PNG, and an SVG that is the same file for the same figure."""

from pathlib import Path

__all__ = ["save"]

_DPI = 160
_COLOURS = 256  # of a PNG, which takes a third of the room then; the SVG has all of them


def save(figure, png: Path, svg: Path) -> None:
    """Writes a matplotlib figure to `png` and, without a date, to `svg`."""
    import matplotlib as mpl
    from PIL import Image

    with mpl.rc_context({"svg.hashsalt": "aesparse", "svg.fonttype": "none"}):
        figure.savefig(png, format="png", dpi=_DPI)
        with Image.open(png) as drawn:
            few = drawn.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
        few.save(png, format="png", optimize=True)
        figure.savefig(svg, format="svg", metadata={"Date": None})
