"""A grid of models, seeds × strengths, as one compiled program.

Every cell sees the same batches and the same unit noise (per seed), so cells differ by their
strength alone. Shapes: S seeds, G strengths, m hidden units, n inputs, N samples, E epochs.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from aesparse import guard
from aesparse.activations import Activation
from aesparse.data import check_matrix
from aesparse.errors import InputError
from aesparse.metrics import (
    BiasPressure,
    Metrics,
    UnitStatistics,
    bias_pressure,
    flagged,
    measure,
    summarize,
)
from aesparse.model import Constraint, Params, get_constraint, init_params
from aesparse.objectives import Objective
from aesparse.training import TrainState, draw_batch, make_step, momentum_sgd, run_epoch, start

__all__ = ["GridResult", "Program", "fit_grid", "grid_program", "measure_grid"]

_PRESSURE_SAMPLES = 1000
_INIT, _EPOCHS, _PRESSURE = range(3)  # the random streams of a seed
EpochCallback = Callable[[int, Metrics], None]


class GridResult(NamedTuple):
    """A trained grid, as arrays; leading axes are seeds and strengths `[S, G, ...]`."""

    params: Params
    metrics: Metrics  # final, on all of X; [S, G]
    units: UnitStatistics  # final, per hidden unit, on all of X; [S, G, m]
    history: Metrics  # [S, G, E + 1] on a fixed subset, before training and per epoch
    pressure: BiasPressure  # [S, G, E + 1] on the first 1,000 samples, at the same moments
    losses: Mapping[str, Float[Array, "S G E"]]  # the objective's aux, mean over each epoch
    flagged_epoch: np.ndarray  # [S, G]: first epoch at which the cell was flagged, −1 for none
    guard: float  # largest relative difference the numerics guard saw


class Program(NamedTuple):
    """What one set of static choices compiles to; cached, so equal grids share it.

    States carry one leading cell axis C = S·G, seeds outermost; `keys [S]`, `strengths [G]`.
    """

    start: Callable  # (keys, X, n_strengths) -> state; compiled
    epoch: Callable  # (state, keys, X, strengths, rates, number, n_steps); what trains
    one_step: Callable  # (state, keys, X, strengths, rates); the first step, op by op
    measure: Callable  # (params, X) -> (UnitStatistics, Metrics) per cell; compiled
    pressure: Callable  # (params, keys, X, strengths) -> BiasPressure per cell; compiled
    checked: set  # signatures the guard has passed


def fit_grid(
    key: PRNGKeyArray,
    X: Array | np.ndarray,
    *,
    objective: Objective,
    strengths: Sequence[float] | Array | np.ndarray,
    seeds: Sequence[int] = (0,),
    hidden: int = 1000,
    constraint: str = "unit",
    epochs: int = 50,
    batch_size: int = 50,
    learning_rate: float | Array | np.ndarray = 0.001,
    momentum: float = 0.9,
    tied: bool = True,
    decoder_bias: bool = False,
    history_samples: int = 5000,
    cells_per_program: int | None = None,
    matmul_precision: str = "highest",
    on_epoch: EpochCallback | None = None,
) -> GridResult:
    """Trains one model per seed and strength by minibatch SGD with momentum (Arpit section 3).

    `X` is `[N, n]`; `strengths` `[G]` and `learning_rate` (one number or `[G]`) are arrays
    the program takes as arguments, everything else is static. A seed alone decides
    initialization, batch order and noise, so a grid of several seeds equals the same seeds
    trained one at a time; the last N mod batch_size samples of each epoch's order are left
    out. `cells_per_program` splits the strengths into equal chunks trained one after the
    other, for grids that would not fit in memory. `on_epoch(epoch, metrics)` is called after
    every epoch (of every chunk).

    A cell that diverges or dies is flagged and does not touch its neighbours. Each newly
    compiled program is checked once by the numerics guard. Raises `InputError` on bad input
    before anything is compiled, `guard.NumericsError` on a miscompiled program.
    """
    X, strengths, rates, seeds = _checked(
        X, objective, strengths, learning_rate, seeds, hidden, batch_size, epochs
    )
    if cells_per_program is not None and cells_per_program < 1:
        raise InputError(f"cells_per_program is {cells_per_program}; expected at least 1.")
    if not 0 <= momentum < 1:
        raise InputError(f"momentum is {momentum}; expected a number in [0, 1).")
    if cells_per_program is not None and cells_per_program < len(strengths):
        return _fit_chunks(
            cells_per_program,
            key,
            X,
            objective=objective,
            strengths=strengths,
            seeds=seeds,
            hidden=hidden,
            constraint=constraint,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=rates,
            momentum=momentum,
            tied=tied,
            decoder_bias=decoder_bias,
            history_samples=history_samples,
            matmul_precision=matmul_precision,
            on_epoch=on_epoch,
        )
    with jax.default_matmul_precision(matmul_precision):
        program = grid_program(
            objective,
            get_constraint(constraint),
            batch_size=batch_size,
            momentum=momentum,
            hidden=hidden,
            tied=tied,
            decoder_bias=decoder_bias,
        )
        keys = jax.vmap(functools.partial(jax.random.fold_in, key))(jnp.asarray(seeds))
        return _fit(
            program, keys, X, strengths, rates, epochs, batch_size, history_samples, on_epoch
        )


def _fit(program, keys, X, strengths, rates, epochs, batch_size, history_samples, on_epoch):
    shape = (len(keys), len(strengths))
    unflatten = functools.partial(jax.tree.map, lambda leaf: leaf.reshape(*shape, *leaf.shape[1:]))
    state = program.start(keys, X, len(strengths))
    difference = _guarded(program, state, keys, X, strengths, rates)
    subset, few = X[:history_samples], X[:_PRESSURE_SAMPLES]

    def record(params):
        metrics = program.measure(params, subset)[1]
        return unflatten((metrics, program.pressure(params, keys, few, strengths)))

    records, losses = [record(state.params)], []
    for epoch in range(1, epochs + 1):
        state, aux = program.epoch(
            state, keys, X, strengths, rates, np.int32(epoch), np.int32(len(X) // batch_size)
        )
        losses.append(unflatten(aux))
        records.append(record(state.params))
        if on_epoch is not None:
            on_epoch(epoch, records[-1][0])
    units, final = unflatten(program.measure(state.params, X))
    stack = functools.partial(jax.tree.map, lambda *leaves: jnp.stack(leaves, axis=-1))
    history, pressure = stack(*records)
    return GridResult(
        params=unflatten(state.params),
        metrics=final,
        units=units,
        history=history,
        pressure=pressure,
        losses=stack(*losses),
        flagged_epoch=_first_flagged(history, final),
        guard=difference,
    )


def _first_flagged(history: Metrics, final: Metrics) -> np.ndarray:
    along = np.concatenate([flagged(history), flagged(final)[..., None]], axis=-1)
    epochs = along.shape[-1] - 2
    return np.where(along.any(-1), np.minimum(along.argmax(-1), epochs), -1)


def _fit_chunks(size: int, key, X, *, strengths, learning_rate, **options) -> GridResult:
    pad = -len(strengths) % size
    padded = jnp.pad(strengths, (0, pad), mode="edge").reshape(-1, size)
    rates = jnp.pad(learning_rate, (0, pad), mode="edge").reshape(-1, size)
    parts = [
        fit_grid(key, X, strengths=s, learning_rate=r, **options)
        for s, r in zip(padded, rates, strict=True)
    ]
    joined = jax.tree.map(
        lambda *leaves: jnp.concatenate(leaves, axis=1)[:, : len(strengths)],
        *[part._replace(guard=jnp.zeros((1, size))) for part in parts],
    )
    return joined._replace(
        flagged_epoch=np.asarray(joined.flagged_epoch), guard=max(part.guard for part in parts)
    )


def measure_grid(
    params: Params, X: Array | np.ndarray, objective: Objective
) -> tuple[UnitStatistics, Metrics]:
    """Unit statistics and metrics of every model of a grid `[S, G, ...]` on other data `[N, n]`."""
    shape = params.bias.shape[:2]
    cells = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), params)
    measured = _measure(objective.activation)(cells, jnp.asarray(X))
    return jax.tree.map(lambda leaf: leaf.reshape(*shape, *leaf.shape[1:]), measured)


def _stream(keys, number):
    """The keys `[S]` of one random stream of every seed."""
    return jax.vmap(lambda key: jax.random.fold_in(key, number))(keys)


@functools.cache
def _measure(activation: Activation) -> Callable:
    def one(params: Params, x: Float[Array, "N n"]) -> tuple[UnitStatistics, Metrics]:
        units = measure(params, x, activation)
        return units, summarize(params, units)

    return jax.jit(jax.vmap(one, in_axes=(0, None)))


@functools.cache
def _start(
    constraint: Constraint, momentum: float, hidden: int, tied: bool, decoder_bias: bool
) -> Callable:
    """Initial states of all cells; those of one seed start from the same parameters."""
    optimizer = momentum_sgd(momentum, constraint)

    @functools.partial(jax.jit, static_argnums=2)
    def begin(keys, X, n_strengths):
        def one(key):
            params = init_params(
                key, X.shape[1], hidden, tied=tied, decoder_bias=decoder_bias, dtype=X.dtype
            )
            return start(params, constraint, optimizer)

        repeat = functools.partial(jnp.repeat, repeats=n_strengths, axis=0)
        return jax.tree.map(repeat, jax.vmap(one)(_stream(keys, _INIT)))

    return begin


@functools.cache
def grid_program(
    objective: Objective,
    constraint: Constraint,
    *,
    batch_size: int,
    momentum: float,
    hidden: int,
    tied: bool,
    decoder_bias: bool,
) -> Program:
    """The functions that train a grid, compiled on first call; see `Program`."""
    optimizer = momentum_sgd(momentum, constraint)
    cells_step = jax.vmap(make_step(objective, constraint, optimizer))

    def epoch_step(keys, X, strengths, rates, number):
        """One update of all cells as `step(state, i)` within the epoch `number`."""
        keys = _stream(_stream(keys, _EPOCHS), number)
        order_keys, noise_keys = jax.vmap(jax.random.split, out_axes=1)(keys)
        orders = jax.vmap(lambda key: jax.random.permutation(key, len(X)))(order_keys)
        draw = jax.vmap(functools.partial(draw_batch, b=batch_size), in_axes=(0, None, 0, None))
        n_strengths = len(strengths)
        strengths, rates = (jnp.tile(v, len(keys)) for v in (strengths, rates))

        def step(state, i):
            # One copy of the batch per cell: a product with a shared batch would merge the
            # cells' weights into one matrix, transposed and copied at every step.
            x, eps = (jnp.repeat(v, n_strengths, axis=0) for v in draw(noise_keys, X, orders, i))
            return cells_step(state, x, eps, strengths, rates)

        return step

    @functools.partial(jax.jit, donate_argnums=0)
    def epoch(state, keys, X, strengths, rates, number, n_steps):
        return run_epoch(epoch_step(keys, X, strengths, rates, number), state, n_steps)

    def one_step(state, keys, X, strengths, rates):
        with jax.disable_jit():
            return epoch_step(keys, X, strengths, rates, np.int32(1))(state, jnp.int32(0))

    @jax.jit
    def pressure(params, keys, X, strengths):
        eps = jax.vmap(lambda key: jax.random.normal(key, X.shape, X.dtype))(
            _stream(keys, _PRESSURE)
        )
        eps = jnp.repeat(eps, len(strengths), axis=0)
        each = jax.vmap(functools.partial(bias_pressure, objective), in_axes=(0, None, 0, 0))
        return each(params, X, eps, jnp.tile(strengths, len(keys)))

    begin = _start(constraint, momentum, hidden, tied, decoder_bias)
    return Program(begin, epoch, one_step, _measure(objective.activation), pressure, set())


def _guarded(program, state: TrainState, keys, X, strengths, rates) -> float:
    signature = tuple((leaf.shape, str(leaf.dtype)) for leaf in jax.tree.leaves((state, X)))
    if signature in program.checked:
        return 0.0
    reference = program.one_step(state, keys, X, strengths, rates)
    copy = jax.tree.map(jnp.copy, state)  # the epoch donates its state
    compiled = program.epoch(copy, keys, X, strengths, rates, np.int32(1), np.int32(1))
    difference = guard.compare(*map(_named, (compiled, reference)))
    program.checked.add(signature)
    return difference


def _named(trained: tuple[TrainState, Mapping[str, Array]]) -> dict:
    state, losses = trained
    return {"params": state.params, "optimizer": state.optimizer, "losses": losses}


def _checked(X, objective, strengths, learning_rate, seeds, hidden, batch_size, epochs):
    """Validates what the program takes as arrays, before anything is compiled."""
    X = jnp.asarray(check_matrix(X))
    strengths = jnp.atleast_1d(jnp.asarray(strengths, X.dtype))
    if strengths.ndim != 1 or len(strengths) == 0:
        raise InputError(
            f"The grid of strengths has shape {strengths.shape}; expected at least one number."
        )
    if not bool(jnp.all(jnp.isfinite(strengths) & (strengths >= 0))):
        raise InputError(
            f"The strengths are {np.asarray(strengths)}; expected finite numbers >= 0."
        )
    rates = jnp.asarray(learning_rate, X.dtype)
    if not bool(jnp.all(jnp.isfinite(rates) & (rates > 0))):
        raise InputError(f"The learning rate is {learning_rate}; expected a finite number > 0.")
    if rates.shape not in ((), strengths.shape):
        raise InputError(
            f"The learning rates have shape {rates.shape}; expected one number or one per "
            f"strength, {strengths.shape}."
        )
    seeds = tuple(seeds)
    if not seeds or any(isinstance(s, bool) or int(s) != s or s < 0 for s in seeds):
        raise InputError(f"The seeds are {seeds}; expected at least one integer >= 0.")
    for name, value in (("hidden", hidden), ("batch_size", batch_size), ("epochs", epochs)):
        if value < 1:
            raise InputError(f"{name} is {value}; expected at least 1.")
    if batch_size > len(X):
        raise InputError(
            f"The batch size {batch_size} is larger than the data, {len(X)} samples; choose a "
            f"batch size of at most {len(X)}."
        )
    _check_objective(objective, X, hidden)
    return X, strengths, jnp.broadcast_to(rates, strengths.shape), seeds


def _check_objective(objective: Objective, X: Float[Array, "N n"], hidden: int) -> None:
    shape = functools.partial(jax.ShapeDtypeStruct, dtype=X.dtype)
    params = jax.eval_shape(
        lambda key: init_params(key, X.shape[1], hidden, dtype=X.dtype), jax.random.key(0)
    )
    batch = shape((1, X.shape[1]))
    loss, _ = jax.eval_shape(objective, params, batch, batch, shape(()))
    if loss.shape != ():
        raise InputError(
            f"The objective returned shape {loss.shape} for a batch; expected a scalar. "
            "A penalty must return one number: sum over units and average over samples."
        )
