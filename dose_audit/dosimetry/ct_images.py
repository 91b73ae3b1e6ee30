"""One CT image's facts and pixels: uncompressed pixel data is taken straight from the file's bytes, the rest by pydicom."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.dosimetry.water_equivalent import Pooled, pool
from dose_audit.extract import ReadError, read_object

__all__ = ["CtImage", "read_ct_image", "read_pooled"]

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
_EXPLICIT = "1.2.840.10008.1.2.1"
_PLAIN = frozenset({"1.2.840.10008.1.2", _EXPLICIT})
_PIXELS = b"\xe0\x7f\x10\x00"
_MOST_BYTES = 64 << 20
_PHANTOMS = {"113690": 16, "113691": 32}
_BELOW_AIR_HU = -1100.0  # padding of a lower number is no air; of a higher one it cannot be told from it
_LEAST_AXIAL = 0.85  # cosine: gantry tilts reach 30°
_NOT_ORIGINAL = frozenset({"LOCALIZER", "DERIVED", "SECONDARY", "MPR", "MIP", "REFORMATTED"})

Source = str | os.PathLike[str] | bytes


@dataclass(frozen=True, slots=True)
class CtImage:
    """What an axial CT image's header says, as far as size and dose need it; ``None`` where it does not.

    Attributes
    ----------
    refusal : str
        Why it cannot be used for the patient's size; empty when it can.
    event : tuple of str
        What identifies the exposure: Irradiation Event UID, else acquisition, else series.
    """

    source: Source
    refusal: str
    event: tuple[str, ...]
    event_uid: str | None = None
    series_uid: str | None = None
    sop_uid: str | None = None
    transfer_syntax: str = ""
    rows: int = 0
    columns: int = 0
    row_mm: float = 0.0
    column_mm: float = 0.0
    z_mm: float | None = None
    tilt_deg: float = 0.0
    slope: float = 1.0
    intercept: float = 0.0
    padding: int | None = None
    signed: bool = False
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
        return self.columns * self.column_mm


def read_ct_image(source: Any) -> CtImage:
    """Read the header of a CT image.

    Parameters
    ----------
    source : path, bytes or pydicom.Dataset

    Returns
    -------
    CtImage
        With `refusal` set for everything that is no original axial CT image.
    """
    if hasattr(source, "save_as"):
        source = _as_bytes(source)
    try:
        header = read_object(source)
    except (ReadError, OSError) as error:
        return CtImage(source, f"not readable: {error}", ("",))
    series, event_uid = header.text("SeriesInstanceUID"), header.text("IrradiationEventUID")
    if event_uid:
        event: tuple[str, ...] = (event_uid,)
    else:
        keys = ("FrameOfReferenceUID", "AcquisitionNumber", "AcquisitionTime")
        known = [header.text(keyword) for keyword in keys[:2]]
        event = tuple(text or "" for text in known) if all(known) else (series or "",)
    spacing = header.numbers("PixelSpacing")
    position, normal = _placement(header.numbers("ImagePositionPatient"), header.numbers("ImageOrientationPatient"))
    rows, columns = (int(header.number(keyword) or 0) for keyword in ("Rows", "Columns"))
    codes = header.codes("CTDIPhantomTypeCodeSequence")
    padding = header.number("PixelPaddingValue")
    return CtImage(
        source=source,
        refusal=_refusal(header, spacing, rows, columns, normal),
        event=event,
        event_uid=event_uid,
        series_uid=series,
        sop_uid=header.sop_instance_uid,
        transfer_syntax=header.transfer_syntax_uid,
        rows=rows,
        columns=columns,
        row_mm=spacing[0] if len(spacing) == 2 else 0.0,
        column_mm=spacing[1] if len(spacing) == 2 else 0.0,
        z_mm=position if position is not None else header.number("SliceLocation"),
        tilt_deg=math.degrees(math.acos(min(1.0, normal))) if normal is not None else 0.0,
        slope=_or(header.number("RescaleSlope"), 1.0),
        intercept=_or(header.number("RescaleIntercept"), 0.0),
        padding=int(padding) if padding is not None else None,
        signed=header.number("PixelRepresentation") == 1,
        slice_thickness_mm=_positive(header.number("SliceThickness")),
        ctdi_vol_mgy=_positive(header.number("CTDIvol")),
        phantom_cm=_PHANTOMS.get(codes[0].value) if codes else None,
        tube_current_ma=_positive(header.number("XRayTubeCurrent")),
        kvp_kv=_positive(header.number("KVP")),
        body_part=header.text("BodyPartExamined"),
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


def _refusal(header: Any, spacing: list[float], rows: int, columns: int, normal: float | None) -> str:
    if header.sop_class_uid != CT_IMAGE:
        return "not a CT image"
    kinds = _NOT_ORIGINAL & {kind.upper() for kind in header.texts("ImageType")}
    if kinds:
        return f"image type {', '.join(sorted(kinds)).lower()}"
    if len(spacing) != 2 or not all(0.05 <= side <= 10 for side in spacing):
        return "no usable pixel spacing"
    if not (64 <= rows <= 4096 and 64 <= columns <= 4096):
        return f"{rows} × {columns} pixels"
    if header.number("BitsAllocated") != 16 or (header.number("SamplesPerPixel") or 1) != 1:
        return "pixels are not of 16 bits"
    if normal is not None and normal < _LEAST_AXIAL:
        return "not axial"
    if (header.number("NumberOfFrames") or 1) > 1:
        return "more than one frame"
    if not (header.number("RescaleSlope") or 0) > 0 or header.number("RescaleIntercept") is None:
        return "no rescale to HU"
    return ""


def read_pooled(image: CtImage) -> Pooled | str:
    """Pixels of an image in HU, averaged to about 2 mm.

    Parameters
    ----------
    image : CtImage
        One without a `refusal`.

    Returns
    -------
    Pooled or str
        Or the reason why the pixels cannot be had.
    """
    try:
        data = image.source if isinstance(image.source, bytes) else _read(Path(image.source))
    except OSError as error:
        return f"not readable: {error.strerror}"
    if data is None:
        return f"larger than {_MOST_BYTES >> 20} MB"
    plain = _plain_pixels(data, image) if image.transfer_syntax in _PLAIN else None
    stored = _decoded(data, image) if plain is None else plain
    if isinstance(stored, str):
        return stored
    if image.padding is not None and image.padding * image.slope + image.intercept < _BELOW_AIR_HU:
        stored = np.where(stored == image.padding, np.float32(np.nan), stored)
    return pool(stored, image.row_mm, image.column_mm, slope=image.slope, intercept=image.intercept)


def _read(path: Path) -> bytes | None:
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size > _MOST_BYTES:
            return None
        return file.read()


def _plain_pixels(data: bytes, image: CtImage) -> NDArray[np.integer] | None:
    """The pixel data element, known by its tag and its exact length; None when it is not found so."""
    count = image.rows * image.columns
    if len(data) < 2 * count:
        return None
    length = (2 * count).to_bytes(4, "little")
    head = _PIXELS + (b"OW\0\0" if image.transfer_syntax == _EXPLICIT else b"") + length
    start = len(data) - 2 * count - len(head)
    if not data.startswith(head, max(start, 0)):
        # Something stands behind the pixels. From the end: an icon or a private element may hold the same bytes before.
        start = data.rfind(head, 0, len(data) - 2 * count)
    if start < 0:
        return None
    kind = "<i2" if image.signed else "<u2"
    return np.frombuffer(data, kind, count, start + len(head)).reshape(image.rows, image.columns)


def _decoded(data: bytes, image: CtImage) -> NDArray[np.integer] | str:
    import io

    import pydicom

    try:
        stored = pydicom.dcmread(io.BytesIO(data), force=True).pixel_array
    except Exception as error:  # noqa: BLE001 (whatever a decoder says of a hostile stream is the reason)
        return f"pixels cannot be decoded: {type(error).__name__}"
    if stored.shape != (image.rows, image.columns):
        return "pixels do not have the shape that the header says"
    return stored


def _as_bytes(dataset: Any) -> bytes:
    import io

    buffer = io.BytesIO()
    if getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None):
        dataset.save_as(buffer, enforce_file_format=True)
    else:
        dataset.save_as(buffer, implicit_vr=True, little_endian=True)
    return buffer.getvalue()
