"""Phantom measurements in the store: once, never overwritten, beside their older selves; baselines only by rule."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pytest

from dose_audit.measured import Measured, not_measurable
from dose_audit.phantom.definition import Definition, Tolerance
from dose_audit.phantom.frames import Frame
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.results import Analysis, PhantomMeasurement
from dose_audit.phantom.series import ImageSeries
from dose_audit.texts import RoleError

LIMITS = Tolerance("hu.water", "HU", remedial=(-5.0, 5.0), source="a report", status="unconfirmed")


def _analysis(
    day: int, value: float, *, sha: str = "text 1", hour: int = 8, kvp: float = 120, station: str = "CT1"
) -> Analysis:
    header = {
        "Modality": "CT", "Rows": 8, "Columns": 8, "PixelSpacing": [1, 1], "SOPInstanceUID": f"1.2.{day}.{hour}.{station[-1]}",
        "SeriesInstanceUID": f"1.3.{day}", "StudyInstanceUID": f"1.4.{day}", "Manufacturer": "ACME", "StationName": station,
        "ManufacturerModelName": "Scan", "DeviceSerialNumber": f"7-{station}", "SoftwareVersions": "V1", "KVP": kvp,
        "AcquisitionDate": f"202401{day:02d}", "AcquisitionTime": f"{hour:02d}1500",
    }  # fmt: skip
    series = ImageSeries([Frame(header, lambda: np.zeros((8, 8)))])
    definition = Definition("water", "Water", ("CT",), "ct_uniform", sha256=sha, tolerances=(LIMITS,))
    measurements = [
        PhantomMeasurement(
            Measured("hu.water", value, "HU", 0.1),
            tolerance=LIMITS,
            judgement="pass" if abs(value) <= 5 else "remedial",
        ),
        PhantomMeasurement(not_measurable("mtf50", "/mm", "no edge")),
    ]
    return Analysis(definition, series, Pose(0.0, (4.0, 4.0), (1.0, 1.0)), measurements)


def _ingest(*args: Any, **more: Any) -> Any:
    from dose_audit.store.phantoms import ingest_measurements

    return ingest_measurements(_analysis(*args, **more), site="North")


def test_every_value_comes_back_with_what_belongs_to_it(store: Any) -> None:
    study, new = _ingest(3, 1.5)
    assert new
    water, mtf = study.measurements.order_by("name")
    assert (water.value, water.unit, water.uncertainty, water.judgement) == (1.5, "HU", 0.1, "pass")
    assert (water.tolerance.source, water.tolerance.remedial) == ("a report", [-5.0, 5.0])
    assert (mtf.value, mtf.status, mtf.reason) == (None, "not_measurable", "no edge")
    assert (study.site.name, study.acquired_at) == ("North", dt.datetime(2024, 1, 3, 8, 15))
    assert study.condition_key == "kvp_kv=120.0"


def test_the_same_analysis_again_writes_nothing(store: Any) -> None:
    from dose_audit.store.models import Measurement, PhantomStudy, Tolerance

    _ingest(3, 1.5)
    _, new = _ingest(3, 1.5)
    assert not new
    assert (PhantomStudy.objects.count(), Measurement.objects.count(), Tolerance.objects.count()) == (1, 2, 1)


def test_a_reanalysis_stands_beside_the_older_one(store: Any) -> None:
    from dose_audit.store.models import PhantomStudy

    old, _ = _ingest(3, 1.5)
    newer, new = _ingest(3, 1.7, sha="text 2")
    assert new
    assert list(PhantomStudy.objects.order_by("pk").values_list("current", flat=True)) == [False, True]
    assert old.measurements.get(name="hu.water").value == 1.5
    assert newer.measurements.get(name="hu.water").value == 1.7


def test_a_second_scan_on_the_same_day_is_marked_as_a_repeat(store: Any) -> None:
    first, _ = _ingest(3, 7.0, hour=8)
    second, _ = _ingest(3, 1.0, hour=9)
    other, _ = _ingest(3, 1.0, hour=10, kvp=80)
    assert [one.repeat_of_day for one in (first, second, other)] == [1, 2, 1]


def test_a_baseline_is_the_median_of_accepted_runs_with_frozen_limits(store: Any) -> None:
    from dose_audit.store.phantoms import baselines_in_force, set_baseline

    values = [0.0, 0.4, 0.1, 0.3, 0.2, 0.5, 0.1, 0.3]
    runs = [_ingest(day, value)[0] for day, value in enumerate(values, 1)]
    made = set_baseline(
        runs[0].equipment_id,
        "water",
        runs[0].condition_key,
        studies=[run.pk for run in runs],
        role="MPE",
        reason="acceptance",
    )
    # The edge could not be measured in any run and gets no baseline.
    assert [one.measurement for one in made] == ["hu.water"]
    sigma = np.abs(np.diff(values)).mean() / 1.128
    assert made[0].value == pytest.approx(0.25)
    assert (made[0].lower, made[0].upper) == pytest.approx((np.mean(values) - 3 * sigma, np.mean(values) + 3 * sigma))
    assert set(baselines_in_force(runs[0].equipment_id, "water", runs[0].condition_key)) == {"hu.water"}


def test_a_new_baseline_needs_a_recorded_event_a_role_and_runs_of_one_trend(store: Any) -> None:
    from dose_audit.store.phantoms import BaselineError, baselines_in_force, record_event, set_baseline

    first, _ = _ingest(3, 1.0)
    key, device = first.condition_key, first.equipment_id
    with pytest.raises(RoleError, match="names no role"):
        set_baseline(device, "water", key, studies=[first.pk], role=" ", reason="acceptance")
    set_baseline(device, "water", key, studies=[first.pk], role="MPE", reason="acceptance")
    later, _ = _ingest(20, 3.0)
    with pytest.raises(BaselineError, match="record the event"):
        set_baseline(device, "water", key, studies=[later.pk], role="MPE", reason="better so")
    event = record_event(device, "recalibration", dt.datetime(2024, 1, 15), role="engineer")
    set_baseline(device, "water", key, studies=[later.pk], role="MPE", reason="recalibrated", event=event)
    assert baselines_in_force(device, "water", key, dt.datetime(2024, 1, 10))["hu.water"].value == 1.0
    assert baselines_in_force(device, "water", key, dt.datetime(2024, 1, 25))["hu.water"].value == 3.0
    foreign, _ = _ingest(21, 3.0, station="CT2")
    with pytest.raises(BaselineError, match="belong to this device"):
        set_baseline(device, "water", key, studies=[foreign.pk], role="MPE", reason="mixed up")
    with pytest.raises(BaselineError, match="no kind of event"):
        record_event(device, "holiday", dt.datetime(2024, 1, 15), role="engineer")
    with pytest.raises(BaselineError, match="has not come yet"):
        record_event(device, "service", dt.datetime.now() + dt.timedelta(days=1), role="engineer")


def test_a_baseline_after_an_event_rests_on_runs_after_it_and_is_set_once(store: Any) -> None:
    from dose_audit.store.phantoms import BaselineError, baselines_in_force, record_event, set_baseline

    first, second, third = (_ingest(day, value)[0] for day, value in ((3, 1.0), (20, 3.0), (27, 3.5)))
    key, device = first.condition_key, first.equipment_id
    set_baseline(device, "water", key, studies=[first.pk], role="MPE", reason="acceptance")
    event = record_event(device, "part", dt.datetime(2024, 1, 15), role="engineer")
    with pytest.raises(BaselineError, match="1 of 2 runs were made before the event of 2024-01-15"):
        set_baseline(device, "water", key, studies=[first.pk, second.pk], role="MPE", reason="tube", event=event)
    set_baseline(device, "water", key, studies=[second.pk], role="MPE", reason="tube", event=event)
    with pytest.raises(BaselineError, match=r"has its baseline already for hu\.water"):
        set_baseline(device, "water", key, studies=[third.pk], role="MPE", reason="again", event=event)
    assert baselines_in_force(device, "water", key)["hu.water"].value == 3.0


def test_a_new_task_ends_the_one_before(store: Any) -> None:
    from dose_audit.store.models import QaTask
    from dose_audit.store.phantoms import set_task

    run, _ = _ingest(3, 1.0)
    set_task(run.equipment_id, "water", 7, since=dt.date(2024, 1, 1), role="MPE")
    set_task(run.equipment_id, "water", 1, since=dt.date(2024, 2, 1), role="MPE")
    ends = list(QaTask.objects.order_by("since").values_list("every_days", "until"))
    assert ends == [(7, dt.date(2024, 1, 31)), (1, None)]
