"""S3: whether the penalty halves the area of low energy and keeps the curves' energy low."""

from collections.abc import Mapping

from experiments.evidence.claims import settle
from experiments.evidence.criteria import Criterion, mean_at_most
from experiments.figures.satae.common.plane import LEVEL
from experiments.pipeline.figure import Verdict

__all__ = ["decide_s3", "explain_s3"]

AREA_RATIO = 0.5  # S3: area of low energy with the penalty over that without it, at most
_STATEMENT = "at one α the penalty halves the area of low energy and the curves' stays low"
_RANK = {"holds": 0, "inconclusive": 1, "fails": 2}


def decide_s3(run: Mapping, dataset: str) -> Verdict:
    """S3: holds if it does at some α of the path for all curves; numbers of the nearest α.

    Areas are compared per start, as the ratio with the penalty to without it.
    """
    tried = []
    for i, alpha in enumerate(run["alpha"].values):
        if alpha > 0:
            criteria = criteria_at(run, i)
            verdict = settle("S3", dataset, _STATEMENT, criteria, run.sizes["seed"])
            excess = max(c.value / c.threshold for c in criteria)
            numbers = f"α = {alpha:g}: {verdict.numbers}"
            tried.append((_RANK[verdict.verdict], excess, verdict._replace(numbers=numbers)))
    return min(tried, key=lambda one: one[:2])[2]


def criteria_at(run: Mapping, i: int) -> list[Criterion]:
    """The two criteria of every curve at the i-th α."""
    criteria = []
    for c, name in enumerate(run["curve"].values):
        area, error = run["area"].values[c, i], run["error"].values[c, i]
        ratios = area[:, 1] / area[:, 0]
        criteria += [
            mean_at_most(ratios, AREA_RATIO, f"{name}: ratio of the areas"),
            mean_at_most(error[:, 1], LEVEL, "energy on the curve over the half-variance"),
        ]
    return criteria


def explain_s3(runs) -> list[str]:
    """At which α each curve alone meets both criteria."""
    (run,) = runs.values()
    found = []
    for c, name in enumerate(run["curve"].values):
        pairs = [criteria_at(run, i)[2 * c : 2 * c + 2] for i in range(run.sizes["alpha"])]
        met = [f"{run['alpha'].values[i]:g}" for i, two in enumerate(pairs) if all_hold(two)]
        found.append(f"{name} at {', '.join(met) or 'none'}")
    return [f"Both criteria are met at these α: {'; '.join(found)}."]


def all_hold(criteria: list[Criterion]) -> bool:
    """Whether all criteria hold beyond their intervals."""
    return all(c.decided and c.holds for c in criteria)
