"""Image header attributes as tables: which element fills which field, and what counts as unknown."""

from __future__ import annotations

from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from dose_audit.extract._dictionary import KEYWORDS
from dose_audit.extract.codes import Code
from dose_audit.extract.common import (
    date_time_of,
    equipment_from_header,
    moment_of,
    patient_from_header,
    source_of,
    study_from_header,
    warn,
)
from dose_audit.extract.exam import Event, Exam, Warning
from dose_audit.extract.options import ReadOptions
from dose_audit.extract.times import iso_offset
from dose_audit.extract.units import QUANTITIES, factor_for, scaled

if TYPE_CHECKING:
    from dose_audit.extract.reader import DicomObject, Header

__all__ = [
    "Element",
    "Field",
    "FieldTable",
    "Private",
    "acquired_at",
    "acquisition_protocol",
    "content_datetime",
    "exam_of_image",
    "read_fields",
    "target_region",
]


class Element(NamedTuple):
    """A standard element and the unit that the standard gives it."""

    keyword: str
    unit: str


class Private(NamedTuple):
    """A private element, addressed by its creator, and the unit in which that vendor writes it."""

    group: int
    creator: str
    offset: int
    unit: str


INTEGER_ELEMENTS = frozenset({"XRayTubeCurrent", "ExposureTime", "Exposure", "ExposureInuAs", "RelativeXRayExposure"})
"""Integer Strings in which some generators write decimals (DRGEM: 161.3 ms); read as sent, with a warning."""


class Field(NamedTuple):
    """One row of an image table.

    Attributes
    ----------
    name : str
        The field of the event.
    quantity : str
        A key of `units.QUANTITIES`.
    sources : tuple of Element or Private
        Looked at in this order; the first that holds a value wins, so the finest form stands first.
    zero : bool
        Whether 0 is a value. Where it is not, 0 means *unknown* and the next source is tried.
    """

    name: str
    quantity: str
    sources: tuple[Element | Private, ...]
    zero: bool = False


class _Read(NamedTuple):
    """One standard source of a field, ready to be looked up."""

    number: int
    vr: bytes
    keyword: str
    name: str
    factor: Decimal | None
    zero: bool
    negative: bool
    whole: bool


class _PrivateRead(NamedTuple):
    """One private source of a field; where it stands depends on the object."""

    source: Private
    name: str
    factor: Decimal | None
    zero: bool
    negative: bool


class FieldTable(tuple[Field, ...]):
    """Rows of one table. Their units and tags are looked up once, when it is first used."""

    def __new__(cls, *rows: Field) -> FieldTable:
        """Make a table of rows; of a field's sources the private ones have to stand last."""
        for row in rows:
            private = [isinstance(source, Private) for source in row.sources]
            if private != sorted(private):
                raise ValueError(f"{row.name}: a private element in front of a standard one")
        return super().__new__(cls, rows)

    @cached_property
    def reads(self) -> list[_Read]:
        """Every standard source in order; a field's next source is tried while it has no value."""
        return [
            _Read(
                *KEYWORDS[source.keyword],
                source.keyword,
                field.name,
                _factor(field, source),
                field.zero,
                QUANTITIES[field.quantity].negative,
                source.keyword in INTEGER_ELEMENTS,
            )
            for field in self
            for source in field.sources
            if isinstance(source, Element)
        ]

    @cached_property
    def private_reads(self) -> list[_PrivateRead]:
        """Every private source in order."""
        return [
            _PrivateRead(source, field.name, _factor(field, source), field.zero, QUANTITIES[field.quantity].negative)
            for field in self
            for source in field.sources
            if isinstance(source, Private)
        ]


def _factor(field: Field, source: Element | Private) -> Decimal | None:
    """Factor to the quantity's own unit, None for one; a unit that is none of the quantity's is an error in the table."""
    factor = factor_for(source.unit, field.quantity)
    if factor is None:
        raise ValueError(f"{field.name}: {source.unit} is no unit of {field.quantity}")
    return None if factor == 1 else factor


# PS3.16 Annex L, the part that dose audit meets: Body Part Examined → SNOMED CT.
BODY_PARTS: dict[str, tuple[str, str]] = {
    "ABDOMEN": ("113345001", "Abdomen"),
    "ABDOMENPELVIS": ("416949008", "Abdomen and Pelvis"),
    "ANKLE": ("70258002", "Ankle joint"),
    "BRAIN": ("12738006", "Brain"),
    "BREAST": ("76752008", "Breast"),
    "CHEST": ("51185008", "Chest"),
    "CHESTABDOMEN": ("416550000", "Chest and Abdomen"),
    "CHESTABDPELVIS": ("416775004", "Chest, Abdomen and Pelvis"),
    "CLAVICLE": ("51299004", "Clavicle"),
    "CSPINE": ("122494005", "Cervical spine"),
    "ELBOW": ("16953009", "Elbow joint"),
    "FEMUR": ("71341001", "Femur"),
    "FINGER": ("7569003", "Finger"),
    "FOOT": ("56459004", "Foot"),
    "HAND": ("85562004", "Hand"),
    "HEAD": ("69536005", "Head"),
    "HEADNECK": ("774007", "Head and Neck"),
    "HEART": ("80891009", "Heart"),
    "HIP": ("29836001", "Hip"),
    "HUMERUS": ("85050009", "Humerus"),
    "JAW": ("661005", "Jaw region"),
    "KIDNEY": ("64033007", "Kidney"),
    "KNEE": ("72696002", "Knee"),
    "LSPINE": ("122496007", "Lumbar spine"),
    "MANDIBLE": ("91609006", "Mandible"),
    "MAXILLA": ("70925003", "Maxilla"),
    "NECK": ("45048000", "Neck"),
    "PELVIS": ("12921003", "Pelvis"),
    "SHOULDER": ("16982005", "Shoulder"),
    "SKULL": ("89546000", "Skull"),
    "SPINE": ("421060004", "Spine"),
    "TOOTH": ("38199008", "Tooth"),
    "TSPINE": ("122495006", "Thoracic spine"),
    "WRIST": ("74670003", "Wrist joint"),
}


def read_fields(header: Header, table: FieldTable, event: Any, warnings: list[Warning]) -> None:
    """Fill an event from a header by a table; a field that is already set stays.

    Parameters
    ----------
    header : Header
        Top level of the object, or an item of one of its sequences.
    table : FieldTable
    event : Event
        Changed in place.
    warnings : list of Warning
        Grows by values that are impossible and by decimals in integer elements.
    """
    for (_, _, where, name, factor, zero, negative, whole), value in header.present_numbers(table.reads):
        if (value == 0 and not zero) or getattr(event, name) is not None:
            continue
        if whole and not value.is_integer():
            message = f"{where} is an integer element and holds decimals"
            warn(warnings, "decimals_in_integer", message, where, value)
        if value < 0 and not negative:
            warn(warnings, "implausible_value", f"{where}: below zero", where, value)
        else:
            setattr(event, name, value if factor is None else scaled(value, factor))
    for source, name, factor, zero, negative in table.private_reads:
        if getattr(event, name) is not None:
            continue
        found = header.private_number(source.group, source.creator, source.offset)
        if found is None or (found == 0 and not zero):
            continue
        if found < 0 and not negative:
            where = f"({source.group:04X},xx{source.offset:02X}) {source.creator}"
            warn(warnings, "implausible_value", f"{where}: below zero", where, found)
        else:
            setattr(event, name, found if factor is None else scaled(found, factor))


def exam_of_image(obj: DicomObject, options: ReadOptions, kind: str = "image") -> Exam:
    """The exam around an image's events: patient, equipment, study, source; no events yet.

    Parameters
    ----------
    obj : DicomObject
    options : ReadOptions
    kind : str
        ``image``, or ``dose_screen``.

    Returns
    -------
    Exam
        With the request's description found wherever image senders put it.
    """
    warnings: list[Warning] = []
    exam = Exam(
        modality=obj.text("Modality"),
        patient=patient_from_header(obj, options, warnings),
        equipment=equipment_from_header(obj),
        sources=[source_of(obj, kind)],
        warnings=warnings,
    )
    study_from_header(obj, exam, options)
    if not exam.requested_procedure_description:
        # The order in which image senders without a worklist item put the request.
        for codes in (exam.procedure_codes, obj.codes("PerformedProtocolCodeSequence")):
            meaning = next((code.meaning for code in codes if code.meaning), None)
            if meaning:
                exam.requested_procedure_description = meaning
                break
    return exam


_ACQUIRED = (("AcquisitionDate", "AcquisitionTime"), ("ContentDate", "ContentTime"))
_MADE = (("ContentDate", "ContentTime"), ("InstanceCreationDate", "InstanceCreationTime"))


def acquired_at(header: Header, obj: DicomObject | None = None, warnings: list[Warning] | None = None) -> str | None:
    """Start of the exposure: Acquisition DateTime, else Acquisition, else Content Date and Time.

    What is there and cannot be read is added to `warnings`, where these are given.
    """
    top = obj if obj is not None else header
    offset = iso_offset(top.text("TimezoneOffsetFromUTC"))
    sent = header.text("AcquisitionDateTime")
    found = moment_of(sent, offset) if sent else None
    if found and "T" in found:
        return found
    if sent and warnings is not None and not found:
        warn(warnings, "unreadable_time", "AcquisitionDateTime is no date and time", "AcquisitionDateTime", sent)
    for day, clock in _ACQUIRED:
        sent_day, sent_clock = header.text(day), header.text(clock)
        found = date_time_of(sent_day, sent_clock, offset)
        if found and "T" in found:
            return found
        if warnings is not None and sent_day and not found:
            warn(warnings, "unreadable_time", f"{day} is no date", day, sent_day)
        elif warnings is not None and found and sent_clock:
            warn(warnings, "unreadable_time", f"{clock} is no time of day", clock, sent_clock)
    return None


def content_datetime(obj: Header) -> str | None:
    """When an object's content was made, to tell the newer version: Content, else Instance Creation."""
    offset = iso_offset(obj.text("TimezoneOffsetFromUTC"))
    for day, clock in _MADE:
        found = date_time_of(obj.text(day), obj.text(clock), offset)
        if found:
            return found
    return None


def acquisition_protocol(obj: Header) -> str | None:
    """Acquisition protocol: Protocol Name, else Series Description, else the performed protocol code."""
    named = obj.text("ProtocolName") or obj.text("SeriesDescription")
    if named:
        return named
    code = obj.code("PerformedProtocolCodeSequence")
    return code.meaning or None if code else None


def target_region(header: Header, event: Event) -> None:
    """Set the target region from Anatomic Region Sequence, else Body Part Examined (PS3.16 Annex L)."""
    event.target_region = header.code("AnatomicRegionSequence")
    if event.target_region is None:
        part = (header.text("BodyPartExamined") or "").upper().replace(" ", "").replace("_", "")
        if part in BODY_PARTS:
            value, meaning = BODY_PARTS[part]
            event.target_region = Code(value, "SCT", meaning)
