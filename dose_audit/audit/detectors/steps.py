"""Steps in a device's doses, and new software versions."""

from __future__ import annotations

from dose_audit.audit.context import AuditContext
from dose_audit.audit.findings import Finding
from dose_audit.audit.labels import quantity_label
from dose_audit.audit.software import SoftwareChange
from dose_audit.audit.steps import Step

__all__ = ["detect"]


def detect(context: AuditContext) -> list[Finding]:
    """Raise ``step_change`` to be checked and ``software_change`` to be known."""
    steps = [_step(context, step) for step in context.steps]
    return steps + [_software(change) for change in context.software]


def _step(context: AuditContext, step: Step) -> Finding:
    ratio = step.ratio.value or 1.0
    named = context.same_day("step_change", step.site, step.equipment, "day", step.day)
    interval = "" if step.ratio.low is None else f" (95 % interval {step.ratio.low:.2f} to {step.ratio.high:.2f})"
    where = f"{step.examination_name}: " if step.examination else ""
    when = f"on {step.day}" if step.last_before == step.day else f"between {step.last_before} and {step.day}"
    software = ""
    if step.software is not None:
        software = (
            f" The software version changed from {step.software.before} to {step.software.after} on "
            f"{step.software.day}: associated in time, not proven the cause."
        )
    return Finding(
        kind="step_change",
        severity="check",
        subject=f"{where}{quantity_label(step.quantity)} {ratio - 1.0:+.0%} from {step.day}",
        message=(
            f"{where}{quantity_label(step.quantity)} changed by a factor of {ratio:.2f}{interval} {when}, "
            f"patient size and examination taken out ({step.n_before} exams before, "
            f"{step.n_after} after).{software}"
        ),
        site=step.site,
        equipment=step.equipment,
        identity=(*filter(None, (step.examination, step.band)), step.quantity, "up" if ratio > 1 else "down", named),
        evidence={
            "quantity": step.quantity,
            "day": step.day.isoformat(),
            "last_before": step.last_before.isoformat(),
            "named_day": named,
            "ratio": step.ratio.value,
            "ci_low": step.ratio.low,
            "ci_high": step.ratio.high,
            "p_value": step.p_value,
            "found_by": step.found_by,
            "examination": step.examination or None,
            "band": step.band or None,
            "n_before": step.n_before,
            "n_after": step.n_after,
            "software_before": step.software.before if step.software else None,
            "software_after": step.software.after if step.software else None,
            "software_day": step.software.day.isoformat() if step.software else None,
        },
        likely_causes=("software changed on or about the same day",) if step.software else (),
    )


def _software(change: SoftwareChange) -> Finding:
    first = "Back to" if change.returns else "First exam under"
    return Finding(
        kind="software_change",
        severity="note",
        subject=f"Software {change.words}",
        message=f"{first} software {change.after} on {change.day}; before it was {change.before}.",
        site=change.site,
        equipment=change.equipment,
        identity=(change.after, f"return {change.returns}") if change.returns else (change.after,),
        evidence={"day": change.day.isoformat(), "before": change.before, "after": change.after},
    )
