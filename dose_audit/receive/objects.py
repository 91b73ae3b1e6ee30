"""What the spool hands out: objects, receipts, and the states that an object can be in."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

# What may become of an object. Every one is in exactly one of these states at any time.
OPEN_STATES = ("pending", "in_work")
END_STATES = ("extracted", "duplicate", "superseded", "not_relevant", "quarantined")


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
        Of the whole file.
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
class Receipt:
    """Proof that an object is safe: its ledger id, and whether it was ``stored``, a ``duplicate`` or a ``conflict``."""

    id: int
    state: str
