"""The grid trainer: against NumPy, against single trainings, its guard, flags and exports."""

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from jax import export
from scipy.stats import kstest

import aesparse as ae
from aesparse.losses import penalties
from aesparse.losses.objectives import Objective
from aesparse.losses.reconstruction import cross_entropy
from aesparse.metrics import Metrics, first_flagged
from aesparse.models.one_layer import CONSTRAINTS, Params, init_params
from aesparse.training import guard
from aesparse.training.draws import shuffled
from aesparse.training.program import grid_program
from aesparse.training.sharding import Cells, cell_mesh

RELU = ae.activations.get_activation("relu")
STRENGTHS = np.array([0.0, 0.1, 0.5])
# Relative error of sums of about 100 float32 products over 20 updates, with a wide margin; a
# cell that saw a neighbour's strength would differ by more than 1e-2.
FLOAT32_BOUND = 2e-4


def objective(name="dae", activation=RELU):
    return ae.objectives.get_objective(name, activation)


def data(n=6, samples=100, dtype=np.float32):
    return np.random.default_rng(1).normal(size=(samples, n)).astype(dtype)


def fit(X=None, *, name="dae", activation="relu", **options):
    # 100 samples, batch 10, 2 epochs: 20 updates
    defaults = {"hidden": 5, "epochs": 2, "batch_size": 10, "learning_rate": 0.02}
    s = ae.activations.get_activation(activation)
    defaults |= {"objective": objective(name, s), "strengths": STRENGTHS}
    return ae.fit_grid(jax.random.key(7), data() if X is None else X, **defaults | options)


def relative(a, b):
    return np.linalg.norm(np.asarray(a) - np.asarray(b)) / np.linalg.norm(np.asarray(b))


def test_a_grid_equals_single_trainings(x64):
    X = data(dtype=np.float64)
    whole = fit(X, seeds=(3, 5))
    for s, seed in enumerate((3, 5)):
        for g, strength in enumerate(STRENGTHS):
            single = fit(X, seeds=(seed,), strengths=[strength])
            assert relative(whole.params.weight[s, g], single.params.weight[0, 0]) <= 1e-10
            assert relative(whole.params.bias[s, g], single.params.bias[0, 0]) <= 1e-10


@pytest.mark.parametrize("name", ["ae", "edae", "cae", "sae", "dae2"])
def test_a_cell_does_not_depend_on_its_neighbours(name, x64):
    X = data(dtype=np.float64)
    whole = fit(X, name=name, seeds=(3, 5)).params
    turned = fit(X, name=name, seeds=(5, 3), strengths=STRENGTHS[::-1]).params
    for s, g in np.ndindex(2, 3):
        assert relative(whole.weight[s, g], turned.weight[1 - s, 2 - g]) <= 1e-10
        assert relative(whole.bias[s, g], turned.bias[1 - s, 2 - g]) <= 1e-10
    assert relative(whole.weight[0, 0], whole.weight[1, 0]) > 1e-3


@pytest.mark.long
def test_a_grid_equals_single_trainings_in_float32():
    whole = fit(seeds=(3, 5))
    for s, seed in enumerate((3, 5)):
        for g, strength in enumerate(STRENGTHS):
            single = fit(seeds=(seed,), strengths=[strength])
            difference = relative(whole.params.weight[s, g], single.params.weight[0, 0])
            assert difference <= FLOAT32_BOUND
    assert relative(whole.params.weight[0, 0], whole.params.weight[0, 1]) > 50 * FLOAT32_BOUND


@pytest.mark.long
def test_blocks_that_stay_in_the_cache_change_nothing(x64, monkeypatch):
    """Five models of 30 weights in blocks of two, the last of one; as large ones are trained."""
    X, strengths = data(dtype=np.float64), [0.0, 0.1, 0.2, 0.3, 0.5]
    whole = fit(X, strengths=strengths)
    grid_program.cache_clear()
    monkeypatch.setattr("aesparse.training.blocks.CACHE_BYTES", 2 * 3 * 8 * 30)
    blocks = fit(X, strengths=strengths)
    grid_program.cache_clear()
    for name in ("weight", "bias"):
        assert relative(getattr(blocks.params, name), getattr(whole.params, name)) <= 1e-12


@pytest.mark.long
def test_chunks_change_only_how_the_grid_is_run(x64):
    X = data(dtype=np.float64)
    told = []
    whole = fit(X, seeds=(3, 5))
    chunked = fit(X, seeds=(3, 5), cells_per_program=5, on_epoch=lambda *epoch: told.append(epoch))
    assert relative(chunked.params.weight, whole.params.weight) <= 1e-12
    assert chunked.history.activation_fraction.shape == (2, 3, 3)
    assert chunked.flagged_epoch.shape == (2, 3)
    # 5 cells are two strengths of two seeds: two chunks, the second filled up.
    assert [(epoch, m.dead_fraction.shape) for epoch, m in told] == [(1, (2, 2)), (2, (2, 2))] * 2


def test_every_chunk_has_its_own_strengths_and_rates(x64):
    X = data(dtype=np.float64)
    options = {"strengths": [0.0, 0.1, 0.2, 0.3], "learning_rate": np.array([4, 3, 2, 1]) / 100}
    whole = fit(X, **options).params.weight
    assert relative(fit(X, cells_per_program=2, **options).params.weight, whole) <= 1e-12
    assert len(np.unique(whole[0, :, 0, 0])) == 4


def test_equal_specs_give_identical_bits():
    first, second = fit(), fit()
    jax.tree.map(np.testing.assert_array_equal, first.params, second.params)
    jax.tree.map(np.testing.assert_array_equal, first.history, second.history)


@pytest.mark.long
def test_learning_rate_may_be_swept(x64):
    X = data(dtype=np.float64)
    swept = fit(X, strengths=[0.1, 0.1], learning_rate=np.array([0.01, 0.02]))
    single = fit(X, strengths=[0.1], learning_rate=0.02)
    assert relative(swept.params.weight[0, 1], single.params.weight[0, 0]) <= 1e-10


def _numpy_training(start, X, draws, constraint, *, rate, momentum, variance):
    """DAE with ReLU, gradient by hand; rows of W by hand; float64."""
    w, b = (np.array(v, np.float64) for v in start)
    mw, mb, errors = np.zeros_like(w), np.zeros_like(b), []
    for x, eps in draws:
        noisy = x + np.sqrt(variance) * eps
        a = noisy @ w.T + b
        h = np.maximum(a, 0)
        errors.append(np.sum((x - h @ w) ** 2) / len(x))
        dy = -2 * (x - h @ w) / len(x)
        da = (dy @ w.T) * (a > 0)
        mw, mb = momentum * mw + h.T @ dy + da.T @ noisy, momentum * mb + da.sum(0)
        if constraint in ("unit", "unit-frozen-bias"):
            mw = mw - np.sum(mw * w, 1, keepdims=True) * w
        w, b = w - rate * mw, b - rate * mb * (constraint != "unit-frozen-bias")
        lengths = np.linalg.norm(w, axis=1, keepdims=True)
        if constraint.startswith("unit"):
            w = w / lengths
        if constraint == "max-norm":
            w = w / np.maximum(lengths, 1)
    return w, b, np.mean(errors)


# "unit-columns" is for an own decoder; test_composition follows its columns.
@pytest.mark.parametrize("constraint", sorted(set(CONSTRAINTS) - {"unit-columns"}))
def test_training_equals_numpy_step_by_step(constraint, x64):
    X = data(samples=105, dtype=np.float64)  # the last 5 of an order are left out
    result = fit(
        X, constraint=constraint, strengths=[0.3], epochs=1, learning_rate=0.05, momentum=0.8
    )
    program = grid_program(
        objective(),
        CONSTRAINTS[constraint],
        batch_size=10,
        momentum=0.8,
        hidden=5,
        tied=True,
        decoder_bias=False,
        mesh=cell_mesh(cells=1),
    )
    key = jax.random.fold_in(jax.random.key(7), 0)
    one = Cells(np.zeros(1, int), np.full(1, 0.3), np.full(1, 0.05))
    start = program.start(key[None], jnp.asarray(X), one).params
    epoch_key = jax.random.fold_in(jax.random.fold_in(key, 1), 1)
    order_key, noise_key = jax.random.split(epoch_key)
    order = jax.random.permutation(order_key, len(X))
    assert len(np.unique(order)) == 105
    draws = [
        (
            X[order[10 * i : 10 * i + 10]],
            jax.random.normal(jax.random.fold_in(noise_key, i), (10, 6)),
        )
        for i in range(10)
    ]
    draws = [(x, np.asarray(eps)) for x, eps in draws]
    w, b, error = _numpy_training(
        (start.weight[0], start.bias[0]),
        X,
        draws,
        constraint,
        rate=0.05,
        momentum=0.8,
        variance=0.3,
    )
    assert relative(result.params.weight[0, 0], w) <= 1e-10
    assert relative(result.losses["reconstruction"][0, 0, 0], error) <= 1e-10
    lengths = np.linalg.norm(result.params.weight, axis=-1)
    if constraint.startswith("unit"):
        np.testing.assert_allclose(lengths, 1, rtol=1e-12)
    if constraint == "max-norm":
        assert lengths.max() <= 1 + 1e-12
    if constraint == "unit-frozen-bias":
        assert not np.any(result.params.bias)
    else:
        assert relative(result.params.bias[0, 0], b) <= 1e-10


def test_every_update_has_new_noise_of_unit_variance():
    """Mean and variance of ε[0, 0] over the 100 updates of each of 4 epochs."""

    def reporting(params, x, eps, strength):
        loss, parts = objective("ae")(params, x, eps, strength)
        return loss, parts | {"noise": eps[0, 0], "square": eps[0, 0] ** 2}

    options = {"objective": Objective(reporting, RELU), "strengths": [0.0], "epochs": 4}
    losses = fit(data(samples=1000), **options).losses
    mean, square = (np.asarray(losses[name])[0, 0] for name in ("noise", "square"))
    np.testing.assert_allclose(mean, 0, atol=4 / np.sqrt(100))
    np.testing.assert_allclose(square, 1, atol=4 * np.sqrt(2 / 100))  # Var[ε²] = 2
    assert len(np.unique(mean)) == 4


def test_weights_begin_uniform_within_glorots_bound():
    params = init_params(jax.random.key(0), 200, 300, tied=False, decoder_bias=True)
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
    terms = (("cae", penalties.contractive), ("mdae", penalties.marginalized))
    options = {"objective": ae.objectives.composed(RELU, terms=terms)}
    options["strengths"] = np.array([[0.0, 0], [1, 0], [0, 1]])
    X = data(dtype=np.float64)
    for constraint, trains_alike in (("unit", True), ("unit-rescale", False)):
        plain, *others = fit(X, constraint=constraint, **options).params.weight[0]
        for other in others:
            difference = relative(other, plain)
            assert difference <= 1e-12 if trains_alike else difference > 1e-3


def test_a_diverging_cell_is_flagged_and_touches_nobody():
    X = 3 * data()
    bad = fit(X, constraint="free", learning_rate=np.array([0.001, 10.0, 0.001]), epochs=3)
    good = fit(X, constraint="free", learning_rate=0.001, epochs=3)
    assert bad.flagged_epoch.tolist() == [[-1, 1, -1]]
    for g in (0, 2):
        np.testing.assert_array_equal(bad.params.weight[0, g], good.params.weight[0, g])
    assert good.flagged_epoch.tolist() == [[-1, -1, -1]]


def test_history_starts_before_training_and_callback_sees_every_epoch():
    seen = []
    result = fit(epochs=3, on_epoch=lambda epoch, metrics: seen.append((epoch, metrics)))
    assert [epoch for epoch, _ in seen] == [1, 2, 3]
    fraction = result.history.activation_fraction
    assert fraction.shape == (1, 3, 4)
    np.testing.assert_array_equal(seen[-1][1].activation_fraction, fraction[..., -1])
    np.testing.assert_allclose(result.metrics.activation_fraction, fraction[..., -1], rtol=1e-5)
    assert set(result.losses) == {"loss", "reconstruction"}
    assert result.losses["loss"].shape == (1, 3, 3)
    np.testing.assert_array_equal(fraction[:, 0, 0], fraction[:, 2, 0])


def test_history_looks_at_the_first_samples_and_the_metrics_at_all():
    X = data()
    result = fit(X, history_samples=40)
    a = np.einsum("bn,gmn->gbm", X, result.params.weight[0]) + result.params.bias[0, :, None]
    found = result.history.activation_fraction[0, :, -1]
    np.testing.assert_allclose(found, (a[:, :40] > 0).mean((1, 2)), rtol=1e-6)
    found = result.metrics.activation_fraction[0]
    np.testing.assert_allclose(found, (a > 0).mean((1, 2)), rtol=1e-6)


def test_products_are_computed_at_the_precision_asked_for(monkeypatch):
    # Which looks at shapes alone:
    monkeypatch.setattr("aesparse.training.grid.check_objective", lambda *_, **__: None)
    seen = set()

    def spying(params, x, eps, strength):
        seen.add(jax.config.jax_default_matmul_precision)
        return objective("ae")(params, x, eps, strength)

    fit(objective=Objective(spying, RELU), matmul_precision="high", epochs=1)
    assert seen == {"high"}  # compiled, op by op, and measured


@pytest.mark.parametrize("name", [pytest.param("sae", marks=pytest.mark.long), "dae"])
def test_pressure_is_that_of_each_cell(name, x64):
    """Theorem 1's condition of every model at its strength, from complex-step gradients.

    On the first 1,000 samples, with one noise per seed for all its strengths.
    """
    X, strengths = data(samples=1050, dtype=np.float64), [0.0, 0.5, 50.0]
    options = {"strengths": strengths, "learning_rate": 1e-3, "batch_size": 105}
    found = fit(X, name=name, activation="sigmoid", seeds=(3, 5), **options)
    act, few = oracles.ACTIVATIONS["sigmoid"], X[:1000]
    for s, g in np.ndindex(2, 3):
        p = {k: np.asarray(getattr(found.params, k)[s, g]) for k in ("weight", "bias")}
        key = jax.random.fold_in(jax.random.key(7), (3, 5)[s])
        eps = np.asarray(jax.random.normal(jax.random.fold_in(key, 2), few.shape, few.dtype))

        def penalty(q, g=g, eps=eps):
            plain = oracles.OBJECTIVES["ae"](q, few, 0 * eps, 0.0, act)
            return oracles.OBJECTIVES[name](q, few, eps, strengths[g], act) - plain

        error = oracles.OBJECTIVES["ae"](p, few, 0 * eps, 0.0, act)
        gradient = oracles.complex_step_gradient(penalty, p)["bias"]
        ratio = gradient / (2 * np.sqrt(error) * np.linalg.norm(p["weight"], axis=1))
        assert found.pressure.share[s, g, -1] == pytest.approx(np.mean(ratio > 1), abs=1e-12)
        assert found.pressure.largest[s, g, -1] == pytest.approx(ratio.max(), abs=1e-9)
    assert len(np.unique(found.pressure.largest[..., 1:, -1])) == 4


def some_params(rng):
    shapes = {"weight": (1, 3, 5, 6), "bias": (1, 3, 5), "decoder_bias": (1, 3, 6)}
    shapes["decoder"] = (1, 3, 6, 5)
    return Params(**{k: rng.normal(size=v).astype(np.float32) for k, v in shapes.items()})


def test_parameters_survive_a_round_trip_through_a_file(tmp_path, rng):
    params = some_params(rng)
    ae.save_params(tmp_path / "grid.npz", params)
    jax.tree.map(np.testing.assert_array_equal, ae.load_params(tmp_path / "grid.npz"), params)
    (tmp_path / "text.npz").write_text("no archive", encoding="utf-8")
    with pytest.raises(ae.InputError, match=r"text.npz is not a readable .npz file"):
        ae.load_params(tmp_path / "text.npz")
    np.savez(tmp_path / "other.npz", something=np.ones(3))
    with pytest.raises(ae.InputError, match=r"holds \['something'\]; expected parameters"):
        ae.load_params(tmp_path / "other.npz")
    np.savez(tmp_path / "unfit.npz", weight=np.ones((2, 3)), bias=np.ones(4))
    with pytest.raises(ae.InputError, match=r"holds 'bias' as float64 \(4,\); expected .*\(2,\)"):
        ae.load_params(tmp_path / "unfit.npz")
    (tmp_path / "empty.npz").touch()
    with pytest.raises(ae.InputError, match=r"empty.npz is not a readable"):
        ae.load_params(tmp_path / "empty.npz")
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_a_dot_in_a_name_is_part_of_it(tmp_path, rng):
    params = some_params(rng)
    ae.save_params(tmp_path / "cell-0.001", params)
    ae.save_params(tmp_path / "cell-0.005", params)
    jax.tree.map(np.testing.assert_array_equal, ae.load_params(tmp_path / "cell-0.005"), params)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cell-0.001.npz", "cell-0.005.npz"]


def test_one_epoch_lowers_for_cpu_cuda_and_tpu():
    program = grid_program(
        objective(),
        CONSTRAINTS["unit"],
        batch_size=10,
        momentum=0.9,
        hidden=5,
        tied=True,
        decoder_bias=False,
        mesh=cell_mesh(),
    )
    keys, X, strengths = jax.random.split(jax.random.key(0), 1), jnp.asarray(data()), jnp.ones(3)
    cells = Cells(np.zeros(3, np.int32), strengths, strengths)
    draws = shuffled(keys, 1, len(X))
    arguments = (program.start(keys, X, cells), draws, X, cells, np.int32(10))
    lowered = export.export(program.epoch, platforms=["cpu", "cuda", "tpu"])(*arguments)
    assert lowered.platforms == ("cpu", "cuda", "tpu")


@pytest.mark.parametrize("name", ["dae", "cae", "edae", "dae2"])
def test_strict_promotion_of_dtypes_changes_nothing(name):
    usual = fit(name=name, activation="sigmoid")
    with jax.numpy_dtype_promotion("strict"):
        strict = fit(name=name, activation="sigmoid")
    np.testing.assert_array_equal(strict.params.weight, usual.params.weight)
    np.testing.assert_array_equal(strict.losses["loss"], usual.losses["loss"])


# --- the numerics guard -------------------------------------------------------------------


@pytest.mark.long
def test_the_guard_checks_every_compiled_program_once_and_reports_its_difference(monkeypatch):
    calls = []

    def spy(differences, largest, judge=guard.judge):
        calls.append(judge(differences, largest))
        return calls[-1]

    monkeypatch.setattr(guard, "judge", spy)
    shapes = {"strengths": np.linspace(0, 1, 4), "hidden": 7}
    first = fit(seeds=(0, 1, 2), **shapes)
    again = fit(seeds=(3, 4, 5), **shapes)  # the same program
    checks = len(calls)
    fit(seeds=(6, 7, 8), **shapes)
    assert len(calls) == checks
    assert first.guard == again.guard > 0
    assert first.guard in calls
    fit(seeds=(0, 1, 2, 3), **shapes | {"strengths": [0.1, 0.2, 0.3]})  # 12 cells again
    assert len(calls) == 2 * checks


def test_the_guard_catches_an_injected_fault_on_every_machine():
    """A loss that computes something else once it is compiled; strength 0.5 only."""

    def faulty(params, x, eps, strength):
        loss, aux = objective("ae")(params, x, eps, strength)
        compiled = isinstance(jnp.sum(x), jax.core.Tracer) and not jax.config.jax_disable_jit
        fault = jnp.where(strength == 0.5, 0.01 * jnp.sum(params.bias), 0.0)
        return (loss + fault if compiled else loss), aux

    with pytest.raises(guard.NumericsError) as caught:
        fit(objective=Objective(faulty, RELU))
    message = str(caught.value)
    assert "of model 2" in message
    assert "compiled" in message
    assert "op by op" in message
    assert "XLA_FLAGS" in message


def _jaxlib_miscompiles_broadcast_products() -> bool:
    def sums(s):
        return jax.vmap(lambda s: (jnp.ones((100, 100)) * s) @ jnp.ones((100, 100)))(s).sum((1, 2))

    s = np.arange(1.0, 4.0, dtype=np.float32)
    return not np.allclose(jax.jit(sums)(s), 100**3 * s)


def test_the_guard_catches_the_broadcast_product_of_some_jaxlibs():
    if not _jaxlib_miscompiles_broadcast_products():
        pytest.skip("this jaxlib compiles the product correctly")

    def penalty(forward, eps):
        constant = jnp.ones((100, 100))
        product = (constant * jnp.sum(forward.params.bias + 1.0)) @ constant
        return 1e-6 * jnp.sum(product)

    planted = ae.objectives.regularized(RELU, penalty)
    with pytest.raises(guard.NumericsError, match="disagrees with the same step op by op"):
        fit(objective=planted, strengths=np.linspace(0.1, 1, 3))


def test_the_guard_judges_a_small_leaf_against_the_whole_gradient():
    ones, zeros = np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32)
    loss = np.full(2, 1e6, np.float32)  # however large, it hides no wrong gradient

    def state(a, b):
        return {"momentum": {"a": a, "b": b}, "losses": {"loss": loss}}

    whole = state(ones, zeros)
    assert guard.compare(state(ones, zeros + np.float32(1e-9)), whole) < guard.LIMITS["float32"]
    with pytest.raises(guard.NumericsError, match=r"'momentum.b' of model 0"):
        guard.compare(state(ones, zeros + np.float32(1e-3)), whole)
    with pytest.raises(guard.NumericsError, match=r"'momentum.a' of model 0"):
        guard.compare(state(ones * np.float32(1.001), zeros), whole)
    with pytest.raises(guard.NumericsError):
        guard.compare(state(np.full((2, 3), np.nan, np.float32), zeros), whole)


@pytest.mark.parametrize("name", ["ae", "dae", "cae"])
def test_the_guard_takes_rounding_for_no_disagreement(name):
    """One input, one unit row: the gradient has no tangential part, so momenta are rounding."""
    fitted = fit(data(n=1), name=name, hidden=1, constraint="unit")
    np.testing.assert_array_equal(np.abs(fitted.params.weight), 1.0)
    assert fitted.guard <= guard.LIMITS["float32"]


def test_the_guard_catches_a_wrong_small_gradient():
    """A compiled gradient off by 1e-3 of E‖x‖²/‖W‖ where the right one is all rounding."""

    def faulty(params, x, eps, strength):
        loss, aux = objective("ae")(params, x, eps, strength)
        compiled = isinstance(jnp.sum(x), jax.core.Tracer) and not jax.config.jax_disable_jit
        return (loss + 1e-3 * jnp.sum(params.bias) if compiled else loss), aux

    options = {"hidden": 1, "constraint": "unit", "learning_rate": 1e-6}
    with pytest.raises(guard.NumericsError, match="momentum"):
        fit(data(n=1), objective=Objective(faulty, RELU), **options)


# --- bad input ----------------------------------------------------------------------------


def _with(value, row=3, column=2):
    X = data()
    X[row, column] = value
    return X


BAD = {
    "strength below zero": ({"strengths": [0.1, -0.2]}, r"expected finite numbers >= 0"),
    "strength not finite": ({"strengths": [0.1, np.nan]}, r"expected finite numbers >= 0"),
    "no strengths": ({"strengths": []}, r"expected at least one number"),
    "no seeds": ({"seeds": ()}, r"expected a sequence of integers from 0 to 2147483647"),
    "negative seed": ({"seeds": (-1,)}, r"The seeds are \(-1,\); expected a sequence"),
    "a seed too large": ({"seeds": (2**40,)}, r"expected a sequence of integers from 0"),
    "beyond float32": ({"X": data(dtype=np.float64) * 1e39}, r"beyond the range of float32"),
    "short epochs": (
        {"constraint": "unit-columns", "tied": False, "batch_size": 20},
        r"An epoch has 5 updates, but the constraint acts on every 10th",
    ),
    "rate zero": ({"learning_rate": 0.0}, r"learning rate is 0.0; expected a finite number > 0"),
    "rate nan": ({"learning_rate": np.nan}, r"learning rate is nan"),
    "rates of another length": ({"learning_rate": np.ones(2)}, r"one per strength, \(3,\)"),
    "batch too large": ({"batch_size": 101}, r"batch size 101 is larger than the data, 100"),
    "no hidden units": ({"hidden": 0}, r"hidden is 0; expected an integer of at least 1"),
    "no epochs": ({"epochs": 0}, r"epochs is 0; expected an integer of at least 1"),
    "no cells": ({"cells_per_program": 0}, r"cells_per_program is 0; expected an integer"),
    "momentum": ({"momentum": 1.0}, r"momentum is 1.0; expected a number in \[0, 1\)"),
    "constraint": ({"constraint": "units"}, r"Unknown constraint 'units'.*did you mean unit"),
    "nan in data": ({"X": _with(np.nan)}, r"1 values that are NaN or inf, the first at row 3"),
    "inf in data": ({"X": _with(np.inf)}, r"column 2; expected finite numbers"),
    "rank": ({"X": data().ravel()}, r"has shape \(600,\); expected \[N, n\]"),
    "no rows": ({"X": data()[:0]}, r"has shape \(0, 6\); expected \[N, n\]"),
    "no history": (
        {"history_samples": 0},
        r"history_samples is 0; expected an integer of at least 1",
    ),
    "complex": ({"X": data().astype(complex)}, r"dtype complex128; expected .*float32"),
    "integers beyond float32": ({"X": np.full((100, 6), 2**24 + 1)}, r"integers beyond ±16777216"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_in_one_sentence(case):
    options, message = BAD[case]
    with pytest.raises(ae.InputError, match=message) as caught:
        fit(**options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cells_per_program", [None, 2])
def test_parameters_to_start_from_fit_the_grid_or_are_refused(cells_per_program):
    model = Params(np.ones((1, 4, 5, 6), np.float32), np.zeros((1, 4, 5), np.float32))
    with pytest.raises(ae.InputError, match=r"have shapes .*expected .*\(1, 3, 5, 6\)"):
        fit(init=model, cells_per_program=cells_per_program)
    lost = jax.tree.map(lambda leaf: leaf[:, :3] * np.nan, model)
    with pytest.raises(ae.InputError, match="hold NaN or inf"):
        fit(init=lost, cells_per_program=cells_per_program)
    pruned = jax.tree.map(lambda leaf: leaf[:, :3], model)
    pruned.weight[0, 2, 4] = 0
    with pytest.raises(ae.InputError, match=r"a row .* of zeros, which has no direction"):
        fit(init=pruned, cells_per_program=cells_per_program)


@pytest.mark.long
def test_parameters_to_start_from_are_put_on_the_constraint():
    """Off it, the tangent map would turn the momentum around: 1 − 3·3 = −8 times too long."""
    drawn = fit(epochs=1).params
    stretched = drawn._replace(weight=3 * drawn.weight)
    again, same = (fit(init=init, epochs=2) for init in (stretched, drawn))
    assert relative(again.params.weight, same.params.weight) <= 1e-5
    np.testing.assert_allclose(again.history.row_length_max[..., 0], 1, rtol=1e-6)


def test_a_penalty_that_returns_a_vector_is_refused():
    def vector(forward, eps):
        return forward.params.bias

    with pytest.raises(
        ae.InputError, match=r"returned shape \(5,\) for a batch; expected a scalar"
    ):
        fit(objective=ae.objectives.regularized(RELU, vector))


def test_a_penalty_on_an_untied_decoder_enters(x64, rng):
    def decoder_decay(forward, eps):
        return jnp.sum(forward.params.decoder**2) + jnp.sum(forward.params.decoder_bias**2)

    decay = ae.objectives.regularized(RELU, decoder_decay)
    params = Params(*(jnp.asarray(leaf[0, 0], float) for leaf in some_params(rng)))
    X = jnp.asarray(data(dtype=np.float64))

    def gradient(strength):
        return jax.grad(lambda p: decay(p, X, X, jnp.asarray(strength))[0])(params)

    added = jax.tree.map(jnp.subtract, gradient(0.3), gradient(0.0))
    np.testing.assert_allclose(added.decoder, 0.6 * params.decoder, rtol=1e-10)
    np.testing.assert_allclose(added.decoder_bias, 0.6 * params.decoder_bias, rtol=1e-10)
    np.testing.assert_allclose(added.weight, 0, atol=1e-10)


def test_the_epoch_told_is_the_first_of_a_cell_that_ends_flagged():
    """Never lost, recovered, lost to the end, and lost on all samples only."""
    dead = np.array([[0.0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1], [0, 0, 0, 0]])[None]
    history = Metrics(*[np.ones_like(dead)] * len(Metrics._fields))._replace(dead_fraction=dead)
    final = jax.tree.map(lambda leaf: leaf[..., -1], history)
    final = final._replace(dead_fraction=np.array([[0.0, 0, 1, 1]]))
    np.testing.assert_array_equal(first_flagged(history, final), [[-1, -1, 2, 3]])


def test_measure_grid_refuses_one_model_and_data_its_error_is_not_defined_for(rng):
    one = Params(*(leaf[0, 0] for leaf in some_params(rng)[:2]))
    with pytest.raises(ae.InputError, match=r"shape \(5, 6\); expected those of a grid"):
        ae.measure_grid(one, data(), objective())
    likelihood = ae.objectives.composed(RELU, error=cross_entropy)
    with pytest.raises(ae.InputError, match=r"expects \[0, 1\]"):
        ae.measure_grid(some_params(rng), data(), likelihood)


@pytest.mark.long
def test_measure_grid_equals_one_model_at_a_time():
    result = fit(seeds=(0, 1))
    other = data(samples=37)
    units, metrics = ae.measure_grid(result.params, other, objective())
    a = np.einsum("bn,sgmn->sgbm", other, result.params.weight) + result.params.bias[:, :, None]
    np.testing.assert_allclose(units.active, (a > 0).mean(2), rtol=1e-6)
    x_hat = np.einsum("sgbm,sgmn->sgbn", np.maximum(a, 0), result.params.weight)
    errors = np.sum((other - x_hat) ** 2, -1).mean(-1)
    np.testing.assert_allclose(metrics.reconstruction, errors, rtol=1e-5)
    assert metrics.reconstruction.shape == (2, 3)


@pytest.mark.parametrize(
    ("precision", "passes"), [("highest", 1e-5), ("tensorfloat32", 1e-3), ("bfloat16", 2e-2)]
)
def test_the_guards_limit_belongs_to_the_precision_of_the_products(precision, passes):
    """Between one unit of rounding of a factor and the error of a wrong gradient, which is 1."""
    ones = {"momentum": np.ones((2, 3), np.float32)}

    def off(share):
        return {"momentum": ones["momentum"] * np.float32(1 + share)}

    assert guard.compare(off(passes), ones, precision) > 0
    with pytest.raises(guard.NumericsError):
        guard.compare(off(0.1), ones, precision)
    if precision != "highest":
        with pytest.raises(guard.NumericsError):
            guard.compare(off(passes), ones)
    assert guard.limit("float64", precision) == guard.LIMITS["float64"]


def test_a_grid_at_another_precision_is_judged_by_its_limit(monkeypatch):
    limits = []

    def spy(differences, largest):
        limits.append(largest)
        return 0.0

    monkeypatch.setattr(guard, "judge", spy)
    fit(matmul_precision="bfloat16", hidden=3)
    assert guard.PRODUCT_LIMITS["bfloat16"] in limits
    assert len(limits) > 2
