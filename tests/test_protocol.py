"""The commits that the protocol names are in the history and first say what it says of them."""

import re
import subprocess
from pathlib import Path

import pytest

from experiments.pipeline.ledger import standing

ROOT = Path(__file__).parents[1]
PAGE = "docs/protocol.md"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")
SECTION = TEXT.split("## Commits that fixed the thresholds\n")[1].split("\n## ")[0]
REST = TEXT.replace(SECTION, "")
HASH = r"`([0-9a-f]{7,40})`"
DATE = r"(\d{4}-\d\d-\d\d)"
CLAIMS = re.findall(rf"(?m)^\| {HASH} \| {DATE} \| ([^|]+) \|$", SECTION)
WORDS = re.findall(rf'(?m)^\| {HASH} \| {DATE} \| [^|]+ \| "(.+)" \|$', SECTION)
BEFORE = re.findall(rf"(?m)^\| {HASH} \| {DATE} \| {HASH} \| {DATE} \| ([^|]+) \|$", SECTION)


def git(*arguments):
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)


def rows(text):
    """Each claim's criterion, by the first cell of its row."""
    return dict(re.findall(r"(?m)^\| ([TASGL]\d+[a-z]?(?:, [A-Z]?\w+)*) \| ([^|]+) \|", text))


def numbers(criterion):
    return re.findall(r"\d+(?:\.\d+)?(?:e-?\d+)?", criterion)


def flat(text):
    return " ".join(text.split())


@pytest.fixture(scope="module")
def versions():
    """The page at every commit that changed it, oldest first, by the full hash."""
    listed = git("log", "--reverse", "--format=%H", "--", PAGE)
    commits = listed.stdout.split()
    if listed.returncode or git("rev-parse", "--is-shallow-repository").stdout.strip() == "true":
        pytest.skip("no git checkout with its history")
    named = {word for row in (*CLAIMS, *WORDS, *BEFORE) for word in re.findall(HASH, f"`{row[0]}`")}
    if any(git("cat-file", "-e", commit).returncode for commit in named):
        pytest.skip("a history that was rewritten: commits have other names in it")
    return {commit: git("show", f"{commit}:{PAGE}").stdout for commit in commits}


def at_and_before(versions, commit):
    """The page at a commit, and before it; "" if that is the first."""
    (full,) = (name for name in versions if name.startswith(commit))
    names = list(versions)
    return versions[full], versions[names[names.index(full) - 1]] if full != names[0] else ""


def test_every_claim_has_one_commit():
    named = [claim for *_, claims in CLAIMS for claim in claims.split("; ")]
    tables = REST.split("\n## By construction")[1].split("\n## ", 1)[1]
    assert sorted(named) == sorted(rows(tables))
    assert len(named) > 60
    assert len(WORDS) > 10
    assert len(BEFORE) > 5


def test_each_hash_is_in_the_history_with_its_date(versions):
    pairs = [row[:2] for row in (*CLAIMS, *WORDS)]
    pairs += [pair for row in BEFORE for pair in (row[:2], row[2:4])]
    for commit, date in set(pairs):
        assert git("merge-base", "--is-ancestor", commit, "HEAD").returncode == 0, commit
        shown = git("log", "-1", "--format=%ad", "--date=format:%Y-%m-%d", commit)
        assert shown.stdout.strip() == date, commit


def test_the_commit_of_a_claim_first_has_its_numbers(versions):
    today = rows(REST)
    for commit, _, claims in CLAIMS:
        then, before = at_and_before(versions, commit)
        for claim in claims.split("; "):
            assert numbers(rows(then)[claim]) == numbers(today[claim]), (commit, claim)
            earlier = rows(before).get(claim)
            assert earlier is None or numbers(earlier) != numbers(today[claim]), (commit, claim)


def test_the_commit_of_a_reading_first_has_its_words(versions):
    for commit, _, words in WORDS:
        then, before = at_and_before(versions, commit)
        assert flat(words) in flat(REST), words
        assert flat(words) in flat(then), words
        assert flat(words) not in flat(before), words


def test_the_ledger_dates_a_criterion_by_its_commit():
    dates = {c: date for _, date, claims in CLAIMS for c in re.split("; |, (?=[A-Z])", claims)}
    stands = {claim: s for claim, s in standing().items() if s.status in ("revised", "new")}
    told = {claim: dates[claim] for claim in stands if claim in dates}
    assert told == {claim: str(stands[claim].since) for claim in told}
    assert len(told) > 25


def test_first_thresholds_were_committed_before_their_runs_but_where_it_is_said(versions):
    after = {
        claims
        for threshold, _, runs, _, claims in BEFORE
        if git("merge-base", "--is-ancestor", threshold, runs).returncode
    }
    late = [claim for claim, stands in standing().items() if not stands.before_runs]
    assert after == {", ".join(late)}
