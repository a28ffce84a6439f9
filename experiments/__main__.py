"""The command line: `python -m experiments [FIGURE | all | wanted | import | status | …]`."""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from aesparse.errors import InputError, unknown_name
from aesparse.process import devices_named, prepare
from aesparse.training.guard import NumericsError
from experiments import pages
from experiments.drawing import report
from experiments.evidence import tables
from experiments.pipeline import status, wanted
from experiments.pipeline.archive import merge
from experiments.pipeline.damage import Damage
from experiments.pipeline.deadline import Deadline
from experiments.pipeline.make import make
from experiments.pipeline.plan import Plan, Shard
from experiments.pipeline.progress import Detail
from experiments.pipeline.registry import figure_names, get_figure
from experiments.pipeline.seal import require_page


class _Group(TyperGroup):
    """Commands, and every figure's name as a command that makes it."""

    def resolve_command(self, ctx, args):
        if args[0] in self.commands:
            return super().resolve_command(ctx, args)
        if args[0] not in figure_names():
            names = [*figure_names(), *(name for name in self.commands if name != _FIGURE)]
            raise unknown_name("figure", args[0], names)
        return super().resolve_command(ctx, [_FIGURE, *args])


_FIGURE = "figure"
app = typer.Typer(
    cls=_Group,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ScaleOption = Annotated[str, typer.Option("--scale", help="quick, reduced or paper.")]
DataOption = Annotated[
    Path | None, typer.Option("--data-dir", help="Folder with the MNIST and CIFAR-10 files.")
]
SeedsOption = Annotated[int | None, typer.Option(help="Seeds 0, 1, …; default by scale.")]
StoredSeedsOption = Annotated[
    int | None, typer.Option("--seeds", help="Seeds 0, 1, …; default by scale, more where stored.")
]
OutOption = Annotated[Path, typer.Option("--out", help="Where runs and pictures are kept.")]
MinutesOption = Annotated[
    float | None,
    typer.Option("--minutes", help="Begin nothing that cannot be finished or checkpointed in it."),
]
ShardOption = Annotated[
    str | None, typer.Option("--shard", help="i/n: train only the i-th of n parts of the runs.")
]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Show errors and the result, no progress.")
]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Show a line per epoch, no bar.")
]
FIGURES = Path("figures")


@app.callback(invoke_without_command=True)
def _list(context: typer.Context) -> None:
    """Make the papers' figures, and decide their claims."""
    if context.invoked_subcommand is not None:
        return
    print("Figures (python -m experiments NAME):")
    width = max(map(len, figure_names()))
    for known in figure_names():
        print(f"  {known:<{width}}  {get_figure(known).title}")
    print("All of them: all. What is stored: status, verdicts, report. Options: NAME --help")
    print("Runs in the order of a list: wanted. Runs made elsewhere: import FILE")


@app.command(_FIGURE, hidden=True)
def figure(
    name: Annotated[str, typer.Argument(help="The figure.")],
    scale: ScaleOption = "quick",
    data_dir: DataOption = None,
    seeds: SeedsOption = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Instead of the data set's own rate.")
    ] = None,
    out: OutOption = FIGURES,
    recompute: Annotated[bool, typer.Option(help="Train again what is stored.")] = False,
    shard: ShardOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Train the missing runs of a figure, draw it, and print its claims."""
    detail = _detail(quiet=quiet, verbose=verbose)
    plan = _plan(scale, seeds, learning_rate, data_dir)
    part = None if shard is None else Shard.parse(shard)
    make([name], plan, data_dir=data_dir, out=out, recompute=recompute, shard=part, detail=detail)


@app.command("all")
def everything(
    scale: ScaleOption = "quick",
    data_dir: DataOption = None,
    seeds: SeedsOption = None,
    out: OutOption = FIGURES,
    shard: ShardOption = None,
    minutes: MinutesOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Train all that is missing for all figures, shortest run first, and draw them."""
    deadline, detail = Deadline(minutes), _detail(quiet=quiet, verbose=verbose)
    plan = _plan(scale, seeds, None, data_dir)
    names = [name for name in figure_names() if scale in get_figure(name).scales]
    part = None if shard is None else Shard.parse(shard)
    make(names, plan, data_dir=data_dir, out=out, shard=part, deadline=deadline, detail=detail)


@app.command("wanted")
def _wanted(
    data_dir: DataOption = None,
    minutes: MinutesOption = None,
    out: OutOption = FIGURES,
    archive: Annotated[
        Path | None, typer.Option(help="A zip file to which every finished run is appended.")
    ] = None,
    wanted_list: Annotated[
        Path, typer.Option("--list", help="TOML: which runs, most valuable first.")
    ] = wanted.WANTED,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Train what is missing of a list, in its order, all seeds of a run in one program."""
    deadline, detail = Deadline(minutes), _detail(quiet=quiet, verbose=verbose)
    left = wanted.train_wanted(
        wanted.read(wanted_list),
        data_dir=data_dir,
        out=out,
        archive=archive,
        deadline=deadline,
        detail=detail,
    )
    if not left:
        print("All wanted runs are stored.")


@app.command("import")
def _import(
    file: Annotated[Path, typer.Argument(help="An archive that `wanted` wrote.")],
    out: OutOption = FIGURES,
) -> None:
    """Store the runs of an archive made elsewhere; those already stored stay as they are."""
    new, known = merge(file, out)
    print(f"{new} runs are new, {known} were stored already.")


@app.command("status")
def _status(seeds: StoredSeedsOption = None, out: OutOption = FIGURES) -> None:
    """Show what is stored, unfinished, running and missing, for every figure and scale."""
    print("\n".join(status.lines(out, seeds)))


@app.command("verdicts")
def _verdicts(
    seeds: StoredSeedsOption = None,
    out: OutOption = FIGURES,
    page: Annotated[
        Path | None,
        typer.Option(help="Also write all verdicts as this Markdown page, and the report."),
    ] = None,
) -> None:
    """Decide every claim from stored runs alone."""
    if page is not None:
        require_page(page)
    damage = Damage()
    verdicts = tables.collect_verdicts(out, seeds, damage)
    print("\n".join(tables.lines(verdicts)))
    if page is not None:
        pages.write_results(page, verdicts, out)
        print(f"Written: {page}, {report.write(out, verdicts, seeds, damage)}")
    damage.require_none()


@app.command("theorems")
def _theorems(
    out: OutOption = FIGURES,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    page: Annotated[
        Path | None, typer.Option(help="Also write the table as this Markdown page.")
    ] = None,
) -> None:
    """Verify T1 to T13 on random problems, attack them, and list the errata (under 3 minutes)."""
    from experiments.theorems.command import write_theorems

    write_theorems(out, as_json=as_json, page=page)


@app.command("report")
def _report(seeds: StoredSeedsOption = None, out: OutOption = FIGURES) -> None:
    """Write one page with all claims and figures, from what is stored."""
    damage = Damage()
    verdicts = tables.collect_verdicts(out, seeds, damage)
    print(f"Written: {report.write(out, verdicts, seeds, damage)}")
    damage.require_none()


def _plan(scale: str, seeds: int | None, rate: float | None, data_dir: Path | None) -> Plan:
    plan = Plan.checked(scale, seeds, rate)
    if data_dir is not None and not plan.scale.evidence:
        raise InputError(
            f"--data-dir {data_dir} is given, but the scale '{scale}' uses data that comes with "
            "scikit-learn; add --scale reduced or --scale paper."
        )
    return plan


def _detail(*, quiet: bool, verbose: bool) -> Detail:
    if quiet and verbose:
        raise InputError("--quiet and --verbose are both given; expected one of them, or neither.")
    return Detail.QUIET if quiet else Detail.VERBOSE if verbose else Detail.USUAL


class _StoppedError(BaseException):
    """A signal asked the command to end; no library takes it for an error of its own."""


def _stop(number: int, frame) -> None:
    raise _StoppedError(signal.Signals(number).name)


def main() -> None:
    """Runs the command line; bad input ends with one sentence and exit status 2."""
    prepare()
    before = {s: signal.signal(s, _stop) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        with devices_named():
            app(prog_name="python -m experiments")
    except (InputError, NumericsError) as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)
    except _StoppedError as stopped:
        print(
            f"\nStopped by {stopped}. Finished runs are stored, the current one up to its last "
            "checkpoint if it leaves any; the same command goes on from there (without "
            "--recompute).",
            file=sys.stderr,
        )
        sys.exit(128 + signal.Signals[str(stopped)])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    main()
