"""Studies: stored, found again and drawn like runs, with filters as pictures."""

import json
import sys
import types

import numpy as np
import pytest
import xarray as xr

from experiments.drawing import filters
from experiments.pipeline import registry
from experiments.pipeline.make import decided, make
from experiments.pipeline.protocol import SCALES, Plan, cost
from experiments.pipeline.registry import decides
from experiments.pipeline.spec import Study
from experiments.pipeline.store import RunStore


@pytest.fixture
def figure(monkeypatch):
    """A figure of two studies, one without data, that counts how often it computes."""
    module = types.ModuleType("experiments.figures.counted", "Counted: two studies.")
    studies = [Study("counted", seed=s, options=(("power", 2.0),)) for s in (3, 4)]

    def compute(study, dataset):
        assert dataset is None
        module.computed.append(study.seed)
        return xr.Dataset({"value": study.seed ** study.option("power")})

    def draw(found, plan):
        from matplotlib.figure import Figure

        picture = Figure()
        picture.subplots().plot([float(run["value"]) for run in found.values()])
        return picture

    module.computed, module.CLAIMS, module.SCALES = [], {"Z1": "z"}, ("quick",)
    module.runs = lambda plan: studies
    module.compute, module.draw = compute, draw
    module.caption = lambda found, plan: "Two numbers."
    module.verdicts = lambda found, dataset: []
    monkeypatch.setattr(registry, "figure_modules", lambda: {"counted": module.__name__})
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def test_studies_are_computed_once_and_drawn_from_what_is_stored(figure, tmp_path, capsys):
    for _ in range(2):
        make(["counted"], Plan("quick", 2), data_dir=None, out=tmp_path)
    assert figure.computed == [3, 4]
    told = json.loads((tmp_path / "quick" / "counted.json").read_text())
    assert len(told["runs"]) == 2
    store = RunStore(tmp_path, "quick")
    assert [float(store.load(s)["value"]) for s in figure.runs(None)] == [9.0, 16.0]
    assert "Two numbers." in capsys.readouterr().out
    make(["counted"], Plan("quick", 2), data_dir=None, out=tmp_path, recompute=True)
    assert figure.computed == [3, 4, 3, 4]


def test_a_figure_made_for_one_scale_alone_decides_there(figure):
    assert decides(figure, "quick")
    assert not decides(figure, "reduced")
    figure.SCALES = ("quick", "reduced")
    assert not decides(figure, "quick")
    assert decides(figure, "reduced") == SCALES["reduced"].evidence


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
    assert cost(study._replace(work=5.0)) == 5.0


def test_a_montage_shows_zero_grey_and_each_tile_at_its_own_scale():
    rows = np.array([[0.0, 2.0, -2.0, 1.0], [0.0, 0.01, 0.0, 0.0], [0.0] * 4])
    picture = filters.montage(rows, (2, 2, 1), 2)
    assert picture.shape == (5, 5, 3)
    assert picture[:2, :2, 0].tolist() == [[128, 255], [0, 191]]
    assert picture[0, 4, 0] == 255
    assert (picture[3:, :2] == 128).all()
    assert (picture[2] == 255).all()
