"""The commands from end to end: Orthanc as archive, a home of our own, exams in the store, the record for the report."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.children import ending_with_us
from tests.patience import wait_until
from tests.ports import own_port
from tests.retrieve.held import EVERYTHING, study_uid

pytestmark = pytest.mark.peer
REPOSITORY = Path(__file__).resolve().parents[2]
PERIOD = ("--since", "2026-03-02", "--until", "2026-03-04")


@pytest.fixture
def home(tmp_path: Path, orthanc, django_db_blocker: Any) -> Iterator[Path]:
    """A home whose only archive is Orthanc, by C-MOVE; nothing listens on its port."""
    folder = tmp_path / "home"
    folder.mkdir()
    port = own_port()
    orthanc.call("PUT", "/modalities/audit", {"AET": "DOSEAUDIT", "Host": "127.0.0.1", "Port": port})
    (folder / "dose-audit.toml").write_text(
        f"port = {port}\nmin_free_bytes = 0\nworkers = 0\n[[archives]]\nname = 'pacs'\nmethod = 'move'\naet = 'ORTHANC'\n"
        f"host = '127.0.0.1'\nport = {orthanc.dicom_port}\npause_s = 0\nsettle_s = 120\n"
    )
    from django.db import connections

    with django_db_blocker.unblock():
        yield folder
        connections.close_all()


@pytest.fixture
def command(home: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run a command in this process; its exit code and what it printed."""
    from typer.testing import CliRunner

    from dose_audit.cli import app

    def run(*words: str) -> tuple[int, str]:
        outcome = CliRunner().invoke(app, [*words, "--home", str(home)])
        if outcome.exception is not None and not isinstance(outcome.exception, SystemExit):
            raise outcome.exception
        return outcome.exit_code, outcome.stdout

    return run


@pytest.fixture
def eventually_spooled(home: Path) -> Callable[[int], list[str]]:
    """SOP Instance UIDs in the ledger, as soon as there are so many."""

    def wait(count: int) -> list[str]:
        found: list[str] = []

        def enough() -> bool:
            try:
                with closing(sqlite3.connect(f"file:{home}/spool/ledger.sqlite?mode=ro", uri=True)) as ledger:
                    found[:] = [uid for (uid,) in ledger.execute("SELECT sop_instance_uid FROM objects")]
            except sqlite3.OperationalError:
                return False  # not made yet
            return len(found) >= count

        wait_until(enough)
        return found

    return wait


def exams() -> set[str]:
    from dose_audit.store.models import Exam

    return set(Exam.objects.values_list("study_instance_uid", flat=True))


def test_reconcile_retrieve_and_reconcile_again(command, home) -> None:
    code, text = command("reconcile", *PERIOD, "--json")
    before = json.loads(text)
    assert code == 3 and (before["archived"], before["received"], before["missing_count"]) == (6, 0, 6)

    code, text = command("retrieve", *PERIOD, "--dry-run", "--json")
    assert code == 0 and len(json.loads(text)["planned"]) == 6
    assert not (home / "spool" / "objects").exists() or not list((home / "spool" / "objects").rglob("*.dcm"))

    code, text = command("retrieve", *PERIOD, "--json")
    fetched = json.loads(text)
    assert code == 0 and fetched["fetched"] == 6 and fetched["reports"] + fetched["images"] == len(EVERYTHING)
    # The three reports are samples with known doses; the images of these tests carry none.
    assert {study_uid(1), study_uid(5), study_uid(7)} <= exams()

    code, text = command("reconcile", *PERIOD, "--json")
    after = json.loads(text)
    assert after["missing_count"] == 0 and code == 0
    assert after["received"] + after["without_dose"] == after["archived"] == 6
    from dose_audit.retrieve import latest_reconciliation

    kept = latest_reconciliation(home)
    assert kept is not None and kept == {name: value for name, value in after.items() if name != "fetched"}


def test_reconcile_fetches_what_a_ris_list_names_by_accession_number(command, home, tmp_path) -> None:
    listed = tmp_path / "list.csv"
    listed.write_text(
        "Accession,Date,Modality,Room\nACC1,2026-03-02,CT,CT1\nACC7,2026-03-04,CT,CT1\nACC404,2026-03-04,CT,CT2\n*,2026-03-04,CT,CT2\n"
    )
    code, text = command("reconcile", "--ris", str(listed), "--fetch", "--json")
    record = json.loads(text)
    assert code == 3 and record["fetched"]["fetched"] == 2
    assert {study_uid(1), study_uid(7)} == exams()
    assert [(one["study"], one["station"]) for one in record["missing"]] == [("line 4", "CT2"), ("line 5", "CT2")]
    assert "ACC" not in "".join(path.read_text() for path in (home / "reconcile").glob("*.json"))


def test_tables_for_people_name_no_patient(command) -> None:
    code, text = command("reconcile", *PERIOD)
    assert code == 3 and "0.0 % complete: 0 of 6 studies, 6 missing (pacs)." in text and "PET1" in text
    dry, plan = command("retrieve", *PERIOD, "--dry-run")
    assert dry == 0 and study_uid(2) in plan and "6 studies found" in plan
    assert "Nobody" not in text + plan and "ACC" not in text + plan


STOPPING_SHORT = """
import itertools, time
from dose_audit.cli import app
from dose_audit.receive.incoming import Incoming

commit, kept = Incoming.commit, itertools.count(1)

def stop_short(self):
    receipt = commit(self)
    if next(kept) == 2:
        time.sleep(600)
    return receipt

Incoming.commit = stop_short
app()
"""
"""The program, whose listener is held up for ever when it has kept two objects and not said so of the second."""


def test_a_retrieval_that_was_killed_goes_on(command, home, eventually_spooled) -> None:
    """kill -9 in the middle of a C-MOVE to a listener in the same process; what is in the spool then is not lost or doubled."""
    process = subprocess.Popen(
        ending_with_us(sys.executable, "-c", STOPPING_SHORT, "retrieve", *PERIOD, "--no-ingest", "--home", home),
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        first = eventually_spooled(2)
    finally:
        process.kill()
        process.wait()
    assert len(first) < len(EVERYTHING)
    code, text = command("retrieve", *PERIOD, "--json")
    record = json.loads(text)
    assert code == 0 and record["fetched"] + record["done_before"] + record["already_here"] == 6
    assert sorted(eventually_spooled(0)) == sorted(EVERYTHING)


def test_plain_dicom_has_to_be_allowed(command, home) -> None:
    from dose_audit.config import SettingsError

    settings = home / "dose-audit.toml"
    settings.write_text("plain_dicom = false\n" + settings.read_text())
    with pytest.raises(SettingsError, match="plain_dicom is off"):
        command("reconcile", *PERIOD)


def test_an_archive_that_nobody_set_is_told(command) -> None:
    from dose_audit.config import SettingsError

    with pytest.raises(SettingsError, match="there is no archive attic"):
        command("retrieve", "--archive", "attic")


def test_the_audit_takes_the_latest_reconciliation_into_its_report(command, home) -> None:
    command("retrieve", *PERIOD)
    command("reconcile", *PERIOD, "--json")
    code, text = command("audit", *PERIOD, "--json")
    assert code in (0, 3)
    files = json.loads(text)
    archive = json.loads(Path(files["json"]).read_text())["completeness"]["archive"]
    assert archive["source"] == "pacs" and archive["archived"] == 6 and archive["missing_count"] == 0
    page = Path(files["html"]).read_text()
    assert "of the studies that pacs names from 2 March 2026 to 4 March 2026 are here; 0 studies missing" in page


def test_where_the_archive_names_nothing_no_completeness_is_told(command) -> None:
    days = ("--archive", "pacs", "--since", "2019-01-01", "--until", "2019-01-02")
    code, text = command("reconcile", *days)
    assert code == 0 and "named no study of these days: nothing is known of completeness." in text
    assert "complete:" not in text and "--modality SR" in text
    assert "--modality SR" in command("retrieve", *days, "--dry-run")[1]
