"""All targets by name, `readers.npy` and so on, and their outcomes as a table."""

import importlib

from aesparse.tables import markdown
from benchmarks.fuzz.kit import OUTCOMES, Target

__all__ = ["MODULES", "all_targets", "outcome_table"]

MODULES = ("readers", "stored", "files", "commands")


def all_targets() -> dict[str, Target]:
    """Every module's targets, their names preceded by the module's."""
    targets = {}
    for module in MODULES:
        own = importlib.import_module(f"benchmarks.fuzz.{module}").TARGETS
        targets |= {f"{module}.{name}": target for name, target in own.items()}
    return targets


def outcome_table(stored: dict) -> str:
    """What `python -m benchmarks.fuzz` stored, as Markdown: outcomes by target, time and memory."""
    kinds = [k for k in OUTCOMES if any(k in counts for counts in stored["targets"].values())]
    rows = [
        (name, str(sum(counts.values())), *(str(counts.get(kind, 0)) for kind in kinds))
        for name, counts in stored["targets"].items()
    ]
    peak, before = (stored["bytes"][k] / 2**20 for k in ("peak", "before"))
    sentence = (
        f"Seed {stored['seed']}, {stored['count']:,} inputs in {stored['seconds']:.0f} s; resident "
        f"memory {before:,.0f} MiB at the start and {peak:,.0f} MiB at most."
    )
    return f"{sentence}\n\n{markdown(('target', 'inputs', *kinds), rows)}"
