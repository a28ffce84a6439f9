"""Studies: stored, found again and drawn like runs, with filters as pictures."""

import dataclasses
import json
import sys
import types

import numpy as np
import pytest
import stored_runs
import xarray as xr

from aesparse.errors import InputError
from experiments.drawing import filters
from experiments.pipeline import registry
from experiments.pipeline.contents import flagged_epoch
from experiments.pipeline.figure import Figure
from experiments.pipeline.make import make
from experiments.pipeline.plan import Plan
from experiments.pipeline.protocol import SCALES
from experiments.pipeline.spec import Study
from experiments.pipeline.store import RunStore
from experiments.pipeline.verdicts import decided

COMPUTED: list[int] = []


def compute(study, dataset):
    assert dataset is None
    COMPUTED.append(study.seed)
    return xr.Dataset({"value": study.seed ** study.option("power")})


def draw(runs, plan):
    from matplotlib.figure import Figure as Picture

    picture = Picture()
    picture.subplots().plot([float(run["value"]) for run in runs.values()])
    return picture


STUDIES = [Study("counted", seed=s, options=(("power", 2.0),)) for s in (3, 4)]
COUNTED = Figure(
    about="Counted: two studies.",
    claims={"Z1": "z"},
    runs=lambda plan: STUDIES,
    compute=compute,
    draw=draw,
    caption=lambda runs, plan: "Two numbers.",
    verdicts=lambda runs, dataset: [],
    scales=("quick",),
)


@pytest.fixture
def figure(monkeypatch):
    """A figure of two studies without data, that counts how often it computes."""
    module = types.ModuleType("experiments.figures.counted")
    module.FIGURE = COUNTED
    COMPUTED.clear()
    monkeypatch.setattr(registry, "figure_modules", lambda: {"counted": module.__name__})
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return COUNTED


def test_studies_are_computed_once_and_drawn_from_what_is_stored(figure, tmp_path, capsys):
    for _ in range(2):
        make(["counted"], Plan("quick", 2), data_dir=None, out=tmp_path)
    assert COMPUTED == [3, 4]
    told = json.loads((tmp_path / "quick" / "counted.json").read_text(encoding="utf-8"))
    assert len(told["runs"]) == 2
    store = RunStore(tmp_path, "quick")
    assert [float(store.load(s)["value"]) for s in figure.runs(None)] == [9.0, 16.0]
    assert "Two numbers." in capsys.readouterr().out
    make(["counted"], Plan("quick", 2), data_dir=None, out=tmp_path, recompute=True)
    assert COMPUTED == [3, 4, 3, 4]


def test_a_figure_made_for_one_scale_alone_decides_there(figure):
    assert figure.decides("quick")
    assert not figure.decides("reduced")
    both = dataclasses.replace(figure, scales=("quick", "reduced"))
    assert not both.decides("quick")
    assert both.decides("reduced") == SCALES["reduced"].evidence


def parts(**others) -> dict:
    """The required parts of a figure, and others."""
    return {
        "about": "A figure.",
        "claims": {},
        "runs": lambda plan: [],
        "draw": draw,
        "caption": lambda runs, plan: "",
    } | others


def test_a_misspelt_or_missing_part_of_a_figure_is_named():
    assert Figure(**parts()).title == "A figure."
    with pytest.raises(TypeError, match="explian"):
        Figure(**parts(explian=lambda runs, verdict: []))
    without = parts()
    del without["caption"]
    with pytest.raises(TypeError, match="caption"):
        Figure(**without)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("about", None),
        ("about", ""),
        ("runs", []),
        ("draw", None),
        ("claims", ["A1"]),
        ("verdicts", "holds"),
        ("also", None),
        ("scales", "quick"),
        ("scales", ("medium",)),
        ("scales", ()),
        ("group", "dataset"),
        ("group", ("activation",)),
    ],
)
def test_a_part_of_the_wrong_kind_is_refused_by_its_name(part, value):
    with pytest.raises(InputError, match=part):
        Figure(**parts(**{part: value}))


def test_a_module_without_a_figure_is_named(figure, monkeypatch):
    monkeypatch.setitem(sys.modules, "experiments.figures.counted", types.ModuleType("empty"))
    with pytest.raises(InputError, match=r"experiments\.figures\.counted"):
        registry.get_figure("counted")


def test_missing_studies_leave_their_claims_not_run(figure):
    one, two = figure.runs(None)
    found = {one: None, two: None}
    (verdict,) = decided(figure, found)
    assert (verdict.claim, verdict.verdict) == ("Z1", "not run")


def test_a_studys_name_depends_on_what_decides_its_numbers_alone():
    study = Study("counted", options=(("power", 2.0),))
    assert study._replace(work=5.0).key == study.key
    for other in ({"seed": 1}, {"samples": 5}, {"options": (("power", 3.0),)}):
        assert study._replace(**other).key != study.key
    assert study._replace(work=5.0).cost == 5.0


def test_a_montage_shows_zero_grey_and_each_tile_at_its_own_scale():
    rows = np.array([[0.0, 2.0, -2.0, 1.0], [0.0, 0.01, 0.0, 0.0], [0.0] * 4])
    picture = filters.montage(rows, (2, 2, 1), 2)
    assert picture.shape == (5, 5, 3)
    assert picture[:2, :2, 0].tolist() == [[128, 255], [0, 191]]
    assert picture[0, 4, 0] == 255
    assert (picture[3:, :2] == 128).all()
    assert (picture[2] == 255).all()


def test_a_model_that_ends_diverged_or_collapsed_has_the_first_epoch_at_which_it_was():
    spec = Plan("quick", 1).specs("digits", "sae", "relu", "unit")[0]
    spec = spec._replace(strengths=(0.1, 0.2, 0.3, 0.4, 0.5))
    grid = stored_runs.trained(spec, np.full(5, 0.4))
    dead, error = grid.history.dead_fraction.copy(), grid.history.reconstruction.copy()
    dead[1, 2:] = 1.0  # collapsed from epoch 2 to the end
    dead[2, 1:3] = 1.0  # for two epochs only
    error[3, 4:] = np.inf  # the measurement sees it an epoch after the loss
    history = grid.history._replace(dead_fraction=dead, reconstruction=error)
    final = grid.final._replace(dead_fraction=dead[:, -1], reconstruction=error[:, -1])
    diverged = np.array([-1, -1, -1, 3, 5], np.int32)
    grid = grid._replace(history=history, final=final, diverged_epoch=diverged)
    assert flagged_epoch(grid).tolist() == [-1, 2, -1, 3, 5]
