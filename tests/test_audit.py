"""The audit: what it measures against NumPy and SciPy, what it concludes, what it refuses."""

import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from commands import exit_status
from scipy.stats import norm

from aesparse.cli.scripts import main
from aesparse.errors import InputError
from aesparse.losses import penalties
from aesparse.losses.objectives import get_objective
from aesparse.losses.penalties import PENALTIES, get_penalty
from aesparse.models.activations import Activation, get_activation
from aesparse.models.constraints import as_constraint
from aesparse.models.one_layer import OneLayer, Params, init_params
from aesparse.theory import audit
from aesparse.theory.conclusion import INDIFFERENT, LOWERS, NO_EFFECT, NOT_GUARANTEED, SPARSIFIES
from aesparse.theory.response import STRENGTHS

PROVED = {SPARSIFIES, LOWERS}  # which of them, the forecast decides
RELU, SIGMOID = get_activation("relu"), get_activation("sigmoid")


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 6)) @ rng.normal(size=(6, 6))
    return X - X.mean(axis=0)


@pytest.mark.parametrize(
    ("activation", "penalty", "conclusion", "words"),
    [
        ("relu", "sae", SPARSIFIES, "Corollary 1 applies"),
        ("softplus", "mdae", LOWERS, "Corollary 2 applies"),
        ("relu", "cae", INDIFFERENT, "row lengths"),
        ("gelu", "weight-decay", INDIFFERENT, "row lengths"),
        ("sigmoid", "cae", NOT_GUARANTEED, "s convex fails by 0.096"),
        ("tanh", "sae", NOT_GUARANTEED, "s(−∞) = 0 fails by 1 "),
        ("sigmoid", "sae-kl", NOT_GUARANTEED, "f' down to"),
    ],
)
def test_conclusions(activation, penalty, conclusion, words, X):
    found = audit(get_activation(activation), get_penalty(penalty), X, hidden=4)
    assert found.conclusion == conclusion
    assert words in found.reason


def test_a_dip_is_seen_also_where_units_reach_far_beyond_it(X):
    far = audit(get_activation("gelu"), get_penalty("sae"), 1e4 * X, hidden=4)
    near = audit(get_activation("gelu"), get_penalty("sae"), X, hidden=4)
    dip = near.conditions["s non-decreasing"]
    assert dip.residual > 0.1
    assert far.conditions["s non-decreasing"] == dip


def test_frozen_biases_are_not_pushed(X):
    found = audit("relu", "sae", X, hidden=4, constraint="unit-frozen-bias")
    assert found.conclusion == NOT_GUARANTEED
    assert "the constraint freezes biases" in found.reason
    np.testing.assert_allclose(found.fall_by_push, 0, atol=1e-12)  # the data is centred
    assert (found.push > 0).any()  # the gradient itself is there


def means(seen):
    return jnp.mean(seen.code, axis=0)


# Each looks like a sparsity penalty and trains nothing.
SILENT = {
    "integer division": lambda seen, eps: jnp.sum((means(seen) * 100).astype(int) // 10),
    "stop_gradient": lambda seen, eps: jax.lax.stop_gradient(jnp.sum(means(seen))),
    "a rounded threshold": lambda seen, eps: jnp.mean(jnp.round(seen.code)),
    "counting active units": lambda seen, eps: jnp.mean(seen.code > 0.5),
}


@pytest.mark.parametrize("name", SILENT)
def test_silently_zero_gradients_are_named(name, X):
    found = audit(SIGMOID, SILENT[name], X, hidden=4)
    assert found.conclusion == NO_EFFECT
    assert "no derivative reaches the parameters" in found.reason
    assert (found.push == 0).all()


def test_a_penalty_that_is_the_same_for_every_model_is_named(X):
    found = audit(SIGMOID, lambda seen, eps: jnp.ones(()), X, hidden=4)
    assert found.conclusion == NO_EFFECT
    assert "same for every model" in found.reason


def test_a_penalty_summed_over_the_batch_is_named(X):
    def summed(seen, eps):
        return jnp.sum(jnp.square(seen.code))

    def averaged(seen, eps):
        return summed(seen, eps) / len(seen.x)

    found = audit(RELU, summed, X, hidden=4)
    assert found.conclusion == NOT_GUARANTEED
    assert "R doubles when the batch doubles: average over samples?" in found.reason
    assert found.growth_with_batch == pytest.approx(2)
    assert audit(RELU, averaged, X, hidden=4).growth_with_batch == pytest.approx(1)


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(PENALTIES))
def test_no_built_in_penalty_grows_with_the_batch(name, X):
    found = audit("sigmoid", get_penalty(name), X, hidden=4)
    assert found.growth_with_batch == pytest.approx(1)


def test_weak_strengths_are_not_called_sparsifying(X):
    params = Params(np.eye(6)[:4], np.full(4, -6.0))  # nearly off: reconstruction pulls up
    found = audit(RELU, get_penalty("sae"), X, params=params, largest_strength=1e-9)
    assert found.conclusion == NOT_GUARANTEED
    assert "need a strength above" in found.reason
    strong = audit(RELU, get_penalty("sae"), X, params=params, largest_strength=1e9)
    assert strong.conclusion in PROVED


def test_bias_gradients_and_lambda_star_against_finite_differences(X):
    params = Params(np.eye(6)[:4], np.array([-4.0, -4.5, -5.0, -6.0]))  # the pull is upwards
    found = audit(SIGMOID, get_penalty("mean-square"), X, params=params)
    w, b = np.asarray(params.weight), np.asarray(params.bias)

    def code(b):
        return 1 / (1 + np.exp(-(X @ w.T + b)))

    def error(b):
        return np.mean(np.sum((X - code(b) @ w) ** 2, axis=1))

    def penalty(b):
        return np.sum(code(b).mean(axis=0) ** 2)

    h = 1e-6
    for j, step in enumerate(h * np.eye(4)):
        pull = (error(b + step) - error(b - step)) / (2 * h)
        push = (penalty(b + step) - penalty(b - step)) / (2 * h)
        np.testing.assert_allclose(found.pull[j], pull, rtol=1e-6)
        np.testing.assert_allclose(found.push[j], push, rtol=1e-6)
        assert pull < 0 < found.strength_now[j]
        for factor, falls in ((0.99, False), (1.01, True)):
            strength = factor * found.strength_now[j]
            assert (pull + strength * push > 0) == falls
    bound = 2 * np.sqrt(error(b)) * np.linalg.norm(w, axis=1)
    np.testing.assert_allclose(found.strength_of_theorem1 * found.push, bound, rtol=1e-9)


def test_predicted_activity_is_the_gaussian_one_and_close_on_gaussian_data(X, rng):
    weight = rng.normal(size=(4, 6))
    weight /= np.linalg.norm(weight, axis=1, keepdims=True)
    params = Params(weight, np.array([-30.0, -2.0, 0, 3]))
    found = audit(RELU, get_penalty("sae"), X, params=params)
    a = X @ weight.T + params.bias
    np.testing.assert_allclose(
        found.predicted_active, norm.sf(-a.mean(axis=0) / a.std(axis=0)), atol=3e-4
    )
    np.testing.assert_allclose(found.predicted_active, found.active, atol=0.09)  # 3 σ of 300
    np.testing.assert_allclose(found.active, (a > 0).mean(axis=0), atol=1e-12)
    assert found.dead == pytest.approx(1 / 4)
    assert found.predicted_dead == pytest.approx(1 / 4, abs=0.01)


def test_adam_saturates_in_the_strength_and_plain_steps_do_not(X):
    found = audit(SIGMOID, get_penalty("sae"), X, hidden=4)
    plain, adam = found.responses["plain"], found.responses["adam"]
    assert np.isinf(plain.saturation)
    assert np.isfinite(adam.saturation)
    assert adam.saturation < STRENGTHS[-1]
    last = np.abs(adam.change[100 * adam.saturation < STRENGTHS])
    np.testing.assert_allclose(last, 1.0, atol=0.05)  # Adam's unit step, whatever the strength
    ratio = plain.change[-1] / plain.change[-11]
    np.testing.assert_allclose(ratio, STRENGTHS[-1] / STRENGTHS[-11], rtol=1e-3)
    for response in found.responses.values():
        assert response.falling[-1] == 1


def test_the_step_for_a_strength_is_the_optimizers_own(X):
    """Plain and momentum's responses against differences of the loss on the batches drawn."""
    found = audit(SIGMOID, get_penalty("cae"), X, hidden=4)
    batches = np.random.default_rng(0).integers(len(X), size=(50, 50))
    with jax.enable_x64(True):
        params = init_params(jax.random.key(0), 6, 4, dtype=np.dtype(float))
        weight = np.asarray(params.weight)
        weight = weight / np.linalg.norm(weight, axis=1, keepdims=True)
    h, i = 1e-6, 40

    def parts(b, rows):
        code = 1 / (1 + np.exp(-(X[rows] @ weight.T + b)))
        error = np.mean(np.sum((X[rows] - code @ weight) ** 2, axis=1))
        return np.array([error, np.mean(np.sum((code * (1 - code)) ** 2, axis=1))])

    steps = h * np.eye(4)
    pull, push = np.array(
        [[(parts(e, r) - parts(-e, r)) / (2 * h) for e in steps] for r in batches]
    ).transpose(2, 0, 1)
    gradient = pull + STRENGTHS[i] * push
    plain, momentum = found.responses["plain"], found.responses["momentum"]
    np.testing.assert_allclose(plain.change[i], -gradient[-1], rtol=1e-5)
    summed = 0.9 ** np.arange(49, -1, -1) @ gradient
    np.testing.assert_allclose(momentum.change[i], -summed, rtol=1e-5)
    # The first strength of the grid above −pull/push; never where the penalty raises E[a_j].
    ends = zip(pull[-1], push[-1], strict=True)
    above = [STRENGTHS[-a / b < STRENGTHS][0] if b > 0 else np.inf for a, b in ends]
    assert np.isfinite(above).any()
    np.testing.assert_array_equal(plain.smallest, above)


@pytest.mark.long
def test_the_family_of_a_users_penalty_is_found_from_its_gradients(X):
    def user(seen, eps):  # E Σ s'^2 ‖W_j‖^4, in the user's own words
        slopes = seen.activation.slope(seen.preactivation)
        return 3 * jnp.mean(slopes**2 @ jnp.sum(seen.params.weight**2, axis=-1) ** 2)

    softplus = get_activation("softplus")
    assert audit(softplus, user, X, hidden=4).family.name == "E Σ s'^2 ‖W_j‖^4"
    exponential = penalties.mean_activation(jnp.exp)
    assert audit(softplus, exponential, X, hidden=4).family.corollary == 1

    def mixed(seen, eps):
        return user(seen, eps) + jnp.sum(seen.params.weight**4)

    found = audit(softplus, mixed, X, hidden=4)
    assert found.family.corollary == 0
    assert found.conclusion == NOT_GUARANTEED


def test_a_penalty_too_weak_to_be_felt_is_not_called_sparsifying(X):
    def weak(seen, eps):
        return 1e-9 * get_penalty("sae")(seen, eps)

    found = audit("relu", weak, X, hidden=4)
    assert found.conclusion == NOT_GUARANTEED
    assert "its bias gradient is only" in found.reason


@pytest.mark.parametrize(("share", "proved"), [(0.005, False), (0.009, False), (0.011, True)])
def test_a_penalty_is_felt_from_a_hundredth_of_the_reconstructions_gradient_on(share, proved, X):
    """Two orthonormal identity-like units, far active: their gradients by hand."""
    bias = np.array([20.0, 30.0])  # every unit active: h = a, y = h W
    params = Params(np.eye(6)[:2], bias)
    pull = 2 * bias  # of E[(x_j − h_j)²] = b_j²
    strength = share * np.median(pull)  # of R = Σ E[h_j], whose bias gradient is 1

    def total(seen, eps):
        return jnp.sum(means(seen))

    found = audit(RELU, total, X, params=params, largest_strength=float(strength))
    assert (X @ np.eye(6)[:, :2] + bias > 0).all()
    assert found.conclusion in (PROVED if proved else {NOT_GUARANTEED})


@pytest.mark.parametrize(("share", "proved"), [(0.09, True), (0.11, False), (0.4, False)])
def test_data_is_centred_up_to_a_tenth_of_its_root_mean_square(share, proved, X):
    """Column 0 moved by m, where m² = share² (E x² + m²/n)."""
    m = np.sqrt(share**2 * np.mean(X**2) / (1 - share**2 / X.shape[1]))
    off = X + m * np.eye(6)[0]
    np.testing.assert_allclose(off.mean(axis=0)[0] / np.sqrt(np.mean(off**2)), share)
    said = audit(RELU, "sae", off, hidden=4).conclusion
    assert said in (PROVED if proved else {NOT_GUARANTEED})


@pytest.mark.parametrize(("rising", "proved"), [(1, True), (2, False)])
def test_more_than_half_of_the_units_have_to_fall(rising, proved, X):
    """Of four units `rising` are nearly off, where reconstruction outweighs the penalty."""
    bias = np.array([20.0] * (4 - rising) + [-4.0] * rising)
    found = audit(RELU, "mean-square", X, params=Params(np.eye(6)[:4], bias))
    a = X @ np.eye(6)[:, :4] + bias
    h = np.maximum(a, 0)
    rise = -2 * np.mean((X[:, :4] - h) * (a > 0), axis=0) + 2 * h.mean(0) * (a > 0).mean(0)
    np.testing.assert_array_equal(rise < 0, bias < 0)  # at the largest strength, 1
    assert found.conclusion in (PROVED if proved else {NOT_GUARANTEED})


@pytest.mark.parametrize("threshold", [0.0, 2.0])
def test_a_threshold_that_is_never_crossed_is_found(threshold, X):
    found = audit(Activation(jax.nn.sigmoid, threshold), "sae", X, hidden=4)
    assert found.conclusion == NOT_GUARANTEED
    assert "never crosses δ_min" in found.reason


def test_a_push_upwards_lowers_nothing_at_larger_strengths(X):
    def upwards(seen, eps):
        return -get_penalty("sae")(seen, eps)

    found = audit("sigmoid", upwards, X, hidden=4)
    assert found.conclusion == NOT_GUARANTEED
    assert np.isinf(found.strength_now).all()
    for response in found.responses.values():
        assert response.falling[-1] == 0
        assert np.isinf(response.smallest).all()
    assert "fewer than half of the units fall" in str(found)


def test_data_off_centre_is_seen_in_the_steps_and_in_the_conclusion(X):
    off = X + 3.0
    found = audit("sigmoid", "sae", off, hidden=4)
    assert "not centred" in found.reason
    whole = found.fall_by_pull + found.fall_by_push  # a plain step at λ = 1
    with jax.enable_x64(True):
        params = init_params(jax.random.key(0), 6, 4, dtype=np.dtype(float))
        params = as_constraint("unit").project(params)
        objective, model, x = get_objective("sae"), OneLayer.of(params, SIGMOID), jnp.asarray(off)
        ones = {"strength": jnp.ones(())}
        gradient = jax.grad(lambda p: objective(model, p, x, 0 * x, ones)[0])(params)
        tangent = as_constraint("unit").tangent(params, gradient)
        fall = tangent.bias + tangent.weight @ jnp.asarray(off.mean(axis=0))
    np.testing.assert_allclose(whole, fall, rtol=1e-9)
    assert not np.allclose(whole, found.pull + found.push)


def test_a_users_model_is_audited_as_it_is(X):
    weight = 3 * np.eye(6)[:4]
    with pytest.raises(InputError, match="lengths from 3 to 3, off the constraint 'unit'"):
        audit("relu", "sae", X, params=Params(weight, np.zeros(4)))
    free = audit("relu", "sae", X, params=Params(weight, np.zeros(4)), constraint="free")
    np.testing.assert_allclose(free.active, (X @ weight.T > 0).mean(axis=0))
    untied = Params(np.eye(6)[:4], np.zeros(4), None, np.ones((6, 4)))
    assert audit("relu", "sae", X, params=untied).conclusion in PROVED


# --- bad input ----------------------------------------------------------------------------

BAD = {
    "a vector": (
        RELU,
        lambda seen, eps: means(seen),
        "The penalty returned shape (4,); expected one number",
    ),
    "NaN": (
        RELU,
        lambda seen, eps: jnp.log(-1 - jnp.sum(seen.params.bias**2)),
        "not finite (value nan)",
    ),
    "a NaN gradient at zero biases": (
        RELU,
        lambda seen, eps: jnp.linalg.norm(seen.params.bias),
        "its gradient is not finite",
    ),
    "no eps": (RELU, lambda seen: 0.0, "The penalty fails (TypeError"),
    "a NumPy penalty": (
        RELU,
        lambda seen, eps: float(np.sum(np.asarray(seen.params.bias))),
        "The penalty fails (TracerArrayConversionError",
    ),
    "an attribute that is none": (lambda a: a.clamp(0), "cae", "fails on one number (Attribute"),
    "integers": (lambda a: (a > 0).astype(int), "cae", "fails on one number ("),
    "softmax": (jax.nn.softmax, penalties.contractive, "activation"),
    "maxout": (jnp.max, penalties.contractive, "The activation is not elementwise"),
    "NaN activation": (jnp.log, penalties.contractive, "expected finite numbers"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_functions_are_refused_in_one_sentence(name, X):
    activation, penalty, message = BAD[name]
    with pytest.raises(InputError) as caught:
        audit(activation, penalty, X, hidden=4)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden": 0}, "hidden is 0; expected an integer of at least 1"),
        ({"hidden": 10**12}, "GiB"),
        ({"largest_strength": float("nan")}, "largest_strength is nan"),
        ({"largest_strength": -1.0}, "largest_strength is -1.0"),
        (
            {"params": Params(np.ones((2, 3, 6)), np.ones((2, 3)))},
            "one model on data of 6 inputs",
        ),
        (
            {"params": Params(np.eye(3, 6), np.zeros(3), decoder=np.ones((4, 3)))},
            r"'decoder' of shape \(4, 3\); expected \(6, 3\)",
        ),
        ({"params": Params(np.full((3, 6), np.nan), np.ones(3))}, "params hold NaN"),
    ],
)
def test_bad_options_are_refused(options, message, X):
    with pytest.raises(InputError, match=message):
        audit("relu", "cae", X, **options)


@pytest.mark.long
def test_strict_promotion_of_dtypes_changes_nothing(X):
    usual = audit("relu", "cae", X, hidden=4)
    with jax.numpy_dtype_promotion("strict"):
        assert str(audit("relu", "cae", X, hidden=4)) == str(usual)


def test_data_that_does_not_vary_is_refused():
    with pytest.raises(InputError, match="the same in all 4 rows"):
        audit("relu", "cae", np.ones((4, 3)))
    with pytest.raises(InputError, match="the same in all 1 rows"):
        audit("relu", "cae", np.arange(3.0)[None])


def test_a_scalar_function_with_a_branch_is_elementwise(X):
    s = Activation(lambda a: jax.lax.cond(a > 0, lambda a: a, lambda a: 0.0 * a, a))
    assert audit(s, get_penalty("sae"), X, hidden=4).conclusion in PROVED


@pytest.mark.long
def test_command_audits_functions_of_ones_own(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import jax.numpy as jnp\n"
        "def swish(a):\n    return a / (1 + jnp.exp(-a))\n"
        "def nothing(forward, eps):\n"
        "    return jnp.round(jnp.sum(forward.params.bias) + 3.2)\n"
    )
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(60, 4)))
    options = ["--data", "x.npy", "--hidden", "5"]
    own = ["--activation", "mine:swish", "--penalty", "mine:nothing"]
    shown = subprocess.run(
        [sys.executable, "-m", "aesparse", "audit", *own, *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert shown.returncode == 0, shown.stderr
    assert shown.stderr == ""
    assert shown.stdout.startswith("conclusion")
    assert NO_EFFECT in shown.stdout
    stored = json.loads(
        (tmp_path / "audit-mine-swish-mine-nothing-x.json").read_text(encoding="utf-8")
    )
    assert stored["conclusion"].startswith(NO_EFFECT)
    assert (stored["activation"], stored["penalty"]) == ("mine:swish", "mine:nothing")
    assert (stored["data"], stored["hidden"], stored["threshold"]) == ("x.npy", 5, 0.0)
    for kind in ("png", "svg"):
        assert (tmp_path / f"audit-mine-swish-mine-nothing-x.{kind}").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--activation", "rely", "--penalty", "cae"], "did you mean relu"),
        (["--activation", "relu", "--penalty", "kae"], "Unknown penalty 'kae'"),
        (["--activation", "nowhere:f", "--penalty", "cae"], "No module named 'nowhere'"),
        (["--activation", "math:nothing", "--penalty", "cae"], "has no attribute 'nothing'"),
        (["--activation", "broken:f", "--penalty", "cae"], "ZeroDivisionError"),
        (["--activation", "leaving:f", "--penalty", "cae"], "SystemExit: goodbye"),
        (["--activation", "sys:path", "--penalty", "cae"], "'sys:path' is a list"),
        (["--activation", "relu", "--penalty", "sys:path"], "'sys:path' is a list"),
        (["--activation", "mine:", "--penalty", "cae"], "module:function"),
        (["--activation", ":f", "--penalty", "cae"], "module:function"),
        (["--activation", "rely", "--penalty", "cae"], "module:function"),
        (["--activation", "relu", "--penalty", "cae", "--data", "no.npy"], "no.npy"),
        (["--activation", "relu", "--penalty", "cae", "--hidden", "0"], "hidden"),
    ],
)
def test_command_refuses_bad_input(options, message, tmp_path, monkeypatch, capsys):
    (tmp_path / "broken.py").write_text("1 / 0\n", encoding="utf-8")
    (tmp_path / "leaving.py").write_text("raise SystemExit('goodbye')\n", encoding="utf-8")
    before = sorted(tmp_path.iterdir())
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    options = ("audit", *options)
    assert exit_status(monkeypatch, *options, main=main) == 2
    told = capsys.readouterr().err
    assert message in told
    assert len(told.strip().splitlines()) == 1
    assert [p for p in sorted(tmp_path.iterdir()) if p.name != "__pycache__"] == before
