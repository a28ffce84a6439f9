"""Arpit's figures drawn from made-up runs, and the effect of a gradient along the rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import stored_runs
import tiny
from commands import command, has_numbers

from aesparse.losses.penalties import get_penalty
from aesparse.models.activations import get_activation
from aesparse.models.forward import one_layer_forward
from aesparse.models.one_layer import Params
from aesparse.training.optimizers import radial_feedback
from experiments.evidence.momentum import RADIAL
from experiments.pipeline.registry import get_figure
from experiments.pipeline.verdicts import decided

pytestmark = pytest.mark.usefixtures("tiny_scales")


@pytest.mark.parametrize("name", tiny.ARPIT)
def test_every_figure_is_drawn_and_described_from_stored_runs(
    name, arpit_runs, monkeypatch, capsys
):
    monkeypatch.setattr("experiments.pipeline.missing.train_together", None)  # would fail if called
    status, printed, error = command(
        monkeypatch, capsys, name, "--scale", "reduced", "--out", arpit_runs
    )
    assert status == 0, error
    svg = arpit_runs / "reduced" / f"{name}.svg"
    assert str(svg) in printed
    assert 10_000 < svg.stat().st_size < 300_000
    assert "m = 6, N = 100" in printed


def test_the_bias_picture_has_a_mark_for_every_model_that_did_not_diverge(arpit_runs):
    figure, runs = tiny.gathered_runs(arpit_runs, "arpit-bias")
    (diverged,) = (s for s in runs if s.key.startswith("digits-sae-relu-unit-s1"))
    runs[diverged]["flagged_epoch"] = ("strength", np.where(np.arange(11) >= 9, 5, -1))
    picture = figure.draw(runs, tiny.plan())
    marks = {line.get_label(): line for line in picture.axes[0].lines}
    counts = {
        name: int(np.isfinite(line.get_xydata()).all(axis=1).sum()) for name, line in marks.items()
    }
    also = ("eDAE", "DAE, ±ε pairs", "DAE-2", "DAE-2 with kink", "CAE+H")
    first = {"AE": 3, "DAE": 33, "CAE": 33, "mDAE": 33, "SAE": 31}
    assert counts == first | dict.fromkeys(also, 33)
    assert [text.get_text() for text in picture.legends[0].texts] == list(marks)
    run = next(run for s, run in runs.items() if s.key.startswith("digits-dae-relu-unit-s0"))
    assert marks["DAE"].get_ydata()[:11].tolist() == run["activation_fraction"].values.tolist()


def test_the_course_over_epochs_is_that_of_the_first_seed_asked_for():
    figure, plan = get_figure("arpit-fig1-epochs"), tiny.plan(seeds=2)._replace(first_seed=3)
    runs = {
        spec: stored_runs.fake(spec, np.full(len(spec.strengths), 0.1 * spec.seed))
        for spec in figure.runs(plan)
    }
    along = figure.draw(runs, plan).axes[1]
    assert {round(line.get_ydata()[-1], 3) for line in along.lines} == {0.3}  # not 0.4, of seed 4
    assert all(has_numbers(text, 3) for text in (along.get_title(), figure.caption(runs, plan)))


@pytest.mark.parametrize(
    ("name", "rows"), [("arpit-rescale", 3), ("arpit-fig5", 2), ("arpit-fig2", 2)]
)
def test_every_setting_has_a_row_of_panels_with_its_rate(name, rows):
    """Digits have the rate 0.003 as their own, photos the common one, 0.001."""
    figure = get_figure(name)
    specs = [*figure.runs(tiny.plan()), *figure.also(tiny.plan())]
    runs = {spec: stored_runs.fake(spec) for spec in specs}
    axes = figure.draw(runs, tiny.plan()).axes
    assert len(axes) == 2 * rows
    titles = [axis.get_title() for axis in axes]
    assert all("0.003" in text for text in titles[:1])
    assert "0.001" in titles[1]
    assert "0.001" in titles[2]
    assert not axes[3].lines  # photos have no other rate
    if name == "arpit-rescale":
        assert all("momentum 0" in text for text in titles[4:])
        rings = [line.get_xdata() for line in axes[0].lines if line.get_markersize() > 9]
        assert [x.min() for x in rings if len(x)] == [0.49, 0.25]  # CAE's and mDAE's
    caption = figure.caption(runs, tiny.plan())
    assert "0.003 and 0.001" in caption


def test_curves_that_coincide_have_their_markers_at_different_strengths():
    figure = get_figure("arpit-fig4")
    runs = {spec: stored_runs.fake(spec) for spec in figure.runs(tiny.plan())}
    lines = {line.get_label(): line for line in figure.draw(runs, tiny.plan()).axes[0].lines}
    every = [lines[name].get_markevery() for name in ("DAE", "CAE", "mDAE", "SAE")]
    assert every == [(0, 4), (1, 4), (2, 4), (3, 4)]  # the stand-ins fall alike
    for spec, run in runs.items():
        if spec.objective == "sae":
            run["activation_fraction"] = 0.5 * run["activation_fraction"]
    lines = {line.get_label(): line for line in figure.draw(runs, tiny.plan()).axes[0].lines}
    every = [lines[name].get_markevery() for name in ("DAE", "CAE", "mDAE", "SAE")]
    assert every == [(0, 3), (1, 3), (2, 3), (0, 1)]


def of_terms(shares):
    """A11's verdict on sigmoid digits from shares over strengths and epochs."""
    figure = get_figure("arpit-terms")
    runs = {}
    for spec in figure.runs(tiny.plan()):
        if (spec.dataset, spec.activation) == ("digits", "sigmoid"):
            runs[spec] = stored_runs.fake(spec)
            if spec.objective == "dae2":
                runs[spec]["loss_residual_share"] = (("strength", "trained_epoch"), shares)
    (verdict,) = decided(figure, runs)
    return verdict.verdict


def test_the_residual_term_is_judged_from_epoch_5_on_for_small_noise():
    strengths = np.array([0.001, 0.01, 0.04, 0.09, 0.16, 0.25, 0.36, 0.49, 0.64, 0.81, 1.0])
    epochs = np.arange(1, stored_runs.EPOCHS + 1)
    s, e = strengths[:, None], epochs[None]
    asked = (s <= 0.25) & (e >= 5)
    assert of_terms(np.where(asked, 0.0999, 5.0)) == "holds"
    for strength, epoch in ((0.25, 5), (0.001, 6)):
        once = (s == strength) & (e == epoch)
        assert of_terms(np.where(once, 0.1001, 0.02)) == "fails"


def test_softplus_is_compared_with_sigmoid_where_both_move():
    figure = get_figure("arpit-softplus")

    def outcomes(change):
        runs = {s: stored_runs.fake(s) for s in figure.runs(tiny.plan()) if s.dataset == "digits"}
        for spec, run in runs.items():
            if spec.objective == "dae":
                change(spec, run)
        return {v.statement.split()[0]: v.verdict for v in decided(figure, runs)}

    def rise(spec, run):
        if spec.activation == "softplus":
            run["activation_fraction"] = 1.6 - run["activation_fraction"]

    def rest(spec, run):
        if spec.activation == "sigmoid":
            run["activation_fraction"] = 0 * run["activation_fraction"] + 0.8 - 0.002 * spec.seed

    for change, expected in ((rise, "fails"), (rest, "inconclusive")):
        assert outcomes(change) == {"CAE": "holds", "DAE": expected, "SAE": "holds"}


def test_models_far_to_the_left_do_not_rule_the_axis_of_the_bias_picture(arpit_runs):
    figure, runs = tiny.gathered_runs(arpit_runs, "arpit-bias")
    far = next(s for s in runs if s.key.startswith("digits-sae-relu-unit-s1"))
    assert not any("models" in text.get_text() for text in _bias_panel(figure, runs).texts)
    runs[far]["preactivation_mean"][5:] = -np.arange(50.0, 56.0)
    axis = _bias_panel(figure, runs)
    assert axis.get_xlim()[0] > -2
    (text,) = (text.get_text() for text in axis.texts)
    (border,) = (line for line in axis.lines if line.get_linestyle() == ":")
    marks = {line.get_label(): line for line in axis.lines}
    x = np.concatenate([np.asarray(line.get_xdata()) for line in axis.lines if line is not border])
    left = np.sum(x < border.get_xdata()[0])
    assert 6 <= left <= 0.1 * len(x)
    assert f"{left} models" in text
    assert "−55" in text
    of_far = marks["SAE"].get_xydata()[11:22][5:]
    assert len(set(of_far[:, 0])) == 1
    assert of_far[:, 1].tolist() == runs[far]["activation_fraction"].values[5:].tolist()


def _bias_panel(figure, runs):
    return figure.draw(runs, tiny.plan()).axes[0]


def test_the_rates_picture_has_no_curve_where_too_many_models_diverged(arpit_runs):
    figure, runs = tiny.runs_of(arpit_runs, "arpit-rates")
    first = [s for s in runs if s.dataset == "digits" and s.learning_rate == 0.001]
    sae = [s for s in first if s.objective == "sae"]
    plain = figure.draw(runs, tiny.plan()).axes[0]
    assert (plain.get_facecolor()[:3], len(plain.texts)) == ((1, 1, 1), 0)
    for spec, lost in zip(sae, (3, 2, 0), strict=True):
        runs[spec]["flagged_epoch"][:lost] = 4
    axis = figure.draw(runs, tiny.plan()).axes[0]
    assert "SAE 5 of 36" in axis.texts[0].get_text()
    assert axis.get_facecolor()[:3] == (1, 1, 1)
    (marks,) = (line for line in axis.lines if line.get_label() == "SAE")
    assert marks.get_linestyle() == "None"
    assert np.isfinite(marks.get_ydata()).sum() == 31
    assert next(line for line in axis.lines if line.get_label() == "DAE").get_linestyle() == "-"
    for spec in first:
        if spec != spec.baseline:
            runs[spec]["flagged_epoch"][:3] = 4
    assert figure.draw(runs, tiny.plan()).axes[0].get_facecolor()[:3] != (1, 1, 1)


@pytest.mark.parametrize("objective", ["cae", "mdae"])
def test_a_radial_gradient_speeds_up_a_turn_by_its_feedback(objective):
    figure = get_figure("arpit-rescale")
    spec = next(s for s in figure.runs(tiny.plan()) if s.dataset == "digits")
    relu = get_activation("relu")  # which stays on

    @jax.jit
    @jax.grad
    def gradient_of(model):
        return get_penalty(objective)(one_layer_forward(model, jnp.array([[1.0, 0.0]]), relu), None)

    def angle(active):
        """By which a row turns in one step, pulled sideways all the time."""
        row, momentum = np.array([1.0, 0.0]), np.zeros(2)
        for _ in range(300):
            sideways = np.array([-row[1], row[0]])
            model = Params(jnp.asarray(row[None]), jnp.ones(1))
            radial = np.asarray(gradient_of(model).weight[0])
            before, gradient = row, active * radial - 1e-3 * sideways
            momentum = spec.momentum * momentum + gradient
            row = row - spec.learning_rate * momentum
            row = row / np.linalg.norm(row)
        return before[0] * row[1] - before[1] * row[0]

    with jax.enable_x64(True):
        measured = angle(0.5) / angle(0.0)
    rate, pull = spec.learning_rate, 0.5 * RADIAL[objective]
    faster = 1 / (1 - radial_feedback(pull, learning_rate=rate, momentum=spec.momentum))
    np.testing.assert_allclose(measured, faster, rtol=1e-3)


def test_max_norm_is_measured_with_the_numbers_of_its_runs(arpit_runs):
    figure, runs = tiny.gathered_runs(arpit_runs, "arpit-maxnorm")
    constraints = {s.constraint for s in runs}
    assert constraints == {"max-norm-0.5", "max-norm", "max-norm-2", "unit", "free"}
    for spec, run in runs.items():
        if spec.constraint == "max-norm-0.5":
            run["row_length_mean"] = 0 * run["row_length_mean"] + 0.5
    verdicts = figure.verdicts(runs, "photos")
    assert [v.statement.split(":")[0] for v in verdicts] == ["DAE", "CAE", "SAE"]
    assert {v.verdict for v in verdicts} == {"measured"}
    first = verdicts[0].numbers.split("; ")[0]
    assert has_numbers(first, 0.5, 0.798, 0.198, 0.5)  # c, both ends, the length
    missing = {s: run for s, run in runs.items() if s.constraint != "max-norm-2"}
    assert "max-norm-2" in figure.caption(missing, tiny.plan())
    assert "max-norm-2" not in figure.caption(runs, tiny.plan())
    labels = {line.get_label() for line in figure.draw(missing, tiny.plan()).axes[0].lines}
    assert len(labels) == 4
