"""Claims decided from stored runs whose answers are known by construction."""

import json
import shutil

import numpy as np
import pytest
import report_pages
import scipy.stats
import stored_runs
import tiny
from commands import command, has_numbers, numbers

from experiments.evidence import tables
from experiments.evidence.explanations import explanations
from experiments.pages import statements
from experiments.pipeline.figure import Verdict
from experiments.pipeline.registry import get_figure
from experiments.pipeline.store import RunStore
from experiments.pipeline.verdicts import decided

pytestmark = pytest.mark.usefixtures("tiny_scales")


@pytest.mark.long
def test_every_claim_is_decided_as_constructed(arpit_runs):
    rows = tables.collect_verdicts(arpit_runs)
    verdicts = {}
    for scale, figure, v in rows:
        own = ("arpit-means", "arpit-lengths", "arpit-distributed", "arpit-negative", "row-growth")
        if scale == "reduced" and v.claim.startswith("A") and figure not in own:
            verdicts.setdefault(v.claim, set()).add(v.verdict)
    assert verdicts == {
        "A1": {"holds", "by construction"},
        "A2": {"holds", "fails", "not run"},  # DAE stays high; all fall; no common rate
        "A3": {"holds"},
        "A3, rates and batches": {"holds"},
        "A4": {"holds", "by construction"},
        "A5": {"fails", "not run"},
        "A6": {"holds", "by construction"},
        "A7": {"holds"},
        "A8": {"holds"},
        "A9": {"fails"},  # the antithetic curve falls like the others
        "A10": {"fails"},
        "A11": {"holds"},
        "A12": {"holds"},
        "A13": {"holds", "by construction"},
        "A15": {"holds", "by construction"},
    }
    assert {v.verdict for scale, _, v in rows if scale == "paper"} == {"not run"}
    claims = [numbers(v.claim[1:])[0] for _, _, v in rows if v.claim.startswith("A")]
    assert claims == sorted(claims)


def test_a_missing_run_leaves_its_data_set_undecided_and_the_other_decided(arpit_runs):
    figure, runs = tiny.runs_of(arpit_runs, "arpit-fig4")
    missing = next(spec for spec in runs if spec.dataset == "photos")
    verdicts = decided(figure, runs | {missing: None})
    by_dataset = {d: [v for v in verdicts if v.dataset == d] for d in ("digits", "photos")}
    assert [v.verdict for v in by_dataset["digits"]] == ["by construction"] + ["holds"] * 3
    (photos,) = by_dataset["photos"]
    assert photos.verdict == "not run"
    assert numbers(photos.numbers) == [14, 15]  # stored, of all


def test_a_diverged_strength_too_many_makes_a_claim_inconclusive(arpit_runs):
    figure, runs = tiny.runs_of(arpit_runs, "arpit-fig3")
    spec = next(s for s in runs if s.objective == "edae" and s.dataset == "digits")
    for count, verdict in ((2, "holds"), (3, "inconclusive")):
        runs[spec]["flagged_epoch"] = ("strength", np.where(np.arange(11) < count, 3, -1))
        (digits, photos) = decided(figure, runs)
        assert (digits.verdict, photos.verdict) == (verdict, "holds")
    assert has_numbers(digits.numbers, 2)  # the limit


def decided_a8(out, change=lambda spec, run: None):
    """Runs of `arpit-bias` and what else is stored, changed, and A8's verdict on ReLU digits."""
    figure, runs = tiny.gathered_runs(out, "arpit-bias", "digits")
    for spec, run in runs.items():
        if run is not None:
            change(spec, run)
    (relu,) = (v for v in decided(figure, runs) if v.claim == "A8" and v.statement.endswith("relu"))
    return runs, relu


def spearman_of(runs):
    """SciPy's rank correlation of mean pre-activation and fraction, over all models of runs."""
    x, y = (
        np.concatenate([run[name].values for run in runs])
        for name in ("preactivation_mean", "activation_fraction")
    )
    return scipy.stats.spearmanr(x, y).statistic


FIGURE_1 = ["AE", "DAE", "CAE", "mDAE", "SAE"]
OTHERS = ["eDAE", "DAE, ±ε pairs", "DAE-2", "DAE-2 with kink", "CAE+H"]


def objectives_named(text: str) -> list[str]:
    """The objectives that a verdict's numbers list as those of its models."""
    (part,) = (p for p in text.split("; models of ", 1)[1:])
    return [name for name in part.split("; ") if name in FIGURE_1 + OTHERS]


def test_a8_is_decided_over_all_unit_row_models_whose_objectives_are_stored_whole(
    arpit_runs, tmp_path
):
    def reverse_edae(spec, run):
        if spec.objective == "edae":
            run["preactivation_mean"] = -run["preactivation_mean"]

    runs, relu = decided_a8(arpit_runs, reverse_edae)
    expected = spearman_of([r for s, r in runs.items() if s.activation == "relu"])
    assert expected < 0.9
    assert numbers(relu.numbers)[0] == round(expected, 3)
    assert objectives_named(relu.numbers)[:10] == FIGURE_1 + OTHERS
    assert numbers(relu.numbers).count(1.0) >= 3  # over Figure 1's objectives alone, [1, 1]
    shutil.copytree(arpit_runs / "runs", tmp_path / "runs")
    store = RunStore(tmp_path, "reduced")

    def remove(objective, seed):
        for spec in runs:
            if (spec.activation, spec.objective, spec.seed) == ("relu", objective, seed):
                store.path(spec).unlink()

    def named():
        return objectives_named(decided_a8(tmp_path)[1].numbers.split("; biases")[0])

    remove("edae", 1)
    assert named() == FIGURE_1 + OTHERS[1:]
    other = next(s for s in runs if s.key.startswith("digits-dae-antithetic-relu-unit-s2"))
    parents = json.loads(runs[other].attrs["provenance"]) | {"data_sha256": "of other data"}
    store.save(other, runs[other].assign_attrs(provenance=json.dumps(parents)))
    assert named() == FIGURE_1 + OTHERS[2:]
    for objective in ("dae-antithetic", "dae2", "dae2-kink", "cae-h"):
        remove(objective, 0)
    assert named() == FIGURE_1
    remove("sae", 2)
    verdict = decided_a8(tmp_path)[1]
    assert (verdict.verdict, numbers(verdict.numbers)) == ("not run", [14, 15])


def biased(out, objective, diverged):
    """A8 on ReLU digits with models of one objective diverged, all seeds alike."""
    figure, runs = tiny.runs_of(out, "arpit-bias", "digits")
    for spec in runs:
        if (spec.objective, spec.activation) == (objective, "relu"):
            runs[spec]["flagged_epoch"] = ("strength", np.where(diverged, 5, -1))
    return next(v for v in figure.verdicts(runs, "digits") if v.statement.endswith("relu"))


def test_diverged_models_leave_a8_open_and_their_moved_biases_out(arpit_runs):
    few, many = np.arange(11) >= 9, np.arange(11) >= 8
    whole = biased(arpit_runs, "sae", np.zeros(11, bool)).numbers
    moved = biased(arpit_runs, "sae", few).numbers
    # At σ² = 1: AE's fraction, then each objective's before and after its biases are moved.
    dae, cae = (0.198, 0.298), (0.798, 0.898)
    assert has_numbers(moved, 1, 0.798, *dae, *cae)
    assert whole.split("; ")[-1].startswith("SAE")
    assert not moved.split("; ")[-1].startswith("SAE")
    open_ = biased(arpit_runs, "sae", many)
    assert open_.verdict == "inconclusive"
    alone = biased(arpit_runs, "ae", np.array([True])).numbers
    assert not has_numbers(alone.rsplit(":", 1)[1], 0.198)  # nothing to move the biases to


def test_diverged_models_leave_theorem_1s_condition_open(arpit_runs):
    figure, runs = tiny.runs_of(arpit_runs, "arpit-bias", "digits")
    assert {v.verdict for v in figure.verdicts(runs, "digits") if v.claim == "A10"} == {"fails"}
    diverged = np.where(np.arange(11) >= 8, 5, -1)
    _, more = tiny.gathered_runs(arpit_runs, "arpit-bias", "digits")
    for spec, run in more.items():
        if (spec.objective, spec.activation) == ("edae", "relu"):  # no run of A10's
            run["flagged_epoch"] = ("strength", diverged)
    by_claim = {v.claim: v for v in figure.verdicts(more, "digits") if v.statement.endswith("relu")}
    assert (by_claim["A8"].verdict, by_claim["A10"].verdict) == ("inconclusive", "fails")
    for spec, run in runs.items():
        if (spec.objective, spec.activation) == ("sae", "relu"):
            run["flagged_epoch"] = ("strength", diverged)
    (relu, *others) = (v for v in figure.verdicts(runs, "digits") if v.claim == "A10")
    assert relu.verdict == "inconclusive"
    assert {v.verdict for v in others} == {"fails"}


def test_a_curve_is_given_by_its_ends_and_a_collapse_between_them(arpit_runs):
    figure, runs = tiny.runs_of(arpit_runs, "arpit-why", "digits")
    for spec, run in runs.items():
        if spec.objective == "dae2-kink":
            fraction = np.full(11, 0.7)
            fraction[5] = 0.02
            run["activation_fraction"] = ("strength", fraction)
            run["dead_fraction"] = ("strength", np.where(fraction < 0.1, 0.9, 0.0))
            if spec.seed == 1:  # diverged, and so no part of the numbers
                run["flagged_epoch"] = ("strength", np.where(fraction < 0.1, 3, -1))
                run["dead_fraction"] = run["dead_fraction"] / 0.9
    (verdict,) = figure.verdicts(runs, "digits")
    dae, kink = (
        next(p for p in verdict.numbers.split("; ") if p.startswith(f"{name} "))
        for name in ("DAE", "DAE-2 with kink")
    )
    assert "decreasing" in dae
    assert numbers(dae) == [0.798, 0.198]
    assert "irregular" in kink
    assert has_numbers(kink, 0.798, 0.7, 0.02, 0.25, 90)  # ends, lowest, its σ², dead units in %


def test_the_lowest_fractions_without_bias_come_with_the_share_on_the_tangent(arpit_runs):
    figure, runs = tiny.runs_of(arpit_runs, "arpit-nobias", "digits")
    for spec, run in runs.items():
        if (spec.objective, spec.constraint) == ("sae", "unit"):
            run["loss_tangent_share"][-1, -1] = 0.62
            if spec.seed == 1:  # diverged, and so no part of the numbers
                run["loss_tangent_share"][-1, -1] = np.nan
                run["flagged_epoch"][-1] = 3
    _, sae = (v.numbers for v in figure.verdicts(runs, "digits"))
    assert numbers(sae)[-3:] == [0.198, 1, 62]  # lowest fraction, its σ², units in %


@pytest.mark.long
def test_further_seeds_enter_the_verdicts_once_a_whole_figure_has_them(
    arpit_runs, monkeypatch, capsys, tmp_path
):
    out = tmp_path / "figures"
    shutil.copytree(arpit_runs / "runs", out / "runs")
    figure = get_figure("arpit-fig3")
    *few, last = figure.runs(tiny.plan(seeds=5))
    store = stored_runs.store_all(out, "reduced", few)

    def seeds_of(name, **options):
        rows = tables.collect_verdicts(out, **options)
        return {numbers(v.numbers)[-1] for s, n, v in rows if (s, n) == ("reduced", name)}

    assert seeds_of("arpit-fig3") == {4}
    store.save(last, stored_runs.fake(last))
    assert seeds_of("arpit-fig3") == {5}
    assert seeds_of("arpit-fig1") == {3}
    assert seeds_of("arpit-fig3", seeds=2) == {2}
    _, printed, _ = command(monkeypatch, capsys, "status", "--out", out)
    (row,) = (line for line in printed.splitlines() if line.startswith("arpit-fig3"))
    assert "20/20 to draw" in row
    assert "--seeds 5" in row
    arguments = ("arpit-fig3", "--scale", "reduced", "--out", out)
    for options in ((), ("--seeds", "5")):
        assert command(monkeypatch, capsys, *arguments, *options)[0] == 0
        assert command(monkeypatch, capsys, "report", "--out", out)[0] == 0
        pages = report_pages.text(out)
        assert 'href="report/arpit.html#arpit-fig3"' in pages
        assert ("--seeds 5" in pages) == bool(options)
    paper = stored_runs.store_all(out, "paper", figure.runs(tiny.plan("paper")))
    runs = {spec: paper.load(spec) for spec in figure.runs(tiny.plan("paper"))}
    failed = decided(figure, runs)[0]._replace(verdict="fails")
    (sentence,) = explanations(out, figure, tiny.plan("paper"), runs, failed)
    assert "reduced" in sentence
    assert numbers(sentence)[-1] == 5


def test_a_bar_in_a_number_stays_inside_its_column():
    verdict = Verdict("L1", "", "one", "holds", "largest |x| 0.1")
    page = statements.page([("quick", "lecture-kl", verdict)])
    assert "| largest \\|x\\| 0.1 |\n" in page


def test_a_claim_as_a_whole_counts_its_statements_of_each_kind():
    def row(claim, dataset, verdict, scale="reduced", figure="arpit-fig1", rests_on=""):
        verdict = Verdict(claim, dataset, "a statement", verdict, "a number", rests_on=rests_on)
        return scale, figure, verdict

    rows = [
        *(row("A1", "mnist", verdict) for verdict in ("holds", "inconclusive", "fails", "fails")),
        row("A1", "mnist", "by construction"),
        row("A1", "cifar10", "holds", rests_on="unseen seeds"),
        row("A1", "cifar10", "holds", rests_on="unseen seeds"),
        row("A1", "mnist", "not run", "paper"),
        row("A12", "mnist", "inconclusive"),
        row("A12", "mnist", "holds"),
        row("A12", "mnist", "not run"),
        row("L1", "", "holds", "quick", "lecture-kl"),
    ]
    head, a1, a12, l1 = tables.overview(rows)
    assert head[3:] == ("paper", "reduced", "quick")
    assert [line[0] for line in (a1, a12, l1)] == ["A1", "A12", "L1"]
    assert a1[1] == get_figure("arpit-fig1").claims["A1"]
    assert [line[2] for line in (a1, l1)] == ["revised", "by construction"]
    assert "not run" in a1[3]
    mnist, cifar = a1[4].split("; ")
    assert numbers(mnist) == [1, 2, 1, 1, 5]  # holds, fails, inconclusive, forced, of all
    assert "holds" in cifar
    assert "unseen seeds" in cifar
    assert not numbers(cifar.replace("CIFAR-10", ""))
    assert a1[5] == a12[3] == a12[5] == ""
    assert numbers(a12[4]) == [1, 1, 1, 3]  # holds, inconclusive, not run, of all
    assert l1[3:] == ("", "", "holds")
