"""One trainer for every model, objective, optimizer and grid: each equals its plain loop."""

import dataclasses
import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import plain_loop
import pytest
from plain_loop import COLUMNS, FREE, NONNEGATIVE, RESCALED, UNIT, clipped_adam, from_optax, sgd

import aesparse as ae
from aesparse.losses.objectives import regularized
from aesparse.losses.probed import contractive_probed
from aesparse.models.constraints import Constraint
from aesparse.models.flax import FlaxModel
from aesparse.models.one_layer import OneLayer

N, INPUTS, HIDDEN = 43, 6, 5  # of 43 samples in batches of 10 the last 3 are left out
EXACT = 1e-9
SHARE = 1e-6  # means of conditions are float32
KEY = 7
RELU = OneLayer(HIDDEN)
GRID = {"strength": [0.0, 0.1, 0.5], "learning_rate": 0.02, "seed": [3, 5]}

pytestmark = pytest.mark.usefixtures("x64")


def data():
    return np.random.default_rng(1).normal(size=(N, INPUTS))


def key(stage=None):
    return jax.random.key(KEY) if stage is None else jax.random.fold_in(jax.random.key(KEY), stage)


def fit(model, objective, sweep, **options):
    defaults = {"key": key(), "epochs": 2, "batch_size": 10, "check_compiled": False}
    return ae.fit(data(), model, objective, sweep=sweep, **defaults | options)


def points(sweep):
    """Index and coordinates of every model: the product of the axes, in the mapping's order."""
    fixed = {name: value for name, value in sweep.items() if np.ndim(value) == 0}
    axes = [
        [dict(zip(names, row, strict=True)) for row in values]
        if isinstance(names, tuple)
        else [{names: value} for value in values]
        for names, values in sweep.items()
        if np.ndim(values) > 0
    ]
    for index in itertools.product(*(range(len(axis)) for axis in axes)):
        chosen = (axis[i] for axis, i in zip(axes, index, strict=True))
        coordinates = dict(fixed)
        for named in chosen:
            coordinates |= named
        yield index, coordinates


def at(tree, index):
    return jax.tree.map(lambda leaf: leaf[index], tree)


def relative(a, b):
    """The difference of two trees, leaf by leaf, in relative Frobenius norm; the largest."""
    assert jax.tree.structure(a) == jax.tree.structure(b)
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    pairs = [(np.asarray(x, float), np.asarray(y, float)) for x, y in pairs]
    assert all(x.shape == y.shape for x, y in pairs)
    return max(np.linalg.norm(x - y) / max(np.linalg.norm(y), 1e-300) for x, y in pairs)


def default_sgd(coordinates):
    return sgd(coordinates["learning_rate"], coordinates.get("momentum", 0.9))


def compare(result, sweep, model, loss, *, optimizer=default_sgd, start=None, stage=None, **how):
    """Every model of the result against its plain loop; the loops by index."""
    loops, sizes = {}, result.shape
    for index, coordinates in points(sweep):
        seed = coordinates.get("seed", 0)
        if start is None:
            params = model.init(plain_loop.start_key(key(stage), seed), INPUTS)
            params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
        else:
            params = at(start, index)
        steps = optimizer(coordinates)
        loop = plain_loop.train(
            key(stage), data(), params, loss, steps, coordinates, seed=seed, **how
        )
        assert relative(at(result.params, index), loop.params) <= EXACT, coordinates
        assert set(result.losses) == set(loop.losses)
        for name, values in loop.losses.items():
            np.testing.assert_allclose(result.losses[name][index], values, rtol=EXACT, atol=1e-12)
        loops[index] = loop
    assert len(loops) == np.prod(sizes, dtype=int)
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(result.params))
    assert (np.asarray(result.diverged_epoch) == -1).all()
    return loops


ARPIT = [
    ("dae", plain_loop.denoising, "unit", UNIT),
    ("cae", plain_loop.contractive, "unit", UNIT),
    ("cae", plain_loop.contractive, "unit-rescale", RESCALED),
]


@pytest.mark.parametrize(("name", "loss", "constraint", "plain"), ARPIT)
def test_arpits_grid(name, loss, constraint, plain):
    result = fit(RELU, name, GRID, constraint=constraint)
    assert result.shape == (3, 2)
    compare(result, GRID, RELU, loss, constraint=plain)
    np.testing.assert_allclose(np.linalg.norm(result.params.weight, axis=-1), 1, rtol=1e-12)
    ends = [at(result.params, index) for index, _ in points(GRID)]
    for (i, a), (j, b) in itertools.combinations(enumerate(ends), 2):
        # CAE's gradient with ReLU is radial: on the tangent space every strength is the same.
        same = (name, constraint) == ("cae", "unit") and i % 2 == j % 2
        assert relative(a, b) <= EXACT if same else relative(a, b) > 1e-4


def test_learning_rates_zipped_with_strengths_behind_the_seeds():
    rows = [[0.0, 0.03], [0.2, 0.01], [0.6, 0.02]]
    sweep = {"seed": [5, 3], ("strength", "learning_rate"): rows}
    result = fit(RELU, "dae", sweep, constraint="unit")
    assert result.shape == (2, 3)
    compare(result, sweep, RELU, plain_loop.denoising, constraint=UNIT)


def test_the_programs_check_passes_and_changes_nothing():
    checked = fit(RELU, "dae", GRID, constraint="unit", check_compiled=True)
    assert checked.guard <= 1e-10
    unchecked = fit(RELU, "dae", GRID, constraint="unit")
    jax.tree.map(np.testing.assert_array_equal, checked.params, unchecked.params)


def test_momentum_is_an_axis_like_any_other():
    sweep = {"momentum": [0.0, 0.5, 0.95], "strength": 0.1, "learning_rate": 0.02, "seed": [3]}
    result = fit(RELU, "dae", sweep, constraint="unit")
    assert result.shape == (3, 1)
    compare(result, sweep, RELU, plain_loop.denoising, constraint=UNIT)


def test_rate_momentum_and_seed_have_the_papers_defaults():
    result = fit(RELU, "dae", {"strength": [0.1]}, constraint="unit")
    default = {"strength": [0.1], "learning_rate": 0.001, "momentum": 0.9, "seed": 0}
    compare(result, default, RELU, plain_loop.denoising, constraint=UNIT)


def test_numbers_alone_make_one_model_without_axes():
    one = {"strength": 0.5, "learning_rate": 0.02, "seed": 5}
    result = fit(RELU, "dae", one, constraint="unit")
    assert result.shape == ()
    compare(result, one, RELU, plain_loop.denoising, constraint=UNIT)
    grid = fit(RELU, "dae", GRID, constraint="unit")
    assert relative(result.params, at(grid.params, (2, 1))) <= EXACT
    assert relative(grid.select(strength=0.5, seed=5).params, at(grid.params, (2, 1))) == 0


# A pair of flax modules


NORMAL = nn.initializers.normal(0.3)


def modules():
    # In float64 from the start: float32 parameters are rounded otherwise by a compiled start.
    inner, code, out = (
        nn.Dense(units, param_dtype=np.float64, bias_init=NORMAL) for units in (4, HIDDEN, INPUTS)
    )
    return nn.Sequential([inner, jnp.tanh, code, nn.sigmoid]), out


def deep_denoising(params, x, eps, c):
    first, second = (params["encoder"]["params"][f"layers_{i}"] for i in (0, 2))
    decoder = params["decoder"]["params"]
    h = (x + jnp.sqrt(c["strength"]) * eps) @ first["kernel"] + first["bias"][None]
    h = jnp.tanh(h) @ second["kernel"] + second["bias"][None]
    y = 1 / (1 + jnp.exp(-h)) @ decoder["kernel"] + decoder["bias"][None]
    error = plain_loop.squared(x, y)
    return error, {"reconstruction": error}


def deep_contractive(params, x, eps, c):
    """The Jacobian by the chain rule, times the signs of the noise."""
    first, second = (params["encoder"]["params"][f"layers_{i}"] for i in (0, 2))
    inner = jnp.tanh(x @ first["kernel"] + first["bias"][None])
    code = 1 / (1 + jnp.exp(-(inner @ second["kernel"] + second["bias"][None])))
    pushed = jnp.where(eps > 0, 1.0, -1.0) @ first["kernel"] * (1 - inner**2)
    pushed = pushed @ second["kernel"] * code * (1 - code)
    penalty = jnp.sum(pushed**2) / len(x)
    error, parts = deep_denoising(params, x, eps, {"strength": 0.0})
    return error + c["strength"] * penalty, {**parts, "penalty": penalty}


DEEP = {
    "denoising": ("dae", deep_denoising),
    "contractive": (regularized(contractive_probed()), deep_contractive),
}


@pytest.mark.long
@pytest.mark.parametrize("kind", DEEP)
def test_a_pair_of_flax_modules(kind):
    objective, loss = DEEP[kind]
    model = FlaxModel(*modules())
    sweep = {"strength": [0.0, 0.3], "seed": [1, 4], "learning_rate": 0.05}
    result = fit(model, objective, sweep)
    compare(result, sweep, model, loss)
    again = FlaxModel(*modules())
    assert model == again
    assert hash(model) == hash(again)


def test_a_pair_of_flax_modules_starts_as_flax_says():
    """What the loops above take from the model is here typed again."""
    coder, decoder = modules()
    start = FlaxModel(coder, decoder).init(key(), INPUTS)
    key_e, key_d = jax.random.split(key())
    code, variables = coder.init_with_output(key_e, jnp.zeros((1, INPUTS)))
    expected = {"encoder": variables, "decoder": decoder.init(key_d, code)}
    jax.tree.map(np.testing.assert_array_equal, start, expected)


# A path along growing strengths: a loop over `fit`


@pytest.mark.parametrize(("name", "plain"), [("unit-columns", COLUMNS), (None, FREE)])
def test_a_path_of_growing_strengths(name, plain):
    model = OneLayer(HIDDEN, "shrink", tied=False, decoder_bias=True)
    previous, how = None, {"batch_size": 3, "epochs": 1}  # 14 updates, of which the 10th projects
    for stage, alpha in enumerate([0.05, 0.2, 0.6]):
        sweep = {"strength": [alpha, 2 * alpha], "seed": [3, 5], "learning_rate": 0.02}
        result = fit(model, "satae", sweep, constraint=name, start=previous, key=key(stage), **how)
        start = previous and previous.params
        compare(
            result, sweep, model, plain_loop.saturating,
            constraint=plain, start=start, stage=stage, size=3, epochs=1,
        )  # fmt: skip
        previous = result
    lengths = np.linalg.norm(previous.params.decoder, axis=-2)
    assert np.abs(lengths - 1).max() > 1e-6


def test_a_start_is_a_result_or_its_parameters():
    first = fit(RELU, "dae", GRID, constraint="unit")
    again = {"constraint": "unit", "key": key(1), "epochs": 1}
    warm = fit(RELU, "dae", GRID, start=first, **again)
    given = fit(RELU, "dae", GRID, start=first.params, **again)
    jax.tree.map(np.testing.assert_array_equal, warm.params, given.params)
    how = {"constraint": UNIT, "start": first.params, "stage": 1, "epochs": 1}
    compare(warm, GRID, RELU, plain_loop.denoising, **how)


# Any optimizer of optax


@optax.inject_hyperparams
def adam_with_schedule(learning_rate):
    return optax.chain(
        optax.clip_by_global_norm(0.5),
        optax.scale_by_adam(),
        optax.scale_by_schedule(optax.cosine_decay_schedule(1.0, 20)),
        optax.scale(-learning_rate),
    )


ADAM_GRID = {"strength": [0.1, 0.4], "learning_rate": [0.02, 0.05], "seed": [3, 5]}


def adam(coordinates):
    return clipped_adam(coordinates["learning_rate"])


@pytest.mark.long
def test_adam_with_a_schedule_and_clipping():
    optimizer = adam_with_schedule(learning_rate=0.01)
    result = fit(RELU, "dae", ADAM_GRID, optimizer=optimizer, epochs=3)
    assert result.shape == (2, 2, 2)
    how = {"optimizer": adam, "epochs": 3}
    loops = compare(result, ADAM_GRID, RELU, plain_loop.denoising, **how)
    norms = np.concatenate([loop.norms for loop in loops.values()])
    assert (norms > 0.5).any()  # some gradients are clipped
    default = fit(RELU, "dae", {"strength": [0.1], "seed": 3}, optimizer=optimizer, epochs=3)
    swept = {"strength": [0.1], "learning_rate": 0.01, "seed": 3}
    compare(default, swept, RELU, plain_loop.denoising, **how)


def test_adam_on_unit_rows():
    """Gradient and first moment are projected, the second moment is not."""
    how = {"constraint": "unit", "epochs": 3, "optimizer": adam_with_schedule(learning_rate=0.01)}
    result = fit(RELU, "cae", ADAM_GRID, **how)
    np.testing.assert_allclose(np.linalg.norm(result.params.weight, axis=-1), 1, rtol=1e-12)
    how = {"constraint": UNIT, "epochs": 3}
    loops = compare(result, ADAM_GRID, RELU, plain_loop.contractive, optimizer=adam, **how)
    for (index, loop), (_, point) in zip(loops.items(), points(ADAM_GRID), strict=True):
        # Another reading, the moment left as it is, leads elsewhere.
        start = loop.epochs[0]
        unprojected = clipped_adam(point["learning_rate"], projected=False)
        other = plain_loop.train(
            key(), data(), start, plain_loop.contractive, unprojected, point,
            seed=point["seed"], **how,
        )  # fmt: skip
        assert relative(at(result.params, index), other.params) > 1e4 * EXACT


def test_weight_decay_is_an_axis_and_sees_the_parameters():
    sweep = {"strength": 0.1, "weight_decay": [0.0, 0.3], "learning_rate": [0.01, 0.03], "seed": 3}
    optimizer = optax.inject_hyperparams(optax.adamw)(learning_rate=0.1)
    result = fit(RELU, "dae", sweep, optimizer=optimizer)
    assert result.shape == (2, 2)

    def plain(point):
        rate, decay = point["learning_rate"], point["weight_decay"]
        return from_optax(optax.adamw(rate, weight_decay=decay))

    compare(result, sweep, RELU, plain_loop.denoising, optimizer=plain)


def test_an_optimizer_without_hyperparameters():
    sweep = {"strength": [0.1, 0.4], "seed": [3]}
    optimizer = optax.sgd(0.02, momentum=0.8, nesterov=True)
    result = fit(RELU, "dae", sweep, optimizer=optimizer)
    compare(
        result, sweep, RELU, plain_loop.denoising, optimizer=lambda point: from_optax(optimizer)
    )


# Parts of the user's own


@dataclasses.dataclass(frozen=True)
class TopK:
    units: int
    k: int

    def init(self, key, n):
        return {"W": jax.random.normal(key, (self.units, n)) / n**0.5}

    def encode(self, params, x):
        a = x @ params["W"].T
        return jnp.where(a >= jax.lax.top_k(a, self.k)[0][..., -1:], a, 0.0)

    def decode(self, params, h):
        return h @ params["W"]


def top_k_denoising(params, x, eps, c):
    a = (x + jnp.sqrt(c["strength"]) * eps) @ params["W"].T
    larger = jnp.sum(a[:, None, :] > a[:, :, None], axis=-1)  # units above each
    error = plain_loop.squared(x, jnp.where(larger < 2, a, 0.0) @ params["W"])
    return error, {"reconstruction": error}


def test_a_code_of_the_k_largest():
    model = TopK(HIDDEN, 2)
    sweep = {"strength": [0.0, 0.3], "seed": [3, 5], "learning_rate": 0.02}
    result = fit(model, "dae", sweep)
    loops = compare(result, sweep, model, top_k_denoising)
    for index, loop in loops.items():
        a = data() @ loop.params["W"].T
        code = np.where(np.argsort(np.argsort(-a)) < 2, a, 0.0)
        known = {
            "activation_fraction": 2 / HIDDEN,
            "dead_fraction": np.mean((code == 0).all(axis=0)),
            "reconstruction": np.mean(np.sum((data() - code @ loop.params["W"]) ** 2, axis=1)),
        }
        for name, value in known.items():
            np.testing.assert_allclose(getattr(result.final, name)[index], value, rtol=SHARE)
    warm = fit(model, "dae", sweep, start=result, key=key(1))
    compare(warm, sweep, model, top_k_denoising, start=result.params, stage=1)


def test_a_plain_code_of_the_k_largest_has_no_strength():
    model = TopK(HIDDEN, 2)
    result = fit(model, "ae", {"seed": [3, 5], "learning_rate": 0.02})
    known = fit(model, "dae", {"strength": 0.0, "seed": [3, 5], "learning_rate": 0.02})
    assert relative(result.params, known.params) <= EXACT


def test_a_users_constraint():
    positive = Constraint(
        tangent=lambda params, direction: direction,
        project=lambda params: params._replace(weight=jax.nn.relu(params.weight)),
    )
    result = fit(RELU, "dae", GRID, constraint=positive)
    assert (result.params.weight >= 0).all()
    assert (result.params.weight == 0).any()
    compare(result, GRID, RELU, plain_loop.denoising, constraint=NONNEGATIVE)


def noisy_and_quiet(model, params, x, eps, coefficients):
    noisy = x + jnp.sqrt(coefficients["corruption"]) * eps
    error = jnp.mean(jnp.sum((x - model.decode(params, model.encode(params, noisy))) ** 2, axis=1))
    activity = jnp.sum(jnp.mean(model.encode(params, x), axis=0) ** 2)
    parts = {"reconstruction": error, "activity": activity}
    return error + coefficients["beta"] * activity, parts


def quiet(p, x, eps, c, s=plain_loop.relu):
    error, parts = plain_loop.denoising(p, x, eps, {"strength": c["corruption"]}, s)
    activity = jnp.sum((jnp.sum(s(plain_loop.preactivation(p, x)), axis=0) / len(x)) ** 2)
    return error + c["beta"] * activity, {**parts, "activity": activity}


def test_a_users_objective_names_its_coefficients():
    sweep = {"beta": [0.0, 1.0], "corruption": [0.0, 0.3], "seed": 3, "learning_rate": 0.02}
    result = fit(RELU, noisy_and_quiet, sweep)
    assert result.shape == (2, 2)
    compare(result, sweep, RELU, quiet)


def leaky(a):
    return jnp.where(a > 0, a, 0.1 * a)


def leaky_quiet(p, x, eps, c):
    coefficients = {"corruption": 0.0, "beta": c["strength"]}
    loss, parts = quiet(p, x, eps, coefficients, leaky)
    return loss, {"reconstruction": parts["reconstruction"], "penalty": parts["activity"]}


def test_a_users_activation_and_penalty():
    penalty = regularized(lambda forward, eps: jnp.sum(jnp.mean(forward.code, 0) ** 2))
    model = OneLayer(HIDDEN, leaky)
    result = fit(model, penalty, GRID, constraint="unit")
    compare(result, GRID, model, leaky_quiet, constraint=UNIT)


# Measurements, and how the grid is run


def code_sums(trained, x):
    code = trained.model.encode(trained.params, x)
    return {"sum": jnp.sum(code, axis=0), "strength": trained.coefficients["strength"]}


def known_sums(params, rows):
    return np.maximum(data()[:rows] @ params.weight.T + params.bias, 0).sum(axis=0)


def test_a_users_measurement_before_training_and_after_every_epoch():
    sweep = {"strength": [0.1, 0.5], "seed": [3], "learning_rate": 0.02}
    how = {"constraint": "unit", "epochs": 3, "history_samples": 25, "measure": code_sums}
    result = fit(RELU, "dae", sweep, **how)
    np.testing.assert_array_equal(result.history_epochs, [0, 1, 2, 3])
    loops = compare(result, sweep, RELU, plain_loop.denoising, constraint=UNIT, epochs=3)
    for (index, loop), (_, point) in zip(loops.items(), points(sweep), strict=True):
        sums = np.stack([known_sums(params, 25) for params in loop.epochs], axis=-1)
        np.testing.assert_allclose(result.history["sum"][index], sums, rtol=EXACT)
        np.testing.assert_allclose(result.final["sum"][index], known_sums(loop.params, N), EXACT)
        np.testing.assert_array_equal(result.history["strength"][index], [point["strength"]] * 4)
    some = fit(RELU, "dae", sweep, **how, history_epochs=[1, 3])
    np.testing.assert_array_equal(some.history_epochs, [1, 3])
    np.testing.assert_allclose(some.history["sum"], result.history["sum"][..., [1, 3]], 1e-12)
    named = fit(RELU, "dae", sweep, **how | {"measure": {"own": code_sums}})
    np.testing.assert_allclose(named.history["own"]["sum"], result.history["sum"], rtol=1e-12)
    np.testing.assert_allclose(named.final["own"]["sum"], result.final["sum"], rtol=1e-12)


def test_units_of_one_layer_are_counted_by_default():
    result = fit(RELU, "dae", GRID, constraint="unit")
    for index, _ in points(GRID):
        params = at(result.params, index)
        active = data() @ params.weight.T + params.bias > 0
        found = at(result.final, index)
        np.testing.assert_allclose(found.activation_fraction, active.mean(), rtol=SHARE)
        np.testing.assert_allclose(found.bias_mean, params.bias.mean(), rtol=EXACT)
    assert result.history.activation_fraction.shape == (3, 2, 3)


@pytest.mark.parametrize("models", [1, 2, 4])
def test_chunks_change_only_how_the_grid_is_run(models):
    rows = np.array([[0.0, 0.03], [0.2, 0.01], [0.6, 0.02]])
    sweep = {"seed": range(3, 5), ("strength", "learning_rate"): rows}
    whole = fit(RELU, "dae", sweep, constraint="unit")
    chunked = fit(RELU, "dae", sweep, constraint="unit", models_per_program=models)
    assert chunked.shape == (2, 3)
    for name in ("params", "losses", "history", "final"):
        assert relative(getattr(chunked, name), getattr(whole, name)) <= EXACT
    np.testing.assert_array_equal(chunked.diverged_epoch, whole.diverged_epoch)


def test_parameters_that_are_not_kept():
    whole = fit(RELU, "dae", GRID, constraint="unit")
    without = fit(RELU, "dae", GRID, constraint="unit", keep_params=False)
    assert without.params is None
    jax.tree.map(np.testing.assert_array_equal, without.losses, whole.losses)
    jax.tree.map(np.testing.assert_array_equal, without.final, whole.final)


def test_every_epochs_measurements_are_reported():
    reported = []
    result = fit(RELU, "cae", GRID, on_epoch=lambda *epoch: reported.append(epoch))
    assert [epoch for epoch, _ in reported] == [1, 2]
    values = result.history.reconstruction
    assert values.shape == (3, 2, 3)
    each = np.stack([measured.reconstruction for _, measured in reported], axis=-1)
    np.testing.assert_array_equal(each.reshape(3, 2, 2), values[..., 1:])


# Models that diverge


def test_a_model_that_diverges_leaves_its_neighbours_as_they_are():
    rates, healthy = [0.02, 1e6, 0.03], [0.02, 0.01, 0.03]
    sweep = {"strength": 0.1, "learning_rate": rates, "seed": [3, 5]}
    result = fit(RELU, "dae", sweep)
    assert (result.diverged_epoch[1] >= 1).all()
    assert (result.diverged_epoch[[0, 2]] == -1).all()
    assert not np.isfinite(result.losses["loss"][1]).all(axis=-1).any()
    known = fit(RELU, "dae", sweep | {"learning_rate": healthy})
    for tree in ("params", "losses", "history", "final"):
        found, expected = (at(getattr(r, tree), [0, 2]) for r in (result, known))
        jax.tree.map(np.testing.assert_array_equal, found, expected)
    assert (known.diverged_epoch == -1).all()


def undefined_at_large_strengths(model, params, x, eps, coefficients):
    loss, parts = noisy_and_quiet(model, params, x, eps, {"corruption": 0.0, "beta": 0.0})
    return loss + jnp.where(coefficients["beta"] > 1, jnp.nan, 0.0), parts


def test_a_loss_that_is_no_number_counts_as_diverged_though_parameters_are_finite():
    sweep = {"beta": [0.0, 2.0, 1.0], "seed": [3], "learning_rate": 0.02}
    result = fit(RELU, undefined_at_large_strengths, sweep)
    np.testing.assert_array_equal(result.diverged_epoch, [[-1], [1], [-1]])
    assert np.isnan(result.losses["loss"][1]).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(result.params))
    # Its gradients are those of the auto-encoder.
    plain = fit(RELU, "ae", {"seed": [3], "learning_rate": 0.02}).params
    for k in range(3):
        assert relative(at(result.params, k), plain) <= EXACT


def test_a_penalty_that_is_no_number_counts_as_diverged():
    def hidden_nan(forward, eps):
        return jnp.where(jnp.isfinite(forward.code[0, 0]), jnp.nan, jnp.mean(forward.code))

    sweep = {"strength": [0.1, 0.5], "seed": 3, "learning_rate": 0.02}
    result = fit(RELU, regularized(hidden_nan), sweep)
    np.testing.assert_array_equal(result.diverged_epoch, [1, 1])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(result.params))
    plain = fit(RELU, "ae", {"seed": 3, "learning_rate": 0.02}).params
    assert relative(at(result.params, 0), plain) <= EXACT
