"""Files to exams: one study at a time, in memory that does not grow with the number of files.

Two passes. The first opens each file just far enough to know its study and SOP Instance UID, and writes that
to an index on disk that vanishes with the process. The second reads study by study, so that only one study's
parts are held at once, and of CT, PET and NM slices only their sums.
"""

from __future__ import annotations

import itertools
import json
import os
import sqlite3
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import astuple
from typing import Any

from dose_audit.extract.archives import Member, is_archive, members
from dose_audit.extract.errors import NotDicom, ReadError
from dose_audit.extract.exam import Exam, Warning
from dose_audit.extract.merge import merge_parts
from dose_audit.extract.options import NotDose, ReadOptions
from dose_audit.extract.parts import read_part, relevant_sop_class
from dose_audit.extract.reader import Peek, peek
from dose_audit.extract.slices import fold_parts, slice_key

__all__ = ["OnRefused", "read_exam", "read_exams"]

Path = str | os.PathLike[str]
Place = Path | Member

OnRefused = Callable[[str, str, str], None]
"""Told of every file that gives no exam: its path, the reason in one line, and ``unreadable``,
``not_relevant`` or ``pixels_only``.
"""

MAX_PARTS = 20_000
"""Objects of one study, after slices are folded, that are merged; no study comes near."""


def read_exam(source: bytes | Path | Sequence[Path], *, options: ReadOptions | None = None) -> Exam | NotDose:
    """Read one exam from one object, or from several objects of one study.

    Parameters
    ----------
    source : bytes, path, or sequence of paths
    options : ReadOptions, optional

    Returns
    -------
    Exam or NotDose
        `NotDose` when no object carries dose (of several: what the first said).

    Raises
    ------
    ReadError
        When an object cannot be read.
    DifferentStudies
        When the objects are of different studies.
    """
    if isinstance(source, bytes | str | os.PathLike):
        part = read_part(source, options=options)
        return merge_parts([part]) if isinstance(part, Exam) else part
    read = [read_part(path, options=options) for path in source]
    parts = [part for part in read if isinstance(part, Exam)]
    if not parts:
        return next((part for part in read if isinstance(part, NotDose)), NotDose("no object given"))
    return merge_parts(parts)


def read_exams(
    paths: Iterable[Path], *, options: ReadOptions | None = None, on_refused: OnRefused | None = None
) -> Iterator[Exam]:
    """Read any number of files and give one exam per study, in the order in which the studies first appear.

    Parameters
    ----------
    paths : iterable of path
        Files, zip archives, and folders with everything below them; a link to a folder is not followed. Each
        file is opened at most twice. A member of an archive is read like a file and named ``archive!name``.
    options : ReadOptions, optional
    on_refused : callable, optional
        ``on_refused(path, reason, kind)`` for each file that gives no exam; nothing stops the run.

    Yields
    ------
    Exam
    """
    tell = _Teller(on_refused)
    # An empty name is a private database on disk that SQLite deletes when it is closed.
    with closing(sqlite3.connect("")) as index:
        index.execute("CREATE TABLE file (study TEXT, object TEXT, path BLOB, member TEXT, first INTEGER)")
        index.executemany("INSERT INTO file VALUES (?, ?, ?, ?, ?)", _peeked(_files(paths, tell), tell))
        index.execute("CREATE INDEX by_study ON file (study, object, path, first)")
        studies = index.execute("SELECT study, MIN(first) FROM file GROUP BY study ORDER BY 2")
        for study, _ in studies:
            files = index.execute(
                "SELECT object, path, member FROM file WHERE study = ? ORDER BY object, path, first", (study,)
            )
            exam = _study(((uid, _place(path, member)) for uid, path, member in files), options, tell)
            if exam is not None:
                yield exam


class _Teller:
    """Turns why a file gives no exam into what `OnRefused` is told."""

    def __init__(self, on_refused: OnRefused | None) -> None:
        self._on_refused = on_refused

    def __call__(self, path: Place, why: NotDose | ReadError | OSError) -> None:
        if self._on_refused is None:
            return
        if isinstance(why, NotDose):
            reason, kind = why.reason, why.kind
        elif isinstance(why, OSError):
            reason, kind = why.strerror or type(why).__name__, "unreadable"
        else:
            reason, kind = str(why), "unreadable"
        self._on_refused(str(path) if isinstance(path, Member) else os.fspath(path), reason, kind)


def _files(paths: Iterable[Path], tell: _Teller) -> Iterator[str]:
    """The regular files among and below the paths; a pipe or a device would never end."""
    for path in paths:
        try:
            mode = os.stat(path).st_mode  # noqa: PTH116
        except OSError as error:
            tell(path, error)
            continue
        if stat.S_ISREG(mode):
            yield os.fspath(path)
        elif stat.S_ISDIR(mode):
            failed: list[OSError] = []
            for folder, folders, names in os.walk(path, onerror=failed.append):
                folders.sort()
                for name in sorted(names):
                    inside = os.path.join(folder, name)  # noqa: PTH118
                    if os.path.isfile(inside):  # noqa: PTH113
                        yield inside
                    else:
                        tell(inside, ReadError("neither a file nor a folder"))
            for failure in failed:
                tell(failure.filename or path, failure)
        else:
            tell(path, ReadError("neither a file nor a folder"))


def _peeked(paths: Iterable[str], tell: _Teller) -> Iterator[tuple[str, str, bytes, str | None, int]]:
    """Study, SOP Instance UID, path, place in an archive, and number of each file that may carry dose."""
    for number, (place, seen) in enumerate(_seen(paths, tell)):
        if not relevant_sop_class(seen.sop_class_uid):
            tell(place, NotDose(f"SOP Class {seen.sop_class_uid} carries no dose"))
            continue
        # An object without a study is a study of its own.
        study = seen.study_instance_uid or f"file {number}"
        path, member = (place.archive, json.dumps(astuple(place)[1:])) if isinstance(place, Member) else (place, None)
        yield study, seen.sop_instance_uid or f"file {number}", os.fsencode(path), member, number


def _seen(places: Iterable[str | Member], tell: _Teller) -> Iterator[tuple[str | Member, Peek]]:
    """What a glance shows of each file, and of each file in an archive; an archive within one is not opened."""
    for place in places:
        try:
            found = peek(place)
        except NotDicom as error:
            if isinstance(place, Member) or not is_archive(place):
                tell(place, error)
            else:
                yield from _seen(_readable(members(place), tell), tell)
        except (ReadError, OSError) as error:
            tell(place, error)
        else:
            yield place, found


def _readable(found: Iterable[Member | tuple[str, ReadError | OSError]], tell: _Teller) -> Iterator[Member]:
    for each in found:
        if isinstance(each, Member):
            yield each
        else:
            tell(*each)


def _place(path: bytes, member: str | None) -> str | Member:
    return os.fsdecode(path) if member is None else Member(os.fsdecode(path), *json.loads(member))


def _study(files: Iterator[tuple[str, str | Member]], options: ReadOptions | None, tell: _Teller) -> Exam | None:
    """Merge the objects of one study, versions of one object together, slices folded as they come."""
    alone: list[Exam] = []
    folded: dict[Any, Exam] = {}
    for _, group in itertools.groupby(files, key=lambda entry: entry[0]):
        for part in _versions([path for _, path in group], options, tell):
            key = slice_key(part)
            if key is None:
                if len(alone) < MAX_PARTS:
                    alone.append(part)
            else:
                key = (part.study_instance_uid, *key)
                folded[key] = fold_parts(folded[key], part) if key in folded else part
    parts = [*alone, *folded.values()]
    return merge_parts(parts) if parts else None


def _versions(paths: list[str | Member], options: ReadOptions | None, tell: _Teller) -> list[Exam]:
    """What the files with one SOP Instance UID tell; of different versions of a slice only the newest."""
    parts: list[Exam] = []
    for path in paths:
        try:
            part = read_part(path, options=options)
        except (ReadError, OSError) as error:
            tell(path, error)
            continue
        if isinstance(part, NotDose):
            tell(path, part)
        elif part not in parts:
            parts.append(part)
    if len(parts) < 2 or slice_key(parts[0]) is None:
        return parts
    newest = max(parts, key=lambda part: (part.sources[0].content_datetime or "", repr(part)))
    uid = newest.sources[0].sop_instance_uid
    newest.warnings.append(Warning("object_versions", f"{len(parts)} versions of one object: the newest counts", uid))
    return [newest]
