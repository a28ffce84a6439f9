"""Stored runs for the oracle: netCDF 3 behind gzip, read with SciPy, grouped into curves.

A curve has the strengths 0, 0.001, …, 1; the model at strength 0 is the run of AE with the same
data set, activation, constraint, seed, rate, momentum and batch size.
"""

import gzip
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.io import netcdf_file

OWN_RATE = {"mnist": 0.003, "cifar10": 0.001}
COMMON_RATE = 0.001
# seeds that may decide, the first complete set does; at `paper` one seed is stored
SEEDS = {
    ("reduced", "unchanged"): ((0, 1, 2, 3, 4, 5), (0, 1, 2)),
    ("reduced", "revised"): ((3, 4, 5), (0, 1, 2)),
    ("reduced", "new"): ((3, 4, 5), (0, 1, 2)),
}
WANTED = (
    "activation_fraction",
    "dead_fraction",
    "preactivation_mean",
    "preactivation_deviation",
    "row_length_mean",
    "threshold_distance",
    "rarely_active",
    "code_mean",
    "code_small",
    "flagged_epoch",
    "strength",
    "trained_epoch",
    "history_pressure_share",
    "history_row_length_max",
    "loss_residual_share",
)
# what tells one setting from another; hidden units, samples and epochs follow from the scale
SPEC = (
    "dataset",
    "activation",
    "constraint",
    "objective",
    "learning_rate",
    "momentum",
    "batch_size",
)


def read(path: Path, only: tuple[str, ...] = ()) -> tuple[dict, str, dict[str, np.ndarray]]:
    """Spec, kind and variables of a stored run; `only` limits the variables of a grid."""
    with netcdf_file(io.BytesIO(gzip.decompress(path.read_bytes())), mmap=False) as file:
        kind = bytes(file.kind).decode()
        names = [n for n in file.variables if kind != "grid" or not only or n in only]
        values = {n: np.array(file.variables[n][...]) for n in names}
        return json.loads(file.spec), kind, {n: _text(v) for n, v in values.items()}


def _text(value: np.ndarray) -> np.ndarray:
    """Characters joined to strings along the last axis; numbers in native byte order."""
    if value.dtype.kind == "S":
        joined = [b"".join(row).decode().strip("\0 ") for row in value.reshape(-1, value.shape[-1])]
        return np.array(joined).reshape(value.shape[:-1])
    return value.astype(value.dtype.newbyteorder("="))


@dataclass(frozen=True)
class Setting:
    """What is trained, but for the seed; a rate of None is the data set's own."""

    dataset: str
    activation: str
    constraint: str
    objective: str
    rate: float | None = None
    momentum: float = 0.9
    batch: int = 50

    @property
    def key(self) -> tuple:
        rate = OWN_RATE[self.dataset] if self.rate is None else self.rate
        return (*self._head, self.objective, rate, self.momentum, self.batch)

    @property
    def baseline(self) -> tuple:
        return (*self._head, "ae", *self.key[4:])

    @property
    def _head(self) -> tuple:
        return (self.dataset, self.activation, self.constraint)


class Curve:
    """The models of one setting over seeds and strengths; diverged or collapsed ones are NaN."""

    def __init__(self, setting: Setting, seeds: tuple[int, ...], runs: list[list[dict]]):
        self.setting, self.seeds, self._runs = setting, seeds, runs
        self.strengths = np.concatenate([run["strength"] for run in runs[0]])
        flagged = self._raw("flagged_epoch") >= 0
        dead, fraction = self._raw("dead_fraction"), self._raw("activation_fraction")
        self.diverged = flagged | ~(dead < 0.99) | ~np.isfinite(fraction)

    def _raw(self, name: str) -> np.ndarray:
        return np.array([np.concatenate([run[name] for run in runs]) for runs in self._runs])

    def has(self, name: str) -> bool:
        """Whether every run stores the variable, as those before a certain date do not."""
        return all(name in run for runs in self._runs for run in runs)

    def models(self, name: str, drop: bool = True) -> np.ndarray:
        """A variable per (seed, strength, …), in float64."""
        values = self._raw(name).astype(float)
        if drop:
            values[self.diverged] = np.nan
        return values

    def regularized(self, name: str) -> np.ndarray:
        """As `models`, of a variable that the unregularized run does not store."""
        values = np.array([runs[-1][name] for runs in self._runs]).astype(float)
        values[self.diverged[:, -values.shape[1] :]] = np.nan
        return values

    def axis(self, name: str) -> np.ndarray:
        """A coordinate, such as the recorded epochs."""
        return self._runs[0][-1][name]

    @property
    def fraction(self) -> np.ndarray:
        return self.models("activation_fraction")

    @property
    def too_many_diverged(self) -> bool:
        """Whether models at more than 2 strengths diverged or collapsed, with any seed."""
        return int(self.diverged.any(axis=0).sum()) > 2


class Runs:
    """All runs of one folder; `seen` names the keys stored when the criteria were committed."""

    def __init__(self, folder: Path, seen: frozenset[str] = frozenset(), seeds: dict | None = None):
        self.scale = folder.name
        self.seeds = SEEDS | (seeds or {})
        self._grids: dict[tuple, dict[int, dict]] = {}
        self._unseen: set[tuple] = set()
        self.studies: list[tuple[dict, dict, bool]] = []
        for path in sorted(folder.glob("*.nc.gz")):
            spec, kind, values = read(path, WANTED)
            unseen = f"{self.scale}/{path.name.removesuffix('.nc.gz')}" not in seen
            if kind == "study":
                self.studies.append((spec, values, unseen))
                continue
            key = tuple(spec[n] for n in SPEC)
            self._grids.setdefault(key, {})[spec["seed"]] = values
            if unseen:
                self._unseen.add((key, spec["seed"]))

    def candidates(self, status: str) -> tuple[tuple[int, ...], ...]:
        return self.seeds.get((self.scale, status), ((0,),))

    def curves(
        self,
        status: str,
        *settings: Setting,
        store: str = "",
        only: tuple[int, ...] = (),
        figure: tuple[Setting, ...] = (),
    ) -> list[Curve] | None:
        """The settings' curves on the seeds that decide, or None where the claim is not run.

        `store` names variables that every run must have; `only` the seeds asked for instead; more
        than the first three seeds are taken only where they are stored for the whole `figure`.
        """
        for seeds in [only] if only else self.candidates(status):
            more = seeds[3:] if status == "unchanged" else ()
            if any(self._models(s, seed) is None for s in figure for seed in more):
                continue
            runs = [[self._models(s, seed) for seed in seeds] for s in settings]
            if any(m is None for group in runs for m in group):
                continue
            if status == "new" and not all(self._is_unseen(s, x) for s in settings for x in seeds):
                continue
            found = [Curve(s, seeds, group) for s, group in zip(settings, runs, strict=True)]
            if all(curve.has(name) for curve in found for name in store.split()):
                return found
        return None

    def _models(self, setting: Setting, seed: int) -> list[dict] | None:
        keys = dict.fromkeys((setting.baseline, setting.key))
        found = [self._grids.get(key, {}).get(seed) for key in keys]
        return None if any(f is None for f in found) else found

    def _is_unseen(self, setting: Setting, seed: int) -> bool:
        return {(setting.key, seed), (setting.baseline, seed)} <= self._unseen

    def by_seed(self, figure: str, unseen: bool = False, **options: object) -> dict[int, dict]:
        """Variables of the studies of a figure by seed, of those with these options or samples.

        `unseen` limits them to runs that nobody had looked at.
        """
        chosen = {
            spec["seed"]: values
            for spec, values, new in self.studies
            if spec["figure"] == figure
            and new >= unseen
            and all((spec | spec["options"]).get(k) == v for k, v in options.items())
        }
        return dict(sorted(chosen.items()))

    def of_study(self, figure: str, unseen: bool = False, **options: object) -> list[dict]:
        """As `by_seed`, without the seeds."""
        return list(self.by_seed(figure, unseen, **options).values())
