"""What a site does around the audit: map, decide on findings, set local levels, send digests."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dose_audit.cli import app

if TYPE_CHECKING:
    from tests.conftest import MadeOnce

SAMPLES = Path(__file__).resolve().parents[2] / "testdata"


def run(home: Path, *words: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dose_audit.cli", "--home", str(home), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == expect, f"{words} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory, made_once: MadeOnce) -> Path:
    """A home with the sample objects in it and nothing mapped, to be copied."""

    def scan() -> Path:
        place = tmp_path_factory.mktemp("scanned")
        run(place, "scan", str(SAMPLES), "--site", "North")
        return place

    place: Path = made_once("scanned-home", scan)
    return place


@pytest.fixture
def home(scanned: Path, tmp_path: Path) -> Path:
    """A home of each test's own, so that they may run in any order."""
    return Path(shutil.copytree(scanned, tmp_path / "home"))


@pytest.fixture(scope="module")
def audited(scanned: Path, tmp_path_factory: pytest.TempPathFactory, made_once: MadeOnce) -> tuple[Path, str]:
    """The same after an audit, to be copied, and what that told."""

    def audit() -> tuple[Path, str]:
        place = shutil.copytree(scanned, tmp_path_factory.mktemp("audited") / "home")
        return place, run(place, "audit", "--since", "2000-01-01", "--until", "2100-01-01", expect=3).stdout

    found: tuple[Path, str] = made_once("audited-home", audit)
    return found


@pytest.fixture
def audited_home(audited: tuple[Path, str], tmp_path: Path) -> Path:
    """An audited home of each test's own."""
    return Path(shutil.copytree(audited[0], tmp_path / "home"))


def test_an_audit_that_compared_nothing_says_so_why_and_what_to_do(
    audited: tuple[Path, str], audited_home: Path
) -> None:
    assert "nothing to act on" not in audited[1]
    assert "nothing was compared" in audited[1]
    assert "no exam mapping is approved yet" in audited[1]
    assert "dose-audit mapping suggest" in audited[1]
    done = run(
        audited_home, "audit", "--since", "1990-01-01", "--until", "1990-12-31", expect=3
    )  # one object is corrupt
    assert "lies in this period" in done.stdout and "nothing to act on" not in done.stdout


def test_names_are_suggested_filled_in_and_approved(home: Path, tmp_path: Path) -> None:
    draft = tmp_path / "draft.csv"
    told = json.loads(run(home, "mapping", "suggest", "--out", str(draft), "--json").stdout)
    assert {c["site"] for c in told["coverage"]} == {"North"}
    assert told["coverage"][0]["percent"] == 0.0 and told["unmapped"]
    rows = list(csv.DictReader(draft.read_text().splitlines()))
    ct = next(row for row in rows if row["modality"] == "CT" and row["acquisition_protocol"])
    assert "no row has an examination" in run(home, "mapping", "approve", str(draft), "--by", "MPE", expect=1).stderr
    ct["examination"] = "xa-coronary-angiography"
    _write(draft, rows)
    number = 2 + rows.index(ct)
    refused = run(home, "mapping", "approve", str(draft), "--by", "MPE", expect=1).stderr
    assert f"{draft}, row {number}" in refused and "CT cannot be xa-coronary-angiography" in refused
    ct["examination"] = "ct-chest-lung-cancer"
    _write(draft, rows)
    assert "1 row approved by MPE" in run(home, "mapping", "approve", str(draft), "--by", "MPE").stdout
    exported = run(home, "mapping", "export").stdout
    (row,) = csv.DictReader(exported.splitlines())
    assert (row["examination"], row["approved_by"]) == ("ct-chest-lung-cancer", "MPE")
    after = json.loads(run(home, "mapping", "suggest", "--json").stdout)
    assert after["coverage"][0]["mapped"] >= 1
    two_ways = tmp_path / "two.csv"
    two_ways.write_text(exported + exported.splitlines()[1].replace("ct-chest-lung-cancer", "ct-head") + "\n")
    assert "two.csv, row 3" in run(home, "mapping", "import", str(two_ways), "--by", "MPE", expect=1).stderr


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_a_finding_is_acknowledged_and_reopened_on_record(audited_home: Path) -> None:
    home = audited_home
    rows = json.loads(run(home, "finding", "list", "--json").stdout)
    key = rows[0]["key"]
    assert all(row["role"] for row in rows)
    placed = next(row for row in rows if row["site"] and row["equipment"])
    of_site = json.loads(run(home, "finding", "list", "--json", "--site", placed["site"]).stdout)
    assert of_site == [row for row in rows if row["site"] == placed["site"]]
    assert "Did you mean 'North'?" in run(home, "finding", "list", "--site", "Norht", expect=1).stderr
    assert "Did you mean 'MPE'?" in run(home, "finding", "list", "--role", "MPF", expect=1).stderr
    done = run(home, "finding", "acknowledge", key, "--by", "MPE, North", "--reason", "known and planned")
    assert "Acknowledged" in done.stdout
    assert key not in {row["key"] for row in json.loads(run(home, "finding", "list", "--json").stdout)}
    run(home, "finding", "reopen", key, "--by", "MPE, North", "--reason", "not the cause")
    assert key in {row["key"] for row in json.loads(run(home, "finding", "list", "--json").stdout)}
    assert "no finding" in run(home, "finding", "reopen", "none", "--by", "MPE", "--reason", "x", expect=1).stderr
    assert "for a reason" in run(home, "finding", "acknowledge", key, "--by", "MPE", "--reason", " ", expect=1).stderr
    import sqlite3

    with sqlite3.connect(home / "dose-audit.sqlite3") as store:
        kept = store.execute("SELECT kind, by_role, reason FROM store_action ORDER BY id").fetchall()
    assert kept == [("acknowledged", "MPE, North", "known and planned"), ("reopened", "MPE, North", "not the cause")]


def test_local_levels_and_mail_explain_what_is_missing(audited_home: Path) -> None:
    home = audited_home
    words = ("--since", "2000-01-01", "--until", "2100-01-01", "--by", "MPE")
    assert (
        "no mapped exam in the period"
        in run(home, "drl", "propose", "local-north-ct", "--site", "North", *words, expect=1).stderr
    )
    assert "no proposal" in run(home, "drl", "approve", "local-north-ct", "2026-01-01", "--by", "MPE", expect=1).stderr
    assert "no table [mail]" in run(home, "mail", "send", expect=1).stdout
    assert run(home, "mail", "list", "--json").stdout.strip() == "[]"


def test_worksheet_considers_and_refuses_nonsense(tmp_path: Path) -> None:
    done = run(tmp_path, "worksheet", "--nation", "England", "--intended", "1", "--total", "12")
    assert "Consider notification" in done.stdout
    assert "none of England" in run(tmp_path, "worksheet", "--nation", "Atlantis", "--total", "1", expect=1).stderr


def test_the_commands_are_there() -> None:
    groups = {part.typer_instance.info.name for part in app.registered_groups}
    assert {"mapping", "finding", "mail", "drl"} <= groups
