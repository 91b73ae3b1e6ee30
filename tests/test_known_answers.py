"""The demonstration network is a known-answer test: all that was planted is reported, and nothing else is.

DICOM is generated, sent over C-STORE associations, scanned from a folder and a zip, ingested and audited, as
a site would; then the frozen run is held against the list of what was planted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conftest import MadeOnce

SCALE = 0.35
"""A smaller network in which every truth can still be shown; ``make demo`` runs the whole one."""
NIGHT = datetime(2026, 6, 30, 23, 30)
SINCE, UNTIL = date(2026, 1, 1), date(2026, 6, 30)

# What was planted → the finding that must tell it; None where the right answer is that the numbers are right.
EXPECTED = {
    "above_drl": ("drl_exceeded", "act"),
    "step_at_software_change": ("step_change", "check"),
    "kap_unit_slip": ("unit_slip", "act"),
    "cumulative": None,
    "continued": None,
    "resent, same bytes": None,
    "resent, other bytes": ("conflict_object", "check"),
    "quality_assurance_exposure": ("not_a_patient", "note"),
    "missing_weight": ("missing_weight", "check"),
    "unmapped_acquisition_protocol": ("unmapped_acquisition_protocol", "check"),
    "mixed_ctdi_phantoms": ("phantom_mismatch", "note"),
    "dose_rp_above_5_gy": ("high_exposure", "act"),
    "silent_device": ("silent_device", "check"),
    "corrupt_object": ("corrupt_object", "check"),
}
# Kinds that are told of a sender: a broken object may not even say which device it came from.
OF_A_SITE = {"corrupt_object"}


@dataclass(frozen=True)
class Night:
    """Two audits of the same data, and what is known of it."""

    truth: dict[str, Any]
    report: dict[str, Any]
    values: list[dict[str, Any]]
    exit_code: int
    again: dict[str, Any]
    again_new: int
    values_bytes: tuple[dict[str, bytes], dict[str, bytes]]
    exams: list[dict[str, Any]]
    files: str

    def planted(self, kind: str) -> dict[str, Any]:
        """The truth of one kind."""
        return next(truth for truth in self.truth["planted"] if truth["kind"] == kind)

    def findings(self, kind: str, **wanted: Any) -> list[dict[str, Any]]:
        """Findings of one kind."""
        return [f for f in self.report["findings"] if f["kind"] == kind and all(f[k] == v for k, v in wanted.items())]


@pytest.fixture(scope="session")
def night(tmp_path_factory: pytest.TempPathFactory, django_db_blocker: Any, made_once: MadeOnce) -> Night:
    """Run the whole demonstration once."""
    found: Night = made_once("night", lambda: _audited(tmp_path_factory, django_db_blocker))
    return found


def _weeks(run_dir: Path) -> dict[str, bytes]:
    """The files of a run's values."""
    return {path.name: path.read_bytes() for path in (run_dir / "values.parquet").iterdir()}


def _audited(tmp_path_factory: pytest.TempPathFactory, django_db_blocker: Any) -> Night:
    import pyarrow.parquet as pq

    from dose_audit.audit import run_audit
    from dose_audit.config import load_settings
    from dose_audit.demo import run
    from dose_audit.ingest import run_ingest
    from dose_audit.store.parquet import read_table

    home = tmp_path_factory.mktemp("network")
    run.write_settings(home)
    settings = load_settings(home=home, environment={})
    files = run.write_network(home / "dicom", scale=SCALE)
    with django_db_blocker.unblock():
        run.install_tables(settings, files)
        run.receive_network(settings, files, lambda *_: None)
        run_ingest(settings)
        first = run_audit(settings, since=SINCE, until=UNTIL, now=NIGHT)
        report = json.loads((first.run_dir / "report.json").read_text(encoding="utf-8"))
        frozen = _weeks(first.run_dir)
        second = run_audit(settings, since=SINCE, until=UNTIL, now=NIGHT.replace(hour=23, minute=59))
        exams = read_table(settings.parquet_dir, "exams").to_pylist()
    return Night(
        truth=json.loads(files.truth_json.read_text(encoding="utf-8")),
        report=report,
        values=pq.read_table(first.run_dir / "values.parquet").to_pylist(),
        exit_code=first.exit_code,
        again=json.loads((second.run_dir / "report.json").read_text(encoding="utf-8")),
        again_new=second.findings_new,
        values_bytes=(frozen, _weeks(second.run_dir)),
        exams=exams,
        files=(first.run_dir / "report.json").read_text(encoding="utf-8"),
    )


def _device(report: dict[str, Any], truth: dict[str, Any]) -> str:
    """Name under which the report knows a planted device."""
    names = [d["equipment"] for d in report["completeness"]["devices"] if truth["station_name"] in d["equipment"]]
    assert len(names) == 1, names
    return names[0]


def test_every_kind_of_truth_is_known_here(night: Night) -> None:
    assert {truth["kind"] for truth in night.truth["planted"]} == set(EXPECTED)


@pytest.mark.parametrize("kind", [kind for kind, answer in EXPECTED.items() if answer])
def test_each_planted_truth_is_reported_where_it_was_planted(night: Night, kind: str) -> None:
    finding_kind, severity = EXPECTED[kind]
    truth = night.planted(kind)
    told = night.findings(finding_kind, severity=severity, site=truth["site"])
    if finding_kind not in OF_A_SITE:
        told = [f for f in told if f["equipment"] == _device(night.report, truth)]
    assert len(told) == 1, [(f["kind"], f["site"], f["equipment"]) for f in night.report["findings"]]


def test_nothing_else_is_reported(night: Night) -> None:
    allowed = set()
    for kind, answer in EXPECTED.items():
        if answer:
            truth = night.planted(kind)
            allowed.add((answer[0], truth["site"], _device(night.report, truth)))
            if answer[0] in OF_A_SITE:
                allowed.add((answer[0], truth["site"], None))
    told = {(f["kind"], f["site"], f["equipment"]) for f in night.report["findings"] if f["severity"] != "note"}
    assert told <= allowed


def test_devices_where_nothing_was_planted_have_no_finding_at_all(night: Night) -> None:
    planted = {_device(night.report, truth) for truth in night.truth["planted"]}
    assert not [f for f in night.report["findings"] if f["equipment"] and f["equipment"] not in planted]


def test_group_medians_are_those_that_were_planted(night: Night) -> None:
    """Median DLP and KAP of every group, worked out by the generator from what it wrote and by the audit."""
    names = {"ct_dlp_mgy_cm": "DLP", "kap_gy_cm2": "KAP"}
    slipped = night.planted("kap_unit_slip")["station_name"]
    mine: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in night.report["comparisons"]:
        mine.setdefault((row["equipment"], row["examination"], row["quantity"]), []).append(row)
    checked = 0
    for group in night.truth["groups"]:
        if group["quantity"] not in names or group["station_name"] == slipped:
            continue
        device = _device(night.report, group)
        rows = mine[device, group["examination"], names[group["quantity"]]]
        medians = [row["median"] for row in rows if row["n"] == group["n"]]
        assert pytest.approx(group["median"], rel=1e-6) in medians, group
        checked += 1
    assert checked >= 40


def test_the_exceeded_level_is_the_published_one(night: Night) -> None:
    (finding,) = night.findings("drl_exceeded")
    truth = night.planted("above_drl")
    # UK national DRL for CT chest, abdomen, pelvis (cancer), DLP per complete examination: 660 mGy·cm.
    assert finding["evidence"]["drl"] == 660.0
    assert finding["evidence"]["median"] == pytest.approx(truth["details"]["median"], rel=1e-6)
    assert finding["evidence"]["examination"] == truth["examination"]


def test_the_step_is_dated_and_joined_with_the_software_version(night: Night) -> None:
    (finding,) = night.findings("step_change")
    truth = night.planted("step_at_software_change")
    evidence = finding["evidence"]
    assert evidence["software_day"] >= truth["first"]
    assert abs((date.fromisoformat(evidence["day"]) - date.fromisoformat(truth["first"])).days) <= 10
    assert evidence["software_after"] == truth["details"]["software_versions"]
    assert evidence["ci_low"] <= truth["details"]["factor"] <= evidence["ci_high"]


def test_the_slip_is_a_tenth_from_its_day_on_and_stays_out_of_medians(night: Night) -> None:
    (finding,) = night.findings("unit_slip")
    truth = night.planted("kap_unit_slip")
    assert finding["evidence"]["decades"] == -1
    assert finding["evidence"]["n"] == truth["details"]["exams"]
    assert finding["evidence"]["first_day"] >= truth["first"]
    out = [row for row in night.values if row["reason"] == "UNIT_SLIP"]
    assert len(out) == truth["details"]["exams"]


def test_the_silence_is_the_planted_fortnight(night: Night) -> None:
    (finding,) = night.findings("silent_device")
    truth = night.planted("silent_device")
    assert finding["evidence"]["start"][:10] <= truth["first"]
    assert finding["evidence"]["end"][:10] > truth["last"]
    assert finding["evidence"]["days"] >= truth["details"]["days"]


def test_the_unmapped_name_and_the_exam_above_5_gy(night: Night) -> None:
    truth = night.planted("unmapped_acquisition_protocol")
    (row,) = night.report["unmapped"]
    assert (row["label"], row["n"]) == (truth["details"]["acquisition_protocol"], truth["details"]["exams"])
    (finding,) = night.findings("high_exposure")
    dose = next(value for value in finding["evidence"]["values"] if value["quantity"] == "dose_rp")
    study = night.planted("dose_rp_above_5_gy")["details"]["studies"][0]
    assert dose["value"] == pytest.approx(study["dose_rp_mgy"], rel=1e-6)


@pytest.mark.parametrize("kind", ["cumulative", "continued", "mixed_ctdi_phantoms"])
def test_several_reports_of_one_exam_are_added_once(night: Night, kind: str) -> None:
    """DLP of each planted exam, by the sum over its events; the mixed one by phantom."""
    truth = night.planted(kind)
    totals = [exam["ct_dlp_mgy_cm"] for exam in night.exams if exam["station_name"] == truth["station_name"]]
    for study in truth["details"]["studies"]:
        assert pytest.approx(study["ct_dlp_mgy_cm"], rel=1e-6) in totals
    if kind == "mixed_ctdi_phantoms":
        evidence = night.findings("phantom_mismatch")[0]["evidence"]
        by_phantom = truth["details"]["studies"][0]["ct_dlp_by_phantom_mgy_cm"]
        assert evidence["dlp_head_16cm_mgy_cm"] == pytest.approx(by_phantom["head_16cm"], rel=1e-6)
        assert evidence["dlp_body_32cm_mgy_cm"] == pytest.approx(by_phantom["body_32cm"], rel=1e-6)


def test_every_object_and_every_exam_is_accounted_for(night: Night) -> None:
    complete = night.report["completeness"]
    assert complete["balanced"]
    assert complete["received"] == sum(complete["by_state"].values()) == night.truth["objects"]
    assert complete["by_state"]["quarantined"] == 1
    assert complete["by_state"]["duplicate"] == 1
    assert complete["by_state"]["pending"] == 0
    # The corrupt object is the only one of its study: every other planned exam is there.
    assert complete["exams"] == complete["in_period"] == night.truth["exams"] - 1
    left_out = sum(row["n"] for row in night.report["excluded"])
    assert complete["compared"] + left_out == complete["in_period"]
    for site in complete["by_site"]:
        assert site["exams"] == site["compared"] + site["unmapped"] + site["left_out"], site["site"]
    whole = {"exams": "in_period", "compared": "compared", "unmapped": "unmapped", "left_out": "excluded"}
    for of_a_site, of_all in {**whole, "received": "received"}.items():
        assert sum(site[of_a_site] for site in complete["by_site"]) == complete[of_all], of_all
    assert complete["in_period"] == complete["compared"] + complete["unmapped"] + complete["excluded"]


def test_a_second_night_tells_nothing_twice(night: Night) -> None:
    assert night.exit_code == 3
    assert night.again_new == 0
    assert [f["key"] for f in night.again["findings"]] == [f["key"] for f in night.report["findings"]]
    assert {f["state"] for f in night.report["findings"]} == {"new"}
    assert {f["state"] for f in night.again["findings"]} == {"open"}
    assert night.report["run"]["frozen_input_sha256"] == night.again["run"]["frozen_input_sha256"]
    assert night.values_bytes[0] == night.values_bytes[1]


def test_nothing_in_the_report_identifies_a_patient(night: Night) -> None:
    studies = [study for truth in night.truth["planted"] for study in truth["details"].get("studies", ())]
    secrets = {study["study_instance_uid"] for study in studies} | {study["accession_number"] for study in studies}
    assert secrets
    assert not [secret for secret in secrets if secret in night.files]
    for text in ("DEMO^", "DEMO0", "PHANTOM^QA", "QA-PHANTOM-01", str(Path.home())):
        assert text not in night.files
