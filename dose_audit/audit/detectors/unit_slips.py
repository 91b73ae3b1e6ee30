"""Blocks of exams with doses a power of ten off."""

from __future__ import annotations

from dose_audit.audit.context import AuditContext
from dose_audit.audit.findings import Finding
from dose_audit.audit.labels import quantity_label
from dose_audit.audit.slips import Slip
from dose_audit.figures import figure

__all__ = ["detect"]


def detect(context: AuditContext) -> list[Finding]:
    """Raise ``unit_slip``: the number or its unit is wrong, so somebody must settle which, before either is
    used.
    """
    return [_finding(context, slip) for slip in context.slips]


def _finding(context: AuditContext, slip: Slip) -> Finding:
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
        },
    )
