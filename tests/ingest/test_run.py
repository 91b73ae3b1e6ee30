"""From the spool to the store: every object ends somewhere, and one bad one costs nothing but itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dose_audit.config import Settings
from dose_audit.ingest import IngestError, open_spool, reprocess, run_ingest, scan_paths


def _rows() -> list[tuple[Any, ...]]:
    from dose_audit.store.models import Exam

    return list(
        Exam.objects.order_by("study_instance_uid").values_list(
            "study_instance_uid", "site__name", "events_kap_gy_cm2", "event_count", "record"
        )
    )


def _reasons() -> dict[str, str]:
    from dose_audit.store.models import ReceivedObject

    return dict(ReceivedObject.objects.exclude(state="extracted").values_list("state", "reason"))


def test_workers_and_this_process_give_the_same(home: Settings, radiographs: Path, tmp_path: Path) -> None:
    other = Settings(home=tmp_path / "other", min_free_bytes=0, batch_size=5, pseudonym_key_file=home.key_path)
    found = []
    for settings, workers in ((home, 0), (other, 2)):
        scan_paths(settings, [radiographs], site="North")
        summary = run_ingest(settings, workers=workers)
        assert summary.by_state == {"extracted": 12}
        found.append(_rows())
        with open_spool(settings) as spool:
            assert spool.counts()["extracted"] == 12
            assert spool.counts()["received"] == 12
    assert found[0] == found[1]
    assert [row[2] for row in found[0]] == pytest.approx(
        [(1.25 + number) * 0.1 for number in sorted(range(1, 13), key=str)]  # dGy·cm² in the header
    )


def test_a_second_run_finds_nothing_to_do(home: Settings, radiographs: Path) -> None:
    scan_paths(home, [radiographs])
    run_ingest(home, workers=0)
    before = _rows()
    assert not scan_paths(home, [radiographs]).changed
    assert run_ingest(home, workers=0).objects == 0
    assert _rows() == before


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        ("bug", "KeyError"),
        ("memory", "memory"),
        ("refuse", "ends in the middle"),
    ],
)
def test_an_object_that_cannot_be_read_is_quarantined_alone(
    wish: str, reason: str, home: Settings, radiographs: Path, dx_file: Any, misbehaving: str
) -> None:
    (radiographs / "05a.dcm").write_bytes(dx_file(99, StudyID=wish))
    scan_paths(home, [radiographs])
    summary = run_ingest(home, workers=0, reader=misbehaving)
    assert summary.by_state == {"extracted": 12, "quarantined": 1}
    assert reason in _reasons()["quarantined"]
    assert "Nobody" not in _reasons()["quarantined"]
    # An engine that reads it later takes it up again.
    assert reprocess(home, workers=0).by_state == {"extracted": 1}
    assert len(_rows()) == 13


def test_an_object_that_ends_its_worker_is_quarantined_alone(
    home: Settings, radiographs: Path, dx_file: Any, misbehaving: str
) -> None:
    """Killed while parsing, gone by itself, stuck for ever: all in one batch, beside objects that are sound."""
    from dose_audit.store.models import ReceivedObject

    for number, wish in enumerate(("die", "exit", "hang"), start=90):
        (radiographs / f"0{number - 88}b.dcm").write_bytes(dx_file(number, StudyID=wish))
    scan_paths(home, [radiographs])
    summary = run_ingest(home, workers=1, reader=misbehaving, object_cap_s=2.0)
    assert summary.by_state == {"extracted": 12, "quarantined": 3}
    reasons = sorted(ReceivedObject.objects.filter(state="quarantined").values_list("reason", flat=True))
    assert reasons == [
        "its worker ended",
        "its worker was ended by signal 9 while reading it",
        "reading it took more than 2 s",
    ]
    with open_spool(home) as spool:
        assert spool.counts()["in_work"] == 0


def test_a_file_that_went_or_changed_is_said(home: Settings, radiographs: Path) -> None:
    from dose_audit.store.models import ReceivedObject

    scan_paths(home, [radiographs])
    (radiographs / "01.dcm").unlink()
    with open(radiographs / "02.dcm", "ab") as file:
        file.write(b"more")
    assert run_ingest(home, workers=0).by_state == {"extracted": 10, "quarantined": 2}
    reasons = set(ReceivedObject.objects.filter(state="quarantined").values_list("reason", flat=True))
    assert reasons == {"the file is gone", "the file is not the one that was registered"}


def test_what_is_routed_to_phantoms_is_no_exam(home: Settings, dx_file: Any) -> None:
    with open_spool(home) as spool:
        spool.add_bytes(dx_file(1), source="upload", route="phantom")
        spool.add_bytes(dx_file(2), source="upload")
    assert run_ingest(home, workers=0).by_state == {"extracted": 1}
    with open_spool(home) as spool:
        assert spool.counts()["phantom"] == 1  # it waits for phantom analysis


def test_a_stop_between_store_and_spool_doubles_nothing(
    home: Settings, radiographs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dose_audit.receive.spool import Spool

    scan_paths(home, [radiographs])

    def power_cut(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Spool, "settle_many", power_cut)
        with pytest.raises(KeyboardInterrupt):
            run_ingest(home, workers=0)
    before = _rows()
    assert before
    assert run_ingest(home, workers=0).by_state == {"extracted": 12}
    assert [row for row in _rows() if row in before] == before
    assert len(_rows()) == 12


def test_a_store_that_cannot_be_written_leaves_all_in_the_spool(home: Settings, radiographs: Path) -> None:
    from django.db import connection

    scan_paths(home, [radiographs])
    run_ingest(Settings(home=home.home, min_free_bytes=0), workers=0, stop=lambda: True)  # makes the tables
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE store_event")
    with pytest.raises(IngestError, match="store_event"):
        run_ingest(home, workers=1)
    with open_spool(home) as spool:
        assert spool.counts()["pending"] == 12


def test_the_daemon_takes_what_comes_until_it_is_stopped(home: Settings, dx_file: Any) -> None:
    seen: list[int] = []

    with open_spool(home) as spool:
        spool.add_bytes(dx_file(1), source="upload")

        def stop() -> bool:
            seen.append(len(seen))
            if len(seen) == 3:
                spool.add_bytes(dx_file(2), source="upload")
            return len(seen) > 6

        summary = run_ingest(home, workers=0, once=False, stop=stop)
    assert summary.by_state == {"extracted": 2}


def test_duplicates_at_the_door_are_counted(home: Settings, dx_file: Any) -> None:

    from dose_audit.store.parquet import read_table, refresh_parquet

    with open_spool(home) as spool:
        for _ in range(3):
            spool.add_bytes(dx_file(1), source="upload")
    run_ingest(home, workers=0)
    states = read_table(refresh_parquet(home), "objects")["state"].to_pylist()
    assert sorted(states) == ["duplicate", "duplicate", "extracted"]


def test_identifiers_are_in_no_file_of_the_home(home: Settings, radiographs: Path) -> None:
    from django.db import connections

    scan_paths(home, [radiographs])
    run_ingest(home, workers=0)
    connections.close_all()
    for path in home.home.rglob("*"):
        if path.is_file():
            assert b"Nobody" not in path.read_bytes(), path.name
