"""What can go wrong at the door, as a small typed hierarchy: the listener turns each into a DIMSE status."""


class ReceiveError(Exception):
    """Base of every failure that this room expects."""


class TlsFilesError(ReceiveError):
    """A certificate, a key or the authorities of the settings cannot be used; the message names setting and file."""


class SpoolError(ReceiveError):
    """An object could not be made safe on disk; the sender may try again."""


class SpoolFull(SpoolError):
    """Too little free space, or the file system said so while writing."""


class ObjectTooLarge(SpoolError):
    """One object exceeds the configured size cap."""


class LedgerUnavailable(SpoolError):
    """The ledger is locked, read-only or damaged.

    Attributes
    ----------
    certain : bool
        True when nothing of the transaction can have reached the disk, so that the object's file may be removed.
    """

    def __init__(self, message: str, *, certain: bool = False) -> None:
        super().__init__(message)
        self.certain = certain


class InvalidUID(ReceiveError, ValueError):
    """A UID breaks the construction rules of PS3.5 chapter 9 (characters, components, 64 at most)."""


class ProtocolError(ReceiveError):
    """A peer broke the upper-layer or DIMSE protocol; its association is aborted.

    Attributes
    ----------
    reason : int
        Provider reason of the A-ABORT PDU (PS3.8 table 9-26).
    """

    def __init__(self, message: str, reason: int = 0) -> None:
        super().__init__(message)
        self.reason = reason
