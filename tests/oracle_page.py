"""What the generated pages say, read and derived once more without the code that writes them.

The statements, and which decision of the oracle each of them is about; the figures of a paper's
page; the answers that follow from the statements by the rule printed in docs/results/index.md.
"""

import re
from pathlib import Path
from typing import NamedTuple

LABELS = {
    "dae": r"DAE",
    "cae": r"CAE",
    "mdae": r"mDAE",
    "sae": r"SAE",
    "edae": r"eDAE",
    "cae-h": r"CAE\+H",
}
SCALES = ("reduced", "paper", "quick")
DATASETS = {
    "MNIST": ("mnist", "mnist-labelled"),
    "CIFAR-10 patches": ("cifar10",),
    "both data sets": ("both",),
    "binary MNIST": ("mnist-binary",),
    "12×12 grey photo patches": ("natural",),
    "12×12 grey CIFAR-10 patches": ("natural-cifar10",),
    "CIFAR-10": ("cifar10-images",),
    "CIFAR-10 at 16×16": ("cifar10-small",),
    "–": ("",),
}
SIGNED = {"holds ✓": "holds", "fails ✗": "fails", "inconclusive ?": "inconclusive"}
ACTIVATIONS = ("relu", "sigmoid", "softplus", "tanh", "maxout")
# Claims with one statement per data set and activation: no objective has to be named in it.
SINGLE = ("A8", "A9", "A10", "A11", "A12", "G1", "G2", "L1", "L2", "L4")
SINGLE += ("L6", "L7", "L8", "S1", "S2", "S6a", "S6b", "S7")

NUMBER = r"(-?\d+(?:\.\d+)?(?:e-?\d+)?)"
NUMBERS = re.compile(rf"{NUMBER}(?: \[{NUMBER}, {NUMBER}\])?")


class Statement(NamedTuple):
    """A row of the table of statements."""

    claim: str
    scale: str
    data: str
    statement: str
    verdict: str
    numbers: str
    rests_on: str = ""

    def prints(self, number: float, interval: tuple[float, float]) -> bool:
        """Whether the row prints the number, with the interval if it has one, as rounded there.

        Numbers are printed to three decimals or two digits; another way to draw the resamples
        may move the ends of an interval a little.
        """
        if number != number:  # NaN: there is none
            return True
        for value, low, high in NUMBERS.findall(self.numbers):
            if interval[0] != interval[0] and _near(value, number, 6e-4):
                return True  # drawn in another way, its ends are not compared
            ends = (low, high) if low else (value, value)
            if _near(value, number, 6e-4) and all(
                _near(*pair, 2e-3) for pair in zip(ends, interval, strict=True)
            ):
                return True
        return False


def _near(printed: str, number: float, slack: float) -> bool:
    """Equal up to what printing leaves of a number: two digits, or so many decimals."""
    allowed = 0.05 * abs(number) if "e" in printed else slack
    return abs(float(printed) - number) <= allowed


def statements(page: Path) -> list[Statement]:
    """The rows of the tables of statements; one without verdicts has its verdict as heading.

    Statements that are not run may be counted instead of named.
    """
    return rows_of(page.read_text(encoding="utf-8").splitlines())


def rows_of(lines: list[str]) -> list[Statement]:
    """As `statements`, of the lines of a page."""
    found, columns, heading = [], [], ""
    for line in lines:
        cells = [c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]]
        if line.startswith("#"):
            heading = line.strip("# ").lower()
        elif {"claim", "scale"} <= set(cells) and {"statement", "statements"} & set(cells):
            columns = cells
        elif len(cells) != len(columns):
            columns = []
        elif columns:
            row = {"verdict": heading, "statement": "", "numbers": ""}
            row |= {name.replace(" ", "_"): c for name, c in zip(columns, cells, strict=True)}
            row["verdict"] = SIGNED.get(row["verdict"], row["verdict"])
            if row["scale"] in SCALES:
                found.append(Statement(*(row.get(name, "") for name in Statement._fields)))
    return found


def candidates(row: Statement, decisions: dict) -> list[tuple]:
    """The keys of the decisions that a statement can be about; one, if it is understood."""
    keys = [
        key
        for key in decisions
        if key[:2] == (row.claim, row.scale) and key[2] in DATASETS.get(row.data, ())
    ]
    if row.claim in SINGLE and len(keys) == 1:
        return keys
    return [key for key in keys if _about(row.statement, key[3])]


def _about(text: str, subject: tuple) -> bool:
    """Whether objective, activation, rows, rate and question of a subject are those of a text."""
    objective, activation, constraint, variant, what = subject
    if what.startswith("words"):
        return all(part in text for part in what.split(" & ")[1:])
    if what == "equals cae" or (" agree" in text and "+H" not in text):
        return what == "equals cae" and " agree" in text and "+H" not in text
    named = [o for o, label in LABELS.items() if re.search(rf"(?<![\w]){label}(?![\w+])", text)]
    if named and objective in LABELS and objective != _first(text, named):
        return False
    mentioned = [a for a in ACTIVATIONS if re.search(a, text, re.IGNORECASE)]
    if mentioned and "as with" not in text and activation and activation not in mentioned:
        return False
    if ("rescaled" in text) != (constraint == "unit-rescale"):
        return False
    if what == "distributed":  # of one objective or of all, with unit rows unless it says otherwise
        alone = objective == "all" if len(named) != 1 else objective == named[0]
        return alone and ("unconstrained" in text) == (constraint == "free")
    return variant in ("", _variant(text)) and _question(text, what)


def _first(text: str, named: list[str]) -> str:
    """The objective that is named first."""
    return min(named, key=lambda o: re.search(rf"(?<![\w]){LABELS[o]}(?![\w+])", text).start())


def _variant(text: str) -> str:
    """Which rate and momentum a text names; its own ones where it names none."""
    if "batch" in text:
        return re.search(r"rate [\d.]+, batch \d+", text)[0]
    if re.search(r"momentum 0(?!\.)", text):
        return "momentum 0"
    return "common" if re.search(r"(at|rate) 0\.001", text) else "own"


def _question(text: str, what: str) -> bool:
    """Tells apart what is asked about one model, by a word of the statement."""
    words = {
        "alive": "die",
        "decreasing": "decreasing",
        "row length falls": "length|shorten",
        "distance follows fraction": "follow|distance|threshold|order",
        "shift": r"E\[a|mean|shift|depend",
        "flat": "flat",
        "smallest": "stays",
        "control": "control",
        "against decay": "decay",
        "against tied": "tied",
        "against cae": r"\bCAE",
        "against sae": r"\bSAE",
        "dae with relu": "ReLU.*corruption",
        "cae with relu": "ReLU.*CAE",
        "dae with saturated-linear": "linear.*corruption",
        "cae with saturated-linear": "linear.*CAE",
    }
    return what not in words or bool(re.search(words[what], text))
