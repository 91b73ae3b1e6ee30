"""Where images come from: data sets in memory, files, folders and zip archives, with a line on each that is not used."""

from __future__ import annotations

import io
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from dose_audit.phantom.frames import Frame, frames_of
from dose_audit.phantom.series import ImageSeries, group_series
from dose_audit.phantom.stored import NotAnImage

__all__ = ["Gathered", "gather", "keep_within_memory"]

_MAXIMUM_FILES = 20_000
_MAXIMUM_FILE_BYTES = 2_000_000_000
_MAXIMUM_INFLATED_BYTES = 2_000_000_000
_HELD_BYTES = (
    1_000_000_000  # pixels in memory; with more, those of the earlier series are read again when they are needed
)
_BROKEN_ARCHIVE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, OSError)


@dataclass
class Gathered:
    """What was found: the series, and what was left aside with its reason."""

    series: list[ImageSeries]
    left_aside: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Unread:
    """In place of a file, folder or archive that cannot be opened: why."""

    reason: str


_Found = Iterator[tuple[str, Any]]


def _members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Files of a zip archive, each inflated under a cap."""
    total = 0
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist()[: _MAXIMUM_FILES + 1]:
            if info.is_dir():
                continue
            if info.file_size > _MAXIMUM_FILE_BYTES or total + info.file_size > _MAXIMUM_INFLATED_BYTES:
                raise ValueError(f"{archive.name}: inflates to more than {_MAXIMUM_INFLATED_BYTES // 10**9} GB")
            with opened.open(info) as member:
                data = member.read(info.file_size + 1)
            if len(data) > info.file_size:
                raise ValueError(f"{archive.name}: a member inflates beyond the size it states")
            total += len(data)
            yield Path(info.filename).name, data


def _opened_archive(archive: Path) -> Iterator[tuple[str, bytes]]:
    try:
        yield from _members(archive)
    except _BROKEN_ARCHIVE as error:
        raise ValueError(f"{archive.name}: the archive cannot be unpacked ({_in_short(error)})") from error


def _one_of_many(file: Path) -> _Found:
    """A file of a folder; an archive that is broken or too large costs what it would have held, and no other."""
    if not zipfile.is_zipfile(file):
        yield file.name, file
        return
    try:
        yield from _opened_archive(file)
    except ValueError as error:
        yield file.name, _Unread(str(error))


def _files(folder: Path) -> _Found:
    """Files below a folder in a stable order; links are not followed, so a loop cannot be walked."""
    waiting = [folder]
    while waiting:
        one = waiting.pop()
        try:
            if one is not folder and one.is_symlink():
                continue
            if one.is_dir():
                waiting.extend(sorted(one.iterdir(), reverse=True))
            elif one.is_file():
                yield from _one_of_many(one)
        except OSError as error:
            yield one.name, _Unread(_in_short(error))


def _sources(source: Any) -> _Found:
    if isinstance(source, Dataset | bytes):
        yield "object", source
    elif isinstance(source, str | Path):
        path = Path(source)
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file or folder")
        if path.is_dir():
            yield from _files(path)
        elif zipfile.is_zipfile(path):
            yield from _opened_archive(path)
        else:
            yield path.name, path
    elif isinstance(source, Iterable):
        for one in source:
            yield from _sources(one)
    else:
        raise TypeError(f"cannot take images from {type(source).__name__}")


def _in_short(error: Exception) -> str:
    """What went wrong, without values from the object: its own text only where the words are ours or the system's."""
    if isinstance(error, NotAnImage):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"the file cannot be read ({error.strerror})"
    return f"cannot be read as DICOM ({type(error).__name__})"


def _read(one: Any) -> Sequence[Frame]:
    """The frames of one object.

    Raises
    ------
    Exception
        Whatever a broken file makes the reader raise.
    """
    if isinstance(one, _Unread):
        raise NotAnImage(one.reason)
    if isinstance(one, Path) and one.stat().st_size > _MAXIMUM_FILE_BYTES:
        raise NotAnImage(f"larger than {_MAXIMUM_FILE_BYTES // 10**9} GB")
    if isinstance(one, bytes) and one[:4] == b"PK\x03\x04" and zipfile.is_zipfile(io.BytesIO(one)):
        raise NotAnImage("an archive within an archive is not opened: unpack it first")
    with warnings.catch_warnings():
        # pydicom quotes invalid values in its warnings, which may identify somebody; what matters is noted here.
        warnings.simplefilter("ignore")
        return list(frames_of(one))


def keep_within_memory(series: Iterable[ImageSeries]) -> None:
    """Let go of the pixels of the first ones while all together take too much memory."""
    holding = [one for one in series if one.held_bytes]
    while len(holding) > 1 and sum(one.held_bytes for one in holding) > _HELD_BYTES:
        holding.pop(0).let_go()


def gather(source: Any) -> Gathered:
    """Read everything that is an image and group it into series.

    Parameters
    ----------
    source : path, bytes, Dataset, or an iterable of them
        A file, a folder (walked whole), a zip archive, or objects in memory.

    Returns
    -------
    Gathered
        Series in order, and one line for each object that was left aside (an RTSTRUCT, a text file, a broken image).

    Raises
    ------
    FileNotFoundError
        If a path does not exist.
    ValueError
        If there are more files or bytes than an analysis may take.
    """
    frames: list[Frame] = []
    aside: list[tuple[str, str]] = []
    for number, (name, one) in enumerate(_sources(source), 1):
        if number > _MAXIMUM_FILES:
            raise ValueError(f"more than {_MAXIMUM_FILES} files; analyse one phantom at a time")
        try:
            frames.extend(_read(one))
        except Exception as error:  # noqa: BLE001 - whatever a broken file makes the reader raise costs that file alone
            aside.append((name, _in_short(error)))
    found_series: list[ImageSeries] = []
    for series in group_series(frames):
        # Asked now: a series whose every image is broken has no header.
        modality = series.modality or "unknown modality"
        if series.too_much or _readable(series):
            found_series.append(series)
            keep_within_memory(found_series)
        else:
            aside.append((f"a series of {modality}", "; ".join(series.notes[-1:])))
    return Gathered(found_series, aside)


def _readable(series: ImageSeries) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return len(series.volume) > 0
        except MemoryError:
            series.notes.append("its pixels take more memory than there is")
            return False
