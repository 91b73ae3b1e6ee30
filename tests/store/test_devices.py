"""Devices: recognised by what they say of themselves, placed by the register, never dropped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dose_audit.extract.exam import Equipment as Seen


@pytest.fixture
def devices(sqlite_store: Any) -> Any:
    from dose_audit.store.devices import Devices

    return Devices()


def _seen(**more: str) -> Seen:
    return Seen(manufacturer="ACME", model_name="Scan 3", **more)


SAME = [
    ("spelling", _seen(serial_number="7"), Seen(manufacturer="acme ", model_name="SCAN  3", serial_number="7")),
    (
        "a UID joins a report and an image",
        _seen(station_name="CT1", device_observer_uid="1.2"),
        _seen(station_name="CT1"),
    ),
    (
        "a renamed station keeps its UID",
        _seen(station_name="CT1", device_observer_uid="1.2"),
        _seen(station_name="CT9", device_observer_uid="1.2"),
    ),
    (
        "a new UID with each report, one serial number",
        _seen(serial_number="7", device_observer_uid="1.2"),
        _seen(serial_number="7", device_observer_uid="1.3"),
    ),
]
OTHER = [
    ("serial number", _seen(serial_number="7"), _seen(serial_number="8")),
    ("station", _seen(station_name="CT1"), _seen(station_name="CT2")),
    (
        "two UIDs behind a header without serial number",
        _seen(station_name="CT", device_observer_uid="1.2"),
        _seen(station_name="CT", device_observer_uid="1.3"),
    ),
]


@pytest.mark.parametrize(("first", "second"), [pair[1:] for pair in SAME], ids=[pair[0] for pair in SAME])
@pytest.mark.parametrize("turned", [False, True])
def test_one_device(first: Seen, second: Seen, turned: bool, devices: Any) -> None:
    if turned:
        first, second = second, first
    assert devices.resolve(first) == devices.resolve(second)


@pytest.mark.parametrize(("first", "second"), [pair[1:] for pair in OTHER], ids=[pair[0] for pair in OTHER])
def test_two_devices(first: Seen, second: Seen, devices: Any) -> None:
    assert devices.resolve(first) != devices.resolve(second)


def test_a_device_without_any_name_is_kept(devices: Any) -> None:
    from dose_audit.store.models import Equipment

    number = devices.resolve(Seen())
    assert Equipment.objects.get(pk=number).display_name == "Unknown device"
    assert devices.resolve(Seen()) == number


def test_names_in_reports_are_distinct(devices: Any) -> None:
    from dose_audit.store.models import Equipment

    for number in ("7", "8", "9"):
        devices.resolve(_seen(station_name="CT1", serial_number=number))
    assert sorted(Equipment.objects.values_list("display_name", flat=True)) == ["CT1", "CT1 (8)", "CT1 (9)"]


def test_a_report_can_show_every_name(devices: Any) -> None:
    from dose_audit.store.models import Equipment

    for serial, name in (("1", "CT\n\x1b[31m 1"), ("2", "x" * 5000), ("3", "x" * 5000)):
        devices.resolve(Seen(manufacturer="ACME", serial_number=serial, station_name=name))
    names = list(Equipment.objects.order_by("pk").values_list("display_name", flat=True))
    assert names == ["CT \ufffd[31m 1", "x" * 127 + "…", "x" * 127 + "… (3)"]


def test_software_is_known_from_its_first_study(store: Any, writer: Any, ct_exam: Any, received: Any) -> None:
    from dose_audit.store.models import EquipmentSoftware

    days = [("V2", "2024-05-01T08:00:00"), ("V1", "2024-02-01T08:00:00"), ("V2", "2024-04-01T08:00:00")]
    for n, (version, when) in enumerate(days, start=1):
        exam = ct_exam(f"1.{n}", f"1.{n}.1", {f"1.{n}.8": 1.0}, software_versions=version, study_datetime=when)
        writer.ingest_parts([received(exam, n)])
    rows = EquipmentSoftware.objects.order_by("first_study_date").values_list("software_versions", "first_study_date")
    assert [(version, day.isoformat()) for version, day in rows] == [
        ("V1", "2024-02-01"),
        ("V2", "2024-04-01"),
    ]


REGISTER = """station_name,serial_number,site,display_name,modality,since
CT1,77,South,CT one,,
CT1,77,East,CT one,,2024-03-06
RF9,,South,Theatre 9,RF,
,,South,,,
CT1,,,,,
XX,,South,,,soon
"""


def test_the_register_places_devices_over_time(store: Any, writer: Any, ct_exam: Any, received: Any) -> None:
    from dose_audit.store.models import Equipment, Exam
    from dose_audit.store.register import import_register

    def ingest(number: int, when: str) -> None:
        exam = ct_exam(f"1.{number}", f"1.{number}.1", {f"1.{number}.8": 1.0}, study_datetime=when)
        writer.ingest_parts([received(exam, number)])

    ingest(1, "2024-03-05T08:00:00")
    result = import_register(REGISTER)
    assert (result.devices, result.new_devices, result.moved_exams) == (2, 1, 1)
    assert [line for line, _ in result.refused] == [5, 6, 7]
    ingest(2, "2024-03-06T08:00:00")  # after the move; the way in said North
    sites = dict(Exam.objects.values_list("study_instance_uid", "site__name"))
    assert sites == {"1.1": "South", "1.2": "East"}
    assert Equipment.objects.filter(display_name="CT one").count() == 1
    again = import_register(REGISTER)
    assert (again.new_devices, again.moved_exams) == (0, 0)


def test_a_registered_device_is_met_by_its_first_exam(store: Any, writer: Any, ct_exam: Any, received: Any) -> None:
    from dose_audit.store.models import Equipment
    from dose_audit.store.register import import_register

    import_register("serial_number,site,display_name\n77,South,CT one\n")
    writer.ingest_parts([received(ct_exam("1.2", "1.2.1", {"1.8.1": 1.0}))])
    device = Equipment.objects.get()
    assert (device.display_name, device.station_name, device.manufacturer) == ("CT one", "CT1", "ACME")


ODD = """Station Name;Site;serial;Modality;Since
CT1;South;77;CT;

CT1;East;77;CT;
CT1;"North
wing";77;CT;2024-03-06
CT2;South;78;Computed tomography;
CT3;South;79;CT;2024-03-06;more
CT4;{}
CT5;South;80;CT;2024-03-06
"""


def test_rows_of_the_register_that_make_no_sense_are_named_as_the_spreadsheet_counts_them(sqlite_store: Any) -> None:
    from dose_audit.store.models import EquipmentSite, Site
    from dose_audit.store.register import import_register

    result = import_register(ODD.format("x" * 200_000))
    assert [row for row, _ in result.refused] == [4, 6, 7, 8]
    assert result.unknown_columns == ["serial"]
    assert result.devices == 2
    placed = EquipmentSite.objects.order_by("pk").values_list("equipment__station_name", "site__name")
    assert list(placed) == [("CT1", "South"), ("CT1", "North wing"), ("CT5", "South")]
    assert Site.objects.filter(name="East").count() == 0


def test_a_file_that_is_no_register_is_refused(sqlite_store: Any, tmp_path: Path) -> None:
    from dose_audit.store.register import import_register

    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="columns"):
        import_register(path)


def test_without_any_word_of_a_site_it_is_unassigned(store: Any, writer: Any, ct_exam: Any, received: Any) -> None:
    from dose_audit.store.models import Exam

    writer.ingest_parts([received(ct_exam("1.2", "1.2.1", {"1.8.1": 1.0}), site=None)])
    assert Exam.objects.get().site.name == "Unassigned"
