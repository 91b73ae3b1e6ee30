"""Local reference levels and typical values as the store keeps them: proposed or approved, by whom, with intervals."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["local_level_records"]


def local_level_records(examinations: Mapping[str, Any], drl_sets: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Build ``local_levels`` of ``report.json``: one entry an edition, sets by name, the latest edition first.

    Parameters
    ----------
    examinations : mapping
        Slug → Examination.
    drl_sets : sequence of mapping
        Editions that the run compares with.

    Notes
    -----
    Every level bears the one of the same set's edition before it, so that a reader sees what a new version changes.
    """
    from dose_audit.store.models import LocalEdition

    used = {(one["set"], one["edition"]) for one in drl_sets}
    entries: list[dict[str, Any]] = []
    former: dict[tuple[str, str], float] = {}
    for row in LocalEdition.objects.order_by("set_id", "edition"):
        levels = []
        for line in csv.DictReader(row.rows):
            level = _level(line, examinations)
            level["former"] = former.get((row.set_id, level["row_id"]))
            levels.append(level)
        former.update({(row.set_id, level["row_id"]): level["value"] for level in levels})
        entries.append(
            {
                "set": row.set_id,
                "edition": row.edition,
                "kind": row.kind,
                "state": row.state,
                "site": row.site or None,
                "proposed_by": row.proposed_by,
                "proposed_on": row.proposed_at.date().isoformat(),
                "approved_by": row.approved_by,
                "approved_on": row.approved_at.date().isoformat() if row.approved_at else None,
                "valid_from": row.valid_from.isoformat() if row.valid_from else None,
                "since": row.computed_from.get("since"),
                "until": row.computed_from.get("until"),
                "mapping_version": row.computed_from.get("mapping_version"),
                "in_use": (row.set_id, row.edition) in used,
                "levels": levels,
            }
        )
    # Sorted twice, as sorting keeps the order of equals: newest first within each set.
    entries.sort(key=lambda entry: entry["edition"], reverse=True)
    return sorted(entries, key=lambda entry: entry["set"])


def _level(line: Mapping[str, str], examinations: Mapping[str, Any]) -> dict[str, Any]:
    from dose_audit.drl.local import read_note

    slug = line["examination"]
    known = examinations.get(slug)
    n, rooms, low, high = read_note(line["note"])
    ends = [line["band_low"], line["band_high"]]
    return {
        "row_id": line["row_id"],
        "examination": slug,
        "examination_name": known.name if known is not None else slug,
        "modality": line["modality"],
        "patient_group": line["patient_group"],
        "band": f"{ends[0] or 0}-<{ends[1]} {line['band_unit']}" if any(ends) else "",
        "quantity": line["quantity"],
        "unit": line["unit"],
        "phantom": line["phantom"] or None,
        "statistic": line["statistic"],
        "value": float(line["value"]),
        "low": low,
        "high": high,
        "n": n,
        "rooms": rooms,
    }
