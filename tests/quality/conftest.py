"""A store of one's own, and runs of a phantom with chosen values."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dose_audit.config import Settings
from dose_audit.measured import Measured
from dose_audit.phantom.definition import Definition, Tolerance
from dose_audit.phantom.frames import Frame
from dose_audit.phantom.judge import judge
from dose_audit.phantom.pose import Pose
from dose_audit.phantom.results import Analysis, PhantomMeasurement
from dose_audit.phantom.series import ImageSeries

NOISE = Tolerance(
    "noise", "HU", about="baseline_percent", remedial=(-10.0, 10.0), suspension=(-25.0, 25.0), source="a report"
)
WATER = Tolerance("water", "HU", remedial=(-5.0, 5.0), suspension=(-10.0, 10.0), source="a report")


@pytest.fixture
def home(tmp_path: Path, django_db_blocker: Any) -> Iterator[Settings]:
    """Settings of a fresh home whose store is migrated."""
    from django.db import connections

    from dose_audit.store.settings import prepare

    settings = Settings(home=tmp_path / "home", min_free_bytes=0)
    with django_db_blocker.unblock():
        prepare(settings)
        yield settings
        connections.close_all()


@pytest.fixture
def store_run(home: Settings) -> Callable[..., Any]:
    """Stores one run: ``store_run(when, noise=…, water=…, station=…, site=…, ctdi=…)``."""

    def store(
        when: dt.datetime,
        *,
        noise: float = 5.0,
        water: float = 0.0,
        station: str = "CT1",
        site: str = "North",
        ctdi: float | None = 10.0,
        software: str = "V1",
        text: str = "text",
    ) -> Any:
        from dose_audit.store.phantoms import (
            baselines_in_force,
            condition_key,
            conditions_of,
            equipment_of,
            ingest_measurements,
        )

        header = {
            "Modality": "CT", "Rows": 8, "Columns": 8, "PixelSpacing": [1, 1], "Manufacturer": "ACME",
            "SOPInstanceUID": f"1.2.{when:%Y%m%d%H%M}.{station[-1]}", "StationName": station, "KVP": 120,
            "ManufacturerModelName": "Scan", "DeviceSerialNumber": f"7-{station}", "SoftwareVersions": software,
            "AcquisitionDate": f"{when:%Y%m%d}", "AcquisitionTime": f"{when:%H%M%S}", "CTDIvol": ctdi,
        }  # fmt: skip
        series = ImageSeries([Frame(header, lambda: np.zeros((8, 8)))])
        definition = Definition("water-uniform", "Water", ("CT",), "ct_uniform", sha256=text, tolerances=(NOISE, WATER))
        analysis = Analysis(definition, series, Pose(0.0, (4.0, 4.0), (1.0, 1.0)), [])
        known = baselines_in_force(equipment_of(analysis), definition.id, condition_key(conditions_of(analysis)), when)
        accepted = {name: row.value for name, row in known.items()}
        found = (Measured("noise", noise, "HU"), Measured("water", water, "HU"))
        analysis.measurements = [judge(PhantomMeasurement(one), definition, baselines=accepted) for one in found]
        return ingest_measurements(analysis, site=site)[0]

    return store


@pytest.fixture
def accept() -> Callable[..., Any]:
    """Accepts runs of one trend as baseline."""

    def set_one(runs: list[Any], **more: Any) -> Any:
        from dose_audit.store.phantoms import set_baseline

        first = runs[0]
        return set_baseline(
            first.equipment_id, first.definition, first.condition_key,
            studies=[one.pk for one in runs], role="expert", reason="acceptance", **more,
        )  # fmt: skip

    return set_one
