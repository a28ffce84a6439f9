"""Damaged, foreign and misplaced files: each is named, and what is sound goes on."""

import dataclasses
import errno
import json
import os
import re
import shutil
import threading
import tracemalloc
import zipfile

import jax
import numpy as np
import pytest
import report_pages
import stored_runs
import tiny
from commands import command, has_numbers, refusal

from aesparse.errors import InputError
from aesparse.files import UNFINISHED, replacing
from aesparse.seal import file_checksum, sealed, write_drawn
from aesparse.training.checkpoints import Checkpoints
from experiments.evidence import tables
from experiments.pipeline.archive import merge
from experiments.pipeline.locks import holder, locked
from experiments.pipeline.make import make
from experiments.pipeline.provenance import provenance
from experiments.pipeline.record import figure_record, read_record, record_path
from experiments.pipeline.registry import get_figure
from experiments.pipeline.seal import changed_page, require_page, sealed_page, write_page
from experiments.pipeline.store import RunStore

fcntl = pytest.importorskip("fcntl")
pytestmark = [pytest.mark.long, pytest.mark.usefixtures("tiny_scales")]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A folder with Figures 3's and 4's runs, Figure 4 drawn; tests copy it."""
    out = tmp_path_factory.mktemp("drawn")
    with pytest.MonkeyPatch.context() as monkeypatch:
        tiny.use(monkeypatch)
        specs = [s for n in ("arpit-fig3", "arpit-fig4") for s in get_figure(n).runs(tiny.plan())]
        stored_runs.store_all(out, "reduced", specs)
        figure, runs = tiny.runs_of(out, "arpit-fig4")
        record = figure_record(figure, "arpit-fig4", tiny.plan(), runs)
        path = record_path(out, "arpit-fig4", tiny.plan())
        path.parent.mkdir()
        write_drawn(path, figure.draw(runs, tiny.plan()), record)
    return out


@pytest.fixture
def out(drawn, tmp_path):
    shutil.copytree(drawn, tmp_path / "figures")
    return tmp_path / "figures"


def flipped(data, place=None):
    data = bytearray(data)
    data[len(data) // 2 if place is None else place] ^= 1
    return bytes(data)


FOREIGN = [b"", b"[]", b"3", b"null", b'"text"', b"{}", b"{", b"\xff\xfe", b"[" * 10**6]


@pytest.mark.parametrize("content", FOREIGN)
def test_a_file_that_is_no_record_is_named_and_the_report_goes_on(
    out, monkeypatch, capsys, content
):
    path = record_path(out, "arpit-fig4", tiny.plan())
    path.write_bytes(content)
    with pytest.raises(InputError, match=re.escape(str(path))):
        read_record(path, "arpit-fig4", tiny.plan())
    assert str(path) in status(monkeypatch, capsys, out)
    assert str(path) in refusal(monkeypatch, capsys, "report", "--out", out)
    pages = report_pages.text(out)
    assert 'class="verdict holds"' in pages
    assert "<figure id=" not in pages


def status(monkeypatch, capsys, out, *, code=2):
    """All that `status` prints; its exit status says whether something is damaged."""
    ended, printed, error = command(monkeypatch, capsys, "status", "--out", out)
    assert ended == code
    return printed + error


def edited(record):
    """A record's content changed in every place that one can be."""
    yield record | {"caption": record["caption"] + " "}
    yield record | {"verdicts": record["verdicts"][1:]}
    yield record | {"evidence": not record["evidence"]}
    yield {k: v for k, v in record.items() if k != "sha256"}
    key, parents = next(iter(record["runs"].items()))
    yield record | {"runs": record["runs"] | {key: parents | {"wall_seconds": 2.0}}}
    yield record | {"pictures": record["pictures"] | {"svg": record["pictures"]["png"]}}


def test_an_edited_record_is_damaged(out):
    path = record_path(out, "arpit-fig4", tiny.plan())
    record = json.loads(path.read_text(encoding="utf-8"))
    for other in edited(record):
        path.write_text(json.dumps(other), encoding="utf-8")
        with pytest.raises(InputError, match=re.escape(str(path))):
            read_record(path, "arpit-fig4", tiny.plan())
    path.write_text(json.dumps(record), encoding="utf-8")  # laid out otherwise: the same numbers
    read = read_record(path, "arpit-fig4", tiny.plan())
    assert read == {k: v for k, v in record.items() if k not in ("sha256", "pictures")}


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"pictures": {}},
        {"pictures": []},
        {"runs": []},
        {"runs": {"a-run": {}}},
        {"runs": {"a-run": 3}},
        {"title": 3},
        {"command": "python -m experiments arpit-fig4 --scale paper"},
        {"figure": "arpit-fig3"},
    ],
)
def test_a_sealed_record_of_something_else_is_refused(out, content):
    path = record_path(out, "arpit-fig4", tiny.plan())
    record = json.loads(path.read_text(encoding="utf-8"))
    del record["sha256"]
    path.write_text(sealed(record), encoding="utf-8")
    read_record(path, "arpit-fig4", tiny.plan())
    path.write_text(sealed(record | content if content else {}), encoding="utf-8")
    with pytest.raises(InputError, match=re.escape(str(path))):
        read_record(path, "arpit-fig4", tiny.plan())


def test_a_record_under_another_name_or_scale_is_refused(out, monkeypatch, capsys):
    (out / "reduced").rename(out / "paper")
    moved = out / "paper" / "arpit-fig4.json"
    with pytest.raises(InputError, match=re.escape(str(moved))):
        read_record(moved, "arpit-fig4", tiny.plan("paper"))
    assert str(moved) in refusal(monkeypatch, capsys, "report", "--out", out)
    assert "<figure id=" not in report_pages.text(out)


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_a_damaged_or_missing_picture_is_named(out, monkeypatch, capsys, kind):
    picture = out / "reduced" / f"arpit-fig4.{kind}"
    data = picture.read_bytes()
    for content in (flipped(data), flipped(data, 0), data[:-1], data + b"\n", b"", None):
        picture.unlink()
        if content is not None:
            picture.write_bytes(content)
            with pytest.raises(InputError, match=re.escape(str(picture))):
                read_record(out / "reduced" / "arpit-fig4.json", "arpit-fig4", tiny.plan())
            picture.touch()


def test_a_missing_picture_is_drawn_again_by_its_command(out, monkeypatch, capsys):
    picture = out / "reduced" / "arpit-fig4.svg"
    picture.unlink()
    printed = status(monkeypatch, capsys, out)
    assert str(picture) in printed
    assert "30/30 to draw" in printed
    assert str(picture) in refusal(monkeypatch, capsys, "report", "--out", out)
    assert command(monkeypatch, capsys, "arpit-fig4", "--scale", "reduced", "--out", out)[0] == 0
    printed = status(monkeypatch, capsys, out, code=0)
    assert "30/30 done" in printed
    assert str(picture) not in printed


def test_a_damaged_run_leaves_the_claims_of_the_others(out, monkeypatch, capsys, unchanged):
    before = tables.collect_verdicts(out)
    shared = get_figure("arpit-fig3").runs(tiny.plan())
    specs = (s for s in get_figure("arpit-fig4").runs(tiny.plan()) if s not in shared)
    run = RunStore(out, "reduced").path(next(s for s in specs if s.dataset == "digits"))
    run.write_bytes(flipped(run.read_bytes()))
    with unchanged(out):
        sentence = refusal(monkeypatch, capsys, "verdicts", "--out", out)
    assert sentence.count(str(run)) == 1
    _, printed, _ = command(monkeypatch, capsys, "verdicts", "--out", out)
    for row in before:
        if "arpit-fig3" in row or row[2].dataset == "photos":  # which do not need the run
            assert tables.lines([row])[0] in printed
        if row[:2] == ("reduced", "arpit-fig4") and row[2].dataset == "digits":
            assert tables.lines([row])[0] not in printed
    assert re.search("not run: 14 of 15", printed)
    assert str(run) in refusal(monkeypatch, capsys, "report", "--out", out)
    assert changed_page(out / "index.html") is None
    with unchanged(out):
        make = ("arpit-fig4", "--scale", "reduced", "--out", out)
        assert str(run) in refusal(monkeypatch, capsys, *make)


def test_runs_of_other_data_leave_the_claims_of_the_others(out, monkeypatch, capsys):
    store = RunStore(out, "reduced")
    shared = get_figure("arpit-fig3").runs(tiny.plan())
    specs = (s for s in get_figure("arpit-fig4").runs(tiny.plan()) if s not in shared)
    spec = next(s for s in specs if s.dataset == "digits")
    before = tables.collect_verdicts(out)
    run = store.load(spec)
    parents = json.loads(run.attrs["provenance"]) | {"data_sha256": "of other data"}
    store.save(spec, run.assign_attrs(provenance=json.dumps(parents)))
    code, printed, error = command(monkeypatch, capsys, "verdicts", "--out", out)
    *named, last = error.splitlines()
    assert (code, last.startswith("Error: ")) == (2, True)
    assert len(named) > 1
    assert all(spec.key in line for line in named)  # one a line
    for row in before:
        if "arpit-fig3" in row:
            assert tables.lines([row])[0] in printed
        if row[:2] == ("reduced", "arpit-fig4"):
            assert tables.lines([row])[0] not in printed


def test_swapped_runs_are_named(out, monkeypatch, capsys):
    store = RunStore(out, "reduced")
    one, two = (store.path(s) for s in get_figure("arpit-fig4").runs(tiny.plan())[1:3])
    contents = one.read_bytes(), two.read_bytes()
    two.write_bytes(contents[0])
    one.write_bytes(contents[1])
    printed = status(monkeypatch, capsys, out)
    assert str(one) in printed
    assert str(two) in printed
    assert "28/30" in printed


def test_runs_in_the_folder_of_another_scale_are_named(tmp_path, monkeypatch, capsys):
    out = tmp_path / "figures"
    stored_runs.store_all(out, "quick", get_figure("arpit-fig3").runs(tiny.plan("quick")))
    (out / "runs" / "quick").rename(out / "runs" / "paper")
    printed = status(monkeypatch, capsys, out)
    (line,) = (x for x in printed.splitlines() if str(out / "runs" / "paper") in x)
    assert "quick" in line
    assert has_numbers(line, 8)
    (out / "runs" / "paper").rename(out / "runs" / "demo")
    printed = status(monkeypatch, capsys, out)
    assert str(out / "runs" / "demo") in printed


def test_files_no_figure_asks_for_and_checkpoints_are_checked_too(out, monkeypatch, capsys):
    store = RunStore(out, "reduced")
    few = get_figure("arpit-fig3").runs(tiny.plan(seeds=4))[-1]
    store.save(few, stored_runs.fake(few))
    renamed = store.folder / f"of-another-name{store.path(few).name}"
    shutil.copy(store.path(few), renamed)
    saved = Checkpoints(store.checkpoints(few), "this")
    saved.save(1, np.zeros(3))
    saved.save(2, np.zeros(3))
    damaged = [
        store.path(few), saved.folder / "2.npz", out / "theorems.json",
        out / "reduced" / "arpit-fig3-seeds-4.json", out / "index.html",
        out / "report" / "a-page.html",
    ]  # fmt: skip
    (out / "report").mkdir()
    for path in damaged:
        path.write_bytes(flipped(path.read_bytes()) if path.exists() else b"[]")
    os.mkfifo(store.folder / "pipe.nc.gz")
    printed = status(monkeypatch, capsys, out)
    for path in (*damaged, renamed, store.folder / "pipe.nc.gz"):
        assert str(path) in printed
    assert re.search(rf"{few.key} .*\b1\b", printed)  # the sound checkpoint before


def test_a_log_of_garbage_does_no_harm(out, monkeypatch, capsys):
    store = RunStore(out, "reduced")
    with store.writing():
        lines = (b"\xff\n", b"[]\n", b"3\n", b"{}\n", b'{"run": "a\\nb"}\n', b"[" * 1500 + b"\n")
        for content in (b"".join(lines), b"\0" * 4096):
            store.log.write_bytes(content)
            code, printed, _ = command(monkeypatch, capsys, "status", "--out", out)
            assert code == 0
            assert str(os.getpid()) in printed


def test_a_page_says_whether_it_is_as_generated(tmp_path):
    page, text = tmp_path / "page.md", "# A page\n\n| σ | 1 |\n"
    assert changed_page(page) is None
    write_page(page, text)
    sound = page.read_bytes()
    assert sound.decode().startswith(text)
    assert changed_page(page) is None
    page.write_bytes(sound.replace(b"\n", b"\r\n"))  # as a checkout may have it
    assert changed_page(page) is None
    for place in range(len(sound) - 1):
        page.write_bytes(flipped(sound, place))
        assert str(page) in changed_page(page)
    for other in (b"", sound[:-9], sound * 2, sound + b"more\n", text.encode(), b"\xff" + sound):
        page.write_bytes(other)
        assert str(page) in changed_page(page)


def test_a_page_that_is_the_same_is_not_touched(tmp_path):
    page = tmp_path / "page.md"
    write_page(page, "text")
    os.utime(page, (1, 1))
    write_page(page, "text")
    assert page.stat().st_mtime == 1
    write_page(page, "other text")
    assert page.stat().st_mtime > 1


def test_what_a_page_must_not_replace_is_refused_before_any_work(tmp_path, capsys):
    (tmp_path / "folder").mkdir()
    (tmp_path / "README.md").write_text("# By hand\n", encoding="utf-8")
    (tmp_path / "latin.md").write_bytes(b"caf\xe9")
    (tmp_path / "loop.md").symlink_to("loop.md")
    os.mkfifo(tmp_path / "pipe.md")
    for name in ("folder", "README.md", "latin.md", "loop.md", "pipe.md", "README.md/x.md",
                 "n" * 256, "ab\0c"):  # fmt: skip
        with pytest.raises(InputError):
            require_page(tmp_path / name)
    for name in ("new.md", "another/new.md"):
        require_page(tmp_path / name)
    (tmp_path / "empty.md").touch()
    require_page(tmp_path / "empty.md")
    assert capsys.readouterr().err == ""
    page = tmp_path / "page.md"
    page.write_text(sealed_page("text"), encoding="utf-8")
    require_page(page)
    assert capsys.readouterr().err == ""
    page.write_text(sealed_page("text").replace("text", "by hand"), encoding="utf-8")
    require_page(page)
    assert str(page) in capsys.readouterr().err


def test_an_archive_of_anything_else_is_one_sentence(out, tmp_path):
    store, path = RunStore(out, "reduced"), tmp_path / "runs.zip"
    run = store.path(get_figure("arpit-fig3").runs(tiny.plan())[0])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(run, f"reduced/{run.name}")
        archive.writestr(f"reduced/big{run.name}", bytes(2**28))
        for i in range(300):
            archive.writestr(f"other\n{i}", "text")
    assert path.stat().st_size < 2**20
    tracemalloc.start()
    with pytest.raises(InputError, match="301 runs") as refused:
        merge(path, tmp_path / "to")
    assert tracemalloc.get_traced_memory()[1] < 2**25
    tracemalloc.stop()
    assert len(str(refused.value)) < 1000
    assert "\n" not in str(refused.value)
    assert RunStore(tmp_path / "to", "reduced").names() == [run.name.removesuffix(".nc.gz")]
    os.mkfifo(tmp_path / "pipe")
    for other in (tmp_path / "pipe", tmp_path, tmp_path / "nothing", tmp_path / ("n" * 300)):
        with pytest.raises(InputError, match="archive"):
            merge(other, tmp_path / "to")


def test_a_member_of_an_archive_that_holds_more_than_it_claims_takes_no_memory(tmp_path):
    path = tmp_path / "runs.zip"
    spec = tiny.plan().specs("digits", "ae", "relu", "unit")[0]
    name = f"reduced/{RunStore(tmp_path, 'reduced').path(spec).name}"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, bytes(2**28))
    data = path.read_bytes()
    size, claimed = (number.to_bytes(4, "little") for number in (2**28, 100))
    assert data.count(size) >= 2  # of the member and of the directory
    path.write_bytes(data.replace(size, claimed))
    tracemalloc.start()
    with pytest.raises(InputError, match="damaged"):
        merge(path, tmp_path / "to")
    assert tracemalloc.get_traced_memory()[1] < 2**25
    tracemalloc.stop()


def several(monkeypatch, *names):
    """`all` makes these figures alone."""
    monkeypatch.setattr("experiments.cli.figure_names", lambda: list(names))


def test_all_goes_on_past_a_damaged_run(out, monkeypatch, capsys):
    """The figure that needs it is not drawn, and what is damaged stays as it is."""
    several(monkeypatch, "arpit-fig3", "arpit-fig4")
    shared = get_figure("arpit-fig3").runs(tiny.plan())
    spec = next(s for s in get_figure("arpit-fig4").runs(tiny.plan()) if s not in shared)
    store = RunStore(out, "reduced")
    damaged = flipped(store.path(spec).read_bytes())
    store.path(spec).write_bytes(damaged)
    drawn = (out / "reduced" / "arpit-fig4.json").read_bytes()
    message = refusal(monkeypatch, capsys, "all", "--scale", "reduced", "--out", out)
    assert str(store.path(spec)) in message
    assert (out / "reduced" / "arpit-fig3.json").exists()
    assert (out / "reduced" / "arpit-fig4.json").read_bytes() == drawn
    assert store.path(spec).read_bytes() == damaged


def training(monkeypatch, refused=()):
    """Trainings give made-up runs, but for these, all of whose checkpoints are damaged."""
    trained = []

    def train(specs, dataset, on_epoch, baselines, folder, deadline):
        if set(refused) & set(specs):
            (folder / "x").mkdir(parents=True)
            (folder / "3.npz").write_bytes(b"damaged")
            Checkpoints(folder, "this", on_damage=lambda sentence: None).latest(np.zeros(3))
        assert all(s == s.baseline or b is not None for s, b in zip(specs, baselines, strict=True))
        trained.extend(specs)
        return [stored_runs.fake(spec) for spec in specs]

    monkeypatch.setattr("experiments.pipeline.missing.train_together", train)
    return trained


def test_runs_whose_baseline_is_damaged_are_left_out_and_the_others_trained(
    tmp_path, monkeypatch, capsys
):
    several(monkeypatch, "arpit-fig3", "arpit-fig4")
    specs = get_figure("arpit-fig3").runs(tiny.plan())
    baseline = specs[0].baseline
    store = stored_runs.store_all(tmp_path, "reduced", [baseline])
    store.path(baseline).write_bytes(b"damaged")
    waiting = next(s for s in specs if s.baseline == baseline != s)
    Checkpoints(store.checkpoints(waiting), "this").save(1, np.zeros(3))
    trained = training(monkeypatch)
    message = refusal(monkeypatch, capsys, "all", "--scale", "reduced", "--out", tmp_path)
    assert str(store.path(baseline)) in message
    every = {s for n in ("arpit-fig3", "arpit-fig4") for s in get_figure(n).runs(tiny.plan())}
    assert set(trained) == {s for s in every if s.baseline != baseline}
    assert (store.checkpoints(waiting) / "1.npz").exists()
    assert store.path(baseline).read_bytes() == b"damaged"


@pytest.mark.parametrize("command_name", ["all", "wanted"])
def test_damaged_checkpoints_leave_the_other_runs_trained(
    tmp_path, monkeypatch, capsys, command_name
):
    several(monkeypatch, "arpit-fig3", "arpit-fig4")
    specs = get_figure("arpit-fig3").runs(tiny.plan())
    baseline = next(s for s in specs if s == s.baseline)
    trained, store = training(monkeypatch, [baseline]), RunStore(tmp_path, "reduced")
    arguments = ("all", "--scale", "reduced")
    every = {s for n in ("arpit-fig3", "arpit-fig4") for s in get_figure(n).runs(tiny.plan())}
    left_out = {s for s in every if s.baseline == baseline}
    if command_name == "wanted":
        lines = [f'scale = "reduced"\nfigure = "{n}"\nseeds = [0, 1, 2]' for n in
                 ("arpit-fig3", "arpit-fig4")]  # fmt: skip
        path = tmp_path / "list.toml"
        path.write_text("".join(f"[[wanted]]\n{line}\n" for line in lines), encoding="utf-8")
        arguments = ("wanted", "--list", path, "--archive", tmp_path / "runs.zip")
        together = {s.program for s in left_out}  # all seeds are one training
        left_out = {s for s in every if s.program in together}
    message = refusal(monkeypatch, capsys, *arguments, "--out", tmp_path)
    assert ".checkpoints" in message
    assert set(trained) == every - left_out
    assert all((store.load(s) is None) == (s in left_out) for s in every)


def test_a_fault_of_one_figure_is_raised_once_the_others_are_drawn(out, monkeypatch, capsys):
    def refused(runs, plan):
        raise InputError("No room.")

    draws = {"arpit-fig3": lambda runs, plan: 1 / 0, "arpit-fig4": refused}
    chosen = {n: dataclasses.replace(get_figure(n), draw=draw) for n, draw in draws.items()}
    for module in ("make", "pictures"):
        monkeypatch.setattr(f"experiments.pipeline.{module}.get_figure", chosen.get)
    with pytest.raises(ZeroDivisionError):
        make(list(chosen), tiny.plan(), data_dir=None, out=out)
    assert re.search("arpit-fig4.*No room", capsys.readouterr().err)


def test_a_writer_waits_for_the_instant_in_which_another_command_looks_at_its_lock(tmp_path):
    path = tmp_path / ".lock"
    with path.open("w", encoding="utf-8") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        threading.Timer(0.02, fcntl.flock, (held, fcntl.LOCK_UN)).start()
        with locked(path):
            assert holder(path) == str(os.getpid())


def test_a_failed_write_names_the_file_and_what_can_be_done(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "x", tmp_path / ("n" * 300)):
        with pytest.raises(InputError) as failed, replacing(path):
            pass
        assert str(path) in str(failed.value)
        assert "room" not in str(failed.value)
    path = tmp_path / "full"
    with pytest.raises(InputError, match="room") as failed, replacing(path) as temporary:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(temporary))
    assert str(path) in str(failed.value)
    assert UNFINISHED not in str(failed.value)


def test_status_reads_a_record_and_its_pictures_once(out, monkeypatch, capsys):
    checked = []

    def checksum(path):
        checked.append(path)
        return file_checksum(path)

    monkeypatch.setattr("experiments.pipeline.record.file_checksum", checksum)
    status(monkeypatch, capsys, out, code=0)
    assert sorted(p.suffix for p in checked) == [".png", ".svg"]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("jax_default_prng_impl", "rbg"),
        ("jax_threefry_partitionable", False),
        ("jax_random_seed_offset", 3),
    ],
)
def test_another_generator_makes_no_run(setting, value):
    before = getattr(jax.config, setting)
    assert provenance(None)["random"]["implementation"] == "threefry2x32"
    jax.config.update(setting, value)
    try:
        with pytest.raises(InputError, match=setting):
            provenance(None)
    finally:
        jax.config.update(setting, before)
