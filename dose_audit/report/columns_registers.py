"""Tables beside those of doses: verdicts of periods, local levels, worksheets, events of devices, and phantoms."""

from __future__ import annotations

from dose_audit.report.columns import DEVICE, DOSE_TABLES, GROUP, SectionTable

__all__ = ["SECTION_TABLES"]

_VERDICTS = [
    SectionTable(
        "Verdicts",
        "comparisons",
        "verdicts.periods",
        DEVICE
        | GROUP
        | {
            "Reference level": "drl.value",
            "Set": "drl.set",
            "Edition": "drl.edition",
            "Judged on": "verdicts.basis",
            "Period": ".name",
            "From": ".first",
            "To": ".last",
            "n": ".n",
            "Median": ".median",
            "CI low": ".ci_low",
            "CI high": ".ci_high",
            "ICRP flag": ".icrp_flag",
            "Evidence": ".evidence",
            "p above": ".p_above",
            "p below": ".p_below",
            "Exceedance": ".finding",
            "Changed": ".changed",
            "Reason": ".reason",
        },
    ),
    SectionTable(
        "Local levels",
        "local_levels",
        "levels",
        {
            "Set": "set",
            "Edition": "edition",
            "Kind": "kind",
            "State": "state",
            "Site": "site",
            "From exams since": "since",
            "Until": "until",
            "Proposed by": "proposed_by",
            "Proposed on": "proposed_on",
            "Approved by": "approved_by",
            "Approved on": "approved_on",
            "Valid from": "valid_from",
            "In use": "in_use",
            "Row": ".row_id",
            "Modality": ".modality",
            "Examination": ".examination_name",
            "Patients": ".patient_group",
            "Band": ".band",
            "Quantity": ".quantity",
            "Unit": ".unit",
            "Statistic": ".statistic",
            "Value": ".value",
            "CI low": ".low",
            "CI high": ".high",
            "Exams": ".n",
            "Rooms": ".rooms",
            "Edition before": ".former",
        },
    ),
    SectionTable(
        "Worksheets",
        "significant_exposures",
        None,
        DEVICE
        | {
            "Exam": "exam_ref",
            "Examination": "examination_name",
            "Study time": "study_datetime",
            "Patient": "population",
            "Doses": "doses",
            "Effective dose (mSv)": "total_msv",
            "Standard uncertainty (mSv)": "uncertainty_msv",
            "Why none": "total_reason",
            "Usual of its group (mSv)": "usual_msv",
            "Conclusion": "conclusion",
        },
    ),
    SectionTable(
        "Worksheet totals",
        "significant_exposures",
        "totals",
        {
            "Exam": "exam_ref",
            "Quantity": ".quantity",
            "Side": ".side",
            "Value": ".value",
            "Unit": ".unit",
            "Standard uncertainty": ".uncertainty",
            "Where it comes from": ".source",
        },
    ),
    SectionTable(
        "Worksheet thresholds",
        "significant_exposures",
        "reaches",
        {
            "Exam": "exam_ref",
            "Code": ".code",
            "Version": ".version",
            "Nations": ".nations",
            "If": ".assumption",
            "Criterion": ".criterion",
            "Consider notification": ".reached",
            "Confidence": ".confidence",
        },
    ),
]

_PHANTOMS = [
    SectionTable(
        "Device events",
        "device_events",
        None,
        DEVICE | {"Day": "day", "What": "kind", "Detail": "text", "Before": "before", "Steps within a week": "steps"},
    ),
    SectionTable(
        "Phantom states",
        "image_quality.states",
        None,
        DEVICE
        | {
            "Phantom": "phantom",
            "Conditions": "conditions",
            "Quantity": "title",
            "Unit": "unit",
            "At": "at",
            "Value": "value",
            "Uncertainty (k = 1)": "uncertainty",
            "Status": "status",
            "Reason": "reason",
            "Baseline": "baseline",
            "Judgement": "judgement",
            "Control": "control",
            "State": "words",
            "What it means": "text",
        },
    ),
    SectionTable(
        "Phantom trends",
        "image_quality.trends",
        "points",
        DEVICE
        | {
            "Phantom": "phantom",
            "Conditions": "conditions",
            "Quantity": "title",
            "Unit": "unit",
            "At": ".at",
            "Value": ".value",
            "Uncertainty (k = 1)": ".uncertainty",
            "Judgement": ".judgement",
            "State": ".state",
            "Counted": ".counted",
            "Software": ".software",
        },
    ),
    SectionTable(
        "Phantom schedule",
        "image_quality.schedule",
        None,
        DEVICE
        | {
            "Phantom": "phantom",
            "Every (days)": "every_days",
            "Grace (days)": "grace_days",
            "Last": "last",
            "Due": "due",
            "State": "state",
            "Days late": "days_late",
        },
    ),
]

SECTION_TABLES = [*_VERDICTS, *DOSE_TABLES, *_PHANTOMS]
"""Every further table in the order of the workbook."""
