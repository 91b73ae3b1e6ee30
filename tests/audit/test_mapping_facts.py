"""Every column that an approved mapping row may fill reaches the exams that have it, and no others."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from dose_audit.audit.examine import Result, examine
from dose_audit.audit.mapping import StoredMapping
from dose_audit.drl import ExamMapping, MappingTable, load_sets
from dose_audit.drl.mapping_rows import ALLOWED, DECIDING, LEVELS
from tests.audit.conftest import NOW
from tests.audit.stored import StoredExams

WHEN = datetime(2026, 3, 2, 9, 0)
CHEST, LUNG, PA, FDG = "SCT:51185008", "SCT:39607008", "SCT:399348003", "SCT:35321007"

# Criterion → what a row says, and what an exam, or its events, must have for it.
CRITERIA: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "site": ("North", {"site": "North"}, {}),
    "modality": ("DX", {}, {}),
    "code_scheme": ("LOCAL", {"procedure_codes": ["LOCAL:X1"]}, {}),
    "code_value": ("X1", {"procedure_codes": ["LOCAL:X1"]}, {}),
    "station_name": ("ROOM1", {"station_name": "ROOM1"}, {}),
    "acquisition_protocol": ("Thorax", {"acquisition_protocol": "Thorax"}, {}),
    "study_description": ("XR CHEST", {"study_description": "XR CHEST"}, {}),
    "requested_procedure": ("Chest, two views", {"requested_procedure_description": "Chest, two views"}, {}),
    "target_region": (CHEST, {"target_regions": [CHEST]}, {"target_region": CHEST}),
    "anatomical_structure": (LUNG, {}, {"anatomical_structure": LUNG}),
    "acquisition_type": ("spiral", {}, {"ct_acquisition_type": "spiral"}),
    "phantom": ("body_32cm", {}, {"ctdi_phantom": "body_32cm"}),
    "view": (PA, {}, {"view": PA}),
    "radiopharmaceutical": (FDG, {}, {"radiopharmaceutical": FDG, "type": "administration"}),
}
KINDS = {
    "CT": ("ct-chest", {"ct_dlp_mgy_cm": 300.0}, {"ctdi_vol_mgy": 8.0}),
    "DX": ("dx-chest-pa", {}, {"kap_gy_cm2": 0.1}),
    "PT": ("pt-fdg-tumour", {"administered_activity_mbq": 250.0}, {"administered_activity_mbq": 250.0}),
}
OF_KIND = {"acquisition_type": "CT", "phantom": "CT", "radiopharmaceutical": "PT"}


def _audited(stored: StoredExams, folder: Path, row: dict[str, str]) -> Result:
    registry = load_sets()
    mapping = StoredMapping(MappingTable((ExamMapping(**row, line=2),)), 1, "0" * 64)
    return examine(
        stored.write(folder), registry, mapping, registry.examinations, since=None, until=None, now=NOW, keep=False
    )


@pytest.mark.parametrize(
    ("level", "criterion"), [(level, criterion) for level in LEVELS for criterion in ALLOWED[level]]
)
def test_a_row_by_any_criterion_reaches_the_exams_that_have_it(
    stored: StoredExams, tmp_path: Path, level: str, criterion: str
) -> None:
    kind = OF_KIND.get(criterion, "DX")
    slug, exam, event = KINDS[kind]
    needed = {criterion}
    if criterion not in DECIDING[level]:  # a row needs one criterion that can decide by itself
        needed.add("target_region" if level == "rdsr" else DECIDING[level][0])
    if level == "coded_procedure":
        needed |= {"code_scheme", "code_value"}
    facts, told = {"acquisition_protocol": "anything"}, dict(event)
    for name in needed:
        facts, told = facts | CRITERIA[name][1], told | CRITERIA[name][2]
    without = {"site": "South", "station_name": "ROOM2", "acquisition_protocol": "another"}
    stored.add(kind, WHEN, **exam, **facts, events=[told])
    stored.add(kind, WHEN, **exam, **without, events=[event])
    row = {name: CRITERIA[name][0] for name in needed}
    if criterion == "modality":
        row["modality"] = kind
    result = _audited(stored, tmp_path, row | {"level": level, "examination": slug})
    fates = {one["exam_ref"]: one["examination"] or None for one in result.values.to_pylist()}
    assert fates == {"E000001": slug, "E000002": None}


def test_activities_of_two_substances_are_not_one_dose(stored: StoredExams, tmp_path: Path) -> None:
    events = [
        {"type": "administration", "administered_activity_mbq": 100.0, "radiopharmaceutical": substance}
        for substance in (FDG, "SCT:2")
    ]
    stored.add("PT", WHEN, administered_activity_mbq=200.0, events=events)
    stored.add("PT", WHEN, administered_activity_mbq=200.0, events=events[:1])
    row = {"level": "exact", "acquisition_protocol": "Chest", "examination": "pt-fdg-tumour"}
    reasons = {one["exam_ref"]: one["reason"] for one in _audited(stored, tmp_path, row).values.to_pylist()}
    assert reasons == {"E000001": "SEVERAL_SUBSTANCES", "E000002": None}
