"""Computed doses in the audit: SSDE and bands of diameter, the peak skin dose trigger, Dance's dose beside the AGD."""

from __future__ import annotations

import csv
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from dose_audit.audit.examine import examine
from dose_audit.drl import load_sets
from dose_audit.drl.tables import EXAMINATION_COLUMNS, ROW_COLUMNS

START = datetime(2026, 1, 1, 9, 0)
UNTIL = date(2026, 6, 30)
SLUG = "ct-chest-lung-cancer"  # what the acquisition protocol "Chest" of these tests is


def add_ct(stored, number, *, ssde, wed=300.0, phantom="body_32cm", equipment="Scanner 1", **event):
    """One chest CT with a computed SSDE and a reported diameter."""
    spiral = {
        "ct_acquisition_type": "spiral", "ctdi_vol_mgy": 5.0, "ctdi_phantom": phantom, "dlp_mgy_cm": 200.0,
        "computed_ssde_mgy": ssde, "water_equivalent_diameter_mm": wed,
    }  # fmt: skip
    when = START + timedelta(days=number)
    return stored.add_ct(when, 200.0, events=[spiral | event], equipment=equipment, weight_kg=70.0)


def of(entries, **wanted):
    return [entry for entry in entries if all(entry[name] == value for name, value in wanted.items())]


def test_ssde_is_grouped_without_regard_to_the_phantom(stored, audited):
    for number in range(21):
        add_ct(stored, number, ssde=6.0 + 0.1 * number, phantom="head_16cm" if number % 2 else "body_32cm")
    (group,) = of(audited(until=UNTIL).comparisons, quantity="SSDE")
    assert (group["n"], group["median"], group["unit"]) == (21, pytest.approx(7.0), "mGy")
    assert group["drl"] is None and group["verdict"] == "NO_DRL"


def test_where_no_ssde_is_known_there_is_no_group(stored, audited):
    for number in range(5):
        add_ct(stored, number, ssde=None)
    result = audited(until=UNTIL)
    assert of(result.comparisons, quantity="SSDE") == [] == result.sections["size_specific"]
    assert result.values["wed_mm"].to_pylist() == [300.0] * 10  # CTDIvol and DLP of five exams


@pytest.fixture
def banded(tmp_path: Path):
    """A set with levels of CTDIvol by water-equivalent diameter: 4 mGy below 250 mm, 9 mGy from there to 350 mm."""
    root = tmp_path / "banded"
    folder = root / "xx" / "xx-size" / "2025"
    folder.mkdir(parents=True)
    folder.joinpath("CHECK.md").write_text("made for a test\n", encoding="utf-8")
    folder.joinpath("set.toml").write_text(
        'set_id = "xx-size"\nedition = "2025"\ntitle = "Levels by size"\npublisher = "nobody"\nregion = "XX"\n'
        'url = "https://example.org"\nlicence = "none"\nstatus = "transcribed"\nstatistic = "median"\n'
        "retrieved_on = 2026-01-01\nvalid_from = 2025-01-01\nadult_from_years = 18\n",
        encoding="utf-8",
    )
    row = {
        "examination": SLUG, "examination_label": "Chest", "modality": "CT", "basis": "per_sequence",
        "patient_group": "adult", "band_type": "water_equivalent_diameter", "band_unit": "mm", "quantity": "CTDIvol",
        "unit": "mGy", "role": "drl", "statistic": "p50", "confidence": "primary", "note": "made for a test",
        "phantom": "body_32cm", "phantom_source": "primary",
    }  # fmt: skip
    bands = [("small", "200", "250", "4"), ("middle", "250", "350", "9")]
    with folder.joinpath("rows.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ROW_COLUMNS, restval="")
        writer.writeheader()
        for name, low, high, value in bands:
            writer.writerow(row | {"row_id": name, "band_low": low, "band_high": high, "value": value})
    with root.joinpath("examinations.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([EXAMINATION_COLUMNS, (SLUG, "Chest", "CT", "", "", "per_exam")])
    registry = load_sets(root, allow_unverified=True)
    assert [drl_set.set_id for drl_set in registry.sets] == ["xx-size"]
    return registry


def test_levels_by_diameter_answer_by_the_measured_size(stored, banded, mapping, tmp_path):
    sizes = [220.0] * 12 + [250.0] * 14 + [400.0] * 3 + [None] * 2
    for number, size in enumerate(sizes):
        add_ct(stored, number, ssde=6.0, wed=size)
    # Measured in the images, a size goes before the device's: this one is in the middle band.
    add_ct(stored, 40, ssde=6.0, wed=220.0, computed_wed_mm=300.0)
    folder = stored.write(tmp_path / "parquet")
    result = examine(
        folder, banded, mapping, banded.examinations, since=None, until=UNTIL, now=datetime(2026, 7, 1, 2, 0)
    )
    groups = of(result.comparisons, quantity="CTDIvol")
    assert {(group["drl"]["value"], group["n"]) for group in groups} == {(4.0, 12), (9.0, 15)}
    left = {row["reason"]: row["n"] for row in result.excluded}
    values = result.values.to_pylist()
    reasons = [row["reason"] for row in values if row["quantity"] == "CTDIvol" and not row["included"]]
    assert sorted(reasons) == ["MISSING_SIZE"] * 2 + ["OUT_OF_BAND"] * 3
    assert sum(left.values()) == 0  # their SSDE is compared: the exams are not left out


@pytest.mark.parametrize(("skin_mgy", "told"), [(2999.0, 0), (3000.0, 1)])
def test_a_peak_skin_dose_is_told_from_the_level_on(stored, audited, skin_mgy, told):
    stored.add(
        "XA", START, acquisition_protocol="PCI", dose_rp_mgy=4000.0, kap_gy_cm2=200.0, peak_skin_dose_mgy=skin_mgy
    )
    findings = [f for f in audited(until=UNTIL).findings if f.kind == "high_exposure"]
    assert len(findings) == told
    for finding in findings:
        assert finding.severity == "act" and "Peak skin dose (estimate) 3000 mGy (level 3000 mGy)" in finding.message
        (value,) = finding.evidence["values"]
        assert (value["quantity"], value["at_least"]) == ("peak_skin_dose", 3000.0)


def test_a_phantom_has_no_skin(stored, audited):
    stored.add("XA", START, acquisition_protocol="PCI", peak_skin_dose_mgy=9000.0, is_phantom=True)
    assert [f.kind for f in audited(until=UNTIL).findings] == ["not_a_patient"]


def test_dose_after_dance_stands_beside_the_devices(stored, audited):
    for number in range(20):
        views = [
            {"agd_mgy": 1.2, "computed_mgd_mgy": 1.0 + 0.01 * number, "compression_thickness_mm": 45.0},
            {"agd_mgy": 1.2, "compression_thickness_mm": 65.0},
            {"computed_mgd_mgy": 1.5, "compression_thickness_mm": 75.0},
        ]
        stored.add("MG", START + timedelta(days=number), equipment="MG 1", acquisition_protocol="CC", events=views)
    bins = {entry["low_mm"]: entry for entry in audited(until=UNTIL).sections["agd_by_thickness"]}
    beside = bins[40.0]["mgd"]
    assert (bins[40.0]["n"], beside["n"], beside["n_both"]) == (20, 20, 20)
    assert beside["median"] == pytest.approx(1.095)
    assert beside["median_ratio"] == pytest.approx((1.2 / 1.09 + 1.2 / 1.10) / 2)
    assert beside["disagree"] == 0
    assert bins[60.0]["mgd"] is None
    assert (bins[70.0]["n"], bins[70.0]["median"], bins[70.0]["mgd"]["median"]) == (0, None, pytest.approx(1.5))
    assert (bins[70.0]["mgd"]["n_both"], bins[70.0]["mgd"]["median_ratio"]) == (0, None)


def test_disagreement_by_more_than_a_quarter_is_counted(stored, audited):
    for number, agd in enumerate([1.0, 1.24, 1.26, 0.74, 13.0]):
        view = {"agd_mgy": agd, "computed_mgd_mgy": 1.0, "compression_thickness_mm": 45.0}
        stored.add("MG", START + timedelta(days=number), equipment="MG 1", acquisition_protocol="CC", events=[view])
    (entry,) = audited(until=UNTIL).sections["agd_by_thickness"]
    assert entry["mgd"]["disagree"] == 3


def test_dose_by_diameter_of_each_device(stored, audited):
    for number in range(30):
        size = (230.0, 290.0, 325.0)[number % 3]
        add_ct(stored, number, ssde=0.03 * size, wed=size, equipment=f"Scanner {number % 2}")
    entries = audited(until=UNTIL).sections["size_specific"]
    found = {(e["equipment"], e["low_mm"]): e for e in entries}
    assert set(found) == {(f"Scanner {n}", low) for n in (0, 1) for low in (200.0, 280.0, 320.0)}
    middle = found["Scanner 0", 280.0]
    assert (middle["high_mm"], middle["median_wed_mm"]) == (320.0, 290.0)
    assert (middle["ssde"]["n"], middle["ssde"]["median"]) == (5, pytest.approx(8.7))
    assert (middle["ctdi_vol"]["n"], middle["ctdi_vol"]["median"]) == (5, 5.0)
