"""What is written: pydicom reads back what the truth says, and the same seed writes the same bytes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from dose_audit.phantom.digital import (
    Acquisition,
    Effects,
    NoiseModel,
    Pose,
    recipe,
    slice_positions,
    write_series,
)


def small(kind: str, **changes) -> tuple:
    """A recipe with fewer, coarser pixels."""
    phantom = recipe(kind)
    acquisition = replace(phantom.acquisition, **changes)
    return phantom, acquisition


def read(truth) -> list[pydicom.Dataset]:
    return [pydicom.dcmread(path) for path in truth.files]


def hu(ds: pydicom.Dataset) -> np.ndarray:
    return ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept)


def disc_mean(image: np.ndarray, entry: dict, spacing, share: float = 0.6) -> float:
    rows, columns = np.indices(image.shape)
    row, column = entry["row_column"]
    r = np.hypot((rows - row) * spacing[0], (columns - column) * spacing[1])
    return float(image[r <= share * entry["size_mm"][0] / 2].mean())


@pytest.fixture(scope="module")
def catphan(tmp_path_factory):
    phantom, acquisition = small(
        "catphan504",
        shape=(256, 256),
        spacing_mm=(0.9, 0.95),
        thickness_mm=3.0,
        z_mm=slice_positions(-15, 36, 1.5),
        noise=NoiseModel("white", 4.0),
    )
    pose = Pose(6.0, -9.0, 2.0, 17.0, 1.0, -1.5)
    folder = tmp_path_factory.mktemp("catphan")
    return write_series(folder, phantom, acquisition=acquisition, pose=pose, seed=11), pose


def test_inserts_are_found_where_and_as_what_the_truth_says(catphan):
    truth, _ = catphan
    images = read(truth)
    inserts = [f for f in truth.record["features"] if f["module"] == "ctp404" and f["size_mm"] == [12.2]]
    assert len(inserts) == 8
    for entry in inserts:
        found = disc_mean(hu(images[entry["slice"]]), entry, (0.9, 0.95))
        assert found == pytest.approx(entry["value"], abs=3.0)
        assert entry["rendered"] == pytest.approx(entry["value"], abs=0.05)


def test_headers_are_those_of_the_truth(catphan):
    truth, _ = catphan
    for ds, entry in zip(read(truth), truth.record["slices"], strict=True):
        assert ds.file_meta.MediaStorageSOPClassUID == "1.2.840.10008.5.1.4.1.1.2"
        assert [float(v) for v in ds.PixelSpacing] == truth.record["spacing_mm"] == [0.9, 0.95]
        assert float(ds.SliceThickness) == 3.0
        assert float(ds.ImagePositionPatient[2]) == pytest.approx(entry["z_mm"])
        assert float(ds.ImagePositionPatient[0]) == pytest.approx(-127.5 * 0.95)
        assert float(ds.ImagePositionPatient[1]) == pytest.approx(-127.5 * 0.9)
        assert ds.InstanceNumber == entry["instance_number"]
        assert ds.CTDIvol == 13.5
        assert float(ds.KVP) == 120
        assert ds.IrradiationEventUID == truth.record["series"][0]["irradiation_event_uid"]
    assert len({ds.SOPInstanceUID for ds in read(truth)}) == len(truth.files)
    assert json.loads((truth.folder / "truth.json").read_text()) == truth.record


def test_the_axis_of_the_body_is_where_each_slice_says(catphan):
    truth, _ = catphan
    rows, columns = np.indices((256, 256))
    for k in (0, 12, 34):
        body = hu(pydicom.dcmread(truth.files[k])) > -500
        # Inserts pull at the centre of gravity; the outline does not.
        span = [(rows[body].min() + rows[body].max()) / 2, (columns[body].min() + columns[body].max()) / 2]
        np.testing.assert_allclose(span, truth.record["slices"][k]["axis_row_column"], atol=0.8)


def test_modules_that_are_not_covered_have_no_slice(catphan):
    truth, pose = catphan
    modules = {m["name"]: m for m in truth.record["modules"]}
    assert modules["ctp486"]["slice"] is None
    at = modules["ctp528"]
    assert at["image_z_mm"] == pytest.approx(float(pose.to_image([0, 0, 30.0])[2]))
    assert abs(truth.record["slices"][at["slice"]]["z_mm"] - at["image_z_mm"]) <= 0.75


def test_the_same_seed_writes_the_same_bytes(tmp_path):
    phantom, acquisition = small("water", shape=(64, 64), spacing_mm=(4.0, 4.0), z_mm=(0.0, 5.0))
    first, again = (write_series(tmp_path / name, phantom, acquisition=acquisition, seed=3) for name in "ab")
    other = write_series(tmp_path / "c", phantom, acquisition=acquisition, seed=4)
    for a, b, c in zip(first.files, again.files, other.files, strict=True):
        assert a.read_bytes() == b.read_bytes()
        assert a.read_bytes() != c.read_bytes()
    assert (tmp_path / "a" / "truth.json").read_bytes() == (tmp_path / "b" / "truth.json").read_bytes()


def test_repeats_share_the_study_and_not_the_noise(tmp_path):
    phantom, acquisition = small("magnet-snr")
    truth = write_series(tmp_path, phantom, acquisition=acquisition, repeats=2)
    one, two = read(truth)
    assert one.StudyInstanceUID == two.StudyInstanceUID
    assert one.SeriesInstanceUID != two.SeriesInstanceUID
    part = np.s_[100:156, 100:156]
    difference = one.pixel_array[part].astype(float) - two.pixel_array[part]
    assert difference.std() / 2**0.5 == pytest.approx(8.0, rel=0.05)


def test_reversed_gapped_and_shuffled(tmp_path):
    z = slice_positions(-4, 4, 2.0, missing=(1,), reverse=True)
    phantom, acquisition = small("water", shape=(48, 48), spacing_mm=(5.0, 5.0), z_mm=z)
    truth = write_series(tmp_path, phantom, acquisition=acquisition, shuffle=True, seed=2)
    by_number = sorted(read(truth), key=lambda ds: ds.InstanceNumber)
    assert [float(ds.ImagePositionPatient[2]) for ds in by_number] == [4.0, 2.0, 0.0, -4.0]
    names = [Path(entry["file"]).name for entry in truth.record["slices"]]
    assert sorted(names) != names
    for entry in truth.record["slices"]:
        assert float(pydicom.dcmread(tmp_path / entry["file"]).SliceLocation) == entry["z_mm"]


def test_end_for_end_slices_cover_the_turned_phantom():
    phantom = recipe("catphan504")
    turned = phantom.acquisition.following(10.0, end_for_end=True)
    pose = Pose(z_mm=10.0, end_for_end=True)
    for along in phantom.modules.values():
        at = pose.to_image([0.0, 0.0, along])[2]
        assert min(turned.z_mm) < at < max(turned.z_mm)
    assert list(turned.z_mm) == sorted(turned.z_mm)


def test_enhanced_mr_has_all_slices_in_one_object(tmp_path):
    phantom, acquisition = small("acr-mri-large", noise=NoiseModel(), enhanced=True)
    plain = write_series(tmp_path / "a", phantom, acquisition=replace(acquisition, enhanced=False))
    truth = write_series(tmp_path / "b", phantom, acquisition=acquisition)
    (ds,) = read(truth)
    assert ds.SOPClassUID == "1.2.840.10008.5.1.4.1.1.4.1"
    assert ds.NumberOfFrames == 11
    assert "PixelSpacing" not in ds
    shared = ds.SharedFunctionalGroupsSequence[0]
    assert float(shared.PixelMeasuresSequence[0].SliceThickness) == 5.0
    assert float(shared.PixelMeasuresSequence[0].PixelSpacing[0]) == pytest.approx(250 / 256)
    frames = ds.PerFrameFunctionalGroupsSequence
    assert [float(f.PlanePositionSequence[0].ImagePositionPatient[2]) for f in frames] == list(acquisition.z_mm)
    assert np.array_equal(ds.pixel_array, np.stack([d.pixel_array for d in read(plain)]))


def test_wedge_features_tell_how_far_the_slice_is_off(tmp_path):
    phantom, acquisition = small("acr-mri-large", noise=NoiseModel(), effects=Effects())
    acquisition = replace(acquisition, z_mm=(0.0, 100.0), spacing_mm=(0.5, 0.5), shape=(420, 420))
    truth = write_series(tmp_path, phantom, acquisition=acquisition, pose=Pose(z_mm=-1.5))
    for name, ds in zip(("wedges slice 1", "wedges slice 11"), read(truth), strict=True):
        entry = truth.feature(name)
        assert entry["slice_offset_mm"] == pytest.approx(1.5)
        # A bar's length is its missing signal.
        column = 209.5 + np.array([-2.8, 2.8]) / 0.5
        lengths = [
            (1000.0 - ds.pixel_array[25:130, round(c) - 1 : round(c) + 2].mean(axis=1)).sum() * 0.5e-3 for c in column
        ]
        difference = entry["bar_difference_per_offset"] * entry["slice_offset_mm"]
        assert lengths[1] - lengths[0] == pytest.approx(difference, abs=0.1)


def test_magnified_projections_carry_the_factor(tmp_path):
    phantom, acquisition = small("leeds-tor18-xa", shape=(512, 512), spacing_mm=(0.46, 0.46), noise=NoiseModel())
    truth = write_series(tmp_path, phantom, acquisition=acquisition, pose=Pose(2.0, -3.0, 0.0, 30.0))
    (ds,) = read(truth)
    assert ds.Modality == "XA"
    assert "PixelSpacing" not in ds
    factor = float(ds.EstimatedRadiographicMagnificationFactor)
    assert factor == pytest.approx(float(ds.DistanceSourceToDetector) / float(ds.DistanceSourceToPatient), rel=1e-4)
    # Two discs, 120.6 mm apart on the phantom.
    at = [np.array(truth.feature(f"disc {k}")["row_column"]) for k in (1, 10)]
    apart = np.hypot(*(at[0] - at[1])) * float(ds.ImagerPixelSpacing[0]) / factor
    assert apart == pytest.approx(2 * 60.3, abs=0.01)
    found = disc_mean(ds.pixel_array.astype(float), truth.feature("disc 1"), (0.46, 0.46))
    assert found == pytest.approx(2300 * (1 - 0.167), abs=1.0)


def test_both_polarities(tmp_path):
    phantom, acquisition = small("leeds-tor18", shape=(256, 256), spacing_mm=(0.8, 0.8), noise=NoiseModel())
    up = read(write_series(tmp_path / "a", phantom, acquisition=acquisition))[0]
    inverted = replace(acquisition, effects=Effects(inverted=True))
    down = read(write_series(tmp_path / "b", phantom, acquisition=inverted))[0]
    assert (up.PhotometricInterpretation, down.PhotometricInterpretation) == ("MONOCHROME2", "MONOCHROME1")
    assert np.abs(up.pixel_array.astype(int) + down.pixel_array - 16383).max() <= 1


@pytest.mark.parametrize(
    ("kind", "sop_class", "keyword"),
    [
        ("flat-dx", "1.2.840.10008.5.1.4.1.1.1.1.1", "ImagerPixelSpacing"),
        ("flat-cr", "1.2.840.10008.5.1.4.1.1.1", "PixelSpacing"),
        ("pmma-al", "1.2.840.10008.5.1.4.1.1.1.2.1", "ImagerPixelSpacing"),
        ("nm-flood", "1.2.840.10008.5.1.4.1.1.20", "PixelSpacing"),
        ("magnet-geometry", "1.2.840.10008.5.1.4.1.1.4", "PixelSpacing"),
    ],
)
def test_modalities(tmp_path, kind, sop_class, keyword):
    phantom = recipe(kind)
    acquisition = replace(phantom.acquisition, shape=(96, 96))
    truth = write_series(tmp_path, phantom, acquisition=acquisition)
    ds = pydicom.dcmread(truth.files[0])
    assert ds.SOPClassUID == ds.file_meta.MediaStorageSOPClassUID == sop_class
    assert [float(v) for v in ds[keyword].value] == pytest.approx(list(acquisition.spacing_mm))
    assert ds.pixel_array.shape[-2:] == (96, 96)


def test_nm_frames_count_their_counts(tmp_path):
    truth = write_series(tmp_path, recipe("nm-flood"))
    ds = pydicom.dcmread(truth.files[0])
    assert ds.NumberOfFrames == 1
    counts = ds.pixel_array.sum()
    assert ds.CountsAccumulated == counts
    # Area of the field over that of a pixel, times the counts of a pixel; Poisson has an SD of its root.
    expected = 533.0 * 387.0 / 4.8**2 * 10_000
    assert counts == pytest.approx(expected, abs=5 * expected**0.5)


def test_pet_slices_rescale_to_their_activity(tmp_path):
    phantom = recipe("pet-cylinder")
    acquisition = replace(phantom.acquisition, z_mm=(-110.0, -6.54, 0.0), noise=NoiseModel())
    truth = write_series(tmp_path, phantom, acquisition=acquisition)
    images = read(truth)
    assert hu(images[2])[95:105, 95:105].mean() == pytest.approx(6668.0, rel=1e-4)
    assert hu(images[0]).max() == pytest.approx(0.0, abs=1e-6)
    dose = float(images[0].RadiopharmaceuticalInformationSequence[0].RadionuclideTotalDose)
    assert dose / phantom.expected["volume_ml"] == pytest.approx(6668.0, rel=1e-3)


def test_table_bubble_and_padding(tmp_path):
    phantom = recipe("water")
    effects = Effects(table=True, bubble_mm=15.0, padding=-2000.0)
    acquisition = replace(
        phantom.acquisition, shape=(300, 300), spacing_mm=(1.5, 1.5), z_mm=(0.0,), noise=NoiseModel(), effects=effects
    )
    image = hu(read(write_series(tmp_path, phantom, acquisition=acquisition))[0])
    assert (image[:5, :5] == -2000).all()
    y = (np.arange(300) - 149.5) * 1.5
    column = image[:, 150]
    assert (column[(y > -94.5 + 2) & (y < -94.5 + 13)] < -900).all()  # the bubble, under the wall
    assert column[np.abs(y + 97.2).argmin()] > -300  # the wall is still there
    assert column[(y > 100) & (y < 115)].max() > -800  # the table's upper skin


def test_what_cannot_be_made_is_refused(tmp_path):
    phantom = recipe("magnet-snr")
    with pytest.raises(ValueError, match="modality"):
        write_series(tmp_path, phantom, acquisition=Acquisition("US", (8, 8), (1.0, 1.0)))
    with pytest.raises(ValueError, match="at least one"):
        write_series(tmp_path, phantom, repeats=0)
    with pytest.raises(KeyError, match="catphan504"):
        recipe("catphan505")
    with pytest.raises(ValueError, match="no slices"):
        slice_positions(5.0, 0.0, 1.0)
