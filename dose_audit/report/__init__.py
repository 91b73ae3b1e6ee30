"""What a person opens in the morning: one frozen run as a page, a workbook and plain JSON.

A report is drawn from the run's folder alone, so the same folder gives the same bytes years later.
"""

from dose_audit.report.render import ReportFiles, render_run

__all__ = ["ReportFiles", "render_run"]
