"""Writes phantom measurements, accepted baselines and recorded events; a re-analysis stands beside what was there before."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

import dose_audit
from dose_audit.extract.exam import Equipment as SeenEquipment
from dose_audit.phantom.results import ALGORITHM_VERSION, Analysis
from dose_audit.statistics.individuals import control_limits
from dose_audit.store.devices import Devices, site_on, sites_in_force
from dose_audit.store.models import Baseline, Equipment, EquipmentEvent, Measurement, PhantomStudy, QaTask, Tolerance
from dose_audit.store.phantom_dose import dose_of
from dose_audit.texts import named_role

__all__ = [
    "BaselineError",
    "acquired_at",
    "baselines_in_force",
    "condition_key",
    "conditions_of",
    "equipment_of",
    "ingest_measurements",
    "record_event",
    "set_baseline",
    "set_task",
    "supersede_series",
]

# What must agree for two measurements of one phantom on one device to be compared: by keyword, with its rounding.
_CONDITIONS = (
    ("kvp_kv", "KVP", 0),
    ("thickness_mm", "SliceThickness", 2),
    ("kernel", "ConvolutionKernel", None),
    ("field_of_view_mm", "ReconstructionDiameter", 0),
    ("echo_time_ms", "EchoTime", 0),
    ("repetition_time_ms", "RepetitionTime", 0),
    ("receive_coil", "ReceiveCoilName", None),
    ("view", "ViewPosition", None),
    ("anode", "AnodeTargetMaterial", None),
    ("filter", "FilterMaterial", None),
)
EVENT_KINDS = ("service", "software", "recalibration", "part", "move")


class BaselineError(ValueError):
    """A baseline that may not be set so; the message says why and what to do."""


def conditions_of(analysis: Analysis) -> dict[str, Any]:
    """Scan conditions by which runs are told apart; dose is none of them, for it is what image quality is set against."""
    header = analysis.series.header
    found: dict[str, Any] = {}
    for name, keyword, digits in _CONDITIONS:
        value = header.get(keyword)
        if value is None or value == "":
            continue
        if digits is None:
            found[name] = "\\".join(str(one) for one in value) if not isinstance(value, str) else value
        else:
            try:
                found[name] = round(float(value), digits)
            except (TypeError, ValueError):
                continue
    return found


def condition_key(conditions: Mapping[str, Any]) -> str:
    """One text for a set of conditions: runs with the same text are one trend.

    Examples
    --------
    >>> condition_key({"kvp_kv": 120.0, "kernel": "Br40"})
    'kernel=Br40 kvp_kv=120.0'
    """
    return " ".join(f"{key}={conditions[key]}" for key in sorted(conditions))


def equipment_of(analysis: Analysis, devices: Devices | None = None) -> int:
    """The device that the images name, made when it is new."""
    header = analysis.series.header
    texts = {
        name: str(header[keyword]) if header.get(keyword) is not None else None
        for name, keyword in (
            ("manufacturer", "Manufacturer"),
            ("model_name", "ManufacturerModelName"),
            ("serial_number", "DeviceSerialNumber"),
            ("station_name", "StationName"),
            ("institution_name", "InstitutionName"),
        )
    }
    return (devices or Devices()).resolve(SeenEquipment(**texts))


def _moment(text: str) -> dt.datetime | None:
    """A DICOM date and time as local wall-clock time; `None` where it is not one."""
    digits = text.split("+")[0].split(".")[0].replace(":", "")
    for form, length in (("%Y%m%d%H%M%S", 14), ("%Y%m%d%H%M", 12), ("%Y%m%d", 8)):
        try:
            return dt.datetime.strptime(digits[:length], form)
        except ValueError:
            continue
    return None


def acquired_at(analysis: Analysis) -> dt.datetime | None:
    """When the images were made, local wall-clock time; None where they do not say."""
    return _moment(analysis.series.first.acquired)


def _tolerance_row(tolerance: Any, definition: str) -> Tolerance:
    content = {
        "definition": definition,
        "measurement": tolerance.measurement,
        "unit": tolerance.unit,
        "about": tolerance.about,
        "nominal": tolerance.nominal,
        "remedial": list(tolerance.remedial),
        "suspension": list(tolerance.suspension),
        "source": tolerance.source,
        "edition": tolerance.edition,
        "status": tolerance.status,
    }
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    row, _ = Tolerance.objects.get_or_create(sha256=digest, defaults={**content, "first_used": timezone.now()})
    return row


def ingest_measurements(
    analysis: Analysis,
    *,
    site: str | None = None,
    received_at: dt.datetime | None = None,
    devices: Devices | None = None,
) -> tuple[PhantomStudy, bool]:
    """Store one analysis with all its values.

    Parameters
    ----------
    analysis : Analysis
        Judged.
    site : str, optional
        Where the images came from, for a device whose place nobody registered.
    received_at : datetime, optional
        When the last image arrived.
    devices : Devices, optional
        A cache to share between calls.

    Returns
    -------
    study : PhantomStudy
    new : bool
        False when exactly this (images, definition, algorithms) is stored already: then it is made the current one again, for a
        definition or a program that was taken back gives it anew, and nothing else is written.

    Notes
    -----
    The same images analysed by other algorithms or another text of the definition make a new row, and the older one stays
    with ``current`` taken from it. Phantoms are no patients: nothing that identifies a person is read from the images.
    """
    devices = devices or Devices()
    series = analysis.series
    record = analysis.as_record()
    identity = {
        "inputs_sha256": _inputs(analysis),
        "definition": analysis.definition.id,
        "definition_sha256": analysis.definition.sha256,
        "algorithm_version": ALGORITHM_VERSION,
    }
    alike = PhantomStudy.objects.filter(inputs_sha256=identity["inputs_sha256"], definition=analysis.definition.id)
    existing = PhantomStudy.objects.filter(**identity).first()
    if existing is not None:
        if not existing.current:
            with transaction.atomic():
                alike.filter(current=True).update(current=False)
                existing.current = True
                existing.save(update_fields=["current"])
        return existing, False
    equipment = equipment_of(analysis, devices)
    acquired = acquired_at(analysis)
    day = acquired.date().isoformat() if acquired else None
    registered = site_on(sites_in_force([equipment]).get(equipment, []), day)
    conditions = conditions_of(analysis)
    software = record["equipment"]["software_versions"]
    with transaction.atomic():
        alike.filter(current=True).update(current=False)
        earlier = 0
        if acquired is not None:
            earlier = PhantomStudy.objects.filter(
                equipment_id=equipment,
                definition=analysis.definition.id,
                condition_key=condition_key(conditions),
                current=True,
                acquired_at__gte=acquired.replace(hour=0, minute=0, second=0, microsecond=0),
                acquired_at__lt=acquired,
            ).count()
        study = PhantomStudy.objects.create(
            **identity,
            site_id=registered if registered is not None else devices.site(site),
            equipment_id=equipment,
            engine_version=dose_audit.__version__,
            study_instance_uid=record["series"]["study_instance_uid"],
            series_instance_uid=record["series"]["series_instance_uid"],
            modality=series.modality,
            acquired_at=acquired,
            received_at=received_at,
            stored_at=timezone.now(),
            software_versions=software,
            conditions={**conditions, "dose": dose_of(analysis.series)},
            condition_key=condition_key(conditions),
            verdict=analysis.verdict,
            record=record,
            repeat_of_day=earlier + 1,
        )
        rows, names = [], set()
        for one in analysis.measurements:
            if one.name in names:
                continue
            names.add(one.name)
            own = one.measured
            rows.append(
                Measurement(
                    study=study,
                    name=own.name,
                    title=one.title or own.name,
                    module=one.module,
                    value=own.value,
                    unit=own.unit,
                    uncertainty=own.uncertainty,
                    status=own.status,
                    reason=own.reason,
                    judgement=one.judgement,
                    tolerance=None if one.tolerance is None else _tolerance_row(one.tolerance, analysis.definition.id),
                    baseline=one.baseline,
                )
            )
        Measurement.objects.bulk_create(rows)
    if software:
        devices.note_software([(equipment, software, day)])
    return study, True


def _inputs(analysis: Analysis) -> str:
    """One hash over all images that were measured: the series', and those of the series scanned beside it."""
    if not analysis.companions:
        return analysis.series.inputs_sha256
    every = [analysis.series.inputs_sha256, *sorted(other.inputs_sha256 for other in analysis.companions)]
    return hashlib.sha256("\n".join(every).encode()).hexdigest()


def supersede_series(studies: Sequence[PhantomStudy]) -> int:
    """Let these analyses be the current ones of their series; returns how many older ones stand back.

    An image that comes late, or a second series to pair with, makes other inputs and so a new analysis: the one of the
    incomplete images stays in the store and leaves the trend.
    """
    series = {one.series_instance_uid for one in studies if one.series_instance_uid}
    older = PhantomStudy.objects.filter(series_instance_uid__in=series, current=True)
    return older.exclude(pk__in=[one.pk for one in studies]).update(current=False)


def baselines_in_force(equipment: int, definition: str, key: str, at: dt.datetime | None = None) -> dict[str, Baseline]:
    """The baseline of each measurement that holds at a moment (the latest one without a moment)."""
    rows = Baseline.objects.filter(equipment_id=equipment, definition=definition, condition_key=key)
    if at is not None:
        rows = rows.filter(valid_from__lte=at)
    return {row.measurement: row for row in rows.order_by("valid_from", "pk")}


def set_baseline(
    equipment: int,
    definition: str,
    key: str,
    *,
    studies: Sequence[int],
    role: str,
    reason: str,
    measurements: Sequence[str] | None = None,
    event: EquipmentEvent | None = None,
) -> list[Baseline]:
    """Accept runs as the baseline of a device: their median, and control limits frozen from them.

    Parameters
    ----------
    equipment, definition, key
        Which trend.
    studies : sequence of int
        Ids of the accepted runs, all of this trend.
    role : str
        The role that accepts, for example ``medical physics expert``.
    reason : str
        Why.
    measurements : sequence of str, optional
        Which; all that every accepted run has by default.
    event : EquipmentEvent, optional
        The recorded change that makes a new baseline necessary; only the first one goes without.

    Returns
    -------
    list of Baseline

    Raises
    ------
    BaselineError
        Without a reason, with runs of another trend or from before the event, or a second baseline without a recorded event of
        its own. Runs that another text of the definition or another version measured than those of the earlier baseline need
        no event: it is the measurement that has changed, not the device.
    RoleError
        Without a role.
    """
    role = named_role(role)
    if not reason.strip():
        raise BaselineError("a baseline is set with a reason")
    runs = list(
        PhantomStudy.objects.filter(pk__in=studies, equipment_id=equipment, definition=definition, condition_key=key)
        .order_by("acquired_at", "pk")
        .prefetch_related("measurements")
    )
    if len(runs) != len(set(studies)) or not runs:
        raise BaselineError(f"{len(runs)} of {len(set(studies))} runs belong to this device, phantom and conditions")
    if any(run.acquired_at is None for run in runs):
        raise BaselineError("a run without a date cannot carry a baseline")
    start = min(run.acquired_at for run in runs if run.acquired_at is not None)
    if event is not None and start < event.at:
        early = sum(run.acquired_at is not None and run.acquired_at < event.at for run in runs)
        raise BaselineError(
            f"{early} of {len(runs)} runs were made before the event of {event.at:%Y-%m-%d}: what it changed is told by later "
            "runs alone"
        )
    before = baselines_in_force(equipment, definition, key)
    values: dict[str, list[tuple[float, str]]] = {}
    for run in runs:
        for one in run.measurements.all():
            if one.value is not None and one.status == "ok" and (measurements is None or one.name in measurements):
                values.setdefault(one.name, []).append((one.value, one.unit))
    whole = {name: found for name, found in values.items() if len(found) == len(runs) or measurements is not None}
    if not whole:
        raise BaselineError("no measurement has a sound value in every one of these runs")
    again = _of_the_same_measurement(runs, before, baselines_in_force(equipment, definition, key, start), set(whole))
    if again and event is None:
        raise BaselineError(
            f"a baseline is there already for {', '.join(again)}: a new one follows what was done to the device. First record "
            "the event (service, software, recalibration, part, move) with `dose-audit phantom event add`, then name its "
            "number with --event. Only runs that a changed phantom definition or another version of the program measured "
            "need none"
        )
    had = {row.measurement for row in before.values() if event is not None and row.event_id == event.pk}
    if twice := sorted(set(whole) & had):
        raise BaselineError(
            f"this event has its baseline already for {', '.join(twice)}: what has been done since is an event of its own"
        )
    made = []
    with transaction.atomic():
        for name, found in sorted(whole.items()):
            series = [value for value, _ in found]
            limits = control_limits(series)
            ordered = sorted(series)
            middle = len(ordered) // 2
            median = ordered[middle] if len(ordered) % 2 else 0.5 * (ordered[middle - 1] + ordered[middle])
            made.append(
                Baseline.objects.create(
                    equipment_id=equipment,
                    definition=definition,
                    condition_key=key,
                    measurement=name,
                    unit=found[0][1],
                    value=median,
                    sigma=limits.sigma,
                    lower=limits.lower,
                    upper=limits.upper,
                    runs=[run.pk for run in runs],
                    valid_from=start,
                    set_by=role,
                    set_at=timezone.now(),
                    reason=reason.strip(),
                    event=event,
                )
            )
    return made


def _of_the_same_measurement(
    runs: Sequence[PhantomStudy], latest: Mapping[str, Baseline], then: Mapping[str, Baseline], names: set[str]
) -> list[str]:
    """Measurements whose baseline rests on runs that were measured as these were: nothing but the device can differ."""
    now = {(run.definition_sha256, run.algorithm_version) for run in runs}
    same = []
    for name in sorted(names & set(latest)):
        rests_on = PhantomStudy.objects.filter(pk__in=then.get(name, latest[name]).runs)
        if now & set(rests_on.values_list("definition_sha256", "algorithm_version")):
            same.append(name)
    return same


def record_event(equipment: int, kind: str, at: dt.datetime, *, role: str, text: str = "") -> EquipmentEvent:
    """Record what was done to a device, once.

    Raises
    ------
    BaselineError
        If the kind is none of service, software, recalibration, part, move, or it has not happened yet.
    RoleError
        Without a role.
    """
    if at > dt.datetime.now():
        raise BaselineError(f"{at:%Y-%m-%d} has not come yet: an event is recorded when it has happened")
    if kind not in EVENT_KINDS:
        raise BaselineError(f"{kind!r} is no kind of event; expected one of {', '.join(EVENT_KINDS)}")
    role = named_role(role)
    device = Equipment.objects.get(pk=equipment)
    found, _ = EquipmentEvent.objects.get_or_create(
        equipment=device,
        kind=kind,
        at=at,
        defaults={"text": text, "recorded_by": role, "recorded_at": timezone.now()},
    )
    return found


def set_task(
    equipment: int, definition: str, every_days: int, *, since: dt.date, role: str, grace_days: int = 0
) -> QaTask:
    """Put a phantom on a device's schedule; an earlier task for it ends the day before.

    Raises
    ------
    BaselineError
        If the interval is below one day.
    RoleError
        Without a role.
    """
    if every_days < 1 or grace_days < 0:
        raise BaselineError("an interval is at least one day, and a grace is not negative")
    role = named_role(role)
    with transaction.atomic():
        QaTask.objects.filter(
            equipment_id=equipment, definition=definition, until__isnull=True, since__lt=since
        ).update(until=since - dt.timedelta(days=1))
        task, _ = QaTask.objects.update_or_create(
            equipment_id=equipment,
            definition=definition,
            since=since,
            defaults={"every_days": every_days, "grace_days": grace_days, "set_by": role},
        )
    return task
