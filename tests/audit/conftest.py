"""What the audit's tests share: stored exams written as the store writes them, DRL sets, a small mapping."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from dose_audit.audit.examine import Result, examine
from dose_audit.audit.mapping import StoredMapping
from dose_audit.drl import DrlRegistry, ExamMapping, MappingTable, load_sets

from .stored import StoredExams

NOW = datetime(2026, 7, 1, 2, 0)


@pytest.fixture(scope="session")
def registry() -> DrlRegistry:
    """UK adult CT and RP 185, as an installation chooses them."""
    return load_sets(include=("uk-adult-ct", "eu-rp185-paediatric-ct"), allow_unverified=True)


@pytest.fixture(scope="session")
def mapping() -> StoredMapping:
    """Acquisition protocols of these tests and the examinations that they are."""
    rows = {
        "Chest": "ct-chest-lung-cancer",
        "CAP": "ct-chest-abdomen-pelvis-cancer",
        "Head": "ct-head-acute-stroke",
        "Thorax Child": "ct-chest",
        "PCI": "xa-percutaneous-coronary-intervention",
        "Chest PA": "dx-chest-pa",
    }
    table = MappingTable(
        tuple(
            ExamMapping(level="exact", acquisition_protocol=protocol, examination=slug, line=line)
            for line, (protocol, slug) in enumerate(rows.items(), start=2)
        )
    )
    return StoredMapping(table, 1, "0" * 64)


@pytest.fixture
def stored() -> StoredExams:
    """An empty store to fill."""
    return StoredExams()


@pytest.fixture
def audited(
    stored: StoredExams, registry: DrlRegistry, mapping: StoredMapping, tmp_path: Path
) -> Callable[..., Result]:
    """Writes what `stored` holds and audits it."""

    def run(since: date | None = None, until: date | None = None, now: datetime = NOW, **more: Any) -> Result:
        folder = stored.write(tmp_path / "parquet")
        return examine(folder, registry, mapping, registry.examinations, since=since, until=until, now=now, **more)

    return run
