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


_KS = dict.fromkeys(("top-k", "batch top-k", "matryoshka"), (4, 16))
SIZES = {
    "quick": (
        Size(
            "digits",
            samples=1_400,
            inputs=64,
            options={
                "hidden": 128,
                "heldout": 350,
                "epochs": 20,
                "batch_size": 50,
                "learning_rate": 0.003,
            },
            points=_KS
            | {
                "l1": (0.3, 1.0, 3.0),
                "jump": (0.1, 1.0, 3.0),
                "gated": (0.3, 1.0, 3.0),
                "cae": (0.1, 1.0),
                "dae": (0.1, 1.0, 4.0),
                "sae": (0.1, 1.0, 10.0),
                "satae": (0.1, 0.3, 1.0),
            },
        ),
        Size(
            "",
            samples=1_400,
            inputs=64,
            options={
                "inputs": 64,
                "directions": 128,
                "active": 4,
                "hidden": 128,
                "heldout": 350,
                "epochs": 20,
                "batch_size": 50,
                "learning_rate": 0.003,
            },
            points=_KS
            | {
                "l1": (0.3, 1.0, 3.0),
                "jump": (0.1, 1.0, 3.0),
                "gated": (0.3, 1.0, 3.0),
                "cae": (0.1, 1.0),
                "dae": (0.1, 1.0, 4.0),
                "sae": (0.1, 1.0, 10.0),
                "satae": (0.1, 0.3, 1.0),
            },
        ),
    ),
}
