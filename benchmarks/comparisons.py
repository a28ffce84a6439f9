"""What the estimators' benchmarks measured, as Markdown; `benchmarks.pages` has the places.

Every function takes the numbers of the measurement that has its name.
"""

import statistics
from collections.abc import Callable

from aesparse.tables import markdown
from benchmarks.blocks import ROOT, read

_TIMES = {
    "fit seconds": "fit, s",
    "fit CPU seconds": "fit, CPU s",
    "encode microseconds": "encode, µs per sample",
}
_QUALITIES = {  # with the decimals shown
    "L0": 2,
    "explained variance": 3,
    "probe error": 3,
    "mean best cosine": 3,
    "matched F1": 3,
    "dead units": 3,
}


def side_by_side(stored: dict) -> str:
    """Per data set: times, and sparsity, reconstruction, probe and recovery of every method."""
    versions = ", ".join(f"{name} {version}" for name, version in stored["versions"].items())
    parts = [
        f"Measured with {versions} on {stored['cores']} cores. Adam with learning rate "
        f"{stored['learning rate']:g}, batches of {stored['batch']}; {stored['seeds']} seeds."
    ]
    for name, data in stored["data"].items():
        parts += [_about(name, data), _methods(data["methods"])]
    return "\n\n".join(parts)


def _about(name: str, data: dict) -> str:
    threads = data["PyTorch's threads"]
    before, after = data["load before and after"]
    text = (
        f"**{name}**: {data['samples']:,} samples of {data['inputs']} inputs and "
        f"{data['held out']:,} held out; {data['units']} units, k = {data['active']}, at most "
        f"{data['epochs']} epochs. The strength of the ReLU auto-encoders, "
        f"{data['strength']:g}, was searched in {data['search seconds']:g} s, the dictionary's "
        f"alpha, {data['alpha']:g}, in {data['search seconds of alpha']:g} s. PyTorch is faster "
        f"with {threads} thread{'s' * (threads > 1)}. The machine's load was {before} before the "
        f"trainings and {after} after them."
    )
    if "probe error of the inputs" in data:
        error = data["probe error of the inputs"]
        text += f" On the inputs themselves the probe's error is {error:.3f}."
    return text


def _methods(methods: dict) -> str:
    """A row per method: medians of times after the first, ranges over seeds of all else."""
    first = next(iter(methods.values()))
    qualities = {name: places for name, places in _QUALITIES.items() if name in first}
    rows = [
        (
            method,
            *(f"{statistics.median(row[name][1:]):.3g}" for name in _TIMES),
            f"{row['fit seconds'][0]:.3g}",
            *(_range(row[name], places) for name, places in qualities.items()),
        )
        for method, row in methods.items()
    ]
    return markdown(("method", *_TIMES.values(), "first fit, s", *qualities), rows)


def _range(numbers: list[float], places: int) -> str:
    """The smallest to the largest, as one number where they are shown the same."""
    ends = dict.fromkeys(f"{number:.{places}f}" for number in (min(numbers), max(numbers)))
    return " to ".join(ends)


def path(stored: dict) -> str:
    """Seconds of a path, of its models one by one, and of a grid search over dictionaries."""
    rows = [
        _path_row(name, size, how)
        for name, size in stored["sizes"].items()
        for how in ("all epochs", "early stopping, at most twice the epochs")
        if how in size
    ]
    head = (
        "data",
        "trained for",
        "path, s",
        f"{stored['models']} single fits, s",
        "times faster, by turn",
    )
    searched = [
        f"{name}: {_searched(size['GridSearchCV of MiniBatchDictionaryLearning'])}"
        for name, size in stored["sizes"].items()
        if "GridSearchCV of MiniBatchDictionaryLearning" in size
    ]
    machine = (
        f"Measured with jax {stored['jax']} on {stored['cores']} cores; load at the end "
        f"{stored['load']}. GridSearchCV over dictionaries, {'; '.join(searched)}."
    )
    return f"{machine}\n\n{markdown(head, rows)}"


def _searched(record: dict) -> str:
    settings = ", ".join(f"{name}={record['settings'][name]}" for name in _SETTINGS)
    return (
        f"{record['grid']['alpha']} for alpha and {record['grid']['random_state']} seeds: "
        f"{record['seconds']:g} s ({settings})"
    )


_SETTINGS = ("batch_size", "fit_algorithm", "max_iter", "n_components", "transform_algorithm")


def _path_row(name: str, size: dict, how: str) -> tuple[str, ...]:
    times = size[how]
    return (
        f"{name}, {size['inputs']} inputs, {size['units']} units, N = {size['samples']:,}",
        how.replace("all epochs", f"{size['epochs']} epochs"),
        f"{times['path']['median']:.3g}",
        f"{times['one by one']['median']:.3g}",
        ", ".join(f"{ratio:.2f}" for ratio in times["times faster"]),
    )


_SHARES = ("chosen by", "trained on", "set apart")


def targets(stored: dict) -> str:
    """The share of active units that was asked for and that came out."""
    head = ("data", "asked for", *_SHARES, "explained variance, set apart", "strength", "models")
    rows = stored["targets"].items()
    return markdown(head, [_target_row(*name.rsplit(", ", 1), row) for name, row in rows])


def _target_row(data: str, asked: str, row: dict) -> tuple[str, ...]:
    if "failed" in row:
        return (data, asked, row["failed"], *[""] * 5)
    return (
        data,
        asked,
        *(f"{row[name]:.4f} ({row[name] / float(asked) - 1:+.1%})" for name in _SHARES),
        f"{row['explained variance, set apart']:.3f}",
        f"{row['strength']:.3g}",
        str(row["models"]),
    )


def out_of_core(stored: dict) -> str:
    """Resident memory of a training on a file, and of one on its first chunk."""
    columns = ("chunks", "peak MiB", "MiB without mapped files", "seconds")
    rows = [
        (name, *(f"{stored[name][column]:,}" for column in columns))
        for name in ("all chunks", "one chunk")
    ]
    about = (
        f"{stored['samples']:,} × {stored['inputs']} float32 numbers "
        f"({stored['MiB of the file']:,} MiB), {stored['units']} units, chunks of "
        f"{stored['rows of a chunk']:,} rows."
    )
    return f"{about}\n\n{markdown(('trained on', *columns), rows)}"


def _block(table: Callable[[dict], str]) -> Callable[[], str]:
    """Makes the table of its stored measurement, or a sentence where there is none."""

    def block() -> str:
        if not (ROOT / "benchmarks" / f"{table.__name__}.json").exists():
            return "Not measured yet."
        return table(read(table.__name__))

    return block


BLOCKS = {
    "side by side": _block(side_by_side),
    "path": _block(path),
    "targets": _block(targets),
    "out of core": _block(out_of_core),
}
