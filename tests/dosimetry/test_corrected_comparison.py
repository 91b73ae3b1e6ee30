"""The site's choice of what is compared: doses as displayed, or as a certificate corrects them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from dose_audit.audit.nightly import run_audit
from dose_audit.config import Settings, SettingsError, load_settings
from dose_audit.dosimetry import CalibrationFactor
from dose_audit.ingest import estimate_waiting, run_ingest, scan_paths
from tests.ingest.conftest import dicom_bytes, dx_dataset

UNTIL = dt.date(2024, 3, 31)


@pytest.fixture
def home(tmp_path: Path, django_db_blocker: Any) -> Iterator[Settings]:
    from django.db import connections

    with django_db_blocker.unblock():
        yield Settings(home=tmp_path / "home", min_free_bytes=0)
        connections.close_all()


def kap_values(settings: Settings, folder: Path) -> tuple[dict[str, Any], list[float]]:
    """The run's record and the values that were compared, ascending."""
    import json

    run_audit(settings, since=dt.date(2024, 3, 1), until=UNTIL, out=folder)
    (run,) = folder.iterdir()
    table = pq.read_table(run / "values.parquet")
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    rows = zip(table["quantity"].to_pylist(), table["value"].to_pylist(), strict=True)
    told = " ".join(entry["text"] for entry in report["methods"])
    assert ("as the device displays it" in told) is (settings.drl_doses == "displayed")
    assert ("as its calibration corrects it" in told) is (settings.drl_doses == "corrected")
    return report["run"], sorted(value for quantity, value in rows if quantity == "KAP")


def test_a_run_compares_what_the_site_chose_and_says_which(home: Settings, tmp_path: Path) -> None:
    from dose_audit.store.calibrations import add_calibration
    from dose_audit.store.devices import equipment_named

    folder = tmp_path / "dx"
    folder.mkdir()
    for number in range(1, 6):
        # Number 5 is on another device, which has no certificate.
        other = {"StationName": "DX2", "DeviceSerialNumber": "43"} if number == 5 else {}
        (folder / f"{number}.dcm").write_bytes(dicom_bytes(dx_dataset(number, **other)))
    scan_paths(home, [folder])
    run_ingest(home, workers=0)
    factor = CalibrationFactor("", "kap", 1.2, 0.04, dt.date(2024, 1, 1), certificate="K-17")
    add_calibration(equipment_named("DX1"), factor, entered_by="Medical physics")
    estimate_waiting(home, workers=0)

    shown = [0.125 + 0.1 * number for number in range(1, 6)]  # Gy·cm², as the headers say in dGy·cm²
    run, values = kap_values(home, tmp_path / "displayed")
    assert run["drl_doses"] == "displayed"
    assert values == pytest.approx(shown)
    run, values = kap_values(replace(home, drl_doses="corrected"), tmp_path / "corrected")
    assert run["drl_doses"] == "corrected"
    assert values == pytest.approx(sorted([*(1.2 * value for value in shown[:4]), shown[4]]))


def test_another_word_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dose-audit.toml").write_text('drl_doses = "calibrated"\n', encoding="utf-8")
    with pytest.raises(SettingsError, match="displayed"):
        load_settings(home=tmp_path, config=tmp_path / "dose-audit.toml")
