"""Where images come from: data sets in memory, files, folders and zip archives, with a line on each that is not used."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from dose_audit.phantom.frames import Frame, frames_of
from dose_audit.phantom.series import ImageSeries, group_series

__all__ = ["Gathered", "gather"]

_MAXIMUM_FILES = 20_000
_MAXIMUM_FILE_BYTES = 2_000_000_000
_MAXIMUM_INFLATED_BYTES = 4_000_000_000


@dataclass
class Gathered:
    """What was found: the series, and what was left aside with its reason."""

    series: list[ImageSeries]
    left_aside: list[tuple[str, str]] = field(default_factory=list)


def _members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Files of a zip archive, each inflated under a cap."""
    total = 0
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist()[:_MAXIMUM_FILES]:
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


def _files(path: Path) -> Iterator[Path]:
    """Files below a folder in a stable order; links are not followed, so a loop cannot be walked."""
    for one in sorted(path.iterdir()):
        if one.is_symlink():
            continue
        if one.is_dir():
            yield from _files(one)
        elif one.is_file():
            yield one


def _sources(source: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(source, Dataset | bytes):
        yield "object", source
    elif isinstance(source, str | Path):
        path = Path(source)
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file or folder")
        for file in _files(path) if path.is_dir() else (path,):
            if zipfile.is_zipfile(file):
                yield from _members(file)
            else:
                yield file.name, file
    elif isinstance(source, Iterable):
        for one in source:
            yield from _sources(one)
    else:
        raise TypeError(f"cannot take images from {type(source).__name__}")


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
            if isinstance(one, Path) and one.stat().st_size > _MAXIMUM_FILE_BYTES:
                raise ValueError(f"larger than {_MAXIMUM_FILE_BYTES // 10**9} GB")
            with warnings.catch_warnings():
                # pydicom quotes invalid values in its warnings, which may identify somebody; what matters is noted here.
                warnings.simplefilter("ignore")
                found: Sequence[Frame] = list(frames_of(one))
        except (
            ValueError,
            TypeError,
            KeyError,
            AttributeError,
            IndexError,
            OSError,
            EOFError,
            InvalidDicomError,
            RecursionError,
        ) as error:
            aside.append((name, " ".join(str(error).split())[:200] or type(error).__name__))
            continue
        frames.extend(found)
    found_series = []
    for series in group_series(frames):
        modality = (
            series.modality or "unknown modality"
        )  # asked now: a series whose every image is broken has no header
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            readable = len(series.volume)
        if readable:
            found_series.append(series)
        else:
            aside.append((f"a series of {modality}", "; ".join(series.notes[-1:])))
    return Gathered(found_series, aside)
