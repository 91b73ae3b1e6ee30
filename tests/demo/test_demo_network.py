"""The network is large enough, quiet but for what was planted, and written where the demonstration looks for
it.
"""

from __future__ import annotations

import csv
import itertools
import json
import math
import statistics
import zipfile
from collections import defaultdict
from datetime import timedelta

import pytest

from dose_audit.demo.cohorts import COHORTS
from dose_audit.demo.network import DEVICES, SITES, site_of
from dose_audit.demo.planted import SILENT
from dose_audit.demo.summary import exam_doses, group_medians
from dose_audit.demo.write import write_network
from dose_audit.drl import ExamFacts, MappingTable, read_examinations
from dose_audit.extract.codes import Code

# DLP in mGy.cm: UK national DRLs for adult CT (UKHSA, 2024 edition), and European DRLs for children (EC RP
# 185, 2018).
DLP_DRL = {
    ("ct-head-acute-stroke", ""): 790,
    ("ct-chest-lung-cancer", ""): 290,
    ("ct-chest-abdomen-pelvis-cancer", ""): 660,
    ("ct-abdomen-pelvis-abscess", ""): 530,
    ("ct-pulmonary-angiography", ""): 310,
    ("ct-kidneys-ureters-bladder", ""): 290,
    ("ct-head", "0-<3 month"): 300,
    ("ct-head", "3-<12 month"): 385,
    ("ct-head", "12-<72 month"): 505,
    ("ct-head", "72-<216 month"): 650,
    ("ct-chest", "15-<30 kg"): 70,
    ("ct-chest", "30-<50 kg"): 115,
    ("ct-abdomen", "15-<30 kg"): 150,
    ("ct-abdomen", "30-<50 kg"): 210,
}
# The same sources, CTDIvol in mGy.
CTDI_VOL_DRL = {
    ("ct-head-acute-stroke", ""): 47,
    ("ct-chest-lung-cancer", ""): 8.5,
    ("ct-abdomen-pelvis-abscess", ""): 10,
    ("ct-pulmonary-angiography", ""): 9.1,
    ("ct-kidneys-ureters-bladder", ""): 6.3,
    ("ct-head", "0-<3 month"): 24,
    ("ct-head", "3-<12 month"): 28,
    ("ct-head", "12-<72 month"): 40,
    ("ct-head", "72-<216 month"): 50,
    ("ct-chest", "15-<30 kg"): 2.7,
    ("ct-chest", "30-<50 kg"): 3.7,
    ("ct-abdomen", "15-<30 kg"): 5.4,
    ("ct-abdomen", "30-<50 kg"): 7.3,
}


def test_size_and_shape(exams):
    assert len(exams) >= 3000
    assert len({exam.device.key for exam in exams}) == len(DEVICES) >= 8
    assert len({entry.style for entry in DEVICES}) >= 4
    assert {entry.channel for entry in SITES} == {"listener", "folder", "zip"}
    assert {cohort.examination for cohort in COHORTS} <= set(read_examinations())
    assert str(min(exam.started for exam in exams).date()) >= "2026-01-01"
    assert str(max(exam.started for exam in exams).date()) <= "2026-06-30"


def test_one_group_is_above_its_drl_and_every_other_well_below(exams):
    above, compared = [], 0
    for group in group_medians(exams):
        table = {"ct_dlp_mgy_cm": DLP_DRL, "ctdi_vol_mgy": CTDI_VOL_DRL}.get(group["quantity"], {})
        drl = table.get((group["examination"], group["band"]))
        if drl is None:
            continue
        compared += 1
        assert group["n"] >= 20
        if group["median"] > 0.85 * drl:
            above.append((group["site"], group["examination"], group["quantity"]))
            assert group["median"] > 1.2 * drl
    assert compared >= 50
    assert above == [("South Site", "ct-chest-abdomen-pelvis-cancer", "ct_dlp_mgy_cm")]


def test_no_exam_is_an_outlier_unless_planted(exams):
    excused = {"quality_assurance_exposure", "mixed_ctdi_phantoms", "dose_rp_above_5_gy", "corrupt_object"}
    groups = defaultdict(list)
    for exam in exams:
        # Doses before and after a planted shift are different groups.
        shifts = tuple(kind for kind in exam.planted if kind in ("step_at_software_change", "kap_unit_slip"))
        for quantity, value in exam_doses(exam).items():
            key = (exam.device.key, exam.cohort.examination, exam.cohort.band, shifts, quantity)
            groups[key].append((math.log(value), bool(excused & set(exam.planted))))
    for key, entries in groups.items():
        values = [value for value, _ in entries]
        if len(values) < 20:
            continue
        centre = statistics.median(values)
        robust = 1.4826 * statistics.median(abs(value - centre) for value in values)
        for value, planted in entries:
            assert planted or abs(value - centre) < 3.5 * robust, key


def test_no_trend_unless_planted(exams):
    """Each half year's first and second half agree within 6 % of the median, for groups of forty and more."""
    groups = defaultdict(list)
    for exam in exams:
        if exam.device.key not in ("north-ct-2", "south-dx-1") and exam.variant in ("plain",):
            for quantity, value in exam_doses(exam).items():
                groups[exam.device.key, exam.cohort.examination, exam.cohort.band, quantity].append(value)
    checked = 0
    for key, values in groups.items():
        if len(values) >= 40:
            half = len(values) // 2
            ratio = statistics.fmean(values[half:]) / statistics.fmean(values[:half])
            assert 0.94 < ratio < 1.06, (key, ratio)
            checked += 1
    assert checked > 30


def test_only_one_device_is_ever_silent(exams):
    days = defaultdict(list)
    for exam in exams:
        days[exam.device.key].append(exam.started.date())
    for key, found in days.items():
        gaps = [after - before for before, after in itertools.pairwise(found)]
        longest = max(gaps)
        if key == SILENT.device:
            assert longest >= timedelta(days=15)
        else:
            assert longest <= timedelta(days=8), key


def test_dose_follows_size(exams):
    pairs = [
        (float(exam.patient.weight_kg), exam.leading)
        for exam in exams
        if exam.device.key == "north-ct-1"
        and exam.cohort.examination == "ct-abdomen-pelvis-abscess"
        and exam.variant == "plain"
    ]
    assert statistics.correlation(*zip(*pairs, strict=True)) > 0.4


def test_children_are_in_the_band_of_their_cohort(exams):
    for exam in exams:
        if not exam.cohort.band:
            continue
        low, high = exam.cohort.band.split(" ")[0].split("-<")
        if exam.cohort.band.endswith("kg"):
            assert float(low) <= float(exam.patient.weight_kg) < float(high)
        else:
            months = (exam.started.date() - exam.patient.birth_date).days / 30.4375
            assert float(low) <= months < float(high)


def test_alert_levels_are_exceeded_by_one_exam(exams):
    highest = sorted(exam_doses(exam).get("dose_rp_mgy", 0.0) for exam in exams)
    assert highest[-1] > 5000
    assert highest[-2] < 2000


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    calls = []
    out = tmp_path_factory.mktemp("network")
    return write_network(out, scale=0.03, progress=lambda done, of: calls.append((done, of))), calls


def test_network_on_disk(files):
    written, calls = files
    assert calls[-1] == (written.exam_count, written.exam_count)
    on_disk = sum(1 for place in (*written.listener.values(), *written.folder.values()) for _ in place.rglob("*.dcm"))
    with zipfile.ZipFile(written.archive["West Site"]) as archive:
        assert archive.testzip() is None
        assert on_disk + len(archive.namelist()) == written.object_count
    truth = json.loads(written.truth_json.read_text())
    assert truth["objects"] == written.object_count
    assert truth["planted"]
    assert truth["groups"]


def test_file_names_hold_no_identifier(files):
    written, _ = files
    for place in (*written.listener.values(), *written.folder.values()):
        for path in place.rglob("*.dcm"):
            assert "DEMO0" not in str(path.relative_to(place))
            assert "ACC" not in str(path.relative_to(place))


def test_mapping_knows_every_exam_but_the_unmapped(files, exams):
    written, _ = files
    mapping = MappingTable.from_csv(written.mapping_csv)
    seen = {}
    for exam in exams:
        seen.setdefault((exam.device.key, exam.cohort.study_description), exam)
    for exam in seen.values():
        named = (exam.device.kind, exam.device.style) != ("ct", "ge")
        facts = ExamFacts(
            station_name=exam.device.station_name,
            modality=exam.device.modality,
            study_description=exam.cohort.study_description,
            procedure_codes=(Code(exam.cohort.code, "99DEMO", exam.cohort.study_description),),
            acquisition_protocols=("Topogram", exam.cohort.acquisition_protocol) if named else (),
        )
        found = mapping.resolve(site_of(exam.device).name, facts)
        assert found.examination == (exam.cohort.examination or None), facts
        assert found.status == ("mapped" if exam.cohort.examination else "unmapped")


def test_register_knows_every_device(files):
    written, _ = files
    with written.equipment_csv.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {(row["station_name"], row["serial_number"]) for row in rows} == {
        (entry.station_name, entry.serial_number) for entry in DEVICES
    }
