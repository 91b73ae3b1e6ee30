"""The worksheet for significant exposures against the printed thresholds; it says consider, and never decides."""

from __future__ import annotations

from typing import Any

import pytest

from dose_audit.audit.significant import NATIONS, fill_worksheet, reaches, thresholds


def _codes(**words):
    given = {"nation": "England", "population": "adult", "category": "unintended"} | words
    return [row.code for row in fill_worksheet(**given).reached]


@pytest.mark.parametrize(
    ("words", "codes"),
    [
        # CQC, IR(ME)R incident notification codes, categories and criteria (2023 and later).
        ({"category": "accidental", "total_msv": 3.0}, ["1"]),
        ({"category": "accidental", "total_msv": 2.99}, []),
        ({"category": "accidental", "total_msv": 1.0, "population": "child"}, ["1"]),
        ({"category": "accidental", "total_msv": 0.01, "nation": "Scotland"}, ["1"]),
        ({"intended_msv": 0.1, "total_msv": 3.0}, ["2.1"]),
        ({"intended_msv": 0.1, "total_msv": 2.9}, []),
        ({"intended_msv": 0.1, "total_msv": 1.0, "population": "child"}, ["2.1"]),
        ({"intended_msv": 0.3, "total_msv": 3.0}, ["2.2"]),
        ({"intended_msv": 2.0, "total_msv": 19.9}, []),
        ({"intended_msv": 2.5, "total_msv": 25.0}, ["2.3"]),
        ({"intended_msv": 9.99, "total_msv": 24.9}, []),
        ({"intended_msv": 10.0, "total_msv": 25.0}, ["2.3"]),  # 2.4 is of over 10 mSv
        ({"intended_msv": 10.01, "total_msv": 25.025}, ["2.4"]),
        ({"intended_msv": 20.0, "total_msv": 49.0}, []),
    ],
)
def test_thresholds_of_the_table(words, codes):
    assert _codes(**words) == codes


@pytest.mark.parametrize(
    ("code", "category", "words"),
    [
        # In the source's own words: "<0.3 mSv: 3 mSv or above", "0.3-2.5 mSv: 10 or more times", ">10 mSv: 2.5 or more times",
        # "50% greater than intended", "foetal dose over 10 mGy".
        ("2.1", "unintended, adult", "intended under 0.3 mSv: 3 mSv or more"),
        ("2.2", "unintended, any", "intended 0.3 to under 2.5 mSv: 10 x intended or more"),
        ("2.3", "unintended, any", "intended 2.5 to 10 mSv: 25 mSv or more"),
        ("2.4", "unintended, any", "intended over 10 mSv: 2.5 x intended or more"),
        ("4.2b", "unintended, any", "over 50 % above intended"),
        ("5", "foetal, any", "over 10 mGy"),
    ],
)
def test_a_criterion_says_over_where_the_table_does(code, category, words):
    told = [row.words() for row in thresholds() if row.code == code]
    separator = ", " if words.startswith("intended") else ": "
    assert f"code {code}, {category}{separator}{words}" in told


def test_it_says_consider_and_leaves_the_decision():
    for total in (0.5, 100.0):
        sheet = fill_worksheet(
            nation="Wales", population="adult", category="unintended", total_msv=total, intended_msv=1.0
        )
        assert "consider" in sheet.conclusion.lower()
        assert not any(word in sheet.conclusion.lower() for word in ("must notify", "not notifiable", "no need"))
        assert {row.scope for row in sheet.other_criteria} >= {"interventional", "radiotherapy planning scan"}


def test_what_the_table_does_not_know_is_refused():
    good = {"nation": "England", "population": "adult", "category": "accidental", "total_msv": 1.0}
    wrongs = ({"nation": "France"}, {"population": "dog"}, {"total_msv": 0.0}, {"total_msv": float("nan")},
              {"category": "unintended"}, {"intended_msv": -1.0})  # fmt: skip
    for wrong in wrongs:
        with pytest.raises(ValueError):
            fill_worksheet(**(good | wrong))


def test_every_row_has_version_source_and_confidence():
    assert all(row.version and row.source_url.startswith("https://") and row.confidence for row in thresholds())
    assert all(nation in NATIONS for row in thresholds() for nation in row.nations.split("|") if row.nations != "UK")


def test_what_would_have_to_have_been_intended():
    """England's table by hand: 12 mSv is ten times 1.2 mSv, over 3 mSv where under 0.3 was meant, never 25 mSv."""
    found = {(one.threshold.code, one.threshold.nations): one for one in reaches(12.0, "adult")}
    assert found["1", "England"].reached and found["1", "Northern Ireland|Scotland|Wales"].reached
    assert (found["2.1", "UK"].intended_low_msv, found["2.1", "UK"].intended_high_msv) == (0.0, 0.3)
    assert found["2.2", "UK"].intended_high_msv == pytest.approx(1.2)
    assert not found["2.3", "UK"].reached and not found["2.4", "UK"].reached
    assert not any(one.reached for one in reaches(2.9, "adult") if one.threshold.nations == "England")
    assert any(one.reached for one in reaches(2.9, "child") if one.threshold.nations == "England")
    # Whoever's age is not known is held against both.
    assert {one.threshold.population for one in reaches(2.9, None)} == {"adult", "child", "any"}


@pytest.mark.parametrize("total", [0.5, 3.0, 12.0, 26.0, 60.0])
@pytest.mark.parametrize("population", ["adult", "child"])
def test_the_ranges_agree_with_the_worksheet(total, population):
    """The worksheet, filled in with an intended dose, reaches just the rows in whose range that dose lies."""
    for intended in (0.1, 0.29, 0.5, 1.0, 2.6, 4.0, 11.0, 20.0):
        if intended >= total:
            continue
        sheet = fill_worksheet(
            nation="England", population=population, category="unintended", total_msv=total, intended_msv=intended
        )
        inside = [
            one.threshold
            for one in reaches(total, population)
            if one.reached
            and one.threshold.category == "unintended"
            and one.intended_low_msv <= intended < one.intended_high_msv * (1 + 1e-12)
        ]
        assert inside == list(sheet.reached), (total, intended)


@pytest.fixture
def make(tmp_path, django_db_blocker: Any):
    """Stores an exam with its events and estimates, and returns its totals by quantity and side."""
    from dose_audit.config import Settings
    from dose_audit.store.settings import prepare

    with django_db_blocker.unblock():
        prepare(Settings(home=tmp_path))
        from django.utils import timezone

        from dose_audit.audit.exam_totals import exam_totals
        from dose_audit.store.models import DoseEstimate, Equipment, Event, Exam, Site

        site, device = Site.objects.create(name="North"), Equipment.objects.create(display_name="Unit 1")

        def run(modality: str, events: list[dict[str, Any]], estimates: list[dict[str, Any]] = [], **totals: float):  # noqa: B006
            now = timezone.now()
            exam = Exam.objects.create(
                study_instance_uid=f"1.2.{Exam.objects.count()}", site=site, equipment=device, modality=modality,
                received_at=now, updated_at=now, **totals,
            )  # fmt: skip
            for index, event in enumerate(events, start=1):
                Event.objects.create(exam=exam, event_index=index, **({"type": "projection"} | event))
            for estimate in estimates:
                DoseEstimate.objects.create(exam=exam, algorithm_version="1", made_at=now, **estimate)
            return {(one["quantity"], one["side"]): one for one in exam_totals(exam.pk)}

        yield run


def test_totals_of_a_radiograph_and_of_an_intervention(make):
    """Three views of 2.0, 3.0 and 1.0 Gy·cm² are 6.0; of entrance doses only the largest is told, with backscatter."""
    views = [
        {"kap_gy_cm2": kap, "acquisition_protocol": name, "rest": {"entrance_exposure_mgy": kerma}}
        for kap, name, kerma in ((2.0, "PA", 0.2), (3.0, "LAT", 0.8), (1.0, "PA", 0.1))
    ]
    found = make("DX", views, events_kap_gy_cm2=6.0)
    assert found["KAP", None]["value"] == 6.0 and "sum over the events" in found["KAP", None]["source"]
    kerma = found["ESAK", None]
    # Backscatter of 1.2 to 1.5 in diagnostic beams (IAEA TRS 457, table VIII.1).
    assert (
        1.2 <= kerma["value"] / 0.8 <= 1.5 and kerma["unit"] == "mGy" and "“LAT”, the largest of 3" in kerma["source"]
    )

    skin = {"quantity": "peak_skin_dose", "value": 2100.0, "unit": "mGy", "uncertainty": 500.0, "status": "suspect",
            "reason": "no table height"}  # fmt: skip
    found = make("XA", [{"dose_rp_mgy": 900.0}, {"dose_rp_mgy": 1100.0}], [skin], kap_gy_cm2=180.0)
    assert found["KAP", None]["value"] == 180.0 and "device reports" in found["KAP", None]["source"]
    assert found["dose_rp", None]["value"] == 2000.0
    assert found["peak_skin_dose", None]["uncertainty"] == 500.0
    assert "suspect: no table height" in found["peak_skin_dose", None]["source"]
    # A run whose reference dose is not told makes the sum no total.
    assert ("dose_rp", None) not in make("XA", [{"dose_rp_mgy": 900.0}, {}])


def test_totals_of_each_breast_and_of_each_radiopharmaceutical(make):
    views = [
        {"laterality": side, "agd_mgy": dose} for side, dose in (("L", 1.5), ("L", 1.75), ("R", 1.25), ("R", None))
    ]
    computed = [
        {"quantity": "mean_glandular_dose", "event_index": index, "value": value, "unit": "mGy", "uncertainty": 0.25,
         "status": status}
        for index, value, status in ((1, 1.5, "ok"), (2, 2.0, "suspect"), (3, 1.0, "ok"), (4, None, "not_measurable"))
    ]  # fmt: skip
    found = make("MG", views, computed, agd_right_mgy=2.5)
    assert found["AGD_total", "left"]["value"] == 3.25 and "sum" in found["AGD_total", "left"]["source"]
    assert found["AGD_total", "right"]["value"] == 2.5 and "device reports" in found["AGD_total", "right"]["source"]
    assert (found["MGD_total", "left"]["value"], found["MGD_total", "left"]["uncertainty"]) == (3.5, 0.5)
    assert ("MGD_total", "right") not in found

    given = [
        {
            "type": "administration",
            "administered_activity_mbq": activity,
            "rest": {"radiopharmaceutical": {"meaning": name}},
        }
        for activity, name in ((300.0, "Tc99m MDP"), (250.0, "Tc99m MDP"))
    ]
    assert make("NM", given)["administered_activity", None]["value"] == 550.0
    given[1]["rest"] = {"radiopharmaceutical": {"meaning": "Ga67 citrate"}}
    told = make("NM", given)["administered_activity", None]
    assert told["value"] in (300.0, 250.0) and told["value"] != 550.0
    assert ("DLP", None) in make("CT", [], ct_dlp_mgy_cm=400.0)
    assert make("CT", [], ct_dlp_mgy_cm=float("inf")) == {} == make("OT", [], kap_gy_cm2=1.0)
