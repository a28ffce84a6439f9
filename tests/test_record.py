"""Status, verdicts and report from stored runs whose answers are known by construction."""

import json
import re
import shutil
import sys
import urllib.parse
from html.parser import HTMLParser
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
import stored_runs

from aesparse.errors import InputError
from aesparse.losses.penalties import get_penalty
from aesparse.models.activations import get_activation
from aesparse.models.one_layer import Params, forward
from experiments import pages
from experiments.__main__ import main
from experiments.evidence import tables
from experiments.evidence.explanations import explanations
from experiments.figures.arpit.arpit_rescale import feedback
from experiments.pipeline import protocol
from experiments.pipeline.figure import Verdict
from experiments.pipeline.make import read_record
from experiments.pipeline.plan import Plan
from experiments.pipeline.protocol import SCALES
from experiments.pipeline.registry import figure_names, gathered, get_figure
from experiments.pipeline.store import RunStore
from experiments.pipeline.verdicts import decided

TINY = SCALES["quick"]._replace(hidden=6, samples=100, epochs=6, evidence=True, seeds=3)
ARPIT = [n for n in figure_names() if n.startswith("arpit") and "reduced" in get_figure(n).scales]


def short(monkeypatch):
    """Both deciding scales with the embedded data."""
    monkeypatch.setitem(protocol.SCALES, "reduced", TINY)
    monkeypatch.setitem(protocol.SCALES, "paper", TINY._replace(seeds=1))


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    short(monkeypatch)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """All runs of all figures at the tiny reduced scale."""
    out = tmp_path_factory.mktemp("record")
    with pytest.MonkeyPatch.context() as monkeypatch:
        short(monkeypatch)
        plan = Plan.checked("reduced", None, None)
        specs = [spec for name in ARPIT for spec in get_figure(name).runs(plan)]
        stored_runs.store_all(out, "reduced", specs)
    return out


def run(monkeypatch, *arguments):
    """The exit status of the command line, in this process, which is left as it is."""
    monkeypatch.setattr(sys, "argv", ["experiments", *map(str, arguments)])
    monkeypatch.setattr("experiments.__main__.prepare", lambda: None)
    with pytest.raises(SystemExit) as stopped:
        main()
    return stopped.value.code


def command(monkeypatch, capsys, *arguments):
    """Exit status, standard output and standard error."""
    return run(monkeypatch, *arguments), *capsys.readouterr()


def test_every_claim_is_decided_as_constructed(stored, monkeypatch, capsys):
    status, printed, _ = command(monkeypatch, capsys, "verdicts", "--out", stored)
    assert status == 0
    reduced = [line for line in printed.splitlines() if re.match(r"A\d.* reduced, ", line)]
    verdicts = {}
    for line in reduced:
        claim, rest = line.split("  ", 1)
        verdicts.setdefault(claim, set()).add(rest.split(": ")[2])
    assert verdicts == {
        "A1": {"holds"},
        "A1, rescaled": {"holds"},
        "A2": {"holds", "fails"},  # DAE reaches 0.2 with free rows too; the classes are alike
        "A3": {"holds"},
        "A3, rates and batches": {"holds"},
        "A4": {"holds"},
        "A5": {"fails"},
        "A6": {"holds"},
        "A7": {"holds"},
        "A8": {"holds"},
        "A9": {"fails"},  # the antithetic curve falls like the others
        "A10": {"fails"},
        "A11": {"holds"},
        "A12": {"holds"},
        "A13": {"holds"},
    }
    paper = [line for line in printed.splitlines() if " paper, " in line]
    assert paper
    assert all(": not run: " in line for line in paper)
    claims = [int(found.group(1)) for found in re.finditer(r"(?m)^A(\d+)", printed)]
    assert claims == sorted(claims)


def test_a_missing_run_leaves_its_data_set_undecided_and_the_other_decided(stored):
    figure = get_figure("arpit-fig4")
    store = RunStore(stored, "reduced")
    found = {spec: store.load(spec) for spec in figure.runs(Plan.checked("reduced", None, None))}
    lost = next(spec for spec in found if spec.dataset == "photos")
    verdicts = decided(figure, found | {lost: None})
    by_dataset = {d: [v for v in verdicts if v.dataset == d] for d in ("digits", "photos")}
    assert [v.verdict for v in by_dataset["digits"]] == ["holds"] * 4
    assert [(v.verdict, v.numbers) for v in by_dataset["photos"]] == [
        ("not run", "14 of 15 runs stored")
    ]


def test_a_flagged_strength_too_many_makes_a_claim_inconclusive(stored):
    figure = get_figure("arpit-fig3")
    store = RunStore(stored, "reduced")
    found = {spec: store.load(spec) for spec in figure.runs(Plan.checked("reduced", None, None))}
    spec = next(s for s in found if s.objective == "edae" and s.dataset == "digits")
    run = found[spec].copy()
    run["flagged_epoch"] = ("strength", np.array([3, 3, 3] + [-1] * 8))
    (digits, photos) = decided(figure, found | {spec: run})
    assert digits.verdict == "inconclusive"
    assert "more than 2 strengths" in digits.numbers
    assert photos.verdict == "holds"


def test_a_claim_that_fails_is_explained_by_what_else_is_stored(
    stored, monkeypatch, capsys, tmp_path
):
    out = tmp_path / "figures"
    shutil.copytree(stored / "runs", out / "runs")
    figure, plan = get_figure("arpit-fig4"), Plan.checked("reduced", None, None)
    store = RunStore(out, "reduced")
    for spec in figure.runs(plan):
        if spec.objective == "cae" and spec.dataset == "photos":
            store.save(spec, stored_runs.fake(spec, np.full(11, 0.8)))
    for seeds in (1, 2, 3):
        faster = figure.runs(plan._replace(seeds=seeds, learning_rate=0.005))
        stored_runs.store_all(out, "reduced", [s for s in faster if s.dataset == "photos"])
        _, printed, _ = command(monkeypatch, capsys, "verdicts", "--out", out)
        told = "\n".join(line for line in printed.splitlines() if "At learning rate" in line)
        assert (f"{seeds} seeds" if seeds > 1 else "one seed") in told
    told = printed.splitlines()
    failed = next(i for i, line in enumerate(told) if line.startswith("A4") and ": fails: " in line)
    assert "CAE decreasing" in told[failed]
    # The stand-in runs end at 0.8, AE's at 0.798 on average, both from 0.5 in equal steps.
    fall = "lies below that at 0 by -0.000 after 1, -0.001 after 3, -0.002 after 6 epochs"
    assert fall in told[failed + 1]
    assert told[failed + 2].startswith("    At learning rate 0.005: holds, Spearman -1.000")
    assert not told[failed + 3].startswith("    ")  # no other rate, no other scale is stored
    assert "a ratio above 1: DAE 0.25, CAE 0.25, mDAE 0.25, SAE 0.25." in printed
    assert "antithetic noise differ by at most 0.000" in printed
    assert (
        "At σ² = 0.04, where DAE has fallen from 0.798 to 0.678, the second order alone (DAE-2) "
        "gives 0.798, and 0.678 with the kink term."
    ) in printed


def test_a_claim_is_explained_while_the_other_data_sets_runs_are_missing(stored):
    figure, plan = get_figure("arpit-why"), Plan.checked("reduced", None, None)
    store = RunStore(stored, "reduced")
    found = {spec: store.load(spec) for spec in figure.runs(plan)}
    lost = next(s for s in found if (s.dataset, s.objective) == ("digits", "dae2"))
    found[lost] = None
    (failed,) = (v for v in decided(figure, found) if v.verdict == "fails")
    assert failed.dataset == "photos"
    assert "differ by at most" in explanations(stored, figure, plan, found, failed)[0]


@pytest.mark.parametrize("dataset", ["digits", "both"])
def test_a_claim_is_explained_by_a_scale_where_one_data_set_is_stored(stored, tmp_path, dataset):
    figure, plan = get_figure("arpit-fig2"), Plan.checked("reduced", None, None)
    specs = figure.runs(Plan.checked("paper", None, None))
    stored_runs.store_all(tmp_path, "paper", [s for s in specs if s.dataset == "digits"])
    store = RunStore(stored, "reduced")
    found = {spec: store.load(spec) for spec in figure.runs(plan)}
    (failed, *_) = (
        v for v in decided(figure, found) if (v.verdict, v.dataset) == ("fails", dataset)
    )
    told = "".join(explanations(tmp_path, figure, plan, found, failed))
    assert ("At the scale paper: fails, " in told) == (dataset == "digits")


def test_a8_is_said_of_all_unit_row_cells_whose_objectives_are_stored_whole(stored, tmp_path):
    figure, plan = get_figure("arpit-bias"), Plan.checked("reduced", None, None)

    def told(out):
        found = gathered(figure, plan, RunStore(out, "reduced"))
        for spec, run in found.items():
            if run is not None and spec.objective == "edae":
                run["preactivation_mean"] = -run["preactivation_mean"]
        (relu,) = (
            v
            for v in decided(figure, found)
            if (v.claim, v.dataset) == ("A8", "digits") and v.statement.endswith(", relu")
        )
        return found, relu

    found, relu = told(stored)
    here = [r for s, r in found.items() if (s.dataset, s.activation) == ("digits", "relu")]
    x, y = (
        np.concatenate([run[name].values for run in here])
        for name in ("preactivation_mean", "activation_fraction")
    )
    expected = scipy.stats.spearmanr(x, y).statistic
    assert expected < 0.9
    assert relu.numbers.startswith(f"rank correlation {expected:.3f} [")
    named = (
        "models of AE; DAE; CAE; mDAE; SAE; eDAE; DAE, ±ε pairs; DAE-2; DAE-2 with kink; CAE+H; "
    )
    alone = "over Figure 1's objectives alone rank correlation 1.000 [1.000, 1.000]; biases"
    assert named + alone in relu.numbers
    shutil.copytree(stored / "runs", tmp_path / "runs")

    def lose(objective, seed):
        kept = RunStore(tmp_path, "reduced")
        for spec in found:
            here = (spec.dataset, spec.activation, spec.objective, spec.seed)
            if here == ("digits", "relu", objective, seed):
                kept.path(spec).unlink()

    lose("edae", 1)
    assert "mDAE; SAE; DAE, ±ε pairs; DAE-2;" in told(tmp_path)[1].numbers
    other = next(s for s in found if s.key.startswith("digits-dae-antithetic-relu-unit-s2"))
    parents = json.loads(found[other].attrs["provenance"]) | {"data_sha256": "of other data"}
    run = found[other].assign_attrs(provenance=json.dumps(parents))
    RunStore(tmp_path, "reduced").save(other, run)
    assert "mDAE; SAE; DAE-2; DAE-2 with kink;" in told(tmp_path)[1].numbers
    for objective in ("dae-antithetic", "dae2", "dae2-kink", "cae-h"):
        lose(objective, 0)
    assert "models of AE; DAE; CAE; mDAE; SAE; biases" in told(tmp_path)[1].numbers
    lose("sae", 2)
    assert told(tmp_path)[1][3:5] == ("not run", "14 of 15 runs stored")


@pytest.mark.parametrize("seeds", [3, 1])
def test_a8_is_told_without_the_objectives_whose_fractions_hardly_differ(stored, rng, seeds):
    figure, found = of_digits(stored, "arpit-bias")
    here = {s: r for s, r in found.items() if s.activation == "relu" and s.seed < seeds}
    for spec, run in here.items():
        if spec.objective in ("cae", "mdae"):  # 0.8 less a seed's offset: only their order differs
            run["preactivation_mean"] = ("strength", rng.permutation(11) - 5.0)
        if spec.objective == "sae":
            run["preactivation_mean"][3] = 0.9
    (relu,) = (v for v in figure.verdicts(here, "digits") if v.claim == "A8")
    assert relu.verdict == "fails"
    kept = [run for spec, run in here.items() if spec.objective in ("ae", "dae", "sae")]
    x, y = (
        np.concatenate([run[n].values for run in kept])
        for n in ("preactivation_mean", "activation_fraction")
    )
    expected = scipy.stats.spearmanr(x, y).statistic
    assert 0.9 < expected < 0.999
    _, without, *by_seed = figure.explain(here, relu)
    span = r" \[0\.\d+, 0\.\d+\]" if seeds > 1 else ""
    told = f"Without CAE; mDAE, whose curves are flat: rank correlation {expected:.3f}"
    assert re.fullmatch(re.escape(told) + span + r"\.", without)
    assert len(by_seed) == (seeds > 1)


@pytest.mark.parametrize("lost", [(), ("sae",)])
def test_a8_is_told_whole_where_no_curve_is_known_to_be_flat(stored, lost):
    figure, found = of_digits(stored, "arpit-bias")
    here = {s: r for s, r in found.items() if s.activation == "relu"}
    (relu,) = (v for v in figure.verdicts(here, "digits") if v.claim == "A8")
    for spec, run in here.items():
        if spec.objective in ("cae", "mdae"):
            run["activation_fraction"] = ("strength", np.linspace(0.8, 0.7, 11))
        if spec.objective in lost:  # nothing is left but AE's cell, which is no curve
            run["flagged_epoch"] = ("strength", np.full(11, 5))
    assert not any("curves are flat" in told for told in figure.explain(here, relu))


def test_a_flagged_cell_is_no_lowest_fraction(stored):
    fraction = np.linspace(0.6, 0.7, 11)
    fraction[0] = 0.0
    figure, plan = get_figure("arpit-rates"), Plan.checked("reduced", None, None)
    store = RunStore(stored, "reduced")
    found = {s: store.load(s).copy() for s in figure.runs(plan) if s.dataset == "photos"}
    chosen = [s for s in found if (s.objective, s.learning_rate) == ("edae", 0.005)]
    assert len(chosen) == 3
    for spec in chosen:
        found[spec]["activation_fraction"] = (("strength",), fraction + 0.01 * (spec.seed - 1))
        found[spec]["flagged_epoch"] = (("strength",), np.array([1] + [-1] * 10))
        found[spec]["dead_fraction"] = (("strength",), np.array([0.99, 0.95, 0.91] + [0.9] * 8))
    (failed,) = (v for v in figure.verdicts(found, "photos") if v.verdict == "fails")
    (told,) = figure.explain(found, failed)
    assert "at σ² = 0.01: 0.610, and 0.700 at σ² = 1." in told
    assert "90% in 6 of 30 models. Diverged or collapsed: 3 models, at σ² = 0.001." in told
    assert "ends at 0.798 with at most 0.0% of its units dead." in told
    lost = "collapsed with {} of 3 seeds."
    plain = found[chosen[2].baseline]
    plain["flagged_epoch"] = (("strength",), np.array([1]))
    plain["dead_fraction"] = (("strength",), np.array([0.99]))
    (told,) = figure.explain(found, failed)  # the others end at 0.8 and 0.798
    assert told.endswith("of its units dead. It diverged or " + lost.format(1))
    for spec in chosen:
        found[spec.baseline]["flagged_epoch"] = (("strength",), np.array([1]))
    (told,) = figure.explain(found, failed)
    assert told.endswith(lost.format(3))
    for spec in chosen:
        found[spec]["flagged_epoch"] = (("strength",), np.ones(11, int))
    assert len(figure.explain(found, failed)) == 1


def test_where_units_die_is_told_also_when_they_die_everywhere(stored):
    figure, plan = get_figure("arpit-fig1"), Plan.checked("reduced", None, None)
    store = RunStore(stored, "reduced")
    found = {s: store.load(s).copy() for s in figure.runs(plan) if s.dataset == "photos"}
    for run in found.values():
        run["dead_fraction"] = run["dead_fraction"] * 0 + 0.2
    (failed,) = (v for v in figure.verdicts(found, "photos") if "before units die" in v.statement)
    assert failed.verdict == "fails"
    assert "dead units there are none; models above" in figure.explain(found, failed)[0]
    for run in found.values():
        run["dead_fraction"] = run["dead_fraction"] * 0
    assert figure.explain(found, failed)[0].endswith("of 0.196; none above 0.05 has more.")
    for spec, run in found.items():  # from σ² = 0.25 on, most of all with seed 1
        dead = (0.0, 0.03, 0.02)[spec.seed] * (run["strength"].values > 0.2)
        run["dead_fraction"] = (("strength",), dead)
    (told,) = figure.explain(found, failed)
    assert "the sparsest has a fraction of 0.200" in told  # seed 0 at σ² = 1
    assert "per strength: σ² = 0.25: active 0.498, dead 3.0%, σ² = 0.36: active" in told


def test_a_bar_in_a_number_stays_inside_its_cell():
    verdict = Verdict("L1", "", "one", "holds", "largest |x| 0.1")
    page = pages.results_page([("quick", "lecture-kl", verdict)], Path("figures"), Path("docs"))
    assert "| largest \\|x\\| 0.1 |\n" in page


def test_a_claim_as_a_whole_tells_how_many_of_its_statements_do_not_hold():
    def said(claim, dataset, verdict, scale="reduced", figure="arpit-fig1"):
        return scale, figure, Verdict(claim, dataset, "a statement", verdict, "a number")

    found = [
        *(said("A1", "mnist", verdict) for verdict in ("holds", "inconclusive", "fails", "fails")),
        said("A1", "cifar10", "holds"),
        said("A1", "cifar10", "holds"),
        said("A1", "mnist", "not run", "paper"),
        said("A12", "mnist", "inconclusive"),
        said("A12", "mnist", "holds"),
        said("A12", "mnist", "not run"),
        said("L1", "", "holds", "quick", "lecture-kl"),
    ]
    head, a1, a12, l1 = tables.overview(found)
    assert head[2:] == ("paper", "reduced", "quick")
    assert a1[2:] == (
        "MNIST: not run",
        "MNIST: fails in 2, inconclusive in 1 of 4; CIFAR-10 patches: holds",
        "",
    )
    assert a12[1:] == (
        "DAE sparser than mDAE",
        "",
        "MNIST: inconclusive in 1, not run in 1 of 3",
        "",
    )
    assert l1 == ("L1", "KL is smallest at the target", "", "", "holds")


def test_an_unusual_plan_leaves_the_usual_picture_alone(stored, monkeypatch, capsys, tmp_path):
    out = tmp_path / "figures"
    shutil.copytree(stored / "runs", out / "runs")
    arguments = ("arpit-fig3", "--scale", "reduced", "--out", out)
    assert command(monkeypatch, capsys, *arguments)[0] == 0
    usual = (out / "reduced" / "arpit-fig3.json").read_bytes()
    assert command(monkeypatch, capsys, *arguments, "--seeds", "2")[0] == 0
    assert (out / "reduced" / "arpit-fig3.json").read_bytes() == usual
    other = json.loads((out / "reduced" / "arpit-fig3-seeds-2.json").read_text(encoding="utf-8"))
    assert other["command"].endswith("--seeds 2")
    assert command(monkeypatch, capsys, "report", "--out", out, "--seeds", "2")[0] == 0
    page = (out / "index.html").read_text(encoding="utf-8")
    assert f"<pre>{other['command']}</pre>" in page
    assert '<a href="#reduced-arpit-fig3">A3</a>' in page
    status, _, error = command(
        monkeypatch, capsys, "lecture-overfit", "--scale", "reduced", "--out", out, "--seeds", "2"
    )
    assert status == 2
    assert "--seeds 2 changes no run of 'lecture-overfit'; leave it out." in error


def of_digits(stored, name):
    """A figure with its stored runs on digits."""
    figure, store = get_figure(name), RunStore(stored, "reduced")
    specs = figure.runs(Plan.checked("reduced", None, None))
    return figure, {spec: store.load(spec) for spec in specs if spec.dataset == "digits"}


def gathered_digits(stored, name):
    """The same, with the runs that count where they are stored."""
    figure, plan = get_figure(name), Plan.checked("reduced", None, None)
    found = gathered(figure, plan, RunStore(stored, "reduced"))
    return {spec: run for spec, run in found.items() if spec.dataset == "digits"}


def biased(stored, objective, flagged):
    """A8 on ReLU digits with cells of one objective flagged, all seeds alike."""
    figure, found = of_digits(stored, "arpit-bias")
    for spec in found:
        if (spec.objective, spec.activation) == (objective, "relu"):
            found[spec]["flagged_epoch"] = ("strength", np.where(flagged, 5, -1))
    return next(v for v in figure.verdicts(found, "digits") if v.statement.endswith("relu"))


def test_flagged_cells_leave_the_bias_open_and_their_moved_biases_untold(stored):
    few, many = np.arange(11) >= 9, np.arange(11) >= 8
    told = biased(stored, "sae", few).numbers
    assert "not measured" not in told
    assert "E[a_j] is AE's, at σ² = 1 (AE 0.798): DAE 0.198 → 0.298; CAE 0.798 → 0.898; " in told
    assert "SAE" not in told.split("biases moved")[1]
    assert biased(stored, "sae", many).verdict == "inconclusive"
    assert "more than 2 strengths" in biased(stored, "sae", many).numbers
    assert biased(stored, "ae", np.array([True])).numbers.endswith("E[a_j] is AE's: not measured")


def test_a_penalty_that_lengthens_steps_is_told_beside_ae(stored):
    figure, found = of_digits(stored, "arpit-rescale")
    for spec, run in found.items():
        if spec.objective == "mdae":
            run["activation_fraction"] = ("strength", np.linspace(0.8, 0.2, 11))
            run["preactivation_mean"] = ("strength", np.linspace(0.3, -0.25, 11))
            run["flagged_epoch"][-1] = 3 if spec.seed == 1 else -1
        if spec.objective == "cae":
            run["flagged_epoch"][-1] = 3
    flat = next(v for v in figure.verdicts(found, "digits") if v.statement == "mDAE flat")
    assert flat.verdict == "fails"
    (told,) = figure.explain(found, flat)
    assert (
        "error: AE 0.80, 0.30 and 2.20; at σ² = 1 CAE diverged or collapsed, mDAE 0.20, -0.25 and "
        in told
    )
    # 0.8 of the units are active at the end, by the stand-ins' curves; digits' rate is 0.003.
    assert told.endswith(f"f at σ² = 1: {0.003 * 4 * 0.8 / 0.1**2:.2f} (mDAE).")
    others = figure.further(Plan.checked("reduced", None, None))
    rates = {
        s: stored_runs.fake(s, np.array([1 - 100 * s.learning_rate]))
        for s in others
        if s.dataset == "digits"
    }
    assert figure.explain(found | rates, flat)[1].endswith(
        "learning rate: 0.900 at 0.001, 0.700 at 0.003, 0.500 at 0.005."
    )
    sparse = flat._replace(statement="DAE sparse before units die")
    assert "dead units the sparsest has" in figure.explain(found, sparse)[0]


@pytest.mark.parametrize("objective", ["cae", "mdae"])
def test_a_radial_gradient_speeds_up_a_turn_as_told(objective):
    figure, plan = get_figure("arpit-rescale"), Plan.checked("reduced", None, None)
    spec = next(s for s in figure.runs(plan) if s.dataset == "digits")
    relu = get_activation("relu")  # which stays on

    @jax.jit
    @jax.grad
    def pull(model):
        return get_penalty(objective)(forward(model, jnp.array([[1.0, 0.0]]), relu), None)

    def angle(active):
        """By which a row turns in one step, pulled sideways all the time."""
        row, momentum = np.array([1.0, 0.0]), np.zeros(2)
        for _ in range(300):
            sideways = np.array([-row[1], row[0]])
            model = Params(jnp.asarray(row[None]), jnp.ones(1))
            before, gradient = row, active * np.asarray(pull(model).weight[0]) - 1e-3 * sideways
            momentum = spec.momentum * momentum + gradient
            row = row - spec.learning_rate * momentum
            row = row / np.linalg.norm(row)
        return before[0] * row[1] - before[1] * row[0]

    with jax.enable_x64(True):
        found = angle(0.5) / angle(0.0)
    faster = 1 / (1 - feedback(spec, objective, 0.5))
    np.testing.assert_allclose(found, faster, rtol=1e-3)


def test_flagged_cells_leave_theorem_1s_condition_open(stored):
    figure, found = of_digits(stored, "arpit-bias")
    assert {v.verdict for v in figure.verdicts(found, "digits") if v.claim == "A10"} == {"fails"}
    lost = np.where(np.arange(11) >= 8, 5, -1)
    more = {s: r.copy() for s, r in gathered_digits(stored, "arpit-bias").items()}
    for spec, run in more.items():
        if (spec.objective, spec.activation) == ("edae", "relu"):  # no run of A10's
            run["flagged_epoch"] = ("strength", lost)
    by_claim = {v.claim: v for v in figure.verdicts(more, "digits") if v.statement.endswith("relu")}
    assert (by_claim["A8"].verdict, by_claim["A10"].verdict) == ("inconclusive", "fails")
    for spec, run in found.items():
        if (spec.objective, spec.activation) == ("sae", "relu"):
            run["flagged_epoch"] = ("strength", lost)
    (relu, *others) = (v for v in figure.verdicts(found, "digits") if v.claim == "A10")
    assert relu.verdict == "inconclusive"
    assert {v.verdict for v in others} == {"fails"}


def test_a_collapse_on_the_way_is_told_beside_the_ends(stored):
    figure, found = of_digits(stored, "arpit-why")
    for spec, run in found.items():
        if spec.objective == "dae2-kink":
            fraction = np.full(11, 0.7)
            fraction[5] = 0.02
            run["activation_fraction"] = ("strength", fraction)
            run["dead_fraction"] = ("strength", np.where(fraction < 0.1, 0.9, 0.0))
            if spec.seed == 1:  # flagged, and so no part of what is told
                run["flagged_epoch"] = ("strength", np.where(fraction < 0.1, 3, -1))
                run["dead_fraction"] = run["dead_fraction"] / 0.9
    (told,) = (v.numbers for v in figure.verdicts(found, "digits"))
    assert told.endswith(
        "DAE-2 with kink irregular, 0.798 → 0.700 (lowest 0.020 at σ² = 0.25, where 90% of the "
        "units are dead)"
    )
    assert "DAE decreasing, 0.798 → 0.198; " in told


def test_the_lowest_fractions_without_bias_come_with_the_share_on_the_tangent(stored):
    figure, found = of_digits(stored, "arpit-nobias")
    for spec, run in found.items():
        if (spec.objective, spec.constraint) == ("sae", "unit"):
            run["loss_tangent_share"][-1, -1] = 0.62
            if spec.seed == 1:  # flagged, and so no part of what is told
                run["loss_tangent_share"][-1, -1] = np.nan
                run["flagged_epoch"][-1] = 3
    _, sae = (v.numbers for v in figure.verdicts(found, "digits"))
    assert sae.endswith("SAE lowest, 0.198, at σ² = 1 (62% of units on the tangent there)")


def test_the_bias_picture_has_a_mark_for_every_cell_that_is_kept(stored):
    figure, plan = get_figure("arpit-bias"), Plan.checked("reduced", None, None)
    found = gathered(figure, plan, RunStore(stored, "reduced"))
    (lost,) = (s for s in found if s.key.startswith("digits-sae-relu-unit-s1"))
    found[lost]["flagged_epoch"] = ("strength", np.where(np.arange(11) >= 9, 5, -1))
    picture = figure.draw(found, plan)
    marks = {line.get_label(): line for line in picture.axes[0].lines}
    kept = {
        name: int(np.isfinite(line.get_xydata()).all(axis=1).sum()) for name, line in marks.items()
    }
    also = ("eDAE", "DAE, ±ε pairs", "DAE-2", "DAE-2 with kink", "CAE+H")
    first = {"AE": 3, "DAE": 33, "CAE": 33, "mDAE": 33, "SAE": 31}
    assert kept == first | dict.fromkeys(also, 33)
    assert [text.get_text() for text in picture.legends[0].texts] == list(marks)
    run = next(run for s, run in found.items() if s.key.startswith("digits-dae-relu-unit-s0"))
    assert marks["DAE"].get_ydata()[:11].tolist() == run["activation_fraction"].values.tolist()


@pytest.mark.long
def test_further_seeds_enter_the_record_once_a_whole_figure_has_them(
    stored, monkeypatch, capsys, tmp_path
):
    out = tmp_path / "figures"
    shutil.copytree(stored / "runs", out / "runs")
    *few, last = get_figure("arpit-fig3").runs(Plan.checked("reduced", 5, None))
    store = stored_runs.store_all(out, "reduced", few)
    told = [v.numbers for _, name, v in tables.collect_verdicts(out) if name == "arpit-fig3"]
    assert all(numbers.endswith("; 4 seeds") for numbers in told[:2])
    store.save(last, stored_runs.fake(last))
    found = tables.collect_verdicts(out)
    seeds = {name: v.numbers.rsplit("; ", 1)[-1] for scale, name, v in found if scale == "reduced"}
    assert seeds["arpit-fig3"] == "5 seeds"
    assert seeds["arpit-fig1"] == "3 seeds"
    _, printed, _ = command(monkeypatch, capsys, "status", "--out", out)
    assert re.search(r"arpit-fig3 .* 20/20 to draw with --seeds 5", printed)
    arguments = ("arpit-fig3", "--scale", "reduced", "--out", out)
    assert command(monkeypatch, capsys, *arguments)[0] == 0
    assert command(monkeypatch, capsys, "report", "--out", out)[0] == 0
    assert '<a href="#reduced-arpit-fig3">A3</a>' in (out / "index.html").read_text(
        encoding="utf-8"
    )
    arguments = (*arguments, "--seeds", "5")
    assert command(monkeypatch, capsys, *arguments)[0] == 0
    assert command(monkeypatch, capsys, "report", "--out", out)[0] == 0
    assert "--scale reduced --data-dir DATA --seeds 5" in (out / "index.html").read_text(
        encoding="utf-8"
    )
    figure, plan = get_figure("arpit-fig3"), Plan.checked("paper", None, None)
    paper = gathered(figure, plan, stored_runs.store_all(out, "paper", figure.runs(plan)))
    failed = decided(figure, paper)[0]._replace(verdict="fails")
    (told,) = explanations(out, figure, plan, paper, failed)
    assert told.startswith("At the scale reduced: holds")
    assert told.endswith("; 5 seeds.")
    fewer = tables.collect_verdicts(out, seeds=2)
    told = [v.numbers for scale, n, v in fewer if (scale, n) == ("reduced", "arpit-fig3")]
    assert told
    assert all(numbers.endswith("; 2 seeds") for numbers in told)


def test_seeds_that_change_no_run_of_a_figure_do_not_name_it():
    plan = Plan.checked("reduced", 2, None)
    assert get_figure("arpit-fig1").effective(plan) == plan
    assert get_figure("lecture-overfit").effective(plan) == Plan.checked("reduced", None, None)


def explained(stored, name, chosen, variable, values):
    """What is said of the claim that fails when these numbers replace the chosen runs'."""
    figure, plan = get_figure(name), Plan.checked("reduced", None, None)
    store = RunStore(stored, "reduced")
    found = {spec: store.load(spec) for spec in figure.runs(plan)}
    for spec in filter(chosen, found):
        found[spec] = found[spec].copy()
        found[spec][variable] = (found[spec][variable].dims, values)
    (failed,) = (v for v in decided(figure, found) if v.verdict == "fails")
    return explanations(stored, figure, plan, found, failed)[0]


def test_a_large_residual_term_is_told_beside_the_error(stored):
    shares = np.linspace(0, 0.21, 11)[:, None] * np.ones(stored_runs.EPOCHS)
    told = explained(
        stored,
        "arpit-terms",
        lambda s: (s.dataset, s.objective, s.activation) == ("photos", "dae2", "softplus"),
        "loss_residual_share",
        shares,
    )
    assert "share is 0.000 at σ² = 0.001 and 0.210 at 1; it is at most 10% at 5 of 11" in told
    assert "is 2.20 and 2.20 there" in told  # DAE-2's stand-in does not fall with σ²


def test_a_rate_at_which_edae_rises_again_is_told_by_its_curve(stored):
    fraction = np.linspace(0.7, 0.1, 11)
    fraction[7:] = 0.6
    told = explained(
        stored,
        "arpit-rates",
        lambda s: (s.dataset, s.objective, s.learning_rate) == ("photos", "edae", 0.005),
        "activation_fraction",
        fraction,
    )
    assert "is lowest at σ² = 0.36: 0.340, and 0.600 at σ² = 1." in told
    assert told.startswith("After ")


def test_a_plan_names_the_command_that_makes_a_figure():
    assert Plan.checked("quick", None, None).command("x") == "python -m experiments x"
    asked = Plan.checked("paper", 2, 0.005).command("x")
    assert asked == (
        "python -m experiments x --scale paper --data-dir DATA --seeds 2 --learning-rate 0.005"
    )


@pytest.mark.parametrize("name", ARPIT)
def test_every_figure_is_drawn_and_described_from_stored_runs(name, stored, monkeypatch, capsys):
    monkeypatch.setattr("experiments.pipeline.missing.train_together", None)  # would fail if called
    status, printed, error = command(
        monkeypatch, capsys, name, "--scale", "reduced", "--out", stored
    )
    assert status == 0, error
    assert "Written: " in printed
    svg = stored / "reduced" / f"{name}.svg"
    assert 10_000 < svg.stat().st_size < 300_000
    assert "m = 6, N = 100" in printed


def test_status_counts_what_is_stored_drawn_and_unfinished(stored, monkeypatch, capsys, tmp_path):
    out = tmp_path / "figures"
    shutil.copytree(stored / "runs", out / "runs")
    store = RunStore(out, "reduced")
    lost = get_figure("arpit-fig3").runs(Plan.checked("reduced", None, None))[-1]
    assert command(monkeypatch, capsys, "arpit-fig4", "--scale", "reduced", "--out", out)[0] == 0
    _, printed, _ = command(monkeypatch, capsys, "status", "--out", out)
    assert re.search(r"arpit-fig4 .* 30/30 done", printed)
    anew = get_figure("arpit-fig4").runs(Plan.checked("reduced", None, None))[0]
    parents = json.loads(store.load(anew).attrs["provenance"]) | {"revision": "another"}
    store.save(anew, store.load(anew).assign_attrs(provenance=json.dumps(parents)))
    store.path(lost).unlink()
    (store.checkpoints(lost) / "4").mkdir(parents=True)
    status, printed, _ = command(monkeypatch, capsys, "status", "--out", out)
    assert status == 0
    rows = {line.split()[0]: line for line in printed.splitlines()}
    assert "11/12 begun" in rows["arpit-fig3"]
    assert "30/30 to draw" in rows["arpit-fig4"]
    assert "0/10 missing" in rows["arpit-fig4"]
    assert f"{lost.key} has a checkpoint of epoch 4" in printed
    damaged = get_figure("arpit-fig3").runs(Plan.checked("reduced", None, None))[0]
    store.path(damaged).write_bytes(b"nonsense")
    _, printed, _ = command(monkeypatch, capsys, "status", "--out", out)
    assert re.search(r"arpit-fig3 .* 10/12 begun", printed)
    assert f"{store.path(damaged)} is damaged" in printed
    with store.writing():
        _, printed, _ = command(monkeypatch, capsys, "status", "--out", out)
        assert re.search(r"reduced: process \d+ is at work\.", printed)
        line = {"time": "noon", "run": "a-run", "epoch": 3, "epochs": 6}
        store.log.write_text(
            json.dumps(line) + '\n{"time": "no{"time": "noon"}\n', encoding="utf-8"
        )
        with store.training(lost):
            _, printed, _ = command(monkeypatch, capsys, "status", "--out", out)
    told = f"is at work on {lost.key}; the last epoch logged is a-run, epoch 3 of 6 at noon."
    assert told in printed


def test_damaged_files_are_named_by_every_command_that_reads_them(
    monkeypatch, capsys, tmp_path, unchanged
):
    specs = get_figure("arpit-fig4").runs(Plan.checked("reduced", None, None))
    store = stored_runs.store_all(tmp_path, "reduced", specs)
    make = ("arpit-fig4", "--scale", "reduced", "--out", tmp_path)
    assert command(monkeypatch, capsys, *make)[0] == 0
    json_file = tmp_path / "reduced" / "arpit-fig4.json"
    drawn = json_file.read_text(encoding="utf-8")
    without_parents = json.dumps(json.loads(drawn) | {"runs": {"a-run": {}}})
    for content in ("[]", "{", '{"runs": {}}', drawn[:99], without_parents, ""):
        json_file.write_text(content, encoding="utf-8")
        with pytest.raises(InputError, match=f"{json_file} is damaged"):
            read_record(json_file)
    with unchanged(tmp_path):
        status, printed, _ = command(monkeypatch, capsys, "status", "--out", tmp_path)
        assert status == 0
        assert f"{json_file} is damaged" in printed
        status, _, message = command(monkeypatch, capsys, "report", "--out", tmp_path)
        assert (status, message.count("\n")) == (2, 1)
        assert f"{json_file} is damaged" in message
    assert command(monkeypatch, capsys, *make)[0] == 0
    assert json_file.read_text(encoding="utf-8") == drawn
    run = store.path(specs[0])
    run.write_bytes(run.read_bytes()[:-100])
    for arguments in (make, ("verdicts", "--out", tmp_path), ("report", "--out", tmp_path)):
        with unchanged(tmp_path):
            status, _, message = command(monkeypatch, capsys, *arguments)
        assert (status, message.count("\n")) == (2, 1)
        assert f"{run} is damaged" in message


def test_verdicts_are_written_as_a_page_whose_links_lead_to_the_pictures(
    stored, monkeypatch, capsys, tmp_path
):
    for folder in ("docs", "figures"):
        (tmp_path / folder).mkdir()
    for path in stored.iterdir():
        (tmp_path / "figures" / path.name).symlink_to(path)
    page, picture = tmp_path / "docs" / "results.md", stored / "reduced" / "arpit-fig1.png"
    arguments = ("verdicts", "--out", tmp_path / "figures", "--page", page)
    assert command(monkeypatch, capsys, *arguments)[0] == 0
    assert "| A1 | reduced | 8×8 digits | CAE flat | holds |" in page.read_text(encoding="utf-8")
    assert (
        "(../figures/reduced/arpit-fig1.png)" in page.read_text(encoding="utf-8")
    ) == picture.exists()
    assert "CAE flat" in (tmp_path / "figures" / "index.html").read_text(encoding="utf-8")


class Page(HTMLParser):
    """The links, anchors and pictures of a page."""

    def __init__(self, text):
        super().__init__()
        self.links, self.anchors, self.pictures = [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors |= {found["id"]} if "id" in found else set()
        if tag == "a":
            self.links.append(found["href"])
        if tag == "img":
            self.pictures.append(found["src"])


@pytest.fixture(scope="module")
def page(stored):
    """The report of the stored runs, with two figures drawn."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        short(monkeypatch)
        for name in ("arpit-fig1", "arpit-terms"):
            run(monkeypatch, name, "--scale", "reduced", "--out", stored)
        assert run(monkeypatch, "report", "--out", stored) == 0
    return stored / "index.html"


def test_the_report_is_self_contained_and_its_links_resolve(page):
    text = page.read_text(encoding="utf-8")
    parsed = Page(text)
    assert parsed.links
    assert all(link.removeprefix("#") in parsed.anchors for link in parsed.links)
    assert all(src.startswith("data:") for src in parsed.pictures)
    assert "https://" not in re.sub(r'src="data:[^"]*"', "", text)  # but in an SVG's metadata
    assert not re.search(r"""(?:href|src|url)\W*["'(]?https?:""", urllib.parse.unquote(text))
    assert "--scale reduced" in text
    assert text.count('class="verdict holds"') > 20


def test_the_report_works_in_a_browser(page):
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("no chromium and chromedriver on the path (apt-get install chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    window = webdriver.Chrome(options, webdriver.ChromeService(driver))
    try:
        window.set_window_size(420, 900)
        window.get(page.as_uri())
        widths = window.execute_script("return [...document.images].map(i => i.naturalWidth)")
        assert len(widths) >= 3  # two figures and a strip of filters
        assert all(widths)
        assert len(window.find_elements("css selector", "#plot path")) == 2  # axis and one line
        runs = window.find_elements("css selector", "#run option")
        next(o for o in runs if "DAE" in o.text).click()
        assert len(window.find_elements("css selector", "#plot path")) == 12
        overflow = "return document.documentElement.scrollWidth <= window.innerWidth"
        assert window.execute_script(overflow)
        assert window.get_log("browser") == []
    finally:
        window.quit()
