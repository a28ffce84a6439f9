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
from aesparse.theory.problems import (
    SIZES,
    Problem,
    Size,
    centred,
    describe,
    draw,
    draw_many,
    whitened,
)
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


Statement = Callable[[Problem], Claim]
Projection = Callable[[Problem], Problem]


class Counts(NamedTuple):
    """At how many evaluations the hypotheses held, and what the margin was there.

    Attributes:
        within: the hypotheses held.
        tested: so they did, and at least one unit's margin was below infinity: something was
            claimed.
        undefined: so they did, and at least one unit's margin was NaN.
    """

    within: int
    tested: int
    undefined: int


class Falsification(NamedTuple):
    """The smallest margin within the hypotheses, the problem it belongs to, and the effort.

    Attributes:
        margin: the smallest; infinite if nothing was tested.
        problem: where it was found.
        evaluations: of the statement in the search, in all.
        counts: what they tested.

    >>> from aesparse.theory.problems import draw
    >>> problem, counts = draw(jax.random.key(0), SIZES[0]), Counts(100, 100, 0)
    >>> found = Falsification(-0.1, problem, 100, counts)
    >>> found.violated, found.outcome
    (True, 'violated')
    >>> Falsification(np.inf, problem, 100, Counts(100, 0, 0)).outcome
    'nothing was tested: the margin is infinite, nothing is claimed, where the hypotheses hold'
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
        """Either "violated", "not violated" or, with the cause, "nothing was tested: …"."""
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
    """The margin of the worst unit of `statement(problem)`.

    Infinite where a hypothesis fails or nothing is claimed.

    >>> from aesparse.theory.properties import zero_mean
    >>> def positive(problem):  # "W > 0", on centred data
    ...     side = problem.params.weight[:, 0]
    ...     return Claim({"E[x] = 0": zero_mean(problem.X)}, side, 0 * side, side)
    >>> one = Params(-jnp.ones((1, 1)), jnp.zeros(1))
    >>> problem = Problem(one, jnp.array([[1.0], [-1.0]]), jnp.array(0.0), one)
    >>> float(smallest_margin(positive, problem))
    -1.0
    >>> float(smallest_margin(positive, problem._replace(X=jnp.ones((2, 1)))))
    inf
    """
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

    Random starts, then gradient descent on the smallest margin, in float64. The sizes are searched
    in turn, `starts × (steps + 1)` evaluations each, until one is violated; the counter-example is
    then reduced to few and round numbers. See `Falsification.outcome`: a margin that is NaN or
    infinite, or hypotheses that never hold, test nothing.

    Args:
        statement: `statement(problem)` returns a `Claim`, and JAX can trace it.
        project: maps a problem onto the hypotheses; by default `centred`.
        sizes: of problems, by default `SIZES`, from 1 input, 1 unit and 2 samples on.
        starts: random starts of each size; 32 by default.
        steps: of descent from each; 50 by default.
        key: of JAX's random numbers, by default `jax.random.key(0)`.

    Raises:
        InputError: for a statement that fails or returns something else, and fewer than 1 start, 0
            steps and 1 size.

    >>> from aesparse.models.activations import get_activation
    >>> from aesparse.theory.statements import corollary2
    >>> def without_convexity(problem):
    ...     claim = corollary2(problem.params, problem.X, get_activation("sigmoid"))
    ...     return claim._replace(hypotheses={})
    >>> found = falsify(without_convexity, starts=4, steps=10)
    >>> found.outcome, found.margin < 0, found.counts.tested
    ('violated', True, 44)
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
