"""A database that goes away for a while, as at a restart, ends nothing: what arrives meanwhile is stored afterwards."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest

from dose_audit.cli import receive
from dose_audit.config import Settings
from dose_audit.ingest import open_spool, run
from tests.ingest.conftest import dicom_bytes, dx_dataset
from tests.patience import wait_until


def _end_all_sessions(settings: Settings) -> None:
    import psycopg

    url = urlsplit(settings.database_url or "")
    server, name = url.query.removeprefix("host="), url.path.lstrip("/")
    with psycopg.connect(host=server, user="audit", dbname="postgres", autocommit=True) as connection:
        ended = connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        assert ended.fetchall()


@pytest.mark.peer
@pytest.mark.parametrize("idle", [True, False])
def test_what_arrives_after_the_database_ended_all_sessions_is_stored(
    idle: bool, postgres_store: Settings, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr(receive, "AGAIN_S", 0.2)
    monkeypatch.setattr(run, "_FINISH_EVERY_S", 0.2 if idle else 3600.0)
    settings = replace(postgres_store, workers=1)
    done = threading.Event()
    thread = threading.Thread(target=receive._keep_on, args=(receive._ingest, settings, done))
    thread.start()
    try:
        with open_spool(settings) as spool:
            for number in (1, 2):
                spool.add_bytes(dicom_bytes(dx_dataset(number)), source="upload")
                wait_until(lambda wanted=number: spool.counts()["extracted"] == wanted)
                if idle:
                    caplog.clear()
                _end_all_sessions(settings)
                if idle:
                    wait_until(lambda: "the store cannot be written" in caplog.text or not thread.is_alive())
                assert thread.is_alive()
            spool.add_bytes(dicom_bytes(dx_dataset(3)), source="upload")
            wait_until(lambda: spool.counts()["extracted"] == 3)
    finally:
        done.set()
        thread.join()
