"""The record of a figure: the JSON file next to its pictures, with the checksums of all three."""

from collections.abc import Mapping
from pathlib import Path

from aesparse.errors import InputError, reason
from aesparse.seal import PICTURES, file_checksum, read_sealed, write_drawn
from experiments.pipeline.figure import Figure
from experiments.pipeline.plan import Plan
from experiments.pipeline.protocol import title
from experiments.pipeline.provenance import parentage
from experiments.pipeline.stored import PROVENANCE
from experiments.pipeline.verdicts import decided, judged

__all__ = [
    "decision",
    "figure_record",
    "publish",
    "read_pictured",
    "read_record",
    "record_path",
]

_TEXTS = ("figure", "command", "title", "caption")


def record_path(out: Path, name: str, plan: Plan) -> Path:
    """Where the record of a figure is, under the folder of all figures."""
    return out / plan.scale_name / f"{name}{plan.suffix}.json"


def figure_record(figure: Figure, name: str, plan: Plan, runs: Mapping) -> dict:
    """What a figure shows: its command, caption and verdicts, and its runs' parentage.

    `runs` has None for those that are not stored, of a figure that is drawn from the others.
    Why a claim does not hold is not part of it: that also depends on what else is stored.
    """
    evidence, stored = figure.decides(plan.scale_name), _stored(runs)
    if evidence:
        verdicts = [verdict for verdict, _ in judged(figure, plan.scale_name, runs)]
    else:
        verdicts = [
            v._replace(verdict=f"demonstration ({v.verdict})") for v in decided(figure, runs)
        ]
    return {
        "figure": name,
        "command": plan.command(name) + " --stored" * (len(stored) < len(runs)),
        "title": figure.title,
        "caption": figure.caption(stored, plan),
        "evidence": evidence,
        "verdicts": [{k: v for k, v in one._asdict().items() if k != "why"} for one in verdicts],
        "runs": {spec.key: parentage(run) for spec, run in stored.items()},
    }


def _stored(runs: Mapping) -> dict:
    return {spec: run for spec, run in runs.items() if run is not None}


def read_pictured(path: Path) -> dict:
    """A record as `write_drawn` left it, and its pictures' checksums in the field `pictures`.

    `InputError` if the record or a picture of it is damaged, missing, or of another record.
    """
    damaged = path
    try:
        record = read_sealed(path)
        for kind in PICTURES:
            damaged = path
            stored = record["pictures"][kind]
            damaged = path.with_name(f"{path.stem}.{kind}")
            if file_checksum(damaged) != stored:
                raise ValueError(f"it is not the picture that {path.name} was written with")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damage(damaged, error) from None
    return record


def read_record(path: Path, name: str, plan: Plan) -> dict:
    """What `publish` wrote of the figure `name` by a plan, without the checksums.

    `InputError` if the record or a picture of it is damaged, missing, or of another figure or plan.
    """
    record = read_pictured(path)
    try:
        shown = all(isinstance(record[field], str) for field in _TEXTS)
        parents = record["runs"].values()
        shown &= all(set(PROVENANCE) <= of_run.keys() for of_run in parents)
        if not shown or not all(isinstance(of["wall_seconds"], int | float) for of in parents):
            raise ValueError("what the report shows of a figure is missing")
        command = record["command"].removesuffix(" --stored")
        if (record["figure"], command) != (name, plan.command(name)):
            raise ValueError(f"it was made by `{record['command']}`, not `{plan.command(name)}`")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damage(path, error) from None
    return {field: value for field, value in record.items() if field != "pictures"}


def _damage(path: Path, error: Exception) -> InputError:
    missing = isinstance(error, FileNotFoundError)
    state = "is missing" if missing else f"is damaged ({reason(error)})"
    return InputError(
        f"{path} {state}; repeat the command that made it, which trains no stored run again."
    )


def decision(verdict: Mapping[str, str]) -> str:
    """A verdict in a line: its statement, what became of it, on what that rests, and numbers."""
    rests = f" ({verdict['rests_on']})" if verdict["rests_on"] else ""
    return f"{verdict['statement']}: {verdict['verdict']}{rests}: {verdict['numbers']}"


def publish(figure: Figure, name: str, plan: Plan, runs: dict, folder: Path) -> None:
    """Draws a figure, writes it with its record into a folder, and prints its verdicts."""
    record = figure_record(figure, name, plan, runs)
    path = folder / f"{name}{plan.suffix}.json"
    paths = write_drawn(path, figure.draw(_stored(runs), plan), record)
    print(f"\n{record['caption']}\n")
    if record["verdicts"] and not record["evidence"]:
        print("Claims at this scale are a demonstration; `--scale reduced` decides them.")
    for v in record["verdicts"]:
        print(f"{v['claim']}  {title(v['dataset'])}: {decision(v)}")
    print(f"\nWritten: {', '.join(map(str, paths))}")
