"""The nightly audit: what is compared with what, the verdicts, the findings, and a frozen folder of it all.

``run_audit`` is the whole of it. Each file here is one step: `engine` opens the stored exams as columns,
`cohort` says once what is compared with what, `comparison` judges groups, `detectors/` look for what needs a
person, `completeness` makes every object and exam add up, `freeze` keeps the inputs and their hash.
"""

from __future__ import annotations

from typing import Any

__all__ = ["AuditOutcome", "Finding", "run_audit"]


def __getattr__(name: str) -> Any:
    # Lazily, so that `dose-audit --help` does not pay for the engine and scipy.
    if name == "run_audit":
        from dose_audit.audit.nightly import run_audit

        return run_audit
    if name == "AuditOutcome":
        from dose_audit.audit.runs import AuditOutcome

        return AuditOutcome
    if name == "Finding":
        from dose_audit.audit.findings import Finding

        return Finding
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
