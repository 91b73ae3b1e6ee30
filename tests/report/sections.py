"""The further parts of a frozen run with known numbers, as the audit writes them."""

from __future__ import annotations

from typing import Any

SITES = ["North", "South", "East", "West", "Hill", "Vale"]
GROUP = {
    "modality": "CT",
    "examination": "ct-head",
    "examination_name": "Head",
    "band": "adult",
    "quantity": "DLP",
    "unit": "mGy.cm",
}
HERE = {"site": "North", "equipment": "CT <b>1</b>"}


def estimate(value: float | None, spread: float = 1.1) -> dict[str, Any]:
    """An estimate as ``report.json`` holds it."""
    known = value is not None
    return {
        "value": value,
        "low": value / spread if known else None,
        "high": value * spread if known else None,
        "status": "OK" if known else "INSUFFICIENT_N",
        "reason": "" if known else "too few",
    }


def _level(name: str, share: float, groups: int) -> dict[str, Any]:
    return {
        "name": name,
        "sigma": 0.1,
        "low": 0.05,
        "high": 0.2,
        "share": share,
        "p_value": 0.01,
        "groups": groups,
        "status": "OK",
        "reason": "",
    }


def cross_site() -> dict[str, Any]:
    """Six sites around 100, the last one far above."""
    medians = [90.0, 95.0, 100.0, 105.0, 110.0, 190.0]
    points = [
        {
            "site": site,
            "median": median,
            "low": median * 0.9,
            "high": median * 1.1,
            "n": 30 + 10 * place,
            "z": (median - 100) / 10,
            "p_value": 0.5,
            "beyond": 0.998 if median > 150 else None,
            "direction": 1 if median > 150 else 0,
        }
        for place, (site, median) in enumerate(zip(SITES, medians, strict=True))
    ]
    limits = [
        {"level": level, "n": [20, 60, 100], "low": [100 - w, 101 - w, 102 - w], "high": [100 + w, 99 + w, 98 + w]}
        for level, w in ((0.95, 20), (0.998, 30))
    ]
    return GROUP | {
        "n": 333,
        "n_used": 331,
        "sites_left_out": ["Far"],
        "size": {
            "axis": "weight",
            "unit": "kg",
            "missing_share": 0.0,
            "standardised": True,
            "reference": 71.5,
            "slope": estimate(1.2),
            "reason": "",
        },
        "funnel": {
            "target": 100.0,
            "phi": 1.4,
            "tau": 0.1,
            "status": "OK",
            "reason": "",
            "points": points,
            "limits": limits,
        },
        "components": {
            "status": "OK",
            "reason": "",
            "levels": [
                _level("site", 0.47, 6),
                _level("scanner", 0.13, 9),
                _level("acquisition protocol", 0.1, 12),
                _level("exam", 0.3, 331),
            ],
            "site_factor": estimate(1.23),
            "pair_factor": estimate(1.31),
            "effects": [
                {"site": site, "factor": median / 100, "low": median / 120, "high": median / 90, "n": 40}
                for site, median in zip(SITES, medians, strict=True)
            ],
        },
        "kruskal_wallis": {
            "epsilon_squared": 0.4,
            "statistic": 30.0,
            "degrees_of_freedom": 5,
            "p_value": 1e-6,
            "status": "OK",
        },
        "dunn": [
            {
                "first": "North",
                "second": "Vale",
                "ratio": estimate(2.11),
                "z": 4.0,
                "p_value": 0.0001,
                "p_adjusted": 0.0015,
            },
            {
                "first": "South",
                "second": "East",
                "ratio": estimate(1.05),
                "z": 0.3,
                "p_value": 0.7,
                "p_adjusted": 1.0,
            },
        ],
        "spread": {"ratio": 1.6, "by_site": {"North": 0.2}, "statistic": 2.0, "p_value": 0.08, "status": "OK"},
    }


def monitor() -> dict[str, Any]:
    """Forty exams, a software change on 1 March, a step and a signal with it."""
    times = [f"2026-{1 + day // 10:02d}-{1 + 2 * (day % 10):02d}T09:00:00" for day in range(40)]
    calm = [None] * 10
    return HERE | {
        "modality": "CT",
        "quantity": "DLP",
        "examination": None,
        "examination_name": None,
        "band": None,
        "n": 347,
        "points_shown": 40,
        "points": {
            "time": times,
            "log_residual": [0.1 * (-1) ** day for day in range(40)],
            "ewma": [*calm, *[0.02 * day for day in range(30)]],
            "ewma_limit": [*calm, *[0.8] * 30],
            "cusum_high": [*calm, *[0.1] * 30],
            "cusum_low": [*calm, *[0.0] * 30],
        },
        "cusum_limit": 17.4,
        "signals": [{"time": "2026-03-09T09:00:00", "change": "2026-03-01T09:00:00", "direction": 1}],
        "steps": [
            {"day": "2026-03-01", "quantity": "DLP", "ratio": 1.28, "low": 1.2, "high": 1.36, "found_by": "verdict"}
        ],
        "software": [{"day": "2026-03-01", "before": "v1", "after": "v2 <i>"}],
        "service": [{"day": "2026-02-03", "kind": "recalibration", "note": "meter <i>"}],
    }


def _computed(low_mm: float) -> dict[str, Any]:
    """Doses after Dance: the display agrees in the first bin and is 40 % higher in the last."""
    n = 373 + int(low_mm)
    ratio = {30.0: 1.0, 40.0: 1.1, 50.0: 1.4}[low_mm]
    medians = {"median": low_mm / 25 / ratio, "ci_low": None, "ci_high": None, "p25": None, "p75": None}
    return medians | {"n": n, "n_both": n, "median_ratio": ratio, "disagree": n if ratio > 1.25 else 7}


def verdicts() -> dict[str, Any]:
    """Four closes: not above, too few, above without proof, above and shown; the exceedance stands."""
    periods = [
        ("2025-Q3", 31, 90.0, False, "consistent", 0.9, "clear"),
        ("2025-Q4", 3, None, None, "insufficient", None, "clear"),
        ("2026-Q1", 33, 104.0, True, "consistent", 0.31, "clear"),
        ("2026-Q2", 34, 131.0, True, "exceeds", 0.0004, "standing"),
    ]
    return {
        "basis": "period",
        "finding": "standing",
        "periods": [
            {"name": name, "first": f"2025-{7 + i:02d}-01", "last": f"2025-{7 + i:02d}-28", "n": n, "median": median}
            | {"ci_low": None, "ci_high": None, "icrp_flag": flag, "evidence": evidence, "p_above": p, "p_below": None}
            | {"finding": finding, "changed": False, "reason": ""}
            for i, (name, n, median, flag, evidence, p, finding) in enumerate(periods)
        ],
    }


def _edition(edition: str, state: str, value: float, former: float | None) -> dict[str, Any]:
    approved = state == "approved"
    return {
        "set": "north-typical", "edition": edition, "kind": "typical", "state": state, "site": "North",
        "proposed_by": "MPE <b>", "proposed_on": edition, "approved_by": "expert" if approved else None,
        "approved_on": edition if approved else None, "valid_from": edition if approved else None,
        "since": "2025-01-01", "until": "2025-12-31", "mapping_version": 1, "in_use": approved,
        "levels": [
            {"row_id": "ct-head.adult.all.dlp", "modality": "CT", "patient_group": "adult", "band": "", "quantity": "DLP",
             "examination": "ct-head", "examination_name": "Head", "unit": "mGy.cm", "phantom": None,
             "statistic": "median", "value": value, "low": value - 7, "high": value + 7, "n": 211, "rooms": 1,
             "former": former}
        ],
    }  # fmt: skip


def worksheet() -> dict[str, Any]:
    """An exam of 12 mSv whose group usually has 1.3 mSv, and what the thresholds say of it."""
    from dose_audit.audit.significant import reaches

    return HERE | {
        "key": "k", "exam_ref": "E001040", "kind": "outlier", "examination_name": "Head", "population": "adult",
        "study_datetime": "2026-06-10T09:00:00", "total_msv": 12.0, "uncertainty_msv": 2.1, "total_reason": "",
        "doses": [{"quantity": "DLP", "value": 1170.0, "unit": "mGy.cm"}], "usual_msv": 1.3,
        "totals": [{"quantity": "DLP", "side": None, "value": 1170.0, "unit": "mGy.cm", "uncertainty": None,
                    "source": "total as the device reports it"}],
        "conclusion": "This worksheet does not decide.",
        "reaches": [
            {"code": one.threshold.code, "version": one.threshold.version, "nations": one.threshold.nations.split("|"),
             "population": one.threshold.population, "criterion": one.threshold.words(), "assumption": one.words(),
             "reached": one.reached, "intended_low_msv": one.intended_low_msv,
             "intended_high_msv": one.intended_high_msv, "confidence": one.threshold.confidence}
            for one in reaches(12.0, "adult")
        ],
    }  # fmt: skip


def size_specific() -> list[dict[str, Any]]:
    """Three bands of one scanner: SSDE rises from 9 to 15 mGy."""
    return [
        HERE
        | {"examination": "ct-chest", "examination_name": "Chest", "low_mm": low, "high_mm": low + 40}
        | {"median_wed_mm": low + 18}
        | {
            name: {"n": n, "median": value, "ci_low": value * 0.9, "ci_high": value * 1.1, "p25": value, "p75": value}
            for name, value in (("ssde", ssde), ("ctdi_vol", ssde / 1.3))
        }
        for low, n, ssde in ((240.0, 311, 9.0), (280.0, 312, 12.0), (320.0, 313, 15.0))
    ]


def all_sections() -> dict[str, Any]:
    """Every further part, one entry each or two."""
    curve = [{"size": size, "value": size * 1.5, "low": size * 1.4, "high": size * 1.6} for size in (50.0, 70.0, 90.0)]
    procedure = {"median": 20.0, "ci_low": 18.0, "ci_high": 22.0, "p25": 14.0, "p75": 29.0}
    return {
        "local_levels": [
            _edition("2026-02-02", "proposed", 111.0, 99.0),
            _edition("2026-01-01", "approved", 99.0, None),
        ],
        "significant_exposures": [worksheet()],
        "size_specific": size_specific(),
        "device_events": [
            HERE | {"day": "2026-02-03", "kind": "recalibration", "text": "meter <i>", "before": None, "steps": []},
            HERE | {"day": "2026-03-01", "kind": "new software", "text": "v2 <i>", "before": "v1", "steps": []},
            {"site": None, "equipment": None, "day": "2026-04-01", "kind": "exam mapping", "text": "version 2"}
            | {"before": None, "steps": []},
        ],
        "cross_site": [cross_site()],
        "monitors": [monitor()],
        "size_curves": [
            GROUP
            | {
                "n": 353,
                "population": "adult",
                "axis": "weight",
                "axis_unit": "kg",
                "n_missing": 4,
                "points_shown": 3,
                "points": {
                    "size": [50.0, 70.0, 90.0],
                    "dose": [70.0, 100.0, 140.0],
                    "site": ["North", "South", "East"],
                },
                "fit": {
                    "method": "Theil-Sen slope of ln dose",
                    "slope": estimate(1.4),
                    "curves": [{"q": 0.5, "points": curve}],
                    "status": "OK",
                    "reason": "",
                },
                "drl": [
                    {
                        "set": "a-set",
                        "edition": "2024-01-01",
                        "row_id": "r1",
                        "value": 100.0,
                        "band": "adult",
                        "band_type": "none",
                        "low": None,
                        "high": None,
                    }
                ],
            }
        ],
        "kap_by_procedure": [
            GROUP
            | procedure
            | {"modality": "XA", "examination_name": "Coronary angiography", "quantity": "KAP", "unit": "Gy.cm2"}
            | {"n": 359, "p95": 60.0, "largest": 88.0, "drl": 35.0}
            | {"by_site": [{"site": "North", "n": 359} | procedure]}
        ],
        "exposure_index": [
            {"site": "North", "equipment": "DX <b>1</b>", "acquisition_protocol": "CHEST_PA"}
            | {"n": 367, "n_without_target": 2, "median_ei": 250.0, "targets": [{"target": 250.0, "n": 365}]}
            | {"median_di": 1.7, "sd_di": 1.1, "beyond_3": 9, "share_beyond_3": 0.0245, "above_1": 200, "below_1": 3}
            | {"header_disagrees": 0, "drift_di_a_year": 0.4, "drift_low": -0.2, "drift_high": 1.0}
            | {"months": [{"month": f"2026-{m:02d}", "n": 60 + m, "median_di": 1.5 + 0.1 * m} for m in (1, 2, 3)]}
        ],
        "agd_by_thickness": [
            {"site": "North", "equipment": "MG 1", "low_mm": low, "high_mm": low + 10, "n": 373 + int(low)}
            | {"median": low / 25, "ci_low": low / 27, "ci_high": low / 23, "p25": low / 30, "p75": low / 20}
            | {"acceptable_mgy": 1.6, "achievable_mgy": 1.1, "limit_confidence": "recalled"}
            | {"mgd": _computed(low)}
            for low in (30.0, 40.0, 50.0)
        ],
        "dose_check": [
            HERE
            | {"acquisitions": 379, "alert_configured": 370, "alert_exceeded": 6, "alert_exceeded_without_reason": 2}
            | {"notification_configured": 0, "notification_exceeded": 0, "exams_with_alert": ["A00001"]}
        ],
        "outliers": [
            HERE
            | {"key": "k", "exam_ref": "1040", "examination": "ct-head", "examination_name": "Head", "band": "adult"}
            | {"study_datetime": "2026-06-10T09:00:00", "likely_cause": "more phases than usual"}
            | {"values": [{"quantity": "DLP", "value": 1170.0, "unit": "mGy.cm", "ratio": 9.0, "robust_z": 12.0}]}
        ],
    }
