"""What went in comes out again."""

from __future__ import annotations

import copy
from typing import Any

from dose_audit.extract import merge_parts
from dose_audit.extract.codes import Code
from dose_audit.extract.exam import ProjectionEvent
from dose_audit.extract.records import from_record


def test_a_stored_exam_reads_back_as_it_was_merged(store: Any, writer: Any, ct_exam: Any, received: Any) -> None:
    from dose_audit.store.identity import protect, protection
    from dose_audit.store.models import Exam
    from dose_audit.store.reading import exam_record

    exam = ct_exam("1.2", "1.2.1", {"1.8.1": 100.0, "1.8.2": 30.0})
    exam.events.append(
        ProjectionEvent(
            index=3, irradiation_event_uid="1.8.3", started_at="2024-03-05", kvp_kv=70.0, kap_gy_cm2=0.5,
            view=Code("399348003", "SCT", "antero-posterior"), source_sop_instance_uid="1.2.1", source_kind="ct_rdsr",
        )
    )  # fmt: skip
    expected = copy.deepcopy(exam)
    protect(expected, protection(store))
    expected = merge_parts([expected])
    writer.ingest_parts([received(exam)])
    assert from_record(exam_record(Exam.objects.get())) == expected
