"""Projections and views: each is mapped by what it says of itself, and each exam counts once for an examination."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dose_audit.audit.engine import open_engine
from dose_audit.audit.examine import Result, examine
from dose_audit.audit.mapping import StoredMapping
from dose_audit.audit.mapping_draft import draft_mapping
from dose_audit.drl import ExamMapping, MappingTable, load_sets
from tests.audit.conftest import NOW
from tests.audit.stored import StoredExams

WHEN = datetime(2026, 3, 2, 9, 0)
PA, LATERAL = "SCT:399348003", "SCT:399067008"
CC, MLO = "SCT:399162004", "SCT:399368009"
CHEST = "SCT:51185008"
Audit = Callable[..., Result]


@pytest.fixture
def audit(stored: StoredExams, tmp_path: Path) -> Audit:
    """Writes what `stored` holds and audits it with these rows as the mapping."""
    registry = load_sets(include=("uk-radiography", "eu-rp185-paediatric-ct"), allow_unverified=True)

    def run(*rows: dict[str, str], **more: Any) -> Result:
        table = MappingTable(tuple(ExamMapping(**row, line=line) for line, row in enumerate(rows, 2)))
        folder = stored.write(tmp_path / "parquet")
        mapping = StoredMapping(table, 1, "0" * 64)
        return examine(folder, registry, mapping, registry.examinations, since=None, until=None, now=NOW, **more)

    return run


def _told(result: Result) -> list[tuple[str, float, str]]:
    return sorted((row["examination"] or "", row["value"], row["reason"] or "") for row in result.values.to_pylist())


def _chests(stored: StoredExams, count: int = 1, **exam: Any) -> None:
    for number in range(count):
        shots = [
            {"kap_gy_cm2": 0.08, "view": PA, "acquisition_protocol": exam.get("frontal", "CHEST")},
            {"kap_gy_cm2": 0.60, "view": LATERAL, "acquisition_protocol": exam.get("lateral", "CHEST")},
        ]
        facts = {"target_regions": [CHEST], "study_description": "XR CHEST"}
        stored.add("DX", WHEN + timedelta(hours=number), acquisition_protocol="CHEST", events=shots, **facts)


def test_a_mapping_by_view_reaches_that_view_alone(stored: StoredExams, audit: Audit) -> None:
    _chests(stored, 30)
    by_view = {"level": "rdsr", "target_region": CHEST, "view": PA, "examination": "dx-chest-pa"}
    result = audit(by_view)
    assert _told(result)[0] == ("", 0.60, "UNMAPPED")
    (group,) = result.comparisons
    assert (group["n"], group["median"], group["examination"]) == (30, 0.08, "dx-chest-pa")
    assert not [finding for finding in result.findings if finding.kind == "drl_exceeded"]
    assert result.completeness["compared"] == 30

    both = audit(by_view, by_view | {"view": LATERAL, "examination": "dx-chest-lat"})
    assert {(row[0], row[1], row[2]) for row in _told(both)} == {("dx-chest-pa", 0.08, ""), ("dx-chest-lat", 0.60, "")}


def test_different_projections_that_only_the_exam_maps_are_not_compared(stored: StoredExams, audit: Audit) -> None:
    _chests(stored)
    stored.add(
        "DX", WHEN, study_description="XR CHEST", events=[{"kap_gy_cm2": dose, "view": PA} for dose in (0.1, 0.2)]
    )
    result = audit({"level": "exact", "study_description": "XR CHEST", "examination": "dx-chest-pa"})
    assert _told(result) == [
        ("dx-chest-pa", pytest.approx(0.15), ""),  # one projection, exposed twice
        ("dx-chest-pa", pytest.approx(0.34), "SEVERAL_PROJECTIONS"),
    ]
    assert [(row["reason"], row["n"]) for row in result.excluded] == [("SEVERAL_PROJECTIONS", 1)]


@pytest.mark.parametrize("frontal", [0.08, 0.9], ids=["the lower", "the higher"])
def test_a_projection_that_the_mapping_knows_is_not_mixed_with_one_that_only_the_exam_maps(
    stored: StoredExams, audit: Audit, frontal: float
) -> None:
    shots = [
        {"kap_gy_cm2": frontal, "view": PA, "acquisition_protocol": "Chest PA"},
        {"kap_gy_cm2": 0.6, "view": LATERAL, "acquisition_protocol": "Chest LAT"},
    ]
    stored.add("DX", WHEN, study_description="XR CHEST", target_regions=[CHEST], events=shots)
    rows = (
        {"level": "exact", "acquisition_protocol": "Chest PA", "examination": "dx-chest-pa"},
        {"level": "rdsr", "target_region": CHEST, "examination": "dx-chest-pa"},
    )
    assert [row[2] for row in _told(audit(*rows))] == ["SEVERAL_PROJECTIONS"]


@pytest.mark.parametrize(
    ("shots", "row", "reason"),
    [
        ((("CHEST", PA), ("CHEST", LATERAL)), {"acquisition_protocol": "CHEST"}, "SEVERAL_PROJECTIONS"),
        ((("CHEST", PA), ("CHEST", PA)), {"acquisition_protocol": "CHEST"}, ""),
        ((("CHEST", PA), ("CHEST", "")), {"acquisition_protocol": "CHEST"}, ""),
        ((("CHEST PA", PA), ("CHEST GRID", PA)), {"target_region": CHEST, "view": PA}, ""),
        ((("CHEST", PA), ("CHEST", LATERAL)), {"target_region": CHEST}, "SEVERAL_PROJECTIONS"),
    ],
)
def test_projections_are_one_examination_only_as_far_as_the_mapping_looked(
    stored: StoredExams, audit: Audit, shots: Any, row: dict[str, str], reason: str
) -> None:
    events = [{"kap_gy_cm2": 0.1, "acquisition_protocol": name, "view": view or None} for name, view in shots]
    stored.add("DX", WHEN, target_regions=[CHEST], events=events)
    level = "rdsr" if "target_region" in row else "exact"
    assert _told(audit({"level": level, "examination": "dx-chest-pa"} | row)) == [("dx-chest-pa", 0.1, reason)]


def test_two_names_that_the_mapping_names_are_its_own_choice(stored: StoredExams, audit: Audit) -> None:
    views = {"Chest stand": PA, "Chest table": LATERAL}
    events = [{"kap_gy_cm2": 0.1, "acquisition_protocol": name, "view": view} for name, view in views.items()]
    stored.add("DX", WHEN, events=events)
    rows = [{"level": "exact", "acquisition_protocol": name, "examination": "dx-chest-pa"} for name in views]
    assert _told(audit(*rows)) == [("dx-chest-pa", 0.1, "")]


def test_projections_of_one_name_are_one_value_of_an_exam(stored: StoredExams, audit: Audit) -> None:
    doses = (0.4, 0.1, 0.3, 0.2)
    stored.add("DX", WHEN, events=[{"kap_gy_cm2": dose, "acquisition_protocol": "Chest PA"} for dose in doses])
    result = audit({"level": "exact", "acquisition_protocol": "Chest PA", "examination": "dx-chest-pa"})
    assert _told(result) == [("dx-chest-pa", pytest.approx(0.25), "")]


def test_of_equal_doses_the_name_does_not_depend_on_which_came_first(stored: StoredExams, audit: Audit) -> None:
    shots = [{"kap_gy_cm2": 0.1, "acquisition_protocol": name} for name in ("Chest B", "Chest A", "Chest C")]
    for hour, order in enumerate(((0, 1, 2), (2, 1, 0), (1, 2, 0))):
        stored.add("DX", WHEN + timedelta(hours=hour), events=[shots[place] for place in order])
    rows = [
        {"level": "exact", "acquisition_protocol": shot["acquisition_protocol"], "examination": "dx-chest-pa"}
        for shot in shots
    ]
    looked_at = audit(*rows).looked_at.columns
    assert looked_at["value"].tolist() == [0.1] * 3
    assert looked_at["label"].tolist() == ["Chest A"] * 3


def test_names_that_nothing_maps_stay_apart(stored: StoredExams, audit: Audit) -> None:
    names = ("Knee AP", "Knee LAT", "Knee AP")
    stored.add("DX", WHEN, events=[{"kap_gy_cm2": 0.1, "acquisition_protocol": name} for name in names])
    assert sorted((row["label"], row["n"]) for row in audit().unmapped) == [("Knee AP", 1), ("Knee LAT", 1)]


def test_an_absurd_projection_is_counted_beside_the_others(stored: StoredExams, audit: Audit) -> None:
    doses = (0.1, -3.0, 0.3)
    stored.add("DX", WHEN, events=[{"kap_gy_cm2": dose, "acquisition_protocol": "Chest PA"} for dose in doses])
    result = audit({"level": "exact", "acquisition_protocol": "Chest PA", "examination": "dx-chest-pa"})
    assert _told(result) == [("dx-chest-pa", -3.0, "IMPLAUSIBLE_VALUE"), ("dx-chest-pa", pytest.approx(0.2), "")]
    assert result.excluded == [
        {"reason": "IMPLAUSIBLE_VALUE", "n": 0, "detail": result.excluded[0]["detail"], "single_values": 1}
    ]


def _breasts(stored: StoredExams, exams: int) -> dict[str, list[float]]:
    """Two views of each side, of different doses and thicknesses; the doses of each view."""
    random, doses = np.random.default_rng(3), {CC: [], MLO: []}
    for number in range(exams):
        views = []
        for view, usual in ((CC, 1.0), (CC, 1.0), (MLO, 3.0), (MLO, 3.0)):
            dose = float(usual * random.uniform(0.9, 1.1))
            views.append({"agd_mgy": dose, "view": view, "compression_thickness_mm": 50.0})
            doses[view].append(dose)
        stored.add("MG", WHEN + timedelta(hours=number), acquisition_protocol="Routine", events=views)
    return doses


def test_views_of_a_breast_are_one_examination_or_two_as_the_mapping_says(stored: StoredExams, audit: Audit) -> None:
    doses = _breasts(stored, 40)
    means = {view: np.median(np.mean(np.reshape(found, (-1, 2)), axis=1)) for view, found in doses.items()}
    rows = [
        {"level": "rdsr", "modality": "MG", "view": view, "examination": f"mg-screening-{name}"}
        for view, name in ((CC, "cc"), (MLO, "mlo"))
    ]
    apart = {group["examination"]: group for group in audit(*rows).comparisons}
    assert apart["mg-screening-cc"]["median"] == pytest.approx(means[CC])
    assert apart["mg-screening-mlo"]["median"] == pytest.approx(means[MLO])
    assert {group["n"] for group in apart.values()} == {40}
    every = np.sort(np.hstack([np.reshape(found, (-1, 2)) for found in doses.values()]), axis=1)
    (together,) = audit({"level": "exact", "acquisition_protocol": "Routine", "examination": "mg-2d"}).comparisons
    assert together["n"] == 40
    assert together["median"] == pytest.approx(np.median(every[:, 1:3].mean(axis=1)))


def test_an_exam_of_two_views_is_one_exam_of_the_draft_and_of_the_coverage(stored: StoredExams, tmp_path: Path) -> None:
    _breasts(stored, 5)
    examinations = load_sets(include=("uk-radiography",), allow_unverified=True).examinations
    with open_engine(stored.write(tmp_path / "parquet")) as engine:
        drafted, (site,) = draft_mapping(engine, MappingTable(()), examinations)
        assert [(row.name, row.exams) for row in drafted] == [("Routine", 5)]
        assert (site.n, site.unmapped) == (5, 5)
        by_view = ExamMapping(level="rdsr", modality="MG", view=CC, examination="mg-screening-cc")
        drafted, (site,) = draft_mapping(engine, MappingTable((by_view,)), examinations)
        assert (drafted, site.n, site.mapped) == ([], 5, 5)
