"""Draws a run once more and says which of the pages and tables in its folder are not the same to the byte."""

from __future__ import annotations

import tempfile
from pathlib import Path

from dose_audit.report.render import render_run

__all__ = ["not_the_same"]

_FILES = {"html": "report.html", "xlsx": "report.xlsx", "csv": "report.csv.zip"}


def not_the_same(run_dir: Path, *, kept_in: Path | None = None) -> list[str]:
    """Compare what lies in a run's folder with what this version of the program draws from the frozen run.

    Parameters
    ----------
    run_dir : Path
    kept_in : Path, optional
        As for `render_run`.

    Returns
    -------
    list of str
        A sentence for each page or table that is there and differs; empty where all are the same. One that another
        version drew differs, and the sentence says how to have it drawn by this one.

    Raises
    ------
    FrozenRunError
        When the folder is not a frozen run, or not as it was frozen.
    """
    told = []
    there = [name for name, file in _FILES.items() if (run_dir / file).is_file()]
    with tempfile.TemporaryDirectory(prefix="dose-audit-again-") as place:
        drawn = render_run(run_dir, Path(place), formats=there, kept_in=kept_in)
        for path in drawn.made(there):
            if (run_dir / path.name).read_bytes() != path.read_bytes():
                by = drawn.stamp or "It was changed, or drawn by another version: `dose-audit report` draws it anew."
                told.append(f"{path.name} is not what this version draws from the frozen run. {by}")
    return told
