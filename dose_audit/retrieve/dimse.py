"""An archive reached by DICOM: C-FIND to ask, C-MOVE to our listener or C-GET on the same association to bring."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, MutableSequence, Sequence
from typing import TYPE_CHECKING, Any

from dose_audit.receive.answers import keep_answers
from dose_audit.retrieve.answers import LEVELS, Gathering, Raw, instance_reader, series_reader, study_reader
from dose_audit.retrieve.bounded import Meter, quiet_log
from dose_audit.retrieve.entries import Answers, ArchiveError, Delivery, Instance, Window, known_uid
from dose_audit.retrieve.reach import tls_context, why_unreachable

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pynetdicom.association import Association

    from dose_audit.receive.spool import Spool
    from dose_audit.retrieve.pace import Pace
    from dose_audit.retrieve.settings import ArchiveSettings

__all__ = ["DicomArchive"]

STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3"

_FIND_BYTES = 64 << 20  # all answers to one query
_UIDS_PER_REQUEST = 64

_PLAIN = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")  # Explicit and Implicit VR Little Endian
_PACKED = ("1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.90")  # JPEG and JPEG 2000, both lossless

PENDING = (0xFF00, 0xFF01)
WITHHELD = (0xA700, 0xFE00, 0xB001)
"""Final statuses of a C-FIND that mean: there is more than was told (out of resources, ended early, response limit)."""


class DicomArchive:
    """One association after the other with an archive; opened when needed, opened again when it was dropped.

    Parameters
    ----------
    settings : ArchiveSettings
        ``method`` is ``move`` or ``get``.
    our_aet : str
        Our AE title where the settings name none.
    pace : Pace
        Asked for leave before every request.
    """

    def __init__(self, settings: ArchiveSettings, our_aet: str, pace: Pace) -> None:
        self._settings = settings
        self._our_aet = settings.calling_aet or our_aet
        self._destination = settings.destination_aet or our_aet
        self._pace = pace
        self._association: Association | None = None
        self._meter = Meter(settings.timeout_s)
        self._taking: _Taking | None = None
        quiet_log()

    def close(self) -> None:
        """Release the association."""
        association, self._association = self._association, None
        if association is not None and association.is_established:
            association.release()

    # -- asking --------------------------------------------------------------------------------------------------

    def studies(self, window: Window, modality: str) -> Answers:
        keys = {"StudyDate": window.date_key, "StudyTime": window.time_key, "ModalitiesInStudy": modality}
        return self._find("STUDY", keys, study_reader(window, modality))

    def studies_by_accession(self, accession_number: str) -> Answers:
        return self._find("STUDY", {"AccessionNumber": accession_number}, study_reader(None, None))

    def series(self, study_instance_uid: str) -> Answers:
        return self._find("SERIES", {"StudyInstanceUID": study_instance_uid}, series_reader(study_instance_uid))

    def instances(self, study_instance_uid: str, series_instance_uid: str) -> Answers:
        keys = {"StudyInstanceUID": study_instance_uid, "SeriesInstanceUID": series_instance_uid}
        return self._find("IMAGE", keys, instance_reader(study_instance_uid, series_instance_uid))

    def _find(self, level: str, keys: dict[str, str], read: Callable[[Raw], Any]) -> Answers:
        gathering = Gathering(read, self._settings.max_answers)
        wanted = {**dict.fromkeys(LEVELS[level], ""), **keys}
        association = self._open(STUDY_ROOT_FIND)
        self._meter.allow(_FIND_BYTES)
        deadline = time.monotonic() + self._settings.transfer_timeout_s
        for status, identifier in association.send_c_find(_identifier(level, wanted), STUDY_ROOT_FIND):
            code = status.get("Status")
            if code in PENDING:
                gathering.add(_raw(identifier, wanted))
                if gathering.full or time.monotonic() > deadline:
                    gathering.answers.truncated = gathering.answers.endless = True
                    self._drop(association)
                    return gathering.answers
            elif code in WITHHELD:
                gathering.answers.truncated = True
            elif code != 0:
                self._refused("C-FIND", code, association)
        return gathering.answers

    # -- bringing ------------------------------------------------------------------------------------------------

    def fetch(self, wanted: Sequence[Instance], spool: Spool) -> Delivery:
        delivery = Delivery()
        for group in _by_series(wanted):
            identifier = _identifier(
                "IMAGE",
                {
                    "StudyInstanceUID": group[0].study_instance_uid,
                    "SeriesInstanceUID": group[0].series_instance_uid,
                    "SOPInstanceUID": [instance.sop_instance_uid for instance in group],
                },
            )
            problem = (
                self._move(identifier)
                if self._settings.method == "move"
                else self._get(identifier, group, spool, delivery)
            )
            delivery.problem = delivery.problem or problem
        return delivery

    def _move(self, identifier: Dataset) -> str:
        association = self._open(STUDY_ROOT_MOVE)
        self._meter.allow(_FIND_BYTES)
        return self._follow(
            association, association.send_c_move(identifier, self._destination, STUDY_ROOT_MOVE), "C-MOVE"
        )

    def _get(self, identifier: Dataset, group: Sequence[Instance], spool: Spool, delivery: Delivery) -> str:
        association = self._open(STUDY_ROOT_GET)
        self._taking = taking = _Taking(
            group, spool, f"get:{self._settings.name}", self._meter, self._settings.max_object_bytes
        )
        try:
            problem = self._follow(association, association.send_c_get(identifier, STUDY_ROOT_GET), "C-GET")
        finally:
            self._taking = None
        delivery.unasked += taking.unasked
        if taking.spool_error is not None:
            raise taking.spool_error  # a full disk is ours to tell, not the archive's failure
        return problem

    def _follow(self, association: Association, responses: Iterator, what: str) -> str:
        """Wait for the final response; what went wrong, or nothing."""
        deadline = time.monotonic() + self._settings.transfer_timeout_s
        for status, _ in responses:
            code = status.get("Status")
            if code in PENDING:
                if time.monotonic() > deadline:
                    self._drop(association)
                    return f"{what} took longer than {self._settings.transfer_timeout_s:g} s"
                continue
            if code is None:
                self._refused(what, code, association)
            if code == 0xB000:
                return f"{what}: the archive could not send everything"
            return "" if code == 0 else f"{what} was refused with status 0x{code:04X}"
        return f"{what} ended without an answer"

    # -- association ---------------------------------------------------------------------------------------------

    def _open(self, sop_class: str) -> Association:
        self._pace.leave()
        current = self._association
        if current is not None and current.is_established:
            return self._ready(current, sop_class)
        from pynetdicom import AE, build_context, evt

        settings = self._settings
        entity = AE(self._our_aet)
        entity.acse_timeout = entity.connection_timeout = settings.timeout_s
        entity.network_timeout = None  # silence is bounded by the response time-out
        entity.maximum_pdu_size = 1 << 16
        contexts = [build_context(STUDY_ROOT_FIND)]
        roles: list = []
        if settings.method == "move":
            contexts.append(build_context(STUDY_ROOT_MOVE))
        else:
            storage, roles = _storage_contexts()
            contexts += [build_context(STUDY_ROOT_GET), *storage]
        self._meter = Meter(settings.timeout_s)
        refusals: list[str] = []  # `is_rejected` alone will not do: an answer that came very fast is missed by it
        association = entity.associate(
            settings.host,
            settings.port,
            contexts=contexts,
            ae_title=settings.aet,
            ext_neg=roles,
            tls_args=(tls_context(settings), settings.host) if settings.tls else None,
            evt_handlers=[
                (evt.EVT_CONN_OPEN, self._meter.attach),
                (evt.EVT_C_STORE, self._take),
                (evt.EVT_PDU_RECV, _keep_refusal, [refusals]),
            ],
        )
        if not association.is_established:
            told = refusals[0] if refusals else f"cannot be reached: {why_unreachable(settings)}"
            raise ArchiveError(f"archive {settings.name} ({settings.aet} at {settings.host}:{settings.port}) {told}")
        keep_answers(association)
        self._association = association
        return self._ready(association, sop_class)

    def _ready(self, association: Association, sop_class: str) -> Association:
        """Set how long an answer may take: a list comes soon, objects may first come from tape."""
        settings = self._settings
        association.dimse_timeout = settings.timeout_s if sop_class == STUDY_ROOT_FIND else settings.transfer_timeout_s
        return _supporting(association, sop_class)

    def _take(self, event: Any) -> int:
        """Handle one C-STORE of a C-GET."""
        return self._taking.take(event) if self._taking is not None else 0x0122

    def _drop(self, association: Association) -> None:
        self._association = None
        association.abort()

    def _refused(self, what: str, code: int | None, association: Association) -> None:
        name = self._settings.name
        if code is None:
            self._drop(association)
            raise ArchiveError(f"archive {name}: {what} ended without an answer" + _why(self._meter.exceeded))
        raise ArchiveError(f"archive {name}: {what} was refused with status 0x{code:04X}")


class _Taking:
    """Puts the objects of one C-GET into the spool, and only those that were asked for."""

    def __init__(self, group: Sequence[Instance], spool: Spool, source: str, meter: Meter, most: int) -> None:
        self.unasked = 0
        self.spool_error: Exception | None = None
        self._wanted = {instance.sop_instance_uid for instance in group}
        self._spool = spool
        self._source = source
        self._meter = meter
        self._most = most
        meter.allow(most)

    def take(self, event: Any) -> int:
        """Make one object safe; the status to answer."""
        from dose_audit.receive.errors import InvalidUID, ObjectTooLarge, SpoolError

        self._meter.allow(self._most)
        request = event.request
        uid = known_uid(request.AffectedSOPInstanceUID)
        if uid not in self._wanted or request.DataSet is None:
            self.unasked += 1
            return 0x0117  # invalid object instance
        try:
            incoming = self._spool.begin(
                source=self._source,
                sop_class_uid=str(request.AffectedSOPClassUID),
                sop_instance_uid=str(uid),
                transfer_syntax_uid=str(event.context.transfer_syntax),
            )
            incoming.write(request.DataSet.getbuffer())
            incoming.commit()
        except (InvalidUID, ObjectTooLarge):
            return 0xC000
        except SpoolError as error:
            self.spool_error = error
            return 0xA700
        return 0


def _supporting(association: Association, sop_class: str) -> Association:
    if sop_class not in {context.abstract_syntax for context in association.accepted_contexts}:
        names = {STUDY_ROOT_FIND: "C-FIND", STUDY_ROOT_MOVE: "C-MOVE", STUDY_ROOT_GET: "C-GET"}
        raise ArchiveError(f"the archive does not offer {names[sop_class]} (study root) to us")
    return association


def _identifier(level: str, keys: dict[str, Any]) -> Dataset:
    from pydicom.dataset import Dataset

    identifier = Dataset()
    identifier.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(identifier, keyword, value or None)
    return identifier


def _raw(identifier: Dataset | None, wanted: dict[str, str]) -> Raw:
    """One answer as keyword → text; what cannot be decoded is absent, and nothing of it is printed."""
    raw: dict[str, object] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for keyword in wanted:
            try:
                value = None if identifier is None else identifier.get(keyword)
            except Exception:  # noqa: BLE001 (pydicom raises whatever the archive's bytes make it raise)
                value = None
            if isinstance(value, str | int | float):
                raw[keyword] = value
            elif isinstance(value, MutableSequence):
                raw[keyword] = [part for part in value[:32] if isinstance(part, str)]
    return raw


def _by_series(wanted: Sequence[Instance]) -> Iterator[list[Instance]]:
    """Groups of one series each that fit into one request."""
    groups: dict[str, list[Instance]] = {}
    for instance in wanted:
        groups.setdefault(instance.series_instance_uid, []).append(instance)
    for group in groups.values():
        for start in range(0, len(group), _UIDS_PER_REQUEST):
            yield group[start : start + _UIDS_PER_REQUEST]


def _storage_contexts() -> tuple[list, list]:
    """Contexts and roles that offer to take every class that may carry dose; 128 contexts are all there is."""
    from pynetdicom import build_context, build_role

    from dose_audit.extract.parts import CT, MAMMOGRAPHY, NUCLEAR, PROJECTION, SECONDARY_CAPTURE, STRUCTURED_REPORTS

    images = sorted(CT | MAMMOGRAPHY | NUCLEAR | PROJECTION | SECONDARY_CAPTURE)
    classes = sorted(STRUCTURED_REPORTS) + images
    contexts = [build_context(uid, list(_PLAIN)) for uid in classes]
    contexts += [build_context(uid, syntax) for syntax in _PACKED for uid in images]
    return contexts, [build_role(uid, scp_role=True) for uid in classes]


def _why(text: str) -> str:
    return f": it sent {text}" if text else ""


# Source and diagnostic of an A-ASSOCIATE-RJ (PS3.8 table 9-21), and what they mean for whoever set this up.
_REFUSALS: dict[tuple[int | None, int | None], str] = {
    (1, 3): "refused us: it does not know our AE title",
    (1, 7): "refused us: it does not answer to that AE title",
    (3, 1): "refused us for now: it is busy",
    (3, 2): "refused us for now: it has as many associations as it takes",
}


def _keep_refusal(event: Any, refusals: list[str]) -> None:
    """Keep what an A-ASSOCIATE-RJ says."""
    from pynetdicom.pdu import A_ASSOCIATE_RJ

    if isinstance(event.pdu, A_ASSOCIATE_RJ):
        known = _REFUSALS.get((event.pdu.source, event.pdu.reason_diagnostic))
        refusals.append(known or "refused us: does it know our AE title, and is its own right?")
