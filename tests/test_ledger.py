"""On which runs a claim may be decided, and how that is said, counted and set beside the past."""

import re
import sys
import types
from pathlib import Path

import pytest
import report_pages
import stored_runs
import tiny
from commands import command, has_numbers, numbers, refusal

from experiments.evidence import tables
from experiments.evidence.replaced import first_record, replaced
from experiments.pages import statements
from experiments.pipeline import ledger, registry
from experiments.pipeline.figure import Figure, Verdict
from experiments.pipeline.plan import Plan, needed
from experiments.pipeline.registry import figure_names, get_figure
from experiments.pipeline.store import RunStore

PROTOCOL = Path(__file__).parents[1] / "docs" / "protocol.md"
# Unchanged, so after its first runs, revised, new, superseded, by construction.
CLAIMS = ("A3", "A8", "A4", "A14", "S4", "S1")
pytestmark = pytest.mark.usefixtures("tiny_scales")


def runs(plan):
    return needed(plan, ("dae", "sae"), "relu", "unit")


def verdicts(runs, dataset):
    """Every claim holds, by the seeds of its runs."""
    seeds = ", ".join(map(str, sorted({spec.seed for spec in runs})))
    return [Verdict(claim, dataset, "so it is", "holds", f"seeds {seeds}") for claim in CLAIMS]


def draw(runs, plan):
    from matplotlib.figure import Figure as Picture

    return Picture()


PLANTED = Figure(
    about="Planted.",
    claims=dict.fromkeys(CLAIMS, "so it is"),
    runs=runs,
    draw=draw,
    caption=lambda runs, plan: f"{len(runs)} runs.",
    verdicts=verdicts,
    explain=lambda runs, verdict: [f"Of seeds {sorted({spec.seed for spec in runs})}."],
)


@pytest.fixture
def plant(monkeypatch):
    """Makes a figure the only one; returns it."""

    def planted(figure: Figure) -> Figure:
        module = types.ModuleType("experiments.figures.planted")
        module.FIGURE = figure
        monkeypatch.setattr(registry, "figure_modules", lambda: {"planted": module.__name__})
        monkeypatch.setitem(sys.modules, module.__name__, module)
        return figure

    planted(PLANTED)
    return planted


@pytest.fixture
def seen(monkeypatch):
    """Declares which runs were seen before."""

    def declare(specs, scale="reduced"):
        keys = frozenset(f"{scale}/{spec.key}" for spec in specs)
        monkeypatch.setattr(ledger, "seen_before", lambda: keys)

    declare(runs(tiny.plan()))
    return declare


UNSEEN = Plan("reduced", 3, first_seed=3)


def decisions(out, dataset="digits") -> dict[str, Verdict]:
    """The verdict on each claim at the scale reduced."""
    rows = tables.collect_verdicts(out)
    return {v.claim: v for scale, _, v in rows if (scale, v.dataset) == ("reduced", dataset)}


def test_unseen_seeds_decide_once_all_of_a_data_set_are_stored(plant, seen, tmp_path):
    store = stored_runs.store_all(tmp_path, "reduced", runs(tiny.plan()))
    *most, last = [spec for spec in runs(UNSEEN) if spec.dataset == "digits"]
    for spec in most:
        store.save(spec, stored_runs.fake(spec))
    before = decisions(tmp_path)
    assert numbers(before["A4"].numbers) == [0, 1, 2]
    assert before["A4"].rests_on == "seen before"
    assert (before["A14"].verdict, before["A14"].rests_on) == ("not run", "")
    assert numbers(before["A14"].numbers) == [8, 9]  # AE, DAE and SAE, three seeds
    store.save(last, stored_runs.fake(last))
    after = decisions(tmp_path)
    for claim in ("A4", "A14"):
        assert after[claim].verdict == "holds"
        assert numbers(after[claim].numbers) == [3, 4, 5]
        assert after[claim].rests_on == "unseen seeds"
    for found in (before, after):
        assert numbers(found["A3"].numbers) == [0, 1, 2]
        assert found["A3"].rests_on == ledger.FIXED
        assert found["A8"].rests_on == "seen before"
        assert (found["S4"].verdict, found["S4"].rests_on) == ("superseded", "")
        assert "holds" in found["S4"].numbers
        assert (found["S1"].verdict, found["S1"].rests_on) == ("by construction", "")
    photos = decisions(tmp_path, "photos")
    assert photos["A4"].rests_on == "seen before"
    assert photos["A14"].verdict == "not run"


def test_what_a_verdict_rests_on_names_what_is_new_in_its_runs(seen):
    usual, unseen = runs(tiny.plan()), runs(UNSEEN)
    assert ledger.rests_on("reduced", usual) == "seen before"
    assert ledger.rests_on("paper", usual) == "unseen settings"
    assert ledger.rests_on("reduced", [*usual, *unseen]) == "partly seen before"
    assert ledger.rests_on("reduced", unseen) == "unseen seeds"
    seen([spec for spec in usual if spec.objective != "sae"])
    assert ledger.rests_on("reduced", unseen) == "unseen seeds and settings"
    seen([spec for spec in usual if spec.objective == "ae"])  # shared by all objectives
    assert ledger.rests_on("reduced", usual) == "unseen settings"
    assert ledger.is_unseen("reduced", usual)


def test_usual_seeds_decide_a_new_claim_where_none_of_their_runs_was_seen(plant, seen, tmp_path):
    seen([spec for spec in runs(tiny.plan()) if spec.objective == "ae"])
    stored_runs.store_all(tmp_path, "reduced", runs(tiny.plan()))
    found = decisions(tmp_path)
    assert found["A14"].verdict == "holds"
    assert numbers(found["A14"].numbers) == numbers(found["A4"].numbers) == [0, 1, 2]


def test_a_construction_that_breaks_shows_and_numbers_without_threshold_need_no_unseen_runs(
    plant, seen, tmp_path
):
    def broken(runs, dataset):
        return [
            Verdict("S1", dataset, "so it is", "fails", "0.1"),
            Verdict("A14", dataset, "forced", "by construction", "0"),
            Verdict("A14", dataset, "how far", "measured", "5"),
            Verdict("A14", dataset, "so it is", "fails", "3"),
        ]

    plant(Figure(**vars(PLANTED) | {"verdicts": broken}))
    stored_runs.store_all(tmp_path, "reduced", runs(tiny.plan()))
    found = [
        (v.claim, v.verdict)
        for scale, _, v in tables.collect_verdicts(tmp_path)
        if (scale, v.dataset) == ("reduced", "digits")
    ]
    assert sorted(found) == [
        ("A14", "by construction"), ("A14", "measured"), ("A14", "not run"), ("S1", "fails"),
    ]  # fmt: skip


def test_a_figure_that_decides_partly_moves_statement_by_statement(plant, seen, tmp_path):
    def by_objective(runs, dataset):
        """One statement per objective: not run unless its runs are stored, A18's a number."""
        of = {s.objective: [r for x, r in runs.items() if x.objective == s.objective] for s in runs}
        for objective in ("dae", "sae"):
            stored = all(run is not None for run in of[objective])
            seeds = ", ".join(map(str, sorted({spec.seed for spec in runs})))
            for claim, verdict in (("A14", "holds"), ("A18", "measured"), ("A4", "holds")):
                yield Verdict(claim, dataset, objective, verdict if stored else "not run", seeds)

    plant(Figure(**vars(PLANTED) | {"verdicts": by_objective, "partly": True}))
    unseen = [spec for spec in runs(UNSEEN) if spec.objective != "sae"]
    stored_runs.store_all(tmp_path, "reduced", [*runs(tiny.plan()), *unseen])
    found = {
        (v.claim, v.statement): (v.verdict, v.rests_on, numbers(v.numbers))
        for scale, _, v in tables.collect_verdicts(tmp_path)
        if (scale, v.dataset) == ("reduced", "digits")
    }
    new, old = ("unseen seeds", [3, 4, 5]), ("seen before", [0, 1, 2])
    assert found == {
        ("A4", "dae"): ("holds", *new),
        ("A4", "sae"): ("holds", *old),
        ("A14", "dae"): ("holds", *new),
        ("A14", "sae"): ("not run", "", [3, 4, 5]),
        ("A18", "dae"): ("measured", *new),
        ("A18", "sae"): ("measured", *old),
    }


def test_an_explanation_speaks_of_the_runs_that_decide(plant, seen, tmp_path):
    def failing(runs, dataset):
        return [v._replace(verdict="fails") for v in verdicts(runs, dataset)]

    plant(Figure(**vars(PLANTED) | {"verdicts": failing}))
    stored_runs.store_all(tmp_path, "reduced", [*runs(tiny.plan()), *runs(UNSEEN)])
    found = decisions(tmp_path)
    assert numbers(found["A4"].why[0]) == [3, 4, 5]
    assert numbers(found["A3"].why[0]) == [0, 1, 2, 3, 4, 5]  # all that are stored
    stored_runs.store_all(tmp_path, "paper", runs(tiny.plan("paper")))
    seen([*runs(tiny.plan()), *runs(tiny.plan("paper"))])
    elsewhere = decisions(tmp_path)
    assert any("paper" in why and "settings" in why for why in elsewhere["A4"].why)


def row(claim, verdict, rests_on=""):
    return "reduced", "planted", Verdict(claim, "mnist", "so", verdict, "1", rests_on=rests_on)


ROWS = [
    row("A1", "holds", "unseen seeds"),
    row("A1", "holds", "unseen settings"),
    row("A2", "holds", "unseen settings"),
    row("A2", "fails", "seen before"),
    row("A3", "inconclusive", ledger.FIXED),
    row("A4", "holds", "partly seen before"),
    *[row("S1", "by construction")] * 5,
    row("A18", "measured", "unseen settings"),
    row("G3", "superseded"),
    *[row("A14", "not run")] * 2,
]


def test_the_digest_counts_what_is_decided_by_what_it_rests_on_and_nothing_else():
    (head, *table), others = tables.digest(ROWS)
    assert head[1:] == ("holds", "fails", "inconclusive")
    counts = [[int(cell.split(":")[0]) for cell in line[1:]] for line in table]
    assert counts == [[3, 0, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0]]
    assert numbers(table[0][1].replace("A", " ")) == [3, 1, 2, 2]  # all; A1 and its 2; A2
    assert [int(line.split(": ")[1]) for line in others] == [5, 1, 1, 2]
    assert "S1" not in str(table)


def test_the_page_lists_every_kind_of_verdict_apart(plant):
    plant(Figure(**vars(PLANTED) | {"claims": {v.claim: "so" for *_, v in ROWS}}))
    page = statements.page(ROWS).split("\n## Sizes")[0]
    parts = dict(re.findall(r"## ([\w ]+)\n\n([^#]+)", page))
    counts = {kind: len(table.strip().splitlines()) - 2 for kind, table in parts.items()}
    assert list(counts.values()) == [6, 1, 5, 1, 1]  # as in ROWS; two lines are the head
    assert "| A14 | reduced | MNIST | 2 |" in parts["Not run"]
    assert "unseen settings" in parts["Decided"]
    assert "| S1 |" in parts["By construction"]


def test_every_claim_is_in_the_ledger_with_the_status_that_the_protocol_gives_it():
    stands = ledger.standing()
    claims = {claim for name in figure_names() for claim in get_figure(name).claims}
    assert {claim for claim in claims if claim[0].isupper()} <= stands.keys()
    lines = re.findall(r"(?m)^\| ([ASGL]\d+)[^|]*\|.*\| ([^|]+) \|$", PROTOCOL.read_text("utf-8"))
    changes: dict[str, str] = {}
    for claim, change in lines:
        changes.setdefault(claim, change)
    assert len(changes) > 40
    changes["S8"] = "as before"  # what is saturated from the start is inconclusive now
    changes["A17"] = "new"  # replaces one statement of A2
    for claim, change in changes.items():
        revised = change.startswith(("replaces", "as before"))
        expected = ("revised", "superseded") if revised else (change.split(",")[0].split(";")[0],)
        status = stands[claim].status
        assert status in expected or (status, *expected) == ("by construction", "unchanged"), claim
        assert bool(stands[claim].since) == (status in ("revised", "superseded", "new"))
    assert stands["A15"].status == "new"  # in A1's line


def test_the_runs_seen_before_are_those_of_the_first_record():
    keys = ledger.seen_before()
    assert len(keys) == 430
    assert all(re.fullmatch(r"(quick|reduced|paper)/[\w-]+-s\d-[0-9a-f]{10}", key) for key in keys)
    assert not any(re.search(r"^reduced/.*-s[3-9]-", key) for key in keys)


def test_every_replaced_criterion_is_shown_with_its_first_verdicts_and_why():
    found = {one.claim: one for one in replaced(ROWS)}
    stands = ledger.standing()
    changed = {c for c, s in stands.items() if s.status in ("revised", "superseded")}
    assert found.keys() == changed
    assert {"A1", "A1, rescaled", "S3", "S4", "S5", "S8", "G3", "G4", "L3", "L5"} <= changed
    first = first_record()
    for claim, one in found.items():
        shown = [told for *_, before, _ in one.rows for told in before]
        of_claim = [v for _, _, v in first if v.claim == claim]
        assert len(shown) == len(of_claim) > 0
        assert all(any(v.numbers in told for told in shown) for v in of_claim)
        assert one.since == "2026-11-29"
        assert one.change
    assert "momentum" in found["A1, rescaled"].change
    assert "noise" in found["L3"].change


def test_todays_verdict_stands_beside_the_first_one_of_the_same_place():
    today = [
        ("reduced", "arpit-fig1", Verdict("A1", "mnist", "one", "holds", "0.1")),
        ("reduced", "arpit-rescale", Verdict("A1", "mnist", "two", "fails", "0.2")),
        ("reduced", "gsae-fig1", Verdict("G3", "mnist", "three", "superseded", "0.3")),
    ]
    found = {one.claim: one for one in replaced(today)}
    now = {c: [t for *_, after in found[c].rows for t in after] for c in ("A1", "A1, rescaled")}
    assert [numbers(told)[-1] for told in now["A1"]] == [0.1]
    assert [numbers(told)[-1] for told in now["A1, rescaled"]] == [0.2]
    ((scale, dataset, before, after),) = found["G3"].rows
    assert (scale, dataset, len(before)) == ("reduced", "mnist", 1)
    assert "superseded" in after[0]


def test_seeds_from_another_one_on_are_trained_and_named_so():
    plan = Plan.checked("reduced", 2, None, 3)
    assert [spec.seed for spec in plan.specs("digits", "dae", "relu", "unit")] == [3, 4]
    assert UNSEEN.suffix == "-first-seed-3"
    assert UNSEEN.command("x").endswith(" --first-seed 3")
    assert plan.command("x").endswith(" --seeds 2 --first-seed 3")
    assert get_figure("lecture-overfit").effective(UNSEEN) == tiny.plan()
    studies = get_figure("gsae-fig1").runs(UNSEEN)
    assert {study.seed for study in studies} == {3, 4, 5}


def test_a_first_seed_that_is_no_seed_or_changes_nothing_is_refused(monkeypatch, capsys, tmp_path):
    arguments = ("--scale", "reduced", "--out", tmp_path, "--first-seed")
    assert has_numbers(refusal(monkeypatch, capsys, "arpit-fig3", *arguments, "-1"), -1)
    assert "--first-seed 3" in refusal(monkeypatch, capsys, "lecture-overfit", *arguments, "3")


def test_stored_runs_are_drawn_without_training(plant, monkeypatch, capsys, tmp_path):
    specs = runs(UNSEEN)
    store = stored_runs.store_all(tmp_path, "reduced", specs[:-1])
    arguments = ("planted", "--scale", "reduced", "--first-seed", "3", "--out", tmp_path)
    sentence = refusal(monkeypatch, capsys, *arguments, "--stored")
    assert specs[-1].key in sentence
    assert has_numbers(sentence, 1, 18)
    assert "--recompute" in refusal(monkeypatch, capsys, *arguments, "--stored", "--recompute")
    plant(Figure(**vars(PLANTED) | {"partial": True}))
    code, printed, _ = command(monkeypatch, capsys, *arguments, "--stored")
    assert code == 0
    assert "17 runs." in printed
    drawn = tmp_path / "reduced" / "planted-first-seed-3.json"
    assert "--first-seed 3 --stored" in drawn.read_text(encoding="utf-8")
    assert store.lacks(specs[-1])
    assert command(monkeypatch, capsys, "report", "--out", tmp_path)[0] == 0
    assert "17 runs." in report_pages.text(tmp_path)
    _, printed, _ = command(monkeypatch, capsys, "status", "--out", tmp_path)
    (line,) = (line for line in printed.splitlines() if line.startswith("planted"))
    assert "17/18 begun with --first-seed 3" in line


def test_nothing_stored_is_nothing_to_draw(plant, monkeypatch, capsys, tmp_path):
    plant(Figure(**vars(PLANTED) | {"partial": True}))
    arguments = ("planted", "--scale", "reduced", "--out", tmp_path, "--stored")
    assert has_numbers(refusal(monkeypatch, capsys, *arguments), 18, 18)
    assert not RunStore(tmp_path, "reduced").path(runs(tiny.plan())[0]).exists()
