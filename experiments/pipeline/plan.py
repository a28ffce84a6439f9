"""What a command asks for: a plan of a scale, its seeds and rate, and one of several shards."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from aesparse.errors import InputError
from aesparse.options import shortened
from experiments.pipeline.protocol import DATA, MOMENTUM, SCALES, STRENGTHS, Scale, get_scale
from experiments.pipeline.spec import GridSpec, Spec

__all__ = ["MOST_SEEDS", "Plan", "Shard", "needed"]

MOST_SEEDS = 100  # of a plan, and so the most that are looked for among what is stored


class Shard(NamedTuple):
    """One of several jobs that share a figure's runs: the `number`-th of `total`."""

    number: int
    total: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """`2/4` as a shard; `InputError` for anything else."""
        if match := re.fullmatch(r"(\d{1,9})/(\d{1,9})", text):
            shard = cls(*map(int, match.groups()))
            if 1 <= shard.number <= shard.total:
                return shard
        raise InputError(
            f"--shard is {shortened(text)}; expected i/n with 1 <= i <= n, such as 2/4."
        )

    def __str__(self) -> str:
        return f"{self.number}-of-{self.total}"

    def of(self, specs: list[Spec]) -> list[Spec]:
        """The runs that fall to this job; those of one seed's baseline stay together."""
        groups = list(dict.fromkeys(spec.baseline for spec in specs))
        mine = set(groups[self.number - 1 :: self.total])
        return [spec for spec in specs if spec.baseline in mine]


class Plan(NamedTuple):
    """What the command line asks for: a scale, which seeds, and possibly another rate."""

    scale_name: str
    seeds: int  # how many
    learning_rate: float | None = None
    first_seed: int = 0

    @classmethod
    def checked(
        cls, scale: str, seeds: int | None, learning_rate: float | None, first_seed: int = 0
    ) -> "Plan":
        """A plan from command-line values; `InputError` on the first that is wrong."""
        default = get_scale(scale)
        if seeds is not None and not 1 <= seeds <= MOST_SEEDS:
            raise InputError(f"--seeds is {seeds}; expected 1 to {MOST_SEEDS}.")
        if not 0 <= first_seed <= MOST_SEEDS:
            raise InputError(f"--first-seed is {first_seed}; expected 0 to {MOST_SEEDS}.")
        if learning_rate is not None and not (np.isfinite(learning_rate) and learning_rate > 0):
            raise InputError(f"--learning-rate is {learning_rate}; expected a finite number > 0.")
        return cls(scale, default.seeds if seeds is None else seeds, learning_rate, first_seed)

    @property
    def scale(self) -> Scale:
        """The constants of the scale."""
        return SCALES[self.scale_name]

    @property
    def seed_numbers(self) -> range:
        """The seeds themselves: `first_seed`, …, as many as `seeds`."""
        return range(self.first_seed, self.first_seed + self.seeds)

    @property
    def _unusual(self) -> list[tuple[str, str]]:
        """What differs from the scale's own seeds and the data sets' own rates."""
        unusual = []
        if self.seeds != self.scale.seeds:
            unusual.append(("seeds", str(self.seeds)))
        if self.first_seed:
            unusual.append(("first-seed", str(self.first_seed)))
        if self.learning_rate is not None:
            unusual.append(("learning-rate", repr(float(self.learning_rate))))  # exact
        return unusual

    @property
    def suffix(self) -> str:
        """What a figure's file name ends with: different for every two plans of a scale."""
        return "".join(f"-{name}-{value}" for name, value in self._unusual)

    def command(self, figure: str) -> str:
        """What makes a figure by this plan."""
        parts = [f"python -m experiments {figure}"]
        if self.scale_name != "quick":
            parts.append(f"--scale {self.scale_name} --data-dir DATA")
        return " ".join([*parts, *([self.options] if self.options else [])])

    @property
    def options(self) -> str:
        """What a command says of the seeds and the rate: nothing where they are the usual ones."""
        return " ".join(f"--{name} {value}" for name, value in self._unusual)

    def specs(
        self, dataset: str, objective: str, activation: str, constraint: str
    ) -> list[GridSpec]:
        """The runs of one objective on one data set, one per seed.

        Strength 0 is the same model for every objective; it belongs to the objective "ae",
        trained once per seed and shared.
        """
        scale, data = self.scale, DATA[dataset]
        return [
            GridSpec(
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
            for seed in self.seed_numbers
        ]


def needed(
    plan: Plan,
    objectives: Sequence[str],
    activation: str,
    constraint: str,
    datasets: Sequence[str] | None = None,
) -> list[GridSpec]:
    """The runs of a figure on the scale's data sets, the shared strength-0 models first."""
    return [
        spec
        for dataset in datasets or plan.scale.datasets
        for objective in ("ae", *objectives)
        for spec in plan.specs(dataset, objective, activation, constraint)
    ]
