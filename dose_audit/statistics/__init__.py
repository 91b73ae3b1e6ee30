"""Statistics of dose: intervals, tests, outliers, steps, monitors, sizes, sites. Pure numpy and scipy.

Every function takes plain arrays and returns a small frozen dataclass that carries the value, its interval,
the number of observations, a status and the reason for it, so that a figure never travels alone.
"""

from dose_audit.statistics.between import (
    BrownForsythe,
    Dunn,
    DunnPair,
    KruskalWallis,
    brown_forsythe,
    dunn,
    holm,
    kruskal_wallis,
)
from dose_audit.statistics.change import Change, ChangeScan, find_changes, median_step
from dose_audit.statistics.chart_limits import ChartLimit, calibrate, false_signal
from dose_audit.statistics.funnel import (
    Funnel,
    FunnelPoint,
    funnel_limits,
    group_funnel,
    log_funnel,
    proportion_funnel,
)
from dose_audit.statistics.grouped import GroupFigures, SortedGroups
from dose_audit.statistics.monitor import MonitorResult, cusum, ewma
from dose_audit.statistics.multiplicity import FalseDiscovery, benjamini_hochberg
from dose_audit.statistics.order_statistics import (
    Estimate,
    SignTest,
    interval_ranks,
    median_interval,
    quantile,
    sign_test,
)
from dose_audit.statistics.periods import PeriodVerdict, finding_probability, period_verdicts
from dose_audit.statistics.quantile_curve import QuantileCurve, dose_curve, quantile_regression
from dose_audit.statistics.robust import (
    LogScale,
    Outliers,
    UnitSlip,
    log_outliers,
    log_scale,
    slipped_values,
    unit_slip,
)
from dose_audit.statistics.run_length import RunLength, cusum_run_length, ewma_run_length
from dose_audit.statistics.sequential import RunningChart, Signal, running_chart, sequential_scores
from dose_audit.statistics.silence import Gap, SilenceScan, silent_gaps
from dose_audit.statistics.size import (
    SIZE_AXES,
    Missingness,
    SizeAxis,
    SizeStandardised,
    size_missingness,
    standardise_size,
)
from dose_audit.statistics.slope import robust_slope
from dose_audit.statistics.variance import (
    Component,
    SiteEffect,
    VarianceComponents,
    variance_components,
)

__all__ = [
    "SIZE_AXES",
    "BrownForsythe",
    "Change",
    "ChangeScan",
    "ChartLimit",
    "Component",
    "Dunn",
    "DunnPair",
    "Estimate",
    "FalseDiscovery",
    "Funnel",
    "FunnelPoint",
    "Gap",
    "GroupFigures",
    "KruskalWallis",
    "LogScale",
    "Missingness",
    "MonitorResult",
    "Outliers",
    "PeriodVerdict",
    "QuantileCurve",
    "RunLength",
    "RunningChart",
    "SignTest",
    "Signal",
    "SilenceScan",
    "SiteEffect",
    "SizeAxis",
    "SizeStandardised",
    "SortedGroups",
    "UnitSlip",
    "VarianceComponents",
    "benjamini_hochberg",
    "brown_forsythe",
    "calibrate",
    "cusum",
    "cusum_run_length",
    "dose_curve",
    "dunn",
    "ewma",
    "ewma_run_length",
    "false_signal",
    "find_changes",
    "finding_probability",
    "funnel_limits",
    "group_funnel",
    "holm",
    "interval_ranks",
    "kruskal_wallis",
    "log_funnel",
    "log_outliers",
    "log_scale",
    "median_interval",
    "median_step",
    "period_verdicts",
    "proportion_funnel",
    "quantile",
    "quantile_regression",
    "robust_slope",
    "running_chart",
    "sequential_scores",
    "sign_test",
    "silent_gaps",
    "size_missingness",
    "slipped_values",
    "standardise_size",
    "unit_slip",
    "variance_components",
]
