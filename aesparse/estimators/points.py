"""The models of a path as rows of a table, and which of them a target asks for.

Shapes: P models, K strengths.
"""

from typing import NamedTuple

import numpy as np

__all__ = [
    "COLUMNS",
    "Bracket",
    "Target",
    "bracket",
    "joined",
    "knee",
    "nearest",
    "of_rate",
    "rates",
    "within",
]

COLUMNS = (
    "strength",
    "learning_rate",
    "seed",
    "activation_fraction",
    "l0",
    "unexplained",
    "dead_fraction",
    "epochs",
    "diverged",
)
_SMALLEST = 1e-3  # of a bracket's upper strength, for one that begins at 0


class Target(NamedTuple):
    """What a model shall come to: a column of the table and its value."""

    column: str
    value: float

    @property
    def cost(self) -> str:
        """The column that is smallest among models that meet it equally well."""
        return "l0" if self.column == "unexplained" else "unexplained"


class Bracket(NamedTuple):
    """Strengths between which a target lies, at one learning rate."""

    low: float
    high: float
    learning_rate: float

    def inside(self, count: int) -> np.ndarray:
        """So many strengths, evenly on a logarithmic scale, without the two ends."""
        low = self.low if self.low > 0 else _SMALLEST * self.high
        return np.geomspace(low, self.high, count + 2)[1:-1]


def joined(tables: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Tables one below the other."""
    return {name: np.concatenate([table[name] for table in tables]) for name in COLUMNS}


def within(table: dict, target: Target, tolerance: float) -> int | None:
    """The model of the lowest cost among those as near to the target as asked, relatively."""
    near = ~table["diverged"] & (_distance(table, target) <= tolerance)
    if not near.any():
        return None
    return int(np.argmin(np.where(near, table[target.cost], np.inf)))


def nearest(table: dict, target: Target) -> int:
    """The model nearest to the target."""
    return int(np.argmin(np.where(table["diverged"], np.inf, _distance(table, target))))


def bracket(table: dict, target: Target) -> Bracket | None:
    """Neighbouring strengths whose means over seeds lie on both sides of the target.

    Of all learning rates and pairs the one with the lowest mean cost; None if there is none.
    """
    best, lowest = None, np.inf
    for rate in rates(table):
        strengths, means, costs = _curve(table, rate, target.column, target.cost)
        above = means > target.value
        for i in np.flatnonzero(above[:-1] != above[1:]):
            if (cost := costs[i] + costs[i + 1]) < lowest:
                lowest = cost
                best = Bracket(*map(float, strengths[i : i + 2]), rate)
    return best


def knee(table: dict) -> tuple[int, Bracket]:
    """The knee of unexplained variance against l0, and the strengths around it.

    A learning rate's knee is the point of its curve of means over seeds that lies farthest below
    the line through the curve's ends, both axes scaled to [0, 1] over all models. Of several rates
    that is taken whose knee has the smallest sum of both. The model is the best of its seeds.
    """
    best, lowest = None, np.inf
    for rate in rates(table):
        strengths, *means = _curve(table, rate, "l0", "unexplained")
        x, y = map(_scaled, means, (table["l0"], table["unexplained"]), 2 * [~table["diverged"]])
        i = int(np.argmax(_below_chord(x, y)))
        if x[i] + y[i] < lowest:
            ends = strengths[max(i - 1, 0)], strengths[min(i + 1, len(strengths) - 1)]
            lowest, best = x[i] + y[i], (strengths[i], Bracket(*map(float, ends), rate))
    strength, around = best
    rows = of_rate(table, around.learning_rate) & (table["strength"] == strength)
    return int(np.argmin(np.where(rows, table["unexplained"], np.inf))), around


def rates(table: dict) -> list[float]:
    """The learning rates; the only one is NaN where the optimizer has its own."""
    return np.unique(table["learning_rate"][~table["diverged"]]).tolist()


def of_rate(table: dict, rate: float) -> np.ndarray:
    """Which rows are of a learning rate and did not diverge."""
    every = table["learning_rate"]
    return ~table["diverged"] & ((every == rate) | (np.isnan(every) & np.isnan(rate)))


def _distance(table: dict, target: Target) -> np.ndarray:
    return np.abs(table[target.column] - target.value) / target.value


def _curve(table: dict, rate: float, *columns: str) -> list[np.ndarray]:
    """Strengths `[K]` in increasing order at a learning rate, and columns' means over seeds."""
    rows = of_rate(table, rate)
    strengths, which = np.unique(table["strength"][rows], return_inverse=True)
    counts = np.bincount(which)
    return [strengths, *(np.bincount(which, table[name][rows]) / counts for name in columns)]


def _scaled(values: np.ndarray, every: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Values on the scale on which those of some rows run from 0 to 1."""
    low, high = every[rows].min(), every[rows].max()
    return (values - low) / (high - low or 1.0)


def _below_chord(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How far each point lies below the line from the least to the largest x."""
    first, last = np.argmin(x), np.argmax(x)
    return y[first] + (y[last] - y[first]) * (x - x[first]) / (x[last] - x[first] or 1.0) - y
