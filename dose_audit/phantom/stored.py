"""The stored pixels of one image object, read when they are wanted: those of a file stay in it until then."""

from __future__ import annotations

import hashlib
import io
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

from dose_audit.image_quality.pixels import without_high_bits

__all__ = ["Changed", "NotAnImage", "StoredImage", "opened"]

# Elements that are longer stay in the file: pixels, and what vendors keep beside them.
_LEFT_IN_FILE_BYTES = 65_536
_UNDEFINED_LENGTH = 0xFFFFFFFF
_META_BYTES, _CHUNK_BYTES, _MAXIMUM_INFLATED_BYTES = 4096, 1 << 20, 1_000_000_000


class NotAnImage(ValueError):
    """The object holds no image that can be measured; the text is our own and repeats no value that identifies a patient."""


class Changed(OSError):
    """The file was changed or taken away while it was being measured."""

    def __init__(self) -> None:
        super().__init__("the file was changed or taken away while it was being read")


class StoredImage:
    """One image object, in memory or in a file.

    Parameters
    ----------
    dataset : Dataset
    path : Path, optional
        The file that it was read from, and can be read from again.
    sha256 : str
        Of the whole file.
    """

    def __init__(self, dataset: Dataset, path: Path | None = None, sha256: str = "") -> None:
        self._dataset: Dataset | None = dataset
        self._path = path
        self._stamp = None if path is None else _stamp(path)
        self.sha256 = sha256

    def dataset(self) -> Dataset:
        """The object's attributes.

        Raises
        ------
        Changed
            If its file is not the one any more that was read first.
        """
        if self._dataset is None:
            assert self._path is not None
            self._check()
            self._dataset = _from_file(self._path)
        return self._dataset

    def let_go(self) -> None:
        """Free what can be read again."""
        if self._path is not None:
            self._dataset = None

    def pixels(self, index: int, count: int) -> np.ndarray:
        """Stored values of frame `index` of `count`, (rows, columns); colours as their mean.

        Raises
        ------
        Exception
            Whatever the decoder finds wrong.
        """
        native = self._native(index)
        if native is not None:
            return native
        from pydicom.pixels import pixel_array

        self._check()
        image = np.asarray(pixel_array(self.dataset(), index=index if count > 1 else None))
        if image.ndim == 3 and image.shape[-1] in (3, 4):
            return image[..., :3].mean(axis=-1)
        return image if image.ndim == 2 else image.reshape(-1, *image.shape[-2:])[0]

    def _native(self, frame: int) -> np.ndarray | None:
        """Uncompressed grey pixels of one frame straight from the bytes; `None` where it is not that simple."""
        dataset = self.dataset()
        syntax = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
        bits = dataset.get("BitsAllocated")
        if syntax is None or syntax.is_compressed or not syntax.is_little_endian or bits not in (8, 16, 32):
            return None
        if int(dataset.get("SamplesPerPixel") or 1) != 1 or "PixelData" not in dataset:
            return None
        signed = bool(dataset.get("PixelRepresentation"))
        rows, columns = int(dataset.Rows), int(dataset.Columns)
        size = rows * columns * bits // 8
        part = self._bytes(frame * size, size)
        if len(part) != size:
            raise ValueError(f"pixel data ends early: frame {frame + 1} has {len(part)} of {size} bytes")
        image = np.frombuffer(part, dtype=f"<{'i' if signed else 'u'}{bits // 8}")
        return without_high_bits(image.reshape(rows, columns), bits - int(dataset.get("BitsStored") or bits))

    def _bytes(self, start: int, size: int) -> bytes:
        """A part of the pixel data."""
        dataset = self.dataset()
        element: Any = dataset.get_item("PixelData", keep_deferred=True)
        left_in_file = isinstance(element, RawDataElement) and element.value is None
        if not left_in_file or self._path is None or element.length == _UNDEFINED_LENGTH:
            return bytes((dataset.PixelData or b"")[start : start + size])
        self._check()
        with self._path.open("rb") as file:
            file.seek(element.value_tell + start)
            return file.read(max(0, min(size, element.length - start)))

    def _check(self) -> None:
        if self._path is not None and _stamp(self._path) != self._stamp:
            raise Changed


def _stamp(path: Path) -> tuple[int, int] | None:
    """By which a file is known again; `None` where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _from_file(path: Path) -> Dataset:
    """A file's attributes, long ones left where they are."""
    with path.open("rb") as file:
        deflated = _check_deflated(file)
    # Of what is compressed as a whole, no part can be found later.
    return _with_syntax(pydicom.dcmread(path, force=True, defer_size=None if deflated else _LEFT_IN_FILE_BYTES))


def _with_syntax(dataset: Dataset) -> Dataset:
    """The same, with the transfer syntax that holds where none is told."""
    if getattr(dataset, "file_meta", None) is None or "TransferSyntaxUID" not in dataset.file_meta:
        dataset.ensure_file_meta()
        dataset.file_meta.TransferSyntaxUID = UID(ImplicitVRLittleEndian)
    return dataset


def _check_deflated(file: BinaryIO) -> bool:
    """Whether all that follows the file meta information is compressed; refused where it inflates to too much."""
    head = file.read(_META_BYTES)
    if DeflatedExplicitVRLittleEndian.encode() not in head:
        return False
    if head[128:136] != b"DICM\x02\x00\x00\x00":
        raise NotAnImage("deflated, and its file meta information does not begin as it should")
    file.seek(144 + int.from_bytes(head[140:144], "little"))
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    total, chunk = 0, file.read(_CHUNK_BYTES)
    while chunk and not inflate.eof:
        total += len(inflate.decompress(chunk, _CHUNK_BYTES))
        if total > _MAXIMUM_INFLATED_BYTES:
            raise NotAnImage(f"too large: it inflates to more than {_MAXIMUM_INFLATED_BYTES // 10**9} GB")
        chunk = inflate.unconsumed_tail or file.read(_CHUNK_BYTES)
    return True


def opened(source: Dataset | bytes | Path) -> StoredImage:
    """An image object from memory or from a file.

    Parameters
    ----------
    source : Dataset, bytes or Path

    Raises
    ------
    NotAnImage
        If it inflates to more than an image can be.
    Exception
        Whatever else the reader finds wrong with it.
    """
    if isinstance(source, Path):
        with source.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        stored = StoredImage(_from_file(source), source, digest)
    elif isinstance(source, bytes):
        _check_deflated(io.BytesIO(source))
        read = _with_syntax(pydicom.dcmread(io.BytesIO(source), force=True))
        stored = StoredImage(read, sha256=hashlib.sha256(source).hexdigest())
    else:
        stored = StoredImage(_with_syntax(source))
    return stored
