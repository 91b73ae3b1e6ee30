"""What has really arrived: an archive's word that it sent is checked against the spool."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dose_audit.extract.errors import ReadError
from dose_audit.extract.reader import peek
from dose_audit.retrieve.entries import Instance

if TYPE_CHECKING:
    from pathlib import Path

    from dose_audit.receive.spool import Spool

__all__ = ["Arrival", "arrived", "await_arrival", "studies_in_spool"]


@dataclass(slots=True)
class Arrival:
    """What of the wanted is in the spool.

    Attributes
    ----------
    here : dict of str
        SOP Instance UID → SOP Class UID.
    other_study : set of str
        Those whose data set names another study than the one asked for; they are kept, and told.
    bytes : int
    """

    here: dict[str, str] = field(default_factory=dict)
    other_study: set[str] = field(default_factory=set)
    bytes: int = 0


def arrived(spool: Spool, wanted: Sequence[Instance]) -> Arrival:
    """Look up instances in the ledger, and glance at what is there."""
    found = Arrival()
    for instance in wanted:
        rows = spool.ledger.read("SELECT id FROM objects WHERE sop_instance_uid = ?", (instance.sop_instance_uid,))
        item = spool.get(rows[0][0]) if rows else None
        if item is None:
            continue
        found.here[instance.sop_instance_uid] = item.sop_class_uid
        found.bytes += item.size
        study = _study_of(item.path)
        if study is not None and study != instance.study_instance_uid:
            found.other_study.add(instance.sop_instance_uid)
    return found


def await_arrival(
    spool: Spool, wanted: Sequence[Instance], seconds: float, *, sleep: Callable[[float], None] = time.sleep
) -> Arrival:
    """As `arrived`, with a little patience for what another process is just writing."""
    deadline = time.monotonic() + seconds
    while True:
        found = arrived(spool, wanted)
        if len(found.here) == len({instance.sop_instance_uid for instance in wanted}) or time.monotonic() >= deadline:
            return found
        sleep(0.1)


def studies_in_spool(spool: Spool, states: Sequence[str], *, most: int = 20_000) -> set[str]:
    """Studies of the objects in these states, by a glance at each.

    Parameters
    ----------
    states : sequence of str
        ``pending`` and ``in_work``: on their way into the store. ``not_relevant``, ``quarantined``: the store has no exam
        of them.
    most : int
        Objects that are glanced at, newest first.
    """
    marks = ",".join("?" * len(states))
    rows = spool.ledger.read(
        f"SELECT id FROM objects WHERE state IN ({marks}) ORDER BY id DESC LIMIT ?", (*states, most)
    )
    items = (spool.get(identifier) for (identifier,) in rows)
    studies = (_study_of(item.path) for item in items if item is not None)
    return {study for study in studies if study}


def _study_of(path: Path) -> str | None:
    """Study Instance UID of an object; None where it cannot be read, which ingest will tell."""
    try:
        return peek(path).study_instance_uid
    except (ReadError, OSError, MemoryError, RecursionError):
        return None
