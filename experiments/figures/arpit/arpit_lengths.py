"""Arpit's conclusion (b): lowest fraction with unit rows against unconstrained ones."""

from collections.abc import Mapping

import numpy as np

from experiments.drawing import style
from experiments.drawing.means import ACTIVATIONS
from experiments.evidence import criteria
from experiments.evidence.claims import decide, not_run
from experiments.evidence.criteria import DEAD, over_seeds
from experiments.evidence.curves import Curve, mean_over_seeds
from experiments.evidence.trends import Sweep, sweeps
from experiments.figures.arpit.common import OBJECTIVES
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan, needed
from experiments.pipeline.protocol import DATA
from experiments.pipeline.spec import GridSpec

CLAIMS = {
    "A17": "better sparsity with unit rows than with unconstrained ones",
    "A18": "SAE's unconstrained rows grow without bound from this strength on",
}
ROWS = {"unit": "unit rows", "free": "unconstrained rows"}
GROUP = ("dataset", "activation")
_LOWER = 0.02  # A17: by which the lowest fraction must be lower with unit rows
_DECIDED = ("dae", "sae")
_GROWN = 5  # A18: largest length over its start


def runs(plan: Plan) -> list[GridSpec]:
    """All objectives and activations with unit and with unconstrained rows."""
    return [s for a in ACTIVATIONS for c in ROWS for s in needed(plan, OBJECTIVES, a, c)]


def lowest(curve: Curve, seeds: np.ndarray | None = None) -> tuple[float, int]:
    """The lowest fraction among models with at most 1% dead units, and which strength has it.

    Both shares are means over the seeds, all by default. NaN and −1 if there is no such model.
    """
    curve = curve if seeds is None else curve.of_seeds(seeds)
    dead = mean_over_seeds(np.where(curve.flagged, np.nan, curve.dead))
    alive = np.where(dead <= DEAD, curve.mean, np.nan)
    if np.isnan(alive).all():
        return np.nan, -1
    where = int(np.nanargmin(alive))
    return float(alive[where]), where


def _described(curve: Curve) -> str:
    value, where = lowest(curve)
    if where < 0:
        return f"{ROWS[curve.constraint]}: no model with at most {DEAD:.0%} dead units"
    bound = " (a bound: no larger strength was run)" if _is_bound(curve) else ""
    at = f"at σ² = {curve.strengths[where]:g}{bound}"
    return f"{ROWS[curve.constraint]} {'≤ ' * _is_bound(curve)}{value:.3f} {at}"


def _is_bound(curve: Curve) -> bool:
    """Whether the lowest fraction is at the largest strength."""
    return lowest(curve)[1] == len(curve.strengths) - 1


def verdicts(runs: Mapping, dataset: str) -> list[Verdict]:
    """A17 for every objective of one activation, and A18."""
    found = {(s.spec.objective, s.spec.constraint): s for s in sweeps(runs)}
    pairs = [(found[o, "unit"], found[o, "free"]) for o in OBJECTIVES]
    return [*(_a17(unit, free) for unit, free in pairs), _a18(found["sae", "free"])]


def _a17(unit: Sweep, free: Sweep) -> Verdict:
    spec = unit.spec
    name = f"{style.label(spec.objective)} with {ACTIVATIONS[spec.activation]}"
    decides = spec.objective in _DECIDED
    compared = "lower with unit rows" if decides else "with unit and with unconstrained rows"
    statement = f"lowest fraction {compared}, {name}"
    if not (unit.complete and free.complete):
        numbers = f"unit rows: {unit.count}; unconstrained rows: {free.count}"
        return not_run("A17", spec.dataset, statement, numbers)
    curves = (unit.curve, free.curve)

    def gap(seeds: np.ndarray) -> float:
        return lowest(curves[1], seeds)[0] - lowest(curves[0], seeds)[0]

    by = over_seeds("unconstrained minus unit rows", gap, len(curves[0].fraction), _LOWER, -1)
    each = f"{_described(curves[0])}; {_described(curves[1])}"
    if decides:
        verdict = decide("A17", statement, [by], curves)
        ranges = [criteria.moves(c, f"range with {ROWS[c.constraint]}")[0] for c in curves]
        if not any(r.holds for r in ranges):
            verdict = verdict._replace(verdict="inconclusive")
            each += f"; neither moves: {ranges[0].measured}, {ranges[1].measured}"
        return verdict._replace(numbers=f"{verdict.numbers}; {each}")
    return Verdict("A17", spec.dataset, statement, "measured", f"{by.measured}; {each}")


def growth(sweep: Sweep) -> np.ndarray:
    """The largest row length of any epoch over that at the start, `[S, G]`; inf if not finite."""
    histories = sweep.raw("history_row_length_max")
    known = np.where(np.isfinite(histories), histories, np.inf)
    return known.max(axis=-1) / known[..., 0]


def _a18(sweep: Sweep) -> Verdict:
    spec = sweep.spec
    statement = f"largest row length, SAE with {ACTIVATIONS[spec.activation]}, unconstrained rows"
    if not sweep.complete:
        return not_run("A18", spec.dataset, statement, sweep.count)
    ratios, strengths = growth(sweep), sweep.curve.strengths
    grown = ratios > _GROWN
    some, every = (_from(strengths, rows) for rows in (grown.any(axis=0), grown.all(axis=0)))
    largest = np.max(np.where(np.isfinite(ratios), ratios, -np.inf), axis=0)
    finite = np.isfinite(largest)
    last = np.flatnonzero(finite)[-1]
    numbers = (
        f"above {_GROWN} times its start, or not finite: in some seed {some}, in every seed "
        f"{every}; at most {largest[last]:.2f} times its start at σ² = {strengths[last]:g}, the "
        f"largest with a finite one; {len(ratios)} seeds"
    )
    return Verdict("A18", spec.dataset, statement, "measured", numbers)


def _from(strengths: np.ndarray, grown: np.ndarray) -> str:
    """From which strength on all are grown."""
    count = int(np.cumprod(grown[::-1]).sum())
    return f"from σ² = {strengths[-count]:g} on" if count else "at no strength"


def draw(stored: Mapping, plan: Plan):
    """A panel per data set; a line between the two lowest fractions of an objective."""
    from matplotlib.figure import Figure as Picture

    picture = Picture(figsize=(6.4, 4.6), layout="constrained")
    axes = picture.subplots(1, len(plan.scale.datasets), sharey=True, sharex=True, squeeze=False)[0]
    lines = [(a, o) for a in ACTIVATIONS for o in OBJECTIVES]
    heights = [-i - i // len(OBJECTIVES) * 0.7 for i in range(len(lines))]
    found = {
        (s.spec.dataset, s.spec.activation, s.spec.objective, s.spec.constraint): s.stored
        for s in sweeps({spec: stored.get(spec) for spec in runs(plan)})
    }
    for axis, dataset in zip(axes, plan.scale.datasets, strict=True):
        axis.set_title(DATA[dataset].title, fontsize=10)
        for height, line in zip(heights, lines, strict=True):
            pair = {c: found[dataset, *line, c] for c in ROWS}
            _draw_pair(axis, height, {c: s.curve for c, s in pair.items() if s.runs})
        axis.grid(axis="x", alpha=0.25, linewidth=0.5)
        axis.set_xlim(-0.02, 1.02)
        axis.set_xlabel("lowest fraction", fontsize=8)
        axis.tick_params(labelsize=8, left=False)
        axis.spines[["top", "right", "left"]].set_visible(False)
    names = [f"{ACTIVATIONS[a]}, {style.label(o)}" for a, o in lines]
    axes[0].set_yticks(heights, names)
    axes[0].set_ylim(heights[-1] - 0.6, heights[0] + 0.6)  # room for a line that is not run
    _legend(picture)
    return picture


_LOOKS = {"unit": ("#0072B2", "#0072B2"), "free": ("#D55E00", "none")}


def _draw_pair(axis, height: float, curves: Mapping[str, Curve]) -> None:
    """The two lowest fractions of a line; an arrowhead where it is a bound."""
    values = {c: lowest(curve)[0] for c, curve in curves.items()}
    known = [v for v in values.values() if np.isfinite(v)]
    axis.plot(known, [height] * len(known), color="#999999", linewidth=1)
    for name, value in values.items():
        colour, face = _LOOKS[name]
        marker = "<" if _is_bound(curves[name]) else "o"
        axis.plot(
            [value], [height], marker, color=colour, markerfacecolor=face, markersize=6,
            clip_on=False,
        )  # fmt: skip
    remarks = [f"{ROWS[c]}: not run" for c in ROWS if c not in values]
    remarks += [f"{ROWS[c]}: none alive" for c, v in values.items() if np.isnan(v)]
    text = "; ".join(remarks) if values else "not run"
    if remarks:
        right = max(known, default=0) <= 0.5  # of the marks, where there is more room
        x = max(known, default=0) + 0.04 if right else min(known) - 0.04
        align = {"ha": "left" if right else "right", "va": "center"}
        axis.text(x, height, text, fontsize=6, color="#555555", **align)


def _legend(picture) -> None:
    from matplotlib.lines import Line2D

    def mark(colour: str, face: str, marker: str, label: str):
        return Line2D(
            [], [], color=colour, markerfacecolor=face, marker=marker, linestyle="", label=label
        )

    handles = [mark(*_LOOKS[c], "o", name) for c, name in ROWS.items()]
    handles.append(mark("#555555", "none", "<", "a bound: lowest at σ² = 1"))
    picture.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=8)


def caption(runs: Mapping, plan: Plan) -> str:
    """What the picture shows."""
    scale = plan.scale
    return (
        scale.caveat
        + f"Lowest activation fraction over σ² among models with at most {DEAD:.0%} of the units "
        f"dead on {scale.samples} samples, with unit and with unconstrained rows; means over "
        f"{plan.seeds} seed{'s' * (plan.seeds > 1)}. m = {scale.hidden}, N = {scale.samples}, "
        f"{scale.epochs} epochs. An arrowhead: the lowest is at σ² = 1, the largest strength run, "
        "so that a larger one may give less."
    )


def explain(runs: Mapping, verdict: Verdict) -> list[str]:
    """The fractions at σ² = 0 and 1 with either kind of rows."""
    parts = []
    for sweep in sweeps(runs):
        name = f"{style.label(sweep.spec.objective)} with {ACTIVATIONS[sweep.spec.activation]}"
        if sweep.complete and verdict.statement.endswith(f", {name}"):
            curve = sweep.curve
            end = "no model that is sound"
            if not curve.flagged[:, -1].all():
                dead = curve.dead[~curve.flagged[:, -1], -1].mean()
                end = f"{curve.mean[-1]:.3f}, where {dead:.1%} of the units are dead"
            parts.append(f"{ROWS[curve.constraint]} {curve.mean[0]:.3f} → {end}")
    return [f"Fractions at σ² = 0 and 1: {'; '.join(parts)}."] if parts else []


FIGURE = Figure(
    about=__doc__,
    place="Section 4, unit against unconstrained rows",
    says=(
        "Constraining the rows to a fixed length leads to better sparsity and to the "
        "behaviour that the analysis predicts (section 4, point b; also section 3.1, where "
        "DAE's fraction falls lower with rows of length one before units die)."
    ),
    claims=CLAIMS,
    runs=runs,
    draw=draw,
    caption=caption,
    verdicts=verdicts,
    explain=explain,
    partial=True,
    partly=True,
    group=GROUP,
)
