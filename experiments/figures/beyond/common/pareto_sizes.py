"""Sizes of `modern_pareto`: models, training, and the points of every method, by scale."""

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["SIZES", "Size"]


class Size(NamedTuple):
    """One data set at one scale; the dataset "" is the generated one."""

    dataset: str
    samples: int
    inputs: int
    options: Mapping[str, int | float]
    points: Mapping[str, tuple[float, ...]]  # by method: k, or strengths


def _points(ks: tuple[int, ...], **strengths: tuple[float, ...]) -> dict:
    return dict.fromkeys(("top-k", "batch top-k", "matryoshka"), ks) | strengths


_QUICK = {"hidden": 64, "heldout": 350, "epochs": 15, "batch_size": 50, "learning_rate": 0.003}
_MADE = {"inputs": 64, "directions": 128, "active": 4}
_TRAINED = {"hidden": 128, "heldout": 2_000, "learning_rate": 0.003}
_QUICK_POINTS = _points(
    (8,),  # every k is a program of its own
    l1=(0.3, 1.0, 3.0),
    jump=(0.1, 1.0, 3.0),
    gated=(0.3, 1.0, 3.0),
    cae=(0.1, 1.0),
    dae=(0.1, 0.3, 1.0),
    sae=(0.1, 0.3, 1.0),
    satae=(0.1, 0.3, 1.0),
)
SIZES = {
    # Equal shapes and options: the programs are compiled once for both.
    "quick": (
        Size("digits", samples=1_400, inputs=64, options=_QUICK, points=_QUICK_POINTS),
        Size(
            "",
            samples=1_400,
            inputs=64,
            options=_QUICK | _MADE | {"directions": 64},
            points=_QUICK_POINTS,
        ),
    ),
    "reduced": (
        Size(
            "mnist",
            samples=5_000,
            inputs=784,
            options=_TRAINED | {"epochs": 8, "batch_size": 50},
            points=_points(
                (4, 8, 16, 32),
                l1=(0.3, 1.0, 3.0, 6.0),
                jump=(0.3, 1.0, 3.0, 10.0),
                gated=(1.0, 3.0, 8.0, 16.0),
                cae=(0.1, 1.0),
                dae=(0.1, 0.3, 1.0),
                sae=(0.3, 1.0, 3.0),
                satae=(0.3, 1.0, 3.0),
            ),
        ),
        Size(
            "",
            samples=10_000,
            inputs=64,
            options=_TRAINED | _MADE | {"epochs": 20, "batch_size": 100},
            points=_points(
                (2, 4, 8, 16),
                l1=(0.3, 1.0, 3.0, 6.0),
                jump=(0.1, 0.3, 1.0, 3.0),
                gated=(0.3, 1.0, 3.0, 6.0),
                cae=(0.1, 1.0),
                dae=(0.1, 0.3, 1.0, 3.0),
                sae=(0.1, 0.3, 1.0, 3.0),
                satae=(0.1, 0.3, 1.0, 3.0),
            ),
        ),
    ),
}
