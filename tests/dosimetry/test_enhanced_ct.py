"""Enhanced CT: each frame is a slice with its own geometry, rescale and exposure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dose_audit.dosimetry import measure_series, series_ssde, series_water_equivalent_diameter
from tests.dosimetry.synthetic_ct import disc, paint, slab
from tests.dosimetry.test_ct_series import f32

ENHANCED = "1.2.840.10008.5.1.4.1.1.2.1"
PIXEL, SIZE = 2.0, 160


def item(**attributes: Any) -> Any:
    from pydicom.dataset import Dataset

    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def write_enhanced(
    path: Path, frames: list[dict[str, Any]], *, compress: str | None = None, tail: bool = False
) -> Path:
    """An object of frames given by diameter, z, CTDIvol, event and frame type; the rescale is shared but for the first."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, ENHANCED
    meta.MediaStorageSOPInstanceUID = "1.2.7.1"
    ds = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID, ds.SeriesInstanceUID = ENHANCED, "1.2.7.1", "1.2.7.2"
    ds.Modality, ds.ImageType, ds.StudyInstanceUID = "CT", ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"], "1.2.7"
    ds.NumberOfFrames, ds.Rows, ds.Columns = len(frames), SIZE, SIZE
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    phantom = item(CodeValue="113691", CodingSchemeDesignator="DCM", CodeMeaning="IEC Body Dosimetry Phantom")
    shared = item(
        PixelMeasuresSequence=[item(PixelSpacing=[PIXEL, PIXEL], SliceThickness=5)],
        PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
        PixelValueTransformationSequence=[item(RescaleSlope=1, RescaleIntercept=-1024)],
        CTXRayDetailsSequence=[item(KVP=120)],
    )
    ds.SharedFunctionalGroupsSequence = [shared]
    stored, groups = [], []
    for index, frame in enumerate(frames):
        intercept = -2048 if index == 0 else -1024
        image = paint(SIZE, SIZE * PIXEL, [slab(frame["diameter"] / 2, 15), disc(frame["diameter"])])
        stored.append((np.round(image) - intercept).astype("<i2"))
        own = item(
            PlanePositionSequence=[item(ImagePositionPatient=[0, 0, frame["z"]])],
            IrradiationEventIdentificationSequence=[item(IrradiationEventUID=frame.get("event", "1.2.7.9"))],
            CTExposureSequence=[
                item(CTDIvol=frame.get("ctdi", 10.0), CTDIPhantomTypeCodeSequence=[phantom], XRayTubeCurrentInmA=100.0)
            ],
            CTImageFrameTypeSequence=[
                item(FrameType=frame.get("type", ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]),
                     VolumeBasedCalculationTechnique="NONE")
            ],
        )  # fmt: skip
        if index == 0:
            own.PixelValueTransformationSequence = [item(RescaleSlope=1, RescaleIntercept=intercept)]
        groups.append(own)
    ds.PerFrameFunctionalGroupsSequence = groups
    ds.PixelData = np.stack(stored).tobytes()
    if compress:
        ds.compress(compress)
    if tail:
        ds.DataSetTrailingPadding = b"\0" * 64
    ds.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize("way", ["plain", "tail", "compressed"])
def test_frames_are_slices_with_their_own_facts(tmp_path: Path, way: str) -> None:
    from pydicom.uid import RLELossless

    frames = [{"diameter": 240, "z": 20.0, "ctdi": 9.0}, {"diameter": 160, "z": 0.0, "ctdi": 4.0}]
    path = write_enhanced(
        tmp_path / "e.dcm", frames, compress=RLELossless if way == "compressed" else None, tail=way == "tail"
    )
    (size,) = measure_series(path)
    assert size.dw.details["z_mm"] == [0.0, 20.0]
    assert size.dw.details["dw_mm"] == [pytest.approx(160, rel=0.005), pytest.approx(240, rel=0.005)]
    assert (size.dw.status, size.dw.details["irradiation_event_uid"]) == ("ok", "1.2.7.9")
    (ssde,) = series_ssde(size)
    assert ssde.value == pytest.approx((4 * f32(160) + 9 * f32(240)) / 2, rel=0.01)
    assert ssde.details["ctdi_vol_basis"] == "per slice"


def test_events_of_one_object_are_kept_apart_and_what_is_no_slice_left_out(tmp_path: Path) -> None:
    scout = ["ORIGINAL", "PRIMARY", "LOCALIZER", "NONE"]
    frames = [
        {"diameter": 200, "z": 0.0, "event": "1.2.7.10"},
        {"diameter": 260, "z": 0.0, "event": "1.2.7.11"},
        {"diameter": 260, "z": 0.0, "event": "1.2.7.12", "type": scout},
    ]
    found = series_water_equivalent_diameter(write_enhanced(tmp_path / "e.dcm", frames))
    assert {result.details["irradiation_event_uid"]: round(result.value) for result in found} == {
        "1.2.7.10": 200,
        "1.2.7.11": 260,
    }


def test_frames_that_are_not_described_one_by_one_are_refused(tmp_path: Path) -> None:
    import pydicom

    path = write_enhanced(tmp_path / "e.dcm", [{"diameter": 200, "z": 0.0}])
    ds = pydicom.dcmread(path)
    ds.NumberOfFrames = 2
    ds.save_as(path)
    (result,) = series_water_equivalent_diameter(path)
    assert result.value is None
    assert "frames are not described" in result.reason


def test_an_object_that_ends_within_its_frames_says_so(tmp_path: Path) -> None:
    path = write_enhanced(tmp_path / "e.dcm", [{"diameter": 200, "z": float(z)} for z in range(4)])
    data = path.read_bytes()
    path.write_bytes(data[: -3 * SIZE * SIZE])
    (size,) = measure_series(path)
    assert [item.value for item in size.slices[-2:]] == [None, None]
    assert "decoded" in size.slices[-1].reason
    assert size.dw.status != "ok"
