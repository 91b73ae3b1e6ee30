"""Facts of axial CT images, single ones and the frames of enhanced objects, as far as size and dose need them."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dose_audit.dosimetry.pooling import Pooled, pool
from dose_audit.extract import ReadError, read_object
from dose_audit.extract.codes import Code
from dose_audit.extract.reader import DicomObject, Header
from dose_audit.image_quality.pixels import PixelFormat, PixelReader

__all__ = ["CtImage", "read_ct_image", "read_ct_images", "read_pooled"]

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = frozenset({"1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2"})

_PHANTOMS = {"113690": 16, "113691": 32}
_LEAST_AXIAL = 0.85  # cosine: gantry tilts reach 30°
_CT_NUMBERS = {"HU", "HU_MOD", "US"}  # PS3.3 C.11.1.1.2; "unspecified" has the numbers to show what it is
_NOT_ORIGINAL = frozenset({"LOCALIZER", "DERIVED", "SECONDARY", "MPR", "MIP", "REFORMATTED"})
_MOST_FRAMES = 20_000
_MOST_BYTES = 2 << 30
_BELOW_AIR_HU = -1100.0  # padding of a lower number is no air; of a higher one it cannot be told from it

# Functional groups of an enhanced CT frame (PS3.3 A.38.1.4) in which what is asked for below can stand.
_GROUPS = (
    "PixelMeasuresSequence",
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "FrameContentSequence",
    "PixelValueTransformationSequence",
    "IrradiationEventIdentificationSequence",
    "CTImageFrameTypeSequence",
    "CTExposureSequence",
    "CTXRayDetailsSequence",
    "CTReconstructionSequence",
)
_IN_FRAMES = {
    "ImageType": "FrameType",
    "AcquisitionNumber": "FrameAcquisitionNumber",
    "XRayTubeCurrent": "XRayTubeCurrentInmA",
}
"""What a frame calls otherwise; the object's own value would be of all frames together."""

Source = str | os.PathLike[str] | bytes


@dataclass(frozen=True, slots=True)
class CtImage:
    """What the header says of one axial CT image, a slice or a frame; ``None`` where it does not.

    Attributes
    ----------
    refusal : str
        Why it cannot be used for the patient's size; empty when it can.
    event : tuple of str
        What identifies the exposure: Irradiation Event UID, else acquisition, else series.
    form : PixelFormat or None
        How its pixels are stored; None for one that is refused.
    frame : int
        Its place among the object's frames, from 0.
    """

    source: Source
    refusal: str
    event: tuple[str, ...]
    event_uid: str | None = None
    series_uid: str | None = None
    sop_uid: str | None = None
    acquisition_number: int | None = None
    form: PixelFormat | None = None
    frame: int = 0
    row_mm: float = 0.0
    column_mm: float = 0.0
    z_mm: float | None = None
    tilt_deg: float = 0.0
    slope: float = 1.0
    intercept: float = 0.0
    padding: int | None = None
    slice_thickness_mm: float | None = None
    ctdi_vol_mgy: float | None = None
    phantom_cm: int | None = None
    tube_current_ma: float | None = None
    kvp_kv: float | None = None
    body_part: str | None = None
    kernel: str | None = None

    @property
    def fov_mm(self) -> float:
        """Side of the reconstructed square."""
        return self.column_mm * self.form.columns if self.form else 0.0


class _Frame:
    """One frame of an enhanced object as if it were an image: its own groups first, then the shared ones, then the object."""

    def __init__(self, own: Iterable[Header], shared: Iterable[Header], obj: DicomObject) -> None:
        self._groups, self._object = (*own, *shared), obj

    def _where(self, keyword: str) -> tuple[Header, str]:
        name = _IN_FRAMES.get(keyword, keyword)
        return next((group for group in self._groups if group.has(name)), self._object), name

    def text(self, keyword: str) -> str | None:
        group, name = self._where(keyword)
        return group.text(name)

    def texts(self, keyword: str) -> list[str]:
        group, name = self._where(keyword)
        return group.texts(name)

    def number(self, keyword: str) -> float | None:
        group, name = self._where(keyword)
        return group.number(name)

    def numbers(self, keyword: str) -> list[float]:
        group, name = self._where(keyword)
        return group.numbers(name)

    def codes(self, keyword: str) -> list[Code]:
        group, name = self._where(keyword)
        return group.codes(name)


def read_ct_images(source: Any) -> list[CtImage]:
    """Read the header of a CT object: one image, or each frame of an enhanced one.

    Parameters
    ----------
    source : path, bytes or pydicom.Dataset

    Returns
    -------
    list of CtImage
        At least one, with `refusal` set for everything that is no original axial CT image.

    References
    ----------
    DICOM PS3.3 A.38 (Enhanced CT), C.7.6.16 (functional groups: what a frame does not say itself the shared ones do).
    """
    if hasattr(source, "save_as"):
        source = _as_bytes(source)
    try:
        header = read_object(source)
        if header.sop_class_uid not in ENHANCED_CT:
            return [_image(source, header, header)]
        shared = _groups(header.items("SharedFunctionalGroupsSequence")[:1])
        frames = header.items("PerFrameFunctionalGroupsSequence")
    except (ReadError, OSError) as error:
        return [CtImage(source, f"not readable: {error}", ("",))]
    if len(frames) > _MOST_FRAMES or len(frames) != header.number("NumberOfFrames"):
        return [CtImage(source, "an enhanced object whose frames are not described one by one", ("",))]
    return [
        _image(source, header, _Frame(_groups([frame]), shared, header), number) for number, frame in enumerate(frames)
    ]


def read_ct_image(source: Any) -> CtImage:
    """Read the header of a single CT image; as `read_ct_images`, of an enhanced object its first frame."""
    return read_ct_images(source)[0]


def _groups(items: Iterable[Header]) -> list[Header]:
    """First items of the functional groups that are looked into: of a two-source scanner both say the same CTDIvol."""
    return [found for item in items for name in _GROUPS for found in item.items(name)[:1]]


def _image(source: Source, obj: DicomObject, header: DicomObject | _Frame, frame: int = 0) -> CtImage:
    series, event_uid = obj.text("SeriesInstanceUID"), header.text("IrradiationEventUID")
    acquisition = header.number("AcquisitionNumber")
    place = obj.text("FrameOfReferenceUID")
    if event_uid:
        event: tuple[str, ...] = (event_uid,)
    else:
        event = (place, str(acquisition)) if place and acquisition is not None else (series or "",)
    spacing = header.numbers("PixelSpacing")
    position, normal = _placement(header.numbers("ImagePositionPatient"), header.numbers("ImageOrientationPatient"))
    codes = header.codes("CTDIPhantomTypeCodeSequence")
    padding = obj.number("PixelPaddingValue")
    try:
        form: PixelFormat | None = PixelFormat.of(obj)
    except ReadError:
        form = None
    return CtImage(
        source=source,
        refusal=_refusal(obj, header, spacing, form, normal),
        event=event,
        event_uid=event_uid,
        series_uid=series,
        sop_uid=obj.sop_instance_uid,
        acquisition_number=int(acquisition) if acquisition is not None else None,
        form=form,
        frame=frame,
        row_mm=spacing[0] if len(spacing) == 2 else 0.0,
        column_mm=spacing[1] if len(spacing) == 2 else 0.0,
        z_mm=position if position is not None else header.number("SliceLocation"),
        tilt_deg=math.degrees(math.acos(min(1.0, normal))) if normal is not None else 0.0,
        slope=_or(header.number("RescaleSlope"), 1.0),
        intercept=_or(header.number("RescaleIntercept"), 0.0),
        padding=int(padding) if padding is not None else None,
        slice_thickness_mm=_positive(header.number("SliceThickness")),
        ctdi_vol_mgy=_positive(header.number("CTDIvol")),
        phantom_cm=_PHANTOMS.get(codes[0].value) if codes else None,
        tube_current_ma=_positive(header.number("XRayTubeCurrent")),
        kvp_kv=_positive(header.number("KVP")),
        body_part=obj.text("BodyPartExamined"),
        kernel=header.text("ConvolutionKernel"),
    )


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def _positive(value: float | None) -> float | None:
    return value if value is not None and value > 0 else None


def _placement(position: list[float], orientation: list[float]) -> tuple[float | None, float | None]:
    """Position along the patient, and the cosine between the image's normal and the patient's axis."""
    if len(position) != 3:
        return None, None
    if len(orientation) != 6:
        return position[2], None
    row, column = orientation[:3], orientation[3:]
    return position[2], abs(row[0] * column[1] - row[1] * column[0])


def _refusal(
    obj: DicomObject,
    header: DicomObject | _Frame,
    spacing: list[float],
    form: PixelFormat | None,
    normal: float | None,
) -> str:
    enhanced = obj.sop_class_uid in ENHANCED_CT
    if obj.sop_class_uid != CT_IMAGE and not enhanced:
        return "not a CT image"
    kinds = _NOT_ORIGINAL & {kind.upper() for kind in header.texts("ImageType")}
    if kinds:
        return f"image type {', '.join(sorted(kinds)).lower()}"
    if enhanced and (header.text("VolumeBasedCalculationTechnique") or "NONE").upper() != "NONE":
        return "computed from a volume"
    if len(spacing) != 2 or not all(0.05 <= side <= 10 for side in spacing):
        return "no usable pixel spacing"
    if form is None:
        return "no grey image"
    if not (64 <= form.rows <= 4096 and 64 <= form.columns <= 4096):
        return f"{form.rows} × {form.columns} pixels"
    if form.bits_allocated != 16:
        return "pixels are not of 16 bits"
    if normal is not None and normal < _LEAST_AXIAL:
        return "not axial"
    if form.frames > 1 and not enhanced:
        return "more than one frame"
    unit = (header.text("RescaleType") or "HU").strip().upper()
    if unit not in _CT_NUMBERS:
        return f"pixel values are no CT numbers ({unit})"
    if not (header.number("RescaleSlope") or 0) > 0 or header.number("RescaleIntercept") is None:
        return "no rescale to HU"
    return ""


def _as_bytes(dataset: Any) -> bytes:
    buffer = io.BytesIO()
    if getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None):
        dataset.save_as(buffer, enforce_file_format=True)
    else:
        dataset.save_as(buffer, implicit_vr=True, little_endian=True)
    return buffer.getvalue()


def read_pooled(image: CtImage, reader: PixelReader | None = None) -> Pooled | str:
    """Pixels of an image in HU, averaged to about 2 mm.

    Parameters
    ----------
    image : CtImage
        One without a `refusal`.
    reader : PixelReader, optional
        One for many images, which saves fresh memory for each.

    Returns
    -------
    Pooled or str
        Or the reason why the pixels cannot be had.
    """
    assert image.form is not None
    try:
        stored: Any = (reader or PixelReader(_MOST_BYTES)).stored(image.source, image.form, image.frame)
    except ReadError as error:
        return str(error)
    except OSError as error:
        return f"not readable: {error.strerror}"
    if image.padding is not None and image.padding * image.slope + image.intercept < _BELOW_AIR_HU:
        stored = np.where(stored == image.padding, np.float32(np.nan), stored)
    return pool(stored, image.row_mm, image.column_mm, slope=image.slope, intercept=image.intercept)
