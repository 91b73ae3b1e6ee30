"""Blocks of exams with doses a power of ten off."""

from __future__ import annotations

from dose_audit.audit.context import AuditContext
from dose_audit.audit.detectors.high_exposure import Exposure, slipped_above
from dose_audit.audit.findings import Finding
from dose_audit.audit.labels import quantity_label, unit_label
from dose_audit.audit.slips import Slip
from dose_audit.audit.values import exam_ref
from dose_audit.figures import figure
from dose_audit.texts import counted

__all__ = ["detect"]


def detect(context: AuditContext) -> list[Finding]:
    """Raise ``unit_slip``: the number or its unit is wrong, so somebody must settle which, before either is
    used.
    """
    exams = context.values.columns["exam_id"]
    above = slipped_above(context) if any(slip.decades > 0 for slip in context.slips) else []
    return [
        _finding(context, slip, [e for e in above if e.trigger.quantity == slip.quantity and e.exam_id in of_slip])
        for slip in context.slips
        for of_slip in [set(exams[slip.rows].tolist())]
    ]


def _finding(context: AuditContext, slip: Slip, above: list[Exposure]) -> Finding:
    days = context.values.columns["study_date"][slip.rows].astype("datetime64[D]")
    first, last = days.min().item(), days.max().item()
    named = context.same_day("unit_slip", slip.site, slip.equipment, "first_day", first)
    factor = 10 ** abs(slip.decades)
    direction = "higher" if slip.decades > 0 else "lower"
    return Finding(
        kind="unit_slip",
        severity="act",
        subject=f"{quantity_label(slip.quantity)} {factor} times {direction}",
        message=(
            f"{quantity_label(slip.quantity)} of {slip.rows.size} exams from {first} to {last} is {figure(slip.factor)} "
            f"times that of the device's {slip.others} others, patient size and examination taken out: close "
            "to a power of ten, as a wrong unit makes it. These values stay out of medians until it is settled."
            f"{_if_real(above)}"
        ),
        site=slip.site,
        equipment=slip.equipment,
        identity=(slip.quantity, f"{slip.decades:+d}", named),
        evidence={
            "quantity": slip.quantity,
            "first_day": first.isoformat(),
            "last_day": last.isoformat(),
            "named_day": named,
            "decades": slip.decades,
            "factor": slip.factor,
            "n": int(slip.rows.size),
            "n_others": slip.others,
            "above_levels_if_real": len({e.exam_id for e in above}),
        },
    )


def _if_real(above: list[Exposure]) -> str:
    """Single exams are not alerted while their unit is in doubt, so here it is said how grave they would be."""
    if not above:
        return ""
    highest, count = max(above, key=lambda e: e.value), len({e.exam_id for e in above})
    return (
        f" If the doses are real after all, {counted(count, 'exam')} of these {'is' if count == 1 else 'are'} at or above a "
        f"level that is told for every exam, the highest with {figure(highest.value)} {unit_label(highest.trigger.unit)} "
        f"(exam {exam_ref(highest.exam_id)}): settle it at once, by the technique factors of an image."
    )
