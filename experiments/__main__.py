"""The command line: `python -m experiments [FIGURE] [options]`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from aesparse.errors import InputError
from aesparse.guard import NumericsError
from aesparse.process import prepare
from experiments.making import figure_names, get_figure, make
from experiments.protocol import Plan, Shard

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def figure(
    name: Annotated[str | None, typer.Argument(help="The figure; without one, list them.")] = None,
    scale: Annotated[str, typer.Option(help="quick, reduced or paper.")] = "quick",
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder with the MNIST and CIFAR-10 files.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="Seeds 0, 1, …; default by scale.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Instead of the data set's own rate.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where runs and pictures are kept.")] = Path("figures"),
    recompute: Annotated[bool, typer.Option(help="Train again what is stored.")] = False,
    shard: Annotated[
        str | None, typer.Option(help="i/n: train only the i-th of n parts of the runs.")
    ] = None,
) -> None:
    """Train the missing runs of a figure, draw it, and print its claims."""
    if name is None:
        print("Figures (python -m experiments NAME):")
        width = max(map(len, figure_names()))
        for known in figure_names():
            print(f"  {known:<{width}}  {get_figure(known).__doc__.splitlines()[0]}")
        return
    plan = Plan.checked(scale, seeds, learning_rate)
    if data_dir is not None and not plan.scale.evidence:
        raise InputError(
            f"--data-dir {data_dir} is given, but the scale '{scale}' uses data that comes with "
            "scikit-learn; add --scale reduced or --scale paper."
        )
    part = None if shard is None else Shard.parse(shard)
    make(name, plan, data_dir=data_dir, out=out, recompute=recompute, shard=part)


def main() -> None:
    """Runs the command line; bad input ends with one sentence and exit status 2."""
    prepare()
    try:
        app(prog_name="python -m experiments")
    except (InputError, NumericsError) as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
