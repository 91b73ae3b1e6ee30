"""Findings and mapping versions: what survives a re-run and what needs a person."""

from __future__ import annotations

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
        ("check", 4.0, "open", "4.00 times its level; it was 1.05 times when it was last raised"),
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
