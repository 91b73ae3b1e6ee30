"""Says which earlier shares a new one could be subtracted from: two periods that overlap give the difference away."""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["overlapping_shares"]


def overlapping_shares(reports_dir: Path, run_dir: Path) -> list[str]:
    """Find runs whose tables were shared, over a period that overlaps this run's and is not the same.

    Parameters
    ----------
    reports_dir : Path
        Where runs lie, a folder each. Shares that were written elsewhere are not known.
    run_dir : Path
        The run that is shared now.

    Returns
    -------
    list of str
        A sentence each. Within one share no hidden number can be worked out; of a year and of its first eleven months
        together, December can be.
    """
    own = _period(run_dir)
    told = []
    for folder in sorted(path.parent for path in reports_dir.glob("*/share")):
        if folder.resolve() == run_dir.resolve() or not (folder / "report.json").is_file():
            continue
        since, until = _period(folder)
        if (since, until) != own and since <= own[1] and own[0] <= until:
            told.append(
                f"Run {folder.name} ({since} to {until}) was shared too, and overlaps {own[0]} to {own[1]}: whoever has both "
                "can subtract one from the other. Share periods that do not overlap."
            )
    return told


def _period(folder: Path) -> tuple[str, str]:
    """First and last day as ISO writes them, which sorts as days do."""
    run = json.loads((folder / "report.json").read_text(encoding="utf-8"))["run"]
    return run["since"], run["until"]
