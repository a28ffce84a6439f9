"""Objects of the wrong kind where the library is entered: one sentence, and no traceback.

In a process of its own, without the type checks of this test session, as a user has it.
"""

import json
import subprocess
import sys
import textwrap

import pytest

SCRIPT = """
import json

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse

import aesparse as ae
from aesparse.losses import objectives
from aesparse.models.activations import Activation, get_activation
from aesparse.errors import InputError
from aesparse.training.fullbatch import fit_full_batch
from aesparse.models.one_layer import save_params
from aesparse.training.planning import estimate
from aesparse.losses.reconstruction import ErrorFunction

key, X = jax.random.key(0), np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
digits, relu = ae.data.Dataset("two", X, X[:5], (2, 2)), get_activation("relu")
dae = objectives.get_objective("dae", relu)
scaler = ae.data.standardize(X)
grown = jax.tree.map(lambda leaf: leaf[None], ae.model.init_params(key, 4, 3))


def fit(objective=dae, X=X, key=key, strengths=(0.1,), **options):
    sizes = {"hidden": 3, "epochs": 1, "batch_size": 10}
    return ae.fit_grid(key, X, objective=objective, strengths=strengths, **(sizes | options))


def penalized(penalty):
    return fit(objectives.regularized(relu, penalty))


def branching(forward, eps):
    return jnp.sum(forward.code) if jnp.sum(forward.code) > 1 else 0.0


def deep_branching(params, x, eps, strength):
    loss = jnp.sum(params)
    return (loss if loss > 1 else -loss), {}


def keyword(forward, eps, *, scale):
    return scale * jnp.mean(forward.code)


def numpy_inside(forward, eps):
    return np.abs(np.asarray(forward.code)).mean()


def without_gradient(forward, eps):
    loop = jax.lax.while_loop(lambda h: jnp.sum(h) > 1, lambda h: h / 2, forward.code)
    return jnp.mean(loop)


def summed(params, x, eps, strength):
    return jnp.sum(params.weight**2)


def part_called_loss(params, x, eps, strength):
    return jnp.sum(params.weight**2), {"loss": jnp.sum(params.bias)}


def unsummed(x, z):
    return (x - z) ** 2


class Tensor:
    def __array__(self, *_, **__):
        raise RuntimeError("it requires grad.\\nUse detach()")


decay = ("decay", lambda forward, eps: jnp.sum(forward.params.weight**2))
mixing, undefined = Activation(jnp.max), Activation(jnp.log)
CASES = {
    "named activation": lambda: objectives.get_objective("cae", "relu"),
    "bare activation": lambda: objectives.get_objective("satae", jax.nn.relu),
    "bare error": lambda: objectives.composed(relu, error=unsummed),
    "error not summed": lambda: fit(objectives.composed(relu, error=ErrorFunction(unsummed))),
    "units that mix": lambda: fit(objectives.denoising(mixing)),
    "activation not finite": lambda: fit(objectives.denoising(undefined)),
    "vector of strengths": lambda: fit(strengths=[[0.1, 0.2, 0.3, 0.4]]),
    "objective without parts": lambda: fit(objectives.Objective(summed, relu)),
    "part called loss": lambda: fit(objectives.Objective(part_called_loss, relu)),
    "terms of one name": lambda: objectives.composed(relu, terms=(decay, decay)),
    "data set as data": lambda: fit(X=digits),
    "number as key": lambda: fit(key=0),
    "keys as key": lambda: fit(key=jax.random.split(key)),
    "number as key of a path": lambda: ae.fit_path(0, X, path=[0.1], objective=dae),
    "name measured": lambda: ae.measure_grid(fit().params, X, "dae"),
    "name planned": lambda: estimate(
        "dae", inputs=4, hidden=3, samples=20, cells=1, batch_size=5, rate=1e9
    ),
    "full batches of a loss alone": lambda: fit_full_batch(
        grown, X, objective=objectives.Objective(summed, relu), strengths=[0.0]
    ),
    "one strength of two": lambda: fit(objectives.Objective(summed, relu, coefficients=2)),
    "folder as checkpoints": lambda: fit(checkpoints="folder"),
    "result saved": lambda: save_params("never", fit()),
    "result measured": lambda: ae.measure_grid(fit(), X, dae),
    "data beyond float32": lambda: ae.measure_grid(fit().params, X.astype(float) * 1e39, dae),
    "mapping to start from": lambda: fit_full_batch(
        {"weight": X}, X, objective=dae, strengths=[0.0]
    ),
    "result audited": lambda: ae.audit("relu", "cae", X, params=fit()),
    "bytes transformed": lambda: scaler((X > 0).astype(np.uint8)),
    "columns transformed": lambda: scaler(X[:, :1]),
    "tensor trained on": lambda: fit(X=Tensor()),
    "tensor standardized": lambda: ae.data.standardize(Tensor()),
    "tensor transformed": lambda: scaler(Tensor()),
    "tensor audited": lambda: ae.audit("relu", "cae", Tensor()),
    "masked array trained on": lambda: fit(X=np.ma.masked_less(X, 0)),
    "sparse matrix trained on": lambda: fit(X=scipy.sparse.csr_matrix(X)),
    "sparse array standardized": lambda: ae.data.standardize(scipy.sparse.coo_array(X)),
    "complex data": lambda: fit(X=X + 1j),
    "texts as data": lambda: fit(X=X.astype(str)),
    "large integers as data": lambda: fit(X=(X * 1e8).astype(int)),
    "boolean hidden": lambda: fit(hidden=True),
    "boolean epochs": lambda: fit(epochs=np.True_),
    "text batch size": lambda: fit(batch_size="10"),
    "fractional epochs": lambda: fit(epochs=1.0),
    "array hidden": lambda: fit(hidden=np.array([3, 4])),
    "boolean seed": lambda: fit(seeds=(True,)),
    "text seeds": lambda: fit(seeds="012"),
    "one seed": lambda: fit(seeds=3),
    "no strengths": lambda: fit(strengths=None),
    "text strengths": lambda: fit(strengths=["0.1", "0.2"]),
    "boolean strengths": lambda: fit(strengths=[True, False]),
    "complex strengths": lambda: fit(strengths=[0.1j]),
    "ragged strengths": lambda: fit(strengths=[[0.1], [0.1, 0.2]]),
    "masked strengths": lambda: fit(strengths=np.ma.masked_less([0.1, 0.2], 0.15)),
    "text rate": lambda: fit(learning_rate="0.1"),
    "no rate": lambda: fit(learning_rate=None),
    "no momentum": lambda: fit(momentum=None),
    "text momentum": lambda: fit(momentum="0.9"),
    "boolean momentum": lambda: fit(momentum=False),
    "complex momentum": lambda: fit(momentum=0.9 + 0j),
    "text tied": lambda: fit(tied="no"),
    "number as decoder bias": lambda: fit(decoder_bias=1),
    "list of constraints": lambda: fit(constraint=["unit"]),
    "number as callback": lambda: fit(on_epoch=3),
    "no devices": lambda: fit(devices=[]),
    "name as device": lambda: fit(devices=["cpu"]),
    "a device twice": lambda: fit(devices=jax.devices()[:1] * 2),
    "misspelt precision": lambda: fit(matmul_precision="hihgest"),
    "misspelt precision of a measurement": lambda: ae.measure_grid(
        fit().params, X, dae, matmul_precision="hihgest"
    ),
    "complex parameters": lambda: fit(init=jax.tree.map(lambda p: p + 0j, fit().params)),
    "vmap": lambda: jax.vmap(lambda k: fit(key=k))(jax.random.split(key)),
    "jit": lambda: jax.jit(fit)(),
    "grad": lambda: jax.grad(lambda rate: fit(learning_rate=rate).params.weight.sum())(0.1),
    "jit of a path": lambda: jax.jit(
        lambda path: ae.fit_path(key, X, path=path, objective=dae)
    )(jnp.ones(2)),
    "jit of a measurement": lambda: jax.jit(ae.measure_grid, static_argnums=2)(
        ae.model.Params(jnp.ones((1, 1, 3, 4)), jnp.ones((1, 1, 3))), X, dae
    ),
    "key of rbg": lambda: fit(key=jax.random.key(0, impl="rbg")),
    "raw key of rbg": lambda: fit(key=jax.random.key_data(jax.random.key(0, impl="rbg"))),
    "key of rbg for a path": lambda: ae.fit_path(
        jax.random.key(0, impl="unsafe_rbg"), X, path=[0.1], objective=dae
    ),
    "if in a penalty": lambda: penalized(branching),
    "keyword of a penalty": lambda: penalized(keyword),
    "NumPy in a penalty": lambda: penalized(numpy_inside),
    "penalty without gradient": lambda: penalized(without_gradient),
    "if in an objective of full batches": lambda: fit_full_batch(
        grown, X, objective=objectives.regularized(relu, branching), strengths=[0.0]
    ),
    "text iterations": lambda: fit_full_batch(
        grown, X, objective=dae, strengths=[0.0], max_iterations="3"
    ),
    "text tolerance": lambda: fit_full_batch(
        grown, X, objective=dae, strengths=[0.0], tolerance="1e-5"
    ),
    "if in a deep objective": lambda: ae.deep.fit_deep(
        key, X, objective=ae.deep.DeepObjective(deep_branching),
        init=lambda key: jnp.ones(3), strengths=[0.1], epochs=1, batch_size=10,
    ),
    "text epsilon": lambda: ae.data.standardize(X, "0.1"),
    "fractional rank": lambda: ae.data.whiten(X, 2.5),
    "boolean samples": lambda: ae.data.load("digits", samples=True),
    "number as data set": lambda: ae.data.load(3),
    "text rate of a plan": lambda: estimate(
        dae, inputs=4, hidden=3, samples=20, cells=1, batch_size=5, rate="fast"
    ),
    "number as folder": lambda: ae.Checkpoints(3, "training"),
    "mapping as identity": lambda: ae.Checkpoints("folder", {"seed": 0}),
    "text interval": lambda: ae.Checkpoints("folder", "training", every_seconds="60"),
    "text path": lambda: ae.fit_path(key, X, path=["weak", "strong"], objective=dae),
    "objective without strength": lambda: fit(objectives.Objective(lambda p, x, eps: 0.0, relu)),
}
told = {}
for name, case in CASES.items():
    try:
        case()
        told[name] = "nothing"
    except InputError as error:
        told[name] = str(error)
    except Exception as error:
        told[name] = f"{type(error).__name__}: {error}"
print(json.dumps(told))
"""

EXPECTED = {
    "named activation": "The activation is 'relu'; expected an Activation, such as ",
    "bare activation": "; expected an Activation, such as get_activation('relu'), or ",
    "bare error": "; expected an ErrorFunction, such as squared_error, or ",
    "error not summed": "(10, 4) for targets of shape (10, 4); expected (10,), one number a ",
    "units that mix": "The activation is not elementwise: three units together give ",
    "activation not finite": "expected finite numbers.",
    "vector of strengths": "have shape (1, 4); this objective takes one number, [G].",
    "objective without parts": "expected a pair: the loss, and a mapping",
    "part called loss": "A part of the objective is called 'loss', as the whole is; rename it.",
    "terms of one name": "Terms are called ['decay', 'decay']; expected names of their own.",
    "data set as data": "The data is a Dataset; expected an array [N, n], such as a Dataset's ",
    "number as key": "The key is 0; expected one such as jax.random.key(0).",
    "keys as key": "The key is key<fry> of shape (2,); expected one such as jax.random.key(0).",
    "number as key of a path": "The key is 0; expected one such as jax.random.key(0).",
    "name measured": "The objective is 'dae'; expected an Objective, such as ",
    "name planned": "The objective is 'dae'; expected an Objective, such as ",
    "full batches of a loss alone": "expected a pair: the loss, and a mapping",
    "one strength of two": "have shape (1,); this objective takes 2 numbers, [G, 2].",
    "folder as checkpoints": "'folder'; expected Checkpoints(folder, identity).",
    "result saved": "What is to be saved is a GridResult; expected Params",
    "result measured": "What is to be measured is a GridResult; expected Params",
    "data beyond float32": "The data holds numbers beyond the range of float32; scale it.",
    "mapping to start from": "init is a dict; expected Params",
    "result audited": "params are a GridResult; expected Params",
    "bytes transformed": "are uint8 of shape (20, 4); expected floating-point [N, 4]",
    "columns transformed": "are float32 of shape (20, 1); expected floating-point [N, 4]",
    "tensor trained on": "(it requires grad. Use detach()); expected an array [N, n]",
    "tensor standardized": "(it requires grad. Use detach()); expected an array [N, n]",
    "tensor transformed": "(it requires grad. Use detach()); expected an array [N, n]",
    "tensor audited": "(it requires grad. Use detach()); expected an array [N, n]",
    "masked array trained on": "a masked array",
    "sparse matrix trained on": "sparse csr_matrix; expected an array [N, n]. Call .toarray().",
    "sparse array standardized": "sparse coo_array; expected an array [N, n]. Call .toarray().",
    "complex data": "dtype complex64; expected floating point",
    "texts as data": "; expected floating point",
    "large integers as data": "integers beyond ±16777216",
    "boolean hidden": "hidden is True; expected an integer of at least 1.",
    "boolean epochs": "epochs is np.True_; expected an integer of at least 1.",
    "text batch size": "batch_size is '10'; expected an integer of at least 1.",
    "fractional epochs": "epochs is 1.0; expected an integer of at least 1.",
    "array hidden": "hidden is array([3, 4]); expected an integer of at least 1.",
    "boolean seed": "The seeds are (True,); expected a sequence of integers",
    "text seeds": "The seeds are 012; expected a sequence of integers",
    "one seed": "The seeds are 3; expected a sequence of integers",
    "no strengths": "The strengths are None; expected real numbers",
    "text strengths": "The strengths are ['0.1', '0.2']; expected real numbers",
    "boolean strengths": "The strengths are [True, False]; expected real numbers",
    "complex strengths": "The strengths are [0.1j]; expected real numbers",
    "ragged strengths": "The strengths are [[0.1], [0.1, 0.2]]; expected real numbers",
    "masked strengths": "The strengths are masked_array(",
    "text rate": "The learning rate is '0.1'; expected real numbers",
    "no rate": "The learning rate is None; expected real numbers",
    "no momentum": "momentum is None; expected a number in [0, 1).",
    "text momentum": "momentum is '0.9'; expected a number in [0, 1).",
    "boolean momentum": "momentum is False; expected a number in [0, 1).",
    "complex momentum": "momentum is (0.9+0j); expected a number in [0, 1).",
    "text tied": "tied is 'no'; expected True or False.",
    "number as decoder bias": "decoder_bias is 1; expected True or False.",
    "list of constraints": "The constraint is ['unit']; expected a name",
    "number as callback": "on_epoch is 3; expected a function on_epoch(epoch, metrics).",
    "no devices": "devices are []; expected at least one of jax.devices()",
    "name as device": "devices are ['cpu']; expected at least one of jax.devices()",
    "a device twice": "; expected each of them once.",
    "misspelt precision": "matmul_precision is 'hihgest'; expected one of JAX's names",
    "misspelt precision of a measurement": "matmul_precision is 'hihgest'; expected one of",
    "complex parameters": "; expected real numbers",
    "vmap": "inside jax.vmap, jax.jit or jax.grad",
    "jit": "inside jax.vmap, jax.jit or jax.grad",
    "grad": "inside jax.vmap, jax.jit or jax.grad",
    "jit of a path": "inside jax.vmap, jax.jit or jax.grad",
    "jit of a measurement": "inside jax.vmap, jax.jit or jax.grad",
    "key of rbg": "generator is 'rbg'",
    "raw key of rbg": "generator is uint32 of shape (4,)",
    "key of rbg for a path": "generator is 'unsafe_rbg'",
    "if in a penalty": "The objective fails on a batch (TracerBoolConversionError: ",
    "keyword of a penalty": "missing 1 required keyword-only argument: 'scale')",
    "NumPy in a penalty": "The objective fails on a batch (TracerArrayConversionError: ",
    "penalty without gradient": "The objective fails on a batch (ValueError: ",
    "if in an objective of full batches": "(TracerBoolConversionError: ",
    "text iterations": "max_iterations is '3'; expected an integer of at least 1.",
    "text tolerance": "The tolerance is '1e-5'; expected a number >= 0.",
    "if in a deep objective": "(TracerBoolConversionError: ",
    "text epsilon": "epsilon is '0.1'; expected a finite number >= 0",
    "fractional rank": "rank is 2.5; expected an integer of at least 1.",
    "boolean samples": "samples is True; expected an integer of at least 1.",
    "number as data set": "The data set is 3; expected a name",
    "text rate of a plan": "rate is 'fast'; expected a finite number > 0.",
    "number as folder": "Checkpoints are given 3 and 'training'; expected a folder and a text",
    "mapping as identity": "given 'folder' and {'seed': 0}; expected a folder and a text",
    "text interval": "every_seconds is '60'; expected a number >= 0.",
    "text path": "The path is ['weak', 'strong']; expected real numbers",
    "objective without strength": "The objective fails on a batch (TypeError: ",
}


@pytest.fixture(scope="module")
def told() -> dict[str, str]:
    code = [sys.executable, "-W", "error", "-c", textwrap.dedent(SCRIPT)]
    shown = subprocess.run(code, capture_output=True, text=True, check=True)
    return json.loads(shown.stdout)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_it_is_told_in_one_sentence(told, name):
    assert EXPECTED[name] in told[name]
    assert "\n" not in told[name] or name == "units that mix"


def test_every_case_is_expected(told):
    assert told.keys() == EXPECTED.keys()
