"""What the audit looks for, one idea a file: each detector takes the run's context and returns findings.

A new detector is a new file with ``detect(context)`` and a line in `DETECTORS`.
"""

from __future__ import annotations

from collections.abc import Callable

from dose_audit.audit.context import AuditContext
from dose_audit.audit.detectors import (
    ages,
    clocks,
    coverage,
    cumulative,
    devices,
    dose_checks,
    drl,
    exposure_index,
    glandular,
    high_exposure,
    implausible,
    new_devices,
    objects,
    outliers,
    phantoms,
    repeats,
    steps,
    totals,
    unit_slips,
    weights,
)
from dose_audit.audit.findings import Finding

__all__ = ["DETECTORS", "detect_all"]

DETECTORS: tuple[Callable[[AuditContext], list[Finding]], ...] = (
    high_exposure.detect,
    cumulative.detect,
    drl.detect,
    unit_slips.detect,
    steps.detect,
    outliers.detect,
    dose_checks.detect,
    exposure_index.detect,
    glandular.detect,
    repeats.detect,
    devices.detect,
    new_devices.detect,
    clocks.detect,
    objects.detect,
    coverage.detect,
    ages.detect,
    weights.detect,
    phantoms.detect,
    totals.detect,
    implausible.detect,
)


def detect_all(context: AuditContext) -> list[Finding]:
    """Run every detector."""
    return [finding for detect in DETECTORS for finding in detect(context)]
