"""What is said of a claim that does not hold: its numbers, from runs made up for the purpose."""

import re

import numpy as np
import pytest
import scipy.stats
import stored_runs
import tiny
from commands import has_numbers, numbers

from experiments.evidence.explanations import explanations
from experiments.pipeline.registry import get_figure
from experiments.pipeline.store import RunStore
from experiments.pipeline.verdicts import decided

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("tiny_scales")]


def explained(out, name, claim, dataset, statement=""):
    """The verdict on a claim of a figure whose statement has this word, with its explanation."""
    figure, runs = tiny.gathered_runs(out, name)
    (verdict,) = (
        v
        for v in decided(figure, runs)
        if (v.claim, v.dataset) == (claim, dataset) and statement in v.statement
    )
    return verdict._replace(why=explanations(out, figure, tiny.plan(), runs, verdict))


def test_a_claim_that_fails_is_explained_by_what_else_is_stored(arpit_runs, tmp_path):
    tiny.copy_runs(arpit_runs, tmp_path, "arpit-fig4")
    figure, plan = get_figure("arpit-fig4"), tiny.plan()
    store = RunStore(tmp_path, "reduced")
    for spec in figure.runs(plan):
        if (spec.objective, spec.dataset) == ("cae", "photos"):
            store.save(spec, stored_runs.fake(spec, 0.8 - 0.1 * (np.arange(11) == 5)))
    own, *others = explained(tmp_path, "arpit-fig4", "A4", "photos", "CAE decreasing").why
    assert not others  # no other rate, no other scale is stored
    # The stand-in runs end at 0.8, AE's at 0.798 on average, both from 0.5 in equal steps.
    assert has_numbers(own, 0, -0.000, 1, -0.001, 3, -0.002, 6)
    for seeds in (1, 2, 3):
        faster = plan._replace(seeds=seeds, learning_rate=0.005)
        specs = [s for s in figure.runs(faster) if s.dataset == "photos"]
        stored_runs.store_all(tmp_path, "reduced", specs)
        failed = explained(tmp_path, "arpit-fig4", "A4", "photos", "CAE decreasing")
        assert failed.verdict == "fails"
        first, at_the_rate = failed.why
        runs = {spec: store.load(spec) for spec in specs}
        (there,) = (v for v in figure.verdicts(runs, "photos") if v.statement == failed.statement)
        assert there.verdict == "holds"
        assert first == own
        assert has_numbers(at_the_rate, 0.005, -1)
        assert there.verdict in at_the_rate
        assert there.numbers in at_the_rate  # of as many seeds as are stored there


def test_a_statement_on_two_objectives_has_no_course_of_its_own(arpit_runs):
    figure, runs = tiny.gathered_runs(arpit_runs, "arpit-fig4", "photos")
    together = next(v for v in figure.verdicts(runs, "photos") if "mDAE" in v.statement)
    assert figure.explain(runs, together) == []
    assert figure.explain({}, together._replace(statement="CAE decreasing")) == []


def test_a_condition_and_a_difference_are_explained_by_their_sizes(arpit_runs):
    ratio, *_ = explained(arpit_runs, "arpit-bias", "A10", "digits", "relu").why
    assert numbers(ratio)[-4:] == [0.25] * 4  # DAE, CAE, mDAE, SAE
    (orders,) = explained(arpit_runs, "arpit-why", "A9", "digits").why
    # The difference of the curves; σ² and DAE's fall; DAE-2 without and with the kink term there.
    assert has_numbers(orders, 0.0, 0.04, 0.798, 0.678, 0.798, 0.678)


def test_a_claim_is_explained_while_the_other_data_sets_runs_are_missing(arpit_runs):
    figure, runs = tiny.runs_of(arpit_runs, "arpit-why")
    missing = next(s for s in runs if (s.dataset, s.objective) == ("digits", "dae2"))
    runs[missing] = None
    (failed,) = (v for v in decided(figure, runs) if v.verdict == "fails")
    assert failed.dataset == "photos"
    assert numbers(explanations(arpit_runs, figure, tiny.plan(), runs, failed)[0])


@pytest.mark.parametrize("dataset", ["digits", "both"])
def test_a_claim_is_explained_by_a_scale_where_one_data_set_is_stored(
    arpit_runs, tmp_path, dataset
):
    figure, runs = tiny.runs_of(arpit_runs, "arpit-fig2")
    specs = figure.runs(tiny.plan("paper"))
    store = stored_runs.store_all(tmp_path, "paper", [s for s in specs if s.dataset == "digits"])
    for spec in runs:  # DAE gets too sparse at both scales
        if (spec.objective, spec.dataset) == ("dae", "digits"):
            runs[spec] = stored_runs.fake(spec, np.linspace(0.7, 0.05, 11))
            if spec in specs:
                store.save(spec, runs[spec])
    (failed, *_) = (
        v for v in decided(figure, runs) if (v.verdict, v.dataset) == ("fails", dataset)
    )
    sentences = explanations(tmp_path, figure, tiny.plan(), runs, failed)
    of_paper = [s for s in sentences if re.search(r"\bpaper: fails\b", s)]
    assert len(of_paper) == (dataset == "digits")


@pytest.mark.parametrize("seeds", [3, 1])
def test_a8_is_explained_without_the_objectives_whose_fractions_hardly_differ(
    arpit_runs, rng, seeds
):
    figure, runs = tiny.runs_of(arpit_runs, "arpit-bias", "digits")
    runs = {s: r for s, r in runs.items() if s.activation == "relu" and s.seed < seeds}
    for spec, run in runs.items():
        if spec.objective in ("cae", "mdae"):  # 0.8 less a seed's offset: only their order differs
            run["preactivation_mean"] = ("strength", rng.permutation(11) - 5.0)
        if spec.objective == "sae":
            run["preactivation_mean"][3] = 0.9
    (relu,) = (v for v in figure.verdicts(runs, "digits") if v.claim == "A8")
    assert relu.verdict == "fails"
    moving = [run for spec, run in runs.items() if spec.objective in ("ae", "dae", "sae")]
    x, y = (
        np.concatenate([run[n].values for run in moving])
        for n in ("preactivation_mean", "activation_fraction")
    )
    expected = scipy.stats.spearmanr(x, y).statistic
    assert 0.9 < expected < 0.999
    _, without, *by_seed = figure.explain(runs, relu)
    assert "CAE; mDAE" in without
    value, *interval = numbers(without)
    assert value == round(expected, 3)
    assert len(interval) == (2 if seeds > 1 else 0)
    assert all(0 < bound < 1 for bound in interval)
    assert len(by_seed) == (seeds > 1)


@pytest.mark.parametrize("diverged", [(), ("sae",)])
def test_a8_is_explained_whole_where_no_curve_is_known_to_be_flat(arpit_runs, diverged):
    figure, runs = tiny.runs_of(arpit_runs, "arpit-bias", "digits")
    runs = {s: r for s, r in runs.items() if s.activation == "relu"}
    (relu,) = (v for v in figure.verdicts(runs, "digits") if v.claim == "A8")
    with_flat_curves = figure.explain(runs, relu)
    for spec, run in runs.items():
        if spec.objective in ("cae", "mdae"):
            run["activation_fraction"] = ("strength", np.linspace(0.8, 0.7, 11))
        if spec.objective in diverged:  # nothing is left but AE's model, which is no curve
            run["flagged_epoch"] = ("strength", np.full(11, 5))
    assert len(figure.explain(runs, relu)) == len(with_flat_curves) - 1


def test_a_diverged_model_is_no_lowest_fraction(arpit_runs):
    fraction = np.linspace(0.6, 0.7, 11)
    fraction[0] = 0.0
    figure, runs = tiny.runs_of(arpit_runs, "arpit-rates", "photos")
    chosen = [s for s in runs if (s.objective, s.learning_rate) == ("edae", 0.005)]
    assert len(chosen) == 3
    for spec in chosen:
        runs[spec]["activation_fraction"] = (("strength",), fraction + 0.01 * (spec.seed - 1))
        runs[spec]["flagged_epoch"] = (("strength",), np.array([1] + [-1] * 10))
        runs[spec]["dead_fraction"] = (("strength",), np.array([0.99, 0.95, 0.91] + [0.9] * 8))
    (failed,) = (v for v in figure.verdicts(runs, "photos") if v.verdict == "fails")

    def sentence():
        (text,) = figure.explain(runs, failed)
        return text

    lowest = (0.01, 0.610, 0.700, 1)  # σ², fraction there, the last fraction and its σ²
    mostly_dead = (95, 90, 6, 30)  # % of one model; above 90 % in 6 of 30 models
    diverged = (3, 0.001)  # models, and their σ²
    assert has_numbers(sentence(), *lowest, *mostly_dead, *diverged, 0.798, 0)  # AE's end, its dead
    plain = runs[chosen[2].baseline]
    plain["flagged_epoch"] = (("strength",), np.array([1]))
    plain["dead_fraction"] = (("strength",), np.array([0.99]))
    # AE's two other seeds end at 0.8 and 0.798, with no unit dead; one of three diverged.
    assert numbers(sentence())[-4:] == [0.799, 0, 1, 3]
    for spec in chosen:
        runs[spec.baseline]["flagged_epoch"] = (("strength",), np.array([1]))
    assert numbers(sentence())[-2:] == [3, 3]
    for spec in chosen:
        runs[spec]["flagged_epoch"] = (("strength",), np.ones(11, int))
    assert numbers(sentence()) == []


def test_where_units_die_is_explained_also_when_they_die_everywhere(arpit_runs):
    figure, runs = tiny.runs_of(arpit_runs, "arpit-fig1", "photos")

    def die(share):
        for spec, run in runs.items():
            dead = share(spec.seed, run["strength"].values)
            run["dead_fraction"] = (("strength",), np.broadcast_to(dead, run.sizes["strength"]))

    die(lambda seed, strength: 0.2)
    (failed,) = (v for v in figure.verdicts(runs, "photos") if "before units die" in v.statement)
    assert failed.verdict == "fails"

    def said():
        (sentence,) = figure.explain(runs, failed)
        return numbers(sentence)

    everywhere = said()
    assert everywhere[0] == 1  # the limit in %; no fraction of a model without dead units follows
    assert 0.196 not in everywhere
    assert 20 in everywhere
    die(lambda seed, strength: 0.0)
    assert said() == [1, 0.196, 0.05]
    # From σ² = 0.25 on, most of all with seed 1.
    die(lambda seed, strength: (0.0, 0.03, 0.02)[seed] * (strength > 0.2))
    some = said()
    assert some[1] == 0.2  # seed 0 at σ² = 1
    assert some[3:7] == [0.25, 0.498, 3, 0.36]  # σ², fraction, dead in %; the next σ²


def test_a_penalty_that_lengthens_steps_is_explained_beside_ae(arpit_runs):
    figure, runs = tiny.runs_of(arpit_runs, "arpit-rescale", "digits")
    for spec, run in runs.items():
        if spec.objective == "mdae":
            run["activation_fraction"] = ("strength", np.linspace(0.8, 0.2, 11))
            run["preactivation_mean"] = ("strength", np.linspace(0.3, -0.25, 11))
            run["flagged_epoch"][-1] = 3 if spec.seed == 1 else -1
        if spec.objective == "cae":
            run["flagged_epoch"][-1] = 3
    (flat,) = (
        v
        for v in decided(figure, runs)
        if v.statement.startswith("mDAE flat") and v.statement.endswith("own rate")
    )
    assert flat.verdict == "fails"
    (sentence,) = figure.explain(runs, flat)
    # Fraction, E[a_j], error: AE's; none of CAE, which diverged; mDAE's.
    assert has_numbers(sentence, 0.80, 0.30, 2.20, 1, 0.20, -0.25)
    assert not has_numbers(sentence, 2.20, 0.80)
    # 0.8 of the units are active at the end, by the stand-ins' curves; digits' rate is 0.003.
    assert numbers(sentence)[-1] == round(0.003 * 4 * 0.8 / 0.1**2, 2)
    others = figure.further(tiny.plan())
    rates = {
        s: stored_runs.fake(s, np.array([1 - 100 * s.learning_rate]))
        for s in others
        if s.dataset == "digits"
    }
    by_rate = numbers(figure.explain(runs | rates, flat)[1])
    assert by_rate == [0.9, 0.001, 0.7, 0.003, 0.5, 0.005]
    sparse = flat._replace(statement="DAE sparse before units die, rescaled, own rate")
    assert figure.explain(runs, sparse) != [sentence]


def first_sentence(out, name, chosen, variable, values):
    """The explanation of the claim that fails when these numbers replace the chosen runs'."""
    figure, runs = tiny.runs_of(out, name)
    for spec in filter(chosen, runs):
        runs[spec][variable] = (runs[spec][variable].dims, values)
    (failed,) = (v for v in decided(figure, runs) if v.verdict == "fails")
    return explanations(out, figure, tiny.plan(), runs, failed)[0]


def test_a_large_residual_term_is_explained_beside_the_error(arpit_runs):
    shares = np.linspace(0, 0.21, 11)[:, None] * np.ones(stored_runs.EPOCHS)
    sentence = first_sentence(
        arpit_runs,
        "arpit-terms",
        lambda s: (s.dataset, s.objective, s.activation) == ("photos", "dae2", "softplus"),
        "loss_residual_share",
        shares,
    )
    # Shares at the first and last σ²; how many are at most 10 %; the errors at the two ends, which
    # are alike since DAE-2's stand-in does not fall with σ².
    assert has_numbers(sentence, 0.0, 0.001, 0.210, 1, 10, 5, 11, 2.20, 2.20)


def test_a_rate_at_which_edae_rises_again_is_explained_by_its_curve(arpit_runs):
    fraction = np.linspace(0.7, 0.1, 11)
    fraction[7:] = 0.6
    sentence = first_sentence(
        arpit_runs,
        "arpit-rates",
        lambda s: (s.dataset, s.objective, s.learning_rate) == ("photos", "edae", 0.005),
        "activation_fraction",
        fraction,
    )
    assert has_numbers(sentence, 0.36, 0.340, 0.600, 1)
