"""A path of estimators over strengths, learning rates and seeds, and the one that meets a target.

Shapes: N samples, n inputs, m components, P models.
"""

import warnings

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, validate_data

from aesparse.errors import InputError
from aesparse.estimators.autoencoder import SparseAutoencoder
from aesparse.estimators.grid import Grid, PathOptions
from aesparse.estimators.path_picture import draw_path
from aesparse.estimators.points import Target, bracket, joined, knee, nearest, within
from aesparse.estimators.rows import split_if_asked
from aesparse.estimators.trained import keep, measured, train, warn_if_unfinished
from aesparse.options import shortened

__all__ = ["SparseAutoencoderPath"]


class SparseAutoencoderPath(TransformerMixin, BaseEstimator):
    """Trains strengths × learning rates × seeds in one program and picks the model asked for.

    A target is met by refining: the strengths between the two neighbours around it are trained
    next, on a logarithmic scale, at least once, until a model is near enough; of those that are,
    the one with the lowest error is taken (for a target of error: with the fewest active units).
    Without a target the knee of unexplained variance against sparsity is picked. Sparsity and error
    are those of held-out samples, of standardized data, if the estimator stops early; of all
    samples else, and where those held out are equal, such as a single one. With few samples and
    high strengths the samples that were trained on have fewer active units than others.

    Args:
        estimator: a `SparseAutoencoder` that has all other options, by default one as it is.
        strengths: how many, from 0.01 to 100 (a corruption's level: to 0.95 of its bound), and
            further where a target lies beyond; or values, which are refined between but not left.
        learning_rates: values, by default the estimator's alone.
        seeds: how many random starts, orders and noises of every point.
        target_activation: share of (sample, unit) pairs that are active, in (0, 1).
        target_l0: active units per sample, between 0 and m.
        target_error: share of the variance that is not explained, in (0, 1).
        tolerance: relative distance from the target that is near enough.
        max_refinements: further grids at most, each of as many models as the first.

    Attributes:
        best_estimator_: the trained `SparseAutoencoder`; its `random_state` is that of the path,
            so that a fit of its clone starts from the first seed.
        best_index_: its row of `results_`.
        results_: all models as columns `[P]`: strength, learning_rate, seed, activation_fraction,
            l0, unexplained (share of variance), dead_fraction, epochs, and diverged: whether there
            is no epoch with usable parameters.
        n_features_in_: the number of inputs. Also `feature_names_in_`.

    `transform`, `inverse_transform` and `score` are those of the best estimator. A target out of
    reach is an `InputError` that says the range; `results_` and `plot` are there all the same. One
    that is passed over, between two models, is a `ConvergenceWarning`, and the nearest model taken.

    >>> from sklearn.datasets import load_digits
    >>> X = load_digits().data
    >>> base = SparseAutoencoder(32, max_epochs=20, early_stopping=False, random_state=0)
    >>> path = SparseAutoencoderPath(base, strengths=5, seeds=1, target_activation=0.3,
    ...     tolerance=0.1).fit(X)
    >>> bool(0.27 <= path.results_["activation_fraction"][path.best_index_] <= 0.33)
    True
    >>> path.transform(X).shape, path.best_estimator_.components_.shape
    ((1797, 32), (32, 64))
    >>> path.get_feature_names_out()[0], path.plot().get_ylabel()
    ('sparseautoencoder0', 'explained variance')
    """

    def __init__(
        self,
        estimator=None,
        *,
        strengths=24,
        learning_rates=None,
        seeds=3,
        target_activation=None,
        target_l0=None,
        target_error=None,
        tolerance=0.05,
        max_refinements=4,
    ) -> None:
        self.estimator = estimator
        self.strengths = strengths
        self.learning_rates = learning_rates
        self.seeds = seeds
        self.target_activation = target_activation
        self.target_l0 = target_l0
        self.target_error = target_error
        self.tolerance = tolerance
        self.max_refinements = max_refinements

    def fit(self, X, y=None) -> "SparseAutoencoderPath":
        """Trains the path on `X` `[N, n]`, N >= 2; `y` is ignored. Returns itself."""
        del y
        estimator = SparseAutoencoder() if self.estimator is None else self.estimator
        if not isinstance(estimator, SparseAutoencoder):
            raise InputError(
                f"The estimator is {shortened(estimator)}; expected a SparseAutoencoder, or None."
            )
        estimator = clone(estimator)
        options = PathOptions.of(self, estimator)
        estimator._checked(X, first=True, ensure_min_samples=2)  # it learns the names of columns
        X = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=2)
        target = options.target(estimator, X.shape[1])
        begun = estimator._begun(X)
        z = begun.scaler(X)
        rows, held_out, stopping = split_if_asked(estimator, z, begun.seed)
        judging = next((judges for judges in (held_out, z) if _vary(judges)), None)
        if judging is None:
            raise InputError(
                f"The {len(z)} samples are all equal and have no variance to explain; expected "
                "samples that differ."
            )
        self._forget()
        grid, tables, grids = options.first(), [], []
        while grid is not None:
            sweep = grid.sweep(options.model, begun.seed)
            how = {"epochs": estimator.max_epochs, "stopping": stopping}
            grids.append(train(estimator, rows, options.model, sweep, **how))
            tables.append(grid.table(grids[-1], measured(grids[-1], judging)))
            self.results_ = joined(tables)
            if self.results_["diverged"].all():
                raise InputError(
                    f"All {len(self.results_['seed'])} models diverged; give smaller learning "
                    "rates, or smaller data."
                )
            self.best_index_, grid = self._judged(target, grid, len(grids), options)
        self._require_met(target)
        which, place = divmod(self.best_index_, len(tables[0]["seed"]))
        chosen = grids[which].at(*map(int, np.unravel_index(place, grids[which].shape)))
        self.best_estimator_ = estimator.set_params(**options.chosen(estimator, chosen))
        keep(estimator, chosen, begun._replace(seed=chosen.fixed["seed"]))
        warn_if_unfinished(chosen, estimator.max_epochs)
        return self

    def transform(self, X) -> np.ndarray:
        """The best estimator's codes `[N, m]` of rows `X` `[N, n]`."""
        check_is_fitted(self, "best_estimator_")
        return self.best_estimator_.transform(X)

    def inverse_transform(self, X) -> np.ndarray:
        """The best estimator's reconstructions `[N, n]` of codes `X` `[N, m]`."""
        check_is_fitted(self, "best_estimator_")
        return self.best_estimator_.inverse_transform(X)

    def score(self, X, y=None) -> float:
        """The best estimator's explained variance of `X` `[N, n]`; `y` is ignored."""
        check_is_fitted(self, "best_estimator_")
        return self.best_estimator_.score(X, y)

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """The best estimator's names of its components; `input_features` are ignored."""
        check_is_fitted(self, "best_estimator_")
        return self.best_estimator_.get_feature_names_out(input_features)

    def plot(self, axes=None):
        """Explained variance against active units per sample, all models, seeds as bands.

        Draws into matplotlib's `axes`, by default new ones, and returns them.
        """
        check_is_fitted(self, "results_")
        best = self.best_index_ if hasattr(self, "best_estimator_") else None
        return draw_path(self.results_, best, axes)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _forget(self) -> None:
        """Nothing is left of an earlier fit, should this one fail."""
        for name in ("results_", "best_index_", "best_estimator_"):
            if hasattr(self, name):
                delattr(self, name)

    def _judged(
        self, target: Target | None, grid: Grid, count: int, options: PathOptions
    ) -> tuple[int, Grid | None]:
        """The best model so far, and the grid that may have a better one."""
        last = count > self.max_refinements
        if target is None:
            index, around = knee(self.results_)
            last |= count > 1 or around.low == around.high
            return index, None if last else grid.between(around)
        near = within(self.results_, target, self.tolerance)
        around = bracket(self.results_, target)
        index = nearest(self.results_, target) if near is None else near
        if last or (near is not None and (count > 1 or around is None)):
            return index, None
        beyond = options.beyond(self.results_, index) if around is None else None
        return index, beyond if around is None else grid.between(around)

    def _require_met(self, target: Target | None) -> None:
        """`InputError` for a target out of reach, and a warning for one that is passed over."""
        if target is None or within(self.results_, target, self.tolerance) is not None:
            return
        sound = self.results_[target.column][~self.results_["diverged"]]
        low, high, got = sound.min(), sound.max(), self.results_[target.column][self.best_index_]
        if not low <= target.value <= high:
            raise InputError(
                f"No model comes to {target.column} = {target.value:.3g}; the {len(sound)} trained "
                f"reach from {low:.3g} to {high:.3g}. Choose a target in between, or other "
                "strengths; results_ and plot() show them all."
            )
        warnings.warn(
            f"No model is within {self.tolerance:.0%} of {target.column} = {target.value:.3g}; the "
            f"nearest has {got:.3g}. Give more seeds, other strengths or a larger tolerance.",
            ConvergenceWarning,
            stacklevel=3,
        )


def _vary(rows: np.ndarray) -> bool:
    return bool((rows != rows[:1]).any())
