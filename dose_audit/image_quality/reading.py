"""Slices from DICOM to an array, fast: uncompressed pixels straight from the bytes, everything else through pydicom."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.extract.errors import Malformed, ReadError, TooLarge
from dose_audit.extract.reader import DicomObject, Limits, read_object

__all__ = ["Image", "Stack", "read_image", "read_stack"]

Source = bytes | str | os.PathLike[str]
Pixels = np.ndarray[Any, np.dtype[Any]]

MOST_PIXELS = 1 << 28
"""Of one object or stack, above which it is refused: 1 GB as float32."""

_IMPLICIT, _EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
_PIXEL_DATA = b"\xe0\x7f\x10\x00"
_MOST_TRAILING = 2  # bytes of padding that may follow the pixel data


@dataclass(frozen=True)
class Image:
    """Pixels of one object in true units.

    Parameters
    ----------
    pixels : ndarray of float32, shape (rows, columns) or (frames, rows, columns)
        Rescale Slope and Intercept applied: HU for CT.
    unit : str
        ``HU`` for CT, otherwise Rescale Type, otherwise ``1``.
    spacing_mm : tuple of float or None
        Row and column spacing.
    spacing_source : str
        Which attribute it is from: of the plane of the object (Pixel Spacing), or of the detector (Imager Pixel
        Spacing), divided by the Estimated Radiographic Magnification Factor where that is there.
    position_mm : float or None
        Of the slice along the normal of its plane.
    slice_thickness_mm : float or None
        Nominal; never to be taken for the distance of slices.
    """

    pixels: Pixels
    unit: str
    spacing_mm: tuple[float, float] | None
    spacing_source: str
    position_mm: float | None
    slice_thickness_mm: float | None


@dataclass(frozen=True)
class Stack:
    """Slices of one series, in order of their position.

    Parameters
    ----------
    pixels : ndarray of float32, shape (slices, rows, columns)
    unit : str
    spacing_mm : tuple of float or None
    spacing_source : str
    positions_mm : tuple of float or None
        Ascending; None where an object does not tell its position (the order is then that of the sources).
    slice_thickness_mm : float or None
    sources : tuple of int
        Index of each slice in what was given.
    problems : tuple of str
        What was left out, and why; one line each, without names of files.
    """

    pixels: Pixels
    unit: str
    spacing_mm: tuple[float, float] | None
    spacing_source: str
    positions_mm: tuple[float, ...] | None
    slice_thickness_mm: float | None
    sources: tuple[int, ...]
    problems: tuple[str, ...]


def read_image(source: Source, *, limits: Limits = Limits()) -> Image:  # noqa: B008 (immutable)
    """Read the pixels of one object.

    Parameters
    ----------
    source : bytes, str or os.PathLike
        The object, or the path of its file.
    limits : Limits
        Caps above which an object is refused.

    Returns
    -------
    Image

    Raises
    ------
    ReadError
        Not DICOM, no grey image, or pixel data that cannot be decoded; the message is one line.
    OSError
        The file cannot be read.

    Examples
    --------
    >>> read_image("testdata/missing.dcm")
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: 'testdata/missing.dcm'
    """
    stored, header = _stored(_Reader(limits), source)
    pixels = np.empty(stored.shape, dtype=np.float32)
    _rescale(stored, pixels, header)
    return _image(header, pixels.reshape(pixels.shape[1:]) if len(pixels) == 1 else pixels)


def read_stack(
    sources: Iterable[Source],
    *,
    whole_numbers: bool = False,
    limits: Limits = Limits(),  # noqa: B008 (immutable)
) -> Stack:
    """Read slices into one array, sorted by Image Position (Patient).

    Parameters
    ----------
    sources : iterable of bytes, str or os.PathLike
        Single-frame objects of one series, in any order.
    whole_numbers : bool
        Give int16 in place of float32: half the memory and time, for CT with Rescale Slope 1. Slices whose values are
        no whole numbers, or do not fit, are left out. Mind that int16 overflows in arithmetic of your own.
    limits : Limits
        Caps above which an object is refused.

    Returns
    -------
    Stack
        Objects that cannot be read, or whose rows, columns or spacing differ from the first one's, are left out and
        told in `problems`.

    Raises
    ------
    ReadError
        None of them could be read.

    Notes
    -----
    Uncompressed pixels are viewed where they stand in the file's bytes and converted once, into their place in the
    array. Bits above Bits Stored are ignored.
    """
    listed, reader = list(sources), _Reader(limits)
    whole: Pixels | None = None
    first: Image | None = None
    kept: list[int] = []
    positions: list[float | None] = []
    problems: list[str] = []
    for index, source in enumerate(listed):
        try:
            stored, header = _stored(reader, source)
        except (ReadError, OSError) as error:
            what = str(error) if isinstance(error, ReadError) else "the file cannot be read"
            problems.append(f"object {index + 1}: {what}")
            continue
        if stored.shape[0] != 1:
            problems.append(f"object {index + 1}: {stored.shape[0]} frames where a single slice is wanted")
            continue
        if whole is None:
            if len(listed) * stored.size > MOST_PIXELS:
                raise TooLarge(f"{len(listed)} slices of {stored.size} pixels are more than are held in memory")
            whole = np.empty((len(listed), *stored.shape[1:]), dtype=np.int16 if whole_numbers else np.float32)
        here = _image(header, whole[len(kept)])
        if stored.shape[1:] != whole.shape[1:]:
            problems.append(f"object {index + 1}: {stored.shape[1]} × {stored.shape[2]} pixels, unlike the first")
            continue
        if first is not None and (here.spacing_mm, here.unit) != (first.spacing_mm, first.unit):
            problems.append(f"object {index + 1}: spacing or unit unlike the first")
            continue
        first = first or here
        if not _rescale(stored[0], here.pixels, header):
            problems.append(f"object {index + 1}: its values do not fit in 16 bits as whole numbers")
            continue
        kept.append(index)
        positions.append(here.position_mm)
    if whole is None or first is None:
        raise Malformed(problems[0] if problems else "there are no objects")
    whole = whole[: len(kept)]
    placed = [position for position in positions if position is not None]
    if len(placed) == len(kept):
        order = np.argsort(placed, kind="stable")
        if np.any(np.diff(order) != 1):
            whole, kept, placed = whole[order], [kept[at] for at in order], [placed[at] for at in order]
    return Stack(
        whole,
        first.unit,
        first.spacing_mm,
        first.spacing_source,
        tuple(placed) if len(placed) == len(kept) else None,
        first.slice_thickness_mm,
        tuple(kept),
        tuple(problems),
    )


class _Reader:
    """Reads files one after the other into the same memory: fresh memory for each costs more than reading it."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._memory = bytearray()

    def read(self, source: Source) -> tuple[memoryview, DicomObject]:
        """The object's bytes, valid until the next one is read, and its header."""
        if isinstance(source, bytes):
            data = memoryview(source)
        else:
            with Path(source).open("rb", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                if size > self._limits.object_bytes:
                    raise TooLarge(f"the object is larger than {self._limits.object_bytes >> 20} MB")
                if size > len(self._memory):
                    self._memory = bytearray(size)
                data, have = memoryview(self._memory)[:size], 0
                while have < size and (part := file.readinto(data[have:])):
                    have += part
                data = data[:have]
        return data, read_object(data, limits=self._limits)


def _stored(reader: _Reader, source: Source) -> tuple[NDArray[np.generic], DicomObject]:
    data, header = reader.read(source)
    return _stored_pixels(data, header), header


def _whole_number(header: DicomObject, keyword: str, default: int | None = None) -> int:
    value = header.number(keyword)
    if value is None:
        if default is None:
            raise Malformed(f"no image: {keyword} is absent")
        return default
    if value != int(value) or value < 0:
        raise Malformed(f"no image: {keyword} is {value:g}")
    return int(value)


def _stored_pixels(data: memoryview, header: DicomObject) -> NDArray[np.generic]:
    """Stored values, (frames, rows, columns)."""
    rows, columns = _whole_number(header, "Rows"), _whole_number(header, "Columns")
    frames = _whole_number(header, "NumberOfFrames", 1) or 1
    samples, bits = _whole_number(header, "SamplesPerPixel", 1), _whole_number(header, "BitsAllocated")
    if samples != 1:
        raise Malformed(f"no grey image: {samples} samples per pixel")
    count = frames * rows * columns
    if count == 0:
        raise Malformed("no image: it has no pixels")
    if count > MOST_PIXELS:
        raise TooLarge(f"the image has {count} pixels, more than are held in memory")
    stored, signed = _whole_number(header, "BitsStored", bits), _whole_number(header, "PixelRepresentation", 0) == 1
    explicit = header.transfer_syntax_uid == _EXPLICIT
    if bits in (8, 16, 32) and (explicit or header.transfer_syntax_uid == _IMPLICIT):
        start = _pixel_data(data, count * bits // 8, explicit)
        if start is not None:
            values = np.frombuffer(data, f"<{'i' if signed else 'u'}{bits // 8}", count, start)
            if 0 < stored < bits:
                values = _without_high_bits(values, bits - stored)
            return values.reshape(frames, rows, columns)
    return _through_pydicom(data, (frames, rows, columns))


def _pixel_data(data: memoryview, length: int, explicit: bool) -> int | None:
    """Where the pixel data start: they nearly always end the object, and their own tag and length must say the same."""
    padded = length + length % 2
    head = 12 if explicit else 8
    for trailing in (0, *range(1, _MOST_TRAILING + 1)):
        start = len(data) - padded - trailing
        if start < head:
            return None
        front = data[start - head : start]
        if front[:4] == _PIXEL_DATA and int.from_bytes(front[-4:], "little") == padded:
            if explicit and front[4:8] not in (b"OW\0\0", b"OB\0\0"):
                continue
            return start
    return None


def _without_high_bits(values: NDArray[np.generic], shift: int) -> NDArray[np.generic]:
    """Values whose bits above Bits Stored (overlays, rubbish) are dropped, the sign extended from the highest stored."""
    low, high = values.min(), values.max()
    bits = 8 * values.dtype.itemsize - shift
    least, most = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if values.dtype.kind == "i" else (0, (1 << bits) - 1)
    if least <= low and high <= most:
        return values
    return (values << shift) >> shift  # type: ignore[operator]


def _through_pydicom(data: memoryview, shape: tuple[int, int, int]) -> NDArray[np.generic]:
    import pydicom
    from pydicom.errors import InvalidDicomError

    try:
        dataset = pydicom.dcmread(io.BytesIO(data), force=True)
        if "TransferSyntaxUID" not in getattr(dataset, "file_meta", {}):
            raise Malformed("no image: it does not say how its pixels are encoded")
        pixels = np.asarray(dataset.pixel_array)
    except ReadError:
        raise
    except (AttributeError, ArithmeticError, EOFError, InvalidDicomError, LookupError, MemoryError, NotImplementedError,
            OSError, RuntimeError, TypeError, ValueError) as error:  # fmt: skip
        raise Malformed(f"the pixel data cannot be decoded ({type(error).__name__})") from None
    if pixels.size != math.prod(shape):
        raise Malformed(f"the pixel data hold {pixels.size} values where {math.prod(shape)} are announced")
    return pixels.reshape(shape)


def _rescale(stored: NDArray[np.generic], pixels: Pixels, header: DicomObject) -> bool:
    """Write the true values into `pixels`; False where whole numbers cannot hold them."""
    slope, intercept = header.number("RescaleSlope"), header.number("RescaleIntercept") or 0.0
    slope = 1.0 if slope is None or slope == 0.0 else slope
    if pixels.dtype == np.int16:
        if slope != 1.0 or intercept != int(intercept) or abs(intercept) >= 1 << 15:
            return False
        low, high = int(stored.min()) + int(intercept), int(stored.max()) + int(intercept)
        if low < -(1 << 15) or high >= 1 << 15:
            return False
        # Arithmetic modulo 2¹⁶ is exact where the result fits.
        np.add(stored.astype(np.int16, copy=False), np.int16(intercept), out=pixels)
        return True
    pixels[...] = stored
    if slope != 1.0:
        pixels *= np.float32(slope)
    if intercept:
        pixels += np.float32(intercept)
    return True


def _image(header: DicomObject, pixels: Pixels) -> Image:
    spacing, source = _spacing(header)
    unit = "HU" if header.text("Modality") == "CT" else header.text("RescaleType") or "1"
    return Image(
        pixels, "1" if unit == "US" else unit, spacing, source, _position(header), header.number("SliceThickness")
    )


def _pair(values: Sequence[float]) -> tuple[float, float] | None:
    return (values[0], values[1]) if len(values) == 2 and min(values) > 0 else None


def _spacing(header: DicomObject) -> tuple[tuple[float, float] | None, str]:
    pixel = _pair(header.numbers("PixelSpacing"))
    if pixel is not None:
        return pixel, "Pixel Spacing"
    imager = _pair(header.numbers("ImagerPixelSpacing"))
    if imager is None:
        return None, ""
    factor = header.number("EstimatedRadiographicMagnificationFactor")
    if factor is not None and factor >= 1.0:
        return (imager[0] / factor, imager[1] / factor), "Imager Pixel Spacing over magnification"
    return imager, "Imager Pixel Spacing"


def _position(header: DicomObject) -> float | None:
    """Image Position along the normal of the plane."""
    place, axes = header.numbers("ImagePositionPatient"), header.numbers("ImageOrientationPatient")
    if len(place) != 3 or len(axes) != 6:
        return None
    normal = (
        axes[1] * axes[5] - axes[2] * axes[4],
        axes[2] * axes[3] - axes[0] * axes[5],
        axes[0] * axes[4] - axes[1] * axes[3],
    )
    return sum(a * b for a, b in zip(place, normal, strict=True))
