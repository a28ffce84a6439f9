"""The estimator against NumPy formulas, against `fit`, and among scikit-learn's tools."""

import pickle
import warnings

import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import aesparse as ae
from aesparse.errors import InputError
from aesparse.estimators import SparseAutoencoder, SparseAutoencoderPath

RNG = np.random.default_rng(0)
X = (RNG.normal(size=(120, 3)) @ RNG.normal(size=(3, 6)) + [5, 0, 0, 0, 0, -2]).astype(np.float32)
LABELS = X[:, 1] > X[:, 2]
SEED = int(np.random.RandomState(0).randint(2**31 - 1))  # as scikit-learn draws it of 0
FEW = {"max_epochs": 4, "batch_size": 20, "random_state": 0}


def model(m=4, **options):
    return SparseAutoencoder(m, **(FEW | {"early_stopping": False} | options))


@pytest.fixture(scope="module")
def fitted():
    return model(early_stopping=True, max_epochs=200, learning_rate=0.01).fit(X)


SHORT_PATH = SparseAutoencoderPath(
    SparseAutoencoder(max_epochs=20, random_state=0),
    strengths=[0.1, 1.0],
    seeds=1,
    max_refinements=0,
)


@pytest.mark.long
@parametrize_with_checks([SparseAutoencoder(max_epochs=20), SHORT_PATH])
def test_scikit_learns_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


def test_codes_and_reconstructions_are_those_of_the_formulas(fitted):
    z = (X - X.mean(0, dtype=float)) / X.std(0, dtype=float)
    h = np.maximum(z @ fitted.encoder_.T.astype(float) + fitted.intercept_, 0)
    np.testing.assert_allclose(fitted.transform(X), h, atol=1e-5)
    y = h @ fitted.components_ * X.std(0, dtype=float) + X.mean(0, dtype=float)
    np.testing.assert_allclose(fitted.inverse_transform(h), y, atol=1e-4)
    np.testing.assert_array_equal(fitted.components_, fitted.encoder_)  # tied
    np.testing.assert_allclose(np.linalg.norm(fitted.components_, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(fitted.activation_fraction_, np.mean(h > 0), atol=0.02)


def test_the_score_is_the_share_of_variance_that_is_explained(fitted):
    made = fitted.inverse_transform(fitted.transform(X)).astype(float)
    error, variance = ((X - made) ** 2).sum(), ((X - X.mean(0)) ** 2).sum()
    assert fitted.score(X) == pytest.approx(1 - error / variance, rel=1e-4)
    assert fitted.score(X) > 0.5
    mean = clone(fitted).fit(X)
    mean.encoder_ = 0 * mean.encoder_
    mean.intercept_ = mean.intercept_ * 0
    mean.components_ = 0 * mean.components_
    assert mean.score(X) == pytest.approx(0, abs=1e-6)


def test_an_untied_decoder_has_components_of_its_own():
    apart = model(tied=False, constraint=None).fit(X)
    z = (X - apart.mean_) / apart.scale_
    h = np.maximum(z @ apart.encoder_.T + apart.intercept_, 0)
    made = h @ apart.components_ * apart.scale_ + apart.mean_
    np.testing.assert_allclose(apart.inverse_transform(apart.transform(X)), made, atol=1e-4)
    assert not np.allclose(apart.components_, apart.encoder_)


def trained_by_fit(left_out=(), **options):
    """The weights of `ae.fit` with the estimator's settings, without some samples."""
    z = ((X - X.mean(0, dtype=float)) / X.std(0, dtype=float)).astype(np.float32)
    result = ae.fit(
        np.delete(z, left_out, axis=0),
        ae.OneLayer(4),
        "sae",
        sweep={"strength": 0.1, "learning_rate": 0.001, "seed": SEED},
        optimizer=optax.inject_hyperparams(optax.adam)(0.001),
        constraint="unit",
        epochs=4,
        batch_size=20,
        **options,
    )
    return z, result.params.weight


def test_it_trains_as_fit_does():
    np.testing.assert_allclose(model().fit(X).components_, trained_by_fit()[1], atol=1e-6)


def test_partial_fit_goes_on_where_it_was():
    step = model()
    for count in (1, 2, 3, 4):
        assert step.partial_fit(X).n_iter_ == count
    whole = model().fit(X)
    np.testing.assert_array_equal(step.components_, whole.components_)
    np.testing.assert_array_equal(step.intercept_, whole.intercept_)
    np.testing.assert_allclose(step.history_["loss"], whole.history_["loss"])


def test_partial_fit_takes_pieces_of_any_length_and_keeps_the_first_scale():
    step = model().partial_fit(X[:50])
    first = step.mean_.copy()
    step.partial_fit(X[50:57] + 1)
    np.testing.assert_array_equal(step.mean_, first)
    assert step.n_iter_ == 2
    assert len(step.history_["loss"]) == 2


def test_partial_fit_goes_on_after_fit_and_after_pickling(fitted):
    more = pickle.loads(pickle.dumps(fitted)).partial_fit(X)
    assert more.n_iter_ == fitted.n_iter_ + 1
    assert not np.array_equal(more.components_, fitted.components_)
    one = model().partial_fit(X)
    again = pickle.loads(pickle.dumps(one)).partial_fit(X)
    np.testing.assert_array_equal(again.components_, one.partial_fit(X).components_)


def test_early_stopping_holds_samples_out_and_stops(fitted):
    assert fitted.n_iter_ < 200
    for name in ("loss", "held_out"):
        assert len(fitted.history_[name]) == fitted.n_iter_
        assert np.isfinite(fitted.history_[name]).all()
    best = np.argmin(fitted.history_["held_out"])
    assert fitted.n_iter_ - 1 > best  # of an earlier epoch


def test_partial_fit_drops_the_loss_of_samples_that_it_does_not_hold_out(fitted):
    more = pickle.loads(pickle.dumps(fitted)).partial_fit(X)
    assert {len(losses) for losses in more.history_.values()} == {more.n_iter_}
    assert "held_out" not in more.history_


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_precision_of_the_data_is_kept(dtype):
    data = X.astype(dtype)
    one = model().fit(data)
    for array in (
        one.components_,
        one.transform(data),
        one.inverse_transform(np.eye(4, dtype=dtype)),
    ):
        assert array.dtype == dtype


def test_float64_is_computed_in_float64():
    one = model(max_epochs=1).fit(X.astype(float))
    h = np.maximum((X - one.mean_) / one.scale_ @ one.encoder_.T + one.intercept_, 0)
    np.testing.assert_allclose(one.transform(X.astype(float)), h, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(one.encoder_, axis=1), 1, rtol=1e-12)


def test_frames_come_in_and_go_out():
    frame = pd.DataFrame(X, columns=list("abcdef"), index=range(5, 125))
    one = model().set_output(transform="pandas").fit(frame)
    codes = one.transform(frame)
    assert list(codes.columns) == [f"sparseautoencoder{i}" for i in range(4)]
    assert codes.index.equals(frame.index)
    assert one.feature_names_in_.tolist() == list("abcdef")
    with pytest.raises(ValueError, match="feature names"):
        one.transform(frame.rename(columns={"a": "z"}))


def test_pipelines_and_searches_over_any_parameter():
    steps = make_pipeline(model(), LogisticRegression())
    grid = {
        "sparseautoencoder__strength": [0.0, 1.0],
        "sparseautoencoder__objective": ["cae", "dae"],
    }
    search = GridSearchCV(steps, grid, cv=2).fit(X, LABELS)
    assert search.best_score_ > 0.6
    assert search.predict(X).shape == (120,)


@pytest.mark.long
def test_searches_run_in_several_processes():
    search = GridSearchCV(model(), {"strength": [0.0, 5.0]}, cv=2, n_jobs=2).fit(X)
    assert search.best_params_["strength"] == 0.0  # reconstruction alone is scored


def test_the_same_state_gives_the_same_model():
    one, same, other = (model(random_state=s).fit(X) for s in (3, np.random.RandomState(3), 4))
    np.testing.assert_array_equal(one.components_, same.components_)
    assert not np.array_equal(one.components_, other.components_)


def test_your_own_objective_optimizer_and_several_strengths():
    both = ae.objectives.composed(terms={"beta": "sae", "decay": "weight-decay"})
    options = {"objective": both, "strength": {"beta": 0.1, "decay": 0.01}}
    one = model(optimizer=optax.sgd(0.001), activation="softplus", **options).fit(X)
    assert {"loss", "reconstruction", "beta", "decay"} <= one.history_.keys()


def test_inputs_without_variance_stay_what_they_are():
    constant = np.column_stack([X, np.full(len(X), 7, np.float32)])
    one = model().fit(constant)
    assert np.isfinite(one.components_).all()
    assert (one.mean_[-1], one.scale_[-1]) == (7, 1)


def test_unstandardized_data_far_off_centre_is_named():
    with pytest.warns(UserWarning, match="off centre"):
        model(standardize=False, max_epochs=1).fit(X)
    centred = model(standardize=False, max_epochs=1).fit(X - X.mean(0))
    np.testing.assert_array_equal(centred.mean_, 0)
    np.testing.assert_array_equal(centred.scale_, 1)


def breaks_down(model, params, x, eps, coefficients):
    """The reconstruction error, which is no number any more once it is small."""
    error = jnp.mean(jnp.sum((x - model.decode(params, model.encode(params, x))) ** 2, axis=1))
    return jnp.where(error < 3.5, jnp.nan, error), {}


def test_divergence_is_an_error_or_leaves_the_best_epoch():
    with pytest.raises(InputError, match="diverged"):
        model(optimizer="sgd", learning_rate=100.0, constraint=None).fit(X)
    with pytest.raises(InputError, match="diverged"):
        model(objective=breaks_down, strength={}, learning_rate=0.01, max_epochs=60).fit(X)
    options = {"learning_rate": 0.01, "max_epochs": 60, "early_stopping": True}
    with pytest.warns(ConvergenceWarning, match="diverged"):
        calm = model(objective=breaks_down, strength={}, **options).fit(X)
    assert np.isfinite(calm.components_).all()
    assert calm.score(X) > 0


def test_a_loss_that_still_falls_is_named():
    with pytest.warns(ConvergenceWarning, match="max_epochs"):
        model(early_stopping=True, max_epochs=1).fit(X)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"m": 0}, "n_components"),
        ({"m": 2.5}, "n_components"),
        ({"objective": "spase"}, "sae"),
        ({"activation": "rellu"}, "relu"),
        ({"strength": -1.0}, "strength"),
        ({"strength": "much"}, "strength"),
        ({"constraint": "units"}, "unit"),
        ({"optimizer": "adamm"}, "adam"),
        ({"optimizer": 3}, "optax"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"batch_size": 0}, "batch"),
        ({"max_epochs": 0}, "max_epochs"),
        ({"validation_fraction": 1.0, "early_stopping": True}, "validation_fraction"),
        ({"n_iter_no_change": 0, "early_stopping": True}, "n_iter_no_change"),
        ({"tol": -1.0, "early_stopping": True}, "tol"),
        ({"tied": "yes"}, "tied"),
        ({"objective": ae.objectives.composed(terms={"a": "cae", "b": "sae"})}, "a, b"),
        ({"strength": [0.1, 1.0]}, "strength"),
        ({"strength": {"strength": 0.1, "seed": 3}}, "strength"),
        ({"strength": np.nan}, "strength"),
        ({"learning_rate": [0.1, 0.01]}, "learning_rate"),
        ({"optimizer": ae.lbfgs()}, "L-BFGS"),
    ],
)
def test_options_out_of_range_are_refused_in_a_sentence(options, word):
    with pytest.raises(InputError, match=word):
        model(**options).fit(X)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (csr_matrix(X), "[Ss]parse"),
        (np.where(X > 5, np.nan, X), "NaN"),
        (X[0], "1D"),
        (X[:1], "1 sample"),
        (np.full((5, 2), "much"), "float"),
    ],
)
def test_data_that_cannot_be_trained_on_is_refused(data, word):
    with pytest.raises((ValueError, TypeError), match=word):
        model().fit(data)


def test_before_it_is_fitted_it_says_so():
    for call in (model().transform, model().score, model().inverse_transform):
        with pytest.raises(NotFittedError):
            call(X)


def test_early_stopping_trains_on_the_other_samples_alone():
    """As `fit` does on what an independent draw of a tenth leaves."""
    held_out = np.sort(np.random.default_rng(SEED).permutation(120)[:12])
    z = trained_by_fit()[0]
    stopping = ae.EarlyStopping(z[held_out], patience=4, tolerance=0)
    _, expected = trained_by_fit(held_out, stopping=stopping)
    with pytest.warns(ConvergenceWarning):
        one = model(early_stopping=True, n_iter_no_change=4, tol=0).fit(X)
    np.testing.assert_allclose(one.components_, expected, atol=1e-6)


def test_a_training_that_fails_leaves_the_model_as_it_was(fitted):
    new = model(optimizer="sgd", learning_rate=1e6, constraint=None)
    with pytest.raises(InputError, match="diverged"):
        new.fit(X)
    with pytest.raises(NotFittedError):
        new.transform(X)
    old = pickle.loads(pickle.dumps(fitted)).set_params(**new.get_params())
    with pytest.raises(InputError, match="diverged"):
        old.fit(X * 3 + 7)
    np.testing.assert_array_equal(old.transform(X), fitted.transform(X))


def test_a_refit_with_bad_options_leaves_the_model_as_it_was(fitted):
    codes = fitted.transform(X)
    old = pickle.loads(pickle.dumps(fitted)).set_params(learning_rate=-1)
    with pytest.raises(InputError, match="learning_rate"):
        old.fit(X[:, :3])
    np.testing.assert_array_equal(old.transform(X), codes)


def test_an_iterator_is_for_partial_fit():
    with pytest.raises(InputError, match="partial_fit"):
        model().fit(ae.data.chunks(X, 20))


def test_numbers_whose_variance_is_beyond_the_largest_are_refused():
    with pytest.raises(InputError, match="variance"), np.errstate(all="ignore"):
        model().fit(X.astype(float) * 1e200)


def test_every_loss_has_an_entry_for_every_epoch_although_the_model_diverges():
    """After epochs of which one is kept."""
    how = {"optimizer": "sgd", "constraint": None, "learning_rate": 0.3, "strength": 0.0}
    one = model(**how, early_stopping=True, batch_size=50, max_epochs=20)
    with pytest.warns(ConvergenceWarning, match="diverged"):
        one.fit(X * 3)
    assert {len(losses) for losses in one.history_.values()} == {one.n_iter_}


def test_all_samples_held_out_count():
    """Those after the last whole batch too: 12 of them in batches of 10."""
    held_out = np.random.default_rng(SEED).permutation(120)[:12]
    for row in held_out[[0, -1]]:
        far = X.copy()
        far[row] = 10
        options = {"early_stopping": True, "batch_size": 10, "max_epochs": 1}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            one, other = (model(**options, standardize=False).fit(data) for data in (X, far))
        assert one.history_["held_out"] != other.history_["held_out"]


def test_a_fitted_model_is_what_it_was_trained_as(fitted):
    codes = fitted.transform(X)
    changed = pickle.loads(pickle.dumps(fitted)).set_params(activation="sigmoid", tied=False)
    np.testing.assert_array_equal(changed.transform(X), codes)


def test_the_score_counts_inputs_without_variance_too(fitted):
    flat = X.copy()
    flat[:, 2] = 1000
    made = fitted.inverse_transform(fitted.transform(flat)).astype(float)
    expected = 1 - ((flat - made) ** 2).sum() / ((flat - flat.mean(0)) ** 2).sum()
    assert fitted.score(flat) == pytest.approx(expected, rel=1e-4)
    assert expected < 0
    frame = pd.DataFrame(X, columns=list("abcdef"))
    named = model().fit(frame)
    assert named.score(frame) == pytest.approx(model().fit(X).score(X))


@pytest.mark.parametrize(
    ("codes", "word"),
    [
        (np.zeros((3, 5)), "4"),
        (np.zeros(4), "1D"),
        (csr_matrix((3, 4)), "[Ss]parse"),
        (None, "2D"),
    ],
)
def test_codes_that_are_none_are_refused(fitted, codes, word):
    with pytest.raises((ValueError, TypeError), match=word):
        fitted.inverse_transform(codes)
