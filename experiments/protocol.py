"""The papers' constants and the three scales at which a figure can be made, stated once."""

from typing import NamedTuple

from aesparse.errors import InputError, unknown_name

__all__ = ["DATA", "SCALES", "STRENGTHS", "Data", "Scale", "get_scale"]

# Arpit section 3: σ² ∈ {0, 0.001, 0.1², 0.2², …, 1}, momentum 0.9.
STRENGTHS = (0.0, 0.001, *(round(0.01 * k * k, 2) for k in range(1, 11)))
MOMENTUM = 0.9


class Data(NamedTuple):
    """How a data set is named in pictures, standardized, and trained on."""

    title: str
    epsilon: float  # of the standardization; footnote 2: 0.1 for digits, 0 for patches
    learning_rate: float  # inside the paper's [0.001, 0.005] except at the quick scale


class Scale(NamedTuple):
    """Size of the models and of the training, and the data sets of the two panels."""

    hidden: int
    samples: int
    batch_size: int
    epochs: int
    seeds: int
    datasets: tuple[str, str]  # digits left, colour patches right
    purpose: str


# Patches at m = 1000 lose every cell, the unregularized one included, at a rate of 0.002.
DATA = {
    "digits": Data("8×8 digits", 0.1, 0.003),
    "photos": Data("8×8×3 photo patches", 0.0, 0.001),
    "mnist": Data("MNIST", 0.1, 0.003),
    "cifar10": Data("CIFAR-10 patches", 0.0, 0.001),
}

SCALES = {
    "quick": Scale(64, 1_400, 50, 40, 3, ("digits", "photos"), "a demonstration, not evidence"),
    "reduced": Scale(256, 10_000, 50, 50, 3, ("mnist", "cifar10"), "a real answer"),
    "paper": Scale(1_000, 50_000, 50, 50, 1, ("mnist", "cifar10"), "the paper's protocol"),
}


def get_scale(name: str) -> Scale:
    """The scale called `name`; `InputError` with near matches otherwise."""
    if name not in SCALES:
        raise unknown_name("scale", name, SCALES)
    return SCALES[name]


def check_seeds(seeds: int) -> int:
    """`seeds` if at least one."""
    if seeds < 1:
        raise InputError(f"seeds is {seeds}; expected at least 1.")
    return seeds
