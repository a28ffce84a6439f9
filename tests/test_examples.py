"""The Python of every page is executed, page by page, and gives what the page says."""

import ast
import itertools
import json
import sys
import types

import numpy as np
import pytest
import stored_runs
from markdown import blocks, pages

from experiments.pipeline import make, registry
from experiments.pipeline.plan import Plan

PAGES = {page: code for page, text in pages().items() if (code := blocks("python", text))}


def readme(names):
    fraction = names.result.final.activation_fraction
    assert fraction.shape == (3, 2)
    assert (np.diff(fraction, axis=0) < 0).all()


def a_grid(names):
    fraction, params = names.result.final.activation_fraction, names.result.params
    assert names.result.sizes == {"strength": 3, "learning_rate": 2, "seed": 2}
    assert (np.diff(fraction, axis=0) < 0).all()
    assert names.zipped.sizes == {"strength": 3}
    assert names.zipped.coordinates["learning_rate"].tolist() == [0.003, 0.002, 0.001]
    np.testing.assert_array_equal(names.same.params.weight, params.weight[1, 1, 0])
    rows = names.scaler(names.digits.heldout)
    code = np.maximum(rows @ params.weight[1, 1, 0].T + params.bias[1, 1, 0], 0)
    np.testing.assert_allclose(names.codes, code, rtol=1e-4, atol=1e-4)
    assert abs(names.heldout.activation_fraction[1, 1, 0] - np.mean(code > 0)) < 1e-3
    np.testing.assert_array_equal(names.dataset.activation_fraction, fraction)
    assert sorted(names.accuracy) == [0.0, 0.1, 0.5]
    assert all(0.9 < share <= 1 for share in names.accuracy.values())  # 0.1 by chance
    for earlier, later in itertools.pairwise(names.stages):
        assert later.shape == (2,)
        # Each stage goes on from the one before: its first measurement is that one's last.
        last = earlier.history.reconstruction[:, -1]
        np.testing.assert_allclose(later.history.reconstruction[:, 0], last, rtol=1e-5)
    reconstruction, norms = names.minimum.history.reconstruction, names.minimum.losses
    assert (reconstruction[:, -1] < reconstruction[:, 0]).any()
    assert (norms["gradient_norm"] < 0.1).all()
    assert names.free.codes.shape[0] == 2
    assert names.new.shape == (5, 32)


def estimators(names):
    assert names.search.best_score_ > 0.8  # 0.1 by chance
    assert 0 < names.best.activation_fraction_ < 0.6
    assert abs(np.mean(names.sparse.transform(names.pixels) > 0) - 0.2) < 0.03
    assert names.axes.get_xlabel()
    assert names.stream.n_iter_ == 20
    assert 0 < names.stream.score(names.pixels) < 1


def own_parts(names):
    assert (np.diff(names.composed.losses["beta"][:, -1]) < 0).all()
    size = names.plain.losses["size"][:, -1]
    assert size[1] < size[0]
    np.testing.assert_allclose(names.top_k.final.activation_fraction, 4 / 32, rtol=1e-3)
    assert (np.diff(names.deep.losses["penalty"][:, -1]) < 0).all()
    assert names.positive.params.weight.min() == 0
    lengths = np.linalg.norm(names.on_sphere.params.weight, axis=-1)
    np.testing.assert_allclose(lengths, 1, rtol=1e-5)
    assert names.measured.history["largest"].shape == (2, 2)
    assert (names.measured.final["largest"] > 0).all()
    assert names.searched.violated


def dictionaries(names):
    counts = np.count_nonzero(names.codes, axis=1)
    assert counts.max() == 8
    assert counts.mean() > 7.9  # fewer are positive in some
    assert abs(names.counts.mean() - 8) < 0.8  # on held-out samples
    assert len(np.unique(names.counts)) > 5
    measured = names.batch.measure(names.heldout).activation_fraction
    np.testing.assert_allclose(128 * measured, names.counts.mean(), rtol=1e-5)
    for result in (names.l1, names.jumped):
        assert (np.diff(result.final.activation_fraction, axis=0) < 0).all()
    assert (names.rings.losses["nested"] > names.rings.losses["reconstruction"]).all()
    assert (np.diff(names.helped.final.dead_fraction) < 0).all()
    before, after = names.dying.final, names.revived.final
    assert (after.dead_fraction < before.dead_fraction).all()
    assert (after.reconstruction < before.reconstruction).all()


def devices(names):
    assert names.large.params is None
    assert names.large.shape == (3, 3)


def long_runs(names):
    again = names.train()  # from the last checkpoint, to the same bits
    np.testing.assert_array_equal(again.params.weight, names.result.params.weight)


def published_weights(names):
    x, params = names.digits.heldout, names.params
    a = (x - params.decoder_bias) @ params.weight.T + params.bias
    theta = np.exp(params.log_threshold)
    clear = (np.abs(a - theta) > 1e-4).all(axis=1)
    code = np.where(a > theta, a, 0)
    assert clear.mean() > 0.9
    np.testing.assert_allclose(names.codes[clear], code[clear], rtol=1e-4, atol=1e-4)
    assert abs(names.quality.l0 - 8) < 0.8
    assert 0.5 < names.quality.explained_variance < 1
    assert names.report.moves_bias == ("reconstruction",)
    assert names.fresh.predicted_dead > 0.05
    assert float(names.fresh.quality.dead_fraction) > 0.05
    assert names.fresh.centred_dead < 0.01


SAYS = {
    "README.md": readme,
    "docs/learn/train-a-grid.md": a_grid,
    "docs/learn/scikit-learn.md": estimators,
    "docs/learn/your-own-parts.md": own_parts,
    "docs/learn/dictionaries.md": dictionaries,
    "docs/learn/accelerators-and-clusters.md": devices,
    "docs/learn/long-runs.md": long_runs,
    "docs/learn/published-weights.md": published_weights,
}


@pytest.mark.parametrize(
    "page", [p if p == "README.md" else pytest.param(p, marks=pytest.mark.long) for p in PAGES]
)
def test_the_examples_of_a_page_continue_each_other_and_say_what_is_so(page, monkeypatch, tmp_path):
    module = types.ModuleType("examples")
    monkeypatch.setitem(sys.modules, "examples", module)  # dataclasses look for theirs
    monkeypatch.chdir(tmp_path)
    for example in PAGES[page]:
        exec(compile(example, page, "exec"), module.__dict__)
    if page in SAYS:
        SAYS[page](module)


def test_pages_that_promise_a_result_have_examples():
    assert set(PAGES) >= set(SAYS)


def test_the_examples_of_the_readme_have_ten_statements():
    assert len(ast.parse("\n".join(PAGES["README.md"])).body) <= 10


def test_a_figure_of_ones_own_is_one_file(monkeypatch, tmp_path):
    """The page's module, put among the figures, is listed, drawn and decided."""
    (example,) = PAGES["docs/develop/figures.md"]
    module = types.ModuleType("experiments.figures.my_figure")
    exec(compile(example, "the example", "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(registry, "figure_modules", lambda: {"my-figure": module.__name__})
    plan = Plan.checked("quick", None, None)
    stored_runs.store_all(tmp_path, "quick", module.runs(plan))
    make.make(["my-figure"], plan, data_dir=None, out=tmp_path)
    assert (tmp_path / "quick" / "my-figure.png").stat().st_size > 10_000
    record = json.loads((tmp_path / "quick" / "my-figure.json").read_text(encoding="utf-8"))
    decided = {(v["claim"], v["dataset"]) for v in record["verdicts"]}
    assert decided == {("mine", dataset) for dataset in plan.scale.datasets}
    assert {v["verdict"] for v in record["verdicts"]} == {"demonstration (holds)"}
