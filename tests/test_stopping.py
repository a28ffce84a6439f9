"""Early stopping: when models of a grid end, and with which parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aesparse import Checkpoints, InputError, OneLayer, fit, get_objective, lbfgs, sgd
from aesparse.metrics import activation_statistics
from aesparse.models.constraints import as_constraint
from aesparse.training.draws import shuffled
from aesparse.training.program import grid_program
from aesparse.training.sharding import Points, model_mesh
from aesparse.training.step import Recipe
from aesparse.training.stopping import EarlyStopping

RNG = np.random.default_rng(0)
X = (RNG.normal(size=(90, 3)) @ RNG.normal(size=(3, 6))).astype(np.float32)
TRAIN, HELD_OUT = X[:60], X[60:]
EPOCHS, BATCH, PATIENCE, TOLERANCE = 40, 20, 2, 0.01
SWEEP = {"strength": [0.0, 0.3], "learning_rate": [0.002, 0.02, 5.0], "seed": [0, 1]}


def parameters(trained, x):
    return trained.params


def run(stopping, **options):
    given = {"epochs": EPOCHS, "batch_size": BATCH, "sweep": SWEEP, "measure": parameters}
    return fit(TRAIN, OneLayer(4), "cae", stopping=stopping, **(given | options))


@pytest.fixture(scope="module")
def whole():
    """All epochs of every model, without stopping, and its parameters after each of them."""
    return run(None)


@pytest.fixture(scope="module")
def stopped():
    return run(EarlyStopping(HELD_OUT, patience=PATIENCE, tolerance=TOLERANCE))


def held_out_losses(whole):
    """The objective on the held-out samples after every epoch `[…, E]`; inf where float32 ends."""
    weight, bias = (np.moveaxis(np.float64(v), -1, 0)[1:] for v in whole.history[:2])
    batches = HELD_OUT[:BATCH].astype(np.float64), HELD_OUT[BATCH:].astype(np.float64)
    total = 0
    with np.errstate(all="ignore"):
        for batch in batches:
            a = np.einsum("...mn,bn->...bm", weight, batch) + bias[..., None, :]
            h = np.maximum(a, 0)
            error = ((batch - np.einsum("...bm,...mn->...bn", h, weight)) ** 2).sum(-1).mean(-1)
            rows = (weight**2).sum(-1)
            penalty = ((a > 0) * rows[..., None, :]).sum(-1).mean(-1)
            loss = error + np.float64(SWEEP["strength"])[:, None, None] * penalty
            total = total + len(batch) * loss
        return np.moveaxis(total / len(HELD_OUT), 0, -1).astype(np.float32)


def ends(losses, patience, tolerance):
    """(last epoch, best epoch) of one model by the rule, −1 where it did not stop."""
    best, mark, waited, at = np.inf, np.inf, 0, 0
    for epoch, loss in enumerate(losses, 1):
        if loss < best:
            best, at = loss, epoch
        if (mark == np.inf and loss < np.inf) or loss < mark - tolerance * abs(mark):
            mark, waited = loss, 0
        else:
            waited += 1
        if waited == patience or not np.isfinite(loss):
            return epoch, at
    return -1, at


def test_models_stop_by_the_rule_each_by_itself(whole, stopped):
    losses = held_out_losses(whole)
    for place in np.ndindex(stopped.shape):
        expected = ends(losses[place], PATIENCE, TOLERANCE)
        assert (stopped.stopped_epoch[place], stopped.best_epoch[place]) == expected, place
    assert len(np.unique(stopped.stopped_epoch)) > 3  # the rule is not trivial here
    assert stopped.losses["loss"].shape[-1] == stopped.stopped_epoch.max()


def test_the_loss_on_the_samples_held_out_is_recorded_until_a_model_stops(whole, stopped):
    expected = held_out_losses(whole)
    recorded = stopped.losses["held_out"]
    assert recorded.shape == stopped.losses["loss"].shape
    for place in np.ndindex(stopped.shape):
        end, finite = stopped.stopped_epoch[place], np.isfinite(expected[place])
        kept = finite[:end]
        np.testing.assert_allclose(
            recorded[place][:end][kept], expected[place][:end][kept], rtol=1e-4
        )
        assert np.isnan(recorded[place][end:]).all()
    assert "held_out" not in whole.losses


def test_without_samples_held_out_no_loss_on_them_is_recorded():
    assert "held_out" not in run(EarlyStopping(patience=2), epochs=2).losses


def test_no_part_of_an_objective_takes_the_name_of_the_loss_held_out():
    def objective(model, params, x, noise, coefficients):
        return jnp.sum(params.weight), {"held_out": jnp.sum(params.bias)}

    with pytest.raises(InputError, match="'held_out'"):
        fit(TRAIN, OneLayer(4), objective, epochs=1, batch_size=BATCH, sweep={"seed": [0]})


def test_a_model_has_the_parameters_of_its_best_epoch(whole, stopped):
    for place in np.ndindex(stopped.shape):
        epoch = stopped.best_epoch[place]
        for kept, every in zip(stopped.params[:2], whole.history[:2], strict=True):
            np.testing.assert_array_equal(kept[place], every[place][..., epoch])
            np.testing.assert_array_equal(stopped.final[0][place], stopped.params[0][place])


def test_losses_and_history_are_those_of_the_training_until_a_model_stops(whole, stopped):
    last = stopped.losses["loss"].shape[-1]
    for place in np.ndindex(stopped.shape):
        end = stopped.stopped_epoch[place]
        got, want = stopped.losses["loss"][place], whole.losses["loss"][place][:last]
        np.testing.assert_array_equal(got[:end], want[:end])
        assert np.isnan(got[end:]).all()
        rows = stopped.history[0][place]
        np.testing.assert_array_equal(rows[..., : end + 1], whole.history[0][place][..., : end + 1])
        assert np.isnan(rows[..., end + 1 :]).all()
    assert stopped.history_epochs.tolist() == list(range(last + 1))


def test_a_model_that_diverges_stops_and_is_named(stopped):
    apart = stopped.select(learning_rate=5.0)
    assert (apart.diverged_epoch > 0).all()
    assert (apart.stopped_epoch > 0).all()
    assert np.isfinite(apart.params.weight).all()
    calm = stopped.select(learning_rate=0.002)
    assert (calm.diverged_epoch == -1).all()


@pytest.mark.parametrize("models", [1, 11])
def test_an_epoch_changes_the_models_alone_that_still_train(models):
    recipe = Recipe(
        OneLayer(4),
        get_objective("cae"),
        sgd(),
        as_constraint("unit"),
        activation_statistics,
        BATCH,
    )
    mesh = model_mesh(jax.devices()[:1])
    program, keys = grid_program(recipe, mesh), jax.random.split(jax.random.key(1), 2)
    points = Points(
        np.arange(models, dtype=np.int32) % 2, {"strength": np.linspace(0, 1, models, dtype="f4")}
    )
    rates = {"learning_rate": np.full(models, 0.02, "f4"), "momentum": np.full(models, 0.9, "f4")}
    params = program.starting.init(keys, TRAIN, points.seed)
    state = jax.device_get(program.starting.state(params, rates))
    draws, steps = shuffled(keys, 1, len(TRAIN)), np.int32(3)
    all_moved, losses = program.epoch(state, draws, TRAIN, points, np.int32(0), steps)
    for share in (0.5, 0.0, 1.0):
        active = np.random.default_rng(0).random(models) < share
        points = points._replace(active=active)
        moved, some = program.epoch(state, draws, TRAIN, points, np.int32(0), steps)
        for begun, ended, every in zip(
            *map(jax.tree.leaves, (state, moved, all_moved)), strict=True
        ):
            np.testing.assert_array_equal(ended[~active], begun[~active])
            np.testing.assert_allclose(ended[active], every[active], rtol=1e-5, atol=1e-6)
        assert np.isnan(some["loss"][~active]).all()
        np.testing.assert_allclose(some["loss"][active], losses["loss"][active], rtol=1e-5)


def test_a_model_that_ends_not_finite_stops_at_once(whole):
    never = run(EarlyStopping(HELD_OUT, patience=EPOCHS))
    lost = ~np.isfinite(held_out_losses(whole))
    assert lost.any(axis=-1).any()
    for place in np.ndindex(never.shape):
        if lost[place].any():
            assert never.stopped_epoch[place] == lost[place].argmax() + 1
            assert never.diverged_epoch[place] == never.stopped_epoch[place]


def test_without_held_out_samples_the_training_loss_decides(whole):
    result = run(EarlyStopping(patience=PATIENCE, tolerance=TOLERANCE))
    for place in np.ndindex(result.shape):
        expected = ends(whole.losses["loss"][place], PATIENCE, TOLERANCE)
        assert (result.stopped_epoch[place], result.best_epoch[place]) == expected


def test_parts_of_a_grid_stop_apart(stopped):
    parts = run(EarlyStopping(HELD_OUT, PATIENCE, TOLERANCE), models_per_program=2)
    np.testing.assert_array_equal(parts.stopped_epoch, stopped.stopped_epoch)
    np.testing.assert_array_equal(parts.best_epoch, stopped.best_epoch)
    np.testing.assert_allclose(parts.losses["loss"], stopped.losses["loss"], rtol=1e-5)


def test_an_interrupted_training_stops_where_it_would_have(tmp_path, stopped):
    class InterruptedTrainingError(Exception):
        pass

    def interrupt(epoch, measured):
        if epoch == 4:
            raise InterruptedTrainingError

    def training(stopping, **options):
        saved = Checkpoints(tmp_path, "one", every_seconds=0)
        return run(stopping, checkpoints=saved, **options)

    stopping = EarlyStopping(HELD_OUT, PATIENCE, TOLERANCE)
    with pytest.raises(InterruptedTrainingError):
        training(stopping, on_epoch=interrupt)
    with pytest.raises(InputError, match="another training"):
        training(EarlyStopping(HELD_OUT, PATIENCE + 1, TOLERANCE))
    with pytest.raises(InputError, match="another training"):
        training(EarlyStopping(HELD_OUT[1:], PATIENCE, TOLERANCE))
    resumed = training(stopping)
    np.testing.assert_array_equal(resumed.stopped_epoch, stopped.stopped_epoch)
    np.testing.assert_array_equal(resumed.params.weight, stopped.params.weight)
    np.testing.assert_array_equal(resumed.losses["loss"], stopped.losses["loss"])


def test_a_training_that_was_saved_at_its_end_is_not_trained_further(tmp_path, stopped):
    first, again = (
        run(
            EarlyStopping(HELD_OUT, PATIENCE, TOLERANCE),
            checkpoints=Checkpoints(tmp_path, "one", every_seconds=0),
        )
        for _ in range(2)
    )
    for result in (first, again):
        np.testing.assert_array_equal(result.losses["loss"], stopped.losses["loss"])
        np.testing.assert_array_equal(result.history_epochs, stopped.history_epochs)


def test_a_patience_without_end_is_one(whole):
    result = run(EarlyStopping(HELD_OUT, patience=10**10))
    np.testing.assert_array_equal(result.stopped_epoch, result.diverged_epoch)
    losses = held_out_losses(whole)[:, :1]
    best = np.take_along_axis(losses, result.best_epoch[:, :1, :, None] - 1, axis=-1)[..., 0]
    np.testing.assert_allclose(best, losses.min(axis=-1), rtol=1e-5)


def test_the_noise_of_held_out_samples_is_the_same_at_every_epoch():
    """With a rate of almost zero the loss of a denoising model stays what it was."""
    result = fit(
        TRAIN,
        OneLayer(4),
        "dae",
        sweep={"strength": 0.5, "learning_rate": 1e-12},
        epochs=3,
        batch_size=BATCH,
        stopping=EarlyStopping(HELD_OUT, patience=3, tolerance=0.0),
    )
    assert (result.stopped_epoch, result.best_epoch) == (-1, 1)


def test_the_dataset_of_a_result_says_when_models_stopped(whole, stopped):
    data = stopped.to_xarray()
    np.testing.assert_array_equal(data.stopped_epoch, stopped.stopped_epoch)
    np.testing.assert_array_equal(data.best_epoch, stopped.best_epoch)
    assert "stopped_epoch" not in whole.to_xarray()


@pytest.mark.parametrize(
    ("stopping", "words"),
    [
        (EarlyStopping(HELD_OUT[:, 1:]), "5 inputs"),
        (EarlyStopping(HELD_OUT * np.nan), "NaN"),
    ],
)
def test_what_is_no_stopping_is_refused(stopping, words):
    with pytest.raises(InputError, match=words):
        run(stopping)


@pytest.mark.parametrize("options", [{"patience": 0}, {"tolerance": -0.1}, {"tolerance": 1}])
def test_limits_out_of_range_are_refused(options):
    with pytest.raises(InputError):
        EarlyStopping(HELD_OUT, **options)


def test_full_batch_searches_do_not_stop_early():
    with pytest.raises(InputError, match="L-BFGS"):
        fit(TRAIN, OneLayer(4), "ae", optimizer=lbfgs(), stopping=EarlyStopping(HELD_OUT))
