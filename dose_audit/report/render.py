"""One frozen run in, its page, workbook and JSON out; the same folder always gives the same bytes."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from dose_audit.report.charts import ALL_CHARTS
from dose_audit.report.frozen import FrozenRun

__all__ = ["ReportFiles", "render_run"]


@dataclass(frozen=True)
class ReportFiles:
    """Where a rendered report lies."""

    html: Path
    xlsx: Path
    json: Path


def render_run(run_dir: Path, out: Path | None = None) -> ReportFiles:
    """Render a frozen run as HTML, XLSX and JSON.

    Parameters
    ----------
    run_dir : Path
        Folder of the run: ``report.json`` and ``values.parquet``.
    out : Path, optional
        Where the files go; the run's own folder by default.

    Returns
    -------
    ReportFiles

    Raises
    ------
    FrozenRunError
        When the folder is not a frozen run.
    """
    from dose_audit.report.page import write_page
    from dose_audit.report.workbook import write_workbook

    run = FrozenRun.load(Path(run_dir))
    out = Path(out or run_dir)
    out.mkdir(parents=True, exist_ok=True)
    figures = {section: draw(run) for section, draw in ALL_CHARTS.items()}
    files = ReportFiles(out / "report.html", out / "report.xlsx", out / "report.json")
    write_page(run, figures, files.html)
    write_workbook(run, files.xlsx)
    if files.json.resolve() != (run.folder / "report.json").resolve():
        shutil.copyfile(run.folder / "report.json", files.json)
    return files
