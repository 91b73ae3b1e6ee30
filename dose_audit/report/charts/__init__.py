"""Charts of the report: one file a chart, each a function from the frozen run to figures.

A figure is one Vega-Lite specification (interactive in the page, static in print), the sentence that says what it
shows, and the table behind it. A new chart is one new file and one line in ``ALL_CHARTS``.
"""

from dose_audit.report.charts import quality
from dose_audit.report.charts.activity import activity_figures
from dose_audit.report.charts.agd_agreement import agreement_figures
from dose_audit.report.charts.agd_thickness import agd_figures
from dose_audit.report.charts.changes import change_figures
from dose_audit.report.charts.components import component_figures
from dose_audit.report.charts.distribution import distribution_figures
from dose_audit.report.charts.dose_check import dose_check_figures
from dose_audit.report.charts.exposure_index import exposure_index_figures
from dose_audit.report.charts.figure import Figure
from dose_audit.report.charts.funnel import funnel_figures
from dose_audit.report.charts.kap_procedures import kap_figures
from dose_audit.report.charts.medians import median_figures
from dose_audit.report.charts.monitors import monitor_figures
from dose_audit.report.charts.outliers import outlier_figures
from dose_audit.report.charts.quality_dose import dose_and_quality_figures
from dose_audit.report.charts.size_dose import size_dose_figures
from dose_audit.report.charts.size_specific import size_specific_figures
from dose_audit.report.charts.trend import trend_figures
from dose_audit.report.charts.verdicts import verdict_figures
from dose_audit.report.frozen import FrozenRun

ALL_CHARTS = {
    "completeness": activity_figures,
    "medians": median_figures,
    "verdicts": verdict_figures,
    "distributions": distribution_figures,
    "funnel": funnel_figures,
    "components": component_figures,
    "trends": trend_figures,
    "monitors": monitor_figures,
    "size": size_dose_figures,
    "size_specific": size_specific_figures,
    "procedures": kap_figures,
    "exposure_index": exposure_index_figures,
    "agd": agd_figures,
    "agd_agreement": agreement_figures,
    "dose_check": dose_check_figures,
    "outliers": outlier_figures,
    "quality_dose": dose_and_quality_figures,
    "quality_trends": quality.trend_figures,
    "quality_sites": quality.site_figures,
    "changes": change_figures,
}


def all_figures(run: FrozenRun) -> dict[str, list[Figure]]:
    """Figures of a run by section, in the order of `ALL_CHARTS`."""
    from altair.utils.schemapi import debug_mode

    with debug_mode(False):  # each of thousands of small parts would be held against the schema
        return {section: make(run) for section, make in ALL_CHARTS.items()}


__all__ = ["ALL_CHARTS", "Figure", "all_figures"]
