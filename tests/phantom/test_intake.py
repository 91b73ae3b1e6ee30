"""What a folder may hold besides good images: each costs itself and is named, none ends the run or fills the memory."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from dose_audit.phantom.analyse import analyse
from dose_audit.phantom.frames import Frame
from dose_audit.phantom.gather import gather, keep_within_memory
from dose_audit.phantom.series import ImageSeries
from dose_audit.phantom.stored import Changed

SIDE = 192  # its pixels are long enough to be left in the file


def _image(number: int = 1, *, modality: str = "CT", syntax: str = ExplicitVRLittleEndian, **more: Any) -> Dataset:
    """An even image, or a stack of them where Number Of Frames is given."""
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = syntax
    image.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    image.SOPInstanceUID, image.StudyInstanceUID, image.SeriesInstanceUID = f"1.2.3.{number}", "1.2", "1.2.3"
    image.Modality, image.InstanceNumber = modality, number
    image.Rows = image.Columns = SIDE
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit, image.PixelRepresentation, image.SamplesPerPixel = 15, 0, 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.PixelSpacing = [0.5, 0.5]
    image.ImageOrientationPatient, image.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, 5 * number]
    image.PixelData = np.full((SIDE, SIDE), 100 + number, dtype="<u2").tobytes()
    for keyword, what in more.items():
        setattr(image, keyword, what)
    return image


def _saved(folder: Path, *images: Dataset) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = []
    for number, image in enumerate(images):
        paths.append(folder / f"x{number}")
        image.save_as(paths[-1], enforce_file_format=True)
    return paths


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless]
)
def test_pixels_of_a_file_are_those_of_the_object_in_memory(tmp_path: Path, syntax: str) -> None:
    images = [_image(1), _image(2)]
    if syntax == RLELossless:
        for image in images:
            image.compress(RLELossless)
    else:
        for image in images:
            image.file_meta.TransferSyntaxUID = syntax
    (series,) = gather(_saved(tmp_path / "f", *images)).series
    assert [float(one.mean()) for one in series.volume] == [101.0, 102.0]
    series.let_go()
    assert series.held_bytes == 0
    assert [float(one.mean()) for one in series.volume] == [101.0, 102.0]


def test_a_file_without_meta_information_is_read_again_as_it_was_the_first_time(tmp_path: Path) -> None:
    image = _image(4, syntax=ImplicitVRLittleEndian)
    del image.file_meta
    pydicom.dcmwrite(tmp_path / "bare", image, implicit_vr=True, little_endian=True)
    assert b"DICM" not in (tmp_path / "bare").read_bytes()[:200]
    (series,) = gather(tmp_path / "bare").series
    series.let_go()
    assert float(series.volume.mean()) == 104.0


def test_frames_of_a_large_object_are_read_from_their_own_places(tmp_path: Path) -> None:
    values = np.arange(5, dtype="<u2")
    stack = np.repeat(values, SIDE * SIDE).reshape(5, SIDE, SIDE)
    image = _image(modality="XA", NumberOfFrames=5, PixelData=stack.tobytes())
    (series,) = gather(_saved(tmp_path / "f", image)).series
    assert [float(one.min()) for one in series.volume] == [float(one.max()) for one in series.volume] == list(values)


def test_pixels_that_are_gone_when_they_are_needed_again_are_told_and_never_left_out(tmp_path: Path) -> None:
    paths = _saved(tmp_path / "f", _image(1), _image(2), _image(3))
    (series,) = gather(paths).series
    series.let_go()
    os.truncate(paths[1], 40_000)
    with pytest.raises(Changed, match="changed or taken away"):
        _ = series.volume


def test_a_file_that_changes_between_header_and_pixels_is_left_out() -> None:
    def gone() -> np.ndarray:
        raise Changed

    header = {"Modality": "CT", "Rows": 8, "Columns": 8}
    series = ImageSeries([Frame(header, gone), Frame(header, lambda: np.ones((8, 8)))])
    assert len(series.volume) == 1
    assert "changed or taken away" in series.notes[-1]


def test_archives_that_are_broken_or_within_another_cost_themselves(tmp_path: Path) -> None:
    (inner,) = _saved(tmp_path / "f", _image())
    with zipfile.ZipFile(tmp_path / "f" / "inner.zip", "w") as opened:
        opened.write(inner)
    outer = tmp_path / "f" / "outer.zip"
    with zipfile.ZipFile(outer, "w") as opened:
        opened.write(tmp_path / "f" / "inner.zip", "inner.zip")
    broken = bytearray((tmp_path / "f" / "inner.zip").read_bytes())
    broken[200] ^= 0xFF
    (tmp_path / "f" / "broken.zip").write_bytes(bytes(broken))
    (tmp_path / "f" / "inner.zip").unlink()
    gathered = gather(tmp_path / "f")
    assert [len(series.frames) for series in gathered.series] == [1]
    aside = dict(gathered.left_aside)
    assert "cannot be unpacked" in aside["broken.zip"]
    assert "archive within an archive" in aside["inner.zip"]
    with pytest.raises(ValueError, match="cannot be unpacked"):
        gather(tmp_path / "f" / "broken.zip")


def test_links_in_a_loop_and_folders_that_cannot_be_listed_are_passed_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _saved(tmp_path / "f", _image())
    (tmp_path / "f" / "again").symlink_to(tmp_path / "f", target_is_directory=True)
    (tmp_path / "f" / "nowhere").symlink_to(tmp_path / "lost")
    (tmp_path / "f" / "locked").mkdir()
    right = Path.iterdir

    def listed(folder: Path) -> Any:
        if folder.name == "locked":
            raise PermissionError(13, "Permission denied", str(folder))
        return right(folder)

    monkeypatch.setattr(Path, "iterdir", listed)
    gathered = gather(tmp_path / "f")
    assert len(gathered.series) == 1
    assert gathered.left_aside == [("locked", "the file cannot be read (Permission denied)")]


def test_what_inflates_beyond_measure_is_refused_before_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dose_audit.phantom.stored._MAXIMUM_INFLATED_BYTES", 50_000)
    (path,) = _saved(tmp_path / "f", _image(syntax=DeflatedExplicitVRLittleEndian))
    assert path.stat().st_size < 10_000
    assert "inflates to more than" in gather(path).left_aside[0][1]
    assert "inflates to more than" in gather(path.read_bytes()).left_aside[0][1]


def test_a_text_that_pydicom_cannot_read_is_not_repeated(tmp_path: Path) -> None:
    image = _image(PatientName="SMITH^JOHN", PatientID="SMITH")
    (path,) = _saved(tmp_path / "f", image)
    raw = path.read_bytes()
    rows = raw.index(b"\x28\x00\x10\x00US")
    path.write_bytes(raw[: rows + 4] + b"SQ" + raw[rows + 6 :])
    told = str(gather(path).left_aside)
    assert gather(path).series == [] and "SMITH" not in told and str(tmp_path) not in told


def test_a_long_run_and_a_stack_beyond_memory_are_refused_without_reading_their_pixels() -> None:
    def never() -> np.ndarray:
        raise AssertionError("pixels were read")

    for modality, side, count, told in (
        ("RF", 1300, 65, "a run of 65 images"),
        ("MG", 3000, 60, "too large: 60 images"),
    ):
        header = {"Modality": modality, "Rows": side, "Columns": side, "ImagerPixelSpacing": [0.1, 0.1]}
        series = ImageSeries([Frame(header, never) for _ in range(count)])
        assert told in series.too_much
    image = _image(modality="RF", ImagerPixelSpacing=[0.1, 0.1], NumberOfFrames=65, Rows=1300, Columns=1300)
    [refused] = analyse(image).refused
    assert "a run of 65 images" in refused.reason and refused.series.held_bytes == 0


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"PixelSpacing": [1e-9, 1e-9]}, "cannot be"),
        ({"PixelSpacing": [1000, 1000]}, "cannot be"),
        ({"PixelSpacing": [0.5, 50]}, "cannot be"),
        ({"PixelSpacing": None}, "no pixel spacing"),
        ({"PixelSpacing": [0, 0]}, "no pixel spacing"),
        ({"Rows": 20}, "too few"),
        ({"Modality": "ECG"}, "there is none for ECG"),
        ({"StudyInstanceUID": ["1.2", "3.4"]}, "no known phantom"),
    ],
)
def test_headers_of_which_nothing_can_be_measured_are_refused_in_words(changed: dict[str, Any], told: str) -> None:
    outcome = analyse(_image(**changed))
    [refused] = outcome.refused
    assert told in refused.reason and not refused.defect


def test_pixels_that_are_no_numbers_or_colours_of_a_palette_are_left_out() -> None:
    values = np.ones((SIDE, SIDE), dtype="<f4")
    values[:48] = np.nan
    image = _image()
    del image.PixelData
    image.FloatPixelData, image.BitsAllocated = values.tobytes(), 32
    overflow = _image(2, RescaleSlope="1e38", RescaleIntercept="0")
    coloured = _image(3, PhotometricInterpretation="PALETTE COLOR")
    gathered = gather([image, overflow, coloured])
    told = " ".join(reason for _, reason in gathered.left_aside)
    assert gathered.series == []
    assert "100% of its pixels are no numbers" in told and "coloured by a palette" in told
    assert "25% of its pixels are no numbers" in " ".join(reason for _, reason in gather(image).left_aside)


def test_pixels_of_early_series_are_let_go_of_while_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    gathered = gather([_image(1), _image(2, SeriesInstanceUID="1.2.4"), _image(3, SeriesInstanceUID="1.2.5")])
    one = gathered.series[0].held_bytes
    assert [series.held_bytes for series in gathered.series] == [one] * 3 and one > 0
    monkeypatch.setattr("dose_audit.phantom.gather._HELD_BYTES", 2 * one)
    keep_within_memory(gathered.series)
    assert [series.held_bytes for series in gathered.series] == [0, one, one]


def test_an_mr_image_that_is_full_of_signal_shows_no_phantom() -> None:
    random = np.random.default_rng(1)
    values = random.normal(1000.0, 30.0, (SIDE, SIDE)).astype("<u2")
    image = _image(modality="MR", PixelSpacing=[1.3, 1.3], PixelData=values.tobytes())
    [refused] = analyse(image).refused
    assert "no known phantom recognised" in refused.reason
