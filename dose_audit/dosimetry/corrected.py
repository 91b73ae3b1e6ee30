"""An exam with its displayed values corrected by the device's dated calibration factors, and what was corrected."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from dose_audit.dosimetry.calibration import CalibrationFactor, calibrated, factor_on
from dose_audit.measured import Measured, not_measurable

if TYPE_CHECKING:
    from dose_audit.extract.exam import Event, Exam

__all__ = ["Correction", "corrected_exam", "skin_exam"]

# Name of the result, field of an event, unit, and the certificate's quantity: DLP is CTDIvol times a length.
_FIELDS = (
    ("ctdi_vol", "ctdi_vol_mgy", "mGy", "ctdi_vol"),
    ("dlp", "dlp_mgy_cm", "mGy.cm", "ctdi_vol"),
    ("kap", "kap_gy_cm2", "Gy.cm2", "kap"),
    ("dose_rp", "dose_rp_mgy", "mGy", "dose_rp"),
    ("entrance_exposure", "entrance_exposure_mgy", "mGy", "entrance_exposure"),
    ("agd", "agd_mgy", "mGy", "agd"),
    ("exposure_index", "exposure_index", "1", "exposure_index"),
    ("administered_activity", "administered_activity_mbq", "MBq", "administered_activity"),
)
_TOTALS = (
    ("kap", "kap_gy_cm2", "events_kap_gy_cm2"),
    ("dose_rp", "dose_rp_mgy", "events_dose_rp_mgy"),
)


@dataclass(frozen=True, slots=True)
class Correction:
    """One displayed value and its correction: `result.details` has ``raw_value`` and the factor.

    `event_index` is None for the exam's total; `factor` is None where the total lacks one.
    """

    result: Measured
    event_index: int | None
    factor: CalibrationFactor | None


def corrected_exam(
    exam: Exam, factors: Sequence[CalibrationFactor], day: date | None
) -> tuple[Exam, tuple[Correction, ...]]:
    """Correct the displayed values of an exam.

    Parameters
    ----------
    exam : Exam
    factors : sequence of CalibrationFactor
        Of this device alone; of several that answer the latest ``valid_from`` counts, see `factor_on`.
    day : date or None
        Of the exposure; without one no dated factor can answer.

    Returns
    -------
    exam : Exam
        With new events where a factor answered; the very `exam` where none did. Totals stay as reported.
    corrections : tuple of Correction
        Every corrected value of an event, then the exam's KAP and air kerma at the reference point: as reported, times
        what the events' corrections come to; *not measurable* where an event's tube voltage has no factor.
    """
    if day is None or not factors:
        return exam, ()
    found: list[Correction] = []
    events = []
    for event in exam.events:
        own = list(_of_event(event, factors, day))
        found += own
        changes = {field: item.result.value for item in own for name, field, *_ in _FIELDS if name == item.result.name}
        events.append(replace(event, **changes) if changes else event)
    found += _totals(exam, factors, day, found)
    return (replace(exam, events=events), tuple(found)) if found else (exam, ())


def _of_event(event: Event, factors: Sequence[CalibrationFactor], day: date) -> Iterable[Correction]:
    for name, field, unit, quantity in _FIELDS:
        shown = getattr(event, field, None)
        factor = _factor(factors, quantity, day, _kvp(event)) if shown is not None else None
        if shown is None or factor is None:
            continue
        result = calibrated(Measured(name, shown, unit, method="as displayed"), replace(factor, quantity=name))
        if result.value is not None:
            yield Correction(result, event.index, factor)


def _factor(
    factors: Sequence[CalibrationFactor], quantity: str, day: date, kvp_kv: float | None
) -> CalibrationFactor | None:
    """Of factors for given tube voltages none answers where the voltage is not known."""
    usable = [item for item in factors if kvp_kv is not None or (item.kv_from is None and item.kv_to is None)]
    devices = {item.device for item in usable}
    held = [item for item in (factor_on(usable, device, quantity, day, kvp_kv=kvp_kv) for device in devices) if item]
    return max(held, key=lambda item: item.valid_from, default=None)


def _kvp(event: Event) -> float | None:
    sources = getattr(event, "sources", None)
    kvp: float | None = sources[0].kvp_kv if sources else getattr(event, "kvp_kv", None)
    return kvp


def _totals(
    exam: Exam, factors: Sequence[CalibrationFactor], day: date, found: Sequence[Correction]
) -> Iterable[Correction]:
    for name, reported, added in _TOTALS:
        unit, field = next((unit, field) for known, field, unit, _ in _FIELDS if known == name)
        total = getattr(exam.totals, reported)
        total = getattr(exam.totals, added) if total is None else total
        if total is None or not any(item.quantity == name for item in factors):
            continue
        shown = [value for event in exam.events if (value := getattr(event, field, None)) is not None]
        own = [item for item in found if item.result.name == name]
        if own and len(own) == len(shown) and sum(shown) > 0:
            yield _scaled_total(name, unit, total, sum(shown), own)
        elif not shown or sum(shown) == 0:
            factor = _factor(factors, name, day, None)
            if factor is not None:
                yield Correction(calibrated(Measured(name, total, unit, method="as displayed"), factor), None, factor)
        elif own:
            reason = f"{len(shown) - len(own)} of {len(shown)} events have a tube voltage without a factor"
            yield Correction(not_measurable(name, unit, reason, raw_value=total), None, None)


def _scaled_total(name: str, unit: str, total: float, shown: float, own: Sequence[Correction]) -> Correction:
    """The reported total times what the events' corrections come to; their uncertainties are one certificate's."""
    corrected = sum(item.result.value or 0.0 for item in own)
    spread = sum(item.result.uncertainty or 0.0 for item in own)
    value = total * corrected / shown
    result = Measured(
        name,
        value,
        unit,
        value * spread / corrected if corrected > 0 else None,
        method=own[0].result.method,
        details={"raw_value": total, "calibration_factor": corrected / shown},
    )
    return Correction(result, None, own[0].factor)


def skin_exam(exam: Exam, corrections: Iterable[Correction]) -> Exam:
    """The exam for a skin dose: air kerma at the reference point corrected, the field's area as displayed.

    Notes
    -----
    A field's area is KAP over air kerma. Certificates correct the display of one or the other and not how wide the
    collimator was open: both follow the factor of the air kerma, or that of the KAP where an event has no air kerma.
    """
    factors = {(item.result.name, item.event_index): item.factor for item in corrections}
    events = []
    for event in exam.events:
        kerma, kap = getattr(event, "dose_rp_mgy", None), getattr(event, "kap_gy_cm2", None)
        factor = factors.get(("kap" if kerma is None else "dose_rp", event.index))
        shown = {"dose_rp_mgy": kerma, "kap_gy_cm2": kap}
        changes = {name: value * factor.factor for name, value in shown.items() if value is not None and factor}
        events.append(replace(event, **changes) if changes else event)
    return replace(exam, events=events)
