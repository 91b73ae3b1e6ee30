"""A store of its own for every test, on SQLite and on a real PostgreSQL, and exams to put into it."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from dose_audit.config import Settings
from dose_audit.extract.codes import Code
from dose_audit.extract.exam import CtEvent, CtSource, Equipment, Exam, Patient, Source, Totals
from tests.children import ending_with_us
from tests.patience import LONG_S, wait_until

PREFIX = "dose-audit-pg-"
NOON = dt.datetime(2024, 3, 5, 12, 0, tzinfo=dt.UTC)


def _as_postgres() -> dict[str, Any]:
    """PostgreSQL refuses to run as root: then it runs as the user that Debian made for it."""
    return {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Path]:
    """A PostgreSQL server from Debian's binaries, on a socket in a folder of its own; gone afterwards."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not programs:
        pytest.skip("PostgreSQL is not installed (tests/install_peers.sh installs it as root on Debian)")
    binaries = programs[-1].parent
    _clear_away()
    # Not below pytest's folder: nobody else may enter that one, and the path of a socket is short.
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    who = _as_postgres()
    if who:
        shutil.chown(folder, "postgres", "postgres")
    data = folder / "data"
    server: subprocess.Popen[bytes] | None = None
    try:
        subprocess.run(
            [binaries / "initdb", "-D", data, "-U", "audit", "--auth=trust", "--no-sync",
             "-E", "UTF8", "--locale=C.UTF-8"],
            check=True, capture_output=True, cwd=folder, **who,
        )  # fmt: skip
        # Shared memory in its folder: what lies in /dev/shm would outlive a server that is killed.
        options = [
            "dynamic_shared_memory_type=mmap",
            "listen_addresses=",
            "fsync=off",
            "full_page_writes=off",
            "synchronous_commit=off",
        ]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                ending_with_us(
                    binaries / "postgres", "-D", data, "-k", folder, *(f"--{option}" for option in options), by="QUIT"
                ),
                cwd=folder, stdout=log, stderr=log, **who,
            )  # fmt: skip
        wait_until(lambda: _answers(server, folder))
        yield folder
    finally:
        if server is not None:
            server.send_signal(signal.SIGQUIT)  # at once, without tidying
            server.wait(LONG_S)
        shutil.rmtree(folder, ignore_errors=True)


def _answers(server: subprocess.Popen[bytes], folder: Path) -> bool:
    import psycopg

    assert server.poll() is None, (folder / "log").read_text()
    try:
        _administer(folder, "SELECT 1")
    except psycopg.OperationalError:
        return False
    return True


def _clear_away() -> None:
    """Remove the folders of test runs that were killed; their servers ended with them."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            running = psutil.pid_exists(int((folder / "data" / "postmaster.pid").read_text().split()[0]))
        except (OSError, ValueError, IndexError):  # none, or just being written
            running = False
        with suppress(FileNotFoundError):  # somebody else clears it away
            if not running and time.time() - folder.stat().st_mtime > 3600:  # else it may be starting
                shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory, django_db_blocker: Any) -> Path:
    """A migrated SQLite store without a row, to be copied."""
    from dose_audit.store.settings import prepare

    settings = Settings(home=tmp_path_factory.mktemp("sqlite"))
    with django_db_blocker.unblock():
        prepare(settings)
        _close()
    return settings.database_path


@pytest.fixture(scope="session")
def postgres_template(postgres_server: Path, tmp_path_factory: pytest.TempPathFactory, django_db_blocker: Any) -> str:
    """Name of a migrated PostgreSQL database without a row, to be copied."""
    from dose_audit.store.settings import prepare

    _administer(postgres_server, "CREATE DATABASE template_store")
    home = tmp_path_factory.mktemp("postgres")
    with django_db_blocker.unblock():
        prepare(Settings(home=home, database_url=_url(postgres_server, "template_store")))
        _close()
    return "template_store"


def _url(server: Path, name: str) -> str:
    return f"postgresql://audit@/{name}?host={server}"


def _administer(server: Path, statement: str) -> None:
    import psycopg

    with psycopg.connect(host=str(server), user="audit", dbname="postgres", autocommit=True) as connection:
        connection.execute(statement)


def _close() -> None:
    from django.db import connections

    connections.close_all()


@pytest.fixture
def sqlite_store(tmp_path: Path, sqlite_template: Path, django_db_blocker: Any) -> Iterator[Settings]:
    """Settings of an empty SQLite store that Django now points to."""
    from dose_audit.store.settings import setup

    home = tmp_path / "home"
    home.mkdir()
    settings = Settings(home=home, min_free_bytes=0)
    shutil.copy(sqlite_template, settings.database_path)
    with django_db_blocker.unblock():
        setup(settings)
        yield settings
        _close()


@pytest.fixture
def postgres_store(
    tmp_path: Path, postgres_server: Path, postgres_template: str, django_db_blocker: Any
) -> Iterator[Settings]:
    """Settings of an empty PostgreSQL store that Django now points to."""
    from dose_audit.store.settings import setup

    name = f"store_{uuid.uuid4().hex}"
    _administer(postgres_server, f"CREATE DATABASE {name} TEMPLATE {postgres_template}")
    home = tmp_path / "home of postgres"
    settings = Settings(home=home, database_url=_url(postgres_server, name), min_free_bytes=0)
    with django_db_blocker.unblock():
        setup(settings)
        yield settings
        _close()
    _administer(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.peer)])
def store(request: pytest.FixtureRequest) -> Settings:
    """Settings of an empty store that Django now points to, once on each database."""
    return request.getfixturevalue(f"{request.param}_store")


@pytest.fixture
def writer(store: Settings) -> Any:
    """A writer to that store."""
    from dose_audit.store.identity import protection
    from dose_audit.store.writing import Writer

    return Writer(protection(store))


@pytest.fixture
def ct_exam() -> Callable[..., Exam]:
    """Makes what one CT dose report tells: ``ct_exam(study, sop, {event UID: DLP})``."""
    return make_ct_exam


@pytest.fixture
def received() -> Callable[..., Any]:
    """Wraps an exam, or a reason, as a received object."""
    return make_received


def make_ct_exam(study: str, sop: str, dlps: dict[str, float], **more: Any) -> Exam:
    equipment = {"manufacturer": "ACME", "model_name": "Scan", "station_name": "CT1", "serial_number": "77"}
    equipment["software_versions"] = more.pop("software_versions", "V1")
    equipment.update(more.pop("equipment", {}))
    when = more.pop("study_datetime", "2024-03-05T10:20:30")
    # The report is written when the last of its events is over: a cumulative one is newer than its earlier self.
    made = f"2024-03-05T11:{len(dlps):02d}:00"
    exam = Exam(
        study_instance_uid=study,
        accession_number="ACC-1",
        study_id="SID-1",
        study_datetime=when,
        modality="CT",
        study_description="CT chest",
        procedure_codes=[Code("CTCHEST", "99LOCAL", "Chest")],
        patient=Patient(sex="F", age_years=61.2, weight_kg=70.0, pseudonym="p" * 64),
        equipment=Equipment(**equipment),
        sources=[Source(sop, "1.2.840.10008.5.1.4.1.1.88.67", "ct_rdsr", f"{study}.9", made)],
        totals=Totals(ct_dlp_mgy_cm=sum(dlps.values())),
        events=[
            CtEvent(
                index=number,
                irradiation_event_uid=uid,
                started_at=f"2024-03-05T10:2{number}:00+01:00",
                acquisition_protocol=f"Chest {number}",
                target_region=Code("T-D3000", "SRT", "Chest"),
                ct_acquisition_type="spiral",
                ctdi_vol_mgy=dlp / 40,
                ctdi_phantom="body_32cm",
                dlp_mgy_cm=dlp,
                sources=[CtSource(id="A", kvp_kv=120.0)],
                source_sop_instance_uid=sop,
                source_kind="ct_rdsr",
            )
            for number, (uid, dlp) in enumerate(dlps.items(), start=1)
        ],
    )
    for name, value in more.items():
        setattr(exam, name, value)
    return exam


def make_received(exam: Exam | None, number: int = 1, **more: Any) -> Any:
    from dose_audit.store.writing import ReceivedPart

    values: dict[str, Any] = {
        "sop_instance_uid": exam.sources[0].sop_instance_uid if exam else f"1.9.{number}",
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.88.67",
        "sha256": f"{number:064x}",
        "size_bytes": 25_000,
        "received_at": NOON + dt.timedelta(seconds=number),
        "exam": exam,
        "source": "scan",
        "site": "North",
        "spool_id": number,
    }
    return ReceivedPart(**{**values, **more})
