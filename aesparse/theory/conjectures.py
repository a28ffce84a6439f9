"""What the falsifier is set on: the papers' statements, and readings of them that are false.

The false ones leave out a hypothesis that the papers do not name, or promise more than holds.
"""

import dataclasses
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array

from aesparse.losses import penalties
from aesparse.models.activations import Activation, get_activation
from aesparse.models.constraints import as_constraint
from aesparse.theory import convexity, expansion, properties, sparsity, statements
from aesparse.theory.falsifier import Problem, centred, whitened
from aesparse.theory.records import Claim

__all__ = ["CONJECTURES", "Conjecture"]

_RELU, _SOFTPLUS = get_activation("relu"), get_activation("softplus")
_SIGMOID, _TANH = get_activation("sigmoid"), get_activation("tanh")
_HALF_SQUARE = Activation(lambda a: a**2 / 2)
_UNIT = as_constraint("unit")
_RATE = 0.1
_BELOW = 0.05  # how far under a_min Theorem 2's problems start, and fall at least
_SMALL = 0.1  # |h| up to this counts as switched off where δ_min must be positive


@dataclasses.dataclass(frozen=True)
class Conjecture:
    """A statement to attack by `falsify`, and whether it is in fact true.

    Attributes:
        id: as in the claims: T1, T2, …
        title: in words.
        statement: a function from a `Problem` to a `Claim`.
        true: whether it is true; by default it is.
        identity: whether its margin is minus a relative error; by default not.
        project: maps a problem onto the hypotheses; by default `centred`.

    >>> false = [conjecture for conjecture in CONJECTURES if not conjecture.true]
    >>> len(false), false[0].id, false[0].title, false[0].project is centred
    (9, 'T4', 'Corollary 2 with sigmoid (not convex)', True)
    """

    id: str
    title: str
    statement: Callable[[Problem], Claim]
    true: bool = True
    identity: bool = False
    project: Callable[[Problem], Problem] = centred


def _on_parameters(statement: Callable[..., Claim], *arguments) -> Callable[[Problem], Claim]:
    return lambda problem: statement(problem.params, problem.X, *arguments)


def _with_strength(
    statement: Callable[..., Claim], s: Activation, penalty: penalties.Penalty
) -> Callable[[Problem], Claim]:
    return lambda p: statement(p.params, p.X, s, penalty, p.strength, _RATE)


def _only(statement: Callable[[Problem], Claim], *hypotheses: str) -> Callable[[Problem], Claim]:
    """The statement with just these of its hypotheses."""

    def weaker(problem: Problem) -> Claim:
        claim = statement(problem)
        return claim._replace(hypotheses={name: claim.hypotheses[name] for name in hypotheses})

    return weaker


def _without(statement: Callable[[Problem], Claim], dropped: str) -> Callable[[Problem], Claim]:
    def weaker(problem: Problem) -> Claim:
        claim = statement(problem)
        others = {name: r for name, r in claim.hypotheses.items() if name != dropped}
        return claim._replace(hypotheses=others)

    return weaker


def _theorem2(s: Activation) -> Callable[[Problem], Claim]:
    return lambda p: sparsity.theorem2_step(p.params, p.after, p.X, s)


def _falling(s: Activation) -> Callable[[Problem], Problem]:
    """White data, unit rows, E[a_j] = b_j so far below a_min that the bound is above 0."""

    def project(problem: Problem) -> Problem:
        before = _UNIT.project(problem.params)
        limit = properties.activation_threshold(s) - 1 - _BELOW
        before = before._replace(bias=jnp.minimum(before.bias, limit))
        after = problem.after
        after = after._replace(bias=jnp.minimum(after.bias, before.bias - _BELOW))
        return whitened(problem._replace(params=before, after=after))

    return project


def _falling_at_fixed_length(s: Activation) -> Callable[[Problem], Problem]:
    def project(problem: Problem) -> Problem:
        after = _UNIT.project(problem.after)
        return _falling(s)(problem._replace(after=after))

    return project


def _unit_rows(problem: Problem) -> Problem:
    return centred(problem._replace(params=_UNIT.project(problem.params)))


def _biasless(problem: Problem) -> Claim:
    return statements.biasless_mean(problem.params.weight, problem.X)


def _kl_near_its_limit(problem: Problem) -> Claim:
    """Means and a target from the problem's numbers."""
    means = 0.98 * jax.nn.sigmoid(problem.params.bias) + 0.005
    return expansion.kl_limit(means, jax.nn.sigmoid(problem.log_strength) / 10)


def _eq2_convex(*, codes: bool, dictionary: bool) -> Callable[[Problem], Claim]:
    """Eq. 2 between two points that differ in their codes (biases), dictionaries (weights), both.

    The rest of the second point is as in the first.
    """

    def statement(p: Problem) -> Claim:
        first = p.params.weight, p.params.bias
        second = (p.after if dictionary else p.params).weight, (p.after if codes else p.params).bias
        return convexity.midpoint_convexity(first, second, p.X, p.strength)

    return statement


def _residual_term(sign: int) -> Callable[[Problem], Claim]:
    return lambda p: convexity.residual_term(p.params, p.X, _SOFTPLUS, sign=sign)


def _true() -> list[Conjecture]:
    identity, condition = statements.theorem1_identity, statements.theorem1_condition
    sae, on = penalties.log_sparsity(), _on_parameters
    lemmas = [
        Conjecture("T1", f"Lemma 1, {name}", on(statements.lemma1, get_activation(name)))
        for name in ("relu", "softplus", "sigmoid", "tanh")
    ]
    convex = [
        Conjecture(number, f"{title}, {name}", on(statement, get_activation(name)))
        for number, title, statement in (
            ("T4", "Corollary 2", statements.corollary2),
            ("T8", "second term of Theorem 3", statements.cross_term),
        )
        for name in ("relu", "softplus")
    ]
    radial = [
        Conjecture(
            "T13",
            f"ReLU, unit rows: only a radial gradient, {name}",
            on(statements.radial_gradient, _RELU, penalty),
            identity=True,
            project=_unit_rows,
        )
        for name, penalty in (("CAE", penalties.contractive), ("mDAE", penalties.marginalized))
    ]
    exists = on(statements.some_strength_suffices, _SOFTPLUS, penalties.contractive)
    return [
        *lemmas,
        Conjecture(
            "T2", "eq. 5, SAE, sigmoid", _with_strength(identity, _SIGMOID, sae), identity=True
        ),
        Conjecture(
            "T2",
            "eq. 5, CAE, softplus",
            _with_strength(identity, _SOFTPLUS, penalties.contractive),
            identity=True,
        ),
        Conjecture("T2", "Theorem 1, SAE, sigmoid", _with_strength(condition, _SIGMOID, sae)),
        Conjecture("T2", "Theorem 1, SAE, ReLU", _with_strength(condition, _RELU, sae)),
        Conjecture(
            "T2",
            "Var[a_j] = ‖W_j‖²",
            on(statements.theorem1_variance),
            identity=True,
            project=whitened,
        ),
        Conjecture("T3", "Corollary 1, sigmoid, exp", on(statements.corollary1, _SIGMOID, jnp.exp)),
        Conjecture("T3", "Corollary 1, ReLU, t³", on(statements.corollary1, _RELU, _cube)),
        *convex,
        Conjecture("T4", "Corollary 2, ∃ λ, softplus", exists),
        *(
            Conjecture(
                "T5",
                f"Theorem 2, {name}",
                _theorem2(s),
                project=_falling_at_fixed_length(s),
            )
            for name, s in (("ReLU", _RELU), ("sigmoid", _SIGMOID))
        ),
        Conjecture(
            "T5",
            "a unit pushed down is small, sigmoid",
            on(sparsity.deactivation, _SIGMOID, _SMALL),
            project=whitened,
        ),
        Conjecture("T7", "Remark 1, sigmoid", on(statements.remark1, _SIGMOID), identity=True),
        Conjecture(
            "T7", "Remarks 2 and 3, sigmoid", on(statements.remark2, _SIGMOID), identity=True
        ),
        Conjecture("T9", "eq. 12 → eq. 13 as ρ → 0", _kl_near_its_limit),
        Conjecture("T10", "E[a_j] = 0 without a bias", _biasless, identity=True),
        *radial,
        Conjecture(
            "T14", "eq. 2 is convex in the codes", _eq2_convex(codes=True, dictionary=False)
        ),
        Conjecture(
            "T14", "eq. 2 is convex in the dictionary", _eq2_convex(codes=False, dictionary=True)
        ),
        Conjecture(
            "T15",
            "Theorem 3: terms with slopes >= 0, tanh",
            on(convexity.slope_terms, _TANH),
        ),
    ]


def _cube(t: Array) -> Array:
    return t**3


def _false() -> list[Conjecture]:
    on = _on_parameters
    deactivation = on(sparsity.deactivation, _TANH, _SMALL)
    return [
        Conjecture(
            "T4",
            "Corollary 2 with sigmoid (not convex)",
            _only(on(statements.corollary2, _SIGMOID), "s non-decreasing"),
            true=False,
        ),
        Conjecture(
            "T4",
            "Corollary 2's ∃ λ with ReLU on a finite sample",
            on(statements.some_strength_suffices, _RELU, penalties.contractive),
            true=False,
        ),
        Conjecture(
            "T3",
            "Corollary 1 for KL with target 0.5, below it too",
            _only(
                on(statements.corollary1, _SIGMOID, partial(penalties.kl_divergence, 0.5)),
                "s non-decreasing",
            ),
            true=False,
        ),
        Conjecture(
            "T11",
            "a unit pushed down is small, with tanh",
            _only(deactivation, "s non-decreasing"),
            true=False,
            project=whitened,
        ),
        Conjecture(
            "T5",
            "Theorem 2 with rows that grow",
            _without(_theorem2(_RELU), "‖W_j‖ fixed"),
            true=False,
            project=_falling(_RELU),
        ),
        Conjecture(
            "T8",
            "second term of Theorem 3, s = a²/2 (convex, not monotone)",
            _only(on(statements.cross_term, _HALF_SQUARE), "s convex"),
            true=False,
        ),
        Conjecture(
            "T14",
            "eq. 2 is convex in dictionary (W) and codes (b) together",
            _eq2_convex(codes=True, dictionary=True),
            true=False,
        ),
        Conjecture(
            "T15",
            "Theorem 3: term with the residual >= 0, softplus",
            _residual_term(1),
            False,
        ),
        Conjecture(
            "T15",
            "Theorem 3: term with the residual <= 0, softplus",
            _residual_term(-1),
            False,
        ),
    ]


CONJECTURES: tuple[Conjecture, ...] = (*_true(), *_false())
