"""Which fields of ``report.json`` each further table shows, and under which heading: data, no code."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEVICE", "DOSE_TABLES", "GROUP", "SectionTable"]


@dataclass(frozen=True)
class SectionTable:
    """One table of a part of ``report.json``.

    Parameters
    ----------
    name : str
    source : str
        Dotted path of the part, a list of entries.
    each : str or None
        Dotted path of a list within an entry that gives a row an item; None for a row an entry.
    columns : dict
        Heading to dotted path within the entry; within the item where it begins with a dot.
    """

    name: str
    source: str
    each: str | None
    columns: dict[str, str]


GROUP = {
    "Modality": "modality",
    "Examination": "examination_name",
    "Band": "band",
    "Quantity": "quantity",
    "Unit": "unit",
}
DEVICE = {"Site": "site", "Equipment": "equipment"}

DOSE_TABLES = [
    SectionTable(
        "Cross-site",
        "cross_site",
        None,
        GROUP
        | {
            "n": "n",
            "n used": "n_used",
            "Sites left out": "sites_left_out",
            "Size axis": "size.axis",
            "Standardised": "size.standardised",
            "Reference size": "size.reference",
            "Size slope": "size.slope.value",
            "Why not": "size.reason",
            "Funnel target": "funnel.target",
            "Over-dispersion phi": "funnel.phi",
            "Funnel status": "funnel.status",
            "Site-to-site factor": "components.site_factor.value",
            "Factor low": "components.site_factor.low",
            "Factor high": "components.site_factor.high",
            "Two sites apart": "components.pair_factor.value",
            "Components status": "components.status",
            "Kruskal-Wallis H": "kruskal_wallis.statistic",
            "Degrees of freedom": "kruskal_wallis.degrees_of_freedom",
            "Kruskal-Wallis p": "kruskal_wallis.p_value",
            "Epsilon squared": "kruskal_wallis.epsilon_squared",
            "Brown-Forsythe F": "spread.statistic",
            "Brown-Forsythe p": "spread.p_value",
            "Spread ratio": "spread.ratio",
        },
    ),
    SectionTable(
        "Funnel",
        "cross_site",
        "funnel.points",
        GROUP
        | {
            "Site": ".site",
            "n": ".n",
            "Median": ".median",
            "CI low": ".low",
            "CI high": ".high",
            "z": ".z",
            "p": ".p_value",
            "Beyond limit": ".beyond",
            "Direction": ".direction",
        },
    ),
    SectionTable(
        "Variance components",
        "cross_site",
        "components.levels",
        GROUP
        | {
            "Level": ".name",
            "Groups": ".groups",
            "Sigma of ln dose": ".sigma",
            "CI low": ".low",
            "CI high": ".high",
            "Share": ".share",
            "p": ".p_value",
            "Status": ".status",
            "Reason": ".reason",
        },
    ),
    SectionTable(
        "Site factors",
        "cross_site",
        "components.effects",
        GROUP | {"Site": ".site", "n": ".n", "Factor": ".factor", "CI low": ".low", "CI high": ".high"},
    ),
    SectionTable(
        "Pairs of sites",
        "cross_site",
        "dunn",
        GROUP
        | {
            "First": ".first",
            "Second": ".second",
            "Ratio": ".ratio.value",
            "CI low": ".ratio.low",
            "CI high": ".ratio.high",
            "z": ".z",
            "p": ".p_value",
            "Adjusted p": ".p_adjusted",
        },
    ),
    SectionTable(
        "Running charts",
        "monitors",
        None,
        DEVICE
        | {
            "Modality": "modality",
            "Quantity": "quantity",
            "Examination": "examination_name",
            "Band": "band",
            "n": "n",
            "CUSUM limit": "cusum_limit",
            "Signals": "signals",
            "Steps": "steps",
            "Software": "software",
            "Service": "service",
        },
    ),
    SectionTable(
        "Size curves",
        "size_curves",
        None,
        GROUP
        | {
            "Population": "population",
            "n": "n",
            "Without size": "n_missing",
            "Axis": "axis",
            "Axis unit": "axis_unit",
            "Method": "fit.method",
            "Slope": "fit.slope.value",
            "Slope low": "fit.slope.low",
            "Slope high": "fit.slope.high",
            "Status": "fit.status",
            "Reason": "fit.reason",
        },
    ),
    SectionTable(
        "SSDE by diameter",
        "size_specific",
        None,
        DEVICE
        | {
            "Examination": "examination_name",
            "From (mm)": "low_mm",
            "To (mm)": "high_mm",
            "Median diameter (mm)": "median_wed_mm",
            "n": "ssde.n",
            "Median SSDE (mGy)": "ssde.median",
            "CI low": "ssde.ci_low",
            "CI high": "ssde.ci_high",
            "P25": "ssde.p25",
            "P75": "ssde.p75",
            "Median CTDIvol (mGy)": "ctdi_vol.median",
        },
    ),
    SectionTable(
        "Procedures",
        "kap_by_procedure",
        None,
        GROUP
        | {
            "n": "n",
            "Median": "median",
            "CI low": "ci_low",
            "CI high": "ci_high",
            "P25": "p25",
            "P75": "p75",
            "P95": "p95",
            "Largest": "largest",
            "Reference level": "drl",
        },
    ),
    SectionTable(
        "Procedures by site",
        "kap_by_procedure",
        "by_site",
        GROUP
        | {
            "Site": ".site",
            "n": ".n",
            "Median": ".median",
            "CI low": ".ci_low",
            "CI high": ".ci_high",
            "P25": ".p25",
            "P75": ".p75",
        },
    ),
    SectionTable(
        "Exposure index",
        "exposure_index",
        None,
        DEVICE
        | {
            "Acquisition protocol": "acquisition_protocol",
            "n": "n",
            "Without target": "n_without_target",
            "Median EI": "median_ei",
            "Targets": "targets",
            "Median DI": "median_di",
            "SD of DI": "sd_di",
            "Beyond 3": "beyond_3",
            "Share beyond 3": "share_beyond_3",
            "Above 1": "above_1",
            "Below -1": "below_1",
            "Header disagrees": "header_disagrees",
            "Drift a year": "drift_di_a_year",
            "Drift low": "drift_low",
            "Drift high": "drift_high",
        },
    ),
    SectionTable(
        "Deviation index by month",
        "exposure_index",
        "months",
        DEVICE
        | {
            "Acquisition protocol": "acquisition_protocol",
            "Month": ".month",
            "n": ".n",
            "Median DI": ".median_di",
        },
    ),
    SectionTable(
        "AGD by thickness",
        "agd_by_thickness",
        None,
        DEVICE
        | {
            "From (mm)": "low_mm",
            "To (mm)": "high_mm",
            "n": "n",
            "Median (mGy)": "median",
            "CI low (mGy)": "ci_low",
            "CI high (mGy)": "ci_high",
            "P25 (mGy)": "p25",
            "P75 (mGy)": "p75",
            "Acceptable (mGy)": "acceptable_mgy",
            "Achievable (mGy)": "achievable_mgy",
            "Confidence": "limit_confidence",
            "n computed": "mgd.n",
            "Median computed MGD (mGy)": "mgd.median",
            "n both": "mgd.n_both",
            "Displayed over computed": "mgd.median_ratio",
            "Views that disagree": "mgd.disagree",
        },
    ),
    SectionTable(
        "Dose Check",
        "dose_check",
        None,
        DEVICE
        | {
            "Acquisitions": "acquisitions",
            "Alert set": "alert_configured",
            "Alert passed": "alert_exceeded",
            "Passed without reason": "alert_exceeded_without_reason",
            "Notification set": "notification_configured",
            "Notification passed": "notification_exceeded",
            "Exams": "exams_with_alert",
        },
    ),
    SectionTable(
        "Outliers",
        "outliers",
        "values",
        DEVICE
        | {
            "Exam": "exam_ref",
            "Examination": "examination_name",
            "Band": "band",
            "Study time": "study_datetime",
            "Quantity": ".quantity",
            "Value": ".value",
            "Unit": ".unit",
            "Ratio": ".ratio",
            "Robust z": ".robust_z",
            "Likely cause": "likely_cause",
        },
    ),
]
