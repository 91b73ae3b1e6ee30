"""From the fragments of one C-STORE request to a spooled object and the status that its sender is told."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from . import dimse
from .errors import InvalidUID, ObjectTooLarge, ProtocolError, SpoolError
from .header import SOP_CLASS_UID, SOP_INSTANCE_UID
from .part10 import clean_uid
from .pdu import INVALID_PARAMETER
from .routing import DROP, Route, Router
from .spool import Spool

_HEAD_BYTES = 32 * 1024  # what rules may look at; scanners put device and acquisition protocol well before that
_UIDS_WITHIN = 2048

Pieces = list[memoryview]


class Outcome(NamedTuple):
    """Status of one object and, when it failed, why (a comment for the sender, a name for the counter)."""

    status: int
    comment: str = ""
    kind: str = "stored"


class Refused(Exception):
    """This object is not taken, for the reason that `outcome` gives."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.comment)
        self.outcome = outcome


class Storing:
    """Stores the objects of one caller: each is looked at, routed, then streamed.

    Parameters
    ----------
    aet, address : str
        Of the caller.
    association : str
        What the spool is to know its association by.
    """

    def __init__(self, spool: Spool, router: Router, *, aet: str, address: str, association: str) -> None:
        self._spool = spool
        self._router = router
        self._aet = aet
        self._association = association
        self._source = f"dicom:{aet}@{address}"
        self._look_within = _HEAD_BYTES if router.needs_header else _UIDS_WITHIN

    def store(self, command: dimse.Command, transfer_syntax: str, data_set: Iterator[Pieces]) -> Outcome:
        """Make one object safe and say what to answer; its data set has been read to the end by then.

        Parameters
        ----------
        command : dict
            The C-STORE-RQ.
        transfer_syntax : str
            Of its presentation context.
        data_set : iterator of lists of memoryview
            As it comes; whatever it raises comes out here, and nothing is kept.
        """
        if dimse.number(command, dimse.DATA_SET_TYPE) == dimse.NO_DATA_SET:
            raise ProtocolError("C-STORE without data set", INVALID_PARAMETER)
        try:
            return self._store(command, transfer_syntax, data_set)
        except InvalidUID as error:
            outcome = Outcome(dimse.INVALID_SOP_INSTANCE, str(error), "invalid UID")
        except Refused as refusal:
            outcome = refusal.outcome
        except SpoolError as error:
            kind = "object too large" if isinstance(error, ObjectTooLarge) else "out of resources"
            outcome = Outcome(dimse.OUT_OF_RESOURCES, str(error), kind)
        read_over(data_set)
        return outcome

    def _store(self, command: dimse.Command, transfer_syntax: str, data_set: Iterator[Pieces]) -> Outcome:
        sop_class_uid = clean_uid(command.get(dimse.AFFECTED_SOP_CLASS, b""), what="SOP Class UID")
        sop_instance_uid = clean_uid(command.get(dimse.AFFECTED_SOP_INSTANCE, b""), what="SOP Instance UID")
        beginning = self._beginning(data_set)
        route = self._route(beginning[0], transfer_syntax, sop_class_uid, sop_instance_uid)
        if route.to == DROP:  # acknowledged, counted, never written
            read_over(data_set)
            self._spool.tally("drop", route.name(), durable=True)
            return Outcome(dimse.SUCCESS, "", "dropped")
        incoming = self._spool.begin(
            source=self._source,
            sop_class_uid=sop_class_uid,
            sop_instance_uid=sop_instance_uid,
            transfer_syntax_uid=transfer_syntax,
            route=route.to,
            association=self._association,
        )
        try:
            incoming.write(*beginning)
            for pieces in data_set:
                incoming.write(*pieces)
        except BaseException:
            incoming.abort()
            raise
        return Outcome(dimse.SUCCESS, "", incoming.commit().state)

    def _beginning(self, data_set: Iterator[Pieces]) -> Pieces | list[bytearray]:
        """The first pieces; the first of them holds as much as the rules look at, if there is so much."""
        pieces = next(data_set, [])
        if pieces and len(pieces[0]) >= self._look_within:  # as a rule
            return pieces
        head = bytearray().join(pieces)
        while len(head) < self._look_within and (pieces := next(data_set, [])):
            head += b"".join(pieces)
        return [head]

    def _route(
        self, head: memoryview | bytearray, transfer_syntax: str, sop_class_uid: str, sop_instance_uid: str
    ) -> Route:
        """Where an object goes, by what its first bytes say."""
        if not head:
            raise Refused(Outcome(dimse.CANNOT_UNDERSTAND, "no data set", "empty data set"))
        header = self._router.look(head, transfer_syntax)
        if (
            header.get(SOP_CLASS_UID, sop_class_uid) != sop_class_uid
            or header.get(SOP_INSTANCE_UID, sop_instance_uid) != sop_instance_uid
        ):
            comment = "data set and command name different UIDs"
            raise Refused(Outcome(dimse.DATA_SET_MISMATCH, comment, "UID mismatch"))
        if len(head) < 8:
            raise Refused(Outcome(dimse.CANNOT_UNDERSTAND, "data set too short", "data set too short"))
        return self._router.decide(self._aet, sop_class_uid, header)


def read_over(data_set: Iterable[Pieces]) -> None:
    """Read a data set that nobody wants."""
    for _ in data_set:
        pass
