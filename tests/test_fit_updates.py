"""The updates of a training: constraints, noise, starts and precision, against typed loops."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import plain_loop
import pytest
from scipy.special import expit
from scipy.stats import kstest
from small_fit import RELU, SWEEP, data, fit, relative, same_bits

import aesparse as ae
from aesparse.errors import InputError
from aesparse.losses.objectives import Objective, composed, get_objective, regularized
from aesparse.losses.penalties import contractive_generic
from aesparse.models.constraints import as_constraint
from aesparse.models.one_layer import OneLayer, Params


def frozen_bias(params, direction):
    tangent = plain_loop.UNIT.tangent(params, direction)
    return tangent._replace(bias=np.zeros_like(tangent.bias))


def in_ball(radius):
    def project(params):
        rows = [w * min(1.0, radius / np.sqrt(w @ w)) for w in params.weight]
        return params._replace(weight=np.stack(rows))

    return project


RADII = {"max-norm": 1.0, "max-norm-0.8": 0.8, "max-norm-1.05": 1.05}
OTHER_CONSTRAINTS = {  # those that test_fit.py has no loop of
    "unit-frozen-bias": plain_loop.Constraint(frozen_bias, plain_loop.UNIT.project),
    **{name: plain_loop.Constraint(project=in_ball(radius)) for name, radius in RADII.items()},
}


@pytest.mark.parametrize("name", OTHER_CONSTRAINTS)
def test_training_equals_its_plain_loop(name, x64):
    X, key = data(samples=105, dtype=np.float64), jax.random.key(7)
    coefficients = {"strength": 0.3, "learning_rate": 0.05, "momentum": 0.8, "seed": 3}
    result = fit(X=X, constraint=name, sweep=coefficients)
    start = RELU.init(plain_loop.start_key(key, 3), 6)
    start = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), start)
    loop = plain_loop.train(
        key, X, start, plain_loop.denoising, plain_loop.sgd(0.05, 0.8), coefficients,
        seed=3, constraint=OTHER_CONSTRAINTS[name],
    )  # fmt: skip
    assert relative(result.params.weight, loop.params.weight) <= 1e-10
    np.testing.assert_allclose(result.params.bias, loop.params.bias, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(result.losses["loss"], loop.losses["loss"], rtol=1e-10)
    lengths = np.linalg.norm(result.params.weight, axis=-1)
    if name in RADII:
        assert name == "max-norm-0.8" or 0.1 < lengths.min() < RADII[name] - 1e-6
        assert RADII[name] - 1e-3 < lengths.max() <= RADII[name] + 1e-12
    else:
        np.testing.assert_allclose(lengths, 1, rtol=1e-12)
        assert not np.any(result.params.bias)


def test_a_max_norm_is_one_constraint_by_number_and_by_name():
    assert ae.max_norm(2) == ae.max_norm(2.0) == as_constraint("max-norm-2")
    assert ae.max_norm(1) == as_constraint("max-norm")
    assert hash(ae.max_norm(1)) == hash(as_constraint("max-norm"))
    assert ae.max_norm(0.5) != ae.max_norm(2)


@pytest.mark.parametrize("radius", [0, -1.0, np.nan, np.inf, "2", None, [1.0, 2.0]])
def test_a_radius_that_is_none_is_refused(radius):
    with pytest.raises(InputError, match="radius"):
        ae.max_norm(radius)


@pytest.mark.parametrize("name", ["max-norm-", "max-norm-two", "max-norm2", "norm-2"])
def test_a_max_norm_without_a_radius_is_an_unknown_name(name):
    with pytest.raises(InputError, match="max-norm"):
        as_constraint(name)


def test_every_update_has_new_noise_of_unit_variance():
    """Mean and variance of ε[0, 0] over the 100 updates of each of 4 epochs."""

    def reporting(model, params, x, eps, coefficients):
        loss, parts = get_objective("ae")(model, params, x, eps, coefficients)
        return loss, parts | {"noise": eps[0, 0], "square": eps[0, 0] ** 2}

    losses = fit(Objective(reporting, ()), X=data(samples=1000), sweep=None, epochs=4).losses
    mean, square = losses["noise"], losses["square"]
    np.testing.assert_allclose(mean, 0, atol=4 / np.sqrt(100))
    np.testing.assert_allclose(square, 1, atol=4 * np.sqrt(2 / 100))  # Var[ε²] = 2
    assert len(np.unique(mean)) == 4


def test_the_mean_of_a_condition_over_an_epoch_is_its_share_of_updates():
    def reporting(model, params, x, eps, coefficients):
        loss, parts = get_objective("ae")(model, params, x, eps, coefficients)
        return loss, parts | {"positive": eps[0, 0] > 0, "noise": jnp.sign(eps[0, 0])}

    losses = fit(Objective(reporting, ()), sweep={"seed": range(3)}).losses
    np.testing.assert_allclose(losses["positive"], (1 + losses["noise"]) / 2, atol=1e-6)
    assert 0 < losses["positive"].mean() < 1


def test_weights_begin_uniform_within_glorots_bound():
    params = OneLayer(300, tied=False, decoder_bias=True).init(jax.random.key(0), 200)
    bound = np.sqrt(6 / 500)  # Glorot & Bengio 2010, eq. 16
    for leaf in (params.weight, params.decoder):
        assert kstest(np.ravel(leaf) / bound, "uniform", (-1, 2)).pvalue > 1e-3
    assert abs(np.corrcoef(np.ravel(params.weight.T), np.ravel(params.decoder))[0, 1]) < 0.02
    assert not np.any(params.bias)
    assert not np.any(params.decoder_bias)


def test_rounding_does_not_move_rows_off_the_sphere_in_200_updates():
    lengths = np.linalg.norm(fit(epochs=20).params.weight, axis=-1)
    np.testing.assert_allclose(lengths, 1, rtol=1e-6)


def test_under_unit_rows_relu_cae_and_mdae_train_exactly_like_ae(x64):
    """T13: their penalty gradient is radial; plain rescaling lets it into the momentum."""
    objective = composed(terms={"cae": "cae", "mdae": "mdae"})
    sweep = {("cae", "mdae"): [[0.0, 0], [1, 0], [0, 1]], "learning_rate": 0.02}
    for constraint, trains_alike in (("unit", True), ("unit-rescale", False)):
        result = fit(objective, X=data(dtype=np.float64), sweep=sweep, constraint=constraint)
        plain, *others = result.params.weight
        for other in others:
            difference = relative(other, plain)
            assert difference <= 1e-12 if trains_alike else difference > 1e-3


def test_products_are_computed_at_the_precision_asked_for():
    seen = set()

    def spying(model, params, x, eps, coefficients):
        seen.add((jax.config.jax_default_matmul_precision, jax.config.jax_disable_jit))
        return get_objective("ae")(model, params, x, eps, coefficients)

    sizes = {"matmul_precision": "high", "epochs": 1, "check_compiled": True}
    fit(Objective(spying, ()), sweep=None, **sizes)
    assert ("high", True) in seen  # op by op
    compiled = {precision for precision, op_by_op in seen if not op_by_op}
    assert "high" in compiled
    assert compiled <= {"high", None}  # what only looks at shapes may be before


@pytest.mark.parametrize(
    "name", ["dae", *(pytest.param(n, marks=pytest.mark.long) for n in ("cae", "edae", "dae2"))]
)
def test_strict_promotion_of_dtypes_changes_nothing(name):
    model = OneLayer(5, "sigmoid")
    usual = fit(name, model=model)
    with jax.numpy_dtype_promotion("strict"):
        strict = fit(name, model=model)
    same_bits(strict.params, usual.params)
    same_bits(strict.losses, usual.losses)


@dataclasses.dataclass(frozen=True)
class Wrapped:
    """A one-layer model as one of the user's own, of which no structure is known."""

    inner: OneLayer

    def init(self, key, n):
        return self.inner.init(key, n)

    def preactivation(self, params, x):
        return self.inner.preactivation(params, x)

    def encode(self, params, x):
        return self.inner.encode(params, x)

    def decode(self, params, h):
        return self.inner.decode(params, h)


def test_a_model_of_ones_own_trains_as_the_one_layer_model(x64):
    """CAE by its structure and by derivatives of the encoder; the code of the own is measured."""
    known, X = OneLayer(5, "sigmoid"), data(dtype=np.float64)
    own = fit(regularized(contractive_generic), X=X, model=Wrapped(known), constraint=None)
    structured = fit("cae", X=X, model=known, constraint=None)
    assert relative(own.params.weight, structured.params.weight) <= 1e-10
    np.testing.assert_allclose(own.params.bias, structured.params.bias, rtol=1e-8, atol=1e-13)
    for name, values in structured.losses.items():
        np.testing.assert_allclose(own.losses[name], values, rtol=1e-10)
    code = expit(X @ own.params.weight[1].T + own.params.bias[1])
    np.testing.assert_allclose(own.final.code_mean[1], code.mean(), rtol=1e-6)
    np.testing.assert_allclose(own.final.code_variance[1], code.var(axis=0).mean(), rtol=1e-6)


# Parameters to start from


def ones(models=3):
    return Params(np.ones((models, 5, 6), np.float32), np.zeros((models, 5), np.float32))


@pytest.mark.parametrize("models", [None, 2])
def test_parameters_to_start_from_fit_the_grid_or_are_refused(models):
    with pytest.raises(InputError, match=r"\(3, 5, 6\)"):
        fit(start=ones(4), models_per_program=models)
    with pytest.raises(InputError, match="NaN"):
        fit(start=jax.tree.map(lambda leaf: leaf * np.nan, ones()), models_per_program=models)
    pruned = ones()
    pruned.weight[2, 4] = 0
    with pytest.raises(InputError, match="zeros"):
        fit(start=pruned, models_per_program=models)


@pytest.mark.parametrize("name", ["weight", "bias"])
def test_integers_to_start_from_are_numbers(name):
    whole = ones()._replace(**{name: getattr(ones(), name).astype(int)})
    same_bits(fit(start=whole).params, fit(start=ones()).params)


def test_parameters_to_start_from_are_put_on_the_constraint():
    """Off it, the tangent map would turn the momentum around: 1 − 3·3 = −8 times too long."""
    drawn = fit(epochs=1).params
    stretched = drawn._replace(weight=3 * drawn.weight)
    again, same = (fit(start=start) for start in (stretched, drawn))
    assert relative(again.params.weight, same.params.weight) <= 1e-5
    np.testing.assert_allclose(again.history.row_length_max[..., 0], 1, rtol=1e-6)


def test_a_result_of_another_grid_is_no_start():
    with pytest.raises(InputError, match=r"\(3, 5, 6\)"):
        fit(start=fit(sweep=SWEEP | {"strength": [0.1, 0.2]}, epochs=1))
    without = fit(epochs=1, keep_params=False)
    with pytest.raises(InputError, match="keep_params"):
        fit(start=without)
