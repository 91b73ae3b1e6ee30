"""One image frame: its header by keyword, its place in space, its true pixel size, and its pixels when they are asked for."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from dose_audit.image_quality.pixels import without_high_bits
from dose_audit.phantom.headers import frame_header, integer, many, numbers, plain_header

__all__ = ["Frame", "frames_of"]

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
        self.position_mm = numbers(header.get("ImagePositionPatient"), 3)
        self.orientation = numbers(header.get("ImageOrientationPatient"), 6)

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
        return integer(self.header.get("InstanceNumber"))

    @property
    def acquisition_number(self) -> int:
        return integer(self.header.get("AcquisitionNumber"))

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
        values = [str(one).upper() for one in many(self.header.get("ImageType"))]
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
        location = numbers(self.header.get("SliceLocation"), 1)
        return None if location is None else float(location[0])

    def forget_position(self) -> None:
        """Leave the position out of account, because the frames beside this one have none."""
        self.position_mm = None
        self.header = {**self.header, "SliceLocation": None}

    @property
    def thickness_mm(self) -> float | None:
        found = numbers(self.header.get("SliceThickness"), 1)
        return float(found[0]) if found and found[0] > 0 else None

    @property
    def spacing_between_mm(self) -> float | None:
        found = numbers(self.header.get("SpacingBetweenSlices"), 1)
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
            source, axis = numbers(header.get("RTImageSID"), 1), numbers(header.get("RadiationMachineSAD"), 1)
            if source and axis and source[0] > 0 and axis[0] > 0:
                factor = float(source[0] / axis[0])
                return (plane[0] / factor, plane[1] / factor), f"Image Plane Pixel Spacing / (SID / SAD) {factor:.3f}"
            return plane, "Image Plane Pixel Spacing, in the plane of the detector"
        return None, "no spacing attribute"

    @property
    def magnification(self) -> float | None:
        """Radiographic magnification as sent, or from the distances; never assumed."""
        sent = numbers(self.header.get("EstimatedRadiographicMagnificationFactor"), 1)
        if sent and 1.0 <= sent[0] < 20.0:
            return float(sent[0])
        far = numbers(self.header.get("DistanceSourceToDetector"), 1)
        near = numbers(self.header.get("DistanceSourceToPatient"), 1)
        if far and near and 0 < near[0] <= far[0]:
            return float(far[0] / near[0])
        return None

    def pixels(self) -> np.ndarray:
        """Pixels in output units (Rescale Slope and Intercept applied), (rows, columns) float32.

        Stored polarity is kept: MONOCHROME1 is a matter of display, and a measurement says which way it is.
        """
        stored = self._loader()
        if self.header.get("Modality") == "MR":
            stored = _without_padding(stored, self.header.get("PixelPaddingValue"))
        slope, intercept = (
            numbers(self.header.get("RescaleSlope"), 1),
            numbers(self.header.get("RescaleIntercept"), 1),
        )
        image = stored.astype(np.float32)
        if slope is not None and slope[0] not in (0.0, 1.0):
            image *= np.float32(slope[0])
        if intercept is not None and intercept[0]:
            image += np.float32(intercept[0])
        return image


def _pair(value: Any) -> tuple[float, float] | None:
    found = numbers(value, 2)
    return (found[0], found[1]) if found and min(found) > 0 else None


def _same(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return all(abs(a - b) <= 1e-4 * max(a, b) for a, b in zip(one, other, strict=True))


def _native(dataset: Dataset, frame: int) -> np.ndarray | None:
    """Uncompressed grey pixels of one frame straight from the bytes; `None` where it is not that simple."""
    syntax = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
    bits = dataset.get("BitsAllocated")
    if syntax is None or syntax.is_compressed or not syntax.is_little_endian or bits not in (8, 16, 32):
        return None
    if int(dataset.get("SamplesPerPixel") or 1) != 1 or "PixelData" not in dataset:
        return None
    signed = bool(dataset.get("PixelRepresentation"))
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    size = rows * columns * bits // 8
    data = dataset.PixelData
    part = data[frame * size : (frame + 1) * size]
    if len(part) != size:
        raise ValueError(f"pixel data ends early: frame {frame + 1} has {len(part)} of {size} bytes")
    image = np.frombuffer(part, dtype=f"<{'i' if signed else 'u'}{bits // 8}")
    return without_high_bits(image.reshape(rows, columns), bits - int(dataset.get("BitsStored") or bits))


def _without_padding(image: np.ndarray, sent: Any) -> np.ndarray:
    """A magnitude with 0 for its padding: what lies outside the reconstructed field is no signal, not a negative one."""
    found = numbers(sent, 1)
    if found is None:
        return image
    # Sent as an unsigned number for signed pixels by some.
    wrapped = found[0] > 32767 and np.issubdtype(image.dtype, np.signedinteger)
    value = found[0] - 65536 if wrapped else found[0]
    return np.where(image == value, 0, image) if value < 0 else image


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
    header = plain_header(dataset)
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
            header | frame_header(dataset, index)
            if count > 1 or "SharedFunctionalGroupsSequence" in dataset
            else header
        )
        yield Frame(own, _loader(dataset, index, count), frame_number=index + 1, sha256=digest)
