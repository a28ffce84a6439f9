"""L5 to L8 of docs/protocol.md, decided from stored studies; S seeds, K strengths, E epochs."""

from collections.abc import Iterator

import numpy as np
from oracle_arpit import NO_RUNS, Row
from oracle_runs import Runs
from oracle_stats import (
    FAILS,
    HOLDS,
    INCONCLUSIVE,
    Decision,
    Estimate,
    construction,
    estimate,
    mean_curve,
    spearman,
    together,
)
from oracle_studies import row

REGULARIZED = ("decay", "tied", "cae", "sae")
HIDDEN = {"plain": 1_000, "small": 100}
NEAR = 0.02  # of the variance: trained linear models from their closed forms
SATURATED = 0.05


def lecture(runs: Runs) -> Iterator[Row]:
    if runs.scale == "reduced":
        yield from over_fitting(runs, "mnist")
        yield from over_complete(runs, "mnist")
        yield from copying(runs, "mnist")
    yield from linear(runs)
    yield from plane(runs)


def of_seeds(values: np.ndarray) -> Estimate:
    """Mean over the seeds (S,) whose models did not diverge, with its interval."""
    return estimate(lambda s: float(mean_curve(values[:, None], s)[0]), len(values))


def errors(runs: Runs, kind: str, unseen: bool = False) -> list[dict]:
    """Errors of the models of a kind, at the protocol's sizes."""
    sizes = {"samples": 500, "hidden": HIDDEN.get(kind, 1_000)}
    return runs.of_study("lecture-overfit", unseen, kind=kind, **sizes)


def over_fitting(runs: Runs, dataset: str) -> Iterator[Row]:
    """L5: held-out error against the plain model's, at the end and stopped early; (S, E)."""
    plain = errors(runs, "plain")
    for kind in REGULARIZED:
        other = errors(runs, kind)
        decision = no_worse(plain[0], other[0]) if plain and other else NO_RUNS
        yield row(runs, "L5", dataset, f"against {kind}", decision)


def no_worse(plain: dict, other: dict) -> Decision:
    """The regularized model's error, at the end, below the plain one's and its stopped one's."""
    if int(other["chosen"]) != int(np.nanargmin(other["grid_validation"])):
        raise ValueError("the strength was not chosen on the validation digits")
    gains = [of_seeds(error - other["heldout"][:, -1]) for error in ends(plain)]
    verdict = together(*(gain.at_least(0) for gain in gains))
    number = min(gains, key=lambda gain: gain.value)
    return Decision(verdict, number.value, (number.low, number.high))


def ends(plain: dict) -> tuple[np.ndarray, np.ndarray]:
    """Held-out errors (S,) at the end, and at the epoch of each seed's lowest validation error."""
    lost = np.isnan(plain["validation"]).any(axis=1)
    stop = np.argmin(np.where(lost[:, None], 0, plain["validation"]), axis=1)
    heldout = plain["heldout"]
    return heldout[:, -1], np.take_along_axis(heldout, stop[:, None], axis=1)[:, 0]


def over_complete(runs: Runs, dataset: str) -> Iterator[Row]:
    """L6: final over lowest held-out error, m = 1,000 against m = 100, disjoint intervals."""
    found = [errors(runs, kind, unseen=True) for kind in HIDDEN]
    if not all(found):
        yield row(runs, "L6", dataset, "rise", NO_RUNS)
        return
    heldout = [studies[0]["heldout"] for studies in found]
    many, few = (of_seeds(e[:, -1] / e.min(axis=1)) for e in heldout)
    verdict = INCONCLUSIVE
    if many.low > few.high:
        verdict = HOLDS
    elif many.high < few.low:
        verdict = FAILS
    decision = Decision(verdict, many.value, (many.low, many.high))
    yield row(runs, "L6", dataset, "rise", decision)


def copying(runs: Runs, dataset: str) -> Iterator[Row]:
    """L7: the error share on Gaussian inputs of the plain model, and the regularized over it.

    Clean inputs are copied best without a penalty, so that their error would always choose the
    smallest strength: the strength is chosen by the error that noisy validation inputs leave.
    """
    for activation in ("relu", "saturated-linear"):
        plain = runs.of_study("lecture-copying", True, activation=activation, objective="ae")
        for objective in ("dae", "cae"):
            options = {"activation": activation, "objective": objective}
            other = runs.of_study("lecture-copying", True, **options)
            what = f"{objective} with {activation}"
            decision = copies(plain[0], other[0], activation) if plain and other else NO_RUNS
            yield row(runs, "L7", dataset, what, decision)


def copies(plain: dict, other: dict, activation: str) -> Decision:
    denoising = other["denoising"]
    chosen = int(np.nanargmin(mean_curve(denoising, range(len(denoising)))))
    share, regularized = plain["gaussian"][:, 0], other["gaussian"][:, chosen]
    ratio = estimate(lambda s: float(np.nanmean(regularized[s]) / np.nanmean(share[s])), len(share))
    verdict = together(of_seeds(share).at_most(0.01), ratio.at_least(5))
    saturated = max(of_seeds(plain["saturated"][:, 0]).high,
                    of_seeds(other["saturated"][:, chosen]).high)  # fmt: skip
    if activation == "saturated-linear" and saturated > SATURATED:
        verdict = INCONCLUSIVE
    return Decision(verdict, ratio.value, (ratio.low, ratio.high))


def linear(runs: Runs) -> Iterator[Row]:
    """L7 by construction: shares of linear models on whitened data, against closed forms."""
    closed = {
        "gaussian": lambda level: (level / (1 + level)) ** 2,
        "masking": lambda level: 0.0,
        "cae": lambda level: (level / 2) ** 2,
    }
    for v in runs.of_study("lecture-copying", True, activation="identity"):
        pairs = zip(v["kind"], v["level"], strict=True)
        exact = np.array([closed[str(kind)](level) for kind, level in pairs])
        far = float(max(np.abs(v["trained"] - exact).max(), v["untied"]))
        verdict = Estimate(far, far, far).at_most(NEAR)
        decision = Decision(construction(verdict), far, (far, far))
        yield row(runs, "L7", "", "linear", decision)


def plane(runs: Runs) -> Iterator[Row]:
    """L8: gain along the data's direction over that across it, (S, K), rises with λ."""
    for v in runs.of_study("lecture-plane", True):
        ratio = v["gain"][..., 0] / v["gain"][..., 1]
        strengths = v["strength"]
        rho = estimate(lambda s, x=strengths, y=ratio: spearman(x, mean_curve(y, s)), len(ratio))
        decision = Decision(rho.at_least(0.9), rho.value, (rho.low, rho.high))
        yield row(runs, "L8", "", "gain grows", decision)
