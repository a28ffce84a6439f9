"""Arpit's figures drawn from made-up runs, and the effect of a gradient along the rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from commands import command, has_numbers

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
