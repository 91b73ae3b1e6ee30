"""Each detector finds what is planted and keeps still where nothing is."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta

import numpy as np
import pytest

from dose_audit.audit.context import KnownFinding
from dose_audit.audit.detectors.high_exposure import triggers
from dose_audit.audit.detectors.outliers import threshold
from dose_audit.audit.findings import KINDS, likely_causes

START = datetime(2026, 1, 1, 9, 0)
UNTIL = date(2026, 6, 30)


def _normal(random, n):
    """Standard normal deviates cut at 2.5: a group in control has no tail beyond."""
    values = random.standard_normal(4 * n)
    return values[np.abs(values) <= 2.5][:n]


def _fill(stored, n=120, *, seed=1, median=190.0, spread=0.28, shift=None, **values):
    """Chest CTs at steady intervals, larger patients with more dose; `shift` maps an index to a factor."""
    random = np.random.default_rng(seed)
    for i, deviate in enumerate(_normal(random, n)):
        weight = 76.0 * float(np.exp(0.15 * np.clip(random.standard_normal(), -2, 2)))
        dlp = median * (weight / 76.0) * float(np.exp(spread * deviate)) * (shift(i) if shift else 1.0)
        stored.add_ct(START + i * timedelta(days=180 / n), dlp, weight_kg=weight, **values)


def _told(result, *severities):
    return [f for f in result.findings if not severities or f.severity in severities]


@pytest.mark.parametrize("seed", range(3))
def test_devices_in_control_are_left_in_peace(stored, audited, seed):
    for number in range(4):
        _fill(stored, n=40 + 60 * number, seed=10 * seed + number, equipment=f"Scanner {number}")
    assert _told(audited(until=UNTIL)) == []


def test_a_median_above_the_level_is_to_be_acted_on_once_the_sample_shows_it(stored, audited):
    _fill(stored, median=290.0 * 1.5)  # UK DRL for chest CT (lung cancer): DLP 290 mGy·cm, CTDIvol 8.5 mGy
    told = [f for f in _told(audited(until=UNTIL)) if f.evidence["quantity"] == "DLP"]
    assert [(f.kind, f.severity) for f in told] == [("drl_exceeded", "act")]
    assert told[0].evidence["drl"] == 290.0
    assert told[0].evidence["ratio"] == pytest.approx(1.5, rel=0.1)


def test_a_median_just_above_the_level_is_only_to_be_checked(stored, audited):
    for i, dlp in enumerate([280.0] * 14 + [300.0] * 16):
        stored.add_ct(START + timedelta(days=i), dlp, ctdi=7.0)
    told = [f for f in _told(audited(until=UNTIL)) if f.kind == "median_above_drl"]
    assert [(f.severity, f.evidence["ratio"]) for f in told] == [("check", pytest.approx(300 / 290))]


@pytest.mark.parametrize(
    ("above", "severity", "weight"),
    [
        # P(at least k of 30 above | each as likely above as below), from the binomial distribution.
        (22, "act", "Exact one-sided sign test against the level: p = 0.0081; chance does not explain it."),
        (30, "act", "Exact one-sided sign test against the level: p < 0.001; chance does not explain it."),
    ],
)
def test_a_finding_says_what_the_sign_test_gave(stored, audited, above, severity, weight):
    for i in range(30):
        stored.add_ct(START + timedelta(days=i), 300.0 if i % 30 < above else 280.0, ctdi=7.0)
    (told,) = [f for f in _told(audited(until=UNTIL)) if f.kind == "drl_exceeded"]
    assert told.severity == severity and told.message.endswith(weight)
    p = sum(math.comb(30, k) for k in range(above, 31)) / 2**30
    assert told.evidence["p_exceeds"] == pytest.approx(p)


def test_a_finding_tells_a_median_from_the_level_that_it_is_above(stored, audited):
    for i in range(30):
        stored.add_ct(START + timedelta(days=i), 290.4, ctdi=7.0)
    (told,) = [f for f in _told(audited(until=UNTIL)) if f.kind == "drl_exceeded"]
    level = "Median DLP 290.4 mGy·cm (95 % interval 290 to 290) of 30 exams, up to 2026-06-30, is 1.001 times the reference "
    assert told.message.startswith(f"{level}level 290 mGy·cm")


def test_a_finding_names_the_days_of_its_exams_where_another_edition_answers_for_the_others(stored, audited):
    # UK adult CT: the edition of 2016 gave 1000 mGy·cm for chest, abdomen and pelvis, the one since 13 October 2022 gives 660.
    for i in range(60):
        stored.add_ct(datetime(2022, 9, 1, 9) + timedelta(days=2 * i), 1320.0, acquisition_protocol="CAP", ctdi=9.0)
    told = [f.message for f in audited(until=date(2023, 6, 30)).findings if f.kind == "drl_exceeded"]
    (told,) = [text for text in told if text.startswith("Median DLP")]  # one cause, told of the later exams
    assert "of 39 exams, 2022-10-13 to 2022-12-28, is 2.00 times the reference level 660 mGy·cm" in told


def test_too_few_exams_have_no_verdict_and_no_finding(stored, audited):
    _fill(stored, n=19, median=900.0)
    result = audited(until=UNTIL)
    assert {c["verdict"] for c in result.comparisons} == {"INSUFFICIENT_N"}
    assert _told(result) == []


def test_a_step_is_found_dated_and_joined_with_its_software(stored, audited):
    _fill(stored, n=200, shift=lambda i: 1.3 if i >= 120 else 1.0)
    for row in stored.exams[120:]:
        row["software_versions"] = "2.0"
    result = audited(until=UNTIL)
    (step,) = [f for f in result.findings if f.kind == "step_change"]
    assert step.severity == "check"
    assert step.evidence["ci_low"] < 1.3 < step.evidence["ci_high"]
    assert abs((date.fromisoformat(step.evidence["day"]) - stored.exams[120]["study_date"]).days) <= 5
    assert (step.evidence["software_before"], step.evidence["software_after"]) == ("1.0", "2.0")
    assert [f.severity for f in result.findings if f.kind == "software_change"] == ["note"]
    assert {f.kind for f in result.findings} == {"step_change", "software_change"}


def _software_changes(result):
    return sorted((f for f in result.findings if f.kind == "software_change"), key=lambda f: f.evidence["day"])


def test_software_that_was_taken_back_is_a_change_too(stored, audited):
    """New from the 40th exam on, and taken back at the 60th."""
    _fill(stored, n=100)
    for row in stored.exams[40:60]:
        row["software_versions"] = "2.0"
    result = audited(until=UNTIL)
    told = _software_changes(result)
    days = [stored.exams[i]["study_date"].isoformat() for i in (40, 60)]
    assert [(f.evidence["day"], f.evidence["before"], f.evidence["after"]) for f in told] == [
        (days[0], "1.0", "2.0"),
        (days[1], "2.0", "1.0"),
    ]
    assert told[1].message.startswith("Back to software 1.0 on ")
    assert len({f.key for f in told}) == 2
    events = [(e["day"], e["text"]) for e in result.sections["device_events"] if e["kind"] == "new software"]
    assert events == [(days[0], "2.0"), (days[1], "1.0 (again)")]


def test_two_consoles_that_alternate_are_one_change(stored, audited):
    _fill(stored, n=100)
    for row in stored.exams[1::3]:
        row["software_versions"] = "2.0"
    told = _software_changes(audited(until=UNTIL))
    assert [f.evidence["after"] for f in told] == ["2.0"]


def test_software_that_went_came_and_went_again_is_told_each_time(stored, audited):
    """Weeks on end each: no second console."""
    _fill(stored, n=200)
    for row in [*stored.exams[40:80], *stored.exams[120:160]]:
        row["software_versions"] = "2.0"
    told = _software_changes(audited(until=UNTIL))
    assert [f.evidence["after"] for f in told] == ["2.0", "1.0", "2.0", "1.0"]
    assert len({f.key for f in told}) == 4


def test_a_step_keeps_its_name_when_its_date_moves_a_little(stored, audited):
    _fill(stored, n=200, shift=lambda i: 1.4 if i >= 120 else 1.0)
    first = next(f for f in audited(until=UNTIL).findings if f.kind == "step_change")
    day = date.fromisoformat(first.evidence["day"]) - timedelta(days=9)
    evidence = dict(first.evidence) | {"named_day": day.isoformat()}
    known = KnownFinding("step_change", "North", "Scanner 1", evidence)
    again = next(f for f in audited(until=UNTIL, known=[known]).findings if f.kind == "step_change")
    assert again.evidence["named_day"] == day.isoformat()
    later = KnownFinding("step_change", "North", "Scanner 1", {"day": "2026-01-20"})
    other = next(f for f in audited(until=UNTIL, known=[later]).findings if f.kind == "step_change")
    assert other.key == first.key != again.key


@pytest.mark.parametrize(("factor", "decades"), [(0.1, -1), (10.0, 1), (100.0, 2), (1e-4, -4)])
def test_a_slipped_unit_is_one_finding_and_stays_out_of_the_median(stored, audited, factor, decades):
    _fill(stored, n=120, shift=lambda i: factor if i >= 90 else 1.0)
    result = audited(until=UNTIL)
    slips = [f for f in result.findings if f.kind == "unit_slip"]
    assert {(f.severity, f.evidence["decades"], f.evidence["n"]) for f in slips} == {("act", decades, 30)}
    assert {f.evidence["quantity"] for f in slips} == {"CTDIvol", "DLP"}
    assert _told(result, "act", "check") == slips
    # Single exams are not alerted while their unit is in doubt: the slip says how grave they would be.
    grave = sum(
        (event.get("ctdi_vol_mgy") or 0.0) >= 50.0 for event in stored.events
    )  # adult torso: AAPM's notification value
    exposed = {f.evidence["quantity"]: f.evidence["above_levels_if_real"] for f in slips}
    assert exposed == {"CTDIvol": grave, "DLP": 0} and (grave > 0) == (factor > 1)
    (told,) = (f.message for f in slips if f.evidence["quantity"] == "CTDIvol")
    assert (f"If the doses are real after all, {grave} exams of these are at or above" in told) == (factor > 1)
    assert {c["n"] for c in result.comparisons} == {90}
    assert result.excluded == [{"reason": "UNIT_SLIP", "n": 30, "detail": result.excluded[0]["detail"]}]


@pytest.mark.parametrize("age", [10.0, 17.0, None])
def test_what_is_above_a_level_of_adults_is_told_of_a_child_and_of_unknown_age_too(stored, audited, age):
    """Levels of children are lower; 50 mGy is that of the adult torso (AAPM)."""
    stored.add_ct(START, 2000.0, ctdi=60.0, acquisition_protocol="Thorax Child", age_years=age, weight_kg=None)
    stored.add_ct(START + timedelta(days=1), 1000.0, ctdi=40.0, acquisition_protocol="Thorax Child", age_years=age)
    (told,) = [f for f in audited(until=UNTIL).findings if f.kind == "high_exposure"]
    assert "CTDIvol 60 mGy (level 50 mGy of adults)" in told.message


@pytest.mark.parametrize(
    ("named", "age", "phantom", "ctdi", "level"),
    [
        ("Thorax Child", 9.9, "body_32cm", 10.0, "10 mGy under 10 years"),
        ("Thorax Child", 0.0, "body_32cm", 9.9, ""),
        ("Thorax Child", 9.9, "head_16cm", 24.0, ""),
        ("Thorax Child", 9.9, "head_16cm", 25.0, "25 mGy under 10 years"),
        ("Thorax Child", 9.9, None, 49.0, ""),  # on which phantom nobody knows
        ("Thorax Child", 9.9, None, 51.0, "50 mGy of adults"),
        ("Thorax Child", 10.0, "body_32cm", 49.0, ""),
        ("Head", 1.9, "head_16cm", 50.0, "50 mGy under 2 years"),
        ("Head", 2.0, "head_16cm", 59.0, ""),
        ("Head", 5.9, "head_16cm", 61.0, "60 mGy from 2 under 6 years"),
        ("Head", 6.0, "head_16cm", 79.0, ""),
        ("Head", 6.0, "head_16cm", 81.0, "80 mGy of adults"),
    ],
)
def test_single_exams_of_children_have_levels_of_their_own(stored, audited, named, age, phantom, ctdi, level):
    """Notification values of the AAPM's CT Dose Check guidelines (2011), as recalled."""
    stored.add_ct(START, 900.0, ctdi=ctdi, acquisition_protocol=named, age_years=age, phantom=phantom, weight_kg=None)
    told = [f.message for f in audited(until=UNTIL).findings if f.kind == "high_exposure"]
    assert [f"(level {level})" in message for message in told] == ([True] if level else [])


def test_eightfold_doses_are_alerts_and_no_slip(stored, audited):
    _fill(stored, n=200, median=400.0, spread=0.1, shift=lambda i: 8.0 if i >= 150 else 1.0)
    findings = audited(until=UNTIL).findings
    assert "unit_slip" not in {f.kind for f in findings}
    alerted = [f for f in findings if f.kind == "high_exposure"]
    assert len(alerted) >= 45 and all("intervention" not in cause for f in alerted for cause in f.causes)


def test_a_real_trebling_of_dose_is_no_slip(stored, audited):
    _fill(stored, n=120, median=60.0, shift=lambda i: 3.0 if i >= 90 else 1.0)
    kinds = {f.kind for f in audited(until=UNTIL).findings}
    assert "step_change" in kinds
    assert "unit_slip" not in kinds


def test_a_thickness_of_zero_is_one_that_was_not_measured(stored, audited):
    """Dose follows thickness; a third of the views has 0, which on the line of the others would be a breast of nothing."""
    random = np.random.default_rng(2)
    for i in range(120):
        thickness = float(random.uniform(30.0, 80.0))
        dose = 1.3 * math.exp(0.025 * (thickness - 55.0) + 0.05 * random.standard_normal())
        told = 0.0 if i % 3 == 0 else thickness
        view = {"agd_mgy": dose, "view": "CC", "compression_thickness_mm": told}
        stored.add("MG", START + timedelta(days=i), acquisition_protocol="Screening", events=[view])
    values = audited(until=UNTIL).looked_at.columns
    known = np.isfinite(np.asarray(values["thickness_mm"], dtype=float))
    assert (known.sum(), known.size) == (80, 120)


@pytest.mark.parametrize(
    ("factor", "cause"),
    [
        (1.1e4, "unit or unit code"),
        (7e-5, "unit or unit code"),
        (0.03, "broken off"),
        (10.0, "unit or unit code"),
        (30.0, "wrong acquisition protocol"),
        (3.5, "very large patient"),
    ],
)
def test_what_a_single_high_dose_points_to(stored, audited, factor, cause):
    """Sizes are not known and the spread is small, so that only how far it is out tells them apart."""
    random = np.random.default_rng(5)
    for i in range(100):
        kap = 0.1 * float(np.exp(0.02 * random.standard_normal())) * (factor if i == 50 else 1.0)
        stored.add(
            "DX",
            START + timedelta(days=i),
            acquisition_protocol="Chest PA",
            events=[{"kap_gy_cm2": kap}],
            weight_kg=None,
        )
    (finding,) = [f for f in audited(until=UNTIL).findings if f.kind == "outlier"]
    assert cause in finding.causes[0]


@pytest.mark.parametrize("missing", [0.3, 0.6])
def test_exams_without_a_weight_are_judged_by_the_spread_of_doses_of_all_weights(stored, audited, missing):
    """Twelve unchanged devices whose doses follow weight, of which some is not sent; one true tenfold dose is still found."""
    random = np.random.default_rng(9)
    for device in range(12):
        for i in range(150):
            weight = float(np.clip(random.normal(78.0, 17.0), 40.0, 150.0))
            ctdi = 3.0 * math.exp(0.018 * (weight - 78.0) + 0.12 * random.standard_normal())
            told = None if random.random() < missing else weight
            if (device, i) == (0, 70):
                ctdi, told = 30.0, None
            stored.add_ct(START + timedelta(days=i), 40.0 * ctdi, ctdi=ctdi, weight_kg=told, equipment=f"CT {device}")
    outliers = [f for f in audited(until=UNTIL).findings if f.kind == "outlier"]
    assert [f.evidence["exam_ref"] for f in outliers] == ["E000071"]


def test_one_exam_far_out_is_one_outlier_however_many_quantities_show_it(stored, audited):
    _fill(stored, n=100, shift=lambda i: 8.0 if i == 40 else 1.0)
    (finding,) = _told(audited(until=UNTIL))
    assert (finding.kind, finding.severity) == ("outlier", "check")
    assert finding.evidence["exam_ref"] == "E000041"
    assert {v["quantity"] for v in finding.evidence["values"]} == {"CTDIvol", "DLP"}


def test_a_heavy_patient_is_no_outlier_for_a_dose_that_fits_the_weight(stored, audited):
    _fill(stored, n=100, spread=0.1)
    stored.add_ct(START + timedelta(days=90, hours=1), 190.0 * 170 / 76, weight_kg=170.0)
    stored.add_ct(START + timedelta(days=90, hours=2), 190.0 * 170 / 76, weight_kg=60.0)
    told = [f for f in _told(audited(until=UNTIL)) if f.kind == "outlier"]
    assert [f.evidence["exam_ref"] for f in told] == ["E000102"]


def test_equal_doses_have_no_spread_and_no_outlier(stored, audited):
    for i in range(60):
        stored.add_ct(START + timedelta(days=i), 200.0 if i else 230.0, ctdi=5.0, weight_kg=70.0)
    assert _told(audited(until=date(2026, 3, 2), now=datetime(2026, 3, 2, 20))) == []


def test_outlier_limit_covers_the_whole_run():
    # Bonferroni for 10,000 two-sided tests at 5 %: normal quantile 4.565, from Python's own NormalDist.
    from statistics import NormalDist

    limit = NormalDist().inv_cdf(1 - 0.05 / (2 * 10_000))
    assert threshold(10**9, 10_000) == pytest.approx(limit, rel=1e-3)
    assert threshold(30, 10_000) > limit


@pytest.mark.parametrize("mapped", [True, False])
def test_substantial_dose_is_told_whether_mapped_or_not(stored, audited, mapped):
    name = "PCI" if mapped else "Some new protocol"
    stored.add("XA", START, acquisition_protocol=name, kap_gy_cm2=312.0, dose_rp_mgy=5000.0)
    stored.add("XA", START, acquisition_protocol=name, kap_gy_cm2=300.0, dose_rp_mgy=4999.0)
    told = [f for f in audited(until=UNTIL).findings if f.kind == "high_exposure"]
    assert [(f.severity, f.evidence["exam_ref"]) for f in told] == [("act", "E000001")]


def _head(stored, *acquisitions, **values):
    events = [
        {"ct_acquisition_type": kind, "ctdi_vol_mgy": dose, "ctdi_phantom": "head_16cm"} for kind, dose in acquisitions
    ]
    stored.add("CT", START, acquisition_protocol="Head", ct_dlp_mgy_cm=900.0, events=events, **values)


@pytest.mark.parametrize(
    ("acquisitions", "told"),
    [
        ([("spiral", 50.0), ("spiral", 50.0), ("sequenced", 1500.0)], ("act", [1500.0, 1500.0])),
        ([("stationary", 1500.0)], ("act", [1500.0, 1500.0])),
        ([("spiral", 40.0), ("spiral", 119.0)], ("check", [119.0])),
        ([("spiral", 40.0), ("spiral", 79.9)], None),
        ([(None, 80.0)], ("check", [80.0])),
        ([("spiral", 40.0), ("stationary", 599.0)], None),  # a perfusion series is not judged as a head scan
        ([("spiral", 40.0), ("stationary", 600.0)], ("check", [600.0])),
        ([("constant_angle", 2000.0), ("spiral", 40.0)], None),
        ([("spiral", float("inf")), ("spiral", -5.0), ("spiral", 1e9), ("spiral", 40.0)], None),
    ],
)
def test_the_highest_acquisition_of_a_ct_exam_is_held_against_the_alert_levels(stored, audited, acquisitions, told):
    _head(stored, *acquisitions)
    found = [f for f in audited(until=UNTIL).findings if f.kind == "high_exposure"]
    assert [(f.severity, [value["value"] for value in f.evidence["values"]]) for f in found] == ([told] if told else [])


def test_an_alert_level_holds_for_exams_that_nothing_else_is_known_of(stored, audited):
    """No examination, no dose of the exam, no date; a phantom is no patient."""
    event = {"ct_acquisition_type": "stationary", "ctdi_vol_mgy": 1000.0}
    stored.add("CT", None, acquisition_protocol="Unheard of", events=[event])
    stored.add("CT", START, is_phantom=True, events=[event])
    told = [f for f in audited(until=UNTIL).findings if f.kind == "high_exposure"]
    assert [(f.severity, f.evidence["exam_ref"]) for f in told] == [("act", "E000001")]


def test_acquisitions_that_are_no_sequence_are_counted(stored, audited):
    _head(stored, ("constant_angle", 0.1), ("constant_angle", 0.1), ("stationary", 40.0), ("spiral", 40.0))
    _head(stored, ("constant_angle", 0.1), ("spiral", 40.0))
    _head(stored, ("constant_angle", 0.1), is_phantom=True)
    counted = audited(until=UNTIL).completeness["acquisitions_left_out"]
    assert [(row["acquisitions"], row["exams"]) for row in counted] == [(3, 2), (1, 1)]


def test_a_phantom_exposure_triggers_nothing(stored, audited):
    stored.add("XA", START, acquisition_protocol="PCI", dose_rp_mgy=9000.0, is_phantom=True)
    assert [f.kind for f in audited(until=UNTIL).findings] == ["not_a_patient"]


def test_trigger_table_is_whole():
    assert {(t.quantity, t.at_least, t.unit) for t in triggers() if t.modality in ("RF", "XA")} == {
        ("dose_rp", 5000.0, "mGy"), ("KAP", 500.0, "Gy.cm2"), ("fluoro_time", 60.0, "min"),
        ("peak_skin_dose", 3000.0, "mGy"),
    }  # fmt: skip
    assert all(t.source and t.confidence in ("primary", "secondary", "recalled") for t in triggers())


def test_a_silence_is_told_by_its_beginning(stored, audited):
    for i in range(160):
        if not 80 <= i < 94:
            stored.add_ct(START + timedelta(days=i), 190.0 + i % 7, ctdi=5.0)
    until = START + timedelta(days=160)
    (silence,) = [f for f in audited(until=until.date(), now=until).findings if f.kind == "silent_device"]
    assert (silence.severity, round(silence.evidence["days"])) == ("check", 15)
    later = START + timedelta(days=190)
    both = [f for f in audited(until=later.date(), now=later).findings if f.kind == "silent_device"]
    assert sorted(f.severity for f in both) == ["act", "check"]
    assert silence.key in {f.key for f in both}
    for _ in range(3):
        stored.add_object("pending", site="", when=later)
    unread = [f for f in audited(until=later.date(), now=later).findings if f.kind == "silent_device"]
    assert {f.key for f in unread} == {f.key for f in both}
    assert [f.severity for f in unread] == ["check", "check"]
    assert sum("3 received objects wait to be read" in f.message for f in unread) == 1


def test_weight_that_stopped_is_to_be_checked_and_one_that_never_came_to_be_known(stored, audited):
    for i in range(60):
        when = START + timedelta(days=i)
        stored.add_ct(when, 190.0 + i % 7, ctdi=5.0, weight_kg=70.0 if i < 40 else None)
        stored.add_ct(when, 190.0 + i % 7, ctdi=5.0, equipment="Scanner 2", weight_kg=None)
    told = audited(until=date(2026, 3, 1), now=datetime(2026, 3, 1, 23)).findings
    assert {(f.kind, f.severity, f.equipment) for f in told} == {
        ("missing_weight", "check", "Scanner 1"),
        ("missing_weight", "note", "Scanner 2"),
    }
    assert next(f for f in told if f.severity == "check").evidence["since"] == "2026-02-10"


def test_a_missing_weight_is_told_where_dose_follows_weight_and_not_in_mammography(stored, audited):
    for i in range(30):
        view = {"agd_mgy": 1.4, "compression_thickness_mm": 55.0}
        stored.add("MG", START + timedelta(days=i), equipment="Mammo", weight_kg=None, events=[view])
        stored.add_ct(START + timedelta(days=i), 190.0 + i % 7, ctdi=5.0, weight_kg=None)
    told = {f.equipment for f in audited(until=UNTIL).findings if f.kind == "missing_weight"}
    assert told == {"Scanner 1"}


@pytest.mark.parametrize(("without", "told"), [(0, []), (6, []), (7, [7]), (30, [30])])
def test_exams_that_are_compared_with_nothing_for_want_of_age_are_told_from_a_fifth_on(stored, audited, without, told):
    for i in range(30):
        age = None if i < without else 50.0
        stored.add_ct(START + timedelta(days=i), 190.0 + i % 7, ctdi=5.0, age_years=age, weight_kg=70.0)
        stored.add_ct(START + timedelta(days=i), 500.0 + i % 7, ctdi=5.0, site="South", weight_kg=70.0)
    found = [f for f in audited(until=UNTIL).findings if f.kind == "low_coverage"]
    assert [(f.site, f.evidence["n_missing"], f.evidence["n"]) for f in found] == [("North", n, 30) for n in told]


def test_objects_that_cannot_be_used_are_told_once_a_day_and_reason(stored, audited):
    stored.add_ct(START, 190.0)
    for day in (1, 1, 2):
        when = START.replace(day=day)
        stored.add_object("quarantined", reason="cut off", when=when, station_name="Scanner 1")
    stored.add_object("conflict", reason="other bytes", when=START, station_name="Scanner 1")
    told = [f for f in audited(until=UNTIL).findings if f.kind in ("corrupt_object", "conflict_object")]
    assert [(f.kind, f.severity, f.evidence["n"]) for f in told] == [
        ("corrupt_object", "check", 2),
        ("corrupt_object", "check", 1),
        ("conflict_object", "check", 1),
    ]
    assert len({f.key for f in told}) == 3


def test_totals_that_disagree_are_known_and_as_a_habit_checked(stored, audited):
    for i in range(20):
        stored.add_ct(START + timedelta(days=i), 200.0, events_ct_dlp_mgy_cm=200.0 if i else 150.0)
        stored.add_ct(START + timedelta(days=i), 200.0, equipment="Scanner 2", events_ct_dlp_mgy_cm=150.0)
    told = {f.equipment: f for f in audited(until=date(2026, 1, 20)).findings if f.kind == "totals_disagree"}
    assert (told["Scanner 1"].severity, told["Scanner 1"].evidence["n"]) == ("note", 1)
    assert (told["Scanner 2"].severity, told["Scanner 2"].evidence["n"]) == ("check", 20)


def test_a_name_with_many_exams_is_worth_mapping(stored, audited):
    for i in range(6):
        stored.add_ct(START + timedelta(days=i), 190.0, acquisition_protocol="Chest HR trial")
    stored.add_ct(START, 190.0, acquisition_protocol="Once")
    result = audited(until=UNTIL)
    told = {f.subject: f.severity for f in result.findings if f.kind == "unmapped_acquisition_protocol"}
    assert told == {"Chest HR trial": "check", "Once": "note"}
    assert [row["n"] for row in result.unmapped] == [6, 1]
    assert "(ct-chest" in result.unmapped[0]["suggestions"][0]


def test_every_kind_says_where_to_look_first():
    assert all(likely_causes(kind) for kind in KINDS)


def test_patients_are_known_of_all_exams_whose_doses_are_added_up():
    """The levels are a table that a physicist may extend: the exams of which patients are read are those of the table."""
    from dose_audit.audit.detectors.cumulative import _ADDED
    from dose_audit.audit.detectors.high_exposure import triggers
    from dose_audit.audit.quantities import FLUOROSCOPY_MODALITIES

    added = {trigger.modality for trigger in triggers() if trigger.quantity in _ADDED and not trigger.examination}
    assert added <= set(FLUOROSCOPY_MODALITIES)
