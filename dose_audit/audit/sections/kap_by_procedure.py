"""Kerma area product, reference dose and fluoroscopy time of interventional and fluoroscopic procedures by site."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dose_audit.audit.context import AuditContext
from dose_audit.audit.findings import Finding
from dose_audit.audit.quantities import FLUOROSCOPY_MODALITIES
from dose_audit.audit.sections.common import cells, summary
from dose_audit.statistics import quantile

__all__ = ["build"]


def build(context: AuditContext, findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """One entry a procedure and quantity, with a line for every site."""
    columns, references = context.values.columns, context.values.references
    found = []
    for cell in cells(context):
        if cell.modality not in FLUOROSCOPY_MODALITIES:
            continue
        doses, sites = columns["value"][cell.rows], columns["site"][cell.rows]
        levels = {m.row.value for i in np.unique(references.index[cell.rows]) if (m := references.matches[i]).row}
        found.append(
            cell.record()
            | summary(doses)
            | {
                "p95": quantile(doses, 0.95),
                "largest": float(doses.max()),
                "drl": levels.pop() if len(levels) == 1 else None,
                "by_site": [{"site": site} | summary(doses[sites == site]) for site in sorted(set(sites.tolist()))],
            }
        )
    return found
