"""From the fragments of one C-STORE request to a spooled object and the status that its sender is told."""

from typing import Protocol

from . import dimse
from .errors import InvalidUID, ObjectTooLarge, ProtocolError, SpoolError
from .header import SOP_CLASS_UID, SOP_INSTANCE_UID
from .incoming import Incoming
from .part10 import clean_uid
from .pdu import INVALID_PARAMETER
from .routing import DROP, Router
from .spool import Spool

_HEAD_BYTES = 32 * 1024  # what rules may look at; scanners put device and acquisition protocol well before that
_UIDS_WITHIN = 2048


class Outcome:
    """Status of one object and, when it failed, why (a comment for the sender, a name for the counter)."""

    __slots__ = ("comment", "kind", "status")

    def __init__(self, status: int, comment: str = "", kind: str = "stored") -> None:
        self.status = status
        self.comment = comment
        self.kind = kind


class Sink(Protocol):
    """Takes the bytes of one data set."""

    def write(self, *pieces: memoryview) -> None: ...
    def finish(self) -> Outcome: ...
    def abort(self) -> None: ...


class Discard:
    """Reads over a data set that is refused or unwanted, within the same size cap."""

    def __init__(self, outcome: Outcome, cap: int, taken: int = 0) -> None:
        self._outcome = outcome
        self._left = cap - taken

    def write(self, *pieces: memoryview | bytearray) -> None:
        self._left -= sum(map(len, pieces))
        if self._left < 0:
            raise ProtocolError("data set longer than the size cap")

    def finish(self) -> Outcome:
        return self._outcome

    def abort(self) -> None:
        pass


class Store:
    """One object on its way into the spool: looked at, routed, then streamed.

    Parameters
    ----------
    command : dict
        The C-STORE-RQ.
    abstract_syntax, transfer_syntax : str
        Of the presentation context.
    aet, address, association : str
        Of the caller; what the spool is to know this association by.
    """

    def __init__(
        self,
        spool: Spool,
        router: Router,
        command: dimse.Command,
        *,
        transfer_syntax: str,
        aet: str,
        address: str,
        max_object_bytes: int,
        association: str = "",
    ) -> None:
        self._spool = spool
        self._router = router
        self._transfer_syntax = transfer_syntax
        self._aet = aet
        self._association = association
        self._source = f"dicom:{aet}@{address}"
        self._cap = max_object_bytes
        self._look_within = _HEAD_BYTES if router.needs_header else _UIDS_WITHIN
        self._head: bytearray | None = bytearray()
        self._size = 0
        self._next: Incoming | Discard | None = None
        self.sop_class_uid = clean_uid(command.get(dimse.AFFECTED_SOP_CLASS, b""), what="SOP Class UID")
        self.sop_instance_uid = clean_uid(command.get(dimse.AFFECTED_SOP_INSTANCE, b""), what="SOP Instance UID")

    def write(self, *pieces: memoryview) -> None:
        """Take some bytes; after a failure the rest is read over and the failure told at the end."""
        self._size += sum(map(len, pieces))
        if self._size > self._cap:
            self.abort()
            raise ProtocolError("data set longer than the size cap")
        if self._next is None:
            self._begin_with(pieces)
            return
        try:
            self._next.write(*pieces)
        except SpoolError as error:
            self._next = Discard(_failure(error), self._cap, self._size)

    def finish(self) -> Outcome:
        """Make the object safe and say what to answer."""
        if self._size == 0:
            return Outcome(dimse.CANNOT_UNDERSTAND, "no data set", "empty data set")
        if self._next is None:
            self._open_with_head()
        if isinstance(self._next, Discard):
            return self._next.finish()
        assert self._next is not None
        try:
            receipt = self._next.commit()
        except SpoolError as error:
            return _failure(error)
        return Outcome(dimse.SUCCESS, "", receipt.state)

    def abort(self) -> None:
        """The association ended in the middle."""
        if isinstance(self._next, Incoming):
            self._next.abort()
            self._next = None

    def _begin_with(self, pieces: tuple[memoryview, ...]) -> None:
        """Gather as much as the rules look at, then decide; as a rule the first piece is enough."""
        assert self._head is not None
        if not self._head and len(pieces[0]) >= self._look_within:
            self._decide(pieces[0])
            self._pass_on(*pieces)
            return
        for piece in pieces:
            self._head += piece
        if len(self._head) >= self._look_within:
            self._open_with_head()

    def _open_with_head(self) -> None:
        assert self._head is not None
        head, self._head = self._head, None
        self._decide(head)
        self._pass_on(head)

    def _pass_on(self, *pieces: memoryview | bytearray) -> None:
        assert self._next is not None
        try:
            self._next.write(*pieces)
        except SpoolError as error:
            self._next = Discard(_failure(error), self._cap, self._size)

    def _decide(self, head: memoryview | bytearray) -> None:
        """Refuse, drop or open a part file, by what the first bytes say."""
        header = self._router.look(memoryview(head), self._transfer_syntax)
        sop_class_uid, sop_instance_uid = self.sop_class_uid, self.sop_instance_uid
        if (
            header.get(SOP_CLASS_UID, sop_class_uid) != sop_class_uid
            or header.get(SOP_INSTANCE_UID, sop_instance_uid) != sop_instance_uid
        ):
            outcome = Outcome(dimse.DATA_SET_MISMATCH, "data set and command name different UIDs", "UID mismatch")
            self._next = Discard(outcome, self._cap)
            return
        if len(head) < 8:
            outcome = Outcome(dimse.CANNOT_UNDERSTAND, "data set too short", "data set too short")
            self._next = Discard(outcome, self._cap)
            return
        route = self._router.decide(self._aet, self.sop_class_uid, header)
        if route.to == DROP:
            self._next = _Drop(self._spool, route.name(), self._cap)
            return
        try:
            self._next = self._spool.begin(
                source=self._source,
                sop_class_uid=self.sop_class_uid,
                sop_instance_uid=self.sop_instance_uid,
                transfer_syntax_uid=self._transfer_syntax,
                route=route.to,
                association=self._association,
            )
        except SpoolError as error:
            self._next = Discard(_failure(error), self._cap)


class _Drop(Discard):
    """An object that the site does not want: acknowledged, counted, never written."""

    def __init__(self, spool: Spool, rule: str, cap: int) -> None:
        super().__init__(Outcome(dimse.SUCCESS, "", "dropped"), cap)
        self._spool = spool
        self._rule = rule

    def finish(self) -> Outcome:
        try:
            self._spool.tally("drop", self._rule, durable=True)
        except SpoolError as error:
            return _failure(error)
        return self._outcome


def _failure(error: SpoolError) -> Outcome:
    kind = "object too large" if isinstance(error, ObjectTooLarge) else "out of resources"
    return Outcome(dimse.OUT_OF_RESOURCES, str(error), kind)


def open_store(
    spool: Spool,
    router: Router,
    command: dimse.Command,
    *,
    transfer_syntax: str,
    aet: str,
    address: str,
    max_object_bytes: int,
    association: str = "",
) -> Sink:
    """The sink for a C-STORE request: a `Store`, or a `Discard` that knows why."""
    if dimse.number(command, dimse.DATA_SET_TYPE) == dimse.NO_DATA_SET:
        raise ProtocolError("C-STORE without data set", INVALID_PARAMETER)
    try:
        return Store(
            spool,
            router,
            command,
            transfer_syntax=transfer_syntax,
            aet=aet,
            address=address,
            max_object_bytes=max_object_bytes,
            association=association,
        )
    except InvalidUID as error:
        return Discard(Outcome(dimse.INVALID_SOP_INSTANCE, str(error), "invalid UID"), max_object_bytes)
