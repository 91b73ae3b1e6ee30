"""What the spool hands out: objects, receipts, and the states that an object can be in."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

# What may become of an object. Every one is in exactly one of these states at any time.
OPEN_STATES = ("pending", "phantom", "in_work")  # waits for dose extraction, for phantom analysis; somebody has it
END_STATES = ("extracted", "measured", "duplicate", "superseded", "conflict", "not_relevant", "quarantined")

PHANTOM = "phantom"
"""Route of what goes to phantom analysis, and the state in which it waits for it."""


def waiting_state(route: str) -> str:
    """The state in which an object of this route waits for a worker."""
    return PHANTOM if route == PHANTOM else "pending"


@dataclass(frozen=True)
class SpooledObject:
    """One object that is safe on disk.

    Attributes
    ----------
    id : int
        Key in the ledger; rises with time of arrival.
    path : Path
        The Part 10 file. Never move or delete it; `Spool.settle` decides what becomes of it.
    sop_class_uid, sop_instance_uid, transfer_syntax_uid : str
        As announced by the sender; empty when an uploaded file did not say.
    sha256 : str
        Of the whole file. Always there in what a worker is given; elsewhere empty while nobody has needed it yet.
    size : int
        Of the whole file, bytes.
    source : str
        Where it came from: ``dicom:AET@address``, ``file`` ...
    received_at : datetime
        UTC.
    route : str
        What the routing rules made of it: ``dose``, ``phantom`` or a site's own word.
    """

    id: int
    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    sha256: str
    size: int
    source: str
    received_at: datetime
    route: str


@dataclass(frozen=True)
class SpooledSeries:
    """Images of one series that wait for phantom analysis together.

    Attributes
    ----------
    study_instance_uid, series_instance_uid : str
        Empty when the objects do not say; each object is then a series of its own.
    objects : tuple of SpooledObject
        What is handed out now, in order of arrival; settle every one of them.
    earlier : tuple of SpooledObject
        Images of the series that were handed out before (it was sent in two goes); only to be read.
    """

    study_instance_uid: str
    series_instance_uid: str
    objects: tuple[SpooledObject, ...]
    earlier: tuple[SpooledObject, ...] = ()


@dataclass(frozen=True)
class Receipt:
    """Proof that an object is safe: its ledger id, and whether it was ``stored``, a ``duplicate`` or a ``conflict``."""

    id: int
    state: str
