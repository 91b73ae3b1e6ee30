"""What is compared with what: each basis, each reason for leaving out, and that nothing disappears."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

WHEN = datetime(2026, 3, 2, 9, 0)


def _values(result, **wanted):
    rows = result.values.to_pylist()
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def _one(result, **wanted):
    rows = _values(result, **wanted)
    assert len(rows) == 1, rows
    return rows[0]


def test_ctdi_is_per_sequence_and_localisers_and_bolus_tracking_give_none(stored, audited):
    stored.add(
        "CT",
        WHEN,
        ct_dlp_mgy_cm=530.0,
        events=[
            {"ct_acquisition_type": "constant_angle", "ctdi_vol_mgy": 0.1, "ctdi_phantom": "body_32cm"},
            {"ct_acquisition_type": "stationary", "ctdi_vol_mgy": 176.0, "ctdi_phantom": "body_32cm"},
            {"ct_acquisition_type": "spiral", "ctdi_vol_mgy": 6.0, "ctdi_phantom": "body_32cm"},
            {"ct_acquisition_type": "spiral", "ctdi_vol_mgy": 10.0, "ctdi_phantom": "body_32cm"},
        ],
    )
    result = audited()
    assert _one(result, quantity="CTDIvol")["value"] == pytest.approx(8.0)  # the median of 6 and 10
    assert _one(result, quantity="DLP")["value"] == 530.0  # the complete examination, as reported


@pytest.mark.parametrize("high", [19.9, 20.0, 60.0])
def test_sequences_unlike_each_other_give_no_ctdi_vol(stored, audited, high):
    """Head and neck in one exam: the median of 60 and 10 mGy is the dose of no sequence."""
    events = [
        {"ct_acquisition_type": "spiral", "ctdi_vol_mgy": dose, "ctdi_phantom": "head_16cm", "computed_ssde_mgy": 9.0}
        for dose in (10.0, high, -1.0)
    ]
    stored.add("CT", WHEN, acquisition_protocol="Head", ct_dlp_mgy_cm=700.0, events=events)
    reasons = {row["quantity"]: row["reason"] or "" for row in _values(audited())}
    assert reasons == {"CTDIvol": "UNLIKE_SEQUENCES" if high >= 20.0 else "", "SSDE": "", "DLP": ""}


@pytest.mark.parametrize(
    ("sequence", "standing", "dlp", "reason"),
    [
        (None, "body_32cm", 900.0, "PHANTOM_MISMATCH"),  # perfusion alone: its phantom is the DLP's
        (None, "head_16cm", 900.0, ""),
        ("head_16cm", "body_32cm", 90.0, ""),  # bolus tracking, a tenth of 900 and 90 and less
        ("head_16cm", "body_32cm", 110.0, "MIXED_PHANTOMS"),
        ("head_16cm", "head_16cm", 900.0, ""),
    ],
)
def test_the_phantom_of_a_dlp_is_that_of_all_that_it_is_made_of(stored, audited, sequence, standing, dlp, reason):
    events = [
        {"ct_acquisition_type": "stationary", "ctdi_vol_mgy": 50.0, "ctdi_phantom": standing, "dlp_mgy_cm": dlp},
        {
            "ct_acquisition_type": "constant_angle",
            "ctdi_vol_mgy": 0.1,
            "ctdi_phantom": "body_32cm",
            "dlp_mgy_cm": 300.0,
        },
    ]
    if sequence:
        spiral = {"ct_acquisition_type": "spiral", "ctdi_vol_mgy": 50.0, "ctdi_phantom": sequence, "dlp_mgy_cm": 900.0}
        events.append(spiral)
    stored.add("CT", WHEN, acquisition_protocol="Head", ct_dlp_mgy_cm=900.0 + dlp, events=events)
    result = audited()
    assert (_one(result, quantity="DLP")["reason"] or "") == reason
    assert all("PHANTOM_NOT_REPORTED" not in group["flags"] for group in result.comparisons)
    if sequence:  # the sequence itself is on one phantom
        assert _one(result, quantity="CTDIvol")["reason"] is None


def test_dlp_falls_back_to_the_events_only_without_a_total(stored, audited):
    stored.add_ct(WHEN, 300.0, events_ct_dlp_mgy_cm=299.0)
    first = stored.exams[0]
    stored.exams.append(first | {"exam_id": 2, "ct_dlp_mgy_cm": None})
    assert sorted(row["value"] for row in _values(audited(), quantity="DLP")) == [299.0, 300.0]


def test_head_and_body_phantom_in_one_study_are_never_added(stored, audited):
    stored.add(
        "CT",
        WHEN,
        ct_dlp_mgy_cm=1500.0,
        ct_dlp_head_16cm_mgy_cm=900.0,
        ct_dlp_body_32cm_mgy_cm=600.0,
        acquisition_protocol="CAP",
        events=[
            {"ct_acquisition_type": "sequenced", "ctdi_vol_mgy": 45.0, "ctdi_phantom": "head_16cm"},
            {"ct_acquisition_type": "spiral", "ctdi_vol_mgy": 8.0, "ctdi_phantom": "body_32cm"},
        ],
    )
    result = audited()
    assert {row["reason"] for row in _values(result)} == {"MIXED_PHANTOMS"}
    assert not result.comparisons
    (finding,) = [f for f in result.findings if f.kind == "phantom_mismatch"]
    assert finding.severity == "note"
    assert (finding.evidence["dlp_head_16cm_mgy_cm"], finding.evidence["dlp_body_32cm_mgy_cm"]) == (
        900.0,
        600.0,
    )


def test_a_head_reported_on_the_body_phantom_is_left_out(stored, audited):
    stored.add_ct(WHEN, 700.0, phantom="body_32cm", acquisition_protocol="Head")
    result = audited()
    assert {row["reason"] for row in _values(result)} == {"PHANTOM_MISMATCH"}
    assert [f.severity for f in result.findings if f.kind == "phantom_mismatch"] == ["check"]


def test_each_projection_is_mapped_by_its_own_acquisition_protocol(stored, audited):
    stored.add(
        "DX",
        WHEN,
        acquisition_protocols=["Chest PA", "Chest LAT"],
        kap_gy_cm2=0.4,
        events=[
            {"acquisition_protocol": "Chest PA", "kap_gy_cm2": 0.1},
            {"acquisition_protocol": "Chest LAT", "kap_gy_cm2": 0.3},
        ],
    )
    result = audited()
    assert _one(result, examination="dx-chest-pa")["value"] == 0.1
    assert _one(result, reason="UNMAPPED")["value"] == 0.3
    assert result.completeness["compared"] == 1
    assert [(row["label"], row["n"]) for row in result.unmapped] == [("Chest LAT", 1)]


def test_fluoroscopy_is_per_exam_and_time_in_minutes(stored, audited):
    stored.add("XA", WHEN, acquisition_protocol="PCI", kap_gy_cm2=40.0, dose_rp_mgy=900.0, fluoro_time_s=450.0)
    values = {row["quantity"]: (row["value"], row["unit"]) for row in _values(audited())}
    assert values == {"KAP": (40.0, "Gy.cm2"), "dose_rp": (900.0, "mGy"), "fluoro_time": (7.5, "min")}


def test_mammography_is_per_view_with_thickness(stored, audited):
    views = [{"agd_mgy": dose, "compression_thickness_mm": 50.0 + dose} for dose in (1.0, 1.2, 1.4, 2.0)]
    stored.add("MG", WHEN, acquisition_protocol="Routine", events=views)
    row = _one(audited(), quantity="AGD")
    assert (row["value"], row["thickness_mm"]) == (pytest.approx(1.3), pytest.approx(51.3))


@pytest.mark.parametrize("dose", [0.0, -5.0, float("inf"), 1e9])
def test_an_absurd_value_is_left_out_and_the_rest_is_not(stored, audited, dose):
    stored.add_ct(WHEN, dose, ctdi=7.0)
    stored.add_ct(WHEN, 300.0)
    result = audited()
    assert [row["value"] for row in _values(result, quantity="DLP", included=True)] == [300.0]
    assert _one(result, quantity="DLP", included=False)["reason"] == "IMPLAUSIBLE_VALUE"


def test_bands_are_half_open_and_weight_goes_before_age(stored, audited):
    for weight, age in ((14.9, 3.0), (15.0, 3.0), (None, 5.0)):
        stored.add_ct(WHEN, 40.0, acquisition_protocol="Thorax Child", weight_kg=weight, age_years=age)
    bands = [
        row["band"].replace("–", "-")
        for row in sorted(_values(audited(), quantity="DLP"), key=lambda row: row["exam_ref"])
    ]
    # RP 185: 5-<15 kg and 15-<30 kg; a child of 5 years belongs to the second by the set's own age
    # equivalence.
    assert bands == ["5-<15 kg", "15-<30 kg", "15-<30 kg"]


def test_an_infant_next_to_the_edge_of_a_band_flags_no_other(stored, audited):
    # RP 185 parts heads at three months, 0.25 year: an age of 0.2 or 0.3 may be of either side, one of 0.4 is not.
    for age in (0.4, 0.3, 0.2, 0.1):
        stored.add_ct(
            WHEN, 200.0, acquisition_protocol="Head", phantom="head_16cm", age_years=age, equipment=f"CT {age}"
        )
    told = {c["equipment"]: "AGE_NEAR_EDGE" in c["flags"] for c in audited().comparisons if c["quantity"] == "DLP"}
    assert told == {"CT 0.4": False, "CT 0.3": True, "CT 0.2": True, "CT 0.1": False}


def test_every_exam_has_one_fate_and_the_counts_add_up(stored, audited):
    stored.add_ct(WHEN, 300.0)
    stored.add_ct(WHEN, 300.0, is_phantom=True, is_phantom_reason="name")
    stored.add_ct(None, 300.0)
    stored.add_ct(WHEN, 300.0, acquisition_protocol="Unheard of")
    stored.add("CT", WHEN, events=[])
    stored.add_ct(WHEN, 0.0, ctdi=0.0)
    stored.add_ct(WHEN - timedelta(days=400), 300.0)
    stored.add_object("quarantined", reason="not DICOM")
    stored.add_object("duplicate")
    result = audited(since=date(2026, 1, 1), until=date(2026, 6, 30))
    complete = result.completeness
    assert (complete["exams"], complete["in_period"], complete["compared"], complete["unmapped"]) == (
        7,
        6,
        1,
        1,
    )
    assert {row["reason"]: row["n"] for row in result.excluded} == {
        "NOT_A_PATIENT": 1, "NO_STUDY_DATE": 1, "NO_VALUE": 1, "IMPLAUSIBLE_VALUE": 1, "UNMAPPED": 1,
    }  # fmt: skip
    assert complete["compared"] + sum(row["n"] for row in result.excluded) == complete["in_period"]
    assert complete["received"] == sum(complete["by_state"].values()) == 9
    assert complete["balanced"]


def test_an_unknown_state_unbalances_the_books(stored, audited):
    stored.add_ct(WHEN, 300.0)
    stored.add_object("mislaid")
    complete = audited().completeness
    assert not complete["balanced"]
    assert complete["by_state"]["mislaid"] == 1


def test_two_devices_of_one_name_are_not_one_group(stored, audited):
    for number in (1, 2):
        stored.add_ct(WHEN, 300.0, equipment_id=number)
    assert [c["n"] for c in audited().comparisons if c["quantity"] == "DLP"] == [1, 1]


def test_a_period_without_data_is_an_audit_without_groups(stored, audited):
    stored.add_ct(WHEN, 300.0)
    result = audited(since=date(2030, 1, 1), until=date(2030, 12, 31))
    assert (result.comparisons, result.findings, result.completeness["in_period"]) == ([], [], 0)
    assert result.completeness["mapped_percent"] is None


def test_the_edition_of_the_study_date_answers_unless_the_view_is_now(stored, audited):
    # UK adult CT: the edition of 2016 gave 1000 mGy·cm for chest, abdomen and pelvis, the one since 13 October
    # 2022 gives 660.
    for when in (datetime(2022, 10, 12, 9), datetime(2022, 10, 13, 9)):
        stored.add_ct(when, 500.0, acquisition_protocol="CAP")
    then = [c for c in audited().comparisons if c["quantity"] == "DLP"]
    assert sorted((c["n"], c["drl"]["value"]) for c in then) == [(1, 660.0), (1, 1000.0)]
    now = [c for c in audited(view="now").comparisons if c["quantity"] == "DLP"]
    assert [(c["n"], c["drl"]["value"]) for c in now] == [(2, 660.0)]
