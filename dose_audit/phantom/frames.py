"""One image frame: its header by keyword, its place in space, its true pixel size, and its pixels when they are asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from dose_audit.phantom.headers import frame_header, integer, many, numbers, plain_header
from dose_audit.phantom.stored import NotAnImage, StoredImage, opened

__all__ = ["Frame", "frames_of"]

_MAXIMUM_FRAMES = 20_000
_LEAST_SIDE = 8


class Frame:
    """One frame of an image object.

    Parameters
    ----------
    header : mapping
        Attributes by DICOM keyword, functional groups of this frame already laid over the shared ones.
    loader : callable
        Gives the stored pixels of this frame, (rows, columns), when they are wanted.
    let_go : callable, optional
        Frees what the loader holds; it can be asked again afterwards.
    """

    __slots__ = ("_let_go", "_loader", "frame_number", "header", "orientation", "position_mm", "sha256", "source")

    def __init__(
        self,
        header: Mapping[str, Any],
        loader: Callable[[], np.ndarray],
        *,
        let_go: Callable[[], None] = lambda: None,
        frame_number: int = 1,
        sha256: str = "",
        source: str = "",
    ) -> None:
        self.header = header
        self._loader = loader
        self._let_go = let_go
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
        # Written out: this is asked of every frame of thousands, several times.
        rx, ry, rz, cx, cy, cz = self.orientation
        across = np.array((ry * cz - rz * cy, rz * cx - rx * cz, rx * cy - ry * cx))
        length = math.sqrt(float(across @ across))
        return across / length if length > 0.5 else None

    @property
    def z_mm(self) -> float | None:
        """Position along the slice normal, mm; Slice Location only where there is no Image Position."""
        normal = None if self.position_mm is None else self.normal
        if self.position_mm is not None and normal is not None:
            return round(float(np.dot(self.position_mm, normal)), 6)
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
        # What overflows here is no number afterwards, and is found as such.
        with np.errstate(over="ignore", invalid="ignore"):
            image = stored.astype(np.float32)
            if slope is not None and slope[0] not in (0.0, 1.0):
                image *= np.float32(slope[0])
            if intercept is not None and intercept[0]:
                image += np.float32(intercept[0])
        return image

    def let_go(self) -> None:
        """Free what was read for the pixels, where it can be read again."""
        self._let_go()


def _pair(value: Any) -> tuple[float, float] | None:
    found = numbers(value, 2)
    return (found[0], found[1]) if found and min(found) > 0 else None


def _same(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return all(abs(a - b) <= 1e-4 * max(a, b) for a, b in zip(one, other, strict=True))


def _without_padding(image: np.ndarray, sent: Any) -> np.ndarray:
    """A magnitude with 0 for its padding: what lies outside the reconstructed field is no signal, not a negative one."""
    found = numbers(sent, 1)
    if found is None:
        return image
    # Sent as an unsigned number for signed pixels by some.
    wrapped = found[0] > 32767 and np.issubdtype(image.dtype, np.signedinteger)
    value = found[0] - 65536 if wrapped else found[0]
    return np.where(image == value, 0, image) if value < 0 else image


def frames_of(source: Dataset | bytes | Path) -> Iterable[Frame]:
    """The frames of one image object.

    Parameters
    ----------
    source : Dataset, bytes or Path
        A pydicom data set, a file's bytes, or a file; a file's pixels stay in it until they are asked for.

    Yields
    ------
    Frame

    Raises
    ------
    NotAnImage
        If the object is no image, or too large to be one; the message says which.
    """
    stored = opened(source)
    dataset = stored.dataset()
    header = plain_header(dataset)
    rows, columns = integer(dataset.get("Rows")), integer(dataset.get("Columns"))
    count = max(1, integer(dataset.get("NumberOfFrames")))
    if not any(kind in dataset for kind in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise NotAnImage(f"no image: {header.get('Modality') or 'unknown modality'} object without pixel data")
    if rows < _LEAST_SIDE or columns < _LEAST_SIDE:
        raise NotAnImage(f"no image: {rows} rows and {columns} columns")
    if count > _MAXIMUM_FRAMES:
        raise NotAnImage(f"too large: {count} frames of {rows} × {columns}")
    if str(dataset.get("PhotometricInterpretation")).upper() == "PALETTE COLOR":
        raise NotAnImage("no image of grey values: it is coloured by a palette")
    several = count > 1 or "SharedFunctionalGroupsSequence" in dataset
    for index in range(count):
        yield Frame(
            header | frame_header(dataset, index) if several else header,
            _loader(stored, index, count),
            let_go=stored.let_go,
            frame_number=index + 1,
            sha256=stored.sha256,
        )
    stored.let_go()


def _loader(stored: StoredImage, index: int, count: int) -> Callable[[], np.ndarray]:
    return lambda: stored.pixels(index, count)
