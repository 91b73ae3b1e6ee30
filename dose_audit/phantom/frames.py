"""One image frame: its header by keyword, its place in space, its true pixel size, and its pixels when they are asked for."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset

__all__ = ["Frame", "frames_of"]

# Read from each header: what groups, places, scales and describes an image. Nothing that identifies a patient.
_KEYWORDS = """
SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID Modality ImageType Manufacturer ManufacturerModelName
StationName DeviceSerialNumber SoftwareVersions InstitutionName StudyDate StudyTime SeriesDate SeriesTime
AcquisitionDate AcquisitionTime AcquisitionDateTime ContentDate ContentTime StudyDescription SeriesDescription
ProtocolName BodyPartExamined SeriesNumber AcquisitionNumber InstanceNumber SliceThickness SpacingBetweenSlices
SliceLocation ImagePositionPatient ImageOrientationPatient PixelSpacing PixelSpacingCalibrationType ImagerPixelSpacing
NominalScannedPixelSpacing EstimatedRadiographicMagnificationFactor DistanceSourceToDetector DistanceSourceToPatient
RTImageSID RadiationMachineSAD ImagePlanePixelSpacing Rows Columns BitsAllocated BitsStored PixelRepresentation
PhotometricInterpretation SamplesPerPixel RescaleSlope RescaleIntercept RescaleType PixelPaddingValue
PixelIntensityRelationship PixelIntensityRelationshipSign PresentationLUTShape PresentationIntentType
LossyImageCompression KVP XRayTubeCurrent Exposure ExposureInuAs ExposureTime FilterType ConvolutionKernel
ReconstructionDiameter DataCollectionDiameter CTDIvol SpiralPitchFactor TotalCollimationWidth SingleCollimationWidth
IrradiationEventUID GantryDetectorTilt TableHeight ExposureIndex TargetExposureIndex DeviationIndex DetectorID
DetectorType Grid AnodeTargetMaterial FilterMaterial BodyPartThickness EntranceDoseInmGy OrganDose
ImageAndFluoroscopyAreaDoseProduct RelativeXRayExposure FieldOfViewDimensions MagneticFieldStrength RepetitionTime
EchoTime EchoNumbers FlipAngle NumberOfAverages PixelBandwidth AcquisitionMatrix PercentPhaseFieldOfView
InPlanePhaseEncodingDirection ReceiveCoilName TransmitCoilName ScanningSequence SequenceVariant MRAcquisitionType
ImagingFrequency CountsAccumulated ActualFrameDuration NumberOfFrames EnergyWindowVector DetectorVector Units
DecayCorrection
"""
KEYWORDS = tuple(_KEYWORDS.split())
_CODES = ("CTDIPhantomTypeCodeSequence",)  # of which the first item's Code Value is read

_MAXIMUM_PIXELS = 400_000_000
_MAXIMUM_FRAMES = 20_000


class Frame:
    """One frame of an image object.

    Parameters
    ----------
    header : mapping
        Attributes by DICOM keyword, functional groups of this frame already laid over the shared ones.
    loader : callable
        Gives the stored pixels of this frame, (rows, columns), when they are wanted.
    """

    __slots__ = ("_loader", "frame_number", "header", "orientation", "position_mm", "sha256", "source")

    def __init__(
        self,
        header: Mapping[str, Any],
        loader: Callable[[], np.ndarray],
        *,
        frame_number: int = 1,
        sha256: str = "",
        source: str = "",
    ) -> None:
        self.header = header
        self._loader = loader
        self.frame_number = frame_number
        self.sha256 = sha256
        self.source = source
        self.position_mm = _numbers(header.get("ImagePositionPatient"), 3)
        self.orientation = _numbers(header.get("ImageOrientationPatient"), 6)

    def __repr__(self) -> str:
        return f"Frame({self.header.get('Modality')}, {self.shape}, z={self.z_mm})"

    @property
    def sop_instance_uid(self) -> str:
        return str(self.header.get("SOPInstanceUID") or "")

    @property
    def shape(self) -> tuple[int, int]:
        return int(self.header.get("Rows") or 0), int(self.header.get("Columns") or 0)

    @property
    def instance_number(self) -> int:
        return _integer(self.header.get("InstanceNumber"))

    @property
    def acquisition_number(self) -> int:
        return _integer(self.header.get("AcquisitionNumber"))

    @property
    def acquired(self) -> str:
        """Date and time of acquisition as sent, for ordering; empty where none is sent."""
        both = str(self.header.get("AcquisitionDateTime") or "")
        if both:
            return both
        for kind in ("Acquisition", "Content", "Series", "Study"):
            if self.header.get(f"{kind}Date"):
                return f"{self.header[f'{kind}Date']}{self.header.get(f'{kind}Time') or ''}"
        return ""

    @property
    def kind(self) -> str:
        """Localiser, phase image, magnitude … : the third value of Image Type, by which stacks are kept apart."""
        values = [str(one).upper() for one in _many(self.header.get("ImageType"))]
        return "LOCALIZER" if "LOCALIZER" in values else "/".join(values[2:4])

    @property
    def is_localiser(self) -> bool:
        return self.kind == "LOCALIZER"

    @property
    def normal(self) -> np.ndarray | None:
        """Unit vector along which frames are stacked."""
        if self.orientation is None:
            return None
        row, column = np.asarray(self.orientation[:3]), np.asarray(self.orientation[3:])
        across = np.cross(row, column)
        length = float(np.linalg.norm(across))
        return across / length if length > 0.5 else None

    @property
    def z_mm(self) -> float | None:
        """Position along the slice normal, mm; Slice Location only where there is no Image Position."""
        if self.position_mm is not None and self.normal is not None:
            return round(float(np.dot(self.position_mm, self.normal)), 6)
        if self.position_mm is not None and self.orientation is None:
            return float(self.position_mm[2])
        location = _numbers(self.header.get("SliceLocation"), 1)
        return None if location is None else float(location[0])

    def forget_position(self) -> None:
        """Leave the position out of account, because the frames beside this one have none."""
        self.position_mm = None
        self.header = {**self.header, "SliceLocation": None}

    @property
    def thickness_mm(self) -> float | None:
        found = _numbers(self.header.get("SliceThickness"), 1)
        return float(found[0]) if found and found[0] > 0 else None

    @property
    def spacing_between_mm(self) -> float | None:
        found = _numbers(self.header.get("SpacingBetweenSlices"), 1)
        return abs(float(found[0])) if found and found[0] else None

    @property
    def spacing_mm(self) -> tuple[float, float] | None:
        """Row and column spacing in the plane of the object, mm, and `None` where no tag tells it."""
        return self._spacing()[0]

    @property
    def spacing_source(self) -> str:
        """The attribute that the spacing was taken from, with what was done to it."""
        return self._spacing()[1]

    def _spacing(self) -> tuple[tuple[float, float] | None, str]:
        header = self.header
        pixel = _pair(header.get("PixelSpacing"))
        imager = _pair(header.get("ImagerPixelSpacing")) or _pair(header.get("NominalScannedPixelSpacing"))
        # In projection images Pixel Spacing without a calibration is the detector's when it equals the imager's.
        if pixel and (imager is None or not _same(pixel, imager)):
            return pixel, "Pixel Spacing"
        if imager:
            factor = self.magnification
            if factor and factor > 1.0:
                return (imager[0] / factor, imager[1] / factor), f"Imager Pixel Spacing / magnification {factor:.3f}"
            return imager, "Imager Pixel Spacing, in the plane of the detector"
        plane = _pair(header.get("ImagePlanePixelSpacing"))
        if plane:
            source, axis = _numbers(header.get("RTImageSID"), 1), _numbers(header.get("RadiationMachineSAD"), 1)
            if source and axis and source[0] > 0 and axis[0] > 0:
                factor = float(source[0] / axis[0])
                return (plane[0] / factor, plane[1] / factor), f"Image Plane Pixel Spacing / (SID / SAD) {factor:.3f}"
            return plane, "Image Plane Pixel Spacing, in the plane of the detector"
        return None, "no spacing attribute"

    @property
    def magnification(self) -> float | None:
        """Radiographic magnification as sent, or from the distances; never assumed."""
        sent = _numbers(self.header.get("EstimatedRadiographicMagnificationFactor"), 1)
        if sent and 1.0 <= sent[0] < 20.0:
            return float(sent[0])
        far = _numbers(self.header.get("DistanceSourceToDetector"), 1)
        near = _numbers(self.header.get("DistanceSourceToPatient"), 1)
        if far and near and 0 < near[0] <= far[0]:
            return float(far[0] / near[0])
        return None

    def pixels(self) -> np.ndarray:
        """Pixels in output units (Rescale Slope and Intercept applied), (rows, columns) float32.

        Stored polarity is kept: MONOCHROME1 is a matter of display, and a measurement says which way it is.
        """
        stored = self._loader()
        slope, intercept = (
            _numbers(self.header.get("RescaleSlope"), 1),
            _numbers(self.header.get("RescaleIntercept"), 1),
        )
        image = stored.astype(np.float32)
        if slope is not None and slope[0] not in (0.0, 1.0):
            image *= np.float32(slope[0])
        if intercept is not None and intercept[0]:
            image += np.float32(intercept[0])
        return image


def _many(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) or type(value).__name__ == "MultiValue" else [value]


def _numbers(value: Any, count: int) -> tuple[float, ...] | None:
    """That many finite numbers, or `None`."""
    try:
        found = tuple(float(one) for one in _many(value))
    except (TypeError, ValueError):
        return None
    if len(found) < count or not all(math.isfinite(one) for one in found[:count]):
        return None
    return found[:count]


def _integer(value: Any) -> int:
    found = _numbers(value, 1)
    return int(found[0]) if found else 0


def _pair(value: Any) -> tuple[float, float] | None:
    found = _numbers(value, 2)
    return (found[0], found[1]) if found and min(found) > 0 else None


def _same(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return all(abs(a - b) <= 1e-4 * max(a, b) for a, b in zip(one, other, strict=True))


def _plain(dataset: Dataset) -> dict[str, Any]:
    """The attributes of `KEYWORDS` that can be read; a value that pydicom refuses counts as absent."""
    found: dict[str, Any] = {}
    for keyword in (*KEYWORDS, *_CODES):
        try:
            value = dataset.get(keyword)
            if keyword in _CODES:
                value = str(value[0].CodeValue) if value else None
        except (ValueError, TypeError, KeyError, AttributeError, NotImplementedError):
            continue
        if value is not None and value != "":
            found[keyword] = value
    return found


# Macros of enhanced objects and what they carry for a frame (PS3.3 C.7.6.16).
_MACROS = (
    "PixelMeasuresSequence",
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelValueTransformationSequence",
    "FrameContentSequence",
    "MRTimingAndRelatedParametersSequence",
    "MREchoSequence",
    "CTExposureSequence",
    "CTXRayDetailsSequence",
    "CTReconstructionSequence",
)
_RENAMED = {"EffectiveEchoTime": "EchoTime", "ExposureInmAs": "Exposure", "XRayTubeCurrentInmA": "XRayTubeCurrent"}


def _functional_groups(dataset: Dataset, index: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or []
    for group in (shared[0] if shared else None, per_frame[index] if index < len(per_frame) else None):
        if group is None:
            continue
        for macro in _MACROS:
            items = group.get(macro)
            if not items:
                continue
            item = items[0]
            found |= _plain(item)
            for theirs, ours in _RENAMED.items():
                if item.get(theirs) is not None:
                    found[ours] = item.get(theirs)
    return found


def _native(dataset: Dataset, frame: int) -> np.ndarray | None:
    """Uncompressed grey pixels of one frame straight from the bytes; `None` where it is not that simple."""
    syntax = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
    bits = dataset.get("BitsAllocated")
    if syntax is None or syntax.is_compressed or not syntax.is_little_endian or bits not in (8, 16, 32):
        return None
    if int(dataset.get("SamplesPerPixel") or 1) != 1 or "PixelData" not in dataset:
        return None
    stored = int(dataset.get("BitsStored") or bits)
    signed = bool(dataset.get("PixelRepresentation"))
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    size = rows * columns * bits // 8
    data = dataset.PixelData
    part = data[frame * size : (frame + 1) * size]
    if len(part) != size:
        raise ValueError(f"pixel data ends early: frame {frame + 1} has {len(part)} of {size} bytes")
    image = np.frombuffer(part, dtype=f"<{'i' if signed else 'u'}{bits // 8}").reshape(rows, columns)
    return image if stored >= bits else _stored_bits(image, stored, bits)


def _stored_bits(image: np.ndarray, stored: int, bits: int) -> np.ndarray:
    """The lower `stored` bits; all of them where the image evidently goes on in the others.

    Bits above the stored ones may hold overlays or rubbish, and then the image is rough with them; where a writer has put
    larger values than Bits Stored tells, it is rough without them, because values wrap.
    """
    shift = bits - stored
    lower = np.asarray((image << shift) >> shift)
    if np.array_equal(lower, image):
        return lower
    return image if _roughness(image) < _roughness(lower) else lower


def _roughness(image: np.ndarray) -> float:
    """Share of the variance between neighbouring pixels in that of all."""
    values = image.astype(np.float64)
    spread = float(values.var())
    if spread == 0:
        return 0.0
    return float(np.diff(values, axis=0).var() + np.diff(values, axis=1).var()) / spread


def _loader(dataset: Dataset, index: int, count: int) -> Callable[[], np.ndarray]:
    def load() -> np.ndarray:
        native = _native(dataset, index)
        if native is not None:
            return native
        from pydicom.pixels import pixel_array

        image = np.asarray(pixel_array(dataset, index=index if count > 1 else None))
        if image.ndim == 3 and image.shape[-1] in (3, 4):
            return image[..., :3].mean(axis=-1)
        return image if image.ndim == 2 else image.reshape(-1, *image.shape[-2:])[0]

    return load


def frames_of(source: Dataset | bytes | Path) -> Iterable[Frame]:
    """The frames of one image object.

    Parameters
    ----------
    source : Dataset, bytes or Path
        A pydicom data set, a file's bytes, or a file.

    Yields
    ------
    Frame

    Raises
    ------
    ValueError
        If the object is no image, or too large to be one; the message says which.
    """
    digest = ""
    if isinstance(source, Path):
        source = source.read_bytes()
    if isinstance(source, bytes):
        digest = hashlib.sha256(source).hexdigest()
        dataset: Dataset = pydicom.dcmread(io.BytesIO(source), force=True)
    else:
        dataset = source
    header = _plain(dataset)
    if "PixelData" not in dataset and "FloatPixelData" not in dataset:
        raise ValueError(f"no image: {header.get('Modality') or 'unknown modality'} object without pixel data")
    rows, columns = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
    count = int(dataset.get("NumberOfFrames") or 1)
    if rows < 8 or columns < 8:
        raise ValueError(f"no image: {rows} rows and {columns} columns")
    if count > _MAXIMUM_FRAMES or rows * columns * count > _MAXIMUM_PIXELS:
        raise ValueError(f"too large: {count} frames of {rows} × {columns}")
    if getattr(dataset, "file_meta", None) is None or "TransferSyntaxUID" not in dataset.file_meta:
        dataset.ensure_file_meta()
        dataset.file_meta.TransferSyntaxUID = (
            dataset.file_meta.get("TransferSyntaxUID") or pydicom.uid.ImplicitVRLittleEndian
        )
    for index in range(count):
        own = (
            header | _functional_groups(dataset, index)
            if count > 1 or "SharedFunctionalGroupsSequence" in dataset
            else header
        )
        yield Frame(own, _loader(dataset, index, count), frame_number=index + 1, sha256=digest)
