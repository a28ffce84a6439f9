"""A path of estimators: what it trains, which model a target asks for, and what it refuses."""

import pickle

import jax
import matplotlib.pyplot as plt
import numpy as np
import optax
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

import aesparse as ae
from aesparse.errors import InputError
from aesparse.estimators.points import Bracket, Target, bracket, knee, nearest, within

X = load_digits().data[:600]
SEED = int(np.random.RandomState(0).randint(2**31 - 1))  # as scikit-learn draws it of 0
SMALL = ae.SparseAutoencoder(16, max_epochs=15, batch_size=32, learning_rate=0.01, random_state=0)
pytestmark = pytest.mark.filterwarnings("ignore:max_epochs=:sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def path():
    with pytest.warns(ConvergenceWarning):  # 15 epochs are too few
        return ae.SparseAutoencoderPath(SMALL, strengths=6, seeds=2, target_activation=0.3).fit(X)


def table(strengths, l0, unexplained, *, rates=0.1, diverged=()):
    """A table of models with a seed each."""
    count = len(strengths)
    columns = {
        "strength": np.array(strengths, float),
        "learning_rate": np.broadcast_to(np.array(rates, float), count),
        "seed": np.arange(count),
        "l0": np.array(l0, float),
        "unexplained": np.array(unexplained, float),
        "diverged": np.isin(np.arange(count), diverged),
    }
    return columns | {"activation_fraction": columns["l0"] / 10}


# Which model


def test_of_the_near_models_the_one_with_the_lowest_error_is_taken():
    models = table([1, 2, 3, 4], [5.2, 4.9, 5.1, 9], [0.3, 0.2, 0.1, 0.01])
    assert within(models, Target("l0", 5.0), 0.05) == 2
    assert within(models, Target("l0", 5.0), 0.01) is None
    assert within(models, Target("activation_fraction", 0.5), 0.05) == 2
    assert within(models, Target("unexplained", 0.2), 0.5) == 1  # of 0.3, 0.2 and 0.1 the fewest
    assert nearest(models, Target("l0", 6.0)) == 0


def test_models_that_diverged_are_never_taken():
    models = table([1, 2, 3], [5, 5, 6], [0.3, 0.1, 0.2], diverged=[1])
    assert within(models, Target("l0", 5.0), 0.05) == 0
    assert nearest(models, Target("l0", 5.1)) == 0


def test_the_bracket_is_around_the_mean_over_seeds_at_the_best_rate():
    l0 = [9, 7, 5, 1, 9, 8, 2, 0]  # at two strengths of two seeds each, at two rates
    models = table(
        [1, 1, 2, 2, 1, 1, 2, 2],
        l0,
        [0.1, 0.1, 0.5, 0.5, 0.1, 0.1, 0.3, 0.3],
        rates=[0.1] * 4 + [0.2] * 4,
    )
    assert bracket(models, Target("l0", 4.0)) == Bracket(1.0, 2.0, 0.2)
    assert bracket(models, Target("l0", 9.5)) is None


def test_one_rate_that_is_not_known_is_a_rate():
    models = table([1, 2, 3], [9, 2, 0], [0.1, 0.2, 0.9], rates=np.nan)
    found = bracket(models, Target("l0", 4.0))
    assert (found.low, found.high) == (1.0, 2.0)
    assert knee(models)[0] == 1


def test_strengths_inside_a_bracket_divide_its_logarithm():
    np.testing.assert_allclose(Bracket(1.0, 16.0, 0.1).inside(3), [2, 4, 8])
    inside = Bracket(0.0, 1.0, 0.1).inside(2)
    assert 0 < inside[0] < inside[1] < 1


def test_the_knee_is_where_the_curve_bends():
    # From (10, 0) to (0, 1); (2, 0.1) lies 0.7 below the line, (6, 0.05) 0.35, (1, 0.8) 0.1.
    models = table([1, 2, 3, 4, 5], [10, 6, 2, 1, 0], [0, 0.05, 0.1, 0.8, 1])
    index, around = knee(models)
    assert index == 2
    assert (around.low, around.high) == (2.0, 4.0)


def test_of_two_knees_the_lower_one_is_taken():
    # The second rate explains little wherever it stands, though its curve bends more.
    models = table(
        [1, 2, 3, 1, 2, 3],
        [10, 5, 0, 10, 2, 0],
        [0, 0.3, 1, 0.80, 0.81, 1],
        rates=[0.1] * 3 + [0.2] * 3,
    )
    index, around = knee(models)
    assert index == 1
    assert around.learning_rate == 0.1


def test_the_only_model_is_the_knee():
    models = table([1, 2], [5, 6], [0.3, 0.1], diverged=[1])
    index, around = knee(models)
    assert index == 0
    assert around.low == around.high


# The path


def test_the_chosen_model_is_near_the_target_on_the_samples_held_out(path):
    chosen = path.best_index_
    assert abs(path.results_["activation_fraction"][chosen] - 0.3) <= 0.05 * 0.3
    best = path.best_estimator_
    assert best.strength == path.results_["strength"][chosen]
    # The numbers of the table are those of the estimator on the tenth that is held out.
    seed = int(np.random.RandomState(0).randint(2**31 - 1))  # as scikit-learn draws it of 0
    held_out = X[np.random.default_rng(seed).permutation(len(X))[: len(X) // 10]]
    z, codes = (held_out - best.mean_) / best.scale_, best.transform(held_out)
    error = np.sum((z - codes @ best.components_) ** 2) / np.sum((z - z.mean(axis=0)) ** 2)
    assert path.results_["unexplained"][chosen] == pytest.approx(error, rel=1e-4)
    active = np.mean(codes > 0)
    assert path.results_["activation_fraction"][chosen] == pytest.approx(active, abs=1e-6)


def test_the_table_has_every_model_of_every_grid(path):
    rows = {name: len(column) for name, column in path.results_.items()}
    assert set(rows.values()) == {len(path.results_["seed"])}
    assert rows["seed"] % 12 == 0
    assert len(np.unique(path.results_["seed"])) == 2
    assert path.results_["epochs"].max() <= 15


@pytest.mark.long
def test_a_fit_alone_gives_the_chosen_model(path):
    best, seed = path.best_estimator_, path.results_["seed"][path.best_index_]
    spread = X.std(axis=0)
    z = (X - X.mean(axis=0)) / np.where(spread > 0, spread, 1)
    held_out = np.zeros(len(X), bool)
    held_out[np.random.default_rng(SEED).permutation(len(X))[:60]] = True
    with jax.enable_x64(True):
        alone = ae.fit(
            z[~held_out],
            ae.OneLayer(16),
            "sae",
            sweep={"strength": best.strength, "learning_rate": 0.01, "seed": int(seed)},
            optimizer=optax.inject_hyperparams(optax.adam)(0.01),
            constraint="unit",
            batch_size=32,
            epochs=15,
            stopping=ae.EarlyStopping(z[held_out]),
        )
    np.testing.assert_allclose(alone.params.weight, best.encoder_, atol=1e-8)
    assert best.n_iter_ == alone.losses["loss"].shape[-1]


def test_codes_are_those_of_the_formula(path):
    best, spread = path.best_estimator_, X.std(axis=0)
    z = (X - X.mean(axis=0)) / np.where(spread > 0, spread, 1)
    codes = np.maximum(z @ best.encoder_.T + best.intercept_, 0)
    np.testing.assert_allclose(path.transform(X), codes, atol=1e-6)
    again = pickle.loads(pickle.dumps(path))
    np.testing.assert_array_equal(again.transform(X), path.transform(X))


@pytest.mark.long
def test_columns_have_the_names_of_the_first_frame():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=[f"pixel {i}" for i in range(64)])
    path = ae.SparseAutoencoderPath(SMALL, strengths=[0.1, 1.0], seeds=1, max_refinements=0)
    path.fit(frame)
    assert path.best_estimator_.n_features_in_ == 64
    np.testing.assert_array_equal(path.transform(frame), path.best_estimator_.transform(frame))
    with pytest.raises(ValueError, match="names"):
        path.transform(frame[frame.columns[::-1]])


def test_a_fit_that_fails_leaves_nothing_of_the_one_before():
    path = ae.SparseAutoencoderPath(SMALL, strengths=[0.1, 0.2], seeds=1, max_refinements=0).fit(X)
    with pytest.raises(InputError):
        path.set_params(target_l0=0.001).fit(X)
    assert not hasattr(path, "best_estimator_")
    plt.close(path.plot().figure)


@pytest.mark.long
def test_a_path_goes_past_models_that_diverge():
    rates = ae.SparseAutoencoderPath(
        clone(SMALL).set_params(optimizer="sgd", constraint=None, early_stopping=False),
        strengths=[0.1, 1.0],
        learning_rates=[1e-3, 10.0],
        seeds=1,
    ).fit(X)
    diverged = rates.results_["diverged"]
    assert diverged[rates.results_["learning_rate"] == 10.0].all()
    assert not diverged[rates.best_index_]
    with pytest.raises(InputError):
        rates.set_params(learning_rates=[10.0]).fit(X)


@pytest.mark.long
def test_a_target_of_error_is_met_with_the_fewest_units():
    path = ae.SparseAutoencoderPath(SMALL, strengths=6, seeds=2, target_error=0.5, tolerance=0.1)
    path.fit(X)
    error, l0 = path.results_["unexplained"], path.results_["l0"]
    assert abs(error[path.best_index_] - 0.5) <= 0.05
    assert l0[path.best_index_] == l0[np.abs(error - 0.5) <= 0.05].min()


@pytest.mark.long
def test_a_coefficient_by_its_name_stays_one():
    beta = clone(SMALL).set_params(objective=ae.objectives.composed(terms={"beta": "sae"}))
    path = ae.SparseAutoencoderPath(beta.set_params(strength={"beta": 0.1}), strengths=[0.1, 1.0])
    best = path.set_params(seeds=1, max_refinements=0).fit(X).best_estimator_
    assert set(best.strength) == {"beta"}
    best.partial_fit(X)


def test_samples_that_are_all_equal_are_refused_and_few_are_not():
    path = ae.SparseAutoencoderPath(SMALL, strengths=[0.1, 1.0], seeds=1, max_refinements=0)
    with pytest.raises(InputError, match="equal"):
        path.fit(np.ones((30, 4)))
    path.fit(X[:5])  # of which one is held out
    error = 1 - path.best_estimator_.score(X[:5])
    assert np.isfinite(path.results_["unexplained"]).all()
    assert error < 1


def test_reconstructions_and_score_are_the_best_estimators(path):
    codes = path.transform(X)
    np.testing.assert_array_equal(
        path.inverse_transform(codes), path.best_estimator_.inverse_transform(codes)
    )
    assert path.score(X) == path.best_estimator_.score(X)
    assert path.get_feature_names_out().shape == (16,)


def test_the_picture_has_all_models_and_the_chosen_one(path):
    axes = path.plot()
    plt.close(axes.figure)
    lines = axes.get_lines()
    assert sum(len(line.get_xdata()) for line in lines if line.get_marker() == ".") == len(
        path.results_["seed"]
    )
    (star,) = (line for line in lines if line.get_marker() == "*")
    assert star.get_xdata() == [path.results_["l0"][path.best_index_]]
    _, mine = plt.subplots()
    assert path.plot(mine) is mine
    plt.close(mine.figure)


@pytest.mark.long
def test_it_stands_in_a_pipeline_and_can_be_cloned(path):
    unfitted = clone(path).set_params(strengths=[0.1, 1.0], seeds=1, target_activation=None)
    model = make_pipeline(MinMaxScaler(), unfitted).fit(X)
    assert model.transform(X).shape == (600, 16)
    assert not hasattr(clone(unfitted), "best_estimator_")


@pytest.mark.long
def test_learning_rates_and_an_optimizer_of_its_own():
    rates = ae.SparseAutoencoderPath(
        clone(SMALL), strengths=[0.1, 1.0, 5.0], learning_rates=[1e-3, 1e-2], seeds=1
    ).fit(X)
    assert set(rates.results_["learning_rate"]) == {1e-3, 1e-2}
    chosen = rates.results_["learning_rate"][rates.best_index_]
    assert rates.best_estimator_.learning_rate == chosen
    own = clone(SMALL).set_params(optimizer=optax.adam(1e-3), early_stopping=False)
    fixed = ae.SparseAutoencoderPath(own, strengths=[0.1, 5.0], seeds=1).fit(X)
    assert np.isnan(fixed.results_["learning_rate"]).all()
    assert set(fixed.results_["epochs"]) == {15}
    axes = fixed.plot()
    plt.close(axes.figure)
    assert len(axes.get_lines()) == 3  # the models, their mean, and the chosen one


@pytest.mark.long
def test_an_objective_whose_coefficient_is_a_level():
    masking = clone(SMALL).set_params(objective="dae-masking", strength=0.1)
    path = ae.SparseAutoencoderPath(masking, strengths=4, seeds=1).fit(X)
    assert path.results_["strength"].max() < 1


@pytest.mark.long
def test_the_precision_of_the_data_is_kept():
    path = ae.SparseAutoencoderPath(SMALL, strengths=[0.1, 1.0], seeds=1)
    for dtype in (np.float32, np.float64):
        assert path.fit(X.astype(dtype)).transform(X.astype(dtype)).dtype == dtype
        assert path.best_estimator_.components_.dtype == dtype


def test_a_target_out_of_reach_says_the_range_and_leaves_the_table():
    path = ae.SparseAutoencoderPath(SMALL, strengths=[0.1, 0.2], seeds=1, target_l0=0.5)
    with pytest.raises(InputError) as said:
        path.fit(X)
    low, high = path.results_["l0"].min(), path.results_["l0"].max()
    assert f"{low:.3g}" in str(said.value)
    assert f"{high:.3g}" in str(said.value)
    plt.close(path.plot().figure)
    with pytest.raises(ValueError, match="not fitted"):
        path.transform(X)


@pytest.mark.long
def test_a_range_is_left_for_a_target_beyond_it():
    quick = clone(SMALL).set_params(max_epochs=3)
    path = ae.SparseAutoencoderPath(quick, strengths=3, seeds=1, target_l0=0.01, max_refinements=1)
    with pytest.raises(InputError):
        path.fit(X)
    assert path.results_["strength"].max() > 100


@pytest.mark.long
def test_a_target_that_is_passed_over_is_a_warning():
    path = ae.SparseAutoencoderPath(
        SMALL, strengths=[0.01, 10.0], seeds=1, target_l0=5.0, max_refinements=0
    )
    with pytest.warns(ConvergenceWarning, match="nearest"):
        path.fit(X)
    assert path.best_estimator_.transform(X).shape == (600, 16)


@pytest.mark.parametrize(
    "wrong",
    [
        {"strengths": 1},
        {"strengths": [0.1]},
        {"strengths": [-1.0, 1.0]},
        {"strengths": "many"},
        {"seeds": 0},
        {"learning_rates": [0.0]},
        {"learning_rates": []},
        {"target_activation": 0.0},
        {"target_activation": 1.0},
        {"target_l0": 16},
        {"target_l0": True},
        {"target_error": 2.0},
        {"target_error": 0.1, "target_l0": 3},
        {"tolerance": -0.1},
        {"max_refinements": "two"},
        {"max_refinements": float("inf")},
        {"max_refinements": 2.5},
        {"estimator": ae.SparseAutoencoder(objective="ae", strength={})},
        {"estimator": ae.SparseAutoencoder(objective="nothing")},
        {"estimator": MinMaxScaler()},
        {"estimator": "sae"},
    ],
    ids=str,
)
def test_wrong_options_are_refused_before_training(wrong):
    path = ae.SparseAutoencoderPath(**{"estimator": SMALL, "seeds": 1} | wrong)
    with pytest.raises(InputError):
        path.fit(X)
    assert not hasattr(path, "results_")
