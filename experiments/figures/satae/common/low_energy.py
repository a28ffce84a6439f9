"""S3: whether the penalty halves the area of low energy and keeps the energy on the curve."""

from collections.abc import Mapping

import numpy as np

from experiments.evidence.claims import settle
from experiments.evidence.criteria import Criterion, over_seeds
from experiments.figures.satae.common.plane import FINE
from experiments.pipeline.figure import Verdict

__all__ = ["decide_s3", "drawn_at", "explain_s3", "geometric_mean"]

_RATIOS = {"area": "areas", "error": "energies on the curve"}


def drawn_at(run: Mapping) -> int:
    """Which α of the path is drawn."""
    return int(run["drawn_at"])


AREA_RATIO = 0.5  # S3: area of low energy with the penalty over that without it, at most
ERROR_RATIO = 2.0  # S3: mean energy on the curve with the penalty over that without it, at most
_RANK = {"holds": 0, "inconclusive": 1, "fails": 2}
_SMALLEST = {"area": 4 / FINE**2, "error": np.finfo(np.float32).tiny}  # one point of the grid


def geometric_mean(values: np.ndarray) -> np.ndarray:
    """Over the last axis; energies differ by many powers of ten between initializations."""
    return np.exp(np.log(values).mean(axis=-1))


def decide_s3(run: Mapping, dataset: str, units: str) -> Verdict:
    """S3: holds if it does at some α of the path; the numbers are those of the nearest α.

    Ratios are taken per initialization, with the penalty over without it, and averaged as
    logarithms.
    """
    statement = f"the penalty halves the area and keeps the energy on the curve, {units}"
    tried = []
    for i, alpha in enumerate(run["alpha"].values):
        if alpha > 0:
            criteria = [
                _ratio(run, i, "area", f"at α = {alpha:g}: ratio of the areas", AREA_RATIO),
                _ratio(run, i, "error", "ratio of the energies on the curve", ERROR_RATIO),
            ]
            verdict = settle("S3", dataset, statement, criteria, run.sizes["seed"])
            excess = max(c.value / c.threshold for c in criteria)
            tried.append((_RANK[verdict.verdict], excess, verdict, i))
    _, _, verdict, i = min(tried, key=lambda one: one[:2])
    return verdict._replace(numbers=f"{verdict.numbers}; {_beside(run, i)}")


def explain_s3(runs, verdict: Verdict) -> list[str]:
    """S3: how far each of its two ratios goes over the path, and what the other is there."""
    (run,) = runs.values()
    ratios = {}
    for name, low in _SMALLEST.items():
        values = np.maximum(run[name].values, low)[1:]
        ratios[name] = geometric_mean(values[..., 1] / values[..., 0])
    alphas, told = run["alpha"].values[1:], []
    for name, other in (("area", "error"), ("error", "area")):
        i = int(np.argmin(ratios[name]))
        told.append(
            f"the ratio of the {_RATIOS[name]} is smallest at α = {alphas[i]:g}: "
            f"{ratios[name][i]:.3g} (that of the {_RATIOS[other]} there: {ratios[other][i]:.3g})"
        )
    return [f"Over the path {'; '.join(told)}."]


def _ratio(run: Mapping, i: int, name: str, label: str, threshold: float) -> Criterion:
    values = np.maximum(run[name].values[i], _SMALLEST[name])

    def over(seeds: np.ndarray) -> float:
        return float(geometric_mean(values[seeds, 1] / values[seeds, 0]))

    return over_seeds(label, over, len(values), threshold, +1)


def _beside(run: Mapping, i: int) -> str:
    """What the ratios are made of, here and at the α drawn; the areas below a model's own level."""
    told = []
    for j in dict.fromkeys((i, drawn_at(run))):
        area, own, error = (
            geometric_mean(np.maximum(run[name].values[j], low).T)
            for name, low in (
                ("area", _SMALLEST["area"]),
                ("area_at_own_level", _SMALLEST["area"]),
                ("error", _SMALLEST["error"]),
            )
        )
        told.append(
            f"α = {run['alpha'].values[j]:g}: areas {area[0]:.2f} → {area[1]:.2f} of 4, energies "
            f"{error[0]:.1e} → {error[1]:.1e}, areas below each model's own level "
            f"{own[0]:.2f} → {own[1]:.2f}"
        )
    return "; ".join(told)
