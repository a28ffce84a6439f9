"""The trained panels of SATAE Figure 4: the settings in which each is trained, at every scale.

The paper leaves open the scale of its loss, the batch, the widths λ and T, how patches were
prepared and how models start; docs/protocol.md says what was chosen and why.
"""

from typing import NamedTuple

from experiments.pipeline.plan import Plan
from experiments.pipeline.spec import Study

__all__ = ["ALPHAS", "PANELS", "Panel", "panel_of", "panel_studies", "panel_study"]

ALPHAS = tuple(round(0.1 * k, 1) for k in range(11))  # section 4: from 0 to 1, each from the last


class Panel(NamedTuple):
    """One path along α: α grows and every model starts where the one before ended.

    The loss is eq. 2, summed over inputs and units and averaged over the batch, and its learning
    rate `rate / divisor`: both terms of the loss are divided by `divisor`. A control has as many
    updates on the same batches at α = 0.
    """

    letters: str  # of the paper's Figure 4: "a", or "ef" for one path drawn at two α
    role: str  # "decides"; "compared": S9, S10; "shown": another start or another data set
    dataset: str
    samples: int | None  # None: all
    preparation: str  # `prepare.PREPARATIONS`
    activation: str  # "shrink", "relu" or "saturated-linear"
    # λ of shrink, 0 for ReLU. T of saturated-linear in standard deviations of the data: the data is
    # divided by it, and units are linear on [−1, 1].
    width: float
    hidden: int
    batch_size: int
    divisor: float
    epochs: int  # at each α > 0
    first_epochs: int  # at α = 0
    shown: tuple[float, ...]  # the α whose filters are stored, the last one of a-d the path's end
    start: str = "glorot"  # "copied": the decoder's transpose as encoder; "bumps": identity-like
    sigma: float = 0.0  # of bumps, in pixels
    penalty: float = 1.0  # the penalty's coefficient is α times this
    rate: float = 0.05  # section 4
    control: int = 1  # whether there is one

    @property
    def tied(self) -> bool:
        """Section 4: saturated-linear models have tied weights."""
        return self.activation == "saturated-linear"

    @property
    def constraint(self) -> str:
        """Section 4: decoder columns of shrink and ReLU return to the unit sphere."""
        return "free" if self.tied else "unit-columns"

    @property
    def local_start(self) -> bool:
        """Whether the start is identity-like, which presupposes part of what is claimed."""
        return self.start == "bumps"


_MNIST = Panel(
    letters="a",
    role="decides",
    dataset="mnist-binary",
    samples=10_000,
    preparation="binary",
    activation="shrink",
    width=2.0,
    hidden=100,
    batch_size=1,
    divisor=784,
    epochs=5,
    first_epochs=5,
    shown=(1.0,),
    start="copied",
)
_MNIST_LINEAR = _MNIST._replace(
    letters="b",
    activation="saturated-linear",
    width=1.0,
    hidden=300,
    divisor=100,
    epochs=1,
    first_epochs=3,
    start="glorot",
)
_PATCHES = Panel(
    letters="c",
    role="decides",
    dataset="natural-cifar10",
    samples=10_000,
    preparation="white",
    activation="shrink",
    width=0.5,
    hidden=100,
    batch_size=50,
    divisor=1,
    epochs=3,
    first_epochs=3,
    shown=(1.0,),
)
# At this rate on data of deviation 1, with T = 3 instead, every model diverges (a pilot).
_PATCHES_LINEAR = _PATCHES._replace(
    letters="d",
    preparation="raw",
    activation="saturated-linear",
    width=3.0,
    batch_size=1,
    divisor=5,
    epochs=4,
    first_epochs=4,
    shown=(0.1, 0.6, 1.0),
)
_IMAGES = Panel(
    letters="ef",
    role="decides",
    dataset="cifar10-images",
    samples=5_500,
    preparation="raw",
    activation="shrink",
    width=0.5,
    hidden=100,
    batch_size=1,
    divisor=400,
    epochs=1,
    first_epochs=1,
    shown=(0.1, 0.5),
    penalty=5.0,
)
_IMAGES_LINEAR = _IMAGES._replace(
    letters="gh",
    dataset="cifar10-small",
    samples=8_200,
    activation="saturated-linear",
    width=5.0,
    divisor=10,
    shown=(0.1, 0.6),
    penalty=1.0,
)
# The paper's size. Bumps twice as wide sum twice as many pixels, so that T is twice as large.
_WHOLE_LINEAR = _IMAGES_LINEAR._replace(
    role="shown", dataset="cifar10-images", samples=5_500, width=10.0
)


def _starts(panel: Panel, **changes) -> tuple[Panel, Panel]:
    """A panel that decides, and the same from another start, which is shown."""
    return panel, panel._replace(role="shown", **changes)


def _smaller(panel: Panel, **changes) -> Panel:
    """A panel at the `quick` scale: embedded data and few units."""
    return panel._replace(samples=800, hidden=36, **changes)


_REDUCED = (
    *_starts(_MNIST, start="glorot", width=1.0, control=0),
    _MNIST._replace(role="compared", hidden=300, control=0),
    _MNIST._replace(role="compared", activation="relu", width=0.0, control=0),
    *_starts(_MNIST_LINEAR, start="bumps", sigma=0.7),
    *_starts(_PATCHES, dataset="natural"),
    _PATCHES._replace(role="compared", hidden=300, control=0),
    *_starts(_PATCHES_LINEAR, start="bumps", sigma=1.0),
    *_starts(_IMAGES, start="bumps", sigma=2.0),
    *_starts(_IMAGES_LINEAR, start="bumps", sigma=1.0),
    _WHOLE_LINEAR._replace(start="bumps", sigma=2.0),
    _WHOLE_LINEAR,
)
_ALL = {"cifar10-images": 40_000, "cifar10-small": 40_000}  # others have 50,000 or more
# Section 4: 30 epochs at each α, on all images; 300 units in b, g and h. Panels a to d need 16.5
# million updates of a model (c a 50th): by the times of the reduced scale (µs an update and model:
# 100 for 784×100, 280 for 784×300, 10 for 144×100) about 9 hours with their controls and other
# settings, for one seed on two cores. Panels e to h need 13.2 million updates each, at 768 and
# 3,072 inputs (50 and 750 µs for 100 units): about 20 hours more.
_PAPER = tuple(
    p._replace(
        samples=_ALL.get(p.dataset, 50_000),
        hidden=300 if p.tied and p.letters != "d" else p.hidden,
        epochs=30,
        first_epochs=30,
    )
    for p in _REDUCED
)
_QUICK = (
    _smaller(_MNIST, dataset="digits", divisor=64, epochs=1, first_epochs=1),
    _smaller(_MNIST_LINEAR, dataset="digits", divisor=10, first_epochs=1),
    _smaller(_PATCHES, dataset="natural", epochs=10, first_epochs=10)._replace(samples=4_000),
    _smaller(_PATCHES_LINEAR, dataset="natural", epochs=1, first_epochs=1)._replace(samples=4_000),
    _smaller(_IMAGES, dataset="photos", divisor=100),
    *_starts(_smaller(_IMAGES_LINEAR, dataset="photos"), start="bumps", sigma=0.7),
)
PANELS = {"quick": _QUICK, "reduced": _REDUCED, "paper": _PAPER}

_INPUTS = {"cifar10-small": 768, "digits": 64, "mnist-binary": 784, "natural": 144}
_INPUTS |= {"natural-cifar10": 144, "photos": 192}


def panel_study(plan: Plan, panel: Panel) -> Study:
    """The study of one panel with all seeds of a plan, stored for SATAE Figure 4."""
    if plan.learning_rate is not None:
        panel = panel._replace(rate=plan.learning_rate)
    options = panel._asdict()
    dataset, samples = options.pop("dataset"), options.pop("samples")
    options |= {"part": "path", "alphas": ALPHAS, "seeds": tuple(plan.seed_numbers)}
    epochs = panel.first_epochs + panel.epochs * (len(ALPHAS) - 1)
    size = _INPUTS.get(dataset, 3_072) * panel.hidden * (samples or 50_000) * epochs
    work = 10.0 * size * (1 + panel.control) * plan.seeds
    return Study("satae-fig4", dataset, samples, options=tuple(options.items()), work=work)


def panel_studies(plan: Plan, *roles: str) -> list[Study]:
    """The studies of the scale's panels with one of these roles, by default of all of them."""
    return [
        panel_study(plan, panel)
        for panel in PANELS[plan.scale_name]
        if not roles or panel.role in roles
    ]


def panel_of(study: Study) -> Panel:
    """The panel that a study trains."""
    options = dict(study.options)
    fields = {name: options[name] for name in Panel._fields if name in options}
    return Panel(dataset=study.dataset, samples=study.samples, **fields)
