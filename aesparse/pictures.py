"""How a picture is written: a PNG and an SVG that is the same file for the same figure."""

from pathlib import Path

__all__ = ["save"]

_DPI = 160


def save(figure, png: Path, svg: Path) -> None:
    """Writes a matplotlib figure to `png` and, without a date, to `svg`."""
    import matplotlib as mpl

    with mpl.rc_context({"svg.hashsalt": "aesparse", "svg.fonttype": "none"}):
        figure.savefig(png, format="png", dpi=_DPI)
        figure.savefig(svg, format="svg", metadata={"Date": None})
