"""Slices are folded as they come; the exam is the one that merging all of them at once gives, whatever the batches."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from dose_audit.extract import Exam, as_record, merge_parts, read_part
from tests.extract.made import CT, image

SLICE = {
    "Modality": "CT", "KVP": "120", "AcquisitionDate": "20240311", "AcquisitionTime": "101623",
    "ProtocolName": "Thorax", "IrradiationEventUID": "1.2.3.100", "StudyInstanceUID": "1.2",
    "SeriesInstanceUID": "1.2.5",
}  # fmt: skip


def slice_of(number: int, **elements: Any) -> Exam:
    varies = {"CTDIvol": 5 + number % 7 / 10, "XRayTubeCurrent": 150 + number % 9, "SOPInstanceUID": f"1.2.5.{number}"}
    part = read_part(image(CT, **{**SLICE, **varies, **elements}))
    assert isinstance(part, Exam)
    return part


def stored_exam() -> dict[str, Any]:
    from dose_audit.store.models import Exam as ExamRow
    from dose_audit.store.reading import exam_record

    return exam_record(ExamRow.objects.get())


def states() -> dict[str, tuple[str, str]]:
    from dose_audit.store.models import ReceivedObject

    rows = ReceivedObject.objects.values_list("sop_instance_uid", "sha256", "state", "kind")
    return {f"{sop} {sha256[-2:]}": (state, kind) for sop, sha256, state, kind in rows}


def dose(exam: dict[str, Any]) -> list[Any]:
    return [(event["irradiation_event_uid"], event["ctdi_vol_mgy"], event["images"]) for event in exam["events"]]


@pytest.mark.parametrize("seed", range(4))
def test_any_batches_in_any_order_give_the_exam_of_all_slices(
    store: Any, writer: Any, received: Any, seed: int
) -> None:
    numbers = list(range(1, 25))
    random.Random(seed).shuffle(numbers)
    while numbers:
        batch, numbers = numbers[: seed + 3], numbers[seed + 3 :]
        result = writer.ingest_parts(
            [
                received(slice_of(n, SeriesInstanceUID=f"1.2.5{n % 2}", IrradiationEventUID=f"9.{n % 2}"), n)
                for n in batch
            ]
        )
        assert {fate.state for fate in result.fates} == {"extracted"} and not result.moved
    whole = merge_parts(
        [slice_of(n, SeriesInstanceUID=f"1.2.5{n % 2}", IrradiationEventUID=f"9.{n % 2}") for n in range(1, 25)]
    )
    assert dose(stored_exam()) == dose(as_record(whole))
    assert sorted(kind for _, kind in states().values()) == ["image"] * 2 + ["slice"] * 22
    assert {state for state, _ in states().values()} == {"extracted"}


def test_a_slice_that_is_read_again_counts_once(store: Any, writer: Any, received: Any) -> None:
    for n in range(1, 6):
        writer.ingest_parts([received(slice_of(n), n)])
    once = dose(stored_exam())
    for n in (1, 3, 5):
        writer.ingest_parts([received(slice_of(n), n)])
    assert dose(stored_exam()) == once
    assert once[0][2]["count"] == 5


def test_a_copy_of_a_slice_changes_nothing(store: Any, writer: Any, received: Any) -> None:
    for n in range(1, 4):
        writer.ingest_parts([received(slice_of(n), n)])
    copy = received(slice_of(2), 2)
    copy.spool_id = 99
    assert [fate.state for fate in writer.ingest_parts([copy, received(slice_of(4), 4)]).fates] == [
        "duplicate",
        "extracted",
    ]
    assert dose(stored_exam())[0][2]["count"] == 4


@pytest.mark.parametrize("which", [1, 2])
def test_of_two_versions_of_a_slice_the_newer_counts(store: Any, writer: Any, received: Any, which: int) -> None:
    for n in range(1, 5):
        writer.ingest_parts([received(slice_of(n, ContentDate="20240311", ContentTime="101700"), n)])
    later = received(slice_of(which, CTDIvol=9.0, ContentDate="20240312", ContentTime="080000"), 50)
    writer.ingest_parts([later])
    writer.ingest_parts([received(slice_of(9), 9)])
    (event,) = stored_exam()["events"]
    assert event["images"]["count"] == 5 and event["images"]["ctdi_vol_mgy"]["max"] == 9.0
    assert sorted(state for state, _ in states().values()) == ["conflict"] + ["extracted"] * 5
    assert "object_versions" in {warning["code"] for warning in stored_exam()["warnings"]}


@pytest.mark.parametrize("report_first", [True, False])
def test_beside_a_report_every_slice_is_superseded(
    store: Any, writer: Any, received: Any, ct_exam: Any, report_first: bool
) -> None:
    report = received(ct_exam("1.2", "1.2.9", {"1.2.3.100": 101.0}), 90)
    slices = [received(slice_of(n), n) for n in range(1, 6)]
    order = [[report], slices[:3], slices[3:]] if report_first else [slices[:3], slices[3:], [report]]
    moved = [fate for batch in order for fate in writer.ingest_parts(batch).moved]
    assert sorted(state for state, _ in states().values()) == ["extracted"] + ["superseded"] * 5
    assert sorted(fate.spool_id for fate in moved) == ([] if report_first else [1, 2, 3, 4, 5])
    (event,) = stored_exam()["events"]
    assert (event["dlp_mgy_cm"], event["source_kind"]) == (101.0, "ct_rdsr")


def test_the_work_for_a_batch_does_not_grow_with_the_series(store: Any, writer: Any, received: Any) -> None:
    from django.db import connection

    fetched: list[int] = []

    def count(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        result = execute(sql, parameters, many, context)
        if sql.startswith("SELECT"):
            fetched[-1] += len(parameters or ())
        return result

    merged: list[int] = []
    inner = writer._merge
    writer._merge = lambda exams: merged.append(len(exams)) or inner(exams)
    for start in range(0, 60, 10):
        fetched.append(0)
        with connection.execute_wrapper(count):
            writer.ingest_parts([received(slice_of(n), n) for n in range(start + 1, start + 11)])
    assert merged == [1] * 6
    assert len(set(fetched[1:])) == 1


def test_slices_of_an_older_store_are_folded_when_the_next_comes(store: Any, writer: Any, received: Any) -> None:
    from dose_audit.store.models import ReceivedObject

    for n in range(1, 4):
        writer.ingest_parts([received(slice_of(n), n)])
    for row in ReceivedObject.objects.all():  # as they stood before slices were folded
        record = json.loads(row.part)
        record.pop("folded", None)
        row.kind, row.part = "image", json.dumps(record)
        row.save()
    writer.ingest_parts([received(slice_of(4), 4)])
    assert dose(stored_exam())[0][2]["count"] == 4
    assert sorted(kind for _, kind in states().values()) == ["image", "slice", "slice", "slice"]
