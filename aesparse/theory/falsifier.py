"""The falsifier: a search for a problem that violates a statement within its hypotheses.

Random starts, then gradient descent on the smallest margin through JAX, projected back onto
the hypotheses after every step; all starts run in one vmap. A violation found is reduced to
numbers that can be checked by hand. Shapes: n inputs, m hidden units, N samples.
"""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from aesparse.errors import InputError, first_line
from aesparse.models.one_layer import Params
from aesparse.theory.records import TOLERANCE, Claim, hypotheses_hold

__all__ = [
    "SIZES",
    "Counts",
    "Falsification",
    "Problem",
    "Size",
    "centred",
    "describe",
    "draw",
    "draw_many",
    "falsify",
    "smallest_margin",
    "whitened",
]

_KEPT = 0.05  # a reduced counter-example keeps this share of the violation found
_GRIDS = (1.0, 0.5, 0.25, 0.1, 0.05, 0.01)
_RATE = 0.05
_WEIGHT, _BIAS, _DATA = 3.0, 6.0, 3.0  # the box that is searched; log λ in ±9


class Problem(NamedTuple):
    """What a statement is evaluated at; `after` are the parameters one step later."""

    params: Params
    X: Float[Array, "N n"]
    log_strength: Float[Array, ""]
    after: Params

    @property
    def strength(self) -> Float[Array, ""]:
        """λ > 0."""
        return jnp.exp(self.log_strength)


class Size(NamedTuple):
    """The size of a problem: n, m, N."""

    inputs: int
    hidden: int
    samples: int


# Smallest first: the first size with a violation gives the simplest counter-example.
SIZES = (Size(1, 1, 2), Size(1, 2, 2), Size(2, 3, 8))

Statement = Callable[[Problem], Claim]
Projection = Callable[[Problem], Problem]


class Counts(NamedTuple):
    """At how many evaluations the hypotheses held, and what the margin was there."""

    within: int  # the hypotheses held
    tested: int  # ... and at least one unit's margin was below infinity: something was claimed
    undefined: int  # ... and at least one unit's margin was NaN


class Falsification(NamedTuple):
    """The smallest margin within the hypotheses, the problem it belongs to, and the effort.

    The margin is infinite if nothing was tested; `outcome` tells that from "not violated".
    """

    margin: float
    problem: Problem
    evaluations: int
    counts: Counts

    @property
    def violated(self) -> bool:
        """Whether the statement is false at `problem`, beyond rounding."""
        return self.margin < -TOLERANCE

    @property
    def outcome(self) -> str:
        """ "violated", "not violated" or, with the cause, "nothing was tested: ..."."""
        if self.violated:
            return "violated"
        if self.counts.tested:
            return "not violated"
        if not self.counts.within:
            cause = f"the hypotheses held at none of {self.evaluations:,} problems"
        elif self.counts.undefined:
            cause = "the margin is NaN where the hypotheses hold"
        else:
            cause = "the margin is infinite, nothing is claimed, where the hypotheses hold"
        return f"nothing was tested: {cause}"


def centred(problem: Problem) -> Problem:
    """E[x] = 0, exactly also for rounded numbers: the last sample balances the others."""
    X = problem.X
    return problem._replace(X=X.at[-1].set(-jnp.sum(X[:-1], axis=0)))


def whitened(problem: Problem) -> Problem:
    """E[x] = 0 and E[xxᵀ] = I."""
    X = centred(problem).X
    factor = jnp.linalg.cholesky(X.T @ X / len(X))
    white = jax.scipy.linalg.solve_triangular(factor, X.T, lower=True).T
    return problem._replace(X=white)


def draw(key: PRNGKeyArray, size: Size) -> Problem:
    """A random problem in the box, biases wider than weights so that units saturate too."""
    keys = jax.random.split(key, 6)

    def params(key_w: PRNGKeyArray, key_b: PRNGKeyArray) -> Params:
        weight = jax.random.normal(key_w, (size.hidden, size.inputs))
        return Params(weight, 2 * jax.random.normal(key_b, (size.hidden,)))

    return Problem(
        params(keys[0], keys[1]),
        jax.random.normal(keys[2], (size.samples, size.inputs)),
        3 * jax.random.normal(keys[3]),
        params(keys[4], keys[5]),
    )


@functools.partial(jax.jit, static_argnames=("size", "count"))
def draw_many(key: PRNGKeyArray, size: Size, count: int) -> Problem:
    """Random problems along a leading axis, by one program for all statements about them."""
    return jax.vmap(lambda key: draw(key, size))(jax.random.split(key, count))


def _boxed(problem: Problem) -> Problem:
    def params(p: Params) -> Params:
        return Params(jnp.clip(p.weight, -_WEIGHT, _WEIGHT), jnp.clip(p.bias, -_BIAS, _BIAS))

    return Problem(
        params(problem.params),
        jnp.clip(problem.X, -_DATA, _DATA),
        jnp.clip(problem.log_strength, -9.0, 9.0),
        params(problem.after),
    )


def smallest_margin(statement: Statement, problem: Problem) -> Float[Array, ""]:
    """The margin of the worst unit, infinite where a hypothesis fails or nothing is claimed."""
    return _margin_and_counts(statement, problem)[0]


def _margin_and_counts(statement: Statement, problem: Problem) -> tuple[Float[Array, ""], Counts]:
    claim = statement(problem)
    undefined, within = jnp.isnan(claim.margin), hypotheses_hold(claim)
    margin = jnp.min(jnp.where(undefined, jnp.inf, claim.margin))
    margin = jnp.where(within, margin, jnp.inf)
    happened = (within, margin < jnp.inf, within & jnp.any(undefined))
    return margin, Counts(*(jnp.asarray(v, int) for v in happened))


def falsify(
    statement: Statement,
    *,
    project: Projection = centred,
    sizes: Sequence[Size] = SIZES,
    starts: int = 32,
    steps: int = 50,
    key: PRNGKeyArray | None = None,
) -> Falsification:
    """Searches for a `Problem` within the hypotheses at which `statement` has a negative margin.

    `statement(problem)` returns a `Claim` and is a function that JAX can trace; `project` maps a
    problem onto the hypotheses. The sizes are searched in turn, `starts × (steps + 1)`
    evaluations each, in float64, until one is violated; the counter-example is then reduced.
    See `outcome`: a margin that is NaN or infinite, or hypotheses that never hold, test nothing.
    Raises `InputError` for a statement that fails or returns something else.
    """
    if starts < 1 or steps < 0 or not sizes:
        raise InputError(
            f"The search has {starts} starts, {steps} steps and {len(sizes)} sizes; expected at "
            "least 1 start, 0 steps and 1 size."
        )
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):  # optax relies on it
        key = jax.random.key(0) if key is None else key
        _check_statement(statement, project, Size(*sizes[0]))
        searches, counts = [], Counts(0, 0, 0)
        for i, size in enumerate(sizes):
            begin = draw_many(jax.random.fold_in(key, i), Size(*size), starts)
            margin, problem, new = _search(statement, project, begin, steps)
            counts = Counts(*(a + int(b) for a, b in zip(counts, new, strict=True)))
            evaluations = (i + 1) * starts * (steps + 1)
            searches.append(Falsification(float(margin), problem, evaluations, counts))
            if searches[-1].violated:
                return _reduced(statement, project, searches[-1])
    smallest = min(searches, key=lambda f: f.margin)
    return smallest._replace(evaluations=evaluations, counts=counts)


def _check_statement(statement: Statement, project: Projection, size: Size) -> None:
    try:
        claim = jax.eval_shape(lambda key: statement(project(draw(key, size))), jax.random.key(0))
    except Exception as error:  # whatever the user's function raises is the cause to show
        raise InputError(
            f"The statement fails on a random problem ({first_line(error)}); expected a function "
            "of a Problem that returns a Claim."
        ) from None
    if not isinstance(claim, Claim) or any(jnp.shape(r) for r in claim.hypotheses.values()):
        raise InputError(
            "The statement returned no Claim, or one with hypotheses of more than one number; "
            "expected a Claim with one residual per hypothesis."
        )


@functools.partial(jax.jit, static_argnames=("statement", "project"))
def _search(statement, project, starts, steps):
    optimizer = optax.adam(_RATE)

    def margin_at(free: Problem) -> tuple[Float[Array, ""], Counts]:
        return _margin_and_counts(statement, project(free))

    def step(_, carry):
        free, state, best, counts = carry
        (margin, new), gradient = jax.value_and_grad(margin_at, has_aux=True)(free)
        counts = jax.tree.map(jnp.add, counts, new)
        best = jax.tree.map(lambda a, b: jnp.where(margin < best[0], a, b), (margin, free), best)
        gradient = jax.tree.map(jnp.nan_to_num, gradient)
        update, state = optimizer.update(gradient, state)
        return _boxed(optax.apply_updates(free, update)), state, best, counts

    def one(free):
        free = _boxed(free)
        none = Counts(*[jnp.zeros((), int)] * 3)
        carry = (free, optimizer.init(free), (jnp.asarray(jnp.inf), free), none)
        return jax.lax.fori_loop(0, steps + 1, step, carry)[2:]

    (margins, problems), counts = jax.vmap(one)(starts)
    where = jnp.argmin(margins)
    problem = project(jax.tree.map(lambda leaf: leaf[where], problems))
    return margins[where], problem, jax.tree.map(jnp.sum, counts)


def _reduced(statement: Statement, project: Projection, violation: Falsification) -> Falsification:
    """The same violation with as many entries as possible 0 or coarsely rounded."""
    margin_of = jax.jit(lambda problem: smallest_margin(statement, project(problem)))
    leaves, structure = jax.tree.flatten(violation.problem)
    leaves = [np.array(leaf) for leaf in leaves]
    limit = _KEPT * violation.margin

    def violates() -> bool:
        margin = float(margin_of(jax.tree.unflatten(structure, leaves)))
        return margin <= limit and margin < -TOLERANCE

    for leaf in leaves:
        for index in np.ndindex(leaf.shape):
            entry = leaf[index]
            rounded = (grid * np.round(entry / grid) for grid in _GRIDS)
            for value in (0.0, np.sign(entry), *rounded):
                leaf[index] = value
                if violates():
                    break
            else:
                leaf[index] = entry
    problem = project(jax.tree.unflatten(structure, [jnp.asarray(leaf) for leaf in leaves]))
    return violation._replace(margin=float(smallest_margin(statement, problem)), problem=problem)


def describe(problem: Problem) -> str:
    """The numbers of a problem in one line; λ = 1 and a later step of zeros are left out."""
    named = {"x": problem.X, "W": problem.params.weight, "b": problem.params.bias}
    if any(bool(jnp.any(leaf != 0)) for leaf in problem.after[:2]):
        named |= {"W after": problem.after.weight, "b after": problem.after.bias}
    shown = [f"{name} = {_numbers(value)}" for name, value in named.items()]
    strength = [f"λ = {float(problem.strength):.4g}"] if problem.log_strength != 0 else []
    return "; ".join([*shown, *strength])


def _numbers(value: Float[Array, "..."]) -> str:
    if value.ndim == 0:
        return f"{float(value) + 0.0:.4g}"  # no −0
    inside = ", ".join(_numbers(row) for row in value)
    return inside if value.shape == (1,) else f"({inside})"
