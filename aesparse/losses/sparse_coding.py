"""Sparse coding (Arpit eq. 2): codes that are free variables, with a dictionary in the unit ball.

Eq. 2 sums Σ_i ‖x_i − Wᵀh_i‖² + λ‖h_i‖₁ over the samples; here it is their mean, as for every other
loss of this package. Its minimizers are the same at the same λ. scikit-learn's loss is N/2 times
ours: its `alpha` is λ/2. All functions are pure, and may be traced, compiled and lifted by `vmap`
over strengths, starts and data. Shapes: n inputs, m atoms (the rows W_j of the dictionary), N
samples.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

from aesparse.errors import InputError
from aesparse.options import check_counts, shortened

__all__ = [
    "SparseCoding",
    "dictionary_step",
    "random_atoms",
    "sparse_codes",
    "sparse_coding",
    "sparse_coding_loss",
]


class SparseCoding(NamedTuple):
    """A dictionary, the codes that are best for it, and eq. 2 on the way there.

    Attributes:
        dictionary: atoms as rows, `[m, n]`.
        codes: `[N, m]`.
        loss: `[iterations + 1]`, mean over samples; `loss[0]` is that of the start with its best
            codes, `loss[t]` that after t iterations.
    """

    dictionary: Float[Array, "m n"]
    codes: Float[Array, "N m"]
    loss: Float[Array, " iterations+1"]


def sparse_coding_loss(
    X: ArrayLike, dictionary: ArrayLike, codes: ArrayLike, strength: ArrayLike
) -> Float[Array, ""]:
    """Eq. 2 over N: the mean over samples of ‖x_i − Wᵀh_i‖² + λ‖h_i‖₁.

    Convex in the codes and convex in the dictionary, but not in both together. Arguments: X
    `[N, n]`, dictionary `[m, n]`, codes `[N, m]`, the strength λ one number. `InputError` where
    these do not fit each other.

    >>> X, atom, code = jnp.array([[1.0, 2.0]]), jnp.array([[1.0, 0.0]]), jnp.array([[-1.0]])
    >>> float(sparse_coding_loss(X, atom, code, 0.5))
    8.5
    """
    X, dictionary, strength = _checked(X, dictionary, strength)
    codes = _checked_codes(codes, X, dictionary)
    return jnp.mean(_losses(X, dictionary, codes, strength))


def sparse_codes(
    X: ArrayLike,
    dictionary: ArrayLike,
    strength: ArrayLike,
    *,
    nonnegative: bool = False,
    steps: int = 1000,
    tolerance: float = 1e-5,
) -> Float[Array, "N m"]:
    """The codes `[N, m]` that minimize eq. 2 for a given dictionary, by FISTA.

    Gradient steps of length 1/L, L twice the largest eigenvalue of W Wᵀ, each followed by soft
    thresholding; the momentum of a sample restarts where it points uphill (O'Donoghue and Candès,
    2015). No derivative of the result by reverse mode.

    Args:
        X: data `[N, n]`.
        dictionary: atoms as rows, `[m, n]`.
        strength: λ >= 0, one number.
        nonnegative: whether codes are >= 0; by default they have either sign.
        steps: at most so many; 1000 by default.
        tolerance: it ends when no code violates the conditions of a minimum by more than this, 1e-5
            by default, times the largest gradient at codes of 0.

    Raises:
        InputError: for arguments that do not fit each other.

    With orthonormal atoms the codes are soft thresholded products:

    >>> sparse_codes(jnp.array([[3.0, -0.2]]), jnp.eye(2), 1.0).tolist()
    [[2.5, 0.0]]
    """
    X, dictionary, strength = _checked(X, dictionary, strength)
    check_counts({"steps": steps})
    start = jnp.zeros((len(X), len(dictionary)), X.dtype)
    return _codes(X, dictionary, strength, start, nonnegative, steps, tolerance)


def dictionary_step(X: ArrayLike, dictionary: ArrayLike, codes: ArrayLike) -> Float[Array, "m n"]:
    """One sweep over the atoms, each moved to its best place in the unit ball for given codes.

    Block coordinate descent (Mairal et al. 2010, algorithm 2): for each atom alone the error is a
    multiple of the squared distance to a point, so the projection of that point is its minimum. An
    atom without a code other than 0 stays. Arguments, `X`, `dictionary` and `codes`, and errors are
    as for `sparse_coding_loss`.

    >>> X, atom, code = jnp.array([[0.0, 4.0]]), jnp.array([[1.0, 0.0]]), jnp.array([[2.0]])
    >>> dictionary_step(X, atom, code).tolist()
    [[0.0, 1.0]]
    """
    X, dictionary, _ = _checked(X, dictionary, 0.0)
    codes = _checked_codes(codes, X, dictionary)
    among, along = codes.T @ codes, codes.T @ X

    def move(j: Array, atoms: Float[Array, "m n"]) -> Float[Array, "m n"]:
        used = among[j, j] > 0
        whole = jnp.where(used, among[j, j], 1.0)
        moved = _in_ball(atoms[j] + (along[j] - among[j] @ atoms) / whole)
        return atoms.at[j].set(jnp.where(used, moved, atoms[j]))

    return jax.lax.fori_loop(0, len(dictionary), move, dictionary)


def sparse_coding(
    X: ArrayLike,
    atoms: ArrayLike,
    strength: ArrayLike,
    *,
    iterations: int = 50,
    nonnegative: bool = False,
    steps: int = 1000,
    tolerance: float = 1e-5,
) -> SparseCoding:
    """Eq. 2 by alternating minimization over dictionary and codes.

    Each iteration is a `dictionary_step`, then `sparse_codes` from the last codes, and no step
    raises the loss by more than rounding. The atoms stay in the unit ball, where they are first
    projected: without a bound, longer atoms and smaller codes would make the ℓ1 term vanish. The
    loss is not convex in both, so the result depends on the start; see `random_atoms`.

    Args:
        X: data `[N, n]`, taken as it comes: subtract its mean before, for there is no bias.
        atoms: the dictionary to start from, `[m, n]`.
        strength: λ >= 0, one number.
        iterations: 50 by default.
        nonnegative: as the `steps` and the `tolerance`, those of `sparse_codes`.

    Raises:
        InputError: for arguments that do not fit each other, and counts below 1.

    >>> X = jax.random.normal(jax.random.key(0), (100, 5))
    >>> result = sparse_coding(X, random_atoms(jax.random.key(1), X, count=8), 0.5, iterations=20)
    >>> bool(jnp.all(jnp.diff(result.loss) <= 1e-5))
    True
    """
    X, dictionary, strength = _checked(X, atoms, strength)
    check_counts({"iterations": iterations, "steps": steps})

    def solve(dictionary: Array, start: Array) -> tuple[tuple[Array, Array], Array]:
        codes = _codes(X, dictionary, strength, start, nonnegative, steps, tolerance)
        return (dictionary, codes), jnp.mean(_losses(X, dictionary, codes, strength))

    def iteration(state: tuple[Array, Array], _) -> tuple[tuple[Array, Array], Array]:
        dictionary, codes = state
        return solve(dictionary_step(X, dictionary, codes), codes)

    start = jnp.zeros((len(X), len(dictionary)), X.dtype)
    state, first = solve(jax.vmap(_in_ball)(dictionary), start)
    (dictionary, codes), losses = jax.lax.scan(iteration, state, length=iterations)
    return SparseCoding(dictionary, codes, jnp.concatenate([first[None], losses]))


def random_atoms(key: PRNGKeyArray, X: ArrayLike, *, count: int) -> Float[Array, "m n"]:
    """A dictionary to start from: `count` different samples of `X [N, n]`, scaled to length 1.

    They are drawn with the random `key`; samples of length 0 are the last to be taken. `InputError`
    for more atoms than samples.

    >>> X = jnp.array([[3.0, 4.0], [0.0, 0.0]])
    >>> random_atoms(jax.random.key(0), X, count=1).tolist()
    [[0.6, 0.8]]
    """
    X = _matrix("data", X)
    check_counts({"count": count})
    if count > len(X):
        raise InputError(
            f"The count is {count} atoms for {len(X)} samples; expected at most as many atoms as "
            "samples. Give a dictionary of your own to start with more."
        )
    lengths = jnp.linalg.norm(X, axis=1)
    weights = (lengths > 0).astype(X.dtype)
    chosen = jax.random.choice(key, len(X), (count,), replace=False, p=weights)
    return X[chosen] / jnp.where(lengths > 0, lengths, 1.0)[chosen][:, None]


def _losses(X: Array, dictionary: Array, codes: Array, strength: Array) -> Float[Array, " N"]:
    squared = jnp.sum((X - codes @ dictionary) ** 2, axis=1)
    return squared + strength * jnp.sum(jnp.abs(codes), axis=1)


def _codes(
    X: Array,
    dictionary: Array,
    strength: Array,
    start: Array,
    nonnegative: bool,
    steps: int,
    tolerance: float,
) -> Float[Array, "N m"]:
    gram, products = dictionary @ dictionary.T, X @ dictionary.T
    steepest = jnp.maximum(2 * jnp.linalg.eigvalsh(gram)[-1], jnp.finfo(X.dtype).tiny)
    enough = tolerance * jnp.max(jnp.abs(2 * products))

    def threshold(codes: Array) -> Array:
        size = jnp.maximum((codes if nonnegative else jnp.abs(codes)) - strength / steepest, 0)
        return size if nonnegative else jnp.sign(codes) * size

    def step(state: tuple) -> tuple:
        count, _, last, ahead, time = state
        codes = threshold(ahead - 2 * (ahead @ gram - products) / steepest)
        violation = steepest * jnp.max(jnp.abs(codes - ahead))
        uphill = jnp.sum((ahead - codes) * (codes - last), axis=1) > 0
        time = jnp.where(uphill, 1.0, time)
        later = (1 + jnp.sqrt(1 + 4 * time**2)) / 2
        ahead = codes + ((time - 1) / later)[:, None] * (codes - last)
        return count + 1, violation, codes, ahead, later

    def unfinished(state: tuple) -> Array:
        count, violation, *_ = state
        return (count < steps) & (violation > enough)

    begin = (0, jnp.asarray(jnp.inf, X.dtype), start, start, jnp.ones(len(X), X.dtype))
    codes = jax.lax.while_loop(unfinished, step, begin)[2]
    # Momentum may end above its start where it is stopped early.
    before, after = (_losses(X, dictionary, h, strength) for h in (start, codes))
    return jnp.where((after <= before)[:, None], codes, start)


def _in_ball(atom: Float[Array, " n"]) -> Float[Array, " n"]:
    return atom / jnp.maximum(jnp.linalg.norm(atom), 1.0)


def _matrix(name: str, value: ArrayLike, dtype: jnp.dtype | None = None) -> Float[Array, "a b"]:
    """Numbers as a matrix of floats; `InputError` otherwise."""
    try:
        array = jnp.asarray(value)
    except (TypeError, ValueError):
        raise InputError(
            f"The {name} is {shortened(value)}; expected a matrix of numbers."
        ) from None
    if array.ndim != 2 or 0 in array.shape or jnp.iscomplexobj(array):
        raise InputError(
            f"The {name} has shape {array.shape} and type {array.dtype}; expected a matrix of "
            "real numbers with at least one row and column."
        )
    return array.astype(dtype or jnp.promote_types(array.dtype, jnp.float32))


def _checked(X: ArrayLike, dictionary: ArrayLike, strength: ArrayLike) -> tuple[Array, ...]:
    X = _matrix("data", X)
    dictionary = _matrix("dictionary", dictionary, X.dtype)
    if X.shape[1] != dictionary.shape[1]:
        raise InputError(
            f"The atoms have {dictionary.shape[1]} inputs and the data {X.shape[1]}; expected the "
            "same number. An atom is a row of the dictionary."
        )
    strength = jnp.asarray(strength, X.dtype)
    if strength.ndim or (not isinstance(strength, jax.core.Tracer) and not strength >= 0):
        raise InputError(
            f"The strength is {shortened(strength.tolist())}; expected one number >= 0. Use "
            "jax.vmap for several."
        )
    return X, dictionary, strength


def _checked_codes(codes: ArrayLike, X: Array, dictionary: Array) -> Float[Array, "N m"]:
    codes = _matrix("codes", codes, X.dtype)
    if codes.shape != (len(X), len(dictionary)):
        raise InputError(
            f"The codes have shape {codes.shape}; expected {(len(X), len(dictionary))}, one row "
            "for each sample and one column for each atom."
        )
    return codes
