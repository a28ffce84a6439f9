"""Specs: what decides the numbers of a stored computation, and its name.

Every spec offers the same (`Spec`), whichever of the two kinds it is: a grid over strengths, which
`fit` trains, or a study, which its figure computes. How each kind is computed says
`experiments.pipeline.missing`.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from experiments.pipeline.protocol import DATA
from experiments.pipeline.stored import run_key

__all__ = ["GridSpec", "Spec", "Study", "some_keys"]

# Passes over a batch per update, where they are not one as AE's; only the order of runs and the
# time left depend on it. The product W Wᵀ costs as much as m/B passes.
_PASSES = {"edae": 2, "dae-antithetic": 2}
_WITH_GRAM = ("dae2", "dae2-kink")


class Spec(Protocol):
    """What all that handles stored computations may ask of one."""

    dataset: str
    samples: int | None
    seed: int
    kind: str  # "grid" or "study", stored with the run
    json: str  # canonical; the spec as it is stored
    key: str  # the run's name: readable parts, then a hash of `json`
    baseline: "Spec"  # must be stored before; itself if there is none
    program: "Spec"  # equal for specs that are computed together
    cost: float  # relative
    parts: int  # that can leave a checkpoint
    label: str  # for progress


class GridSpec(NamedTuple):
    """What decides a run's numbers, apart from the code; its hash is part of the file name.

    What an objective's definition fixes (the pole of SAE, its ρ, the width of a kink) belongs to
    the code, whose revision is kept with the run.
    """

    dataset: str
    samples: int
    epsilon: float
    objective: str
    activation: str
    constraint: str
    strengths: tuple[float, ...]
    seed: int
    hidden: int
    batch_size: int
    epochs: int
    learning_rate: float
    momentum: float
    matmul_precision: str = "highest"
    cells_per_program: int | None = None

    @property
    def kind(self) -> str:
        """The kind of run that is stored."""
        return "grid"

    @property
    def json(self) -> str:
        """The spec as canonical JSON, less optional fields at their default.

        A later optional field then leaves the names of stored runs as they are.
        """
        defaults = self._field_defaults
        fields = {k: v for k, v in self._asdict().items() if k not in defaults or v != defaults[k]}
        return json.dumps(fields, sort_keys=True)

    @property
    def baseline(self) -> "GridSpec":
        """The unregularized model of the same seed: every objective at strength 0."""
        return self._replace(objective="ae", strengths=(0.0,))

    @property
    def program(self) -> "GridSpec":
        """Equal for runs that one compiled program can train together: all but their seeds."""
        return self._replace(seed=0)

    @property
    def cost(self) -> float:
        """Relative cost, arbitrary units; used for scheduling only."""
        size = DATA[self.dataset].inputs * self.hidden * self.samples * self.epochs
        passes = _PASSES.get(self.objective, 1)
        if self.objective in _WITH_GRAM:
            passes = max(passes, self.hidden / self.batch_size)
        return float(size * len(self.strengths) * passes)

    @property
    def parts(self) -> int:
        """How many equal parts the work has, each of which can leave a checkpoint: epochs."""
        return self.epochs

    @property
    def label(self) -> str:
        """What progress calls the run, without its seed."""
        return f"{self.dataset} {self.objective} {self.activation} {self.constraint}"

    @property
    def key(self) -> str:
        """The name of the run: readable parts, then a hash of the whole spec."""
        return run_key(self.kind, self.json)


class Study(NamedTuple):
    """Everything that decides a study's numbers; its hash is part of the file name."""

    figure: str
    dataset: str = ""  # a name for `aesparse.data.load`; "" for none
    samples: int | None = None
    seed: int = 0
    options: tuple[tuple[str, str | float | tuple[float, ...]], ...] = ()  # in the figure's words
    work: float = 1e12  # cost of a grid that takes about as long; not part of the key

    @property
    def kind(self) -> str:
        """The kind of run that is stored."""
        return "study"

    @property
    def json(self) -> str:
        """The spec as canonical JSON."""
        fields = {k: v for k, v in self._asdict().items() if k not in ("work", "options")}
        return json.dumps(fields | {"options": dict(self.options)}, sort_keys=True)

    @property
    def baseline(self) -> "Study":
        """Itself: a study needs no other."""
        return self

    @property
    def program(self) -> "Study":
        """Itself: a study is computed alone."""
        return self

    @property
    def cost(self) -> float:
        """Relative cost, arbitrary units; used for scheduling only."""
        return self.work

    @property
    def parts(self) -> int:
        """One: a study leaves no checkpoint."""
        return 1

    @property
    def label(self) -> str:
        """What progress calls the study, without its seed."""
        return f"{self.figure} {self.dataset}"

    @property
    def key(self) -> str:
        """The name of the run: readable parts, then a hash of the whole spec."""
        return run_key(self.kind, self.json)

    def option(self, name: str) -> str | float | tuple[float, ...]:
        """One of the options, by its name."""
        return dict(self.options)[name]


def some_keys(specs: Sequence[Spec]) -> str:
    """The names of the first three of some runs."""
    return ", ".join(spec.key for spec in specs[:3]) + (", …" if len(specs) > 3 else "")
