"""A sparse auto-encoder as one of scikit-learn's estimators.

Shapes: N samples, n inputs, m components.
"""

from collections.abc import Iterator

import jax
import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted, validate_data

from aesparse.errors import InputError
from aesparse.estimators.options import Options
from aesparse.estimators.rows import Start, split_if_asked
from aesparse.estimators.trained import keep, require_trained, train, warn_if_unfinished
from aesparse.models.one_layer import OneLayer, Params
from aesparse.training.result import Result
from aesparse.training.trained_model import TrainedModel
from aesparse.training.warm_start import WarmStart

__all__ = ["SparseAutoencoder"]


class SparseAutoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """A one-layer auto-encoder h = s(W z + b), y = D h whose regularizer makes codes sparse.

    z is the standardized x, the loss the objective's: ‖z − y‖² summed over inputs and averaged
    over samples, plus `strength` × penalty. `transform` gives the codes h, `inverse_transform` the
    reconstructions in the units of x.

    Args:
        n_components: m, the number of hidden units; by default n, that of the inputs.
        objective: a name ("sae", "dae", "cae", …), an `Objective`, or a function as `fit` takes it.
        activation: s: a name, an `Activation`, or a function.
        strength: the objective's coefficient, λ of a penalty or the level of a corruption; a
            mapping where an objective has several.
        constraint: a name or `Constraint`; by default rows of W have length 1. None: no constraint.
        tied: whether D = Wᵀ.
        optimizer: "adam", "sgd" (with momentum 0.9), or an optax transformation.
        learning_rate: of "adam" and "sgd"; an optax transformation has its own.
        batch_size: samples of an update, at most all of them; the last N mod batch_size samples of
            an epoch's order are left out.
        max_epochs: passes over the data at most.
        early_stopping: whether to hold out a share of the samples and stop when the loss on them
            falls no longer; the parameters are then those of the best epoch.
        validation_fraction: that share, drawn at random, at least one sample.
        n_iter_no_change: epochs without a lower loss after which to stop.
        tol: relative fall that counts as lower.
        standardize: whether z is x less its mean over its standard deviation, per input, those of
            all samples of `fit`. Inputs without variance are only centred. With False z is x.
        random_state: of start, order, noise and held-out samples.
        verbose: True shows a progress bar.

    Attributes:
        components_: `[m, n]`, the rows of Dᵀ, in units of z.
        encoder_: W, `[m, n]`.
        intercept_: b, `[m]`.
        mean_: of x, `[n]`.
        scale_: `[n]`; z is (x − `mean_`)/`scale_`.
        n_components_: the number of hidden units, m. Also `n_features_in_`, `feature_names_in_`.
        n_iter_: epochs trained.
        history_: losses by name, means over every epoch, `[n_iter_]` each; with early stopping also
            "held_out", the loss on the samples held out. `partial_fit` has none and drops it.
        activation_fraction_: share of pairs (sample, unit) that are active, over the samples that
            were trained on; after `partial_fit` those of the last call.

    float32 and float64 stay what they are. Sparse matrices are refused. A model that diverges
    raises an `InputError`, unless early stopping has the parameters of a better epoch, which a
    `ConvergenceWarning` says. It can be pickled if its options can; those of optax cannot.

    >>> from sklearn.datasets import load_digits
    >>> X = load_digits().data
    >>> model = SparseAutoencoder(32, strength=1.0, max_epochs=20, early_stopping=False,
    ...     random_state=0).fit(X)
    >>> model.transform(X).shape, model.components_.shape
    ((1797, 32), (32, 64))
    >>> 0 < model.activation_fraction_ < 0.5 < model.score(X) < 1
    True
    >>> model.inverse_transform(model.transform(X[:2])).shape
    (2, 64)
    >>> model.partial_fit(X[:500]).n_iter_
    21
    """

    def __init__(
        self,
        n_components=None,
        *,
        objective="sae",
        activation="relu",
        strength=0.1,
        constraint="unit",
        tied=True,
        optimizer="adam",
        learning_rate=0.001,
        batch_size=128,
        max_epochs=500,
        early_stopping=True,
        validation_fraction=0.1,
        n_iter_no_change=10,
        tol=1e-3,
        standardize=True,
        random_state=None,
        verbose=False,
    ) -> None:
        self.n_components = n_components
        self.objective = objective
        self.activation = activation
        self.strength = strength
        self.constraint = constraint
        self.tied = tied
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.standardize = standardize
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, y=None) -> "SparseAutoencoder":
        """Trains the model on `X` `[N, n]`, N >= 2; `y` is ignored. Returns itself."""
        del y
        options = Options.of(self)
        X = self._checked(X, first=True, ensure_min_samples=2)
        start = self._begun(X)
        rows, _, stopping = split_if_asked(self, start.scaler(X), start.seed)
        result = self._train(rows, options, start, epochs=self.max_epochs, stopping=stopping)
        warn_if_unfinished(result, self.max_epochs)
        return self

    def partial_fit(self, X, y=None) -> "SparseAutoencoder":
        """Trains for one epoch of `X` `[N, n]`, from where the last call ended; `y` is ignored.

        The first call, of at least two samples, decides on start and standardization. After `fit`
        the optimizer starts afresh. Of every call the last N mod `batch_size` samples of a random
        order are left out. `early_stopping` and `max_epochs` play no part.
        """
        del y
        first = not hasattr(self, "components_")
        options = Options.of(self)
        X = self._checked(X, first=first, ensure_min_samples=2 if first else 1)
        start = self._begun(X) if first else self._start
        begin = None
        if not first:
            begin = WarmStart(self._params(), self._optimizer_state, self.n_iter_)
        past = {} if first else self.history_
        self._train(start.scaler(X), options, start, epochs=1, start=begin, keep_optimizer=True)
        self.history_ = {
            name: np.append(past.get(name, []), losses) for name, losses in self.history_.items()
        }
        self.n_iter_ = len(self.history_["loss"])
        return self

    def transform(self, X) -> np.ndarray:
        """The codes `[N, m]` of rows `X` `[N, n]`."""
        check_is_fitted(self, "components_")
        return self._encoded(self._checked(X))

    def inverse_transform(self, X) -> np.ndarray:
        """The reconstructions `[N, n]` of codes `X` `[N, m]`, in the units of the data.

        `ValueError` for codes of another number of components.
        """
        check_is_fitted(self, "components_")
        X = check_array(X, dtype=[np.float64, np.float32], input_name="X")
        if X.shape[1] != self.n_components_:
            raise InputError(
                f"X has {X.shape[1]} components and the model {self.n_components_}; expected "
                "codes as transform gives them."
            )
        return self._decoded(X)

    def score(self, X, y=None) -> float:
        """The explained variance: 1 − Σ(x − x̂)²/Σ(x − mean)² over all entries of `X` `[N, n]`.

        x̂ are the reconstructions. The mean is that of `X`, per input: a model no better than the
        mean of the data scores 0. Without variance in `X` it is 1 for no error, else −inf. `y` is
        ignored.
        """
        del y
        check_is_fitted(self, "components_")
        X = self._checked(X)
        error = np.sum((X - self._decoded(self._encoded(X)).astype(np.float64)) ** 2)
        variance = np.sum((X - X.mean(axis=0, dtype=np.float64)) ** 2)
        if variance == 0:
            return 1.0 if error == 0 else -np.inf
        return float(1 - error / variance)

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _checked(self, X, *, first: bool = False, **options) -> np.ndarray:
        if isinstance(X, Iterator):
            raise InputError(
                "X is an iterator; expected a matrix [N, n]. Call partial_fit on each array that "
                "it gives."
            )
        return validate_data(self, X, reset=first, dtype=[np.float64, np.float32], **options)

    def _begun(self, X: np.ndarray) -> Start:
        return Start.of(X, self.random_state, standardize=self.standardize)

    def _train(self, rows: np.ndarray, options: Options, begun: Start, **how) -> Result:
        """Trains on standardized rows; what came of it is kept if it is finite."""
        result = train(self, rows, options, {**options.sweep, "seed": begun.seed}, **how)
        require_trained(result)
        keep(self, result, begun)
        return result

    def _params(self) -> Params:
        decoder = None if self._tied else self.components_.T
        return Params(self.encoder_, self.intercept_, decoder=decoder)

    def _model(self) -> TrainedModel:
        model = OneLayer.of(self._params(), self._activation)
        return TrainedModel(model, self._params(), {}, self._start.scaler)

    def _encoded(self, X: np.ndarray) -> np.ndarray:
        with jax.enable_x64(X.dtype == np.float64):
            return self._model().encode(X).astype(X.dtype)

    def _decoded(self, codes: np.ndarray) -> np.ndarray:
        with jax.enable_x64(codes.dtype == np.float64):
            return self._model().decode(codes).astype(codes.dtype)
