"""The writer: the same rows whatever the order, the batches and the number of writers, on both databases."""

from __future__ import annotations

import copy
import itertools
import threading
from pathlib import Path
from typing import Any

import pytest

from dose_audit.extract.exam import Exam
from dose_audit.texts import clean

# A cumulative series of three reports and a continued one, as scanners send them for one study.
CUMULATIVE = [
    ("1.2.1", {"1.8.1": 100.0}),
    ("1.2.2", {"1.8.1": 100.0, "1.8.2": 30.0}),
    ("1.2.3", {"1.8.1": 100.0, "1.8.2": 30.0, "1.8.3": 6.0}),
]


def _state(study: str = "1.2") -> tuple[Any, ...]:
    from dose_audit.store.models import Event, Exam, ReceivedObject

    exam = Exam.objects.get(study_instance_uid=study)
    events = Event.objects.filter(exam=exam).order_by("event_index")
    objects = ReceivedObject.objects.filter(study_instance_uid=study).order_by("sop_instance_uid")
    return (
        exam.ct_dlp_mgy_cm,
        exam.events_ct_dlp_mgy_cm,
        exam.event_count,
        exam.record,
        [(e.event_index, e.irradiation_event_uid, e.dlp_mgy_cm, e.rest) for e in events],
        [(o.sop_instance_uid, o.state) for o in objects],
    )


def test_one_report_becomes_typed_rows(writer: Any, ct_exam: Any, received: Any) -> None:
    from dose_audit.store.models import Event, Exam, ReceivedObject

    result = writer.ingest_parts([received(ct_exam("1.2", "1.2.1", {"1.8.1": 100.0, "1.8.2": 30.0}))])
    assert [(fate.spool_id, fate.state) for fate in result.fates] == [(1, "extracted")]
    exam = Exam.objects.select_related("site", "equipment").get()
    assert exam.site.name == "North"
    assert exam.equipment.display_name == "CT1"
    assert exam.study_datetime.isoformat() == "2024-03-05T10:20:30"
    assert exam.study_date.isoformat() == "2024-03-05"
    assert (exam.ct_dlp_mgy_cm, exam.ct_dlp_body_32cm_mgy_cm) == (130.0, 130.0)
    assert exam.procedure_codes == ["99LOCAL:CTCHEST"]
    assert exam.target_regions == ["SCT:51185008"]  # thoracic structure, the SNOMED CT pair of T-D3000
    assert exam.acquisition_protocols == ["Chest 1", "Chest 2"]
    first = Event.objects.get(event_index=1)
    assert (first.dlp_mgy_cm, first.kvp_kv, first.ctdi_phantom) == (100.0, 120.0, "body_32cm")
    assert (first.started_at.isoformat(), first.utc_offset) == ("2024-03-05T10:21:00", "+01:00")
    assert ReceivedObject.objects.get().kind == "ct_rdsr"


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_order_of_arrival_changes_nothing(order: tuple[int, ...], writer: Any, ct_exam: Any, received: Any) -> None:
    for position in order:
        sop, dlps = CUMULATIVE[position]
        writer.ingest_parts([received(ct_exam("1.2", sop, dlps), position + 1)])
    total, summed, count, _, events, objects = _state()
    assert (total, summed, count) == (136.0, 136.0, 3)
    assert [(uid, dlp) for _, uid, dlp, _ in events] == [("1.8.1", 100.0), ("1.8.2", 30.0), ("1.8.3", 6.0)]
    assert objects == [("1.2.1", "superseded"), ("1.2.2", "superseded"), ("1.2.3", "extracted")]


def test_batch_or_one_by_one_is_the_same(writer: Any, ct_exam: Any, received: Any) -> None:
    parts = [received(ct_exam("1.2", sop, dlps), n) for n, (sop, dlps) in enumerate(CUMULATIVE, start=1)]
    for part in copy.deepcopy(parts):
        writer.ingest_parts([part])
    one_by_one = _state()
    from dose_audit.store.models import Exam, ReceivedObject

    Exam.objects.all().delete()
    ReceivedObject.objects.all().delete()
    writer.ingest_parts(parts)
    assert _state() == one_by_one


def test_earlier_objects_that_move_are_told(writer: Any, ct_exam: Any, received: Any) -> None:
    writer.ingest_parts([received(ct_exam("1.2", *CUMULATIVE[0]), 1)])
    result = writer.ingest_parts([received(ct_exam("1.2", *CUMULATIVE[2]), 3)])
    assert [(fate.spool_id, fate.state) for fate in result.moved] == [(1, "superseded")]


def test_again_changes_nothing(writer: Any, ct_exam: Any, received: Any) -> None:
    part = received(ct_exam("1.2", *CUMULATIVE[1]), 1)
    writer.ingest_parts([copy.deepcopy(part)])
    before = _state()
    result = writer.ingest_parts([part])  # as after a stop between the store and the spool
    assert [fate.state for fate in result.fates] == ["extracted"]
    assert _state() == before


def test_an_identical_copy_is_a_duplicate(writer: Any, ct_exam: Any, received: Any) -> None:
    from dose_audit.store.models import ReceivedObject

    part = received(ct_exam("1.2", *CUMULATIVE[1]), 1)
    twin = received(ct_exam("1.2", *CUMULATIVE[1]), 2, sha256=part.sha256)
    third = received(ct_exam("1.2", *CUMULATIVE[1]), 3, sha256=part.sha256)
    result = writer.ingest_parts([part, twin])
    assert [fate.state for fate in result.fates] == ["extracted", "duplicate"]
    before = _state()
    for _ in range(2):  # the same copy twice is still one copy
        assert [f.state for f in writer.ingest_parts([copy.deepcopy(third)]).fates] == ["duplicate"]
    assert _state() == before
    assert ReceivedObject.objects.get().copies == [2, 3]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_same_uid_other_bytes_keeps_both_and_counts_the_newer(
    order: tuple[int, int], writer: Any, ct_exam: Any, received: Any
) -> None:
    from dose_audit.store.models import Exam, ReceivedObject

    older, newer = ct_exam("1.2", "1.2.1", {"1.8.1": 100.0}), ct_exam("1.2", "1.2.1", {"1.8.1": 90.0})
    newer.sources[0].content_datetime = "2024-03-05T18:00:00"
    parts = [received(older, 1), received(newer, 2)]
    told: dict[int | None, str] = {}
    for position in order:
        result = writer.ingest_parts([parts[position]])
        told.update((fate.spool_id, fate.state) for fate in (*result.moved, *result.fates))
    assert told == {1: "conflict", 2: "extracted"}  # the spool, which counts for `status`, hears what the store holds
    exam = Exam.objects.get()
    assert exam.ct_dlp_mgy_cm == 90.0
    assert exam.warning_codes == ["object_versions"]
    states = dict(ReceivedObject.objects.values_list("spool_id", "state"))
    assert states == {1: "conflict", 2: "extracted"}


def test_an_object_that_changes_study_leaves_no_ghost(writer: Any, ct_exam: Any, received: Any) -> None:
    from dose_audit.store.models import Event, Exam

    older, newer = ct_exam("1.2", "1.2.1", {"1.8.1": 100.0}), ct_exam("1.3", "1.2.1", {"1.8.1": 100.0})
    newer.sources[0].content_datetime = "2024-03-05T18:00:00"
    writer.ingest_parts([received(older, 1)])
    writer.ingest_parts([received(newer, 2)])
    assert [exam.study_instance_uid for exam in Exam.objects.all()] == ["1.3"]
    assert Event.objects.count() == 1


def test_what_carries_no_dose_is_on_record(writer: Any, received: Any) -> None:
    from dose_audit.store.models import Exam, ReceivedObject

    parts = [
        received(None, 1, state="not_relevant", reason="SOP Class 1.2.3 carries no dose"),
        received(None, 2, state="quarantined", reason="broken", sop_instance_uid=""),
        received(None, 3, state="quarantined", reason="broken", sop_instance_uid=""),
    ]
    result = writer.ingest_parts(parts)
    assert [fate.state for fate in result.fates] == ["not_relevant", "quarantined", "quarantined"]
    assert Exam.objects.count() == 0
    assert ReceivedObject.objects.count() == 3


def test_what_was_quarantined_can_be_read_later(writer: Any, ct_exam: Any, received: Any) -> None:
    from dose_audit.store.models import Exam, ReceivedObject

    writer.ingest_parts([received(None, 1, state="quarantined", reason="broken", sop_instance_uid="1.2.1")])
    writer.ingest_parts([received(ct_exam("1.2", *CUMULATIVE[0]), 1)])
    assert Exam.objects.count() == 1
    assert list(ReceivedObject.objects.values_list("state", "reason")) == [("extracted", None)]
    # And the other way: an engine that learnt to refuse it takes the exam away again.
    writer.ingest_parts([received(None, 1, state="quarantined", reason="worse", sop_instance_uid="1.2.1")])
    assert Exam.objects.count() == 0


def test_one_study_that_cannot_be_stored_takes_no_other_with_it(
    store: Any, ct_exam: Any, received: Any, caplog: pytest.LogCaptureFixture
) -> None:
    from dose_audit.extract import merge_parts
    from dose_audit.store.identity import protection
    from dose_audit.store.models import Exam
    from dose_audit.store.writing import Writer

    def merge(parts: Any) -> Exam:
        if parts[0].study_instance_uid == "1.3":
            raise KeyError("Doe^Jane")
        return merge_parts(parts)

    parts = [received(ct_exam(f"1.{n}", f"1.{n}.1", {f"1.{n}.8": 50.0}), n) for n in (2, 3, 4)]
    result = Writer(protection(store), merge=merge).ingest_parts(parts)
    assert [fate.state for fate in result.fates] == ["extracted", "quarantined", "extracted"]
    assert "KeyError" in result.fates[1].reason
    assert "Doe" not in result.fates[1].reason + caplog.text
    assert sorted(Exam.objects.values_list("study_instance_uid", flat=True)) == ["1.2", "1.4"]


def test_a_number_that_is_none_is_refused(writer: Any, ct_exam: Any, received: Any) -> None:
    bad = ct_exam("1.2", "1.2.1", {"1.8.1": float("nan")})
    [fate] = writer.ingest_parts([received(bad)]).fates
    assert fate.state == "quarantined"


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b", "a\x1b[31m\x0b\x9b\ufffeb\u202e", "é漢🫁", "x" * 5000])
def test_text_of_any_kind_is_stored(text: str, writer: Any, ct_exam: Any, received: Any) -> None:
    from dose_audit.store.models import Exam

    exam = ct_exam("1.2", "1.2.1", {"1.8.1": 1.0}, study_description=text)
    exam.events[0].comment = text
    assert [fate.state for fate in writer.ingest_parts([received(exam)]).fates] == ["extracted"]
    stored = Exam.objects.get().study_description
    assert stored == clean(text)[:1024]


def test_hostile_characters_do_not_make_the_order_matter(store: Any, ct_exam: Any, received: Any) -> None:
    """What is merged at once and what is read back from the store to be merged are the same texts."""
    from dose_audit.store.identity import protection
    from dose_audit.store.models import Event
    from dose_audit.store.writing import Writer

    uids = {f"1.8.{n}{mark}": 10.0 * n for n, mark in enumerate(("\x0b", "\07", "\x9b"), start=1)}
    for study, batches in (("1.3", [2]), ("1.4", [1, 1])):
        parts = [
            received(ct_exam(study, f"{study}.{n}", dict(list(uids.items())[: n + 1])), 10 * batches[0] + n)
            for n in (1, 2)
        ]
        for size in batches:
            Writer(protection(store)).ingest_parts([parts.pop(0) for _ in range(size)])
    events = Event.objects.order_by("event_index").values_list("irradiation_event_uid", "dlp_mgy_cm")
    assert list(events.filter(exam__study_instance_uid="1.3")) == list(events.filter(exam__study_instance_uid="1.4"))
    assert events.filter(exam__study_instance_uid="1.4").count() == 3


def test_whatever_django_writes_is_clean(store: Any) -> None:
    from dose_audit.store.findings import raise_finding
    from dose_audit.store.models import Finding, Site

    hostile = "CT\x1b[2J\0\ud800 胸部"
    Site.objects.create(name=hostile)
    assert Site.objects.get(name=hostile).name == "CT\ufffd[2J\ufffd 胸部"
    assert Site.objects.get_or_create(name=hostile)[1] is False
    for _ in range(2):
        raise_finding("outlier:1", "outlier", "act", hostile, hostile, evidence={hostile: [hostile, 1.5]})
    row = Finding.objects.get()
    assert row.subject == row.message == clean(hostile)
    assert row.evidence == {clean(hostile): [clean(hostile), 1.5]}


def test_unlawful_uids_stay_apart(writer: Any, ct_exam: Any, received: Any) -> None:
    from dose_audit.store.models import Exam

    long = "1." * 60
    parts = [received(ct_exam(f"{long}{n}", f"{long}9{n}", {f"1.8.{n}": 1.0}), n) for n in (1, 2)]
    nameless = received(ct_exam(None, "1.2.7", {"1.8.7": 1.0}), 3)
    writer.ingest_parts([*parts, nameless])
    assert Exam.objects.count() == 3


def test_no_identifier_reaches_the_disk(store: Any, writer: Any, ct_exam: Any, received: Any) -> None:
    from dose_audit.extract.exam import DoseCheck, Observer, Report
    from dose_audit.store.models import Exam

    exam = ct_exam("1.2", "1.2.1", {"1.8.1": 1.0})
    exam.accession_number, exam.study_id = "SECRETACC", "SECRETSTUDY"
    exam.patient.name, exam.patient.patient_id, exam.patient.birth_date = (
        "SECRETNAME",
        "SECRETID",
        "SECRETBIRTH",
    )
    exam.operators_name = exam.performing_physician_name = exam.referring_physician_name = "SECRETSTAFF"
    exam.report = Report(
        observers=[Observer(type="person", name="SECRETOBSERVER"), Observer(type="device", name="CT1")]
    )
    exam.events[0].dose_check = DoseCheck(person_name="SECRETCHECK")
    writer.ingest_parts([received(exam)])
    stored = Exam.objects.get()
    assert len(stored.accession_number) == 64
    assert stored.record["report"]["observers"][1]["name"] == "CT1"
    from django.db import connection

    if connection.vendor == "sqlite":
        connection.close()
        data = b"".join(path.read_bytes() for path in Path(store.home).glob("dose-audit.sqlite3*"))
        assert b"SECRET" not in data
    else:
        from dose_audit.store.models import Event, ReceivedObject

        rows = [*Exam.objects.values(), *Event.objects.values(), *ReceivedObject.objects.values()]
        assert "SECRET" not in repr(rows)


def test_writers_at_the_same_time_lose_and_double_nothing(store: Any, ct_exam: Any, received: Any) -> None:
    """Four writers, the same twelve studies, each study's three reports spread over them in different orders."""
    from django.db import connections

    from dose_audit.store.identity import protection
    from dose_audit.store.models import Equipment, Event, Exam, ReceivedObject
    from dose_audit.store.writing import Writer

    protect = protection(store)
    studies = [f"1.{n}" for n in range(100, 112)]

    def parts(study: str) -> list[Any]:
        number = int(study[2:]) * 10
        return [
            received(
                ct_exam(study, f"{study}.{n}", {f"{study}.8.{e}": dlp for e, dlp in enumerate(dlps.values())}),
                number + n,
            )
            for n, (_, dlps) in enumerate(CUMULATIVE)
        ]

    errors: list[BaseException] = []
    start = threading.Barrier(4, timeout=600)  # one that fails before it holds up none of the others for ever

    def run(turn: int) -> None:
        try:
            writer = Writer(protect)
            start.wait()
            for step in range(3):
                batch = [parts(study)[(turn + step + i) % 3] for i, study in enumerate(studies)]
                writer.ingest_parts(batch if turn % 2 else batch[::-1])
        except BaseException as error:  # noqa: BLE001  shown by the test itself
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(turn,)) for turn in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(600)
    assert errors == []
    assert Exam.objects.count() == 12
    assert set(Exam.objects.values_list("ct_dlp_mgy_cm", "event_count")) == {(136.0, 3)}
    assert Event.objects.count() == 36
    assert ReceivedObject.objects.count() == 36
    assert Equipment.objects.count() == 1


def test_a_failing_database_quarantines_nothing(writer: Any, ct_exam: Any, received: Any) -> None:
    from django.db import Error, connection

    from dose_audit.store.models import ReceivedObject

    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE store_event")
    with pytest.raises(Error):
        writer.ingest_parts([received(ct_exam("1.2", *CUMULATIVE[0]), 1)])
    assert ReceivedObject.objects.count() == 0


def test_slices_speak_for_each_other_and_fall_silent_beside_a_report(
    store: Any, writer: Any, ct_exam: Any, received: Any
) -> None:
    """Image headers of one acquisition: one event names one slice, yet each was needed; a report goes before them."""
    from dose_audit.store.models import Exam, ReceivedObject

    for n in (1, 2, 3):
        image = ct_exam("1.2", f"1.2.{n}", {"1.8.1": 100.0})
        image.sources[0].kind = image.events[0].source_kind = "image"
        image.sources[0].sop_class_uid = "1.2.840.10008.5.1.4.1.1.1.1"
        writer.ingest_parts([received(image, n)])
    assert Exam.objects.get().event_count == 1
    assert set(ReceivedObject.objects.values_list("state", flat=True)) == {"extracted"}
    writer.ingest_parts([received(ct_exam("1.2", "1.2.9", {"1.8.1": 101.0}), 9)])
    assert Exam.objects.get().event_count == 1
    states = dict(ReceivedObject.objects.values_list("sop_instance_uid", "state"))
    assert states == {"1.2.1": "superseded", "1.2.2": "superseded", "1.2.3": "superseded", "1.2.9": "extracted"}
