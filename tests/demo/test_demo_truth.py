"""What pydicom reads out of an object is what its truth says, and the planted truths are in the bytes."""

from __future__ import annotations

import io
from collections import Counter, defaultdict
from decimal import Decimal

import pydicom
import pytest

from dose_audit.demo.generate import generate, objects_of
from dose_audit.demo.summary import planted_truths

TO_MGY = {"Gy": Decimal(1000), "mGy": Decimal(1)}
TO_GY_CM2 = {"Gy.m2": Decimal(10_000), "Gym2": Decimal(10_000), "dGy.cm2": Decimal("0.1")}


def _read(data: bytes) -> pydicom.Dataset:
    return pydicom.dcmread(io.BytesIO(data))


def _walk(data_set: pydicom.Dataset, code: str):
    """Yield every content item of a concept below a data set, in document order."""
    for item in data_set.get("ContentSequence", []):
        if item.ConceptNameCodeSequence[0].CodeValue == code:
            yield item
        yield from _walk(item, code)


def _number(item: pydicom.Dataset, table: dict[str, Decimal] | None = None) -> float | None:
    if not item.MeasuredValueSequence:
        return None
    measured = item.MeasuredValueSequence[0]
    unit = measured.MeasurementUnitsCodeSequence[0].CodeValue
    return float(Decimal(str(measured.NumericValue)) * (table[unit] if table else 1))


def test_ct_reports_say_what_their_truth_says(some_objects):
    checked = 0
    for _, written in some_objects:
        if not written.truth or written.truth["sources"][0]["kind"] not in ("ct_rdsr", "enhanced_sr"):
            continue
        data_set = _read(written.data)
        totals, events = written.truth["totals"], written.truth["events"]
        assert [_number(item) for item in _walk(data_set, "113813")] == [totals["ct_dlp_mgy_cm"]]
        acquisitions = list(_walk(data_set, "113819"))
        assert len(acquisitions) == len(events) == totals["ct_event_count"]
        for item, event in zip(acquisitions, events, strict=True):
            (uid,) = [found.UID for found in _walk(item, "113769")]
            assert uid == event["irradiation_event_uid"]
            dlp = [_number(found) for found in _walk(item, "113838")]
            assert dlp == ([] if event["dlp_mgy_cm"] is None else [event["dlp_mgy_cm"]])
            volume = [_number(found) for found in _walk(item, "113830")]
            assert volume == ([] if event["ctdi_vol_mgy"] is None else [event["ctdi_vol_mgy"]])
            checked += 1
    assert checked > 60


def test_projection_reports_say_what_their_truth_says(some_objects):
    checked = 0
    for _, written in some_objects:
        if not written.truth or written.truth["sources"][0]["kind"] != "projection_rdsr":
            continue
        data_set, totals = _read(written.data), written.truth["totals"]
        if written.truth["modality"] == "MG":
            sums = defaultdict(Decimal)
            for event in written.truth["events"]:
                sums["agd"] += Decimal(str(event["agd_mgy"]))
            accumulated = [_number(item) for item in _walk(data_set, "111637")]
            assert accumulated == [totals["agd_mgy"]["left"], totals["agd_mgy"]["right"]]
            assert sum(accumulated) == pytest.approx(float(sums["agd"]))
            continue
        assert [_number(item, TO_GY_CM2) for item in _walk(data_set, "113722")] == [totals["kap_gy_cm2"]]
        assert [_number(item, TO_MGY) for item in _walk(data_set, "113725")] == [totals["dose_rp_mgy"]]
        events = written.truth["events"]
        assert [_number(item, TO_GY_CM2) for item in _walk(data_set, "122130")] == [e["kap_gy_cm2"] for e in events]
        assert [_number(item, TO_MGY) for item in _walk(data_set, "113738")] == [e["dose_rp_mgy"] for e in events]
        assert sum(e["kap_gy_cm2"] for e in events) == pytest.approx(totals["kap_gy_cm2"], rel=1e-12)
        checked += 1
    assert checked > 10


def test_image_headers_say_what_their_truth_says(some_objects):
    checked = 0
    for _, written in some_objects:
        if not written.truth or written.truth["sources"][0]["kind"] != "image":
            continue
        data_set, event = _read(written.data), written.truth["events"][0]
        assert data_set.pixel_array.shape == (8, 8)
        if data_set.Modality == "MG":
            assert event["agd_mgy"] == pytest.approx(float(data_set.OrganDose) * 100, rel=1e-12)
        else:
            kap = float(data_set.ImageAndFluoroscopyAreaDoseProduct)
            assert event["kap_gy_cm2"] == pytest.approx(kap / 10, rel=1e-12)
        assert event["exposure_mas"] == data_set.ExposureInuAs / 1000
        checked += 1
    assert checked > 20


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not():
    first = [written.data for written in generate(scale=0.02)]
    assert first == [written.data for written in generate(scale=0.02)]
    other = [written.data for written in generate(seed=1, scale=0.02)]
    assert not set(first) & set(other)


def test_uids_are_unique_but_for_the_two_resent_reports(exams):
    instances: dict[str, set[bytes]] = defaultdict(set)
    copies: Counter[str] = Counter()
    for written in generate(scale=0.1):
        if written.truth:
            instance = written.truth["sources"][0]["sop_instance_uid"]
            instances[instance].add(written.data)
            copies[instance] += 1
    repeated = {instance: count for instance, count in copies.items() if count > 1}
    assert sorted(repeated.values()) == [2, 2]
    assert sorted(len(instances[instance]) for instance in repeated) == [1, 2]
    assert len({exam.uid("study") for exam in exams}) == len(exams)


def _exams(exams, kind):
    found = [exam for exam in exams if kind in exam.planted]
    assert found, kind
    return found


def test_cumulative_reports_repeat_and_continued_reports_do_not(exams):
    for exam in _exams(exams, "cumulative"):
        sets = [{e["irradiation_event_uid"] for e in w.truth["events"]} for w in objects_of(exam)]
        assert [len(found) for found in sets] == [1, 2, 3]
        assert sets[0] < sets[1] < sets[2]
    for exam in _exams(exams, "continued"):
        first, second = ({e["irradiation_event_uid"] for e in w.truth["events"]} for w in objects_of(exam))
        assert len(first) == 2
        assert len(second) == 1
        assert not first & second


def test_the_step_comes_with_the_new_software(exams):
    after = _exams(exams, "step_at_software_change")
    day = min(exam.started for exam in after).date()
    for exam in exams:
        if exam.device.key == "north-ct-2":
            upgraded = exam.started.date() >= day
            assert (exam.device.software_versions == "revo_ct_23mw.12") == upgraded


def test_the_slip_changes_kap_and_not_the_exposure(exams):
    slipped = _exams(exams, "kap_unit_slip")
    for exam in slipped[:20]:
        data_set = _read(objects_of(exam)[0].data)
        per_exposure = float(data_set.ImageAndFluoroscopyAreaDoseProduct) / data_set.ExposureInuAs
        honest = exam.cohort.median * 10 / (1600 if exam.cohort.region == "Chest" else 16000)
        assert per_exposure == pytest.approx(honest / 10, rel=1e-2)


def test_single_planted_exams(exams):
    (quality,) = _exams(exams, "quality_assurance_exposure")
    header = _read(objects_of(quality)[0].data)
    assert (str(header.PatientName), header.PatientID) == ("PHANTOM^QA", "QA-PHANTOM-01")

    (mixed,) = _exams(exams, "mixed_ctdi_phantoms")
    assert set(objects_of(mixed)[0].truth["totals"]["ct_dlp_by_phantom_mgy_cm"]) == {"head_16cm", "body_32cm"}

    (high,) = _exams(exams, "dose_rp_above_5_gy")
    assert objects_of(high)[0].truth["totals"]["dose_rp_mgy"] > 5000

    (corrupt,) = _exams(exams, "corrupt_object")
    (spoilt,) = objects_of(corrupt)
    assert spoilt.truth == {}
    assert len(spoilt.data) < len(objects_of(mixed)[0].data)
    header = pydicom.dcmread(io.BytesIO(spoilt.data), specific_tags=["StudyInstanceUID"], stop_before_pixels=True)
    assert header.file_meta.MediaStorageSOPClassUID == "1.2.840.10008.5.1.4.1.1.88.67"

    for exam in _exams(exams, "missing_weight")[:5]:
        written = objects_of(exam)[0]
        assert "PatientWeight" not in _read(written.data)
        assert written.truth["patient"]["weight_kg"] is None


def test_planted_truths_name_a_device_and_what_to_find():
    truths = planted_truths()
    assert {truth["kind"] for truth in truths} == {
        "above_drl",
        "step_at_software_change",
        "kap_unit_slip",
        "cumulative",
        "continued",
        "resent, same bytes",
        "resent, other bytes",
        "quality_assurance_exposure",
        "missing_weight",
        "unmapped_acquisition_protocol",
        "mixed_ctdi_phantoms",
        "dose_rp_above_5_gy",
        "silent_device",
        "corrupt_object",
    }
    for truth in truths:
        assert truth["site"] in ("North Site", "South Site", "West Site")
        assert truth["serial_number"]
        assert truth["first"] <= truth["last"] <= "2026-06-30"
