"""Django's configuration from ours: which database, moved when asked, migrated once."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dose_audit.config import Settings, SettingsError
from dose_audit.extract.codes import Code
from dose_audit.store.settings import database, prepare, setup
from tests.children import ending_with_us
from tests.patience import LONG_S


def test_a_url_chooses_postgresql() -> None:
    url = "postgresql://au%40dit:p%2Fw@db.local:5433/dose?sslmode=require"
    found = database(Settings(home=Path("/srv"), database_url=url))
    assert (found["NAME"], found["USER"], found["PASSWORD"]) == ("dose", "au@dit", "p/w")
    assert (found["HOST"], found["PORT"], found["OPTIONS"]) == ("db.local", "5433", {"sslmode": "require"})


@pytest.mark.parametrize("url", ["mysql://u:hunter2@db/dose", "postgresql://u:hunter2@db/"])
def test_another_database_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        database(Settings(home=Path("/srv"), database_url=url))
    assert "hunter2" not in str(caught.value)


def test_sqlite_keeps_what_was_committed_and_lets_readers_in(sqlite_store: Settings) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        found = {name: cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")}
    assert found == {"journal_mode": "wal", "synchronous": 2}  # 2: FULL


def test_one_process_moves_between_homes(sqlite_store: Settings, tmp_path: Path) -> None:
    from dose_audit.store.models import Site

    other = Settings(home=tmp_path / "other")
    Site.objects.create(name="First home")
    prepare(other)
    assert Site.objects.count() == 0
    setup(sqlite_store)
    assert Site.objects.get().name == "First home"


def test_prepare_makes_a_private_home_and_is_repeatable(tmp_path: Path, django_db_blocker: Any) -> None:
    settings = Settings(home=tmp_path / "new" / "home")
    with django_db_blocker.unblock():
        prepare(settings)
        prepare(settings)
        from django.db import connections

        connections.close_all()
    assert stat.S_IMODE(settings.database_path.stat().st_mode) == 0o600


def test_migrations_are_shipped_for_every_model(sqlite_store: Settings) -> None:
    from django.core.management import call_command

    call_command("makemigrations", "store", check=True, dry_run=True, verbosity=0)  # exits when one is missing


def test_codes_of_events_that_were_stored_before_get_their_columns(
    sqlite_store: Settings, ct_exam: Any, received: Any
) -> None:
    from django.core.management import call_command

    from dose_audit.store.identity import protection
    from dose_audit.store.models import Event
    from dose_audit.store.writing import Writer

    exam = ct_exam("1.2.1", "1.2.1.1", {"1.8.1.1": 10.0, "1.8.1.2": 20.0})
    exam.events[0].anatomical_structure = Code("T-28000", "SRT", "Lung")
    Writer(protection(sqlite_store)).ingest_parts([received(exam, 1)])
    told = [(None, None), ("SCT:39607008", None)]  # SNOMED-RT in the record, SNOMED CT to be asked for
    names = ("anatomical_structure", "radiopharmaceutical")
    assert sorted(Event.objects.values_list(*names), key=str, reverse=True) == told
    call_command("migrate", "store", "0007", verbosity=0)
    call_command("migrate", "store", verbosity=0)
    assert sorted(Event.objects.values_list(*names), key=str, reverse=True) == told


_FIRST_START = """
import sys, time
from pathlib import Path
from dose_audit.config import Settings
from dose_audit.store.settings import prepare, setup
home = Path(sys.argv[1])
print("ready", flush=True)
while not (home / "go").exists():
    time.sleep(0.001)
prepare(Settings(home=home))
"""


def test_programs_started_for_the_first_time_at_one_moment_make_one_store(tmp_path: Path) -> None:
    programs = [
        subprocess.Popen(
            ending_with_us(sys.executable, "-c", _FIRST_START, tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(4)
    ]
    for program in programs:
        assert program.stdout is not None
        assert program.stdout.readline() == b"ready\n"
    (tmp_path / "go").touch()
    told = [program.communicate(timeout=LONG_S)[1] for program in programs]
    assert [(program.returncode, text) for program, text in zip(programs, told, strict=True)] == [(0, b"")] * 4
