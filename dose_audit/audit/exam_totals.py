"""The total doses of one exam in its modality's own quantities, each with where it comes from."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from dose_audit.audit.quantities import FLUOROSCOPY_MODALITIES, SINGLE_SHOT_MODALITIES
from dose_audit.texts import counted

if TYPE_CHECKING:
    from dose_audit.store.models import Event, Exam

__all__ = ["exam_totals"]

_REPORTED = "total as the device reports it"
_SIDES = {"left": ("left", "l"), "right": ("right", "r")}


def exam_totals(exam_id: int) -> list[dict[str, Any]]:
    """Totals of a stored exam. Django must be set up.

    Parameters
    ----------
    exam_id : int
        Of the store.

    Returns
    -------
    list of dict
        ``quantity, side, value, unit, uncertainty, source``: `side` is ``left`` or ``right`` for a breast, else None;
        `uncertainty` is standard, None for what a device reports. CT: DLP. Radiography and fluoroscopy: kerma area
        product, air kerma at the reference point, entrance surface air kerma of the view that has most, peak skin dose.
        Mammography: AGD of each breast, and the mean glandular dose computed for it. Nuclear medicine: activity, one
        entry a radiopharmaceutical. What is not known has no entry.

    Notes
    -----
    A sum over events stands in for a total that the device does not report, and only where each of them has the
    quantity. Entrance kerma of several views does not fall on one patch of skin: it is not added.
    """
    from dose_audit.store.models import Exam

    exam = Exam.objects.select_related("equipment").filter(pk=exam_id).first()
    if exam is None:
        return []
    events = list(exam.events.order_by("event_index"))
    modality = exam.equipment.modality_override or exam.modality
    if modality == "CT":
        found = [_total("DLP", "mGy.cm", exam.ct_dlp_mgy_cm, exam.events_ct_dlp_mgy_cm)]
    elif modality == "MG":
        found = [*_breasts(exam, events), _total("KAP", "Gy.cm2", exam.kap_gy_cm2, exam.events_kap_gy_cm2)]
    elif modality in ("NM", "PT"):
        found = _activities(exam, events)
    elif modality in (*SINGLE_SHOT_MODALITIES, *FLUOROSCOPY_MODALITIES):
        found = [
            _total("KAP", "Gy.cm2", exam.kap_gy_cm2, exam.events_kap_gy_cm2),
            _total("dose_rp", "mGy", exam.dose_rp_mgy, _added(events, "dose_rp_mgy")),
            _entrance_kerma(events),
            *_skin_dose(exam),
        ]
    else:
        found = []
    return [entry for entry in found if entry is not None]


def _entry(
    quantity: str, unit: str, value: float, source: str, *, side: str | None = None, uncertainty: float | None = None
) -> dict[str, Any]:
    return {
        "quantity": quantity,
        "side": side,
        "value": value,
        "unit": unit,
        "uncertainty": uncertainty,
        "source": source,
    }


def _total(
    quantity: str, unit: str, reported: float | None, added: float | None, *, side: str | None = None
) -> dict[str, Any] | None:
    if _is_dose(reported):
        return _entry(quantity, unit, float(reported or 0.0), _REPORTED, side=side)
    if _is_dose(added):
        return _entry(quantity, unit, float(added or 0.0), "sum over the events of the report", side=side)
    return None


def _is_dose(value: float | None) -> bool:
    return value is not None and math.isfinite(value) and value > 0.0


def _added(events: Iterable[Event], name: str) -> float | None:
    """Sum over the events; none where one of them has no such value."""
    return _sum_of_all([getattr(event, name) for event in events])


def _sum_of_all(values: Sequence[float | None]) -> float | None:
    return math.fsum(value or 0.0 for value in values) if values and all(map(_is_dose, values)) else None


def _side(event: Event) -> str | None:
    word = (event.laterality or "").strip().lower()
    return next((side for side, words in _SIDES.items() if word in words), None)


def _breasts(exam: Exam, events: Sequence[Event]) -> list[dict[str, Any] | None]:
    from dose_audit.store.models import DoseEstimate

    side_of = {event.event_index: _side(event) for event in events}
    computed: dict[str, list[tuple[float | None, float | None, str]]] = defaultdict(list)
    for index, *told in DoseEstimate.objects.filter(
        exam=exam, quantity="mean_glandular_dose", current=True
    ).values_list("event_index", "value", "uncertainty", "status"):
        computed[side_of.get(index) or ""].append((told[0], told[1], told[2]))
    found: list[dict[str, Any] | None] = []
    for side, reported in (("left", exam.agd_left_mgy), ("right", exam.agd_right_mgy)):
        views = [event for event in events if _side(event) == side and event.agd_mgy is not None]
        found.append(_total("AGD_total", "mGy", reported, _added(views, "agd_mgy"), side=side))
        parts = computed[side]
        if parts and all(_is_dose(value) and status != "not_measurable" for value, _, status in parts):
            spread = [uncertainty for _, uncertainty, _ in parts]
            known = [one for one in spread if one is not None]
            found.append(
                _entry(
                    "MGD_total",
                    "mGy",
                    math.fsum(value or 0.0 for value, _, _ in parts),
                    f"computed here after Dance, {counted(len(parts), 'exposure')}",
                    side=side,
                    # The same model and machine: the parts' errors go together.
                    uncertainty=math.fsum(known) if len(known) == len(spread) else None,
                )
            )
    return found


def _entrance_kerma(events: Sequence[Event]) -> dict[str, Any] | None:
    """Of the view with most, backscatter added."""
    from dose_audit.dosimetry import entrance_surface_air_kerma

    views = [(event.rest.get("entrance_exposure_mgy"), event) for event in events]
    known = [(value, event) for value, event in views if isinstance(value, int | float) and _is_dose(value)]
    if not known:
        return None
    value, event = max(known, key=lambda pair: pair[0])
    kerma = entrance_surface_air_kerma(
        float(value), kvp_kv=event.kvp_kv, hvl_mm_al=event.rest.get("half_value_layer_mm")
    )
    if kerma.value is None:
        return None
    name = f"“{event.acquisition_protocol}”, " if event.acquisition_protocol else ""
    return _entry(
        "ESAK",
        "mGy",
        kerma.value,
        f"{name}the largest of {counted(len(known), 'view')}: entrance kerma as the device reports it, "
        f"times a backscatter factor ({kerma.method})",
        uncertainty=kerma.uncertainty,
    )


def _skin_dose(exam: Exam) -> list[dict[str, Any]]:
    from dose_audit.store.models import DoseEstimate

    found = []
    for value, uncertainty, status, reason in DoseEstimate.objects.filter(
        exam=exam, quantity="peak_skin_dose", current=True, event_index=None
    ).values_list("value", "uncertainty", "status", "reason"):
        if _is_dose(value) and status != "not_measurable":
            doubt = f", suspect: {reason}" if status == "suspect" else ""
            found.append(_entry("peak_skin_dose", "mGy", value, f"estimated here{doubt}", uncertainty=uncertainty))
    return found


def _activities(exam: Exam, events: Sequence[Event]) -> list[dict[str, Any] | None]:
    """Activity by radiopharmaceutical: those of two substances are not one dose."""
    given: dict[str, list[float | None]] = defaultdict(list)
    for event in events:
        if event.type == "administration":
            substance = event.rest.get("radiopharmaceutical") or event.rest.get("radionuclide") or {}
            given[str(substance.get("meaning") or "")].append(event.administered_activity_mbq)
    # The device's total is of one substance or of none in particular.
    reported = exam.administered_activity_mbq if len(given) < 2 else None
    return [
        _of_substance(_total("administered_activity", "MBq", reported, _sum_of_all(parts)), name)
        for name, parts in sorted(given.items() or [("", [])])
    ]


def _of_substance(entry: dict[str, Any] | None, name: str) -> dict[str, Any] | None:
    return entry if entry is None or not name else entry | {"source": f"{name}, {entry['source']}"}
