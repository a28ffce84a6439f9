"""The papers' constants and the three scales at which a figure can be made, stated once."""

from typing import NamedTuple

from aesparse.errors import unknown_name

__all__ = [
    "COMMON_RATE",
    "DATA",
    "MOMENTUM",
    "RATES",
    "SCALES",
    "STRENGTHS",
    "Data",
    "Scale",
    "get_scale",
    "title",
]

# Arpit section 3: σ² ∈ {0, 0.001, 0.1², 0.2², …, 1}, momentum 0.9.
STRENGTHS = (0.0, 0.001, *(round(0.01 * k * k, 2) for k in range(1, 11)))
MOMENTUM = 0.9
RATES = (0.001, 0.003, 0.005)  # the ends and the middle of the interval it gives
COMMON_RATE = 0.001  # at which both data sets can be trained


class Data(NamedTuple):
    """How a data set is named in pictures, standardized, and trained on."""

    title: str
    inputs: int
    epsilon: float  # of the standardization; footnote 2: 0.1 for digits, 0 for patches
    learning_rate: float


class Scale(NamedTuple):
    """Size of the models and of the training, and the data sets of the two panels."""

    hidden: int
    samples: int
    batch_size: int
    epochs: int
    seeds: int
    datasets: tuple[str, str]  # digits left, colour patches right
    evidence: bool  # whether its numbers decide claims

    @property
    def caveat(self) -> str:
        """How a caption begins where the numbers decide nothing."""
        return "" if self.evidence else "A demonstration on small data, not evidence. "


# The rate is chosen once per data set, by benchmarks/learning_rate.py, which looks at no claim:
# the middle of the paper's interval, or the largest candidate below it at which the
# unregularized model works at the paper's sizes. (On patches it is worse at 0.002 than at 0.001,
# and lost from 0.003 on.)
DATA = {
    "digits": Data("8×8 digits", 64, 0.1, 0.003),
    "photos": Data("8×8×3 photo patches", 192, 0.0, 0.001),
    "mnist": Data("MNIST", 784, 0.1, 0.003),
    "cifar10": Data("CIFAR-10 patches", 192, 0.0, 0.001),
}

# Data sets of single figures.
_TITLES = {
    "": "–",
    "natural": "12×12 grey photo patches",
    "natural-cifar10": "12×12 grey CIFAR-10 patches",
    "mnist-binary": "binary MNIST",
    "mnist-labelled": "MNIST",
    "cifar10-images": "CIFAR-10",
    "cifar10-small": "CIFAR-10 at 16×16",
}

SCALES = {
    "quick": Scale(64, 1_400, 50, 40, 2, ("digits", "photos"), evidence=False),
    "reduced": Scale(256, 10_000, 50, 50, 3, ("mnist", "cifar10"), evidence=True),
    "paper": Scale(1_000, 50_000, 50, 50, 1, ("mnist", "cifar10"), evidence=True),
}


def title(dataset: str) -> str:
    """A data set's name as people read it."""
    if dataset in DATA:
        return DATA[dataset].title
    return _TITLES.get(dataset, f"{dataset} data sets")


def get_scale(name: str) -> Scale:
    """The scale called `name`; `InputError` with near matches otherwise."""
    if name not in SCALES:
        raise unknown_name("scale", name, SCALES)
    return SCALES[name]
