"""The audit of today's sparse auto-encoders: fresh, trained, or read from published files.

What is measured, in float64 at one model, are its codes on given data and the gradients of the
parts of its loss; what is predicted follows from mean and covariance of the data, with Gaussian
pre-activations a_j = W_j·x' + b_j. Shapes: n inputs, m hidden units, N samples, K batches of B.
"""

import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
import scipy.special
from jaxtyping import Array, Float

from aesparse.errors import InputError
from aesparse.losses.base import Objective
from aesparse.losses.dictionary import dictionary_l1, gated, jumprelu_l0, topk
from aesparse.losses.objectives import as_objective
from aesparse.metrics import Trained
from aesparse.metrics.codes import CodeQuality, code_quality
from aesparse.models.codes import BatchTopK, Gated, JumpRelu, Relu, TopK
from aesparse.models.dictionary import DictionaryModel, DictionaryParams, calibrated
from aesparse.options import check_counts, checked_numbers, shortened
from aesparse.theory.audit_inputs import checked_rows
from aesparse.theory.dictionary_audited import DictionaryAudit
from aesparse.theory.response import OPTIMIZERS, STRENGTHS, Response, response_of

__all__ = ["audit_dictionary"]

_OBJECTIVES = {  # with which a model of this rule is published
    Relu: dictionary_l1,
    TopK: topk,
    BatchTopK: topk,
    JumpRelu: jumprelu_l0,
    Gated: gated,
}
_STEPS = 50  # of Adam, before the one that is looked at
_FAR = 40.0  # standard deviations, beyond which no Gaussian number is in float64


def audit_dictionary(
    model: DictionaryModel,
    X: Array | np.ndarray,
    objective: Objective | str | None = None,
    *,
    params: DictionaryParams | None = None,
    coefficients: Mapping[str, float] | None = None,
    batch: int = 50,
) -> DictionaryAudit:
    """How sparse the codes of a sparse auto-encoder are on X, and which part of its loss acts.

    Four answers: L0, dead units and explained variance on X; how many units are expected to be
    active and dead from mean and covariance of X alone, as it is and centred; which parts of the
    loss move the biases, and the thresholds of JumpReLU; and the strength λ beyond which the step
    of Adam no longer changes, since Adam divides a gradient by its size. All is in float64, at one
    model; it is no forecast of a training.

    A unit's prediction is P(a_j > t_j) of a Gaussian a_j: t_j = 0 for a ReLU, θ_j for JumpReLU,
    max(0, b_j − c_j e^{−r_j}) for a gated unit, and for the k largest the one t >= 0 at which k
    units are active on average, which is an approximation for `TopK`.

    Args:
        model: the model.
        X: data `[N, n]`, of which at most 2,000 rows are used.
        objective: of the training; by default the one with which the model's rule is published,
            without auxiliary loss.
        params: of the model, such as `params` of `read_published`; by default fresh ones, those of
            `BatchTopK` calibrated on X.
        coefficients: the objective's numbers by name, but for the strength; none by default.
        batch: B of the training, for the gradients; 50 by default.

    Raises:
        InputError: for other models and rules, parameters that do not fit model and data, missing
            coefficients, and defective data.

    >>> from aesparse.models.codes import JumpRelu
    >>> X = np.random.default_rng(0).normal(size=(200, 8)) + 2.0
    >>> model = DictionaryModel(16, JumpRelu(bandwidth=0.1))
    >>> result = audit_dictionary(model, X)
    >>> result.moves_bias, bool(np.any(result.threshold_gradients["penalty"]))
    (('reconstruction',), True)
    >>> bool(abs(result.quality.l0 - result.predicted_active.sum()) < 1)
    True
    >>> result.predicted_dead > result.centred_dead  # centred, all units are active half the time
    True
    """
    if not isinstance(model, DictionaryModel) or type(model.rule) not in _OBJECTIVES:
        raise InputError(
            f"The model is {shortened(model)}; expected a DictionaryModel with one of the rules "
            f"{', '.join(rule.__name__ for rule in _OBJECTIVES)}."
        )
    objective = _OBJECTIVES[type(model.rule)]() if objective is None else as_objective(objective)
    coefficients = _checked_coefficients(objective, coefficients or {})
    check_counts({"batch": batch})
    _, X = checked_rows(X)
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):  # optax relies on it
        params = _checked_params(model, X, params)
        batches = _batches(X, batch)
        parts, losses = jax.device_get(
            _gradients(params, batches, coefficients, model=model, objective=objective)
        )
        return DictionaryAudit(
            quality=jax.device_get(_quality(params, X, model=model, objective=objective)),
            samples=len(X),
            predicted_active=_predicted(model, params, X, centred=False),
            centred_active=_predicted(model, params, X, centred=True),
            bias_gradients=_means(parts, "bias"),
            threshold_gradients=_means(parts, "log_threshold"),
            responses=_responses(losses) if "strength" in objective.coefficients else {},
        )


def _checked_coefficients(
    objective: Objective, coefficients: Mapping[str, float]
) -> dict[str, np.ndarray]:
    """The coefficients but for the strength; `InputError` unless they are the objective's."""
    needed = set(objective.coefficients) - {"strength"}
    if not isinstance(coefficients, Mapping) or set(coefficients) != needed:
        names = f"a mapping with the names {sorted(needed)}" if needed else "None"
        raise InputError(
            f"The coefficients are {shortened(coefficients)}; expected {names}, for the "
            "coefficients of the objective but for its strength."
        )
    values = {name: checked_numbers(value, f"'{name}' is") for name, value in coefficients.items()}
    return {name: np.asarray(value, np.float64) for name, value in values.items()}


def _checked_params(
    model: DictionaryModel, X: Float[np.ndarray, "N n"], params: DictionaryParams | None
) -> DictionaryParams:
    """`params` in float64, or fresh ones; `InputError` unless they fit the model and the data."""
    fresh = model.init(jax.random.key(0), X.shape[1])
    if params is None:
        return calibrated(model, fresh, X) if isinstance(model.rule, BatchTopK) else fresh
    shapes = jax.tree.map(np.shape, (params, fresh))
    if not isinstance(params, DictionaryParams) or shapes[0] != shapes[1]:
        came = shapes[0] if isinstance(params, DictionaryParams) else f"a {type(params).__name__}"
        raise InputError(
            f"params are {came}; expected {shapes[1]}: one model on data of {X.shape[1]} inputs. "
            "Select one model of a grid."
        )
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, X.dtype), params)
    thresholds = () if params.log_threshold is None else jnp.exp(params.log_threshold)
    leaves = jax.tree.leaves((params._replace(log_threshold=None), thresholds))
    if not all(bool(jnp.isfinite(leaf).all()) for leaf in leaves):
        raise InputError("params hold NaN or inf; expected finite numbers.")
    return params


@functools.partial(jax.jit, static_argnames=("model", "objective"))
def _quality(params, X, *, model, objective) -> CodeQuality:
    return code_quality(Trained(model, objective, params, {}, jax.random.key(0)), X)


def _batches(X: Float[np.ndarray, "N n"], size: int) -> Float[np.ndarray, "K B n"]:
    """All rows but a remainder, in random order; one batch of all where there are fewer."""
    size = min(size, len(X))
    order = np.random.default_rng(0).permutation(len(X))[: len(X) // size * size]
    return X[order].reshape(-1, size, X.shape[1])


@functools.partial(jax.jit, static_argnames=("model", "objective"))
def _gradients(params, batches, coefficients, *, model, objective):
    """Of every part, and of the loss at strengths 0 and 1, per batch; by biases and thresholds."""
    names = ["bias"] + ["log_threshold"] * isinstance(model.rule, JumpRelu)
    moved = {name: getattr(params, name) for name in names}

    def of_batch(x):
        eps = jax.random.normal(jax.random.key(0), x.shape, x.dtype)

        def values(moved):
            def loss(strength):
                of_strength = {"strength": strength} if "strength" in objective.coefficients else {}
                at = params._replace(**moved)
                return objective(model, at, x, eps, coefficients | of_strength)

            return loss(1.0)[1], (loss(0.0)[0], loss(1.0)[0])

        return jax.jacrev(values)(moved)

    return jax.lax.map(of_batch, batches)


def _means(parts: Mapping[str, Mapping[str, np.ndarray]], name: str) -> dict[str, np.ndarray]:
    """Each part's gradient by the parameter `name`, mean over batches; none if it has no such."""
    return {part: of[name].mean(axis=0) for part, of in parts.items() if name in of}


def _responses(losses: tuple[Mapping[str, np.ndarray], ...]) -> dict[str, Response]:
    """Adam's last of several steps over strengths, of each parameter."""
    without, with_strength = losses
    steps = {}
    for name, rest in without.items():
        order = np.arange(max(_STEPS, len(rest))) % len(rest)
        changes = _adam(rest[order], (with_strength[name] - rest)[order])
        steps[name] = response_of(np.asarray(changes))
    return steps


@jax.jit
def _adam(rest: Float[Array, "S m"], penalty: Float[Array, "S m"]) -> Float[Array, "L m"]:
    """The change by the last step on rest + λ penalty, for all strengths; last for λ → ∞."""
    optimizer = OPTIMIZERS["adam"]

    def change(of_rest, of_penalty):
        def step(carry, gradients):
            state, _ = carry
            direction, state = optimizer.update(
                of_rest * gradients[0] + of_penalty * gradients[1], state
            )
            return (state, direction), None

        start = jnp.zeros_like(rest[0])
        (_, last), _ = jax.lax.scan(step, (optimizer.init(start), start), (rest, penalty))
        return -last

    of_rest, of_penalty = np.append(np.ones_like(STRENGTHS), 0.0), np.append(STRENGTHS, 1.0)
    return jax.vmap(change)(of_rest, of_penalty)


def _predicted(
    model: DictionaryModel, params: DictionaryParams, X: Float[np.ndarray, "N n"], *, centred: bool
) -> Float[np.ndarray, " m"]:
    """P(unit j is active) for Gaussian a_j, from mean and covariance of X; `[m]`."""
    weight, bias = np.asarray(params.weight), np.asarray(params.bias)
    mean = bias if centred else np.asarray(model.preactivation(params, jnp.mean(X, axis=0)))
    covariance = np.cov(X, rowvar=False, bias=True).reshape(X.shape[1], X.shape[1])
    variance = np.sum((weight @ covariance) * weight, axis=1)
    spread = np.sqrt(np.maximum(variance, np.finfo(float).tiny))

    def active(threshold: np.ndarray | float) -> np.ndarray:
        return scipy.special.ndtr((mean - threshold) / spread)

    return active(_thresholds(model, params, active, mean, spread))


def _thresholds(
    model: DictionaryModel,
    params: DictionaryParams,
    active: Callable[[float], np.ndarray],
    mean: Float[np.ndarray, " m"],
    spread: Float[np.ndarray, " m"],
) -> Float[np.ndarray, " m"] | float:
    """Above which a_j makes a unit active; the same for all where the k largest are."""
    match model.rule:
        case TopK(k=k) | BatchTopK(k=k):
            ends = np.min(mean - _FAR * spread), np.max(mean + _FAR * spread)
            return max(0.0, scipy.optimize.brentq(lambda t: np.sum(active(t)) - k, *ends))
        case JumpRelu():
            return np.exp(np.asarray(params.log_threshold))
        case Gated():
            log_scale, bias = map(np.asarray, params.gate)
            return np.maximum(0.0, np.asarray(params.bias) - bias * np.exp(-log_scale))
    return 0.0
