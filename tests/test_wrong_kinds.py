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

import aesparse as ae
from aesparse import objectives
from aesparse.activations import Activation, get_activation
from aesparse.errors import InputError
from aesparse.fullbatch import fit_full_batch
from aesparse.model import save_params
from aesparse.planning import estimate
from aesparse.reconstruction import ErrorFunction

key, X = jax.random.key(0), np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
digits, relu = ae.data.Dataset("two", X, X[:5], (2, 2)), get_activation("relu")
dae = objectives.get_objective("dae", relu)
scaler = ae.data.standardize(X)
grown = jax.tree.map(lambda leaf: leaf[None], ae.model.init_params(key, 4, 3))


def fit(objective=dae, X=X, key=key, strengths=(0.1,), **options):
    return ae.fit_grid(
        key, X, objective=objective, strengths=strengths, hidden=3, epochs=1, batch_size=10,
        **options,
    )


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
