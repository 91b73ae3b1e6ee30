"""Says on a report that another version or state of the program made the run than draws it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dose_audit.report.frozen import FrozenRun

__all__ = ["version_stamp"]

_SHOWN = 12
"""Digits of a program's hash."""


def version_stamp(run: FrozenRun) -> str:
    """Sentence for the head of a report; empty where the program that made the run draws it: its version, and in that its state.

    Notes
    -----
    A frozen run holds every figure, so that any later version can draw it. Texts, charts and layout are the drawing
    version's: the same bytes are promised for the version that made the run, and for no other.
    """
    import dose_audit
    from dose_audit.program import program_sha256

    versions = run.data["run"]["versions"]
    made, drawn, which = versions["engine"], dose_audit.__version__, "version"
    state = versions.get("program_sha256")  # runs of before have none
    if made == drawn:
        if state in (None, program_sha256()):
            return ""
        made, drawn, which = f"{made} ({state[:_SHOWN]})", f"{drawn} ({program_sha256()[:_SHOWN]})", "state"
    return (
        f"This run was made by version {made} of the program and is drawn here by version {drawn}. The "
        "figures are those of the run; texts, charts and layout may differ from what was printed then. Only the "
        f"{which} that made a run draws it again byte for byte."
    )
