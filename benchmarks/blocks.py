"""The measured numbers as Markdown, one function a block; `benchmarks.pages` has their places."""

import inspect
import json
from collections import Counter
from pathlib import Path

from aesparse.errors import InputError, first_line
from aesparse.files import read_bytes
from aesparse.losses import penalties
from aesparse.tables import markdown
from aesparse.training import guard
from benchmarks.assumptions import ABOVE
from benchmarks.fuzz.targets import outcome_table
from experiments.pipeline.protocol import DATA, MOMENTUM, STRENGTHS
from experiments.pipeline.record import read_pictured

ROOT = Path(__file__).parents[1]
MOST_BYTES = 2**24  # of a page or of the numbers of a measurement


def read(name: str) -> dict:
    """A stored measurement; `InputError` if its file is damaged."""
    path = ROOT / "benchmarks" / f"{name}.json"
    try:
        return json.loads(read_bytes(path, MOST_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{path} is damaged ({first_line(error)}); restore it, or repeat the measurement."
        ) from None


def step_variants() -> str:
    """Per input size: time of an update by objective and variant, at as many models as PyTorch."""
    stored = read("step")
    compared = [row for row in stored["rows"] if row["times best torch"] is not None]
    parts = [f"Measured on: {stored['device']}, {stored['devices']} cores; jax {stored['jax']}."]
    for size in dict.fromkeys(row["size"] for row in compared):
        rows = [row for row in compared if row["size"] == size]
        variants = list(rows[0]["seconds per cell and step"])
        first = rows[0]
        parts += [
            f"Milliseconds per model and update, {first['cells']} models, n = {first['n']}, "
            f"m = {first['m']:,} ({DATA[size].title}):",
            markdown(
                ("objective", *variants, "aesparse against the best PyTorch"),
                [
                    (
                        row["objective"],
                        *(_milliseconds(row, v) for v in variants),
                        f"{row['times best torch']:.2f} times as fast",
                    )
                    for row in rows
                ],
            ),
        ]
    return "\n\n".join(parts)


def _milliseconds(row: dict, variant: str) -> str:
    """The median, with the range over the rounds where it is stored."""
    median = f"{1e3 * row['seconds per cell and step'][variant]:.2f}"
    if "ranges" not in row:
        return median
    low, high = (1e3 * seconds for seconds in row["ranges"][variant])
    return f"{median} ({low:.2f} to {high:.2f})"


def step_sizes() -> str:
    """Time of an update against the number of models, and its share of the product rate."""
    rows = read("step")["rows"]
    counts = list(dict.fromkeys(row["cells"] for row in rows))
    by_kind: dict = {}
    for row in rows:
        by_kind.setdefault((row["size"], row["objective"]), {})[row["cells"]] = row
    cells = [
        (
            DATA[size].title,
            objective,
            *(
                f"{1e3 * at[n]['seconds per cell and step']['aesparse']:.2f} "
                f"({at[n]['share of product rate']:.2f})"
                if n in at
                else ""
                for n in counts
            ),
        )
        for (size, objective), at in by_kind.items()
    ]
    return markdown(("inputs", "objective", *(f"{n} model{'s' * (n > 1)}" for n in counts)), cells)


def reproducibility() -> str:
    """Per variant of a training: bits, and the largest difference of a model's parameters."""
    stored = read("reproducibility")
    rows = []
    for variant in dict.fromkeys(row["variant"] for row in stored):
        each = [row for row in stored if row["variant"] == variant]
        differing = [row["objective"] for row in each if not row["bits_equal"]]
        largest = max(each, key=lambda row: row["difference"])
        apart = f"up to {largest['difference']:.1e} ({largest['objective']})" if differing else "0"
        bits = "all equal" if not differing else f"differ for {', '.join(differing)}"
        rows.append((variant, bits, apart))
    return markdown(("trained as", "bits", "largest ‖Δparams‖/‖params‖ of a model"), rows)


def guard_limits() -> str:
    """What the compile check accepts, by the precision of the products and the dtype."""
    rows = [("float64", f"{guard.LIMITS['float64']:.0e}")]
    rows += [
        (f'float32, matmul_precision="{name}"', f"{largest:.0e}")
        for name, largest in guard.PRODUCT_LIMITS.items()
    ]
    return markdown(("numbers", "largest relative difference"), rows)


def memory() -> str:
    """Planned and measured bytes of grids, and history costs by number of epochs."""
    stored = read("memory")
    grids = [
        (name, *(f"{grid[k] / 2**20:,.0f}" for k in ("planned", "peak")), f"{grid['ratio']:.2f}")
        for name, grid in stored["grids"].items()
    ]
    epochs = [
        (f"{int(count):,}", f"{run['seconds']:.2f}", f"{run['peak'] / 2**20:,.0f}")
        for count, run in stored["epochs"].items()
    ]
    return "\n\n".join(
        [
            f"jax {stored['jax']}, {stored['machine']}.",
            markdown(("grid", "planned MiB", "peak MiB", "planned / peak"), grids),
            "The same small training with a record of every epoch:",
            markdown(("epochs", "seconds", "peak MiB"), epochs),
        ]
    )


def accelerator() -> str:
    """What was measured on accelerators: the devices and their pictures."""
    paths = sorted((ROOT / "benchmarks").glob("accelerator-*.json"))
    if not paths:
        return "No accelerator has been measured yet."
    rows = [
        (read(p.stem)["device"], f"[numbers](../../benchmarks/{p.name})",
         f"[picture](../../benchmarks/{p.stem}.png)")
        for p in paths
    ]  # fmt: skip
    return markdown(("device", "numbers", "picture"), rows)


def choices() -> str:
    """What the papers leave open, as the code has it."""
    width = inspect.signature(penalties.second_order_with_kink).parameters["width"].default
    rates = "; ".join(f"{DATA[name].title} {DATA[name].learning_rate:g}" for name in _evidence())
    strengths = f"0, {STRENGTHS[1]:g}, …, {STRENGTHS[-1]:g} ({len(STRENGTHS)} of them)"
    rows = [
        ("learning rate, for every activation and scale", rates),
        ("momentum", f"{MOMENTUM:g}"),
        ("strengths of a curve", strengths),
        ("where the penalty of SAE, −log(1 − ρ), continues as its tangent", f"{penalties.POLE:g}"),
        ("width of the normal density at a kink, DAE-2 with the kink term", f"{width:g}"),
    ]
    return markdown(("choice", "value"), rows)


def _evidence() -> list[str]:
    return list(read("learning_rate"))


def rates() -> str:
    """Reconstruction errors by which the learning rates were chosen."""
    stored = read("learning_rate")
    head = list(next(iter(stored.values())))
    rows = [
        (
            DATA[name].title,
            *("diverged" if errors[r] is None else f"{errors[r]:.2f}" for r in head),
            f"{DATA[name].learning_rate:g}",
        )
        for name, errors in stored.items()
    ]
    return markdown(("data", *head, "chosen"), rows)


def tangent() -> str:
    """How far SAE's curve moves with the mean activation at which the tangent starts."""
    stored = read("pole-reduced")
    head = [start for start in next(iter(stored.values())) if float(start) != penalties.POLE]
    rows = [(DATA[n].title, *(f"{moved[s]:.2f}" for s in head)) for n, moved in stored.items()]
    return markdown(("data", *(f"tangent from {start}" for start in head)), rows)


def assumptions() -> str:
    """What real data violates, and how often Theorem 1's conclusion follows all the same."""
    stored = read("assumptions")
    kinds = [(name, kind) for name in stored for kind in stored[name]]
    law = [
        (
            DATA[name].title,
            kind,
            f"{stored[name][kind]['assumption 1']['largest |E[xx^T] - I|']:.2f}",
            f"{stored[name][kind]['residual']['excess_kurtosis']:.1f}",
            f"{stored[name][kind]['theorem 1']['plain, full batch']['strength'] / ABOVE:,.0f}",
        )
        for name, kind in kinds
    ]
    steps = list(stored[kinds[0][0]][kinds[0][1]]["theorem 1"])
    falls = [
        (how, *(_falls(stored[name][kind]["theorem 1"][how]) for name, kind in kinds))
        for how in steps
    ]
    columns = [f"{DATA[name].title}, {kind}" for name, kind in kinds]
    return "\n\n".join(
        [
            markdown(
                ("data", "pixels", "largest abs(E[xxᵀ] − I)", "excess kurtosis of residuals", "λ"),
                law,
            ),
            "Share of (unit, step) pairs that meet the condition in which E[a_j] falls:",
            markdown(("updates", *columns), falls),
        ]
    )


def _falls(step: dict) -> str:
    return "none meets it" if step["condition met"] == 0 else f"{step['falls where met']:.1%}"


def audit_pairs() -> str:
    """How often the audit's forecast was right, pairs held out apart, and which were wrong."""
    stored = read_pictured(ROOT / "figures" / "quick" / "audit-calibration.json")["verdicts"]
    parts = {
        part: [v for v in stored if f"({part})" in v["statement"]]
        for part in ("calibration", "held out")
    }
    outcomes = ("right", "wrong", "abstained", "undecided")
    counts = {part: Counter(v["verdict"] for v in rows) for part, rows in parts.items()}
    table = markdown(
        ("forecast", *parts), [(o, *(str(c[o]) for c in counts.values())) for o in outcomes]
    )
    wrong = [
        f"* {v['statement']}; {v['numbers']}"
        for v in stored
        if v["verdict"] in {"wrong", "holds", "fails"}
    ]
    return "\n\n".join([table, "\n".join(wrong)])


def fuzzed() -> str:
    """What came of damaged inputs, by what reads them."""
    return outcome_table(read("fuzz"))


def endured() -> str:
    """How often a command was attacked, and whether it ended with the same bits."""
    stored = read("endurance")
    rows = [
        (kind, *(str(counts[k]) for k in ("attacks", "ends", "equal")))
        for kind, counts in stored["counts"].items()
    ]
    problems = len(stored["problems"])
    sentence = (
        f"`{stored['command']}`, {stored['undisturbed seconds']:.0f} s undisturbed; seed "
        f"{stored['seed']}; {problems or 'no'} problem{'s' * (problems != 1)}."
    )
    head = ("attack", "how often", "commands that ended", "with equal bits")
    return f"{sentence}\n\n{markdown(head, rows)}"
