"""Verdicts of docs/protocol.md, decided a second time, from the stored runs alone.

`decide(folder)` maps (claim, scale, data set, subject) to a decision, where the subject is
(objective, activation, constraint, variant, what is asked) and the decision carries verdict,
number, interval and the seeds that it rests on.
"""

from pathlib import Path

import oracle_arpit as arpit
import oracle_arpit_terms as terms
import oracle_filters as filters
import oracle_lecture as lecture
import oracle_means as means
import oracle_regimes as regimes
import oracle_studies as studies
from oracle_runs import Runs
from oracle_stats import Decision

SCALES = ("reduced", "paper")


def decide(
    folder: Path, seen: frozenset[str] = frozenset(), seeds: dict | None = None
) -> dict[tuple, Decision]:
    """All decisions on the runs of one folder, whose name is the scale.

    `seen` holds the keys, "scale/file without suffix", of the runs that were stored when the
    criteria were committed; `seeds` replaces the sets of seeds that may decide, by (scale,
    status), the first complete one being taken.
    """
    runs = Runs(folder, seen, seeds)
    rows = [studies.gsae(runs), studies.lecture(runs), studies.saturating(runs)]
    rows += [lecture.lecture(runs), regimes.regimes(runs), filters.rows_of_filters(runs)]
    if runs.scale in SCALES:
        rows.append(arpit.a2_a5(runs))
        for dataset in arpit.DATASETS:
            rows += [f(runs, dataset) for f in (arpit.a1, arpit.a3, arpit.a4, arpit.a6)]
            rows += [f(runs, dataset) for f in (arpit.a7, arpit.a9)]
            rows += [f(runs, dataset) for f in (terms.a11, terms.a12, terms.a13)]
            rows += [f(runs, dataset) for f in (means.a14, means.a20, means.a20_maxout, means.a21)]
            for activation in means.ACTIVATIONS:
                rows += [f(runs, dataset, activation) for f in (arpit.a8, terms.a10)]
                rows += [f(runs, dataset, activation) for f in (means.a16, means.a17, means.a18)]
            for activation in ("relu", "sigmoid"):  # of the paper's Figures 1 and 4
                rows += [means.a19(runs, dataset, activation, "unit")]
    return {key: decision for part in rows for key, decision in part}


def seen_keys(path: Path) -> frozenset[str]:
    """The keys of the runs that were stored when the criteria were committed, one a line."""
    return frozenset(path.read_text(encoding="utf-8").split())
