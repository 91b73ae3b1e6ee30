"""Reference levels that were asked for and are not used: a run that falls back to others must say so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dose_audit.audit.findings import Finding

if TYPE_CHECKING:
    from dose_audit.drl import DrlRegistry
    from dose_audit.drl.registry import Skipped

__all__ = ["unused_levels", "unused_sets"]


def unused_sets(registry: DrlRegistry, named: Sequence[str]) -> list[Skipped]:
    """Editions that were refused, and the newest of a set that the settings name and of which all are unverified.

    Parameters
    ----------
    registry : DrlRegistry
    named : sequence of str
        Sets that the settings name; of the default ones nobody asked for those that are unverified.
    """
    used = {one.set_id for one in registry.sets}
    newest = {one.set_id: one for one in registry.skipped if one.set_id in named and one.set_id not in used}
    return [one for one in registry.skipped if one.faults or newest.get(one.set_id) is one]


def unused_levels(registry: DrlRegistry, named: Sequence[str]) -> list[Finding]:
    """One ``levels_not_used`` for each of `unused_sets`, with every fault of a refused one."""
    return [
        Finding(
            kind="levels_not_used",
            severity="act" if one.faults else "check",
            subject=f"{one.set_id}, edition {one.edition}",
            message=f"Not used in this run; {one.reason}. Its exams are compared with other levels, or with none.",
            identity=(one.set_id, one.edition),
            evidence={"set": one.set_id, "edition": one.edition, "faults": [fault.briefly for fault in one.faults]},
        )
        for one in unused_sets(registry, named)
    ]
