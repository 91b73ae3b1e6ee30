"""Findings and mapping versions: what survives a re-run and what needs a person."""

from __future__ import annotations

import importlib
from typing import Any

import pytest


def _raise(run: str, message: str = "median is above") -> Any:
    from dose_audit.store.findings import raise_finding

    return raise_finding(
        "drl:north:chest", "drl_exceeded", "check", "CT chest", message, site="North",
        likely_causes=["technique"], evidence={"ratio": 1.4}, run_id=run,
    )  # fmt: skip


def test_the_same_matter_is_one_finding(store: Any) -> None:
    from dose_audit.store.models import Finding

    _raise("run-1")
    _raise("run-2", "median is still above")
    row = Finding.objects.get()
    assert (row.first_raised_run, row.last_raised_run, row.state) == ("run-1", "run-2", "open")
    assert (row.message, row.evidence) == ("median is still above", {"ratio": 1.4})


def test_acknowledged_stays_acknowledged_and_cleared_opens_again(store: Any) -> None:
    from dose_audit.store.findings import acknowledge_finding, clear_findings

    _raise("run-1")
    acknowledge_finding("drl:north:chest", by="Lead MPE", reason="protocol under review")
    assert _raise("run-2").state == "acknowledged"
    assert clear_findings(["drl_exceeded"], except_keys=["drl:north:chest"]) == 0
    assert clear_findings(["drl_exceeded"], except_keys=[]) == 1
    assert _raise("run-3").state == "open"


@pytest.mark.parametrize(
    ("severity", "ratio", "state", "why"),
    [
        ("check", 1.05, "acknowledged", ""),
        ("check", 1.2, "acknowledged", ""),
        ("note", 1.05, "acknowledged", ""),
        ("act", 1.05, "open", "raised again as act; it was check when it was acknowledged"),
        ("check", 4.0, "open", "4.00 times its level; it was 1.05 times when it was acknowledged"),
    ],
)
def test_what_is_graver_than_what_was_acknowledged_opens_again_on_record(
    store: Any, severity, ratio, state, why
) -> None:
    from dose_audit.store.findings import acknowledge_finding, raise_finding
    from dose_audit.store.models import Finding

    def raised(severity: str, ratio: float) -> Finding:
        return raise_finding("key", "drl_exceeded", severity, "Head", "Median", evidence={"ratio": ratio, "drl": 290.0})

    raised("check", 1.05)
    acknowledge_finding("key", by="Lead MPE", reason="marginal; review booked")
    assert raised(severity, ratio).state == state
    row = Finding.objects.get(key="key")
    assert (row.state, row.acknowledged_by) == (state, "Lead MPE" if state == "acknowledged" else None)
    assert [(one.kind, one.reason) for one in row.actions.order_by("pk")][1:] == ([("reopened", why)] if why else [])
    acknowledge_finding("key", by="Lead MPE", reason="known now")
    assert raised(severity, ratio).state == "acknowledged"


def test_a_dose_that_creeps_up_opens_again_by_what_was_acknowledged(store: Any) -> None:
    """No night is a quarter above the one before; the sixth is a quarter above what a person saw."""
    from dose_audit.store.findings import acknowledge_finding, raise_finding

    def state(ratio: float, severity: str = "check") -> str:
        evidence = {"ratio": ratio, "drl": 290.0}
        return raise_finding("key", "drl_exceeded", severity, "Head", "Median", evidence=evidence).state

    state(1.1, "act")
    acknowledge_finding("key", by="Lead MPE", reason="review booked")
    # Milder for a night, and then what it was: nobody has to look again.
    assert [state(1.1), state(1.1, "act")] == ["acknowledged"] * 2
    assert [state(round(1.1 + 0.05 * night, 2)) for night in range(1, 7)] == ["acknowledged"] * 5 + ["open"]


def test_what_was_cleared_and_comes_back_is_acknowledged_by_nobody(store: Any) -> None:
    from dose_audit.store.findings import acknowledge_finding, clear_findings

    _raise("run-1")
    acknowledge_finding("drl:north:chest", by="Lead MPE", reason="protocol under review")
    clear_findings(["drl_exceeded"], except_keys=[])
    row = _raise("run-3")
    assert (row.state, row.acknowledged_by, row.acknowledged_as) == ("open", None, None)
    assert [one.kind for one in row.actions.all()] == ["acknowledged"]


def test_nobody_acknowledges_for_no_reason(store: Any) -> None:
    from dose_audit.store.findings import acknowledge_finding

    _raise("run-1")
    with pytest.raises(ValueError, match="for a reason"):
        acknowledge_finding("drl:north:chest", by="Lead MPE", reason=" ")


def test_an_unknown_severity_is_a_bug(store: Any) -> None:
    from dose_audit.store.findings import raise_finding

    with pytest.raises(ValueError, match="severity"):
        raise_finding("k", "kind", "red", "s", "m")


def test_a_mapping_changes_by_a_new_version(store: Any) -> None:
    from dose_audit.store.mappings import current_mapping, save_mapping

    assert current_mapping() is None
    first = save_mapping([{"match": "Chest", "examination": "ct_chest"}], approved_by="Lead MPE")
    same = save_mapping([{"examination": "ct_chest", "match": "Chest"}], approved_by="Somebody else")
    second = save_mapping([], approved_by="Lead MPE", note="emptied")
    assert (first.version, same.version, second.version) == (1, 1, 2)
    assert first.sha256 != second.sha256
    assert current_mapping() == second


def test_what_was_acknowledged_before_the_store_kept_it_is_filled_in_from_the_last_that_was_raised(store: Any) -> None:
    from django.apps import apps

    from dose_audit.store.findings import acknowledge_finding, raise_finding
    from dose_audit.store.models import Finding

    raise_finding("level", "drl_exceeded", "check", "Head", "Median", evidence={"ratio": 1.2, "drl": 290.0})
    raise_finding("alert", "dose_alert", "act", "Head", "One exam")
    raise_finding("open", "drl_exceeded", "note", "Knee", "Median")
    for key in ("level", "alert"):
        acknowledge_finding(key, by="Lead MPE", reason="review booked")
    Finding.objects.update(acknowledged_as=None)
    importlib.import_module("dose_audit.store.migrations.0009_as_it_was_acknowledged")._fill(apps, None)
    assert dict(Finding.objects.values_list("key", "acknowledged_as")) == {
        "level": {"severity": "check", "ratio": 1.2},
        "alert": {"severity": "act", "ratio": None},
        "open": None,
    }
