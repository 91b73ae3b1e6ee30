"""Each part of the report's data says what was planted, and what concerns single exams is told once."""

from __future__ import annotations

import json
import math
from datetime import date, datetime, timedelta

import numpy as np
import pytest

from dose_audit.audit.glandular import agd_limits
from dose_audit.audit.limits import limit
from dose_audit.audit.runs import json_ready
from dose_audit.audit.schedule import nightly_schedule

START = datetime(2026, 1, 1, 9, 0)
UNTIL = date(2026, 6, 30)


def _cts(stored, *, sites, per_site=40, site_sigma=0.0, seed=3, **more):
    random = np.random.default_rng(seed)
    for number in range(sites):
        centre = 150.0 * math.exp(random.normal(0.0, site_sigma))
        for i in range(per_site):
            weight = float(np.clip(random.normal(75.0, 12.0), 45.0, 120.0))
            dose = centre * (weight / 75.0) ** 1.5 * math.exp(random.normal(0.0, 0.15))
            stored.add_ct(
                START + timedelta(days=i * 4, minutes=number),
                dose,
                site=f"Site {number}",
                equipment=f"CT {i % 2}",
                weight_kg=weight,
                **more,
            )


def _one(entries, **wanted):
    (entry,) = [e for e in entries if all(e[k] == v for k, v in wanted.items())]
    return entry


def test_sites_are_compared_at_one_size_with_components_pairs_and_spread(stored, audited):
    _cts(stored, sites=8, site_sigma=0.3)
    entry = _one(audited(until=UNTIL).sections["cross_site"], quantity="DLP")
    assert entry["size"]["standardised"] and entry["size"]["axis"] == "weight"
    assert entry["size"]["slope"]["low"] < 1.5 < entry["size"]["slope"]["high"]
    sigma = entry["components"]["levels"][0]
    assert (sigma["name"], sigma["groups"]) == ("site", 8)
    assert sigma["low"] < 0.3 < sigma["high"]
    assert entry["components"]["site_factor"]["value"] == pytest.approx(math.exp(sigma["sigma"]))
    assert len(entry["dunn"]) == 8 * 7 // 2
    assert [pair["p_adjusted"] for pair in entry["dunn"]] == sorted(pair["p_adjusted"] for pair in entry["dunn"])
    assert entry["kruskal_wallis"]["p_value"] < 1e-6 < 0.01 < entry["spread"]["p_value"]
    funnel = entry["funnel"]
    assert len(funnel["points"]) == 8 and {curve["level"] for curve in funnel["limits"]} == {0.95, 0.998}
    assert all(
        low < funnel["target"] < high for c in funnel["limits"] for low, high in zip(c["low"], c["high"], strict=True)
    )


def test_without_sizes_sites_are_compared_as_they_are_and_that_is_said(stored, audited):
    _cts(stored, sites=5)
    for row in stored.exams[:40]:
        row["weight_kg"] = None
    entry = _one(audited(until=UNTIL).sections["cross_site"], quantity="DLP")
    assert not entry["size"]["standardised"]
    assert "Site 0" in entry["size"]["reason"]


def test_one_site_has_nobody_beside_it(stored, audited):
    _cts(stored, sites=1)
    assert audited(until=UNTIL).sections["cross_site"] == []


def test_water_equivalent_diameter_goes_before_weight(stored, audited):
    random = np.random.default_rng(2)
    for i in range(80):
        size_mm = random.uniform(240, 360)
        dose = 5.0 * math.exp(0.05 * (size_mm / 10 - 30)) * math.exp(random.normal(0, 0.02))
        event = {
            "ct_acquisition_type": "spiral",
            "ctdi_vol_mgy": dose,
            "ctdi_phantom": "body_32cm",
            "water_equivalent_diameter_mm": size_mm,
        }
        stored.add_ct(START + timedelta(days=i), 40 * dose, events=[event], weight_kg=70.0)
    curve = _one(audited(until=UNTIL).sections["size_curves"], quantity="CTDIvol")
    assert (curve["axis"], curve["axis_unit"]) == ("water_equivalent_diameter", "cm")
    slope = curve["fit"]["slope"]
    assert slope["low"] < 0.05 < slope["high"] and slope["value"] == pytest.approx(0.05, rel=0.05)
    assert curve["points_shown"] == len(curve["points"]["size"]) == 80
    assert {level["value"] for level in curve["drl"]} == {8.5}  # UK 2024, chest CT for lung cancer: CTDIvol 8.5 mGy


def test_children_get_quantile_curves_and_the_levels_of_their_bands(stored, audited):
    random = np.random.default_rng(5)
    for i in range(120):
        weight = random.uniform(4, 60)
        dose = 20.0 * math.exp(0.03 * weight) * math.exp(random.normal(0, 0.1))
        stored.add_ct(
            START + timedelta(days=i), dose, weight_kg=weight, age_years=8.0, acquisition_protocol="Thorax Child"
        )
    curve = _one(audited(until=UNTIL).sections["size_curves"], quantity="DLP")
    assert (curve["population"], curve["axis"]) == ("child", "paediatric_weight")
    assert [c["q"] for c in curve["fit"]["curves"]] == [0.5, 0.75]
    assert curve["fit"]["slope"]["low"] < 0.03 < curve["fit"]["slope"]["high"]
    median, third = ([p["value"] for p in c["points"]] for c in curve["fit"]["curves"])
    assert median[12] < third[12]
    lows = [level["low"] for level in curve["drl"]]
    assert lows == sorted(lows) and len(lows) >= 4


def test_charts_carry_signals_software_and_steps(stored, audited):
    random = np.random.default_rng(1)
    for i in range(300):
        dose = 150.0 * math.exp(random.normal(0.0, 0.2)) * (1.4 if i >= 220 else 1.0)
        stored.add_ct(START + timedelta(hours=12 * i), dose, weight_kg=70.0)
        stored.exams[-1]["software_versions"] = "2.0" if i >= 220 else "1.0"
    chart = json_ready(_one(audited(until=UNTIL).sections["monitors"], quantity="DLP"))
    changed = START + timedelta(hours=12 * 220)
    (signal,) = chart["signals"]
    assert signal["direction"] == 1
    assert abs(datetime.fromisoformat(signal["change"]) - changed) < timedelta(days=5)
    assert datetime.fromisoformat(signal["time"]) >= datetime.fromisoformat(signal["change"])
    assert chart["software"] == [{"day": changed.date().isoformat(), "before": "1.0", "after": "2.0"}]
    assert chart["steps"][0]["low"] < 1.4 < chart["steps"][0]["high"]
    lengths = {len(values) for values in chart["points"].values()}
    assert lengths == {chart["points_shown"]} and chart["n"] == 300
    points = chart["points"]
    assert (points["time"][0], points["time"][-1]) == (
        START.isoformat(),
        stored.exams[-1]["study_datetime"].isoformat(),
    )
    assert None not in points["log_residual"] and None in points["ewma"]  # in the warm-up, and after a signal
    assert max(abs(x) for x in points["ewma"] if x is not None) < max(map(abs, points["log_residual"]))


def _radiograph(stored, when, ei, target, *, equipment="DX 1", header=None, **more):
    event = {"exposure_index": ei, "target_exposure_index": target, "deviation_index": header, "kap_gy_cm2": 0.1}
    return stored.add("DX", when, equipment=equipment, acquisition_protocol="Chest PA", events=[event], **more)


def test_deviation_index_is_worked_out_again_and_told_beyond_three(stored, audited):
    random = np.random.default_rng(6)
    for i in range(100):
        far = 10 ** (0.4 if i % 5 == 0 else 0.0)
        _radiograph(stored, START + timedelta(days=i), 400.0 * far, 400.0, header=9.9)
        _radiograph(
            stored, START + timedelta(days=i), 400.0 * 10 ** (0.05 * random.standard_normal()), 400.0, equipment="DX 2"
        )
    result = audited(until=UNTIL)
    entry = _one(result.sections["exposure_index"], equipment="DX 1")
    assert (entry["n"], entry["beyond_3"], entry["share_beyond_3"]) == (100, 20, 0.2)
    assert (entry["median_di"], entry["header_disagrees"]) == (pytest.approx(0.0), 100)
    assert entry["targets"] == [{"target": 400.0, "n": 100}]
    assert [f.equipment for f in result.findings if f.kind == "exposure_index"] == ["DX 1"]


def test_a_drifting_deviation_index_is_told_with_its_dose(stored, audited):
    random = np.random.default_rng(8)
    for i in range(150):
        drift = 4.0 * i / 365.25
        _radiograph(stored, START + timedelta(days=i), 400 * 10 ** ((drift + random.normal(0, 0.5)) / 10), 400.0)
    (finding,) = [f for f in audited(until=UNTIL).findings if f.kind == "exposure_index"]
    assert finding.evidence["low"] < 4.0 < finding.evidence["high"]
    assert "a year" in finding.message


def test_a_deviation_index_that_steps_is_no_drift(stored, audited):
    """Twice the dose to the detector (+3 in deviation index) from the 80th day on."""
    random = np.random.default_rng(8)
    for i in range(150):
        up = 10.0 * math.log10(2.0) if i >= 80 else 0.0
        _radiograph(stored, START + timedelta(days=i), 400 * 10 ** ((up + random.normal(0, 0.5)) / 10), 400.0)
    told = [f for f in audited(until=UNTIL).findings if f.kind == "exposure_index" and "from 20" in f.subject]
    (finding,) = told
    moved = date.fromisoformat(finding.evidence["day"]) - (START + timedelta(days=80)).date()
    assert abs(moved.days) <= 2
    assert finding.evidence["after"] - finding.evidence["before"] == pytest.approx(3.01, abs=0.3)
    assert "drift" not in finding.message


def test_a_target_that_goes_along_with_a_doubled_dose_is_told(stored, audited):
    """The deviation index stays at 0; two views of their own target under one name are no change."""
    random = np.random.default_rng(8)
    for i in range(120):
        target = 400.0 if i >= 70 else 200.0
        _radiograph(stored, START + timedelta(days=i), target * 10 ** (random.normal(0, 0.5) / 10), target)
        other = (200.0, 400.0)[int(random.integers(2))]
        _radiograph(stored, START + timedelta(days=i), other, other, equipment="DX 2")
    (finding,) = [f for f in audited(until=UNTIL).findings if f.kind == "exposure_index"]
    assert finding.equipment == "DX 1"
    assert finding.evidence["day"] == (START + timedelta(days=70)).date().isoformat()
    assert (finding.evidence["target_before"], finding.evidence["target_after"]) == (200.0, 400.0)
    assert finding.evidence["median_ei_after"] == pytest.approx(400.0, rel=0.05)


def test_agd_is_binned_by_thickness_and_held_against_its_limit(stored, audited):
    for i in range(30):
        for agd, thickness in ((1.2, 45.0), (4.1, 62.0)):
            event = {"agd_mgy": agd + 0.001 * i, "compression_thickness_mm": thickness}
            stored.add("MG", START + timedelta(days=i), equipment="MG 1", acquisition_protocol="CC", events=[event])
    result = audited(until=UNTIL)
    bins = {entry["low_mm"]: entry for entry in result.sections["agd_by_thickness"]}
    assert (bins[40.0]["n"], bins[40.0]["median"]) == (30, pytest.approx(1.2145))
    # Halfway between 60 mm (3.0 mGy) and 75 mm (4.5 mGy) of the European table, at 65 mm: 3.5 mGy.
    assert bins[60.0]["acceptable_mgy"] == pytest.approx(3.5) == agd_limits(65.0)[0]
    (finding,) = [f for f in result.findings if f.kind == "agd_above_limit"]
    assert finding.evidence["low_mm"] == 60.0
    assert "recalled" in finding.message


def test_a_dose_alert_is_told_once_an_exam_and_no_name_with_it(stored, audited):
    check = {
        "dlp_alert_configured": True,
        "dlp_alert_value_mgy_cm": 1000.0,
        "accumulated_dlp_forward_estimate_mgy_cm": 1250.0,
        "reason_for_proceeding": True,
    }
    spiral = {"ct_acquisition_type": "spiral", "ctdi_vol_mgy": 9.0, "ctdi_phantom": "body_32cm", "dlp_mgy_cm": 300.0}
    for reason in (True, False):
        stored.add_ct(
            START,
            300.0,
            events=[spiral | {"dose_check": json.dumps(check | {"reason_for_proceeding": reason})}] * 2,
        )
    result = audited(until=UNTIL)
    told = [f for f in result.findings if f.kind == "dose_check_alert"]
    assert [(f.evidence["exam_ref"], f.severity) for f in told] == [("E000002", "check"), ("E000001", "note")]
    (entry,) = result.sections["dose_check"]
    assert (entry["acquisitions"], entry["alert_exceeded"], entry["alert_exceeded_without_reason"]) == (4, 4, 2)


def test_doses_of_one_patient_add_up_over_weeks_and_the_pseudonym_stays_out(stored, audited):
    for days, dose in ((0, 2600.0), (30, 2600.0), (150, 2600.0)):
        stored.add(
            "XA", START + timedelta(days=days), acquisition_protocol="PCI", dose_rp_mgy=dose, pseudonym="secret-a"
        )
    stored.add("XA", START, acquisition_protocol="PCI", dose_rp_mgy=4000.0, pseudonym="secret-b")
    stored.add("XA", START, acquisition_protocol="PCI", dose_rp_mgy=4000.0)  # nobody's: never added to another's
    stored.add("XA", START, acquisition_protocol="PCI", dose_rp_mgy=4000.0)
    result = audited(until=UNTIL)
    (finding,) = [f for f in result.findings if f.kind == "cumulative_exposure"]
    assert finding.evidence["exam_refs"] == ["E000001", "E000002"]
    assert finding.evidence["total"] == pytest.approx(5200.0)
    assert finding.severity == "act"
    text = json.dumps([f.message for f in result.findings]) + json.dumps(dict(finding.evidence)) + finding.key
    assert "secret" not in text


@pytest.mark.parametrize(
    ("others", "added"),
    [
        ({"site": "South", "sex": "F", "age_years": 50.0}, True),
        ({"site": "South", "sex": "M", "age_years": 50.0}, False),  # two hospitals that number alike
        ({"site": "South", "sex": "F", "age_years": 57.0}, False),
        ({"site": "South", "sex": "F", "age_years": None}, False),
        ({"site": "North", "sex": None, "age_years": None}, True),
        ({"site": "North", "sex": "M", "age_years": 50.0}, False),  # one number for two, as of emergencies
    ],
)
def test_doses_of_one_patient_id_add_up_where_they_are_one_persons(stored, audited, others, added):
    patient = {"acquisition_protocol": "PCI", "dose_rp_mgy": 2600.0, "pseudonym": "secret-a"}
    stored.add("XA", START, **patient, sex="F")
    stored.add("XA", START + timedelta(days=30), **patient, **{"equipment": f"Lab {others['site']}"} | others)
    told = [f for f in audited(until=UNTIL).findings if f.kind == "cumulative_exposure"]
    assert [f.evidence["sites"] for f in told] == ([sorted({"North", others["site"]})] if added else [])
    assert all(("agree, which makes one person likely" in f.message) == (others["site"] == "South") for f in told)


def test_a_second_course_that_adds_up_is_told_again_and_a_longer_first_one_is_not(stored, audited):
    for days in (0, 30, 50, 160, 175):  # 5200 on day 30, 7800 on day 50, 2600 on day 160, 5200 on day 175
        stored.add(
            "XA", START + timedelta(days=days), acquisition_protocol="PCI", dose_rp_mgy=2600.0, pseudonym="secret-a"
        )
    # One exam reaches the level alone; without it, which was 95 days before, the other three reach it on day 95.
    for days, dose in ((0, 6000.0), (20, 2000.0), (40, 2000.0), (95, 2000.0)):
        stored.add(
            "XA", START + timedelta(days=days), acquisition_protocol="PCI", dose_rp_mgy=dose, pseudonym="secret-b"
        )
    told = [f for f in audited(until=UNTIL).findings if f.kind == "cumulative_exposure"]
    assert sorted(f.evidence["exam_refs"] for f in told) == [
        ["E000001", "E000002"],
        ["E000004", "E000005"],
        ["E000007", "E000008", "E000009"],
    ]
    assert len({f.key for f in told}) == 3


def test_localisers_and_repeats_are_told_as_a_habit(stored, audited):
    scout = {"ct_acquisition_type": "constant_angle", "ctdi_vol_mgy": 0.1, "ctdi_phantom": "body_32cm"}
    spiral = {"ct_acquisition_type": "spiral", "ctdi_vol_mgy": 5.0, "ctdi_phantom": "body_32cm", "dlp_mgy_cm": 200.0}
    for i in range(40):
        when = START + timedelta(days=i)
        stored.add_ct(when, 200.0 + i, events=[scout] * (4 if i % 2 else 1) + [spiral], equipment="CT often")
        stored.add_ct(when, 200.0 + i, events=[scout] * (4 if i == 3 else 2) + [spiral], equipment="CT once")
        shot = {"kap_gy_cm2": 0.1, "laterality": "R"}
        twice = [shot, shot] if i % 3 == 0 else [shot, shot | {"laterality": "L"}]
        stored.add("DX", when, equipment="DX 1", acquisition_protocol="Hand", events=twice)
    stored.add_ct(START, 200.0, events=[scout] * 7 + [spiral], equipment="CT once")
    told = {(f.kind, f.equipment, f.severity) for f in audited(until=UNTIL).findings if f.kind.startswith("repeated")}
    assert told == {
        ("repeated_localisers", "CT often", "check"),
        ("repeated_localisers", "CT once", "note"),
        ("repeated_exposures", "DX 1", "check"),
    }


def test_a_device_never_seen_before_is_told_and_the_first_ones_are_not(stored, audited):
    for i in range(150):
        stored.add_ct(START + timedelta(days=i), 190.0 + i % 7, ctdi=5.0)
        if i >= 100:
            stored.add_ct(START + timedelta(days=i), 190.0 + i % 7, ctdi=5.0, equipment="Loan van")
    told = [f for f in audited(until=UNTIL).findings if f.kind == "new_device"]
    assert [(f.equipment, f.evidence["first_exam"]) for f in told] == [("Loan van", "2026-04-11")]


def test_an_exam_of_a_wrong_clock_is_no_beginning(stored, audited):
    """Neither the store's, before which every device would be new, nor the device's own."""
    stored.add_ct(datetime(1996, 1, 1), 190.0, ctdi=5.0)
    stored.add_ct(datetime(2000, 1, 1), 190.0, ctdi=5.0, equipment="Loan van")
    for i in range(180):
        for equipment in ("CT1", "CT2"):
            stored.add_ct(START + timedelta(days=i), 190.0 + i % 7, ctdi=5.0, equipment=equipment)
        if i >= 70:
            stored.add_ct(START + timedelta(days=i), 190.0 + i % 7, ctdi=5.0, equipment="Loan van")
    told = [f for f in audited(until=UNTIL).findings if f.kind == "new_device"]
    assert [(f.equipment, f.evidence["first_exam"]) for f in told] == [("Loan van", "2026-03-12")]


def test_a_device_whose_clock_is_ahead_is_told_by_nightly_runs_alone(stored, audited):
    for i in range(40):
        stored.add_ct(START + timedelta(days=i), 190.0 + i % 7, ctdi=5.0)
        stored.add_ct(datetime(2062, 1, 1, 9) + timedelta(days=i), 190.0, ctdi=5.0, equipment="CT ahead")
    stored.add_ct(datetime(2026, 7, 2, 3), 190.0, ctdi=5.0, equipment="CT east of here")
    night, since = date(2026, 7, 1), date(2025, 7, 1)
    nightly = audited(since=since, until=night, schedule=nightly_schedule(since, night))
    (told,) = [f for f in nightly.findings if f.kind == "future_date"]
    assert (told.equipment, told.evidence["latest_date"]) == ("CT ahead", "2062-02-09")
    assert not [f for f in audited(since=since, until=UNTIL).findings if f.kind == "future_date"]


def test_alert_levels_are_those_of_the_examination(stored, audited):
    stored.add_ct(START, 900.0, ctdi=75.0, acquisition_protocol="Head", phantom="head_16cm")
    stored.add_ct(START, 900.0, ctdi=85.0, acquisition_protocol="Head", phantom="head_16cm")
    stored.add_ct(START, 900.0, ctdi=55.0, acquisition_protocol="Chest")
    stored.add_ct(START, 900.0, ctdi=55.0, acquisition_protocol="Chest", age_years=4.0)  # of a child, the lower level
    told = {f.evidence["exam_ref"]: f for f in audited(until=UNTIL).findings if f.kind == "high_exposure"}
    assert set(told) == {"E000002", "E000003", "E000004"}
    assert "(level 10 mGy under 10 years)" in told["E000004"].message
    assert {f.evidence["values"][0]["confidence"] for f in told.values()} == {"recalled"}


def test_an_outlier_names_its_likely_cause(stored, audited):
    random = np.random.default_rng(4)
    for i in range(80):
        dose = 190.0 * math.exp(0.15 * random.standard_normal())
        stored.add_ct(START + timedelta(days=i), dose * (5.0 if i == 50 else 1.0), ctdi=dose / 40.0, weight_kg=70.0)
    (entry,) = audited(until=UNTIL).sections["outliers"]
    assert entry["exam_ref"] == "E000051"
    assert entry["likely_cause"].startswith("longer range")


def test_every_limit_has_a_source():
    assert limit("cumulative_weeks") == 12.0
