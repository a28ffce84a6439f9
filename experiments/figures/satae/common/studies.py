"""Numbers along the stored paths of SATAE's Figures 4 and 5, and what their panels' claims need.

A path's run has variables over (seed, run, stage): run 0 follows α, run 1 is its control.
"""

import numpy as np

from experiments.evidence.criteria import Criterion, mean_at_most, over_seeds
from experiments.evidence.curves import spearman
from experiments.figures.satae.common.panels import ALPHAS, Panel, panel_of
from experiments.pipeline.protocol import title
from experiments.pipeline.spec import Study

__all__ = [
    "along",
    "at_alpha",
    "grows_with_penalty",
    "lettered",
    "named",
    "saturated_before",
    "span",
    "trend",
    "units_of",
    "unsaturated",
]

MONOTONE = 0.9  # S8: Spearman's correlation with α
TWICE = 2.0  # S4d-S4h, S5: PR at the large α over that at the small one, and over the control's
SATURATED = 0.1  # more of the pre-activations at α = 0: the model is not in its linear region

_UNITS = {"shrink": "soft threshold", "relu": "ReLU", "saturated-linear": "SL"}
_WIDTHS = {"shrink": ", λ = {:g}", "relu": "", "saturated-linear": ", T = {:g} sd"}
_STARTS = {
    "glorot": "a random start",
    "copied": "a random decoder and its copy as encoder",
    "bumps": "an identity-like start",
}


def units_of(panel: Panel) -> str:
    """The panel's units with λ, or T in standard deviations of the inputs, for people."""
    return _UNITS[panel.activation] + _WIDTHS[panel.activation].format(panel.width)


def lettered(panel: Panel) -> str:
    """The panel by its letters, for people."""
    return f"panel{'s' * (len(panel.letters) > 1)} {', '.join(panel.letters)}"


def named(panel: Panel) -> str:
    """The panel's units, their number and its start, for people."""
    return f"{units_of(panel)}, m = {panel.hidden}, from {_STARTS[panel.start]}"


def along(run, name: str, which: int = 0) -> np.ndarray:
    """A variable of a path (0) or of its control (1), `[S, stages]`."""
    return run[name].values[:, which].astype(float)


def at_alpha(run, name: str, alpha: float, which: int = 0) -> np.ndarray:
    """A variable of a path or of its control at one α (of the control: after as many updates)."""
    return along(run, name, which)[:, ALPHAS.index(alpha)]


def span(values: np.ndarray) -> str:
    """The first and the last mean over seeds, for people."""
    mean = values.mean(axis=0)
    return f"{mean[0]:.3f} → {mean[-1]:.3f}"


def trend(name: str, values: np.ndarray, sign: int) -> Criterion:
    """Spearman's correlation of α and the mean over seeds of values `[S, stages]`.

    At most −0.9 for `sign` +1, at least 0.9 for −1.
    """

    def over(seeds: np.ndarray) -> float:
        mean = values[seeds].mean(axis=0)
        return spearman(np.array(ALPHAS), mean) if np.isfinite(mean).all() else np.nan

    return over_seeds(f"Spearman of α and {name}", over, len(values), -sign * MONOTONE, sign)


def unsaturated(study: Study, run) -> list[Criterion]:
    """The precondition of claims on SL units: they start in the linear region."""
    if not panel_of(study).tied:
        return []
    flat = along(run, "flat")[:, 0]
    return [mean_at_most(flat, SATURATED, "share saturated at α = 0")]


def grows_with_penalty(study: Study, run) -> list[Criterion]:
    """S4d to S4h, S5: PR at the large α is twice that at 0.1, and twice the control's there."""
    small, large = panel_of(study).shown[:2]
    spread = {alpha: at_alpha(run, "participation", alpha) for alpha in (small, large)}
    control = at_alpha(run, "participation", large, 1)
    return [
        _ratio(f"PR at α = {large:g} over that at {small:g}", spread[large], spread[small]),
        _ratio(f"PR at α = {large:g} over the control's", spread[large], control),
    ]


def _ratio(name: str, above: np.ndarray, below: np.ndarray) -> Criterion:
    """The ratio of two means over seeds is at least `TWICE`."""

    def over(seeds: np.ndarray) -> float:
        return float(above[seeds].mean() / below[seeds].mean())

    return over_seeds(name, over, len(above), TWICE, -1)


def saturated_before(study: Study, run) -> list[str]:
    """A sentence if the trained path does not start in the linear region, as the paper says."""
    flat = along(run, "flat")[:, 0].mean()
    if flat <= SATURATED:
        return []
    return [
        f"{flat:.1%} of the pre-activations on {title(study.dataset)} are saturated at α = 0 "
        f"({named(panel_of(study))}): this model does not start in the linear region."
    ]
