"""Baselines that rest on runs measured by an earlier text of their phantom's definition: values before and after may differ."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from dose_audit.store.models import Baseline, PhantomStudy

__all__ = ["Outdated", "outdated_baselines"]


@dataclass(frozen=True, slots=True)
class Outdated:
    """The baselines of one phantom on one device under one set of conditions.

    Attributes
    ----------
    equipment_id : int
    equipment, definition, condition_key : str
    measurements : tuple of str
    valid_from : datetime
        From when the earliest of them holds.
    """

    equipment_id: int
    equipment: str
    definition: str
    condition_key: str
    measurements: tuple[str, ...]
    valid_from: dt.datetime

    @property
    def text(self) -> str:
        """What it is and what to do, in plain words."""
        return (
            f"{self.equipment}, {self.definition}: the baseline of {', '.join(self.measurements)} rests on runs that an earlier "
            "text of the phantom's definition measured, so that a change may be the definition's and not the device's. Once "
            "`dose-audit phantom reanalyse` has measured the stored images anew, accept runs again; no event is needed: "
            f'dose-audit phantom baseline set --equipment "#{self.equipment_id}" --phantom {self.definition} --role ROLE '
            f'--reason "definition changed" --since {self.valid_from:%Y-%m-%d} --until DATE'
        )


def outdated_baselines(*, equipment: int | None = None, definition: str | None = None) -> list[Outdated]:
    """Baselines in force whose runs none of the present definition's text measured, though the latest run of the trend was."""
    rows = Baseline.objects.select_related("equipment").order_by("valid_from", "pk")
    if equipment is not None:
        rows = rows.filter(equipment_id=equipment)
    if definition is not None:
        rows = rows.filter(definition=definition)
    in_force: dict[tuple[int, str, str], dict[str, Baseline]] = {}
    for row in rows:
        in_force.setdefault((row.equipment_id, row.definition, row.condition_key), {})[row.measurement] = row
    found = []
    for (device, name, key), baselines in in_force.items():
        trend = PhantomStudy.objects.filter(equipment_id=device, definition=name, condition_key=key, current=True)
        latest = trend.order_by("acquired_at", "pk").values_list("definition_sha256", flat=True).last()
        old = [
            row
            for row in baselines.values()
            if latest is not None
            and latest not in PhantomStudy.objects.filter(pk__in=row.runs).values_list("definition_sha256", flat=True)
        ]
        if old:
            names = tuple(sorted(row.measurement for row in old))
            since = min(row.valid_from for row in old)
            found.append(Outdated(device, old[0].equipment.display_name, name, key, names, since))
    return found
