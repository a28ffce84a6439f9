"""Pictures of stored paths: filters of a panel at one α, and numbers along α."""

from experiments.drawing import filters
from experiments.figures.satae.common.panels import ALPHAS, Panel
from experiments.figures.satae.common.stored_path import TILES
from experiments.figures.satae.common.studies import along

__all__ = ["CHOSEN", "LOOKS", "curves", "place", "tiles"]

CHOSEN = (
    f"the {TILES} units that contribute most to the reconstruction at the last α (E h² ‖D‖², D "
    "being a unit's decoder column; the first seed; each filter is scaled by its largest entry, "
    "grey is 0)"
)
LOOKS = (("#000000", "o"), ("#0072B2", "s"), ("#CC3311", "^"), ("#009E73", "D"))


def place(panel: Panel, letter: str) -> int:
    """Which of a panel's α is drawn for a letter: of one letter the last, of two each its own."""
    return panel.letters.index(letter) if len(panel.letters) > 1 else len(panel.shown) - 1


def tiles(axis, run, which_alpha: int, heading: str, which: int = 0) -> None:
    """The stored filters of a path (0) or of its control (1) at one of the α shown."""
    rows, shape = run["tile"].values[which_alpha, which].astype(float), run.attrs["shape"]
    filters.show(axis, rows, tuple(int(size) for size in shape), round(TILES**0.5), heading)
    axis.get_images()[0].set_interpolation("none")  # an SVG then keeps its few pixels


def curves(axis, runs: dict, variable: str, heading: str) -> None:
    """A number along α of several paths by their labels; their controls dotted."""
    for (label, run), (colour, marker) in zip(runs.items(), LOOKS, strict=False):
        for which in range(run.sizes["run"]):
            values = along(run, "flat" if variable == "active" else variable, which)
            values = 1 - values if variable == "active" else values
            look = {"marker": marker, "label": label} if which == 0 else {"linestyle": ":"}
            axis.plot(ALPHAS, values.mean(axis=0), color=colour, markersize=3.5, **look)
            axis.fill_between(
                ALPHAS, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.15
            )
    axis.set_title(heading, fontsize=9)
    axis.set_xlabel("α", fontsize=8)
    axis.tick_params(labelsize=7)
    axis.set_ylim(0, None)
    below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.2), "ncols": len(runs)}
    axis.legend(frameon=False, fontsize=7, columnspacing=1, handlelength=1.8, **below)
    axis.spines[["top", "right"]].set_visible(False)
