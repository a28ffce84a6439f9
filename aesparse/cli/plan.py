"""The command `plan`: what a grid will cost."""

from typing import Annotated

import typer

__all__ = ["plan_command"]


def plan_command(
    objective: Annotated[str, typer.Option(help="ae, dae, cae, sae, …")] = "dae",
    activation: Annotated[str, typer.Option(help="relu, sigmoid, …")] = "relu",
    inputs: Annotated[int, typer.Option(help="n, the inputs of a sample.")] = 784,
    hidden: Annotated[int, typer.Option(help="m, the hidden units of a model.")] = 1000,
    samples: Annotated[int, typer.Option(help="N, the training samples.")] = 50_000,
    models: Annotated[int, typer.Option(help="All grid points: strengths × seeds × …")] = 12,
    seeds: Annotated[int, typer.Option(help="How many seeds the models have.")] = 1,
    batch_size: Annotated[int, typer.Option(help="B, the samples of a minibatch.")] = 50,
    epochs: Annotated[int, typer.Option(help="Passes over the data.")] = 50,
    devices: Annotated[
        int | None, typer.Option(help="How many devices.", show_default="those here")
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(help="What a device sustains, in GFLOP/s.", show_default="measured here"),
    ] = None,
    memory: Annotated[
        float | None,
        typer.Option(help="What a device has, in GiB.", show_default="that of those here"),
    ] = None,
) -> None:
    """What a grid will cost in memory, operations and time, before anything is trained."""
    from aesparse.models.one_layer import OneLayer
    from aesparse.tables import aligned
    from aesparse.training.cost import estimate, plan_rows

    plan = estimate(
        OneLayer(hidden, activation),
        objective,
        inputs=inputs,
        samples=samples,
        models=models,
        seeds=seeds,
        batch_size=batch_size,
        epochs=epochs,
        devices=devices,
        rate=None if rate is None else rate * 1e9,
        memory=None if memory is None else memory * 2**30,
    )
    print(aligned(plan_rows(plan)))
