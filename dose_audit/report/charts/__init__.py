"""Charts of the report: one file a chart, each a function from the frozen run to figures.

A figure is one Vega-Lite specification (interactive in the page, static in print), the sentence that says what it
shows, and the table behind it. A new chart is one new file and one line in ``ALL_CHARTS``.
"""

from dose_audit.report.charts.activity import activity_figures
from dose_audit.report.charts.distribution import distribution_figures
from dose_audit.report.charts.figure import Figure
from dose_audit.report.charts.medians import median_figures
from dose_audit.report.charts.outliers import outlier_figures
from dose_audit.report.charts.trend import trend_figures

ALL_CHARTS = {
    "completeness": activity_figures,
    "medians": median_figures,
    "distributions": distribution_figures,
    "trends": trend_figures,
    "outliers": outlier_figures,
}

__all__ = ["ALL_CHARTS", "Figure"]
