"""Whatever order, mixture or container images come in, the series are the same and what is no image is named."""

import io
import random
import zipfile

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from dose_audit.phantom.gather import gather


def _image(number: int, z: float | None, *, series: str = "1.2.3", value: int = 100, **more) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.SOPInstanceUID = f"{series}.{number}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2", series
    dataset.Modality, dataset.InstanceNumber = "CT", number
    dataset.Rows = dataset.Columns = 16
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.PixelSpacing = [0.5, 0.25]
    dataset.SliceThickness = 5
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    if z is not None:
        dataset.ImagePositionPatient = [0, 0, z]
    for keyword, what in more.items():
        setattr(dataset, keyword, what)
    dataset.PixelData = np.full((16, 16), value, dtype="<u2").tobytes()
    return dataset


def _bytes(dataset: Dataset) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def test_order_comes_from_position_not_from_number_or_name():
    images = [_image(number, -3.0 * number, value=number) for number in range(10)]
    random.Random(4).shuffle(images)
    (series,) = gather(images).series
    assert list(series.z_mm) == [-27.0 + 3.0 * step for step in range(10)]
    assert [int(image.mean()) for image in series.volume] == [-1024 + number for number in range(9, -1, -1)]
    assert series.step_mm == 3.0
    assert series.thickness_mm == 5.0
    assert series.spacing_mm == (0.5, 0.25)


def test_without_positions_the_number_orders_and_it_is_said():
    (series,) = gather([_image(number, None) for number in (3, 1, 2)]).series
    assert [frame.instance_number for frame in series.frames] == [1, 2, 3]
    assert "no Image Position" in series.notes[0]


def test_one_position_for_different_planes_is_taken_for_none():
    images = [_image(number, 0.0, value=500 + 100 * number) for number in (3, 1, 2)]
    (series,) = gather(images).series
    assert [frame.instance_number for frame in series.frames] == [1, 2, 3]
    assert list(series.z_mm) == [0.0, 5.0, 10.0]
    assert "one Image Position" in series.notes[0]


def test_one_plane_scanned_again_and_again_stays_repeats():
    found = gather([_image(number, 0.0, value=500 + number % 2) for number in (3, 1, 2)]).series
    assert [len(series.frames) for series in found] == [1, 1, 1]


def test_a_gap_is_told():
    (series,) = gather([_image(n, 5.0 * n) for n in range(12) if n not in (6, 7)]).series
    assert "1 gap(s)" in series.notes[0]
    assert "25.0 mm" in series.notes[0]


def test_the_same_position_again_makes_a_second_series_to_pair():
    images = [_image(n, 5.0 * n) for n in range(3)] + [_image(10 + n, 5.0 * n) for n in range(3)]
    first, second = gather(images).series
    assert len(first.frames) == len(second.frames) == 3
    assert {frame.instance_number for frame in second.frames} == {10, 11, 12}


def test_an_object_that_came_twice_is_used_once():
    (series,) = gather([_image(1, 0.0), _image(1, 0.0), _image(2, 5.0)]).series
    assert len(series.frames) == 2
    assert "came twice" in series.notes[0]


def test_folder_zip_and_memory_give_the_same(tmp_path):
    images = [_image(n, 2.5 * n) for n in range(4)]
    folder = tmp_path / "folder" / "deeper"
    folder.mkdir(parents=True)
    for n, image in enumerate(images):
        (folder / f"x{n}").write_bytes(_bytes(image))
    (folder / "notes.txt").write_text("not an image")
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for path in folder.iterdir():
            opened.write(path, path.name)
    hashes = set()
    for source in (tmp_path / "folder", archive, [_bytes(image) for image in images]):
        gathered = gather(source)
        (series,) = gathered.series
        hashes.add(series.inputs_sha256)
        assert list(series.z_mm) == [0.0, 2.5, 5.0, 7.5]
        if source is not None and not isinstance(source, list):
            assert [name for name, _ in gathered.left_aside] == ["notes.txt"]
    assert len(hashes) == 1


def test_a_truncated_image_is_named_and_the_others_stay():
    images = [_image(1, 0.0, value=7), _image(2, 5.0), _image(3, 10.0, value=9)]
    images[1].PixelData = images[1].PixelData[:100]
    (series,) = gather(images).series
    assert list(series.z_mm) == [0.0, 10.0]
    assert [float(image.mean()) + 1024 for image in series.volume] == [7.0, 9.0]
    assert "image 2 left out" in series.notes[-1]
    assert "ends early" in series.notes[-1]


def test_enhanced_multiframe_is_one_series_with_its_own_positions():
    dataset = _image(1, None)
    del (
        dataset.ImageOrientationPatient,
        dataset.PixelSpacing,
        dataset.SliceThickness,
        dataset.RescaleSlope,
        dataset.RescaleIntercept,
    )
    dataset.NumberOfFrames = 3
    shared, measures, orientation, values = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.7, 0.7], 4
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    values.RescaleSlope, values.RescaleIntercept = 2, -10
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    shared.PixelValueTransformationSequence = [values]
    frames = []
    for z in (10.0, 0.0, 5.0):
        item, position = Dataset(), Dataset()
        position.ImagePositionPatient = [0, 0, z]
        item.PlanePositionSequence = [position]
        frames.append(item)
    dataset.SharedFunctionalGroupsSequence, dataset.PerFrameFunctionalGroupsSequence = [shared], frames
    dataset.PixelData = b"".join(np.full((16, 16), n, dtype="<u2").tobytes() for n in (3, 1, 2))
    (series,) = gather(_bytes(dataset)).series
    assert list(series.z_mm) == [0.0, 5.0, 10.0]
    assert [float(image.mean()) for image in series.volume] == [-8.0, -6.0, -4.0]
    assert (series.thickness_mm, series.spacing_mm) == (4.0, (0.7, 0.7))


@pytest.mark.parametrize(
    ("tags", "spacing", "said"),
    [
        ({"ImagerPixelSpacing": [0.2, 0.1]}, (0.2, 0.1), "plane of the detector"),
        (
            {"ImagerPixelSpacing": [0.2, 0.1], "EstimatedRadiographicMagnificationFactor": 1.25},
            (0.16, 0.08),
            "magnification 1.250",
        ),
        (
            {"ImagerPixelSpacing": [0.2, 0.2], "DistanceSourceToDetector": 1500, "DistanceSourceToPatient": 1000},
            (0.4 / 3, 0.4 / 3),
            "1.500",
        ),
        # A Pixel Spacing that differs from the imager's has been calibrated, and holds for the object.
        ({"ImagerPixelSpacing": [0.2, 0.2], "PixelSpacing": [0.15, 0.15]}, (0.15, 0.15), "Pixel Spacing"),
        (
            {
                "ImagerPixelSpacing": [0.2, 0.2],
                "PixelSpacing": [0.2, 0.2],
                "EstimatedRadiographicMagnificationFactor": 2,
            },
            (0.1, 0.1),
            "2.000",
        ),
    ],
)
def test_projection_spacing_in_the_plane_of_the_object(tags, spacing, said):
    image = _image(1, None, Modality="DX")
    del image.PixelSpacing
    for keyword, value in tags.items():
        setattr(image, keyword, value)
    (series,) = gather([image]).series
    assert series.spacing_mm == pytest.approx(spacing)
    assert said in series.first.spacing_source


def test_bits_above_those_stored_do_not_count():
    image = _image(1, 0.0)
    image.PixelData = np.full((16, 16), 0xF000 | 100, dtype="<u2").tobytes()
    (series,) = gather([_bytes(image)]).series
    assert float(series.volume.mean()) == 100 - 1024


def test_a_zip_that_inflates_beyond_what_it_states_is_refused(tmp_path):
    archive = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("zeros", b"\0" * 5_000_000)
    raw = bytearray(archive.read_bytes())
    # Both headers state one byte less than there is.
    for where in (22, raw.rindex(b"PK\x01\x02") + 24):
        raw[where : where + 4] = (1000).to_bytes(4, "little")
    archive.write_bytes(bytes(raw))
    with pytest.raises((ValueError, zipfile.BadZipFile)):
        gather(archive)
