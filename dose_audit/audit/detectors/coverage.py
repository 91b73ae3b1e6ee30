"""Names that the exam mapping does not reach: their exams are compared with nothing until somebody maps
them.
"""

from __future__ import annotations

from dose_audit.audit.context import AuditContext
from dose_audit.audit.findings import Finding
from dose_audit.audit.unmapped import UnmappedName

__all__ = ["CHECK_FROM", "detect"]

CHECK_FROM = 5
"""Fewer exams under one name are worth knowing; from here on it is worth mapping."""


def detect(context: AuditContext) -> list[Finding]:
    """Raise ``unmapped_acquisition_protocol`` for each name on each device."""
    return [_finding(name) for name in context.unmapped]


def _finding(name: UnmappedName) -> Finding:
    one = name.n == 1
    if name.reason == "AMBIGUOUS_MAPPING":
        message = f"Mapping rows that disagree fit “{name.label}”: {name.detail}."
    else:
        message = f"No approved mapping row fits “{name.label}”."
    message += f" {name.n} exam{' is' if one else 's are'} compared with nothing."
    if name.suggestions:
        message += f" First proposal, for a person to approve: {name.suggestions[0]}."
    return Finding(
        kind="unmapped_acquisition_protocol",
        severity="check" if name.n >= CHECK_FROM or name.reason == "AMBIGUOUS_MAPPING" else "note",
        subject=name.label,
        message=message,
        site=name.site,
        equipment=name.equipment,
        identity=(name.modality or "", name.label),
        evidence={"modality": name.modality, "n": name.n, "suggestions": list(name.suggestions)},
    )
