"""Images and stacks of slices from DICOM to an array in true units, with their spacing and place."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.extract.errors import Malformed, ReadError, TooLarge
from dose_audit.extract.reader import DicomObject, Limits, read_object
from dose_audit.image_quality.pixels import MOST_PIXELS, PixelFormat, PixelReader

__all__ = ["Image", "Stack", "read_image", "read_stack"]

Source = bytes | str | os.PathLike[str]
Pixels = np.ndarray[Any, np.dtype[Any]]


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
    stored, header = _stored(PixelReader(limits.object_bytes), source, limits)
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
    listed, reader = list(sources), PixelReader(limits.object_bytes)
    whole: Pixels | None = None
    first: Image | None = None
    kept: list[int] = []
    positions: list[float | None] = []
    problems: list[str] = []
    for index, source in enumerate(listed):
        try:
            stored, header = _stored(reader, source, limits)
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


def _stored(reader: PixelReader, source: Source, limits: Limits) -> tuple[NDArray[np.generic], DicomObject]:
    """Stored values, (frames, rows, columns), valid until the next ones are read; and the header."""
    header = read_object(source, limits=limits)
    return reader.stored(source, PixelFormat.of(header)), header


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
