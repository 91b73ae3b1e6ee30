"""Dw and SSDE from images that a site routes for it, in the store beside the exam and in what the audit reads."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dose_audit.config import Settings
from dose_audit.ingest import run_ingest, scan_paths
from dose_audit.receive.routing import Route
from tests.dosimetry.synthetic_ct import disc, paint, slab, write_slice
from tests.extract.sr_objects import CT, coded, container, num, report, text, uid

PIXEL, SIZE = 2.0, 160


@pytest.fixture
def home(tmp_path: Path, django_db_blocker: Any) -> Iterator[Settings]:
    from django.db import connections

    with django_db_blocker.unblock():
        routes = (Route("size", modality="CT"),)
        yield Settings(home=tmp_path / "home", min_free_bytes=0, batch_size=8, routes=routes)
        connections.close_all()


def write_scan(folder: Path, series: str, event: str | None, diameter_mm: float, **more: Any) -> None:
    """Three slices of water on a plate, with a CTDIvol of 10 mGy in the 32 cm phantom."""
    from pydicom.dataset import Dataset

    folder.mkdir(exist_ok=True)
    phantom = Dataset()
    phantom.CodeValue, phantom.CodingSchemeDesignator, phantom.CodeMeaning = (
        "113691",
        "DCM",
        "IEC Body Dosimetry Phantom",
    )
    image = paint(SIZE, SIZE * PIXEL, [slab(diameter_mm / 2, 20), disc(diameter_mm)])
    for index in range(3):
        facts = {
            "SeriesInstanceUID": series,
            "IrradiationEventUID": event,  # None deletes it
            "ImagePositionPatient": [0, 0, 5.0 * index],
            "CTDIvol": 10.0,
            "CTDIPhantomTypeCodeSequence": [phantom],
            "Manufacturer": "ACME",
            "StationName": "CT1",
            "StudyDate": "20260301",
            "AcquisitionType": "SPIRAL",
            **more,
        }
        write_slice(folder / f"{series}.{index}", image, PIXEL, **facts)


def estimates(quantity: str) -> dict[int, Any]:
    from dose_audit.store.models import DoseEstimate

    return {row.event_index: row for row in DoseEstimate.objects.filter(quantity=quantity, current=True)}


def test_each_event_has_the_size_that_its_images_show(home: Settings, tmp_path: Path) -> None:
    from dose_audit.store.models import Event

    write_scan(tmp_path / "ct", "1.2.3.1", "1.2.3.9", 200, AcquisitionNumber=1)
    write_scan(tmp_path / "ct", "1.2.3.2", "1.2.3.10", 260, AcquisitionNumber=2)
    scan_paths(home, [tmp_path / "ct"])
    run_ingest(home, workers=0)
    sizes, doses = estimates("water_equivalent_diameter"), estimates("ssde")
    events = {event.irradiation_event_uid: event for event in Event.objects.all()}
    for event_uid, diameter in (("1.2.3.9", 200.0), ("1.2.3.10", 260.0)):
        event = events[event_uid]
        assert sizes[event.event_index].value == pytest.approx(diameter, rel=0.005)
        expected = 10.0 * 3.704369 * math.exp(-0.03671937 * diameter / 10)  # AAPM 204, 32 cm phantom
        assert doses[event.event_index].value == pytest.approx(expected, rel=0.005)
        # What the audit reads: bands of Dw, and SSDE as a quantity.
        assert event.computed_wed_mm == pytest.approx(diameter, rel=0.005)
        assert event.computed_ssde_mgy == pytest.approx(expected, rel=0.005)


def test_series_without_event_uid_are_joined_by_their_own(home: Settings, tmp_path: Path) -> None:
    write_scan(tmp_path / "ct", "1.2.3.1", None, 200, AcquisitionNumber=4)
    scan_paths(home, [tmp_path / "ct"])
    run_ingest(home, workers=0)
    (size,) = estimates("water_equivalent_diameter").values()
    assert size.event_index is not None
    assert size.value == pytest.approx(200, rel=0.005)


def test_images_that_come_later_are_added(home: Settings, tmp_path: Path) -> None:
    write_scan(tmp_path / "one", "1.2.3.1", "1.2.3.9", 200, AcquisitionNumber=1)
    scan_paths(home, [tmp_path / "one"])
    run_ingest(home, workers=0)
    write_scan(tmp_path / "two", "1.2.3.2", "1.2.3.10", 260, AcquisitionNumber=2)
    scan_paths(home, [tmp_path / "two"])
    run_ingest(home, workers=0)
    found = sorted(row.value for row in estimates("water_equivalent_diameter").values())
    assert found == [pytest.approx(200, rel=0.005), pytest.approx(260, rel=0.005)]


def write_report(folder: Path) -> None:
    """The dose report of the scan: 12 mGy, where the images say 10."""
    folder.mkdir(exist_ok=True)
    scan = container(
        "113819",
        text("125203", "Abdomen"),
        coded("113820", "116152004@SCT"),
        uid("113769", "1.2.3.9"),
        container("113822", num("113825", "100", "mm")),
        container("113829", num("113830", "12", "mGy"), coded("113835", "113691"), num("113838", "120", "mGy.cm")),
    )
    totals = container("113811", num("113812", 1, "{events}"), num("113813", "120", "mGy.cm"))
    facts = {"StudyInstanceUID": "1.2.3", "StudyDate": "20260301", "Manufacturer": "ACME", "StationName": "CT1"}
    (folder / "report").write_bytes(report(CT, totals, scan, **facts))


@pytest.mark.parametrize("order", [("ct", "sr"), ("sr", "ct"), ("ct+sr",)], ids=" then ".join)
def test_sizes_are_the_same_whether_images_or_report_come_first(
    home: Settings, tmp_path: Path, order: tuple[str, ...]
) -> None:
    write_scan(tmp_path / "ct", "1.2.3.1", "1.2.3.9", 200, AcquisitionNumber=1)
    write_report(tmp_path / "sr")
    for step in order:
        scan_paths(home, [tmp_path / name for name in step.split("+")])
        run_ingest(home, workers=0)
    (size,), (dose,) = (estimates(name).values() for name in ("water_equivalent_diameter", "ssde"))
    assert size.value == pytest.approx(200, rel=0.005)
    # The report's CTDIvol goes before the images'; AAPM 204, 32 cm phantom.
    assert dose.value == pytest.approx(12.0 * 3.704369 * math.exp(-0.03671937 * 20), rel=0.005)
    assert size.event_index == dose.event_index is not None


def test_without_a_rule_no_pixel_is_read(home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    import dose_audit.dosimetry.ct_images as pixels

    def read(*_: Any) -> None:
        raise AssertionError("pixels were read")

    monkeypatch.setattr(pixels, "read_pooled", read)
    monkeypatch.setattr("dose_audit.dosimetry.ct_series.read_pooled", read)
    plain = replace(home, routes=())
    write_scan(tmp_path / "ct", "1.2.3.1", "1.2.3.9", 200)
    scan_paths(plain, [tmp_path / "ct"])
    assert run_ingest(plain, workers=0).estimated == 1
    assert not estimates("water_equivalent_diameter")
