"""The command line: `python -m experiments [FIGURE | all | wanted | import | status | …]`."""

import copy
import functools
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from aesparse.cli.invoking import SETTINGS, invoke
from aesparse.cli.options import DataOption, OutOption
from aesparse.command import Stopped
from aesparse.errors import InputError, unknown_name
from experiments.pipeline.damage import Damage
from experiments.pipeline.plan import Plan, Shard
from experiments.pipeline.progress import Detail
from experiments.pipeline.registry import figure_names, get_figure


class _Group(TyperGroup):
    """Commands, and every figure's name as a command that makes it."""

    def list_commands(self, ctx):
        return [*super().list_commands(ctx), *figure_names()]

    def get_command(self, ctx, cmd_name):
        if cmd_name not in figure_names():
            return super().get_command(ctx, cmd_name)
        command = copy.copy(self.commands[_FIGURE])
        command.name, command.hidden = cmd_name, False
        command.short_help = "" if ctx.resilient_parsing else get_figure(cmd_name).title
        command.callback = functools.partial(command.callback, name=cmd_name)
        command.params = [parameter for parameter in command.params if parameter.name != "name"]
        return command

    def resolve_command(self, ctx, args):
        if not ctx.resilient_parsing and self.get_command(ctx, args[0]) is None:
            names = [name for name in self.list_commands(ctx) if name != _FIGURE]
            raise unknown_name("figure or command", args[0], names)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx, formatter):
        shown = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        figures = set(figure_names())
        for title, those in (("Commands", shown.keys() - figures), ("Figures", figures)):
            rows = [
                (name, command.short_help or command.get_short_help_str(limit=100))
                for name, command in shown.items()
                if name in those and not command.hidden
            ]
            with formatter.section(title):
                formatter.write_dl(rows)


_FIGURE = "figure"
app = typer.Typer(cls=_Group, help="Make the papers' figures, and decide their claims.", **SETTINGS)

ScaleOption = Annotated[
    str, typer.Option("--scale", help="Sizes of models and data: quick, reduced or paper.")
]
SeedsOption = Annotated[
    int | None, typer.Option(help="How many seeds: 0, 1, …", show_default="the scale's")
]
FirstSeedOption = Annotated[
    int, typer.Option("--first-seed", help="Which one is the first: 3 for 3, 4, …")
]
StoredSeedsOption = Annotated[
    int | None,
    typer.Option(
        "--seeds", help="How many seeds: 0, 1, …", show_default="the scale's, or more where stored"
    ),
]
MinutesOption = Annotated[
    float | None,
    typer.Option(
        "--minutes",
        help="Minutes; nothing is begun that cannot be finished or checkpointed in them.",
        show_default="no end",
    ),
]
StoredOption = Annotated[
    bool, typer.Option("--stored", help="Draw from the runs that are stored; train none.")
]
ShardOption = Annotated[
    str | None,
    typer.Option(
        "--shard",
        help="i/n, such as 2/4: train only the i-th of n parts of the runs.",
        show_default="all of them",
    ),
]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Show errors and the result, no progress.")
]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Show a line per epoch, no bar.")
]
FIGURES = Path("figures")


@app.command(_FIGURE, hidden=True)
def figure(
    name: Annotated[str, typer.Argument(help="The figure.")],
    scale: ScaleOption = "quick",
    data_dir: DataOption = None,
    seeds: SeedsOption = None,
    first_seed: FirstSeedOption = 0,
    learning_rate: Annotated[
        float | None,
        typer.Option(help="Of the optimizer, per update.", show_default="the data set's own"),
    ] = None,
    out: OutOption = FIGURES,
    recompute: Annotated[
        bool, typer.Option("--recompute", help="Train again what is stored.")
    ] = False,
    stored: StoredOption = False,
    shard: ShardOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Train the missing runs of a figure, draw it, and print its claims."""
    from experiments.pipeline.make import make

    options = {"detail": _detail(quiet=quiet, verbose=verbose), "stored_only": stored}
    plan = _plan(scale, seeds, learning_rate, data_dir, first_seed)
    part = None if shard is None else Shard.parse(shard)
    make([name], plan, data_dir=data_dir, out=out, recompute=recompute, shard=part, **options)


@app.command("all")
def everything(
    scale: ScaleOption = "quick",
    data_dir: DataOption = None,
    seeds: SeedsOption = None,
    first_seed: FirstSeedOption = 0,
    out: OutOption = FIGURES,
    stored: StoredOption = False,
    shard: ShardOption = None,
    minutes: MinutesOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Train all that is missing for all figures, shortest run first, and draw them."""
    from experiments.pipeline.deadline import Deadline
    from experiments.pipeline.make import make

    options = {"detail": _detail(quiet=quiet, verbose=verbose), "stored_only": stored}
    plan = _plan(scale, seeds, None, data_dir, first_seed)
    names = [name for name in figure_names() if scale in get_figure(name).scales]
    part = None if shard is None else Shard.parse(shard)
    deadline = Deadline(minutes)
    make(names, plan, data_dir=data_dir, out=out, shard=part, deadline=deadline, **options)


@app.command("wanted")
def _wanted(
    data_dir: DataOption = None,
    minutes: MinutesOption = None,
    out: OutOption = FIGURES,
    archive: Annotated[
        Path | None,
        typer.Option(
            help="A zip file to which every finished run is appended.", show_default="none"
        ),
    ] = None,
    wanted_list: Annotated[
        Path | None,
        typer.Option(
            "--list",
            help="TOML: which runs, most valuable first.",
            show_default="experiments/wanted.toml",
        ),
    ] = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Train what is missing of a list, in its order, all seeds of a run in one program."""
    from experiments.pipeline import wanted
    from experiments.pipeline.deadline import Deadline

    deadline, detail = Deadline(minutes), _detail(quiet=quiet, verbose=verbose)
    left = wanted.train_wanted(
        wanted.read(wanted_list or wanted.WANTED),
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
    from experiments.pipeline.archive import merge

    new, known = merge(file, out)
    print(f"{new} runs are new, {known} were stored already.")


@app.command("status")
def _status(seeds: StoredSeedsOption = None, out: OutOption = FIGURES) -> None:
    """Show what is stored, unfinished, running, missing and damaged, for every figure and scale."""
    from experiments.pipeline import status

    damage = Damage()
    print("\n".join(status.lines(out, seeds, damage)))
    damage.require_none("All else is sound.")


@app.command("verdicts")
def _verdicts(seeds: StoredSeedsOption = None, out: OutOption = FIGURES) -> None:
    """Decide every claim from stored runs alone."""
    from experiments.evidence import tables

    damage = Damage()
    print("\n".join(tables.lines(tables.collect_verdicts(out, seeds, damage))))
    damage.require_none()


@app.command("pages")
def _pages(
    out: OutOption = FIGURES,
    checkout: Annotated[
        Path, typer.Option(help="The folder with README.md and docs/.", show_default="this one")
    ] = Path(),
) -> None:
    """Write docs/results/ and README's answers, from what is stored."""
    from experiments import pages

    damage = Damage()
    print(f"Written: {', '.join(map(str, pages.write(out, checkout, damage)))}")
    damage.require_none()


@app.command("theorems")
def _theorems(
    out: OutOption = FIGURES,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Verify T1 to T15 on random problems, attack them, and list the errata (under 3 minutes)."""
    from aesparse.cli.theorems import write_theorems

    write_theorems(out, as_json=as_json)


@app.command("report")
def _report(seeds: StoredSeedsOption = None, out: OutOption = FIGURES) -> None:
    """Write pages with all claims and figures, to be read in a browser, from what is stored."""
    from experiments import report
    from experiments.evidence import tables

    damage = Damage()
    verdicts = tables.collect_verdicts(out, seeds, damage)
    print(f"Written: {report.write(out, verdicts, seeds, damage)}")
    damage.require_none()


def _plan(
    scale: str, seeds: int | None, rate: float | None, data_dir: Path | None, first_seed: int
) -> Plan:
    plan = Plan.checked(scale, seeds, rate, first_seed)
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


def main() -> int:
    """Runs the command line of the process and returns its exit status."""
    try:
        return invoke(app, "experiments", "aesparse-experiments")
    except Stopped as stopped:
        stopped.add_note(
            "Finished runs are stored, the current one up to its last checkpoint if it leaves any; "
            "the same command goes on from there (without --recompute)."
        )
        raise
