"""Everything unusual goes through pydicom; what it makes of the bytes is written out plainly for our walk.

Plainly means explicit VR little endian with defined lengths, values untouched. So a big-endian object, or one
that switches between explicit and implicit VR on the way, is decoded by the same code as any other.
"""

from __future__ import annotations

import warnings
from array import array
from io import BytesIO
from struct import pack
from typing import TYPE_CHECKING, Any, cast

from dose_audit.extract._dictionary import vr_of
from dose_audit.extract._elements import MARKS, PIXEL_DATA, UNDEFINED, VALUE_OFFSET, Limits, tag
from dose_audit.extract.errors import Malformed, ReadError, TooDeep, TooLarge, Truncated

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydicom.dataset import Dataset

_TOO_MANY = "the data set breaks the encoding rules and has too many elements to be repaired"

_ITEMS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")  # the tag of an item, little and big endian

_WORD_TYPES = dict.fromkeys((b"US", b"SS", b"OW", b"AT", b"US or SS", b"OB or OW"), "H")
_WORD_TYPES |= dict.fromkeys((b"UL", b"SL", b"FL", b"OF", b"OL"), "I")
_WORD_TYPES |= dict.fromkeys((b"UV", b"SV", b"FD", b"OD", b"OV"), "Q")


class _Counted(BytesIO):
    """Bytes of which pydicom gets so many heads of elements and items, eight bytes each, and no more."""

    def __init__(self, data: bytes, heads: Heads) -> None:
        super().__init__(data)
        self._heads = heads

    def read(self, size: int | None = -1) -> bytes:
        taken = super().read(size)
        if size == 8:
            # pydicom makes a data set of an item, which takes as long as three elements.
            self._heads.left -= 3 if taken[:4] in _ITEMS else 1
            if self._heads.left < 0:
                raise TooLarge(_TOO_MANY)
        return taken


class Heads:
    """How many elements and items of one object pydicom may still be asked to read."""

    __slots__ = ("left",)

    def __init__(self, limits: Limits) -> None:
        self.left = limits.fallback_elements


def transcode_dataset(
    data: bytes, explicit: bool, little_endian: bool, limits: Limits, heads: Heads
) -> tuple[bytes, bool]:
    """Read a data set up to its pixel data with pydicom and write it as explicit VR little endian.

    Returns
    -------
    plain : bytes
        The data set.
    reached_pixels : bool
        Whether pixel data follows, so that what is behind `data` does not matter.

    Raises
    ------
    Truncated, TooDeep, TooLarge, Malformed
    """
    from pydicom.filereader import read_dataset

    reached = []

    def at_pixels(number: int, _vr: str | None, _length: int) -> bool:
        if tag(number >> 16, number & 0xFFFF) in PIXEL_DATA:
            reached.append(number)
        return bool(reached)

    with _pydicom(heads):
        dataset = read_dataset(_Counted(data, heads), not explicit, little_endian, stop_when=at_pixels)
        return _write(dataset, little_endian, limits.depth, heads), bool(reached)


def transcode_sequence(data: bytes, explicit: bool, limits: Limits) -> bytes:
    """As `transcode_dataset`, for the value of one little-endian sequence."""
    heads = Heads(limits)
    with _pydicom(heads):
        items = _read_sequence(data, not explicit, True, heads)
        return _write_items(items, True, limits.depth, heads)


def _read_sequence(data: bytes, implicit: bool, little_endian: bool, heads: Heads) -> Iterable[Dataset]:
    from pydicom.filereader import read_sequence

    return read_sequence(_Counted(data, heads), implicit, little_endian, len(data), ["iso8859"])


class _pydicom:
    """Within it pydicom is quiet, and whatever it raises is one of our errors."""

    def __init__(self, heads: Heads) -> None:
        self._heads = heads

    def __enter__(self) -> None:
        self._warnings = warnings.catch_warnings()
        self._warnings.__enter__()
        warnings.simplefilter("ignore")
        # pydicom keeps what it has when a sequence ends too early, and says so here alone.
        warnings.filterwarnings("error", message=".* in file ", category=UserWarning)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._warnings.__exit__(None, None, None)
        if error is not None and self._heads.left < 0:
            raise TooLarge(_TOO_MANY) from None  # pydicom may have made another error of it
        if isinstance(error, RecursionError):
            raise TooDeep("sequences are nested deeper than can be read") from None
        if isinstance(error, EOFError | UserWarning):
            raise Truncated("the object ends in the middle of an element") from None
        if isinstance(error, Exception) and not isinstance(error, ReadError | MemoryError):
            raise Malformed(f"the data set cannot be read ({type(error).__name__})") from None


def _write(dataset: Dataset, little_endian: bool, depth: int, heads: Heads) -> bytes:
    if depth < 0:
        raise TooDeep("sequences are nested deeper than the limit")
    parts: list[bytes] = []
    for number in dataset.keys():  # noqa: SIM118
        # An empty element is not to be converted either: that makes pydicom convert others (Pixel Representation).
        element = cast(Any, dataset.get_item(number, keep_deferred=True))
        plain = tag(number >> 16, number & 0xFFFF)
        if plain in MARKS:
            continue  # a stray delimiter, which some writers leave behind, is no attribute
        vr = (element.VR or "UN").encode()
        if vr == b"UN" or vr not in VALUE_OFFSET:
            vr = vr_of(plain)
        # A sequence cut off between two items is checked too: pydicom parses what is there and says nothing.
        length = getattr(element, "length", UNDEFINED)
        if length != UNDEFINED and isinstance(element.value, bytes) and len(element.value) < length:
            raise Truncated("the object ends in the middle of an element")
        if vr == b"SQ":
            items = element.value or ()
            if isinstance(items, bytes):
                items = _read_sequence(items, element.is_implicit_VR, element.is_little_endian, heads)
            value = _write_items(items, little_endian, depth - 1, heads)
        else:
            value = element.value or b""
            if not isinstance(value, bytes):
                raise Malformed("the data set cannot be read (a value was converted)")
            if not little_endian and vr in _WORD_TYPES:
                words = array(_WORD_TYPES[vr])
                words.frombytes(value[: len(value) - len(value) % words.itemsize])
                words.byteswap()
                value = words.tobytes()
        # An ambiguous VR of the dictionary ("US or SS") and a value too long for its VR both become UN.
        if vr not in VALUE_OFFSET or (VALUE_OFFSET[vr] == 8 and len(value) > 0xFFFF):
            vr = b"UN"
        head = pack("<I2s", plain, vr)
        parts.append(head + (pack("<H", len(value)) if VALUE_OFFSET[vr] == 8 else pack("<HI", 0, len(value))))
        parts.append(value)
    return b"".join(parts)


def _write_items(items: Iterable[Dataset], little_endian: bool, depth: int, heads: Heads) -> bytes:
    parts: list[bytes] = []
    for item in items:
        body = _write(item, little_endian, depth, heads)
        parts += (pack("<HHI", 0xFFFE, 0xE000, len(body)), body)
    return b"".join(parts)
