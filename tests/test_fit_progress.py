"""The bar of `fit`: what it counts and shows, and that it changes no number."""

import sys
from typing import ClassVar

import numpy as np
import pytest
import tqdm.auto
from small_fit import data, fit, same_bits
from test_resuming import interrupt, often

import aesparse as ae


class Recorded(tqdm.std.tqdm):
    """A bar that remembers its states; it stands for whichever class tqdm chooses."""

    bars: ClassVar[list] = []

    def __init__(self, *arguments, **options):
        self.states, self.words = [], []
        super().__init__(*arguments, **options)
        Recorded.bars.append(self)

    def set_description_str(self, desc=None, refresh=True):
        self.words.append(desc)
        super().set_description_str(desc, refresh)

    def update(self, n=1):
        super().update(n)
        self.states.append((self.n, self.total, self.postfix))


@pytest.fixture
def bars(monkeypatch):
    """All bars that are made, in order."""
    Recorded.bars = []
    monkeypatch.setattr(tqdm.auto, "tqdm", Recorded)
    return Recorded.bars


@pytest.mark.parametrize("parts", [None, 2])
def test_every_epoch_of_every_part_is_counted_and_no_number_changes(bars, parts):
    options = {"models_per_program": parts, "epochs": 3}
    shown, hidden = fit(progress=True, **options), fit(**options)
    for name in ("params", "losses", "history", "final", "diverged_epoch"):
        same_bits(getattr(shown, name), getattr(hidden, name))
    (bar,) = bars
    total = 3 if parts is None else 6
    assert [state[:2] for state in bar.states] == [(n + 1, total) for n in range(total)]
    assert (bar.n, bar.disable) == (total, True)  # closed
    low, high = (f"{value:.3g}" for value in np.sort(shown.losses["loss"][:, -1])[[0, -1]])
    if parts is None:
        assert low in bar.states[-1][2]
        assert high in bar.states[-1][2]


def test_compiling_and_checking_are_named(bars):
    fit(progress=True, check_compiled=True)
    fit(progress=True)
    checked, unchecked = (" ".join(bar.words) for bar in bars)
    assert "compiling" in checked
    assert "compiling" in unchecked
    assert "checking" in checked
    assert "checking" not in unchecked


def test_it_begins_where_a_checkpoint_ended(bars, tmp_path):
    interrupt(often(tmp_path / "c"), 2)
    sweep = {"strength": [0.0, 0.3, 1.0], "learning_rate": 0.02}
    fit(sweep=sweep, epochs=4, checkpoints=often(tmp_path / "c"), progress=True)
    (bar,) = bars
    assert bar.initial == 2  # which tqdm leaves out of its rate
    assert [state[0] for state in bar.states] == [3, 4]


def test_models_that_diverge_are_named_and_healthy_ones_shown(bars):
    fit(progress=True, sweep={"strength": 0.1, "learning_rate": [0.02, 1e30]})
    fit(progress=True, sweep={"strength": 0.1, "learning_rate": [1e30, 1e30]})
    some, none = (bar.states[-1][2] for bar in bars)
    assert "diverged" not in some
    assert "diverged" in none


def test_lbfgs_counts_iterations_of_those_it_may_take(bars):
    result = ae.fit(
        data(samples=60),
        ae.OneLayer(3, "identity", tied=False),
        "weight-decay",
        sweep={"strength": [0.1, 1.0]},
        optimizer=ae.lbfgs(20_000, 1e-3),
        check_compiled=False,
        progress=True,
    )
    (bar,) = bars
    assert bar.unit.strip() == "iterations"
    assert bar.states[0][1] == 20_000
    assert bar.n == bar.total < 20_000  # less were needed
    assert bar.n >= result.losses["iterations"].max()


def test_without_it_nothing_is_written(bars, capsys):
    fit()
    assert bars == []
    assert capsys.readouterr().err == ""


def test_an_error_closes_the_bar(bars):
    def stop(epoch, measured):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(progress=True, on_epoch=stop)
    assert bars[0].disable


def test_in_a_log_the_bar_is_seldom_drawn(capsys):
    assert not sys.stderr.isatty()
    fit(progress=True, epochs=30)
    drawn = capsys.readouterr().err.split("\r")
    assert len([line for line in drawn if line.strip()]) <= 2  # the empty one, the full one
