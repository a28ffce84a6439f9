"""A10 to A13 of docs/protocol.md, decided from stored runs."""

from collections.abc import Iterator

import numpy as np
from oracle_arpit import APART, FIGURE_1, NO_RUNS, Row, apart, decided, everywhere, moves
from oracle_runs import Curve, Runs, Setting
from oracle_stats import (
    INCONCLUSIVE,
    TIE,
    Estimate,
    construction,
    estimate,
    largest,
    mean_curve,
    span,
)


def a10(runs: Runs, dataset: str, activation: str) -> Iterator[Row]:
    key = ("A10", runs.scale, dataset, ("all", activation, "unit", "own", "condition met"))
    settings = [Setting(dataset, activation, "unit", o) for o in FIGURE_1]
    whole = everywhere(FIGURE_1, ("relu", "sigmoid", "softplus"))
    found = runs.curves("unchanged", *settings, figure=whole)
    if not found:
        yield key, NO_RUNS
        return
    # (seed, objective × strength × epoch), without the unregularized model
    shares = np.concatenate(
        [c.models("history_pressure_share")[:, 1:].reshape(len(c.seeds), -1) for c in found], axis=1
    )
    number = estimate(lambda s: np.nanmean(shares[s]), len(found[0].seeds))
    yield key, decided(number.at_least(0.01), number, found)


def a11(runs: Runs, dataset: str) -> Iterator[Row]:
    for activation in ("sigmoid", "softplus"):
        key = ("A11", runs.scale, dataset, ("dae2", activation, "unit", "own", "residual share"))
        found = runs.curves("revised", Setting(dataset, activation, "unit", "dae2"))
        yield key, residual_share(found[0]) if found else NO_RUNS


def residual_share(curve: Curve) -> tuple:
    """Largest size of the share at a recorded epoch ≥ 5 and a strength ≤ 0.25."""
    noisy = curve.regularized("loss_residual_share")
    epochs = curve.axis("trained_epoch")
    strengths = curve.strengths[1:]
    asked = noisy[:, strengths <= 0.25 + 1e-9][:, :, epochs >= 5]
    number = estimate(lambda s: largest(mean_curve(np.abs(asked), s)), len(curve.seeds))
    return decided(number.at_most(0.1), number, [curve])


def a12(runs: Runs, dataset: str) -> Iterator[Row]:
    key = ("A12", runs.scale, dataset, ("dae", "relu", "unit", "own", "below mdae"))
    found = runs.curves("revised", *[Setting(dataset, "relu", "unit", o) for o in ("dae", "mdae")])
    if not found:
        yield key, NO_RUNS
        return
    ends = [c.fraction[:, -1:] for c in found]
    number = estimate(
        lambda s: float(mean_curve(ends[1], s)[0] - mean_curve(ends[0], s)[0]),
        len(found[0].seeds),
    )
    yield key, decided(lower(number), number, found)


def lower(number: Estimate) -> str:
    """Whether a difference is positive; one of at most 0.01 in size is a tie."""
    if number.low > TIE:
        return "holds"
    return "fails" if number.high < -TIE else INCONCLUSIVE


def a13(runs: Runs, dataset: str) -> Iterator[Row]:
    for activation in ("relu", "sigmoid"):
        key = ("A13", runs.scale, dataset, ("cae-h", activation, "unit", "own", "near cae"))
        settings = [Setting(dataset, activation, "unit", o) for o in ("cae-h", "cae")]
        found = runs.curves("revised", *settings)
        if not found:
            yield key, NO_RUNS
        elif activation == "relu":
            number = apart(*found)
            yield key, decided(construction(number.at_most(APART)), number, found)
        else:
            number = of_range(*found)
            verdict = number.at_most(0.25) if moves(found[1]) else INCONCLUSIVE
            yield key, decided(verdict, number, found)


def of_range(other: Curve, cae: Curve) -> Estimate:
    """Largest difference over CAE's range."""

    def ratio(s):
        mean, reference = mean_curve(other.fraction, s), mean_curve(cae.fraction, s)
        return largest(np.abs(mean - reference)) / span(reference)

    return estimate(ratio, len(cae.seeds))
