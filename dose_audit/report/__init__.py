"""What a person opens in the morning: one frozen run as a page, a workbook and plain JSON.

A report is drawn from the run's folder alone, so the same folder gives the same bytes years later.
"""

from dose_audit.report.frozen import FrozenRunError
from dose_audit.report.render import DEFAULT_FORMATS, FORMATS, ReportFiles, render_run, share_run

__all__ = ["DEFAULT_FORMATS", "FORMATS", "FrozenRunError", "ReportFiles", "render_run", "share_run"]
