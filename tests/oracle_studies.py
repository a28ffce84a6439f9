"""G1, G2, L1, L2, L4, S1, S2 and S6 to S8 of docs/protocol.md, decided from stored studies."""

from collections.abc import Iterator

import numpy as np
from oracle_arpit import NO_RUNS, Row
from oracle_runs import Runs
from oracle_stats import (
    FAILS,
    HOLDS,
    Decision,
    Estimate,
    construction,
    estimate,
    together,
)

ROUNDING = 1e-10


def single(number: float, threshold: float, mark=str) -> Decision:
    """A number of a deterministic computation, which must be at most the threshold."""
    number = float(number)
    verdict = Estimate(number, number, number).at_most(threshold)
    return Decision(mark(verdict), number, (number, number))


def worst(*pairs: tuple[float, float]) -> Decision:
    """Several numbers, each with its threshold, true by construction; the worst is reported."""
    number = max(pairs, key=lambda p: p[0] / p[1] if p[1] else np.inf * (p[0] > 0))[0]
    verdict = together(*(single(*pair).verdict for pair in pairs))
    return Decision(construction(verdict), float(number), (float(number), float(number)))


def row(runs: Runs, claim: str, dataset: str, what: str, decision: Decision) -> Row:
    return (claim, runs.scale, dataset, ("", "", "", "", what)), decision


def gsae(runs: Runs) -> Iterator[Row]:
    found = runs.of_study("gsae-fig1")
    if found:
        error = max(float(v["gradient_error"]) for v in found)
        yield row(runs, "G1", "mnist", "gradient", single(error, ROUNDING, construction))
    found = [runs.of_study("gsae-pca", model=model) for model in ("tied", "untied")]
    if all(found):
        angles = [np.array([pca_angle(v) for v in models]) for models in found]
        numbers = [estimate(lambda s, a=a: a[s].mean(), len(a)) for a in angles]
        verdict = together(*(number.at_most(0.01) for number in numbers))
        number = max(numbers, key=lambda e: e.high)
        decision = Decision(verdict, number.value, (number.low, number.high))
        yield row(runs, "G2", "mnist", "subspace of PCA", decision)


def pca_angle(values: dict) -> float:
    """Largest angle of the decoder's columns to the PCA subspace at the end, on the full data."""
    case, line = list(values["case"]).index("full"), list(values["line"]).index("decoder")
    return float(values["angle"][case, line, -1])


def lecture(runs: Runs) -> Iterator[Row]:
    for v in runs.of_study("lecture-kl"):
        rho, mean = v["rho"][:, None], v["mean"][None]
        kl = rho * np.log(rho / mean) + (1 - rho) * np.log((1 - rho) / (1 - mean))
        slope = -rho / mean + (1 - rho) / (1 - mean)
        decision = worst(
            (np.abs(v["minimizer"] - v["rho"]).max(), 1e-6),
            (np.abs(v["kl"] - kl).max(), 1e-10),
            (np.abs(v["slope"] - slope).max() / np.abs(slope).max(), 1e-10),
            (float(v["inner"]), 1e-10),
            (float(v["outer"]), 1e-10),
        )
        yield row(runs, "L1", "", "smallest at the target", decision)
        gain = np.max(v["found"] - v["closed"])
        beaten = np.max(v["random"]) - np.max(v["closed"])
        decision = worst((v["angle"].max(), 1e-4), (gain, 1e-12), (beaten, 1e-12))
        yield row(runs, "L2", "", "own row", decision)
    yield from probe(runs)


CODES = ("ae", "dae", "cae", "sae", "satae")


def wilson(wrong: np.ndarray, z: float = 1.959963984540054) -> Estimate:
    """Error rate, mean over seeds `[seeds, samples]`, with Wilson's 95% interval of one of them."""
    n, rate = wrong.shape[1], float(np.mean(wrong != 0))
    p = round(n * rate) / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return Estimate(rate, middle - half, middle + half)


def probe(runs: Runs) -> Iterator[Row]:
    found = {code: runs.of_study("lecture-probe", code=code) for code in ("raw", *CODES)}
    if not any(found.values()):
        return
    if not all(found.values()):
        yield row(runs, "L4", "mnist-labelled", "codes beat pixels", NO_RUNS)
        return
    errors = {c: wilson(np.array([v["wrong"] for v in values])) for c, values in found.items()}
    gaps = [Estimate(0, errors["raw"].low - errors[c].high, errors["raw"].high - errors[c].low)
            for c in CODES]  # fmt: skip
    best = min(CODES, key=lambda c: np.mean([v["validation"].min() for v in found[c]]))
    verdict = together(errors[best].at_most(0.03), *(g.at_least(0) for g in gaps))
    number = errors[best]
    decision = Decision(verdict, number.value, (number.low, number.high), (0,))
    yield row(runs, "L4", "mnist-labelled", "codes beat pixels", decision)


def saturating(runs: Runs) -> Iterator[Row]:
    for v in runs.of_study("satae-fig1"):
        decision = worst(*((d, 1e-6) for d in (*v["deviation"], *closed_form_errors(v))))
        yield row(runs, "S1", "", "closed forms", decision)
        same = max(v["gradients"].max(), v["trajectories"].max())
        yield row(runs, "S2", "", "same gradients", worst((same, ROUNDING)))
        slopes = worst(*((float(v[n]), 0) for n in ("cae_slope", "inside_slope", "outside_slope")))
        yield row(runs, "S7", "", "slopes", slopes)
    yield from extrema(runs)
    yield from quadratic(runs)


def extrema(runs: Runs) -> Iterator[Row]:
    """S6: f_c at the interior extrema of a non-monotone s, one f_c for every width of the kernel.

    No number decides S6a, but a local minimum at an extremum would break the proof.
    """
    for v in runs.of_study("satae-fig6"):
        z, turns = v["z"], v["turn"]
        right = np.searchsorted(z, turns, side="right")
        left = np.searchsorted(z, turns, side="left") - 1
        lower = np.minimum(v["complement"][:, left], v["complement"][:, right])
        minima = int((v["at_turns"] <= lower).sum())
        decision = Decision(construction(HOLDS if minima == 0 else FAILS))
        yield row(runs, "S6a", "", "no local minimum", decision)
        number = float(np.min(v["slope_at_turns"] / v["steepest"][:, None]))
        verdict = FAILS if number > 1e-6 else HOLDS
        yield row(runs, "S6b", "", "flat", Decision(verdict, number, (number, number)))


def quadratic(runs: Runs) -> Iterator[Row]:
    """S8: the log–log slope of SL's energy outside the linear region, mean over rays."""
    for v in runs.of_study("satae-fig3"):
        slopes = v["growth"].mean(axis=1)
        number = estimate(lambda s, g=slopes: g[s].mean(), len(slopes))
        verdict = together(number.at_least(1.9), number.at_most(2.1))
        decision = Decision(verdict, number.value, (number.low, number.high))
        yield row(runs, "S8", "", "grows quadratically", decision)


def closed_form_errors(values: dict) -> Iterator[float]:
    """Stored f_c against the distance to the nearest point where s' = 0."""
    z = values["z"]
    exact = {
        "shrink": lambda z: np.maximum(np.abs(z) - values_width(values), 0),
        "relu": lambda z: np.maximum(z, 0),
        "saturated-linear": lambda z: np.maximum(1 - np.abs(z), 0),
    }
    for name, stored in zip(values["function"], values["complement"], strict=True):
        yield float(np.abs(stored - exact[str(name)](z)).max())


def values_width(values: dict) -> float:
    """The width λ of the soft threshold, read off its stored values: z − s(z) for large z."""
    shrink = list(values["function"]).index("shrink")
    return float(values["z"][-1] - values["value"][shrink, -1])
