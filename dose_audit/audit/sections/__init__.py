"""Further parts of the report's data, one file a part: each builds a list of JSON-ready entries from the run's context.

A new part is a new file with ``build(context, findings)`` and a line in `SECTIONS`. What the entries hold is told in
`dose_audit.audit.freeze`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dose_audit.audit.context import AuditContext
from dose_audit.audit.findings import Finding
from dose_audit.audit.sections import (
    agd_by_thickness,
    cross_site,
    device_events,
    dose_check,
    exposure_index,
    kap_by_procedure,
    monitors,
    outliers,
    size_curves,
    size_specific,
)

__all__ = ["SECTIONS", "build_sections"]

Builder = Callable[[AuditContext, Sequence[Finding]], list[dict[str, Any]]]

SECTIONS: dict[str, Builder] = {
    "cross_site": cross_site.build,
    "monitors": monitors.build,
    "device_events": device_events.build,
    "size_curves": size_curves.build,
    "size_specific": size_specific.build,
    "kap_by_procedure": kap_by_procedure.build,
    "exposure_index": exposure_index.build,
    "agd_by_thickness": agd_by_thickness.build,
    "dose_check": dose_check.build,
    "outliers": outliers.build,
}


def build_sections(context: AuditContext, findings: Sequence[Finding]) -> dict[str, list[dict[str, Any]]]:
    """Build every part, by its name in ``report.json``."""
    return {name: build(context, findings) for name, build in SECTIONS.items()}
