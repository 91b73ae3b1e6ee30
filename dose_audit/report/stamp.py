"""Says on a report that another version of the program made the run than draws it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dose_audit.report.frozen import FrozenRun

__all__ = ["version_stamp"]


def version_stamp(run: FrozenRun) -> str:
    """Sentence for the head of a report; empty where the version that made the run draws it.

    Notes
    -----
    A frozen run holds every figure, so that any later version can draw it. Texts, charts and layout are the drawing
    version's: the same bytes are promised for the version that made the run, and for no other.
    """
    import dose_audit

    made = run.data["run"]["versions"]["engine"]
    if made == dose_audit.__version__:
        return ""
    return (
        f"This run was made by version {made} of the program and is drawn here by version {dose_audit.__version__}. The "
        "figures are those of the run; texts, charts and layout may differ from what was printed then. Only the version "
        "that made a run draws it again byte for byte."
    )
