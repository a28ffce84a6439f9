"""Sparse coding (Arpit eq. 2) against scikit-learn and the conditions of a minimum in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.decomposition import dict_learning, sparse_encode

import aesparse as ae
from aesparse.errors import InputError

N, INPUTS, ATOMS = 40, 10, 16
STRENGTHS = (0.05, 0.5, 3.0)
EXACT = {"tolerance": 1e-13, "steps": 50_000}


@pytest.fixture
def problem(x64):
    """Data [N, n] and unit atoms [m, n]: more atoms than inputs."""
    rng = np.random.default_rng(0)
    atoms = rng.normal(size=(ATOMS, INPUTS))
    return rng.normal(size=(N, INPUTS)), atoms / np.linalg.norm(atoms, axis=1, keepdims=True)


def eq2(X, dictionary, codes, strength):
    """Eq. 2 as printed, a sum over samples, over N."""
    total = 0.0
    for x, h in zip(X, np.asarray(codes), strict=True):
        total += np.sum((x - np.asarray(dictionary).T @ h) ** 2) + strength * np.sum(np.abs(h))
    return total / len(X)


def test_the_loss_is_eq_2_over_the_number_of_samples(problem):
    X, atoms = problem
    codes = np.random.default_rng(1).normal(size=(N, ATOMS))
    np.testing.assert_allclose(
        ae.sparse_coding_loss(X, atoms, codes, 0.7), eq2(X, atoms, codes, 0.7), rtol=1e-13
    )


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("nonnegative", [False, True])
def test_codes_are_those_of_coordinate_descent(problem, strength, nonnegative):
    X, atoms = problem
    codes = ae.sparse_codes(X, atoms, strength, nonnegative=nonnegative, **EXACT)
    expected = sparse_encode(
        X,
        atoms,
        algorithm="lasso_cd",
        alpha=strength / 2,
        max_iter=1_000_000,
        positive=nonnegative,
        check_input=False,
    )
    np.testing.assert_allclose(codes, expected, atol=2e-5)  # scikit-learn's duality gap
    assert ((np.asarray(codes) != 0) == (expected != 0)).mean() > 0.999
    assert eq2(X, atoms, codes, strength) <= eq2(X, atoms, expected, strength) + 1e-12


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("nonnegative", [False, True])
def test_codes_meet_the_conditions_of_a_minimum(problem, strength, nonnegative):
    """0 is in the subdifferential: −∂‖x − Wᵀh‖²/∂h_j = λ sign(h_j), or at most λ where h_j = 0."""
    X, atoms = problem
    codes = np.asarray(ae.sparse_codes(X, atoms, strength, nonnegative=nonnegative, **EXACT))
    descent = 2 * (X - codes @ atoms) @ atoms.T
    active = codes != 0
    assert active.any()
    assert not active.all()
    np.testing.assert_allclose(descent[active], strength * np.sign(codes[active]), atol=1e-10)
    at_zero = descent[~active] if nonnegative else np.abs(descent[~active])
    assert at_zero.max() <= strength + 1e-10
    assert not nonnegative or codes.min() >= 0


def test_without_a_penalty_codes_are_least_squares(problem):
    X, atoms = problem
    codes = ae.sparse_codes(X, atoms[:4], 0.0, **EXACT)
    np.testing.assert_allclose(codes, np.linalg.lstsq(atoms[:4].T, X.T)[0].T, atol=1e-10)


def test_from_twice_the_largest_product_on_all_codes_are_zero(problem):
    X, atoms = problem
    most = 2 * np.abs(X @ atoms.T).max()
    assert not np.asarray(ae.sparse_codes(X, atoms, most)).any()
    assert np.asarray(ae.sparse_codes(X, atoms, 0.999 * most)).any()


def test_each_atom_moves_to_its_best_place_in_the_unit_ball(problem):
    """A single atom: the best of 100,000 random points in the ball is no better."""
    X, atoms = problem
    codes = np.random.default_rng(2).normal(size=(N, 1))
    moved = np.asarray(ae.dictionary_step(X[:, :2], atoms[:1, :2], codes))
    assert np.linalg.norm(moved) <= 1 + 1e-12
    points = np.random.default_rng(3).uniform(-1, 1, size=(100_000, 2))
    points = points[np.linalg.norm(points, axis=1) <= 1]
    errors = np.mean(np.sum((X[:, None, :2] - codes[:, :, None] * points) ** 2, axis=2), axis=0)
    assert eq2(X[:, :2], moved, codes, 0.0) <= errors.min()


def test_an_atom_without_codes_stays(problem):
    X, atoms = problem
    codes = np.random.default_rng(4).normal(size=(N, ATOMS)) * (np.arange(ATOMS) != 3)
    moved = np.asarray(ae.dictionary_step(X, atoms, codes))
    np.testing.assert_array_equal(moved[3], atoms[3])
    assert (np.abs(moved - atoms).max(axis=1) > 1e-3).sum() == ATOMS - 1


@pytest.mark.parametrize("nonnegative", [False, True])
def test_alternating_minimization_goes_where_scikit_learn_goes(problem, nonnegative):
    """The same dictionary and the same loss after 20 iterations from the same start."""
    X, atoms = problem
    result = ae.sparse_coding(X, atoms, 0.5, iterations=20, nonnegative=nonnegative, tolerance=1e-9)
    _, expected, errors = dict_learning(
        X,
        ATOMS,
        alpha=0.25,
        max_iter=20,
        tol=0,
        method="cd",
        dict_init=atoms,
        code_init=np.zeros((N, ATOMS)),
        positive_code=nonnegative,
        method_max_iter=100_000,
    )
    np.testing.assert_allclose(result.dictionary, expected, atol=1e-4)
    # Ours are taken after the codes, theirs after the dictionary: they alternate.
    loss, theirs = np.asarray(result.loss), 2 * np.array(errors) / N
    assert (theirs <= loss[:-1] + 1e-6).all()
    assert (loss[1:] <= theirs + 1e-6).all()


@pytest.mark.parametrize("seed", range(5))
def test_the_loss_never_rises_and_is_that_of_what_is_returned(x64, seed):
    """From random sizes, strengths and starts, also where the codes are stopped early."""
    rng = np.random.default_rng(seed)
    n, m, samples = (int(rng.integers(*ends)) for ends in ((1, 12), (1, 12), (12, 24)))
    X = rng.normal(size=(samples, n)) * rng.uniform(0.1, 10)
    strength, steps = float(rng.choice([0.0, 0.01, 0.3, 5.0])), int(rng.choice([1, 3, 1000]))
    result = ae.sparse_coding(
        X,
        3 * rng.normal(size=(m, n)),
        strength,
        iterations=15,
        steps=steps,
        nonnegative=bool(seed % 2),
    )
    loss = np.asarray(result.loss)
    assert loss.shape == (16,)
    assert np.diff(loss).max() <= 1e-13 * loss[0]
    np.testing.assert_allclose(
        loss[-1], eq2(X, result.dictionary, result.codes, strength), rtol=1e-12
    )
    assert np.linalg.norm(result.dictionary, axis=1).max() <= 1 + 1e-12
    assert loss[-1] < loss[0] or strength == 5.0


def test_one_program_serves_strengths_and_seeds(problem):
    X = problem[0]
    strengths, keys = jnp.array([0.1, 1.0]), jax.random.split(jax.random.key(0), 3)

    def coded(strength, key):
        start = ae.random_atoms(key, X, count=6)
        return ae.sparse_coding(X, start, strength, iterations=4, tolerance=1e-12)

    over_keys = jax.vmap(coded, in_axes=(None, 0))
    together = jax.jit(jax.vmap(over_keys, in_axes=(0, None)))(strengths, keys)
    assert together.codes.shape == (2, 3, N, 6)
    for i, strength in enumerate(strengths):
        for j, key in enumerate(keys):
            alone = coded(float(strength), key)
            for one, many in zip(alone, together, strict=True):
                np.testing.assert_allclose(many[i, j], one, atol=1e-9)


def test_float32_data_stays_float32_and_is_close():
    rng = np.random.default_rng(5)
    X = rng.normal(size=(30, 8)).astype(np.float32)
    atoms = ae.random_atoms(jax.random.key(0), X, count=12)
    codes = ae.sparse_codes(X, atoms, 0.3)
    assert codes.dtype == np.float32
    wide = (np.asarray(a, float) for a in (X, atoms))
    expected = sparse_encode(*wide, algorithm="lasso_cd", alpha=0.15, max_iter=10**6)
    np.testing.assert_allclose(codes, expected, atol=2e-3)


def test_random_atoms_are_different_samples_of_length_1():
    X = np.random.default_rng(6).normal(size=(9, 3)).astype(np.float32)
    X[4] = 0
    atoms = np.asarray(ae.random_atoms(jax.random.key(1), X, count=8))
    np.testing.assert_allclose(np.linalg.norm(atoms, axis=1), 1, rtol=1e-6)
    cosines = atoms @ (X / np.maximum(np.linalg.norm(X, axis=1, keepdims=True), 1e-9)).T
    assert sorted(cosines.argmax(axis=1)) == [0, 1, 2, 3, 5, 6, 7, 8]
    other = np.asarray(ae.random_atoms(jax.random.key(2), X, count=8))
    assert not np.array_equal(atoms, other)


X32 = np.ones((4, 3), np.float32)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ae.sparse_codes(X32, np.ones((2, 4)), 0.1), "4 inputs and the data 3"),
        (lambda: ae.sparse_codes(X32[0], X32, 0.1), "data has shape (3,)"),
        (lambda: ae.sparse_codes(X32, X32[:0], 0.1), "dictionary has shape (0, 3)"),
        (lambda: ae.sparse_codes(X32, X32 * 1j, 0.1), "dictionary"),
        (lambda: ae.sparse_codes(X32, X32, -0.1), "strength is -0.1"),
        (lambda: ae.sparse_codes(X32, X32, np.nan), "strength is nan"),
        (lambda: ae.sparse_codes(X32, X32, np.ones(2)), "jax.vmap"),
        (lambda: ae.sparse_codes(X32, X32, 0.1, steps=0), "steps is 0"),
        (lambda: ae.sparse_coding(X32, X32, 0.1, iterations=0), "iterations is 0"),
        (lambda: ae.sparse_coding_loss(X32, X32[:2], X32, 0.1), "codes have shape (4, 3)"),
        (lambda: ae.dictionary_step(X32, X32[:2], X32), "codes have shape (4, 3)"),
        (lambda: ae.random_atoms(jax.random.key(0), X32, count=5), "5 atoms for 4 samples"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(call, message):
    with pytest.raises(InputError) as caught:
        call()
    assert message in str(caught.value)
