"""Arpit's figures drawn from made-up runs, and the effect of a gradient along the rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from commands import command

from aesparse.losses.penalties import get_penalty
from aesparse.models.activations import get_activation
from aesparse.models.forward import one_layer_forward
from aesparse.models.one_layer import Params
from experiments.figures.arpit.arpit_rescale import feedback
from experiments.pipeline.registry import get_figure

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
    faster = 1 / (1 - feedback(spec, objective, 0.5))
    np.testing.assert_allclose(measured, faster, rtol=1e-3)
