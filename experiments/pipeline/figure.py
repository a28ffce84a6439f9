"""What a figure is: required and optional parts, checked when its module is imported."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import NamedTuple

from aesparse.errors import InputError
from experiments.pipeline.plan import Plan
from experiments.pipeline.protocol import SCALES
from experiments.pipeline.spec import Spec

__all__ = ["Figure", "Verdict"]


class Verdict(NamedTuple):
    """A claim on a data set, by which numbers, and why.

    `verdict` is holds, fails or inconclusive; measured, of what has no threshold; by construction;
    or not run. The pipeline (`experiments.pipeline.verdicts`) adds superseded, and what a verdict
    rests on.
    """

    claim: str
    dataset: str
    statement: str
    verdict: str
    numbers: str
    why: tuple[str, ...] = ()  # sentences, where it does not hold
    rests_on: str = ""


def _nothing(plan: Plan) -> tuple:
    return ()


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure: what must be computed for it, how it looks, and what its claims need.

    `runs` below is a mapping from spec to stored run (an `xarray.Dataset`).
    A part that does not exist is a `TypeError`; one of the wrong kind is an `InputError`.
    """

    about: str  # the module's docstring; its first line is the title
    place: str = ""  # where the paper shows or says it: "Figure 4", "Section 2.2, …"; its heading
    says: str = ""  # what the paper says of it, in our words, with section or equation
    claims: Mapping[str, str]  # what each claim says; in lower case: no claim of a paper
    runs: Callable[[Plan], list[Spec]]
    draw: Callable[[Mapping, Plan], object]  # (runs, plan) -> a matplotlib figure
    caption: Callable[[Mapping, Plan], str]
    compute: Callable | None = None  # (study, dataset) -> xarray.Dataset, if its runs are studies
    verdicts: Callable[[Mapping, str], list[Verdict]] | None = None  # (runs, dataset)
    joint: Callable[[Mapping], list[Verdict]] | None = None  # across the data sets
    explain: Callable[[Mapping, Verdict], list[str]] | None = None  # why a claim does not hold
    also: Callable[[Plan], Iterable[Spec]] = _nothing  # count where they are stored
    further: Callable[[Plan], Iterable[Spec]] = _nothing  # only `explain` sees them, where stored
    partial: bool = False  # `draw` and `caption` can do with some of the runs alone
    partly: bool = False  # `verdicts` gets None for a missing run, and says "not run" itself
    scales: tuple[str, ...] = tuple(SCALES)
    group: tuple[str, ...] = ("dataset",)  # spec fields; runs equal in them are decided together

    def __post_init__(self) -> None:
        """`InputError` for the first part of the wrong kind."""
        for field in fields(self):
            value, function = getattr(self, field.name), "Callable" in str(field.type)
            optional = field.default is None and value is None
            if function and not optional and not callable(value):
                raise InputError(
                    f"The part '{field.name}' of a figure is {value!r}; expected a function."
                )
        if not (isinstance(self.about, str) and self.about.strip()):
            raise InputError(
                f"The part 'about' of a figure is {self.about!r}; give its module a docstring."
            )
        for part, text in (("place", self.place), ("says", self.says)):
            if not isinstance(text, str):
                raise InputError(
                    f"The part '{part}' of a figure is {text!r}; expected a text, such as "
                    "'Figure 4' for the place."
                )
        if not isinstance(self.claims, Mapping):
            raise InputError(
                f"The part 'claims' of a figure is {self.claims!r}; expected a mapping from each "
                "claim to what it says."
            )
        wrong = [scale for scale in self.scales if scale not in SCALES]
        if wrong or isinstance(self.scales, str) or not self.scales:
            raise InputError(
                f"The part 'scales' of a figure is {self.scales!r}; expected some of "
                f"{', '.join(SCALES)}, as a tuple."
            )
        if isinstance(self.group, str) or "dataset" not in self.group[:1]:
            raise InputError(
                f"The part 'group' of a figure is {self.group!r}; expected a tuple of fields of "
                "its specs, 'dataset' first."
            )

    @property
    def title(self) -> str:
        """One line."""
        return self.about.strip().splitlines()[0]

    def decides(self, scale: str) -> bool:
        """Whether the numbers at a scale are evidence.

        A figure made for one scale alone has no other one to decide its claims.
        """
        return scale in self.scales and (SCALES[scale].evidence or len(self.scales) == 1)

    def effective(self, plan: Plan) -> Plan:
        """The plan as it names the figure: the usual seeds where others change none of its runs."""
        usual = plan._replace(seeds=plan.scale.seeds, first_seed=0)
        return usual if self.runs(usual) == self.runs(plan) else plan

    def group_of(self, spec: Spec) -> tuple:
        """What tells apart the runs whose claims are decided together."""
        return tuple(getattr(spec, field) for field in self.group)
