"""Tenfold slips are marked by a device's own history, whatever the order of arrival."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest


@pytest.mark.parametrize("slipped_first", [False, True])
def test_a_slipped_exam_is_marked_and_no_other(
    slipped_first: bool, store: Any, writer: Any, ct_exam: Any, received: Any
) -> None:
    from dose_audit.store.models import Equipment, Exam
    from dose_audit.store.slips import mark_unit_slips

    doses = np.exp(np.random.default_rng(5).normal(np.log(300.0), 0.3, 40))
    parts = [
        received(ct_exam(f"1.{n}", f"1.{n}.1", {f"1.{n}.8": float(dose)}), n) for n, dose in enumerate(doses, start=1)
    ]
    slipped = received(ct_exam("1.99", "1.99.1", {"1.99.8": 3000.0}), 99)
    for batch in ([slipped], parts) if slipped_first else (parts, [slipped]):
        writer.ingest_parts(batch)
        mark_unit_slips(Equipment.objects.values_list("pk", flat=True))
    marked = dict(Exam.objects.exclude(unit_slips=[]).values_list("study_instance_uid", "unit_slips"))
    assert marked == {"1.99": [{"quantity": "ct_dlp_mgy_cm", "decades": 1}]}
    assert mark_unit_slips(Equipment.objects.values_list("pk", flat=True)) == 0


def test_few_exams_say_nothing(store: Any, writer: Any, ct_exam: Any, received: Any) -> None:
    from dose_audit.store.models import Equipment
    from dose_audit.store.slips import mark_unit_slips

    for n, dose in enumerate([300.0] * 10 + [3000.0], start=1):
        writer.ingest_parts([received(ct_exam(f"1.{n}", f"1.{n}.1", {f"1.{n}.8": dose}), n)])
    assert mark_unit_slips(Equipment.objects.values_list("pk", flat=True)) == 0
