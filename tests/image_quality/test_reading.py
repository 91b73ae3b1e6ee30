"""Reading slices beside pydicom, in every encoding, and objects that break."""

from __future__ import annotations

import io

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless, generate_uid

from dose_audit.extract.errors import ReadError
from dose_audit.image_quality import read_image, read_stack


def ct(stored, syntax=ExplicitVRLittleEndian, z=0.0, **changes):
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax if syntax != RLELossless else ExplicitVRLittleEndian
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = CTImageStorage
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    made.Modality = "CT"
    made.ImagePositionPatient, made.ImageOrientationPatient = [-10, -10, z], [1, 0, 0, 0, 1, 0]
    made.PixelSpacing, made.SliceThickness = [0.5, 0.7], 2.0
    made.Rows, made.Columns = stored.shape
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    bits = 8 * stored.dtype.itemsize
    made.BitsAllocated, made.BitsStored, made.HighBit = bits, bits, bits - 1
    made.PixelRepresentation = int(stored.dtype.kind == "i")
    made.RescaleSlope, made.RescaleIntercept = 1, -1024
    raw = stored.tobytes()
    made.PixelData = raw + b"\0" * (len(raw) % 2)
    made["PixelData"].VR = "OB" if bits == 8 else "OW"
    for keyword, value in changes.items():
        setattr(made, keyword, value)
    if syntax == RLELossless:
        made.compress(RLELossless)
    buffer = io.BytesIO()
    made.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


RANDOM = np.random.default_rng(0)
STORED = RANDOM.integers(0, 4096, (24, 31), dtype=np.uint16)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless])
@pytest.mark.parametrize("kind", ["u2", "i2", "u1"])
def test_equal_to_pydicom(syntax, kind, tmp_path):
    stored = RANDOM.integers(0, 100, (25, 31)).astype(kind)
    data = ct(stored, syntax, RescaleSlope=0.5)
    wanted = pydicom.dcmread(io.BytesIO(data)).pixel_array * 0.5 - 1024
    found = read_image(data)
    assert np.array_equal(found.pixels, wanted.astype(np.float32))
    assert (found.unit, found.spacing_mm, found.spacing_source) == ("HU", (0.5, 0.7), "Pixel Spacing")
    path = tmp_path / "slice.dcm"
    path.write_bytes(data)
    assert np.array_equal(read_image(path).pixels, found.pixels)


@pytest.mark.parametrize("whole", [False, True])
def test_a_stack_is_sorted_by_position(whole, tmp_path):
    paths = []
    for index, z in enumerate([3.0, -1.0, 7.5, 0.25]):
        paths.append(tmp_path / f"{index}.dcm")
        paths[-1].write_bytes(ct(STORED + np.uint16(index), z=z))
    found = read_stack(paths, whole_numbers=whole)
    assert found.positions_mm == (-1.0, 0.25, 3.0, 7.5) and found.sources == (1, 3, 0, 2)
    assert found.pixels.dtype == (np.int16 if whole else np.float32)
    for layer, index in zip(found.pixels, found.sources, strict=True):
        assert np.array_equal(layer, STORED.astype(int) + index - 1024)
    assert found.problems == ()


def test_what_does_not_belong_is_left_out_and_told():
    good = ct(STORED)
    found = read_stack(
        [good, b"no dicom", ct(STORED[:20]), good[:-100], ct(STORED, PixelSpacing=[1, 1]), ct(STORED, z=1.0)]
    )
    assert found.sources == (0, 5) and len(found.problems) == 4
    with pytest.raises(ReadError):
        read_stack([b"no dicom"])
    fractions = read_stack([good, ct(STORED, RescaleSlope=0.1)], whole_numbers=True)
    assert fractions.sources == (0,) and "whole numbers" in fractions.problems[0]


def test_bits_above_those_stored_are_dropped():
    stored = np.array([[0x0FFF, 0xF001], [0x8000, 0x0002]], dtype=np.uint16)
    found = read_image(ct(stored, BitsStored=12, HighBit=11))
    assert (found.pixels + 1024).tolist() == [[4095, 1], [0, 2]]


def test_pixel_data_in_front_of_something_else():
    data = pydicom.dcmread(io.BytesIO(ct(STORED)))
    data.DataSetTrailingPadding = b"\0" * 500
    buffer = io.BytesIO()
    data.save_as(buffer, enforce_file_format=True)
    assert np.array_equal(read_image(buffer.getvalue()).pixels, STORED.astype(np.float32) - 1024)


@pytest.mark.parametrize(
    "change", [{"Rows": 60_000, "Columns": 60_000}, {"Rows": 0}, {"SamplesPerPixel": 3}, {"Rows": 25}]
)
def test_hostile_headers(change):
    with pytest.raises(ReadError):
        read_image(ct(STORED, **change))


def test_detector_spacing_is_brought_to_the_object():
    header = {"ImagerPixelSpacing": [0.2, 0.2], "EstimatedRadiographicMagnificationFactor": 1.25, "Modality": "DX"}
    data = pydicom.dcmread(io.BytesIO(ct(STORED, **header)))
    del data.PixelSpacing
    buffer = io.BytesIO()
    data.save_as(buffer, enforce_file_format=True)
    found = read_image(buffer.getvalue())
    assert found.spacing_mm == pytest.approx((0.16, 0.16)) and "magnification" in found.spacing_source
