"""Stored values of an object's pixels, frame by frame: uncompressed ones straight from the bytes, the rest through pydicom."""

from __future__ import annotations

import io
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dose_audit.extract.errors import Malformed, TooLarge

if TYPE_CHECKING:
    from dose_audit.extract.reader import DicomObject

__all__ = ["MOST_PIXELS", "PixelFormat", "PixelReader", "without_high_bits"]

Source = bytes | memoryview | str | os.PathLike[str]

MOST_PIXELS = 1 << 28
"""Read at once, above which it is refused: 1 GB as float32."""

_IMPLICIT, _EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
_DEFLATED = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95"})
_PIXEL_DATA = b"\xe0\x7f\x10\x00"
_MOST_TRAILING = 2  # bytes of padding that may follow the pixel data
_CLEARLY = 0.9  # in doubt the header is believed
_MOST_SEARCHED = 64 << 20  # bytes in which pixel data that do not end the object are looked for


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """How an object says that its pixels are stored.

    Attributes
    ----------
    rows, columns, frames : int
        1 or more.
    bits_allocated, bits_stored : int
    signed : bool
    transfer_syntax_uid : str
    """

    rows: int
    columns: int
    frames: int
    bits_allocated: int
    bits_stored: int
    signed: bool
    transfer_syntax_uid: str

    @classmethod
    def of(cls, header: DicomObject) -> PixelFormat:
        """The format of a grey image.

        Raises
        ------
        Malformed
            No image, or one in colour.
        """
        rows, columns = _whole_number(header, "Rows"), _whole_number(header, "Columns")
        frames = _whole_number(header, "NumberOfFrames", 1) or 1
        samples, bits = _whole_number(header, "SamplesPerPixel", 1), _whole_number(header, "BitsAllocated")
        if samples != 1:
            raise Malformed(f"no grey image: {samples} samples per pixel")
        if frames * rows * columns == 0:
            raise Malformed("no image: it has no pixels")
        stored = _whole_number(header, "BitsStored", bits)
        signed = _whole_number(header, "PixelRepresentation", 0) == 1
        return cls(rows, columns, frames, bits, stored, signed, header.transfer_syntax_uid)

    @property
    def frame_bytes(self) -> int:
        """Of one uncompressed frame."""
        return self.rows * self.columns * self.bits_allocated // 8


def _whole_number(header: DicomObject, keyword: str, default: int | None = None) -> int:
    value = header.number(keyword)
    if value is None:
        if default is None:
            raise Malformed(f"no image: {keyword} is absent")
        return default
    if value != int(value) or value < 0:
        raise Malformed(f"no image: {keyword} is {value:g}")
    return int(value)


class PixelReader:
    """Reads pixels of objects one after the other into the same memory: fresh memory for each costs more than reading it.

    Parameters
    ----------
    object_bytes : int
        Objects larger than this are refused.
    """

    def __init__(self, object_bytes: int = 2 << 30) -> None:
        self._object_bytes = object_bytes
        self._memory = bytearray()

    def stored(self, source: Source, form: PixelFormat, frame: int | None = None) -> NDArray[np.generic]:
        """Stored values, valid until the next call.

        Parameters
        ----------
        source : bytes, memoryview, str or os.PathLike
            The object, or its file, of which no more is read than what is asked for.
        form : PixelFormat
            As the object's header says.
        frame : int, optional
            Which one, from 0; all by default.

        Returns
        -------
        ndarray, shape (rows, columns), or (frames, rows, columns) for all
            Bits above Bits Stored dropped.

        Raises
        ------
        ReadError
            They are not there, cannot be decoded, or are more than `MOST_PIXELS`.
        OSError
            The file cannot be read.
        """
        if frame is not None and not 0 <= frame < form.frames:
            raise ValueError(f"frame {frame} of {form.frames}")
        shape = (form.rows, form.columns) if frame is not None else (form.frames, form.rows, form.columns)
        if math.prod(shape) > MOST_PIXELS:
            raise TooLarge(f"the image has {math.prod(shape)} pixels, more than are held in memory")
        values = self._plain(source, form, frame)
        if values is None:
            return _through_pydicom(source, form, frame)
        return without_high_bits(values.reshape(shape), form.bits_allocated - form.bits_stored)

    def _plain(self, source: Source, form: PixelFormat, frame: int | None) -> NDArray[np.generic] | None:
        """None where the pixels are compressed, or not where they usually are."""
        with _opened(source) as file:
            size = file.seek(0, os.SEEK_END)
            if size > self._object_bytes:
                raise TooLarge(f"the object is larger than {self._object_bytes >> 20} MB")
            if form.bits_allocated not in (8, 16, 32) or form.transfer_syntax_uid not in (_IMPLICIT, _EXPLICIT):
                return None
            start = _pixel_data(file, size, form)
            if start is None:
                return None
            wanted = form.frame_bytes * (form.frames if frame is None else 1)
            start += form.frame_bytes * (frame or 0)
            kind = np.dtype(f"<{'i' if form.signed else 'u'}{form.bits_allocated // 8}")
            if not isinstance(source, str | os.PathLike):
                return np.frombuffer(source, kind, wanted // kind.itemsize, start)
            if wanted > len(self._memory):
                self._memory = bytearray(wanted)
            part, have = memoryview(self._memory)[:wanted], 0
            file.seek(start)
            while have < wanted and (more := file.readinto(part[have:])):  # type: ignore[attr-defined]
                have += more
        if have < wanted:
            raise Malformed("the file ends within its pixel data")
        return np.frombuffer(part, kind)


def _opened(source: Source) -> io.RawIOBase:
    if isinstance(source, str | os.PathLike):
        return Path(source).open("rb", buffering=0)
    return _View(source)


class _View(io.RawIOBase):
    """Bytes as a file, without a copy of them."""

    def __init__(self, data: bytes | memoryview) -> None:
        self._data, self._at = memoryview(data), 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + (len(self._data) if whence == os.SEEK_END else 0)
        return self._at

    def read(self, size: int = -1) -> bytes:
        stop = len(self._data) if size < 0 else self._at + size
        part = bytes(self._data[self._at : stop])
        self._at += len(part)
        return part


def _pixel_data(file: io.RawIOBase, size: int, form: PixelFormat) -> int | None:
    """Where the pixel data start: they nearly always end the object, and their own tag and length must say the same."""
    explicit = form.transfer_syntax_uid == _EXPLICIT
    length = form.frame_bytes * form.frames
    length += length % 2
    if length >= 0xFFFFFFFF:
        return None
    heads = [_PIXEL_DATA + vr + length.to_bytes(4, "little") for vr in ((b"OW\0\0", b"OB\0\0") if explicit else (b"",))]
    before = length + len(heads[0])
    if size < before:
        return None
    file.seek(at := max(0, size - before - _MOST_TRAILING))
    found = _last(file.read(len(heads[0]) + _MOST_TRAILING) or b"", heads)
    if found is None and size <= _MOST_SEARCHED:
        # Something stands behind the pixels. From the end: an icon or a private element may hold the same bytes before.
        file.seek(at := 0)
        found = _last(file.read(size - length) or b"", heads)
    return None if found is None else at + found


def _last(data: bytes, heads: list[bytes]) -> int | None:
    """Where the last of these ends."""
    places = [place + len(head) for head in heads if (place := data.rfind(head)) >= 0]
    return max(places, default=None)


def without_high_bits(values: NDArray[Any], shift: int) -> NDArray[Any]:
    """Drop what lies above the stored bits, the sign extended from the highest stored one, unless the image lies there.

    Overlays and rubbish above Bits Stored make an image rough. Where a writer stored larger values than its Bits Stored
    tells, the image is rough without them instead, because values wrap.

    Parameters
    ----------
    values : ndarray of integers, shape (..., rows, columns)
    shift : int
        Bits allocated less bits stored; what is no such number changes nothing.

    Returns
    -------
    ndarray
        `values` itself where nothing is to be dropped.

    Examples
    --------
    >>> without_high_bits(np.array([[0xF005, 7], [6, 8]], np.uint16), 4).tolist()
    [[5, 7], [6, 8]]
    >>> ramp = np.add.outer(np.arange(4000, 4200), np.arange(200)).astype(np.uint16)
    >>> without_high_bits(ramp, 4) is ramp
    True
    """
    bits = 8 * values.dtype.itemsize - shift
    if not 0 < bits < 8 * values.dtype.itemsize:
        return values
    low, high = values.min(), values.max()
    least, most = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if values.dtype.kind == "i" else (0, (1 << bits) - 1)
    if least <= low and high <= most:
        return values
    lower = (values << shift) >> shift
    return values if _roughness(values) < _CLEARLY * _roughness(lower) else lower


def _roughness(values: NDArray[Any]) -> float:
    """Variance between neighbouring pixels over that of all; 4 where neighbours have nothing in common."""
    image = values.astype(np.float64)
    spread = float(image.var())
    if spread == 0.0:
        return 0.0
    between = sum(float(np.square(np.diff(image, axis=axis)).mean()) for axis in range(-2, 0) if image.shape[axis] > 1)
    return between / spread


def _through_pydicom(source: Source, form: PixelFormat, frame: int | None) -> NDArray[np.generic]:
    import pydicom
    from pydicom.errors import InvalidDicomError
    from pydicom.pixels import pixel_array

    plain = not isinstance(source, str | os.PathLike)
    try:
        file: Any = io.BytesIO(source) if plain else Path(source)  # type: ignore[arg-type]
        if form.frames == 1 or form.transfer_syntax_uid in _DEFLATED:
            file = pydicom.dcmread(file, force=True)
        values = np.asarray(pixel_array(file, index=frame if form.frames > 1 else None))
    except (AttributeError, ArithmeticError, EOFError, InvalidDicomError, LookupError, MemoryError, NotImplementedError,
            OSError, RuntimeError, TypeError, ValueError) as error:  # fmt: skip
        raise Malformed(f"the pixel data cannot be decoded ({type(error).__name__})") from None
    shape = (form.rows, form.columns) if frame is not None else (form.frames, form.rows, form.columns)
    if values.size != math.prod(shape):
        raise Malformed(f"the pixel data hold {values.size} values where {math.prod(shape)} are announced")
    return values.reshape(shape)
