"""The papers' constants and the three scales at which a figure can be made, stated once."""

from typing import NamedTuple

import numpy as np

from aesparse.errors import InputError, unknown_name
from experiments.pipeline.spec import Study
from experiments.pipeline.store import RunSpec

__all__ = [
    "DATA",
    "MOMENTUM",
    "RATES",
    "SCALES",
    "STRENGTHS",
    "Data",
    "Plan",
    "Scale",
    "Shard",
    "cost",
    "get_scale",
    "title",
]

# Arpit section 3: σ² ∈ {0, 0.001, 0.1², 0.2², …, 1}, momentum 0.9.
STRENGTHS = (0.0, 0.001, *(round(0.01 * k * k, 2) for k in range(1, 11)))
MOMENTUM = 0.9
RATES = (0.001, 0.003, 0.005)  # the ends and the middle of the interval it gives


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
    "mnist-binary": "binary MNIST",
    "mnist-labelled": "MNIST",
    "cifar10-images": "CIFAR-10",
}

SCALES = {
    "quick": Scale(64, 1_400, 50, 40, 2, ("digits", "photos"), evidence=False),
    "reduced": Scale(256, 10_000, 50, 50, 3, ("mnist", "cifar10"), evidence=True),
    "paper": Scale(1_000, 50_000, 50, 50, 1, ("mnist", "cifar10"), evidence=True),
}


# Matrix products of an update beside AE's, roughly; only the order of runs and the time left
# depend on it. Those with W Wᵀ cost as much as m/B passes.
_COST = {"edae": 2, "dae-antithetic": 2, "dae2": 5, "dae2-kink": 5}


def cost(spec: RunSpec | Study) -> float:
    """How much work a run is, on a scale of its own; the shared model's run is the shortest."""
    if isinstance(spec, Study):
        return spec.work
    size = DATA[spec.dataset].inputs * spec.hidden * spec.samples * spec.epochs
    return float(size * len(spec.strengths) * _COST.get(spec.objective, 1))


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


class Shard(NamedTuple):
    """One of several jobs that share a figure's runs: the `number`-th of `total`."""

    number: int
    total: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """`2/4` as a shard; `InputError` for anything else."""
        parts = text.split("/")
        if len(parts) == 2 and all(part.isdecimal() for part in parts):
            shard = cls(*map(int, parts))
            if 1 <= shard.number <= shard.total:
                return shard
        raise InputError(f"--shard is {text}; expected i/n with 1 <= i <= n, such as 2/4.")

    def __str__(self) -> str:
        return f"{self.number}-of-{self.total}"

    def of(self, specs: list[RunSpec]) -> list[RunSpec]:
        """The runs that fall to this job; those of one seed's baseline stay together."""
        groups = list(dict.fromkeys(spec.baseline for spec in specs))
        mine = set(groups[self.number - 1 :: self.total])
        return [spec for spec in specs if spec.baseline in mine]


class Plan(NamedTuple):
    """What the command line asks for: a scale, how many seeds, and possibly another rate."""

    scale_name: str
    seeds: int
    learning_rate: float | None = None

    @classmethod
    def checked(cls, scale: str, seeds: int | None, learning_rate: float | None) -> "Plan":
        """A plan from command-line values; `InputError` on the first that is wrong."""
        default = get_scale(scale)
        if seeds is not None and seeds < 1:
            raise InputError(f"--seeds is {seeds}; expected at least 1.")
        if learning_rate is not None and not (np.isfinite(learning_rate) and learning_rate > 0):
            raise InputError(f"--learning-rate is {learning_rate}; expected a finite number > 0.")
        return cls(scale, default.seeds if seeds is None else seeds, learning_rate)

    @property
    def scale(self) -> Scale:
        """The constants of the scale."""
        return SCALES[self.scale_name]

    @property
    def _unusual(self) -> list[tuple[str, str]]:
        """What differs from the scale's own seeds and the data sets' own rates."""
        found = []
        if self.seeds != self.scale.seeds:
            found.append(("seeds", str(self.seeds)))
        if self.learning_rate is not None:
            found.append(("learning-rate", f"{self.learning_rate:g}"))
        return found

    @property
    def suffix(self) -> str:
        """What a figure's file name ends with, so that an unusual one replaces no usual one."""
        return "".join(f"-{name}-{value}" for name, value in self._unusual)

    def command(self, figure: str) -> str:
        """What makes a figure by this plan."""
        parts = [f"python -m experiments {figure}"]
        if self.scale_name != "quick":
            parts.append(f"--scale {self.scale_name} --data-dir DATA")
        return " ".join([*parts, *(f"--{name} {value}" for name, value in self._unusual)])

    def specs(
        self, dataset: str, objective: str, activation: str, constraint: str
    ) -> list[RunSpec]:
        """The runs of one objective on one data set, one per seed.

        Strength 0 is the same model for every objective; it belongs to the objective "ae",
        trained once per seed and shared.
        """
        scale, data = self.scale, DATA[dataset]
        return [
            RunSpec(
                dataset=dataset,
                samples=scale.samples,
                epsilon=data.epsilon,
                objective=objective,
                activation=activation,
                constraint=constraint,
                strengths=STRENGTHS[:1] if objective == "ae" else STRENGTHS[1:],
                seed=seed,
                hidden=scale.hidden,
                batch_size=scale.batch_size,
                epochs=scale.epochs,
                learning_rate=data.learning_rate
                if self.learning_rate is None
                else self.learning_rate,
                momentum=MOMENTUM,
            )
            for seed in range(self.seeds)
        ]
