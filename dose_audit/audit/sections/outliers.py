"""Single exams far from their group, with the likely cause that their numbers point to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dose_audit.audit.context import AuditContext
from dose_audit.audit.findings import Finding

__all__ = ["build"]


def build(context: AuditContext, findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """One entry an exam that was told as an outlier."""
    return [
        {
            "key": finding.key,
            "site": finding.site,
            "equipment": finding.equipment,
            **{name: finding.evidence[name] for name in ("exam_ref", "examination", "examination_name", "band")},
            "study_datetime": finding.evidence["study_datetime"],
            "values": finding.evidence["values"],
            "likely_cause": finding.evidence["likely_cause"],
        }
        for finding in findings
        if finding.kind == "outlier"
    ]
