"""What a grid is estimated to cost, as a record and as a table."""

from typing import NamedTuple

from aesparse.tables import duration

__all__ = ["Estimate", "plan_rows"]


class Estimate(NamedTuple):
    """The cost of a grid; bytes and seconds are per device, devices working side by side.

    Attributes:
        models: in all.
        devices: over which they are split.
        models_per_device: at once.
        rounds: one after the other, where not all models fit.
        updates: of every model.
        operations: floating-point, of one update of one model.
        state: bytes of parameters and optimizer state of the models at once.
        working: bytes of all else at the peak: data, copies, temporaries of the largest program.
        available: bytes of one device.
        rate: operations a second of one device.
        measured: whether the rate was measured here.

    >>> plan = Estimate(models=4, devices=1, models_per_device=2, rounds=2, updates=100,
    ...     operations=1e6, state=2**20, working=2**30, available=2**33, rate=1e9, measured=False)
    >>> plan.seconds
    0.4
    >>> plan_rows(plan)[1]
    ('layout (devices × models)', '1 × 2 models at once, 2 rounds (models_per_program=2)')
    """

    models: int
    devices: int
    models_per_device: int
    rounds: int
    updates: int
    operations: float
    state: int
    working: int
    available: int
    rate: float
    measured: bool

    @property
    def seconds(self) -> float:
        """Expected training time, without compilation and measurements."""
        work = self.operations * self.updates * self.models_per_device * self.rounds
        return work / self.rate


def plan_rows(plan: Estimate) -> list[tuple[str, str]]:
    """A `plan` as (name, value), in the order in which one reads it."""
    layout = f"{plan.devices} × {plan.models_per_device} models at once"
    if plan.rounds > 1:
        each = plan.devices * plan.models_per_device
        layout += f", {plan.rounds} rounds (models_per_program={each})"
    source = "measured here" if plan.measured else "as given"
    total = plan.operations * plan.updates * plan.models
    held = (plan.state + plan.working) / 2**30
    return [
        ("models", f"{plan.models:,}, {plan.updates:,} updates each"),
        ("layout (devices × models)", layout),
        (
            "memory of a device",
            f"{held:.2f} GiB of {plan.available / 2**30:.1f}: {plan.state / 2**30:.2f} parameters "
            f"and momentum, {plan.working / 2**30:.2f} data, gradients and temporaries",
        ),
        ("operations", f"{plan.operations / 1e6:.0f} MFLOP an update, {total:.2e} FLOP in all"),
        ("rate of a device", f"{plan.rate / 1e9:.0f} GFLOP/s, {source}"),
        ("expected training time", duration(plan.seconds)),
    ]
