"""The falsifier finds the counter-examples there are, checked in NumPy, and no others."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit

from aesparse.errors import InputError
from aesparse.losses import penalties
from aesparse.models.activations import get_activation
from aesparse.models.one_layer import Params
from aesparse.theorems import attacks
from aesparse.theorems.attacks import EFFORT, attacked, margins
from aesparse.theory import falsify, hypotheses_hold, properties, sparsity, statements
from aesparse.theory.conjectures import CONJECTURES, Conjecture
from aesparse.theory.falsifier import (
    SIZES,
    Problem,
    Size,
    centred,
    describe,
    draw,
    draw_many,
    whitened,
)
from aesparse.theory.records import Claim

pytestmark = pytest.mark.usefixtures("x64")
TRUE = [c for c in CONJECTURES if c.true]
FALSE = {c.title: c for c in CONJECTURES if not c.true}


def found_for(word):
    (conjecture,) = (c for title, c in FALSE.items() if word in title)
    found = falsify(conjecture.statement, project=conjecture.project)
    assert found.violated
    assert bool(hypotheses_hold(conjecture.statement(found.problem)))
    p = found.problem.params
    return found, np.asarray(p.weight), np.asarray(p.bias), np.asarray(found.problem.X)


def slope(f, b, j, h=1e-5):
    step = h * np.eye(len(b))[j]
    return (f(b + step) - f(b - step)) / (2 * h)


def worst(f, b):
    return min(slope(f, b, j) for j in range(len(b)))


def test_corollary_2_with_sigmoid():
    found, w, b, x = found_for("sigmoid (not convex)")

    def penalty(b):
        h = expit(x @ w.T + b)
        return np.mean((h * (1 - h)) ** 2 @ np.sum(w**2, axis=1))

    np.testing.assert_allclose(worst(penalty, b), found.margin, rtol=1e-6)


def test_some_strength_with_relu_on_a_finite_sample():
    found, w, b, x = found_for("∃ λ")

    def error(b):
        return np.mean(np.sum((x - np.maximum(x @ w.T + b, 0) @ w) ** 2, axis=1))

    def penalty(b):
        return np.mean((x @ w.T + b > 0) @ np.sum(w**2, axis=1))

    j = int(np.argmin([slope(error, b, j) for j in range(len(b))]))
    np.testing.assert_allclose(slope(error, b, j), found.margin, rtol=1e-6)
    assert slope(penalty, b, j) == 0  # so no strength lifts it


def test_corollary_1_below_the_target_of_kl():
    found, w, b, x = found_for("KL")

    def penalty(b):
        rho = expit(x @ w.T + b).mean(axis=0)
        return np.sum(-0.5 * np.log(2 * rho) - 0.5 * np.log(2 * (1 - rho)))

    np.testing.assert_allclose(worst(penalty, b), found.margin, rtol=1e-6)
    assert expit(x @ w.T + b).mean(axis=0).min() < 0.5


def test_tanh_units_pushed_down_are_not_small():
    found, w, b, x = found_for("tanh")
    a = x @ w.T + b
    chebyshev = 1 - a.var(axis=0) / (np.arctanh(0.1) - a.mean(axis=0)) ** 2
    bound = np.where(a.mean(axis=0) < np.arctanh(0.1), np.maximum(chebyshev, 0), 0)
    small = (np.abs(np.tanh(a)) <= 0.1).mean(axis=0)
    np.testing.assert_allclose((small - bound).min(), found.margin, atol=1e-9)


def test_theorem_2_with_rows_that_grow():
    found, _, _, x = found_for("grow")
    bounds, means, lengths = [], [], []
    for p in (found.problem.params, found.problem.after):
        a = x @ np.asarray(p.weight).T + np.asarray(p.bias)
        means.append(a.mean(axis=0))
        lengths.append(np.linalg.norm(p.weight, axis=1))
        bounds.append(np.maximum(1 - a.var(axis=0) / a.mean(axis=0) ** 2, 0))
    assert (means[1] < means[0]).all()
    assert (lengths[1] > lengths[0]).any()
    np.testing.assert_allclose((bounds[1] - bounds[0]).min(), found.margin, atol=1e-9)


@pytest.mark.long
def test_the_cross_term_with_a_convex_activation_that_falls():
    found, w, b, x = found_for("a²/2")

    def penalty(b):
        a = x @ w.T + b  # s' = a
        gram = (w @ w.T) ** 2
        np.fill_diagonal(gram, 0)
        return np.mean(np.einsum("bj,jk,bk->b", a, gram, a))

    np.testing.assert_allclose(worst(penalty, b), found.margin, rtol=1e-6)


def eq2(dictionary, code, x, strength):
    """The mean over samples of eq. 2 with one code for all of them."""
    return np.mean(np.sum((x - code @ dictionary) ** 2, axis=1)) + strength * np.abs(code).sum()


def test_sparse_coding_in_dictionary_and_codes_together():
    found, w, b, x = found_for("together")
    after, strength = found.problem.after, float(found.problem.strength)
    later = (np.asarray(after.weight), np.asarray(after.bias))
    ends = (eq2(w, b, x, strength) + eq2(*later, x, strength)) / 2
    middle = eq2((w + later[0]) / 2, (b + later[1]) / 2, x, strength)
    np.testing.assert_allclose(ends - middle, found.margin, rtol=1e-6)


@pytest.mark.parametrize(("word", "sign"), [("residual >= 0", 1), ("residual <= 0", -1)])
def test_the_residual_term_has_both_signs_with_softplus(word, sign):
    found, w, b, x = found_for(word)
    a = x @ w.T + b
    residual = x - np.logaddexp(a, 0) @ w
    curvature = expit(a) * expit(-a)
    each = curvature * np.sum(w**2, axis=1) * (residual @ w.T)
    term = -np.mean(np.sum(each, axis=1))
    np.testing.assert_allclose(sign * term, found.margin, rtol=1e-6)
    assert sign * term < 0


def test_counter_examples_are_reduced_to_numbers_for_a_hand():
    found, w, b, x = found_for("sigmoid (not convex)")
    assert found.problem.X.shape == (SIZES[0].samples, SIZES[0].inputs)
    for array in (w, b, x):
        assert (array * 20 == np.round(array * 20)).all()
    assert describe(found.problem) == f"x = (0, 0); W = ({w[0, 0]:.4g}); b = {b[0]:.4g}"


@pytest.mark.parametrize("conjecture", TRUE, ids=lambda c: f"{c.id} {c.title}")
def test_true_statements_hold_on_1000_random_problems(conjecture):
    assert len(margins(conjecture, 1000)) == 1000
    assert margins(conjecture, 1000).min() > -1e-9


@pytest.mark.parametrize("word", ["Lemma 1, relu", "Theorem 1, SAE, sigmoid", "Theorem 2, ReLU"])
def test_ascent_finds_no_violation_of_a_true_statement(word):
    (conjecture,) = (c for c in TRUE if c.title == word)
    found = falsify(
        conjecture.statement, project=conjecture.project, sizes=SIZES[-1:], starts=8, steps=60
    )
    assert not found.violated
    assert found.evaluations == 8 * 61
    start = falsify(
        conjecture.statement, project=conjecture.project, sizes=SIZES[-1:], starts=8, steps=0
    )
    assert found.margin < start.margin  # it did come closer


def test_ascent_finds_what_random_starts_miss():
    """‖b − (1, −2)‖ < 0.01 has probability 1e-5 for a random start."""

    def statement(problem: Problem) -> Claim:
        distance = jnp.sum((problem.params.bias - jnp.array([1.0, -2.0])) ** 2)
        return Claim({}, distance[None], jnp.zeros(1), distance[None] - 1e-4)

    size = [Size(1, 2, 2)]
    assert not falsify(statement, sizes=size, steps=0).violated
    assert falsify(statement, sizes=size, steps=150).violated


def test_a_violation_outside_the_hypotheses_does_not_count():
    def statement(problem: Problem) -> Claim:
        b = problem.params.bias
        return Claim({"b >= 0": jnp.max(-b)}, b, b, jnp.where(b < 0, -1.0, 1.0))

    assert falsify(statement, sizes=SIZES[:1]).outcome == "not violated"
    bare = falsify(lambda p: statement(p)._replace(hypotheses={}), sizes=SIZES[:1])
    assert bare.violated


def test_projections_meet_their_hypotheses():
    for seed in range(5):
        problem = draw(jax.random.key(seed), Size(2, 3, 8))
        assert properties.zero_mean(centred(problem).X) <= 1e-15
        white = whitened(problem).X
        assert properties.whiteness(white) <= 1e-12
        assert properties.zero_mean(white) <= 1e-12


def test_the_search_is_in_float64_whatever_the_caller_uses():
    (conjecture,) = (c for c in TRUE if c.title == "Remark 1, sigmoid")
    with jax.enable_x64(False):
        found = falsify(conjecture.statement, sizes=SIZES[:1], starts=4, steps=5)
    assert abs(found.margin) < 1e-13


@pytest.mark.parametrize(
    ("statement", "options", "message"),
    [
        (lambda p: p.undefined, {}, "The statement fails on a random problem (AttributeError"),
        (lambda p: 1.0, {}, "returned no Claim"),
        (lambda p: None, {"starts": 0}, "0 starts"),
        (lambda p: None, {"steps": -1}, "-1 steps"),
        (lambda p: None, {"sizes": ()}, "0 sizes"),
    ],
)
def test_bad_searches_are_refused_in_one_sentence(statement, options, message):
    with pytest.raises(InputError) as caught:
        falsify(statement, **options)
    assert message in str(caught.value)


def test_a_search_is_the_same_where_dtypes_are_promoted_strictly():
    def statement(problem: Problem) -> Claim:
        b = problem.params.bias
        return Claim({}, b, b, b + 5)

    usual = falsify(statement, sizes=SIZES[:1], starts=2, steps=2)
    with jax.numpy_dtype_promotion("strict"):
        assert falsify(statement, sizes=SIZES[:1], starts=2, steps=2).margin == usual.margin


UNTESTED = {
    "NaN": lambda b: Claim({}, b, b, b * jnp.nan),
    "infinite": lambda b: Claim({}, b, b, jnp.full_like(b, jnp.inf)),
    "the hypotheses held at none": lambda b: Claim({"never": jnp.ones(())}, b, b, 0 * b - 1),
    "held at none of": lambda b: Claim({"NaN": jnp.nan * b[0]}, b, b, 0 * b - 1),
}


@pytest.mark.parametrize("cause", UNTESTED)
def test_a_search_that_tested_nothing_says_so_and_why(cause):
    def statement(problem: Problem) -> Claim:
        return UNTESTED[cause](problem.params.bias)

    found = falsify(statement, sizes=SIZES[:2], starts=4, steps=5)
    assert found.evaluations == 2 * 4 * 6
    assert not found.violated
    assert found.outcome.startswith("nothing was tested")
    assert cause in found.outcome
    assert found.margin == np.inf
    assert found.counts.tested == 0


def test_what_was_tested_is_counted():
    """b >= 0 at some evaluations, NaN in one of two units at some of these."""

    def statement(problem: Problem) -> Claim:
        b = problem.params.bias
        margin = jnp.array([1.0, 1.0]) * jnp.where(b < 1, jnp.nan, 1.0)
        return Claim({"b_1 >= 0": -b[0]}, b, b, margin)

    size = Size(1, 2, 2)
    found = falsify(statement, sizes=[size], starts=100, steps=0)
    key = jax.random.fold_in(jax.random.key(0), 0)
    b = np.asarray(draw_many(key, size, 100).params.bias)
    within = b[:, 0] >= 0
    assert found.outcome == "not violated"
    assert found.counts.within == within.sum()
    assert found.counts.tested == (within & (b >= 1).any(axis=1)).sum()
    assert found.counts.undefined == (within & (b < 1).any(axis=1)).sum()


@pytest.mark.parametrize("cause", UNTESTED)
def test_a_row_of_the_table_that_tested_nothing_does_not_hold(cause, monkeypatch):
    monkeypatch.setattr(attacks, "EFFORT", {"sizes": SIZES[:1], "starts": 2, "steps": 1})
    monkeypatch.setattr(attacks, "PROBLEMS", 10)
    row = attacked(Conjecture("T0", cause, lambda p: UNTESTED[cause](p.params.bias)))
    assert row.verdict == "nothing was tested"
    assert cause in row.number
    assert row.details["tested"] == 0


@pytest.mark.parametrize(
    ("margin", "verdict", "tested", "undefined"),
    [
        (lambda b: jnp.where(b > 0, 1.0, jnp.nan), "holds", (1, 3), (1, 3)),
        (lambda b: jnp.where(b > 20, 1.0, jnp.inf), "nothing", (0, 0), (0, 0)),
        (lambda b: b**2, "holds", (4, 4), (0, 0)),
        (lambda b: -(b**2), "false", (4, 4), (0, 0)),
    ],
)
def test_the_table_says_how_many_evaluations_tested_a_statement(
    margin, verdict, tested, undefined, monkeypatch
):
    monkeypatch.setattr(attacks, "EFFORT", {"sizes": SIZES[:1], "starts": 4, "steps": 0})
    monkeypatch.setattr(attacks, "PROBLEMS", 10)

    def statement(problem: Problem) -> Claim:
        b = problem.params.bias
        return Claim({}, b, b, margin(b))

    row = attacked(Conjecture("T0", "planted", statement))
    assert row.verdict.split()[0] == verdict
    assert tested[0] <= row.details["tested"] <= tested[1]
    assert undefined[0] <= row.details["margin_undefined"] <= undefined[1]
    assert f"{row.details['tested']} tested" in row.number
    assert ("NaN" in row.number) == (undefined[1] > 0)


def test_a_statement_that_random_problems_hardly_test_is_not_called_true(monkeypatch):
    """It claims something at one in 40 of them, and they are drawn again 20 times at most."""
    monkeypatch.setattr(attacks, "EFFORT", {"sizes": SIZES[1:2], "starts": 200, "steps": 0})
    monkeypatch.setattr(attacks, "PROBLEMS", 100)

    def statement(problem: Problem) -> Claim:
        b = problem.params.bias[:1]
        return Claim({}, b, b, jnp.where(b > 4, 1.0, jnp.inf))

    row = attacked(Conjecture("T0", "rare", statement))
    assert row.verdict == "inconclusive"
    assert 0 < row.details["random_problems"] < 100


def cantelli_too_large(name):
    """Cantelli's bound of Pr(h_j > δ_min) times 0.95: false, if only just."""
    s = get_activation(name)

    def statement(problem: Problem) -> Claim:
        bounds = sparsity.theorem2_bounds(problem.params, problem.X, s)
        right = jnp.where(bounds["cantelli"] > 0, 1 - 0.95 * (1 - bounds["cantelli"]), 0.0)
        return Claim({}, bounds["measured"], right, bounds["measured"] - right)

    return statement


def a_fifth_of_theorem_1s_bound(problem: Problem) -> Claim:
    """E[a_j] falls where λ ∂R/∂b_j exceeds 0.2 of the bound: false for sigmoid with SAE."""
    arguments = (problem.params, problem.X, get_activation("sigmoid"), penalties.log_sparsity())
    condition = statements.theorem1_condition(*arguments, problem.strength, 1.0)
    fall = -statements.theorem1_identity(*arguments, problem.strength, 1.0).right
    met = condition.left > 0.2 * condition.right
    return condition._replace(margin=jnp.where(met, fall, jnp.inf))


@pytest.mark.long
def test_a_fifth_of_theorem_1s_bound_does_not_suffice():
    params = Params(jnp.array([[0.1], [-3.0]]), jnp.array([0.0, 6.0]))
    problem = Problem(params, jnp.array([[0.1], [-0.1]]), jnp.log(jnp.array(0.25)), params)
    claim = a_fifth_of_theorem_1s_bound(problem)
    np.testing.assert_allclose(claim.left[0] / claim.right[0], 0.212, atol=5e-4)
    np.testing.assert_allclose(claim.margin[0], -0.022, atol=5e-4)
    assert falsify(a_fifth_of_theorem_1s_bound, **EFFORT).violated


@pytest.mark.parametrize("name", ["relu", "sigmoid"])
def test_the_tables_search_finds_a_bound_that_is_just_too_large(name):
    statement = cantelli_too_large(name)
    assert falsify(statement).violated
    found = falsify(statement, **EFFORT)
    assert found.violated
    params = found.problem.params
    a = np.asarray(found.problem.X) @ np.asarray(params.weight).T + np.asarray(params.bias)
    threshold = {"relu": 0.0, "sigmoid": np.log(1 / 9)}[name]  # sigmoid: δ_min = 0.1
    gap = threshold - a.mean(axis=0)
    bound = np.where(gap > 0, 1 - 0.95 * a.var(axis=0) / (a.var(axis=0) + gap**2), 0)
    frequency = (a <= threshold).mean(axis=0)
    np.testing.assert_allclose((frequency - bound).min(), found.margin, atol=1e-9)


def test_equation_5_along_full_batch_gradient_descent_on_white_data():
    """T2 at every recorded step, and the fall of E[a_j] wherever the condition is met."""
    from aesparse.data import load, whiten
    from aesparse.losses import penalties
    from aesparse.models.activations import get_activation
    from aesparse.models.one_layer import init_params

    pixels = load("digits").train.astype(np.float64)
    X = jnp.asarray(whiten(pixels, 24)(pixels))
    arguments = (get_activation("softplus"), penalties.log_sparsity(), 60.0, 1e-3)
    params = init_params(jax.random.key(1), 24, 8, dtype=X.dtype)
    identity = jax.jit(lambda p: statements.theorem1_identity(p, X, *arguments))
    condition = jax.jit(lambda p: statements.theorem1_condition(p, X, *arguments))
    step = jax.jit(lambda p: statements.gradient_step(p, X, *arguments))
    met = 0
    for _ in range(40):
        assert jnp.min(identity(params).margin) >= -1e-12
        claim, after = condition(params), step(params)
        pressed = np.asarray(claim.left > claim.right)
        before_mean = np.asarray(X @ params.weight.T).mean(axis=0) + np.asarray(params.bias)
        after_mean = np.asarray(X @ after.weight.T).mean(axis=0) + np.asarray(after.bias)
        assert (after_mean < before_mean)[pressed].all()
        met += pressed.sum()
        params = after
    assert met > 0


def test_a_violation_just_beyond_rounding_is_not_reduced_away():
    def statement(problem):
        b = problem.params.bias
        return Claim({}, b, b, -0.9e-9 * jnp.abs(b))

    found = falsify(statement, starts=4, steps=5)
    assert found.violated
    assert found.margin < -1e-9
