"""Sizes and doses of real objects: water phantoms have the diameters written on them."""

from __future__ import annotations

from pathlib import Path

import pytest

from dose_audit.dosimetry import exam_dosimetry, measure_series, series_ssde
from dose_audit.extract import read_exams


def test_siemens_water_phantom_is_20_cm(real_dir: Path) -> None:
    sizes = {size.dw.details["series_instance_uid"]: size for size in measure_series(real_dir / "ct-siemens-water")}
    whole = [size for size in sizes.values() if size.dw.value is not None]
    assert [len(size.images) for size in whole] == [3, 6]  # the wire's field of view of 5 cm is refused
    for size in whole:
        # 20 cm of water in a wall of plastic, a little denser than water.
        assert size.dw.value == pytest.approx(201, abs=1.5)
        assert size.dw.details["effective_diameter_mm"] == pytest.approx(200, abs=1.5)
    head, body = (series_ssde(size)[0] for size in whole)
    assert head.value == pytest.approx(63.33 * 0.861, rel=0.01)  # AAPM 204 table 2D, 20 cm: 0.86
    assert body.value == pytest.approx(14.14 * 1.77, rel=0.01)  # table 1D, 20 cm: 1.78


def test_catphan_is_20_cm_without_its_annulus(real_dir: Path) -> None:
    (size,) = measure_series(real_dir / "ct-catphan504-cbct")
    assert size.dw.details["effective_diameter_mm"] == pytest.approx(200, abs=2)
    assert size.dw.value == pytest.approx(202, abs=4)
    assert len(size.slices) == 64


def test_ge_daily_phantom(real_dir: Path) -> None:
    sizes = measure_series(real_dir / "ct-ge-qa")
    assert len(sizes) == 3  # three positions without event UIDs
    for size in sizes:
        assert size.dw.details["effective_diameter_mm"] == pytest.approx(216, abs=2)


def test_real_reports_give_plausible_doses_or_reasons(real_dir: Path) -> None:
    limits = {
        "ssde": (0.1, 300),
        "effective_dose": (0.01, 60),
        "mean_glandular_dose": (0.1, 5),
        "administered_activity": (1, 2000),
        "activity_per_kg": (0.05, 30),
        "deviation_index": (-15, 15),
    }
    seen = set()
    for exam in read_exams([str(real_dir / "dose")]):
        for item in exam_dosimetry(exam, allow_unverified=True):
            low, high = limits[item.name]
            if item.value is None:
                assert item.reason
            else:
                seen.add(item.name)
                assert low <= item.value <= high, (item.name, item.value)
    assert {"effective_dose", "mean_glandular_dose", "administered_activity", "deviation_index"} <= seen


def test_hologic_agd_agrees_with_dance(real_dir: Path) -> None:
    ratios = [
        item.details["machine_ratio"]
        for exam in read_exams([str(real_dir / "dose")])
        for item in exam_dosimetry(exam)
        if item.name == "mean_glandular_dose" and item.value is not None
    ]
    assert ratios
    assert all(0.9 < ratio < 1.15 for ratio in ratios)
