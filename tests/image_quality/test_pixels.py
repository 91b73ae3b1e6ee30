"""Stored values frame by frame, wherever the pixel data stand and whatever lies above the stored bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dose_audit.extract import read_object
from dose_audit.extract.errors import Malformed, ReadError, TooLarge
from dose_audit.image_quality.pixels import PixelFormat, PixelReader, without_high_bits

TRUTH = np.random.default_rng(5).integers(-900, 2000, (3, 16, 24)).astype("<i2")


def write(
    path: Path, *, syntax: str = "1.2.840.10008.1.2.1", tail: bool = False, compress: str = "", bits: int = 16
) -> Path:
    from pydicom.dataset import FileDataset, FileMetaDataset

    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = syntax, "1.2.840.10008.5.1.4.1.1.2.1"
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    ds = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = meta.MediaStorageSOPClassUID, "1.2.3", "CT"
    ds.NumberOfFrames, ds.Rows, ds.Columns = TRUTH.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, bits, bits - 1, 1
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.PixelData = TRUTH.tobytes()
    if compress:
        ds.compress(compress)
    if tail:
        ds.DataSetTrailingPadding = b"\0" * 50
    ds.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize(
    "how",
    [{}, {"syntax": "1.2.840.10008.1.2"}, {"tail": True}, {"compress": "1.2.840.10008.1.2.5"}],
    ids=["explicit", "implicit", "with a tail", "RLE"],
)
def test_frames_one_by_one_and_all_together(tmp_path: Path, how: dict[str, object]) -> None:
    path = write(tmp_path / "a.dcm", **how)  # type: ignore[arg-type]
    form, reader = PixelFormat.of(read_object(path)), PixelReader()
    for source in (path, path.read_bytes()):
        for index in (2, 0, 1):
            assert np.array_equal(reader.stored(source, form, index), TRUTH[index])
        assert np.array_equal(reader.stored(source, form), TRUTH)
    with pytest.raises(ValueError, match="frame 3 of 3"):
        reader.stored(path, form, 3)


def test_a_file_that_ends_early_or_is_too_large_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dcm")
    form = PixelFormat.of(read_object(path))
    with pytest.raises(TooLarge):
        PixelReader(object_bytes=100).stored(path, form)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ReadError):
        PixelReader().stored(path, form)


def test_what_lies_above_the_stored_bits_is_dropped_with_the_sign_kept() -> None:
    twelve = np.array([[5, 2047], [-1, -2048]], "<i2")
    overlaid = (twelve.view("<u2") & 0x0FFF | 0x5000).view("<i2")
    assert without_high_bits(overlaid, 4).tolist() == twelve.tolist()
    assert without_high_bits(twelve, 4) is twelve


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5])
def test_values_above_the_announced_bits_are_kept_where_only_the_header_is_wrong(share: float) -> None:
    rng = np.random.default_rng(5)
    smooth = np.add.outer(np.linspace(0, 3000, 128), np.linspace(0, 1000, 128)) + rng.normal(0, 10, (128, 128))
    inside = np.clip(smooth, 0, 4095).astype(np.uint16)
    beyond = (inside + (4095 - np.quantile(inside, 1 - share))).astype(np.uint16)
    assert np.array_equal(without_high_bits(beyond, 4), beyond)
    overlaid = inside | np.where(rng.random((128, 128)) < share, 0x8000, 0).astype(np.uint16)
    assert np.array_equal(without_high_bits(overlaid, 4), inside)


def test_a_colour_image_or_none_at_all_has_no_format(tmp_path: Path) -> None:
    import pydicom

    path = write(tmp_path / "a.dcm")
    for keyword, value in (("SamplesPerPixel", 3), ("Rows", 0)):
        ds = pydicom.dcmread(path)
        setattr(ds, keyword, value)
        ds.save_as(tmp_path / "b.dcm")
        with pytest.raises(Malformed):
            PixelFormat.of(read_object(tmp_path / "b.dcm"))
