"""Whether two descriptions of an event mean the same exposure: by event UID, else by device and time, else by
content.

Every function here looks at two events only and gives the same answer whichever of them comes first.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from dose_audit.extract.codes import Code, key
from dose_audit.extract.exam import AdministrationEvent, CtEvent, Equipment, Event, ProjectionEvent
from dose_audit.extract.slices import IMAGES

__all__ = ["RANK", "is_report", "moment_of", "same_device", "same_event"]

RANK: dict[str | None, int] = {
    "ct_rdsr": 0,
    "projection_rdsr": 0,
    "enhanced_rdsr": 0,
    "radiopharmaceutical_rdsr": 0,
    "patient_rdsr": 1,
    "enhanced_sr": 2,
    "image": 3,
    "dose_screen": 4,
}
"""Kind of source → precedence for the same event, 0 first."""

START_TOLERANCE = timedelta(seconds=2)
"""Some systems give acquisition times in whole seconds, read a moment after the report's."""

ADMINISTRATION_TOLERANCE = timedelta(hours=1)
"""Injector and scanner put the start of one administration 8 minutes apart in a real study."""

ACTIVITY_TOLERANCE = 0.02
DOSE_TOLERANCE = 0.005

_DOSES = ("kap_gy_cm2", "dose_rp_mgy", "agd_mgy", "ctdi_vol_mgy", "dlp_mgy_cm", "administered_activity_mbq")


def is_report(kind: str | None) -> bool:
    """Whether a kind of source is a structured report, which lists the events of an exam."""
    return RANK.get(kind, 9) <= 2


def moment_of(text: str | None) -> datetime | None:
    """A date-time without its zone, for comparing and sorting local times; `None` for a date alone."""
    if not text or "T" not in text:
        return None
    return datetime.fromisoformat(text).replace(tzinfo=None)


def _apart(one: str | None, other: str | None) -> timedelta | None:
    """How far apart two times are; with both offsets known in absolute time, else on the local clock."""
    if not one or not other or "T" not in one or "T" not in other:
        return None
    first, second = datetime.fromisoformat(one), datetime.fromisoformat(other)
    if first.tzinfo and second.tzinfo:
        return abs(first.astimezone(UTC) - second.astimezone(UTC))
    return abs(first.replace(tzinfo=None) - second.replace(tzinfo=None))


def same_device(one: Equipment, other: Equipment) -> bool:
    """Whether two objects can come from one device: the first of serial number, station, model that both have
    decides.

    Examples
    --------
    >>> same_device(Equipment(serial_number="1"), Equipment(serial_number="1", station_name="B"))
    True
    >>> same_device(Equipment(station_name="A"), Equipment(station_name="B"))
    False
    """
    for name in ("serial_number", "station_name", "model_name"):
        first, second = getattr(one, name), getattr(other, name)
        if first and second:
            return first.strip().casefold() == second.strip().casefold()
    return True


def same_event(one: Event, other: Event) -> bool:
    """Whether two events, of different objects of one device, are one exposure. Equal event UIDs are settled
    before.

    Parameters
    ----------
    one, other : Event
        With `source_kind` set.

    Returns
    -------
    bool
    """
    if type(one) is not type(other):
        return False
    uids = bool(one.irradiation_event_uid and other.irradiation_event_uid)
    reports = is_report(one.source_kind) + is_report(other.source_kind)
    if isinstance(one, AdministrationEvent) and isinstance(other, AdministrationEvent):
        # A report and an image header name the same administration by different UIDs (Siemens PET).
        return not (uids and reports != 1) and _same_administration(one, other)
    if uids and reports != 1:
        return False
    if reports == 2 or "dose_screen" in (one.source_kind, other.source_kind):
        return _same_content(one, other)
    if reports == 1:
        report, image = (one, other) if is_report(one.source_kind) else (other, one)
        return _same_time(report, image) and _compatible(report, image)
    if isinstance(one, CtEvent) and isinstance(other, CtEvent):
        return _same_slices(one, other)
    return _same_film(one, other)


def _agree(one: float | None, other: float | None, tolerance: float) -> bool:
    """Within a relative tolerance; an unknown value agrees with every other."""
    if one is None or other is None:
        return True
    return abs(one - other) <= tolerance * max(abs(one), abs(other))


def _same_code(one: Code | None, other: Code | None) -> bool:
    """Whether two codes can mean the same; codes of schemes that cannot be compared can."""
    if one is None or other is None:
        return True
    first, second = key(one), key(other)
    return first == second or first[0] != second[0]


def _same_administration(one: AdministrationEvent, other: AdministrationEvent) -> bool:
    apart = _apart(one.started_at, other.started_at)
    return (
        _same_code(one.radionuclide, other.radionuclide)
        and _same_code(one.radiopharmaceutical, other.radiopharmaceutical)
        and _agree(one.administered_activity_mbq, other.administered_activity_mbq, ACTIVITY_TOLERANCE)
        and (apart is None or apart <= ADMINISTRATION_TOLERANCE)
    )


def _signature(event: Event) -> tuple[Any, ...]:
    return (event.started_at, event.acquisition_protocol, *(getattr(event, name, None) for name in _DOSES))


def _same_content(one: Event, other: Event) -> bool:
    """No event UIDs: dose for dose the same, and at the same time where both know it."""
    apart = _apart(one.started_at, other.started_at)
    if apart is not None and apart > START_TOLERANCE:
        return False
    known = 0
    for name in _DOSES:
        first, second = getattr(one, name, None), getattr(other, name, None)
        if not _agree(first, second, DOSE_TOLERANCE):
            return False
        known += first is not None and second is not None
    return bool(known) or (apart is not None and _signature(one) == _signature(other))


def _same_time(report: Event, image: Event) -> bool:
    apart = _apart(report.started_at, image.started_at)
    if apart is None:
        return False
    if apart <= START_TOLERANCE:
        return True
    lasted = getattr(report, "irradiation_duration_s", None) or getattr(report, "exposure_time_s", None) or 0.0
    start, taken = moment_of(report.started_at), moment_of(image.started_at)
    if start is None or taken is None:
        return False
    return start <= taken <= start + timedelta(seconds=min(lasted, 3600.0)) + START_TOLERANCE


def _compatible(one: Event, other: Event) -> bool:
    """Nothing says that they differ: plane, laterality, tube voltage."""
    for name in ("plane", "laterality"):
        first, second = getattr(one, name, None), getattr(other, name, None)
        if first and second and first != second:
            return False
    return _agree(getattr(one, "kvp_kv", None), getattr(other, "kvp_kv", None), 0.1)


def _same_slices(one: CtEvent, other: CtEvent) -> bool:
    """Slices without event UIDs: a scanner cannot acquire twice at a time, so overlap means the same."""
    first, second = one.extra.get(IMAGES, {}), other.extra.get(IMAGES, {})
    starts = (moment_of(one.started_at), moment_of(other.started_at))
    ends = (moment_of(first.get("last_at")) or starts[0], moment_of(second.get("last_at")) or starts[1])
    if starts[0] is None or starts[1] is None or ends[0] is None or ends[1] is None:
        return False
    overlap = starts[0] <= ends[1] and starts[1] <= ends[0]
    voltages = {s.kvp_kv for s in one.sources}, {s.kvp_kv for s in other.sources}
    return overlap and one.ct_acquisition_type == other.ct_acquisition_type and bool(voltages[0] & voltages[1])


def _same_film(one: Event, other: Event) -> bool:
    """A for-processing image and its for-presentation twin: the same moment, and nothing that differs."""
    if not isinstance(one, ProjectionEvent) or not isinstance(other, ProjectionEvent):
        return False
    if one.extra.get("projection_of_sweep") or other.extra.get("projection_of_sweep"):
        return False
    apart = _apart(one.started_at, other.started_at)
    if apart is None or apart or not _compatible(one, other):
        return False
    if one.view and other.view and not _same_code(one.view, other.view):
        return False
    doses = (*_DOSES, "exposure_mas")
    return all(_agree(getattr(one, n, None), getattr(other, n, None), DOSE_TOLERANCE) for n in doses)
