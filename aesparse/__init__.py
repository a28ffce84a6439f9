"""aesparse: grids of regularized auto-encoders, their sparsity, and why.

The names come from `aesparse.public`, which is imported, and JAX with it, when the first of them
is used. A command thus takes charge of signals and of its output before the long imports.
"""

import importlib

TYPE_CHECKING = False  # as type checkers know it; the module `typing` takes long to import
if TYPE_CHECKING:
    from aesparse.public import *  # noqa: F403

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name == "__all__" or not name.startswith("_"):
        public = importlib.import_module("aesparse.public")
        if name == "__all__" or name in public.__all__:
            return getattr(public, name)
        if name in globals():  # a subpackage, which the import has added
            return globals()[name]
    raise AttributeError(f"module 'aesparse' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *importlib.import_module("aesparse.public").__all__])
