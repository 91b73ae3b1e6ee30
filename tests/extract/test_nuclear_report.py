"""Radiopharmaceutical dose reports: every row of TID 10021 to 10024, under SNOMED-RT and SNOMED CT codes."""

from __future__ import annotations

import pytest

from dose_audit.extract import ReadOptions, as_record, from_record
from tests.extract.sr_objects import coded, codes_of, container, moment, name, num, read, text, uid

CURRENT = {
    "agent": "349358000@SCT",
    "nuclide": "89457008@SCT",
    "half_life": "304283002@SCT",
    "route": "410675002@SCT",
    "site": "272737002@SCT",
    "finding": "363698007@SCT",
    "laterality": "272741003@SCT",
    "mass": "118538004@SCT",
}
LATER = CURRENT | {"agent": "417881006@SCT"}
LEGACY = {
    "agent": "F-61FDB@SRT",
    "nuclide": "C-10072@SRT",
    "half_life": "R-42806@SRT",
    "route": "G-C340@SRT",
    "site": "G-C581@SRT",
    "finding": "G-C0E3@SRT",
    "laterality": "G-C171@SRT",
    "mass": "G-D701@SRT",
}


@pytest.mark.parametrize("codes", [CURRENT, LATER, LEGACY], ids=["SCT", "SCT, 2022", "SRT"])
def test_every_row_of_an_administration(codes):
    exam = read(
        coded("363589002@SCT", "45316007@SCT", coded("363703001@SCT", "261004008@SCT")),
        container(
            "113502",
            coded(
                codes["agent"],
                "35321007@SCT",
                coded(codes["nuclide"], "77004003@SCT"),
                num(codes["half_life"], "6586.2", "s"),
            ),
            num("123007", "2.5", "Bq/mmol"),
            uid("113503", "1.2.3.11"),
            coded("113505", "34206005@SCT", meaning="Subcutaneous extravasation"),
            num("113506", "2", "%"),
            moment("123003", "20260102091500-0500"),
            moment("123004", "20260102091502-0500"),
            num("113507", "0.394", "GBq"),
            num("123005", "2", "cm3"),
            num("113508", "400", "MBq", coded("113540", "113541")),
            num("113509", "6", "MBq"),
            container(
                "113517",
                coded(codes["finding"], "23451007@SCT"),
                coded(codes["laterality"], "51440002@SCT"),
                num(codes["mass"], "14", "g", text("370129005@SCT", "CT volume")),
                num("113518", "4.73", "mGy", text("121406", "ICRP Publication 128")),
            ),
            num("113839", "7.486", "mSv"),
            coded(codes["route"], "47625008@SCT", coded(codes["site"], "29092000@SCT")),
            name("113870", "Somebody^Real", coded("113875", "113851")),
            text("111529", "Brand"),
            text("113511", "DU1", text("113512", "LOT7")),
            coded("113510", "NDC1@NDC"),
            text("113516", "RX9"),
        ),
        container(
            "121118",
            num("121033", 63, "a"),
            coded("121032", "M"),
            num("8302-2@LN", "178", "cm"),
            num("29463-7@LN", "110000", "g"),
            num("14749-6@LN", "5.5", "mmol/l"),
            num("113550", "360", "min"),
        ),
        root="113500",
    )
    assert exam.sources[0].kind == "radiopharmaceutical_rdsr" and exam.modality == "NM"
    assert exam.report.procedure_reported.value == "45316007" and exam.report.has_intent.value == "261004008"
    (event,) = exam.events
    assert (event.radiopharmaceutical.value, event.radionuclide.value) == ("35321007", "77004003")
    assert event.half_life_s == 6586.2 and event.specific_activity_bq_per_mol == 2500
    assert (event.irradiation_event_uid, event.extravasation) == ("1.2.3.11", "Subcutaneous extravasation")
    assert (event.started_at, event.stopped_at) == ("2026-01-02T09:15:00-05:00", "2026-01-02T09:15:02-05:00")
    assert (event.administered_activity_mbq, exam.totals.administered_activity_mbq) == (394, 394)
    assert (event.pre_administration_activity_mbq, event.post_administration_activity_mbq) == (400, 6)
    assert (event.volume_ml, event.effective_dose_msv) == (2, 7.486)
    (organ,) = event.organ_doses
    assert (organ.site.value, organ.laterality, organ.dose_mgy) == ("23451007", "both", 4.73)
    assert (organ.authority, organ.mass_g, organ.method) == ("ICRP Publication 128", 14, "CT volume")
    assert (event.route.value, event.site.value) == ("47625008", "29092000")
    assert event.identifiers["brand_name"] == "Brand" and event.identifiers["lot"] == "LOT7"
    assert event.identifiers["drug_product"].value == "NDC1" and event.identifiers["prescription"] == "RX9"
    assert event.patient_characteristics["glucose_mmol_per_l"] == 5.5
    assert event.patient_characteristics["fasting_duration_h"] == 6
    patient = exam.patient
    assert (patient.age_years, patient.sex, patient.height_m, patient.weight_kg) == (63, "M", 1.78, 110)
    assert "Somebody" not in repr(as_record(exam))
    assert not exam.warnings
    assert from_record(as_record(exam)) == exam


def test_a_pet_study_is_known_by_its_procedure():
    administration = container("113502", num("113507", "394", "MBq"))
    assert read(coded("G-C2D0@SRT", "P5-0A00A@SRT"), administration, root="113500").modality == "PT"
    assert read(administration, root="113500").modality == "NM"


def test_two_administrations_add_up_only_when_both_are_known():
    one, two = (
        container("113502", num("113507", "0.1", "MBq")),
        container("113502", num("113507", "0.2", "MBq")),
    )
    assert read(one, two, root="113500").totals.administered_activity_mbq == 0.3
    unknown = container("113502", num("113507", "5", "counts"))
    exam = read(one, unknown, root="113500")
    assert exam.totals.administered_activity_mbq is None
    assert codes_of(exam) == ["unknown_unit"]


def test_the_header_wins_over_the_characteristics_and_names_need_a_wish():
    person = name("113870", "Somebody^Real", coded("113875", "113851"))
    parts = (container("113502", person), container("121118", num("29463-7@LN", "70", "kg")))
    exam = read(*parts, root="113500", PatientWeight="68.5", options=ReadOptions(with_identifiers=True))
    assert exam.patient.weight_kg == 68.5
    assert exam.events[0].patient_characteristics["weight_kg"] == 70
    assert exam.events[0].extra["persons"][0]["name"] == "Somebody^Real"


def test_what_an_administration_may_say_several_times_is_kept_whole():
    exam = read(
        coded("363589002@SCT", "45316007@SCT"),
        container(
            "113502",
            coded("113505", "1@99X", meaning="Pain"),
            coded("113505", "2@99X", meaning="Swelling"),
            *(text("113512", lot) for lot in ("A", "B", "A")),
            coded("121147", "78@99B"),
        ),
        container("121118", coded("109054", "1@99P"), coded("109054", "2@99P")),
        root="113500",
    )
    (event,) = exam.events
    assert event.extravasation == "Pain; Swelling"
    assert [code.value for code in event.extra["extravasation_code"]] == ["1", "2"]
    assert event.identifiers["lot"] == ["A", "B"] and event.identifiers["billing_code"].value == "78"
    assert [code.value for code in event.patient_characteristics["patient_state"]] == ["1", "2"]
    assert as_record(from_record(as_record(exam))) == as_record(exam)
