"""Counts of reception that have no row of their own."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from dose_audit.store.models import Tally

__all__ = ["set_tallies"]


def set_tallies(counts: Mapping[str, int]) -> None:
    """Replace the counts of these names; writes only what changed."""
    known = dict(Tally.objects.values_list("name", "value"))
    now = dt.datetime.now(dt.UTC)
    for name, value in counts.items():
        if known.get(name) != value:
            Tally.objects.update_or_create(name=name, defaults={"value": value, "updated_at": now})
