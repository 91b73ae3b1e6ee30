"""Local levels: worked out, proposed, approved by a role, used when chosen, replayed then and now."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from dose_audit.audit import run_audit
from dose_audit.audit.local_levels import ProposalError, approve_levels, propose_levels
from dose_audit.audit.mapping import approve_mapping
from dose_audit.config import Settings, SettingsError
from dose_audit.drl import ExamMapping, MappingTable, check_root, load_sets
from dose_audit.texts import RoleError

START = datetime(2026, 1, 1, 9, 0)
DAY = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
PERIOD = {"since": date(2026, 1, 1), "until": date(2026, 6, 30)}


@pytest.fixture
def home(stored, tmp_path, monkeypatch, django_db_blocker) -> Any:
    settings = Settings(home=tmp_path / "home")
    monkeypatch.setattr("dose_audit.store.parquet.refresh_parquet", lambda _: stored.write(tmp_path / "pq"))
    rows = (ExamMapping(acquisition_protocol="Chest", examination="ct-chest-lung-cancer", line=2),)
    with django_db_blocker.unblock():
        from dose_audit.store.settings import prepare

        prepare(settings)
        approve_mapping(MappingTable(rows), approved_by="Tests")
        yield settings


def _fill(stored, rooms=1, n=30):
    for room in range(rooms):
        for i in range(n):
            dlp = 200.0 + 10.0 * room + i
            stored.add_ct(START + timedelta(days=i * 5), dlp, equipment=f"CT {room:02d}", weight_kg=70.0)


def test_a_typical_value_is_the_sites_median_with_its_interval(stored, home):
    _fill(stored)
    edition, values = propose_levels(
        home, kind="typical", set_id="local-north-ct", site="North", proposed_by="MPE", now=DAY, **PERIOD
    )
    assert edition == "2026-07-01"
    (dlp,) = [v for v in values if v.quantity == "DLP"]
    doses = 200.0 + np.arange(30)
    # ranks 10 and 21 of 30, the shortest order-statistic interval of 95 % (method of the tables of n = 30)
    assert (dlp.value, dlp.low, dlp.high, dlp.n) == (np.median(doses), doses[9], doses[20], 30)
    assert (dlp.phantom, dlp.patient_group, dlp.rooms) == ("body_32cm", "adult", 1)


def test_a_local_level_is_the_third_quartile_of_ten_rooms_or_more(stored, home):
    _fill(stored, rooms=12, n=20)
    _, values = propose_levels(home, kind="local", set_id="local-all-ct", proposed_by="MPE", now=DAY, **PERIOD)
    (dlp,) = [v for v in values if v.quantity == "DLP"]
    medians = [209.5 + 10.0 * room for room in range(12)]
    assert dlp.rooms == 12
    assert dlp.value == pytest.approx(np.quantile(medians, 0.75, method="median_unbiased"))


def test_nine_rooms_are_too_few_and_that_is_said(stored, home):
    _fill(stored, rooms=9, n=20)
    with pytest.raises(ProposalError, match="9 rooms with 20 exams or more, 10 needed"):
        propose_levels(home, kind="local", set_id="local-all-ct", proposed_by="MPE", now=DAY, **PERIOD)


def test_approved_levels_are_released_used_when_chosen_and_never_changed(stored, home):
    _fill(stored)
    for i in range(30):
        stored.add_ct(START + timedelta(days=i * 5), 700.0, ctdi=20.0, site="South", weight_kg=70.0)
    name, edition = "local-north-ct", "2026-07-01"
    propose_levels(home, kind="typical", set_id=name, site="North", proposed_by="MPE", now=DAY, **PERIOD)
    with pytest.raises(RoleError, match="names no role"):
        approve_levels(home, name, edition, approved_by=" ", valid_from=date(2026, 4, 1))
    approve_levels(home, name, edition, approved_by="Lead MPE", valid_from=date(2026, 4, 1), now=DAY)
    (loaded,) = load_sets(include=[name], local=home.local_drl_dir).sets
    assert (loaded.status, loaded.site, loaded.approved_by) == ("local", "North", "Lead MPE")
    assert [p for p in check_root(home.local_drl_dir) if p.severity == "error" and p.code != "EXAMINATIONS"] == []
    for again in (
        lambda: approve_levels(home, name, edition, approved_by="MPE", valid_from=date(2026, 4, 1)),
        lambda: propose_levels(home, kind="typical", set_id=name, site="North", proposed_by="MPE", now=DAY, **PERIOD),
    ):
        with pytest.raises(ProposalError, match="approved"):
            again()

    def compared(**more):
        chosen = Settings(home=home.home, drl_sets=(name, "uk-adult-ct"))
        outcome = run_audit(chosen, now=datetime(2026, 7, 2), **PERIOD, **more)
        report = json.loads((outcome.run_dir / "report.json").read_text())
        return {
            (c["site"], c["drl"]["set"], c["drl"]["value"], c["n"])
            for c in report["comparisons"]
            if c["quantity"] == "DLP"
        }

    # Then: studies from April on are held against the typical value; before, and at other sites, the national level.
    assert compared(view="then") == {
        ("North", "uk-adult-ct", 290.0, 18),
        ("North", name, 214.5, 12),
        ("South", "uk-adult-ct", 290.0, 30),
    }
    assert compared(view="now") == {("North", name, 214.5, 30), ("South", "uk-adult-ct", 290.0, 30)}
    assert compared(view="now", drl_on=date(2026, 3, 1)) == {
        ("North", "uk-adult-ct", 290.0, 30),
        ("South", "uk-adult-ct", 290.0, 30),
    }


def test_an_edited_row_of_an_approved_edition_is_refused(stored, home):
    _fill(stored)
    propose_levels(home, kind="typical", set_id="local-north-ct", site="North", proposed_by="MPE", now=DAY, **PERIOD)
    approve_levels(home, "local-north-ct", "2026-07-01", approved_by="MPE", valid_from=date(2026, 7, 1), now=DAY)
    rows = home.local_drl_dir / "local" / "local-north-ct" / "2026-07-01" / "rows.csv"
    rows.write_text(rows.read_text().replace("214.5", "314.5"))
    registry = load_sets(include=["local-north-ct", "uk-adult-ct"], local=home.local_drl_dir)
    assert {s.set_id for s in registry.sets} == {"uk-adult-ct"}
    assert any(str(rows) in p.file and "ct-chest-lung-cancer" in p.row for p in registry.problems)


def test_a_refused_edition_is_told_by_the_run_that_goes_without_it(stored, home):
    _fill(stored)
    name, edition = "local-north-ct", "2026-07-01"
    propose_levels(home, kind="typical", set_id=name, site="North", proposed_by="MPE", now=DAY, **PERIOD)
    approve_levels(home, name, edition, approved_by="MPE", valid_from=date(2026, 1, 1), now=DAY)
    chosen = Settings(home=home.home, drl_sets=(name, "uk-adult-ct", "eu-rp185-paediatric-ct"))
    folder = home.local_drl_dir / "local" / name / edition
    lines = run_audit(chosen, now=datetime(2026, 7, 2), **PERIOD).levels_not_used
    assert [line.split(":")[0] for line in lines] == ["eu-rp185-paediatric-ct 2018-09-20"]  # it is unverified

    def told():
        outcome = run_audit(chosen, now=datetime(2026, 7, 3), **PERIOD)
        report = json.loads((outcome.run_dir / "report.json").read_text())
        found = {
            f["subject"]: (f["severity"], f["message"]) for f in report["findings"] if f["kind"] == "levels_not_used"
        }
        assert outcome.exit_code == 3
        assert {c["drl"]["set"] for c in report["comparisons"] if c["drl"]} == {"uk-adult-ct"}
        return outcome.levels_not_used, found

    rows = folder / "rows.csv"
    rows.write_text(rows.read_text().replace("214.5", "314.5"))
    lines, found = told()
    assert [line.split(":")[0] for line in lines] == ["eu-rp185-paediatric-ct 2018-09-20", f"{name} {edition}"]
    severity, message = found[f"{name}, edition {edition}"]
    assert severity == "act"
    assert "rows.csv, row " in message
    assert "ct-chest-lung-cancer" in message
    assert "released row was changed" in message
    assert str(home.home) not in message
    assert found["eu-rp185-paediatric-ct, edition 2018-09-20"][0] == "check"
    assert "allow_unverified_drl" in found["eu-rp185-paediatric-ct, edition 2018-09-20"][1]

    rows.write_text(rows.read_text().replace("314.5", "214.5"))
    (folder / "set.toml").write_text((folder / "set.toml").read_text().replace('notes = "', 'notes = "Seen again. '))
    outcome = run_audit(chosen, now=datetime(2026, 7, 4), **PERIOD)
    inputs = json.loads((outcome.run_dir / "inputs.json").read_text())
    edited = {one["set"]: one["set_sha256"] for one in inputs["drl_sets"]}
    assert edited[name] == hashlib.sha256((folder / "set.toml").read_bytes()).hexdigest()

    # Without the fingerprints nothing would tell that a row was changed.
    (folder / "rows.sha256").unlink()
    assert "fingerprints of the released rows are missing" in told()[1][f"{name}, edition {edition}"][1]
    assert ("error", "UNRELEASED") in {(p.severity, p.code) for p in check_root(None, home.local_drl_dir)}


def test_only_unverified_levels_are_named_as_what_they_are(stored, home):
    _fill(stored)
    outcome = run_audit(Settings(home=home.home, drl_sets=("uk-radiography",)), now=datetime(2026, 7, 2), **PERIOD)
    assert "uk-radiography" in outcome.nothing_compared
    assert "allow_unverified_drl" in outcome.nothing_compared


def test_a_set_that_does_not_exist_is_named_in_a_line(stored, home):
    with pytest.raises(SettingsError, match=r"drl_sets: no such DRL set: nope; known: .*uk-adult-ct"):
        run_audit(Settings(home=home.home, drl_sets=("nope",)), now=datetime(2026, 7, 2), **PERIOD)


@pytest.mark.parametrize("named", [30, 5])
def test_levels_from_exams_of_which_some_name_no_phantom_answer_for_all_of_them(stored, home, named):
    """With too few that name one, the level is that of the others, on no phantom in particular."""
    for i in range(60):
        stored.add_ct(
            START + timedelta(days=i * 2), 200.0 + i, phantom="body_32cm" if i < named else None, weight_kg=70.0
        )
    _, values = propose_levels(
        home, kind="typical", set_id="local-ct", site="North", proposed_by="MPE", now=DAY, **PERIOD
    )
    told = {value.phantom: (value.value, value.n, value.status) for value in values if value.quantity == "DLP"}
    if named == 30:
        assert told == {"body_32cm": (214.5, 30, "OK"), "": (None, 30, "PHANTOM_NOT_REPORTED")}
    else:
        assert told == {"body_32cm": (None, 5, "INSUFFICIENT_N"), "": (232.0, 55, "OK")}
    approve_levels(home, "local-ct", "2026-07-01", approved_by="MPE", valid_from=date(2026, 1, 1), now=DAY)
    outcome = run_audit(Settings(home=home.home, drl_sets=("local-ct",)), now=datetime(2026, 7, 2), **PERIOD)
    report = json.loads((outcome.run_dir / "report.json").read_text())
    compared = [(c["n"], c["drl"]["value"]) for c in report["comparisons"] if c["quantity"] == "DLP"]
    assert sum(n for n, _ in compared) == 60
    assert {value for _, value in compared} == {214.5 if named == 30 else 232.0}


def test_a_name_is_of_one_set(stored, home):
    _fill(stored)
    names = {"kind": "typical", "site": "North", "proposed_by": "MPE", "now": DAY, **PERIOD}
    with pytest.raises(ProposalError, match="uk-adult-ct is the name of a packaged set"):
        propose_levels(home, set_id="uk-adult-ct", **names)
    propose_levels(home, set_id="local-ct", **names)
    with pytest.raises(ProposalError, match="local-ct is the name of typical values of North"):
        propose_levels(home, set_id="local-ct", **names | {"site": "South"})
    # A folder that somebody put there by hand, and a proposal of a former version.
    LocalEdition = import_module("dose_audit.store.models").LocalEdition
    LocalEdition.objects.update(set_id="uk-adult-ct")
    with pytest.raises(ProposalError, match="uk-adult-ct is the name of a packaged set"):
        approve_levels(home, "uk-adult-ct", "2026-07-01", approved_by="MPE", valid_from=date(2026, 1, 1), now=DAY)
    LocalEdition.objects.update(set_id="local-ct")
    approve_levels(home, "local-ct", "2026-07-01", approved_by="MPE", valid_from=date(2026, 1, 1), now=DAY)
    folder = home.local_drl_dir / "local" / "local-ct"
    for file in folder.glob("*/set.toml"):
        file.write_text(file.read_text().replace("local-ct", "uk-adult-ct"))
    folder.rename(folder.with_name("uk-adult-ct"))
    registry = load_sets(include=["uk-adult-ct"], local=home.local_drl_dir)
    assert {one.status for one in registry.sets} == {"transcribed"}
    reasons = {one.edition: one.reason for one in registry.skipped}
    assert "name of a packaged set" in reasons["2026-07-01"]


def test_bad_names_and_kinds_are_refused(stored, home):
    for wrong in ({"set_id": "../evil"}, {"site": ""}, {"proposed_by": ""}):
        words = {"kind": "typical", "set_id": "local-north-ct", "site": "North", "proposed_by": "MPE"} | wrong
        with pytest.raises((ProposalError, RoleError)):
            propose_levels(home, now=DAY, **words, **PERIOD)
