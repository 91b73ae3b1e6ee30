"""Whole series: the right images, one series an event, SSDE slice by slice."""

from __future__ import annotations

import functools
import math
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import ImplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from dose_audit.dosimetry import measure_series, series_ssde, series_water_equivalent_diameter
from tests.dosimetry.synthetic_ct import disc, paint, phantom_code, slab, write_slice

PIXEL = 1.5
SIZE = 256


@functools.cache
def water(diameter: float, pixel: float = PIXEL) -> np.ndarray:
    return paint(SIZE, SIZE * pixel, [slab(diameter / 2, 20), disc(diameter)])


def f32(diameter_mm: float) -> float:
    """AAPM 204, 32 cm phantom."""
    return 3.704369 * math.exp(-0.03671937 * diameter_mm / 10)


def test_mean_size_of_a_cone_of_cylinders(tmp_path: Path) -> None:
    for index, diameter in enumerate((180, 200, 220)):
        write_slice(tmp_path / f"{index}", water(diameter), PIXEL, ImagePositionPatient=[0, 0, 5.0 * index])
    (result,) = series_water_equivalent_diameter(tmp_path)
    assert result.value == pytest.approx(200, rel=0.005)
    assert result.details["z_mm"] == [0.0, 5.0, 10.0]
    assert result.details["dw_mm"] == pytest.approx([180, 200, 220], rel=0.005)


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"syntax": ImplicitVRLittleEndian},
        {"compress": RLELossless},
        {"compress": JPEG2000Lossless},
        {"PixelRepresentation": 0, "RescaleIntercept": -1024},
        {"DataSetTrailingPadding": b"\0" * 64},
    ],
    ids=["explicit", "implicit", "rle", "jpeg2000", "unsigned", "trailing padding"],
)
def test_every_encoding_gives_the_same_pixels(tmp_path: Path, how: dict[str, object]) -> None:
    path = write_slice(tmp_path / "slice", water(200), PIXEL, **how)
    (result,) = series_water_equivalent_diameter([path])
    assert result.value == pytest.approx(200, rel=0.005)


def test_paths_bytes_and_datasets_are_alike(tmp_path: Path) -> None:
    import pydicom

    path = write_slice(tmp_path / "slice", water(200), PIXEL)
    kinds = ([path], [str(path)], [path.read_bytes()], [pydicom.dcmread(path)], tmp_path)
    values = {series_water_equivalent_diameter(kind)[0].value for kind in kinds}
    assert len(values) == 1


def test_one_series_for_each_irradiation_event_the_widest(tmp_path: Path) -> None:
    for index in range(3):
        place = {"ImagePositionPatient": [0, 0, 3.0 * index]}
        write_slice(tmp_path / f"small{index}", water(200, 0.85), 0.85, SeriesInstanceUID="1.2.3.7", **place)
        write_slice(tmp_path / f"wide{index}", water(200), PIXEL, **place)
        write_slice(tmp_path / f"late{index}", water(160), PIXEL, IrradiationEventUID="1.9", **place)
    first, second = sorted(series_water_equivalent_diameter(tmp_path), key=lambda item: item.value or 0)
    assert (first.details["irradiation_event_uid"], second.details["irradiation_event_uid"]) == ("1.9", "1.2.3.9")
    assert second.details["reconstructions"] == 2
    assert second.details["series_instance_uid"] == "1.2.3.1"


@pytest.mark.parametrize(
    ("what", "word"),
    [
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "localizer"),
        ({"ImageType": ["DERIVED", "SECONDARY", "MPR"]}, "derived"),
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}, "not axial"),
        ({"PixelSpacing": None}, "spacing"),
        ({"RescaleIntercept": None}, "rescale"),
        ({"RescaleType": "mgml"}, "no CT numbers"),
        ({"RescaleType": "Z_EFF"}, "no CT numbers"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}, "not a CT image"),
    ],
)
def test_other_images_are_left_out_and_named(tmp_path: Path, what: dict[str, object], word: str) -> None:
    write_slice(tmp_path / "a", water(200), PIXEL, **what)
    (result,) = series_water_equivalent_diameter(tmp_path)
    assert result.value is None
    assert word in result.reason


def test_hostile_files_end_in_a_reason(tmp_path: Path) -> None:
    whole = write_slice(tmp_path / "a", water(200), PIXEL).read_bytes()
    (tmp_path / "cut").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "noise").write_bytes(b"\0\1\2" * 500)
    (tmp_path / "a").unlink()
    (result,) = series_water_equivalent_diameter(tmp_path)
    assert result.value is None
    assert result.reason


def test_without_files_there_is_a_reason(tmp_path: Path) -> None:
    (result,) = series_water_equivalent_diameter(tmp_path)
    assert (result.value, result.status) == (None, "not_measurable")


def test_slices_beside_the_patient_are_refused_and_told(tmp_path: Path) -> None:
    for index in range(4):
        image = water(200) if index else paint(SIZE, SIZE * PIXEL, [slab(100, 20)])
        write_slice(tmp_path / f"{index}", image, PIXEL, ImagePositionPatient=[0, 0, 5.0 * index])
    (result,) = series_water_equivalent_diameter(tmp_path)
    assert result.details["dw_mm"][0] is None
    assert result.status == "suspect"
    assert result.value == pytest.approx(200, rel=0.005)


def test_ssde_weighs_each_slice_with_its_own_ctdi(tmp_path: Path) -> None:
    for index, (diameter, ctdi) in enumerate(((160, 4.0), (240, 9.0), (300, 16.0))):
        place = {"ImagePositionPatient": [0, 0, 5.0 * index], "CTDIPhantomTypeCodeSequence": phantom_code("113691")}
        write_slice(tmp_path / f"{index}", water(diameter), PIXEL, CTDIvol=ctdi, **place)
    (result,) = series_ssde(tmp_path)
    expected = (4 * f32(160) + 9 * f32(240) + 16 * f32(300)) / 3
    assert result.value == pytest.approx(expected, rel=0.01)
    assert result.details["ctdi_vol_basis"] == "per slice"
    (scaled,) = series_ssde(tmp_path, ctdi_vol_mgy=2 * 29 / 3)
    assert scaled.value == pytest.approx(2 * expected, rel=0.01)


def test_ssde_follows_the_tube_current_when_ctdi_is_a_mean(tmp_path: Path) -> None:
    for index, (diameter, current) in enumerate(((160, 50), (300, 150))):
        place = {"ImagePositionPatient": [0, 0, 5.0 * index], "CTDIvol": 10.0, "XRayTubeCurrent": current}
        write_slice(tmp_path / f"{index}", water(diameter), PIXEL, **place)
    (result,) = series_ssde(tmp_path, phantom_cm=32)
    assert result.value == pytest.approx((5 * f32(160) + 15 * f32(300)) / 2, rel=0.01)
    assert "mA(z)" in result.method


def test_ssde_needs_the_phantom_and_a_dose(tmp_path: Path) -> None:
    write_slice(tmp_path / "a", water(200), PIXEL)
    size = measure_series(tmp_path)[0]
    assert "phantom" in series_ssde(size)[0].reason
    assert "CTDIvol" in series_ssde(size, phantom_cm=32)[0].reason
    assert series_ssde(size, phantom_cm=32, ctdi_vol_mgy=10)[0].value == pytest.approx(10 * f32(200), rel=0.005)


def test_neighbours_share_a_region_and_each_keeps_its_own_size(tmp_path: Path) -> None:
    diameters = [200 + 0.6 * index for index in range(12)]
    for index, diameter in enumerate(diameters):
        write_slice(tmp_path / f"{index}", water(diameter), PIXEL, ImagePositionPatient=[0, 0, float(index)])
    (size,) = measure_series(tmp_path)
    assert [item.value for item in size.slices] == [pytest.approx(diameter, rel=0.004) for diameter in diameters]
    assert size.dw.details["segmented"] < len(diameters)


def test_what_comes_in_beside_the_body_is_seen_in_the_slice_where_it_comes_in(tmp_path: Path) -> None:
    arm = disc(70, 20, (130, 0))
    for index in range(4):
        shapes = [disc(140), *([arm] if index >= 2 else [])]
        image = paint(SIZE, SIZE * PIXEL, shapes)
        write_slice(tmp_path / f"{index}", image, PIXEL, ImagePositionPatient=[0, 0, float(index)])
    (size,) = measure_series(tmp_path)
    both = math.sqrt(140**2 + 1.02 * 70**2)
    assert [item.value for item in size.slices] == [pytest.approx(value, rel=0.005) for value in (140, 140, both, both)]


def test_results_do_not_depend_on_the_order_of_the_files_nor_on_who_reads_them(tmp_path: Path) -> None:
    """Two acquisitions, each with two reconstructions of one width, phases at one position, and slices beyond the body."""
    import random
    from concurrent.futures import ThreadPoolExecutor

    pixel, size = 3.0, 128
    shown = [paint(size, size * pixel, [slab(100, 20), disc(across)]) for across in (200, 206, 230)]
    shown.append(paint(size, size * pixel, [slab(100, 20)]))
    paths = []
    for number, uid in enumerate(("1.2.3.5", "1.2.3.6", "1.2.3.7", "1.2.3.8")):
        for index, image in enumerate([*shown, shown[0]]):
            place = [0, 0, 15.0 * min(index, 3) + 400.0 * (number // 2)]
            facts = {"SeriesInstanceUID": uid, "IrradiationEventUID": None, "AcquisitionNumber": 2 - number // 2}
            paths.append(write_slice(tmp_path / f"{number}-{index}", image, pixel, ImagePositionPatient=place, **facts))

    def told(files: list[Path]) -> list[object]:
        return [
            (item.value, item.status, item.reason, item.details) for item in series_water_equivalent_diameter(files)
        ]

    orders = [paths, paths[::-1], random.Random(1).sample(paths, len(paths))]
    with ThreadPoolExecutor(2) as workers:
        first, *others = workers.map(told, orders)
    assert [item[3]["series_instance_uid"] for item in first] == ["1.2.3.8", "1.2.3.6"]
    assert all(item == first for item in others)
