"""The list of pairs, and how one is trained.

A pair is trained on its data at strength 0 and at a tenth, 0.3 and the whole of its largest
strength, with two seeds; the change of the fraction from strength 0 to the largest one, mean over
seeds, decides. A pair of which a model at one of these two strengths diverges is not decided.
"""

import tomllib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from aesparse.data import load, standardize, whiten
from experiments.figures.beyond.common.functions import outside

__all__ = ["BATCH", "DATA", "EPOCHS", "HIDDEN", "MOMENTUM", "MOVES", "PARTS", "SEEDS", "SHARES"]
__all__ += ["Pair", "pairs"]

HIDDEN, BATCH, EPOCHS, MOMENTUM, SEEDS = 64, 50, 40, 0.9, 2
SHARES = (0.0, 0.1, 0.3, 1.0)  # of the largest strength
MOVES = 0.05  # a larger change of the fraction is one (docs/protocol.md)
PARTS = ("calibration", "held_out")


class Pair(NamedTuple):
    """An activation and a penalty, by name, where they are trained, and the part of the list."""

    activation: str
    penalty: str
    constraint: str
    data: str
    largest: float
    part: str

    @property
    def outside(self) -> bool:
        """Whether the library has no name for one of its functions."""
        return outside(self.activation, self.penalty)

    def __str__(self) -> str:
        return f"{self.activation} with {self.penalty}, {self.constraint}, {self.data}"


def pairs() -> list[Pair]:
    """All pairs, those for calibration first."""
    text = Path(__file__).with_name("pairs.toml").read_text(encoding="utf-8")
    listed = tomllib.loads(text)
    return [Pair(*row, part) for part in PARTS for row in listed[part]]


def _digits():
    return load("digits", samples=1_400).train


def _standardized(pixels, epsilon: float):
    return standardize(pixels, epsilon)(pixels)


def _gaussian():
    """Normal samples whose covariance has eigenvalues from 4 down to 0.1, in 32 inputs."""
    rng = np.random.default_rng(7)
    axes, _ = np.linalg.qr(rng.normal(size=(32, 32)))
    scale = np.sqrt(np.geomspace(4.0, 0.1, 32))
    return ((rng.normal(size=(1_000, 32)) * scale) @ axes.T).astype(np.float32)


# Samples and learning rate of a data set; rates are those of docs/protocol.md by kind of data.
DATA = {
    "digits": (lambda: _standardized(_digits(), 0.1), 0.003),
    "raw digits": (_digits, 0.003),
    "white digits": (lambda: whiten(_digits())(_digits()), 0.003),
    "photos": (lambda: _standardized(load("photos", samples=1_400).train, 0.0), 0.001),
    "gaussian": (_gaussian, 0.003),
}
