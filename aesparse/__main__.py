"""The command line: `python -m aesparse theorems`, `audit` and `plan`."""

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from aesparse import __version__
from aesparse.errors import InputError, first_line
from aesparse.files import replacing, require_writable
from aesparse.process import devices_named, prepare

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

_OUT = typer.Option(help="Folder for the picture and the numbers.")
_JSON = typer.Option("--json", help="Print JSON instead of a table.")


@app.command("theorems")
def theorems_command(
    out: Annotated[Path, _OUT] = Path(),
    as_json: Annotated[bool, _JSON] = False,
    page: Annotated[
        Path | None, typer.Option(help="Also write the table as this Markdown page.")
    ] = None,
) -> None:
    """Verify T1 to T13 on random problems, attack them, and list the errata (under 3 minutes)."""
    try:  # by name: the library itself does not need the experiments
        command = importlib.import_module("experiments.theorems.command")
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("experiments"):
            raise
        raise InputError(
            "`theorems` belongs to the papers' experiments, which are not installed with the "
            "library; run it in a copy of the repository."
        ) from None
    command.write_theorems(out, as_json=as_json, page=page)


@app.command("audit")
def audit_command(
    activation: Annotated[str, typer.Option(help="A name, or module:function of your own.")],
    penalty: Annotated[str, typer.Option(help="A name, or module:function of your own.")],
    data: Annotated[str, typer.Option(help="A data set, or a .npy/.npz file.")] = "digits",
    data_dir: Annotated[Path | None, typer.Option(help="Folder with MNIST, CIFAR-10.")] = None,
    epsilon: Annotated[
        float, typer.Option(help="The data is standardized, (x − mean)/(std + ε), with this ε.")
    ] = 0.1,
    hidden: Annotated[int, typer.Option(help="Hidden units of the fresh model.")] = 64,
    threshold: Annotated[
        float | None, typer.Option(help="δ_min of an activation of your own.")
    ] = None,
    largest_strength: Annotated[float, typer.Option(help="The largest λ you would use.")] = 1.0,
    out: Annotated[Path, _OUT] = Path(),
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Will the activation with this penalty learn sparse codes on this data, and why?"""
    from aesparse.data import load, standardize
    from aesparse.losses.penalties import get_penalty
    from aesparse.models.activations import Activation, get_activation
    from aesparse.pictures import save
    from aesparse.theory import audit
    from aesparse.theory.pictures import draw_audit
    from aesparse.theory.tables import audit_record

    s, r = _resolve(activation, get_activation), _resolve(penalty, get_penalty)
    s = s if isinstance(s, Activation) else Activation(s)
    if threshold is not None:
        s = Activation(s.fn, threshold)
    paths = _paths(out, f"audit-{activation}-{penalty}-{Path(data).stem}".replace(":", "-"))
    pixels = load(data, data_dir=data_dir).train
    X = standardize(pixels, epsilon)(pixels)
    audited = audit(s, r, X, hidden=hidden, largest_strength=largest_strength)
    asked = {
        "aesparse": __version__,
        "activation": activation,
        "threshold": s.threshold,
        "penalty": penalty,
        "data": data,
        "epsilon": epsilon,
        "hidden": hidden,
        "largest strength": largest_strength,
    }
    record = asked | audit_record(audited)
    text = json.dumps(record, indent=1, ensure_ascii=False)
    with replacing(paths[0]) as png, replacing(paths[1]) as svg, replacing(paths[2]) as js:
        save(draw_audit(audited, f"{activation} with {penalty} on {data}"), png, svg)
        js.write_text(text + "\n", encoding="utf-8")
    looked_at = f"{data}, standardized with ε = {epsilon:g}, {hidden} fresh units of length 1"
    written = f"\nWritten: {', '.join(map(str, paths))}"
    typer.echo(text if as_json else f"{audited}\nlooked at: {looked_at}\n{written}")


@app.command("plan")
def plan_command(
    objective: Annotated[str, typer.Option(help="ae, dae, cae, sae, …")] = "dae",
    activation: Annotated[str, typer.Option(help="relu, sigmoid, …")] = "relu",
    inputs: Annotated[int, typer.Option(help="n")] = 784,
    hidden: Annotated[int, typer.Option(help="m")] = 1000,
    samples: Annotated[int, typer.Option(help="N")] = 50_000,
    models: Annotated[int, typer.Option(help="All grid points: strengths × seeds × …")] = 12,
    seeds: Annotated[int, typer.Option(help="How many seeds the models have.")] = 1,
    batch_size: Annotated[int, typer.Option(help="B")] = 50,
    epochs: Annotated[int, typer.Option(help="Passes over the data.")] = 50,
    devices: Annotated[int | None, typer.Option(help="Default: those here.")] = None,
    rate: Annotated[
        float | None, typer.Option(help="GFLOP/s a device sustains; default: measured here.")
    ] = None,
    memory: Annotated[float | None, typer.Option(help="GiB of a device; default: found.")] = None,
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
    typer.echo(aligned(plan_rows(plan)))


def _resolve(name: str, built_in: Callable[[str], object]) -> object:
    """A built-in by its name, or the `function` of `module:function`."""
    if ":" not in name:
        return built_in(name)
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:  # whatever the user's module does is the cause
        raise InputError(
            f"'{name}' does not import ({first_line(error)}); expected module:function with the "
            "module in this folder or installed."
        ) from None


def _paths(folder: Path, stem: str) -> list[Path]:
    """Where picture and numbers go, after a look that they can be written."""
    require_writable(folder)
    return [folder / f"{stem}.{kind}" for kind in ("png", "svg", "json")]


def main() -> None:
    """Runs the command line; bad input ends with one sentence and exit status 2."""
    prepare()
    try:
        with devices_named():
            app(prog_name="python -m aesparse")
    except InputError as error:
        print(f"Error: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(2)


if __name__ == "__main__":
    main()
